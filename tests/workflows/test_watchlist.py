"""What is on watch runs after its bar, once: rounds on the real server in virtual time, the pace and session
of the house, the schedules."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    ScheduleOverlapPolicy,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from activities.watchlist import AT_REST
from cli.embedded import EmbeddedEngines
from domain.market_calendar import INDIA, INDIA_2026
from domain.signals import Timeframe
from domain.trading import Exchange
from domain.watchlist import WATCHED, fresh_bars, fresh_for, most_on_watch
from models.contracts.assertions import Assertion, SignedAssertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.search_attributes import Attribute
from models.contracts.workflow_ids import Kind, signal_round, workflow_id
from models.messages.signals import OpenMarketData, RunInput, Strategy, WatchedBar
from models.messages.watchlist import RoundInput, RoundResult, TakeOff, WatchInput
from store import identity_roles, identity_users, notes
from temporal.schedules import ensure_schedules
from tests.workflows.traders import TRADING_MORNING
from workers.parts import Parts, assemble
from workers.pool import workers
from workers.signals import POOL

MONDAY = datetime(2030, 1, 7, 10, 5, 5, tzinfo=INDIA)
"""Far away, so that no schedule's own round falls on it: runs get there in virtual time."""
EVENING = MONDAY.replace(hour=16, minute=0)
CLOSE = MONDAY.replace(hour=15, minute=30, second=0)
REPLAYED = "GOOG"
SYMBOLS = ("INFY", "TCS", "SBIN", "HDFCBANK", "RELIANCE")
DEADLINE_SECONDS = 30.0


