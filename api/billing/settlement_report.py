"""The report of a settlement day as files: every line as CSV, the day at a glance as PDF."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import typst
from starlette.responses import StreamingResponse

from api.billing.tables import cells
from domain.billing_calendar import IST
from domain.money import rupees
from store import reconciliation
from store.database import Database

TEMPLATE = (Path(__file__).parent / "settlement.typ").read_bytes()
LINES = (
    "settlement_id", "utr", "kind", "entity_id", "payment_id", "amount", "debit", "credit", "fee", "tax",
    "verdict", "matches", "expected", "expected_fee", "expected_tax", "difference",
)  # fmt: skip
PRINTED = 200
"""Differences in a PDF; more than that nobody reads on paper."""
VERDICTS = {
    "running": "The day is being compared.",
    "balanced": "The day balances: nothing differs between the gateway's report and the book.",
    "open": "The day does not balance: the differences below wait for finance.",
    "resolved": "The day balances: every difference was decided.",
}


def lines_as_csv(database: Database, day: date) -> StreamingResponse:
    """Every line with what became of it (RFC 4180), written as it is read: a million lines fit too."""
    name = f"reconciliation-{day.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_lines(database, day), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(database: Database, day: date) -> AsyncIterator[str]:
    yield _rows([LINES])
    async with database.reading() as connection:
        async for rows in reconciliation.report(connection, day):
            yield _rows([cells(row, LINES) for row in rows])


def _rows(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def as_pdf(
    supplier: str,
    day: dict[str, Any],
    settlements: list[dict[str, Any]],
    totals: list[dict[str, Any]],
    breaks: list[dict[str, Any]],
    more: int,
) -> bytes:
    """The day at a glance: what was paid, what agrees, what does not and who acts. Blocking, some 100 ms.

    `breaks` as the API shows them; `more`: how many are not among them.
    """
    open_ones = day["difference"] != 0 or day["status"] == "open"
    data = {
        "title": f"Settlement report {day['date'].isoformat()}",
        "supplier": supplier,
        "day": f"{day['date']:%d %B %Y}, India",
        "as_of": f"{datetime.now(UTC).astimezone(IST):%d %b %Y %H:%M} IST",
        "clean": not open_ones,
        "verdict": VERDICTS[day["status"]],
        "figures": [
            _figure("Paid to the bank", f"₹ {_money(day['bank'])}"),
            _figure("Lines", _count(day["lines"])),
            _figure("Agree with the book", _count(day["matched"])),
            _figure("Open difference", f"₹ {_money(day['difference'])}", alarm=open_ones),
        ],
        "settlements": [_settlement(row) for row in settlements],
        "totals": [_total(row) for row in totals],
        "breaks": [_break(row) for row in breaks],
        "more": more,
    }
    return bytes(typst.compile(TEMPLATE, format="pdf", sys_inputs={"data": json.dumps(data)}))


def _figure(name: str, value: str, *, alarm: bool = False) -> dict[str, Any]:
    return {"name": name, "value": value, "alarm": alarm}


def _settlement(row: dict[str, Any]) -> dict[str, str]:
    said = row["amount"] is not None
    return {
        "id": row["settlement_id"],
        "utr": row["utr"] or "none",
        "amount": _money(row["amount"]) if said else "not told",
        "lines": _money(row["lines"]),
        "unexplained": _money(row["unexplained"]) if said else "",
    }


def _total(row: dict[str, Any]) -> dict[str, str]:
    amounts = {name: _money(row[name]) for name in ("expected", "net", "fee", "tax")}
    return {"kind": row["kind"], "verdict": _words(row["verdict"]), "lines": _count(row["lines"]), **amounts}


def _break(row: dict[str, Any]) -> dict[str, Any]:
    waits, days = row["status"] != "resolved", row["age_days"]
    age = f"{days} {'day' if days == 1 else 'days'} old" if days else "new today"
    known = [row["payment_id"], row["utr"], age if waits else None]
    return {
        "kind": _words(row["kind"]),
        "reference": row["reference"],
        "known": " · ".join(each for each in known if each),
        "expected": _money(row["expected"]),
        "found": _money(row["found"]),
        "difference": _money(row["difference"]),
        "open": waits,
        "status": "open" if waits else _words(row["resolution"] or row["ended"]),
        "who": row["who_acts"] or ("by a later report" if row["ended"] == "mended" else "decided"),
    }


def _money(paise: int) -> str:
    """Rupees with a true minus sign."""
    return rupees(paise).replace("-", "\u2212")


def _count(lines: int) -> str:
    """A number in Indian notation."""
    return rupees(lines * 100).partition(".")[0]


def _words(code: str) -> str:
    return code.replace("_", " ")
