"""Ways through a day's revenue, the close of a month and postings by hand, over HTTP."""

import asyncio
from datetime import datetime, timedelta
from itertools import count
from time import monotonic
from typing import Any

from temporalio.client import Client

from cli.demo.run import IST
from cli.demo.stage import Person, Stage, promise
from temporal.schedules import REVENUE
from tests.faults import journeys

SECONDS = 60.0
MONTHS = count()
"""Each play closes a month of its own, long ago: without entries it lacks nothing, and nothing is dated into
it."""


def closed(stage: Stage) -> None:
    """The day before recognised, by the schedule's turn and because finance asks; an old month closed."""
    finance = stage.staff("finance")
    yesterday = (datetime.now(IST).date() - timedelta(days=1)).isoformat()
    asyncio.run(_daily(stage))
    _asked(stage, finance, "/finance/revenue", "recognised", {"date": yesterday})
    days = stage.call("GET", f"/finance/revenue/{yesterday}", finance)["items"]
    promise(days, "a day's revenue is recognised")
    year, month = divmod(next(MONTHS), 12)
    path = f"/finance/periods/{2018 + year}-{month + 1:02d}"
    _asked(stage, finance, f"{path}/close", "closed", None)
    promise(stage.call("GET", path, finance)["status"] == "closed", "a month is closed")


def posted(stage: Stage) -> None:
    """A small voucher, posted by one person; a large one, taken back before a second person has agreed."""
    finance = stage.staff("finance")
    small = stage.call("POST", "/finance/vouchers", finance, expect=201, json=_voucher(100))
    large = stage.call("POST", "/finance/vouchers", finance, expect=202, json=_voucher(50_000_01))
    path = f"/finance/vouchers/{large['voucher_id']}/reject"
    promise(stage.call("POST", path, finance)["status"] == "rejected", "a voucher is taken back")
    seen = stage.call("GET", f"/finance/ledger?reference={small['voucher_id']}", finance)["items"]
    promise(len(seen) == 2, "a voucher stands in the book once")


def _voucher(amount: int) -> dict[str, Any]:
    lines = [{"account": "tds_receivable", "debit": amount}, {"account": "bank", "credit": amount}]
    day = datetime.now(IST).date().isoformat()
    return {"date": day, "lines": lines, "note": "tax that a customer withheld, by his certificate"}


def _asked(stage: Stage, who: Person, path: str, reached: str, body: dict[str, Any] | None) -> None:
    """Asks until the process answers with what it has reached, not with what it is about to do."""
    deadline = monotonic() + SECONDS
    while stage.call("POST", path, who, expect=(200, 202), json=body)["status"] != reached:
        promise(monotonic() < deadline, f"{path} reaches {reached}")


async def _daily(stage: Stage) -> None:
    """The schedule's turn of the day, now."""
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    await client.get_schedule_handle(REVENUE).trigger()


journeys.JOURNEYS |= {"closed": closed, "posted": posted}
