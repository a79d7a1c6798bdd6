"""The watchlist over HTTP: an analyst puts on watch, the desk sees it, any analyst takes it off."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from domain.market_calendar import INDIA, INDIA_2026
from models.contracts.queues import Queue
from tests.api.conftest import Api, Person
from tests.api.newsroom import Newsroom, newsroom

TREND: dict[str, Any] = {"strategy": "trend", "exchange": "NSE", "symbol": "INFY", "timeframe": "1h"}
PATH = "/signals/watchlist"


@pytest.fixture(scope="module")
async def room(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    async with newsroom(engines, api) as made:
        yield made
        async with made.parts.database.transaction() as connection:
            await connection.execute(
                """UPDATE signals.watches SET status = 'off', taken_off_by = 'test', taken_off_at = %s
                   WHERE status = 'on_watch'""",
                (datetime.now(UTC),),
            )


def next_close() -> datetime:
    """Of the next trading day: a bar to come is fresh."""
    day = datetime.now(INDIA).date() + timedelta(days=1)
    while not INDIA_2026.is_trading_day(day):
        day += timedelta(days=1)
    return datetime.combine(day, time(16, 0, 5), INDIA)


async def put_on(room: Newsroom, who: Person | None = None, **changes: Any) -> httpx.Response:
    return await room.post(PATH, who or room.analyst, {**TREND, **changes})


async def take_off(room: Newsroom, watch_id: str, who: Person | None = None) -> httpx.Response:
    return await room.api.delete(f"/v1{PATH}/{watch_id}", headers=(who or room.analyst).headers)


async def listed(room: Newsroom, **query: Any) -> list[dict[str, Any]]:
    answer = await room.get(PATH, room.analyst, **query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def trail(room: Newsroom, watch_id: str) -> set[tuple[str, str]]:
    rows = await room.rows("SELECT actor, action FROM audit.trail WHERE subjects @> ARRAY[%s]", watch_id)
    return {(row["actor"], row["action"]) for row in rows}


async def test_put_on_listed_and_taken_off_with_each_step_in_the_trail(room: Newsroom) -> None:
    answer = await put_on(room)
    assert answer.status_code == 201, answer.text
    put = answer.json()
    assert TREND.items() <= put.items()
    assert (put["status"], put["analyst_id"], put["last_outcome"]) == (
        "on_watch",
        room.analyst.user_id,
        None,
    )
    watch_id = put["watch_id"]
    assert watch_id in {item["watch_id"] for item in await listed(room, status="on_watch")}

    off = await take_off(room, watch_id)
    assert (off.status_code, off.json()["status"]) == (200, "off")
    assert await room.api.words(f"watch:{watch_id}") == {("take_off", True)}
    assert watch_id not in {item["watch_id"] for item in await listed(room, status="on_watch")}
    assert watch_id in {item["watch_id"] for item in await listed(room, status="off")}
    mine = room.analyst.user_id
    assert await trail(room, watch_id) == {(mine, "run.put_on"), (mine, "run.take_off")}


async def test_repeats_change_nothing(room: Newsroom) -> None:
    first, again = await put_on(room), await put_on(room)
    assert first.json() == again.json()
    watch_id = first.json()["watch_id"]
    one, other = await take_off(room, watch_id), await take_off(room, watch_id)
    assert (one.status_code, other.status_code) == (200, 200)
    assert one.json() == other.json()
    anew = await put_on(room)
    assert anew.json()["watch_id"] != watch_id
    await take_off(room, anew.json()["watch_id"])


async def test_the_same_key_is_one_command(room: Newsroom) -> None:
    key = {"Idempotency-Key": "watch-tcs"}
    body = {**TREND, "symbol": "TCS"}
    first, second = [await room.post(PATH, room.analyst, body, **key) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = await room.post(PATH, room.analyst, TREND, **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await take_off(room, first.json()["watch_id"])


async def test_a_pair_is_on_watch_once_and_any_analyst_takes_it_off(room: Newsroom) -> None:
    watch_id = (await put_on(room)).json()["watch_id"]
    colleague = await room.person("analyst")
    refused = await put_on(room, colleague)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_on_watch")
    assert (await take_off(room, watch_id, colleague)).json()["status"] == "off"
    assert (colleague.user_id, "run.take_off") in await trail(room, watch_id)
    taken = await put_on(room, colleague)
    assert (taken.status_code, taken.json()["analyst_id"]) == (201, colleague.user_id)
    await take_off(room, taken.json()["watch_id"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"timeframe": "4h"}, 422, "timeframe_not_offered"),
        ({"timeframe": "2h"}, 422, "invalid"),
        ({"strategy": "moon"}, 422, "invalid"),
        ({"symbol": "infy"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_watched(
    room: Newsroom, changes: dict[str, str], status: int, code: str
) -> None:
    answer = await put_on(room, room.analyst, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_watchlist_is_the_analysts(room: Newsroom) -> None:
    for who in (await room.customer("enterprise"), await room.person("compliance")):
        assert (await put_on(room, who)).status_code == 403
        assert (await room.get(PATH, who)).status_code == 403
        assert (await take_off(room, "wch_none", who)).status_code == 403
    assert (await take_off(room, "wch_none")).status_code == 404
    assert (await room.api.get(f"/v1{PATH}")).status_code == 401


async def test_the_list_is_cut_into_pages(room: Newsroom) -> None:
    # Of another module's tests, made with ids that sort after any that is minted.
    await room.rows("DELETE FROM signals.watches WHERE watch_id LIKE 'wch_full%%' RETURNING watch_id")
    put = [(await put_on(room, symbol=symbol)).json()["watch_id"] for symbol in ("SBIN", "RELIANCE")]
    first = (await room.get(PATH, room.analyst, limit=1)).json()
    second = (await room.get(PATH, room.analyst, limit=1, cursor=first["next_cursor"])).json()
    assert [page["items"][0]["watch_id"] for page in (first, second)] == put[::-1]
    for watch_id in put:
        await take_off(room, watch_id)


async def test_an_analyst_finds_what_the_strategy_drew_up_and_alone_publishes_it(room: Newsroom) -> None:
    """From the bar to the draft, by the round that the schedule begins."""
    assert (await room.sign_in_house()).status_code == 201
    analyst, colleague = await room.person("analyst"), await room.person("analyst")
    watch_id = (await put_on(room, analyst, symbol="GOOG", timeframe="1d")).json()["watch_id"]
    settings = room.parts.settings
    given = {
        "timeframe": "1d",
        "assertion_public_key": settings.assertion_public_key,
        "due": next_close().isoformat(),
    }
    process = await room.parts.client.start_workflow(
        "SignalRound", given, id=f"signal-round-1d-{watch_id}", task_queue=Queue.SIGNALS
    )
    assert (await asyncio.wait_for(process.result(), 30))["begun"] == 1
    (watch,) = [item for item in await listed(room, status="on_watch") if item["watch_id"] == watch_id]
    assert watch["last_outcome"] == "done"
    (draft,) = (await room.get("/signals/drafts", analyst)).json()["items"]
    assert (draft["symbol"], draft["status"], draft["source"]) == ("GOOG", "draft", "algorithm")
    run = (await room.get(f"/signals/runs/{watch['last_run_id']}", analyst)).json()
    assert (run["watch_id"], run["signals"]) == (watch_id, [draft["signal_id"]])

    assert (await room.get("/signals/drafts", colleague)).json()["items"] == []
    assert (await room.post(f"/signals/{draft['signal_id']}/publish", colleague)).status_code == 404
    published = await room.post(f"/signals/{draft['signal_id']}/publish", analyst)
    assert published.status_code == 200, published.text
    assert (await room.get("/signals/drafts", analyst)).json()["items"] == []
    assert draft["rationale"]
    assert draft["disclosure"]
    await take_off(room, watch_id, analyst)