@dataclass
class Desk:
    """Analysts, what they have on watch, and the broker beside them."""

    parts: Parts
    http: httpx.AsyncClient

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.parts.database.transaction() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def analyst(self) -> str:
        user, now = mint(Prefix.USER), datetime.now(UTC)
        new = identity_users.NewUser(user, f"{user}@example.in", f"+91{int(user[-8:], 16):010d}", "x")
        async with self.parts.database.transaction() as connection:
            await identity_users.create(connection, self.parts.vault, new, now)
            await identity_roles.grant(connection, user, "analyst", "test", None, now)
        return user

    async def sign_in(self) -> None:
        """The house signs in at the broker."""
        keys = (await self.http.get("/_control/credentials")).json()["kite"]
        login = await self.control("/kite/login", api_key=keys["api_key"], user_id="HOUSE1", name="Treum")
        session, note = mint(Prefix.SESSION), mint(Prefix.NOTE)
        async with self.parts.database.transaction() as connection:
            token, now = login["request_token"], datetime.now(UTC)
            await notes.write(connection, self.parts.vault, "test", token, now, note_id=note)
        opening = OpenMarketData(session_id=session, opened_by="test", token_note=note)
        await self.begin("MarketData", opening, workflow_id(Kind.MARKET_DATA, session), "open")

    async def sign_out(self) -> None:
        await self.rows("UPDATE signals.market_sessions SET ended_at = now() WHERE ended_at IS NULL")

    async def put_on(self, analyst: str, symbol: str = REPLAYED, timeframe: str = "1d") -> dict[str, Any]:
        watch = WatchInput(
            watch_id=mint(Prefix.WATCH),
            analyst_id=analyst,
            strategy=Strategy.TREND,
            exchange=Exchange.NSE,
            symbol=symbol,
            timeframe=Timeframe(timeframe),
            assertion_public_key=self.parts.settings.assertion_public_key,
        )
        process = workflow_id(Kind.WATCH, watch.watch_id)
        return await self.begin("SignalWatch", watch, process, "put_on")

    async def take_off(self, watch_id: str, by: str, role: str = "analyst") -> dict[str, Any]:
        process = workflow_id(Kind.WATCH, watch_id)
        word = Assertion(
            subject=by,
            role=role,
            workflow_id=process,
            action="take_off",
            expires_at=datetime.now(UTC) + timedelta(minutes=5),
        )
        signed = sign(self.parts.settings.assertion_key.get_secret_value(), word)
        handle = self.parts.client.get_workflow_handle(process)
        return await handle.execute_update("take_off", TakeOff(assertion=signed))

    async def begin(self, kind: str, given: Any, process: str, update: str) -> dict[str, Any]:
        start: WithStartWorkflowOperation = WithStartWorkflowOperation(
            kind,
            given,
            id=process,
            task_queue=Queue.SIGNALS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await self.parts.client.execute_update_with_start_workflow(
            update, {}, start_workflow_operation=start
        )

    async def round(
        self, timeframe: str = "1d", at: datetime = EVENING, due: datetime | None = None
    ) -> WorkflowHandle[Any, RoundResult]:
        """A round whose own clock stands at `at` when it begins."""
        key = self.parts.settings.assertion_public_key
        delay = max(at - datetime.now(UTC), timedelta())
        handle = await self.parts.client.start_workflow(
            "SignalRound",
            RoundInput(timeframe=Timeframe(timeframe), assertion_public_key=key, due=due),
            id=f"{signal_round(timeframe)}-{mint(Prefix.EVENT)}",
            task_queue=Queue.SIGNALS,
            start_delay=delay,
            result_type=RoundResult,
        )
        await self.forward(handle, delay + timedelta(seconds=1))
        return handle

    async def result(self, timeframe: str = "1d", at: datetime = EVENING) -> RoundResult:
        handle = await self.round(timeframe, at)
        return await asyncio.wait_for(handle.result(), DEADLINE_SECONDS)

    async def forward(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> None:
        # Without its children: a draft's own clock would run on to where it lapses.
        config = TimeSkippingConfig(enabled=False, disable_propagation=True)
        skipping = TimeSkipper(self.parts.client, config=config).fast_forward(handle, by)
        await asyncio.wait_for(skipping, DEADLINE_SECONDS)

    async def watch(self, watch_id: str) -> dict[str, Any]:
        (row,) = await self.rows("SELECT * FROM signals.watches WHERE watch_id = %s", watch_id)
        return row

    async def calls(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/_control/journal", params={"target": "kite"})
        return list(answer.json()["items"])

    async def drafts(self, watch_id: str) -> list[dict[str, Any]]:
        return await self.rows(
            """SELECT s.* FROM signals.trading_signals s JOIN signals.signal_runs r USING (run_id)
               WHERE r.watch_id = %s""",
            watch_id,
        )


@pytest.fixture(scope="module")
async def desk(engines: EmbeddedEngines) -> AsyncIterator[Desk]:
    headers = {"X-Sandbox-Control": "1"}
    async with (
        assemble(engines.settings) as parts,
        httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=10) as http,
    ):
        made = Desk(parts, http)
        await made.control("/clock", now=MONDAY.isoformat(), run=True)
        await unscheduled(parts)
        async with serving(parts):
            await made.sign_in()
            yield made
        await unscheduled(parts)
        await made.sign_out()
        await made.control("/clock", now=TRADING_MORNING, run=True)


@pytest.fixture(autouse=True)
async def _nothing_on_watch(desk: Desk) -> AsyncIterator[None]:
    yield
    await desk.rows(
        """UPDATE signals.watches SET status = 'off', taken_off_by = 'test', taken_off_at = now()
           WHERE status = 'on_watch'"""
    )


@asynccontextmanager
async def serving(parts: Parts) -> AsyncIterator[None]:
    (worker,) = workers(POOL, parts, parts.client)
    async with worker:
        yield


async def unscheduled(parts: Parts) -> None:
    """Another module may have made the schedules: a round of theirs would run what is on watch here."""
    for timeframe in WATCHED:
        with suppress(RPCError):
            await parts.client.get_schedule_handle(signal_round(timeframe)).delete()


async def until(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], Any], what: str) -> Any:
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not holds(seen := await read()):
        assert asyncio.get_running_loop().time() < deadline, f"{what}: {seen}"
        await asyncio.sleep(0.05)
    return seen


