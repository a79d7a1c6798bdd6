"""A month's GST returns in figures, tied to ledger and series. CSV by ``Accept``."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.billing.tables import as_csv, wants_csv
from api.platform import PlatformDep
from api.principal import Principal, require_role
from domain.closing import month
from store import gst_returns

router = APIRouter(prefix="/v1/finance", tags=["finance"])
Finance = Annotated[Principal, Depends(require_role("finance"))]
Period = Annotated[str, Query(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="yyyy-mm")]

COLUMNS = (
    "table", "kind", "gstin", "number", "issued_on", "original_number", "original_issued_on", "irn", "place",
    "rate", "sac", "first_number", "last_number", "documents", "cancelled", "net", "value", "taxable", "igst",
    "cgst", "sgst",
)  # fmt: skip


@router.get("/gst", response_model=None)
async def gst(
    request: Request, platform: PlatformDep, _: Finance, period: Period
) -> Response | dict[str, Any]:
    """GSTR-1 and GSTR-3B of a month by table; `ties` is zero throughout where documents, ledger and series
    agree. `taxable` and the taxes beside it are those of 3.1(a)."""
    first, following = month(period)
    async with platform.database.reading() as connection:
        found = await gst_returns.month(connection, first, following, platform.settings.supplier_state)
    if wants_csv(request):
        return as_csv(f"gst-{period}", COLUMNS, list(_flat(found)))
    return {"period": period, **found, **found["gstr3b"]["3.1a"]}


def _flat(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each row of each table, with the table's name."""
    for name, table in found["gstr1"].items():
        parts = table if isinstance(table, dict) else {"": table}
        for part, rows in parts.items():
            for row in rows:
                yield {"table": f"gstr1/{name}{'/' if part else ''}{part}", **row}
    for name, table in found["gstr3b"].items():
        for row in table if isinstance(table, list) else [table]:
            yield {"table": f"gstr3b/{name}", **row}
