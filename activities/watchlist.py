"""The watchlist's record, the house's session as the broker sees it, and the schedules of the rounds."""

from temporalio import activity
from temporalio.client import Client, ScheduleState, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from activities.brokers import beating
from activities.market_data import House
from activities.pacing import Bucket
from activities.signal_runs import BROKER
from domain.errors import Rejected, Unavailable
from domain.watchlist import WATCHED
from models.contracts.workflow_ids import signal_round
from models.messages.watchlist import (
    AttendSchedule,
    DueWatches,
    HouseSession,
    NoteBar,
    PutOnWatch,
    TakeOffWatch,
    WatchesDue,
    WatchView,
)
from store import signals_watchlist
from store.database import Database
from workflows.ports.watchlist import RoundPort, WatchlistPort

AT_REST = "nothing is on watch"
"""The note of a schedule that rests; one that a person has paused carries another and is left alone."""


class WatchlistActivities(WatchlistPort):
    """`workflows.ports.watchlist.WatchlistPort`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="signals.put_on_watch")
    async def put_on_watch(self, command: PutOnWatch) -> WatchView:
        """The watch's row, once. Raises Rejected `already_on_watch`, `watchlist_full`,
        `timeframe_not_offered`, `instrument_unknown`."""
        watch = command.watch
        if watch.timeframe not in WATCHED:
            raise Rejected("timeframe_not_offered")
        async with self._database.transaction() as connection:
            if await signals_watchlist.unlisted(connection, BROKER, watch.exchange, watch.symbol):
                raise Rejected("instrument_unknown")
            return await signals_watchlist.put_on(connection, watch, command.as_of)

    @activity.defn(name="signals.take_off_watch")
    async def take_off_watch(self, command: TakeOffWatch) -> WatchView:
        """Its end, once: the first who took it off stands."""
        async with self._database.transaction() as connection:
            return await signals_watchlist.take_off(
                connection, command.watch_id, command.taken_off_by, command.as_of
            )

    @activity.defn(name="signals.watches_due")
    async def watches_due(self, command: WatchesDue) -> DueWatches:
        """Changes nothing."""
        async with self._database.reading() as connection:
            watches = await signals_watchlist.due(
                connection, command.timeframe, command.exchanges, command.as_of
            )
        return DueWatches(watches=watches)

    @activity.defn(name="signals.note_bar")
    async def note_bar(self, command: NoteBar) -> None:
        """Once a watch and bar, a repeat changes nothing; an older bar's word does not cover a newer's."""
        async with self._database.transaction() as connection:
            await signals_watchlist.note_bar(connection, command)


class RoundActivities(RoundPort):
    """`workflows.ports.watchlist.RoundPort`."""

    def __init__(self, database: Database, client: Client, house: House) -> None:
        self._database = database
        self._client = client
        self._house = house

    @activity.defn(name="signals.attend_schedule")
    async def attend_schedule(self, command: AttendSchedule) -> None:
        """Lets the schedule of a timeframe rest while nothing is on watch, and wakes it: the same however
        often, by what the record says.

        Raises Unavailable: the server cannot be asked.
        """
        async with self._database.transaction() as connection:
            # Held until the schedule says it: what is put on watch meanwhile attends to it after us.
            await signals_watchlist.hold(connection, command.timeframe)
            watched = await signals_watchlist.any_on_watch(connection, command.timeframe)
            schedule = self._client.get_schedule_handle(signal_round(command.timeframe))
            try:
                await schedule.update(lambda found: _resting(found, rest=not watched))
            except RPCError as error:
                # No schedule at all: somebody has taken it out, and the next start of the platform makes it.
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise Unavailable("schedule_unreachable") from None

    @activity.defn(name="signals.house_session")
    async def house_session(self) -> HouseSession:
        """Whether somebody of the house is signed in: by the broker's word, who ends sessions at 06:00 and
        where the same user signs in elsewhere. Raises Unavailable, RateLimited."""
        async with beating():
            try:
                await self._house.call(Bucket.READ, lambda market: market.signed_in())
            except Rejected:
                return HouseSession(live=False)
        return HouseSession(live=True)


def _resting(found: ScheduleUpdateInput, *, rest: bool) -> ScheduleUpdate | None:
    """The schedule paused by us or running again; None where nothing is to change, or a person paused it."""
    schedule = found.description.schedule
    by_us = schedule.state.note == AT_REST
    if schedule.state.paused is rest or (schedule.state.paused and not by_us):
        return None
    schedule.state = ScheduleState(paused=rest, note=AT_REST if rest else None)
    return ScheduleUpdate(schedule=schedule)