async def refusal(work: Awaitable[Any]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await work
    return str(refused.value.cause.details[0])  # type: ignore[attr-defined]


async def test_a_bar_brings_one_run_and_one_draft_however_often_its_round_comes(desk: Desk) -> None:
    analyst = await desk.analyst()
    watch_id = (await desk.put_on(analyst))["watch_id"]
    first, second = await asyncio.gather(desk.result(), desk.result())
    assert sorted([first.begun, second.begun]) == [0, 1]
    assert sorted([first.begun_before, second.begun_before]) == [0, 1]
    again = await desk.result()
    assert (again.state, again.on_watch, again.begun, again.begun_before) == ("done", 1, 0, 1)
    watch = await desk.watch(watch_id)
    assert (watch["last_outcome"], watch["last_bar_at"]) == ("done", CLOSE)
    (draft,) = await desk.drafts(watch_id)
    assert (draft["status"], draft["analyst_id"], draft["source"]) == ("draft", analyst, "algorithm")
    process = desk.parts.client.get_workflow_handle(workflow_id(Kind.SIGNAL, draft["signal_id"]))
    assert (await process.describe()).workflow_type == "SignalLifecycle"

    tomorrow = await desk.result(at=EVENING + timedelta(days=1))
    assert tomorrow.begun == 1
    watch = await desk.watch(watch_id)
    assert (watch["last_outcome"], watch["last_bar_at"]) == ("signal_stands", CLOSE + timedelta(days=1))
    assert len(await desk.drafts(watch_id)) == 1, "a rule that still holds brings no second draft"


async def test_a_round_reads_the_bar_that_has_just_closed_and_no_older(desk: Desk) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), "INFY", "5m"))["watch_id"]
    await desk.result("5m", MONDAY)
    watch = await desk.watch(watch_id)
    assert watch["last_outcome"] in ("done", "no_signal")
    (run,) = await desk.rows("SELECT * FROM signals.signal_runs WHERE watch_id = %s", watch_id)
    assert (run["last_candle_at"], run["bar_at"]) == (
        datetime(2030, 1, 7, 10, 0, tzinfo=INDIA),
        datetime(2030, 1, 7, 10, 5, tzinfo=INDIA),
    )
    # The broker's clock has not come to the next bar's close.
    await desk.result("5m", MONDAY + timedelta(minutes=5))
    assert (await desk.watch(watch_id))["last_outcome"] == "candles_stale"


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (datetime(2030, 1, 6, 10, 5, 5, tzinfo=INDIA), "no_trading_day"),
        (datetime(2030, 1, 7, 8, 5, 5, tzinfo=INDIA), "no_fresh_bar"),
        (datetime(2030, 1, 7, 23, 59, 5, tzinfo=INDIA), "no_fresh_bar"),
    ],
)
async def test_nothing_runs_while_the_market_is_shut(desk: Desk, at: datetime, state: str) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), timeframe="5m"))["watch_id"]
    assert (await desk.result("5m", at)).state == state
    assert (await desk.watch(watch_id))["last_bar_at"] is None


async def test_holidays_are_skipped_by_the_dated_calendar(desk: Desk) -> None:
    guru_nanak_jayanti = datetime(2026, 11, 24, 16, 0, 5, tzinfo=INDIA)
    handle = await desk.round(at=datetime.now(UTC), due=guru_nanak_jayanti)
    assert (await handle.result()).state == "no_trading_day"


async def test_a_round_that_comes_too_late_runs_nothing(desk: Desk) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), timeframe="5m"))["watch_id"]
    handle = await desk.round("5m", at=MONDAY + fresh_for(Timeframe.M5), due=MONDAY)
    assert (await handle.result()).state == "no_fresh_bar"
    assert (await desk.watch(watch_id))["last_bar_at"] is None


async def test_without_the_houses_session_a_round_waits_and_says_so(desk: Desk) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), "TCS", "5m"))["watch_id"]
    await desk.sign_out()
    try:
        handle = await desk.round("5m", MONDAY)
        await until(lambda: shown(handle), lambda seen: seen == ("market_data_closed", True), "the wait")
        assert "POST /v1/signals/market-data" in await details(handle)
        assert (await desk.watch(watch_id))["last_bar_at"] is None, "no run was begun"
    finally:
        await desk.sign_in()
    await desk.forward(handle, timedelta(seconds=20))
    assert (await handle.result()).begun == 1
    assert (await desk.watch(watch_id))["last_outcome"] in ("done", "no_signal")
    assert await shown(handle) == ("done", False)


async def test_a_bar_passes_where_nobody_signs_in(desk: Desk) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), timeframe="5m"))["watch_id"]
    await desk.sign_out()
    try:
        handle = await desk.round("5m", MONDAY)
        await desk.forward(handle, fresh_for(Timeframe.M5))
        result = await handle.result()
    finally:
        await desk.sign_in()
    assert (result.state, result.begun, result.left_out) == ("market_data_closed", 0, 1)
    assert await shown(handle) == ("market_data_closed", False)
    assert (await desk.watch(watch_id))["last_bar_at"] is None


async def test_a_broker_that_is_down_is_no_endless_loop(desk: Desk) -> None:
    watch_id = (await desk.put_on(await desk.analyst(), timeframe="5m"))["watch_id"]
    await desk.control("/faults", target="kite", match="/user/profile", fault="error_5xx", times=100)
    try:
        # Three seconds before the bar is worth nothing any more.
        handle = await desk.round("5m", MONDAY + timedelta(seconds=141), due=MONDAY)
        result = await asyncio.wait_for(handle.result(), DEADLINE_SECONDS)
    finally:
        await desk.control("/faults/heal", target="kite")
    assert (result.state, result.begun, result.left_out) == ("broker_unavailable", 0, 1)
    assert (await desk.watch(watch_id))["last_bar_at"] is None


