"""The end of a trading day, over HTTP: a customer's settings, her day compared, a break decided."""

import asyncio
import json
import secrets
from collections.abc import Callable
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from typing import Any

from temporalio.client import Client

from cli.demo.run import IST
from cli.demo.stage import BrokenPromise, Person, Stage
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from store import trading_positions
from store.database import Database
from tests.faults import journeys

SECONDS = 240.0
GHOST = """
INSERT INTO trading.trades (account_id, trading_day, trade_id, broker_order_id, exchange, symbol, product,
    side, quantity, price, traded_at, kind)
VALUES (%(account)s, %(day)s, 'ghost', 'ghost', 'NSE', 'INFY', 'MIS', 'BUY', 3, 1500, %(day)s, 'adjustment')
ON CONFLICT DO NOTHING
"""


def day_end(stage: Stage) -> None:
    """A booking at fault becomes a break that support decides; the schedule's rounds are begun by hand."""
    person = journeys.verified(stage)
    account = journeys.connected(stage, person)
    settings = {"session_reminders": True, "max_open_positions": 10}
    stage.call("PUT", f"/trading/accounts/{account}", person, json=settings)
    order = journeys.placed(stage, person, account)
    resting = journeys.waits(stage, person, order, "open")
    stage.control("kite/fill", order_id=resting["broker_order_id"], quantity=10)
    journeys.waits(stage, person, order, "filled")
    day = exchange_day(stage)
    asyncio.run(_misbooked(stage, account, day))
    asyncio.run(_round(stage, account, day))

    found = stated(stage, person, account, day, lambda seen: seen["breaks"], "a booking at fault is a break")
    action = f"/staff/runs/broker-break:{found['breaks'][0]['break_id']}/actions/resolve"
    decision = {"resolution": "adopt_broker", "note": "never traded"}
    journeys.again(lambda: stage.call("POST", action, stage.staff("support"), json=decision))
    ended = "a decided break ends the day"
    stated(stage, person, account, day, lambda seen: seen["status"] == "resolved", ended)


def stated(
    stage: Stage, person: Person, account: str, day: date, holds: Callable[[Any], Any], what: str
) -> Any:
    """The day's statement once it `holds`."""
    deadline = monotonic() + SECONDS
    asked = {"account_id": account, "date": day.isoformat()}
    while not holds(seen := stage.call("GET", "/trading/statement", person, params=asked)):
        if monotonic() > deadline:
            raise BrokenPromise(f"{what}: not so after {SECONDS:.0f} s; last seen {str(seen)[:300]}")
        sleep(0.2)
    return seen


def exchange_day(stage: Stage) -> date:
    """The broker's date: every answer of the sandbox carries its time."""
    answer = stage.sandbox.get("/_control/credentials")
    return parsedate_to_datetime(answer.headers["date"]).astimezone(IST).date()


async def _misbooked(stage: Stage, account: str, day: date) -> None:
    async with Database(stage.endpoints["postgres"], max_size=1) as database:
        async with database.transaction() as connection:
            await connection.execute(GHOST, {"account": account, "day": day})
            await trading_positions.rebuild(connection, account)


async def _round(stage: Stage, account: str, day: date) -> None:
    """What the schedules begin, of this day and for this account; the pause between two looks is skipped."""
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    key = json.loads((stage.home / "secrets.json").read_text())["assertion_public_key"]
    given: dict[str, Any] = {"day": day.isoformat(), "after": account[:-1], "assertion_public_key": key}
    for kind, wanted in (("BrokerDays", given), ("SessionReminders", {"day": day.isoformat()})):
        name = f"{kind}-{secrets.token_hex(6)}"
        run = await client.start_workflow(kind, wanted, id=name, task_queue=Queue.TRADING)
        async with asyncio.timeout(SECONDS):
            while (await run.describe()).close_time is None:
                await asyncio.sleep(0.1)
    process = workflow_id(Kind.BROKER_DAY, account, day.isoformat())
    await journeys._forward(stage, process, timedelta(seconds=25))


journeys.JOURNEYS["day_end"] = day_end
