"""What the watchlist's processes ask of the world; `activities/` does it."""

from temporalio import activity

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


class WatchlistPort:
    """Our record of what is on watch; each step is one transaction that may be repeated."""

    @activity.defn(name="signals.put_on_watch")
    async def put_on_watch(self, command: PutOnWatch) -> WatchView: ...

    @activity.defn(name="signals.take_off_watch")
    async def take_off_watch(self, command: TakeOffWatch) -> WatchView: ...

    @activity.defn(name="signals.watches_due")
    async def watches_due(self, command: WatchesDue) -> DueWatches: ...

    @activity.defn(name="signals.note_bar")
    async def note_bar(self, command: NoteBar) -> None: ...


class RoundPort:
    """The schedule of the rounds, and the house's session that they run on."""

    @activity.defn(name="signals.attend_schedule")
    async def attend_schedule(self, command: AttendSchedule) -> None: ...

    @activity.defn(name="signals.house_session")
    async def house_session(self) -> HouseSession: ...
