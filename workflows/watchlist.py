"""What is on watch runs by itself: after each bar a round starts each strategy, at the house's pace."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026, trading_date
    from domain.moves import moved
    from domain.trading import Exchange
    from domain.watchlist import ROUND_NEXT, Bar, RoundStatus, WatchStatus, fresh_bars, fresh_for
    from models.contracts.identifiers import Prefix, derived
    from models.contracts.policies import BOOK, READ_BROKER
    from models.contracts.search_attributes import Attribute
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.signals import RunInput, WatchedBar
    from models.messages.watchlist import (
        AttendSchedule,
        BeginWatch,
        DueWatch,
        HouseSession,
        PutOnWatch,
        RoundInput,
        RoundResult,
        TakeOff,
        TakeOffWatch,
        WatchesDue,
        WatchInput,
        WatchView,
    )
    from workflows.answering import caller_told
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.watchlist import RoundPort, WatchlistPort
    from workflows.scheduling import due_at
    from workflows.signal_runs import SignalRun
    from workflows.visible import show, waiting, working

ROLE = "analyst"
SIDE_BY_SIDE = 2
"""Runs of a round under way at once. Each is a history call or two, of which the house has three a second;
none reads a quote, so that the watch over published signals keeps its pace."""
SHORTEST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=10)
"""Between looks for the house's session, each twice the one before: a new login takes a moment."""


@workflow.defn(name="SignalWatch")
class SignalWatch:
    """`watch:{watch}`. A strategy over an instrument, on watch from an analyst's word until another's."""

    @workflow.init
    def __init__(self, given: WatchInput) -> None:
        self._given = given
        self._watch: WatchView | None = None
        self._refused = ""
        self._told = False

    @workflow.run
    async def run(self, given: WatchInput) -> str:
        if not await self._put_on():
            show(state="refused" if self._refused else "already_on_watch")
            await caller_told(lambda: self._told)
            return self._refused
        await self._attend()
        waiting(
            f"the close of each {given.timeframe} bar: its round starts a run",
            since=workflow.now(),
            otherwise="it stays on watch until an analyst takes it off",
            who="an analyst",
            link=f"DELETE /v1/signals/watchlist/{given.watch_id}",
        )
        await workflow.wait_condition(lambda: self._off)
        await self._attend()
        working("off")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return WatchStatus.OFF

    @workflow.update(name="put_on")
    async def put_on(self, command: BeginWatch) -> WatchView:
        """It is on watch, or why it cannot be."""
        await workflow.wait_condition(lambda: self._watch is not None or bool(self._refused))
        self._told = True
        if self._watch is None:
            raise refuse(self._refused)
        return self._watch

    @workflow.update(name="take_off")
    async def take_off(self, command: TakeOff) -> WatchView:
        """Any analyst's word: one who is away leaves nothing on watch that nobody can stop."""
        who = self._asserted(command)
        await workflow.wait_condition(lambda: self._watch is not None or bool(self._refused))
        if self._watch is None or self._watch.watch_id != self._given.watch_id:
            raise refuse("not_on_watch")
        asked = TakeOffWatch(watch_id=self._given.watch_id, taken_off_by=who, as_of=workflow.now())
        taken = await workflow.execute_local_activity_method(
            WatchlistPort.take_off_watch, asked, **BOOK.local()
        )
        show(state=taken.status)
        self._watch = taken
        return taken

    @take_off.validator
    def _may_take_off(self, command: TakeOff) -> None:
        self._asserted(command)

    async def _put_on(self) -> bool:
        """Whether this run keeps the watch: not where that is refused, or an earlier run has it."""
        command = PutOnWatch(watch=self._given, as_of=workflow.now())
        try:
            put = await workflow.execute_local_activity_method(
                WatchlistPort.put_on_watch, command, **BOOK.local()
            )
        except ApplicationError as error:  # as a local activity fails
            self._refused = outcome(error).code
            return False
        self._watch = put
        if put.watch_id != self._given.watch_id:
            return False
        show(state=put.status, symbol=self._given.symbol, reference=[self._given.watch_id])
        return True

    async def _attend(self) -> None:
        await workflow.execute_activity_method(
            RoundPort.attend_schedule, AttendSchedule(timeframe=self._given.timeframe), **BOOK.options()
        )

    @property
    def _off(self) -> bool:
        return self._watch is not None and self._watch.status is WatchStatus.OFF

    def _asserted(self, command: TakeOff) -> str:
        key = self._given.assertion_public_key
        return decider(command.assertion, key, "take_off", (ROLE,)).subject


