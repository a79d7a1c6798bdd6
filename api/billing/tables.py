"""Rows as CSV where the caller asks for it (``Accept: text/csv``)."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response


def wants_csv(request: Request) -> bool:
    return "text/csv" in request.headers.get("accept", "")


def as_csv(name: str, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Response:
    """A CSV file (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(cells(row, columns) for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    """One row's cells, in the order of the columns."""
    return [_cell(row.get(column)) for column in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(str(part) for part in value)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