async def test_a_run_that_comes_to_itself_after_its_bar_draws_up_nothing(desk: Desk) -> None:
    """Its worker was away for as long as the bar was worth a signal."""
    analyst = await desk.analyst()
    watch_id = (await desk.put_on(analyst))["watch_id"]
    closed = datetime(2026, 11, 20, 15, 30, tzinfo=INDIA)
    bar = WatchedBar(
        watch_id=watch_id,
        began_at=closed.replace(hour=0, minute=0),
        closed_at=closed,
        fresh_until=closed + fresh_for(Timeframe.D1),
    )
    given = RunInput(
        run_id=mint(Prefix.RUN),
        requested_by=analyst,
        strategy=Strategy.TREND,
        exchange=Exchange.NSE,
        symbol=REPLAYED,
        timeframe=Timeframe.D1,
        assertion_public_key=desk.parts.settings.assertion_public_key,
        watched=bar,
    )
    process = workflow_id(Kind.SIGNAL_RUN, "1d", "20261120T1000Z", watch_id)
    late = await desk.parts.client.start_workflow(
        "SignalRun", given, id=process, task_queue=Queue.SIGNALS, result_type=str
    )
    assert await asyncio.wait_for(late.result(), DEADLINE_SECONDS) == "bar_over"
    watch = await desk.watch(watch_id)
    assert (watch["last_outcome"], watch["last_bar_at"]) == ("bar_over", closed)
    assert await desk.drafts(watch_id) == []


async def test_a_session_that_ends_in_the_middle_holds_the_others_until_it_is_back(desk: Desk) -> None:
    analyst = await desk.analyst()
    put = [(await desk.put_on(analyst, symbol, "15m"))["watch_id"] for symbol in SYMBOLS]
    # The broker ends it at a run's own call, after the round has seen it live.
    await desk.control("/faults", target="kite", match="/historical/", fault="expired_token", times=1)
    handle = await desk.round("15m", datetime(2030, 1, 7, 10, 30, 5, tzinfo=INDIA))
    await until(lambda: shown(handle), lambda seen: seen == ("market_data_closed", True), "the wait")
    await desk.sign_in()
    await desk.forward(handle, timedelta(minutes=1))
    result = await asyncio.wait_for(handle.result(), DEADLINE_SECONDS)
    assert (result.state, result.begun, result.left_out) == ("done", len(SYMBOLS), 0)
    outcomes = [(await desk.watch(watch_id))["last_outcome"] for watch_id in put]
    assert 1 <= outcomes.count("market_data_closed") <= 2, outcomes
    assert None not in outcomes


async def test_a_burst_keeps_the_houses_pace_and_reads_no_quotes(desk: Desk) -> None:
    analyst = await desk.analyst()
    put = [(await desk.put_on(analyst, symbol, "15m"))["watch_id"] for symbol in SYMBOLS]
    since = len(await desk.calls())
    result = await desk.result("15m", datetime(2030, 1, 7, 10, 0, 5, tzinfo=INDIA))
    assert (result.state, result.begun) == ("done", len(SYMBOLS))
    assert {(await desk.watch(watch_id))["last_outcome"] for watch_id in put} <= {"done", "no_signal"}
    made = (await desk.calls())[since:]
    assert [call["status"] for call in made if "/historical/" in call["path"]] == [200] * len(SYMBOLS)
    assert [call["path"] for call in made if "/quote" in call["path"]] == []


async def test_the_same_pair_is_watched_once(desk: Desk) -> None:
    one, other = await desk.analyst(), await desk.analyst()
    first, again = await asyncio.gather(desk.put_on(one), desk.put_on(one))
    assert first["watch_id"] == again["watch_id"]
    assert await refusal(desk.put_on(other)) == "already_on_watch"
    both = (desk.put_on(each, "SBIN") for each in (one, other))
    met = await asyncio.gather(*both, return_exceptions=True)
    assert sum(isinstance(each, WorkflowUpdateFailedError) for each in met) == 1, met
    taken = await desk.take_off(first["watch_id"], other)
    assert taken["status"] == "off"
    anew = await desk.put_on(other)
    assert (anew["status"], anew["analyst_id"]) == ("on_watch", other)


@pytest.mark.parametrize(
    ("symbol", "timeframe", "code"),
    [("INFY", "4h", "timeframe_not_offered"), ("ZZNONE", "5m", "instrument_unknown")],
)
async def test_what_cannot_be_watched(desk: Desk, symbol: str, timeframe: str, code: str) -> None:
    assert await refusal(desk.put_on(await desk.analyst(), symbol, timeframe)) == code


