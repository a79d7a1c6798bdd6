"""What the processes of the watchlist take and give: ids, codes and times."""

from datetime import date

from pydantic import AwareDatetime, BaseModel

from domain.signals import Timeframe
from domain.trading import Exchange
from domain.watchlist import RoundStatus, WatchStatus
from models.contracts.assertions import SignedAssertion
from models.messages.signals import Strategy


class WatchInput(BaseModel):
    """Starts the SignalWatch process."""

    watch_id: str
    analyst_id: str
    strategy: Strategy
    exchange: Exchange
    symbol: str
    timeframe: Timeframe
    assertion_public_key: str


class BeginWatch(BaseModel):
    """The update that puts it on watch."""


class TakeOff(BaseModel):
    """An analyst takes it off: the word that the API signed."""

    assertion: SignedAssertion


class WatchView(BaseModel):
    """What is on watch, as the record has it, and what became of the newest bar's run."""

    watch_id: str
    analyst_id: str
    strategy: Strategy
    exchange: Exchange
    symbol: str
    timeframe: Timeframe
    status: WatchStatus
    put_on_at: AwareDatetime
    taken_off_at: AwareDatetime | None = None
    last_bar_at: AwareDatetime | None = None
    last_run_id: str | None = None
    last_outcome: str | None = None
    version: int


class RoundInput(BaseModel):
    """Starts the SignalRound process."""

    timeframe: Timeframe
    assertion_public_key: str
    due: AwareDatetime | None = None
    """When a bar has just closed, by hand; None for the schedule's own time."""


class RoundResult(BaseModel):
    """What a round did: of what was on watch, how many runs it began, found begun, and left out."""

    state: RoundStatus = RoundStatus.RUNNING
    day: date
    on_watch: int = 0
    begun: int = 0
    begun_before: int = 0
    left_out: int = 0


# What activities take and give


class PutOnWatch(BaseModel):
    watch: WatchInput
    as_of: AwareDatetime


class TakeOffWatch(BaseModel):
    watch_id: str
    taken_off_by: str
    as_of: AwareDatetime


class WatchesDue(BaseModel):
    """Asks for what is on watch of a timeframe, by analysts who still are analysts."""

    timeframe: Timeframe
    exchanges: list[Exchange]
    as_of: AwareDatetime


class DueWatch(BaseModel):
    watch_id: str
    analyst_id: str
    strategy: Strategy
    exchange: Exchange
    symbol: str


class DueWatches(BaseModel):
    watches: list[DueWatch]


class NoteBar(BaseModel):
    """What became of a bar's run."""

    watch_id: str
    bar_at: AwareDatetime
    run_id: str
    outcome: str


class HouseSession(BaseModel):
    """Whether the house is signed in at the broker, as the broker itself says."""

    live: bool


class AttendSchedule(BaseModel):
    """Lets a timeframe's schedule rest while nothing is on watch, and wakes it."""

    timeframe: Timeframe
