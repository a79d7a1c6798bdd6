"""The watchlist, over HTTP: put on watch, a round of the schedule's begun by hand, taken off again."""

import asyncio
import json
import secrets
from datetime import datetime, time, timedelta
from itertools import count

from temporalio.client import Client

from cli.demo import markets
from cli.demo.run import IST
from cli.demo.stage import BrokenPromise, Stage
from domain.market_calendar import INDIA_2026
from domain.signals import Timeframe
from models.contracts.queues import Queue
from models.contracts.workflow_ids import signal_round
from models.messages.watchlist import RoundInput
from tests.faults import journeys

SECONDS = 240.0
AFTER = count(1)
"""Each play has a bar that no other has had: of a trading day to come, so that it is fresh."""


def watched(stage: Stage) -> None:
    """A draft after the bar, though its round comes twice; whoever watches it takes it off."""
    analyst = stage.staff("analyst")
    journeys.again(lambda: markets.open_market_data(stage, analyst))
    wanted = {"strategy": "trend", "exchange": "NSE", "symbol": markets.SYMBOL, "timeframe": "1d"}
    put = stage.call("POST", "/signals/watchlist", analyst, expect=(200, 201), json=wanted)
    due = closing()
    for _ in range(2):
        asyncio.run(_round(stage, due))
    items = stage.call("GET", "/signals/watchlist", analyst, params={"status": "on_watch"})["items"]
    seen = next(item for item in items if item["watch_id"] == put["watch_id"])
    if seen["last_outcome"] != "done":
        raise BrokenPromise(f"a strategy on watch draws up a signal after its bar: {seen}")
    run = stage.call("GET", f"/signals/runs/{seen['last_run_id']}", analyst)
    if run["watch_id"] != put["watch_id"]:
        raise BrokenPromise(f"the run is the watch's: {run}")
    stage.call("DELETE", f"/signals/watchlist/{put['watch_id']}", analyst)


def closing() -> datetime:
    """When the round of a trading day to come is due, another one each time."""
    day, left = datetime.now(IST).date(), next(AFTER)
    while left:
        day += timedelta(days=1)
        left -= INDIA_2026.is_trading_day(day)
    return datetime.combine(day, time(16, 0, 5), IST)


async def _round(stage: Stage, due: datetime) -> None:
    client = await Client.connect(stage.endpoints["temporal"], namespace=stage.endpoints["namespace"])
    key = json.loads((stage.home / "secrets.json").read_text())["assertion_public_key"]
    given = RoundInput(timeframe=Timeframe.D1, assertion_public_key=key, due=due)
    name = f"{signal_round(given.timeframe)}-{secrets.token_hex(6)}"
    wanted = given.model_dump(mode="json")
    run = await client.start_workflow("SignalRound", wanted, id=name, task_queue=Queue.SIGNALS)
    async with asyncio.timeout(SECONDS):
        while (await run.describe()).close_time is None:
            await asyncio.sleep(0.1)


journeys.JOURNEYS["watched"] = watched
