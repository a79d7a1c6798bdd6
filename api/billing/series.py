"""The series of documents of a financial year: every number, and why one stands for nothing (GSTR-1, 13)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.billing.tables import as_csv, wants_csv
from api.platform import PlatformDep
from api.principal import Principal, require_role
from domain.gst import DocumentKind
from store import voids

router = APIRouter(prefix="/v1/finance", tags=["finance"])

COLUMNS = (
    *("sequence", "number", "invoice_id", "issued_on", "total", "status", "reason", "voided_at"),
    "replaced_by",
)


@router.get("/series", response_model=None)
async def series(
    request: Request,
    platform: PlatformDep,
    _: Annotated[Principal, Depends(require_role("finance"))],
    financial_year: Annotated[int, Query(ge=2017, le=2100, description="the year in which it began")],
    kind: DocumentKind = DocumentKind.INVOICE,
) -> Response | dict[str, Any]:
    """First and last number, how many were issued, what was voided and what stands in its place. `missing`
    is empty: a number is drawn in the transaction that issues its document."""
    async with platform.database.reading() as connection:
        rows = await voids.series(connection, kind, financial_year)
    if wants_csv(request):
        return as_csv(f"series-{kind}-{financial_year}", COLUMNS, rows)
    drawn = {row["sequence"] for row in rows}
    return {
        "kind": kind,
        "financial_year": financial_year,
        "first_number": rows[0]["number"] if rows else None,
        "last_number": rows[-1]["number"] if rows else None,
        "documents": len(rows),
        "voids": [{name: row[name] for name in COLUMNS} for row in rows if row["status"] == "void"],
        "missing": [number for number in range(1, max(drawn, default=0) + 1) if number not in drawn],
    }