async def test_no_more_is_watched_than_can_run_while_a_bar_is_fresh(desk: Desk) -> None:
    analyst = await desk.analyst()
    await desk.rows(
        """INSERT INTO signals.watches (watch_id, analyst_id, strategy, exchange, symbol, timeframe, status,
               put_on_at)
           SELECT 'wch_full' || n, %s, 'trend', 'NSE', 'S' || n, '1m', 'on_watch', now()
           FROM generate_series(1, %s) n""",
        *(analyst, most_on_watch(Timeframe.M1)),
    )
    assert await refusal(desk.put_on(analyst, "INFY", "1m")) == "watchlist_full"


async def test_taken_off_by_an_analysts_signed_word_alone(desk: Desk) -> None:
    analyst = await desk.analyst()
    watch_id = (await desk.put_on(analyst))["watch_id"]
    assert await refusal(desk.take_off(watch_id, analyst, role="support")) == "role_required"
    forged = TakeOff(assertion=SignedAssertion(assertion="{}", signature=""))
    handle = desk.parts.client.get_workflow_handle(workflow_id(Kind.WATCH, watch_id))
    assert await refusal(handle.execute_update("take_off", forged)) == "assertion_invalid"
    assert (await desk.take_off(watch_id, analyst))["status"] == "off"
    assert await asyncio.wait_for(handle.result(), DEADLINE_SECONDS) == "off"
    assert (await desk.result()).state == "nothing_on_watch"


async def test_who_is_no_analyst_any_more_draws_up_nothing(desk: Desk) -> None:
    analyst = await desk.analyst()
    await desk.put_on(analyst)
    await desk.rows(
        "UPDATE user_management.user_roles SET ended_at = now(), ended_by = 'test' WHERE user_id = %s",
        analyst,
    )
    assert (await desk.result()).state == "nothing_on_watch"


async def test_each_timeframe_has_a_schedule_on_market_days(desk: Desk) -> None:
    await ensure_schedules(desk.parts.client, desk.parts.settings)
    try:
        for timeframe in WATCHED:
            found = await desk.parts.client.get_schedule_handle(signal_round(timeframe)).describe()
            assert found.schedule.policy.overlap == ScheduleOverlapPolicy.SKIP
            assert found.schedule.policy.catchup_window == fresh_for(timeframe) <= timedelta(hours=12)
            for moment in found.info.next_action_times:
                local = moment.astimezone(INDIA)
                assert local.weekday() < 5
                assert (local.second, 9 <= local.hour <= 23) == (5, True)
                at_its_close = fresh_bars(INDIA_2026, timeframe, moment, moment)
                shut = not INDIA_2026.is_trading_day(local.date()) or local.hour in (9, 23)
                assert at_its_close or shut, f"{timeframe} at {local}"
    finally:
        await unscheduled(desk.parts)


async def test_a_schedule_rests_while_nothing_is_on_watch(desk: Desk) -> None:
    await ensure_schedules(desk.parts.client, desk.parts.settings)
    schedule = desk.parts.client.get_schedule_handle(signal_round("1h"))
    try:

        async def state() -> tuple[bool, str | None]:
            found = (await schedule.describe()).schedule.state
            return found.paused, found.note

        assert (await desk.result("1h", MONDAY.replace(minute=15))).state == "nothing_on_watch"
        assert await state() == (True, AT_REST)
        analyst = await desk.analyst()
        watch_id = (await desk.put_on(analyst, timeframe="1h"))["watch_id"]
        await until(state, lambda seen: not seen[0], "the schedule to wake")
        await desk.take_off(watch_id, analyst)
        await until(state, lambda seen: seen == (True, AT_REST), "the schedule to rest")
        await schedule.unpause()
        await schedule.pause(note="the desk is away")
        await desk.put_on(analyst, timeframe="1h")
        assert (await desk.result("1h", MONDAY.replace(minute=15))).begun == 1
        assert await state() == (True, "the desk is away"), "what a person paused is left alone"
    finally:
        await unscheduled(desk.parts)


async def shown(handle: WorkflowHandle[Any, Any]) -> tuple[str | None, bool | None]:
    found = (await handle.describe()).typed_search_attributes
    return found.get(Attribute.STATE.value), found.get(Attribute.NEEDS_ATTENTION.value)


async def details(handle: WorkflowHandle[Any, Any]) -> str:
    told = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return told.current_details