@workflow.defn(name="SignalRound")
class SignalRound:
    """`signal-round-{timeframe}`, by its schedule. Just after a bar has closed: a run of each strategy on
    watch, under an id of bar and watch, so that a round that comes twice begins none twice."""

    @workflow.init
    def __init__(self, given: RoundInput) -> None:
        due = given.due or due_at()
        self._given = given
        self._due = due
        self._bars: dict[Exchange, Bar] = {}
        self._line: list[DueWatch] = []
        self._shut = False
        self._told = RoundResult(day=trading_date(due))

    @workflow.run
    async def run(self, given: RoundInput) -> RoundResult:
        if not INDIA_2026.is_trading_day(self._told.day):
            return self._over(RoundStatus.NO_TRADING_DAY)
        self._bars = fresh_bars(INDIA_2026, given.timeframe, self._due, workflow.now())
        if not self._bars:
            return self._over(RoundStatus.NO_FRESH_BAR)
        self._line = await self._on_watch()
        if not self._line:
            await workflow.execute_activity_method(
                RoundPort.attend_schedule, AttendSchedule(timeframe=given.timeframe), **BOOK.options()
            )
            return self._over(RoundStatus.NOTHING_ON_WATCH)
        while self._line:
            if (unseen := await self._until_seen()) is not None:
                self._told.left_out += len(self._line)
                return self._over(unseen)
            working(f"{len(self._line)} strategies after the {given.timeframe} bar")
            await asyncio.gather(*(self._lane() for _ in range(SIDE_BY_SIDE)))
        return self._over(RoundStatus.LEFT_OUT if self._told.left_out else RoundStatus.DONE)

    async def _on_watch(self) -> list[DueWatch]:
        asked = WatchesDue(
            timeframe=self._given.timeframe, exchanges=sorted(self._bars), as_of=workflow.now()
        )
        found = await workflow.execute_local_activity_method(WatchlistPort.watches_due, asked, **BOOK.local())
        self._told.on_watch = len(found.watches)
        return found.watches

    async def _until_seen(self) -> RoundStatus | None:
        """Waits until the house is signed in at the broker, as long as a bar is fresh; why not, where it is
        not by then. No run is begun before: its id is spent once."""
        until = max(bar.closed for bar in self._bars.values()) + fresh_for(self._given.timeframe)
        since, pause = workflow.now(), SHORTEST_PAUSE
        while (left := until - workflow.now()) > timedelta():
            try:
                seen = await self._house(left)
            except ActivityError:
                return RoundStatus.BROKER_UNAVAILABLE
            if seen.live:
                self._turn(RoundStatus.RUNNING)
                return None
            self._turn(RoundStatus.MARKET_DATA_CLOSED, attention=True)
            waiting(
                "the house to sign in at the broker",
                since=since,
                otherwise=f"the bar passes without a run at {until.isoformat(timespec='seconds')}",
                who="an analyst or an administrator",
                link="POST /v1/signals/market-data",
            )
            await workflow.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
        return RoundStatus.MARKET_DATA_CLOSED

    async def _house(self, left: timedelta) -> HouseSession:
        step = replace(READ_BROKER, schedule_to_close=left)
        return await workflow.execute_activity_method(RoundPort.house_session, **step.options())

    async def _lane(self) -> None:
        """One run after another, until the line is empty or the house is not signed in any more."""
        self._shut = False
        while self._line and not self._shut:
            watch = self._line.pop(0)
            bar = self._bars[watch.exchange]
            if workflow.now() >= bar.closed + fresh_for(self._given.timeframe):
                self._told.left_out += 1
                continue
            try:
                handle = await self._begin(watch, bar)
            except WorkflowAlreadyStartedError:
                self._told.begun_before += 1
                continue
            self._told.begun += 1
            with suppress(ChildWorkflowError):  # a person ended it
                # The session has just ended: the others would be refused as well, and wait for it.
                self._shut |= await handle == RoundStatus.MARKET_DATA_CLOSED

    async def _begin(self, watch: DueWatch, bar: Bar) -> workflow.ChildWorkflowHandle[SignalRun, str]:
        timeframe = self._given.timeframe
        return await workflow.start_child_workflow(
            SignalRun.run,
            RunInput(
                run_id=derived(Prefix.RUN, watch.watch_id, stamp(bar.closed)),
                requested_by=watch.analyst_id,
                strategy=watch.strategy,
                exchange=watch.exchange,
                symbol=watch.symbol,
                timeframe=timeframe,
                assertion_public_key=self._given.assertion_public_key,
                watched=WatchedBar(
                    watch_id=watch.watch_id,
                    began_at=bar.began,
                    closed_at=bar.closed,
                    fresh_until=bar.closed + fresh_for(timeframe),
                ),
            ),
            id=workflow_id(Kind.SIGNAL_RUN, timeframe, stamp(bar.closed), watch.watch_id),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"{watch.strategy} on {watch.exchange}:{watch.symbol} {timeframe}",
            static_details=f"Run after the bar of {stamp(bar.closed)}, on watch as `{watch.watch_id}`",
        )

    def _turn(self, state: RoundStatus, *, attention: bool = False) -> None:
        """Where it stands; a person is called on while `attention`, and no longer."""
        self._told.state = moved(ROUND_NEXT, self._told.state, state)
        asked = workflow.info().typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value)
        show(state=state, attention=attention if attention or asked else None)

    def _over(self, state: RoundStatus) -> RoundResult:
        self._turn(state)
        told = self._told
        working(
            f"{state}: {told.on_watch} on watch, {told.begun} runs begun, {told.begun_before} begun before, "
            f"{told.left_out} left out"
        )
        return told


def stamp(moment: datetime) -> str:
    """A bar's close as ids have it, ``20261123T0500Z``: no colon may stand there."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%MZ")
