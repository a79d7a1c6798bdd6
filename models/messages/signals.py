"""What the signal processes take and give. Ids, codes and prices; texts are notes, named by their ids."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

from domain.signals import Action, Levels, Status, Timeframe
from domain.trading import Exchange
from models.contracts.assertions import SignedAssertion


class Strategy(StrEnum):
    TREND = "trend"


class Source(StrEnum):
    ANALYST = "analyst"
    ALGORITHM = "algorithm"


class CandleSource(StrEnum):
    """Where candles came from, as the provider itself says."""

    EXCHANGE = "exchange"
    REPLAYED = "replayed"
    """Real bars of another time, replayed."""
    SYNTHETIC = "synthetic"


class Candle(BaseModel):
    """One bar. Prices in the instrument's own currency."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


class SignalTerms(BaseModel):
    """What a signal says in figures."""

    model_config = ConfigDict(frozen=True)

    exchange: Exchange
    symbol: str
    action: Action
    timeframe: Timeframe
    entry_price: Decimal
    target_price: Decimal | None = None
    stop_loss: Decimal | None = None
    confidence: int
    expires_at: AwareDatetime

    @property
    def levels(self) -> Levels:
        return Levels(self.action, self.entry_price, self.target_price, self.stop_loss)


class SignalProgress(BaseModel):
    """The one state of the SignalLifecycle process; what continue-as-new carries."""

    status: Status = Status.DRAFT
    version: int = 0
    published_at: AwareDatetime | None = None
    actual_entry: Decimal | None = None
    last_price: Decimal | None = None


class SignalInput(BaseModel):
    """Starts the SignalLifecycle process."""

    signal_id: str
    analyst_id: str
    source: Source = Source.ANALYST
    run_id: str | None = None
    terms: SignalTerms
    rationale_note: str
    disclosure_note: str
    ai_used: bool = False
    """Whether artificial intelligence had a part in it: told with the signal (SEBI, research analysts)."""
    assertion_public_key: str
    progress: SignalProgress | None = None


class CreateDraft(BaseModel):
    """The update that creates a signal."""


class Publish(BaseModel):
    """The analyst's signed word."""

    assertion: SignedAssertion
    registration_number: str


class Withdraw(BaseModel):
    """The analyst takes the signal back; why stands in a note."""

    assertion: SignedAssertion
    reason_note: str


class SignalView(BaseModel):
    """The answer of every signal command: the state reached by then."""

    signal_id: str
    status: Status
    version: int
    published_at: AwareDatetime | None = None


class WatchedBar(BaseModel):
    """Which bar of what is on watch a run is for; from `fresh_until` on a signal from it is worth nothing."""

    watch_id: str
    began_at: AwareDatetime
    closed_at: AwareDatetime
    fresh_until: AwareDatetime


class RunInput(BaseModel):
    """Starts the SignalRun process."""

    run_id: str
    requested_by: str
    strategy: Strategy
    exchange: Exchange
    symbol: str
    timeframe: Timeframe
    assertion_public_key: str
    watched: WatchedBar | None = None
    """Where a round started it: then it runs by itself. None where an analyst asks for it by `Generate`."""


class Generate(BaseModel):
    """The update that runs the strategy."""


class Backtest(BaseModel):
    """How the same rule did over the last `bars` bars, before costs, one position at a time.

    `return_percent` is compounded over closed trades; a trade still open at the end is counted in `open`.
    """

    bars: int
    trades: int
    wins: int
    open: int
    return_percent: Decimal
    worst_percent: Decimal | None = None


class Proposal(BaseModel):
    """A signal that a strategy drew up, its texts already kept as notes."""

    signal_id: str
    terms: SignalTerms
    rationale_note: str
    disclosure_note: str

    def signal(self, run: RunInput) -> SignalInput:
        """What starts the lifecycle of the proposed signal."""
        return SignalInput(
            signal_id=self.signal_id,
            analyst_id=run.requested_by,
            source=Source.ALGORITHM,
            run_id=run.run_id,
            terms=self.terms,
            rationale_note=self.rationale_note,
            disclosure_note=self.disclosure_note,
            assertion_public_key=run.assertion_public_key,
        )


class RunResult(BaseModel):
    """What a run saw and found."""

    run_id: str
    candle_source: CandleSource
    candle_count: int
    first_candle_at: AwareDatetime | None = None
    last_candle_at: AwareDatetime | None = None
    backtest: list[Backtest] = []
    proposals: list[Proposal] = []
    reason_code: str | None = None


class DraftView(BaseModel):
    """A proposed signal as the run's caller sees it."""

    signal_id: str
    status: Status
    action: Action
    entry_price: str
    target_price: str | None
    stop_loss: str | None
    confidence: int
    expires_at: AwareDatetime


class RunView(BaseModel):
    """The answer of a run: what it saw and what it drew up."""

    run_id: str
    candle_source: CandleSource
    candle_count: int
    first_candle_at: AwareDatetime | None
    last_candle_at: AwareDatetime | None
    backtest: list[Backtest]
    reason_code: str | None
    signals: list[DraftView]


class OpenMarketData(BaseModel):
    """Starts the MarketData process: the request token stands in a note, spent once."""

    session_id: str
    opened_by: str
    token_note: str


class OpenSession(BaseModel):
    """The update that opens the house's session."""


class MarketSession(BaseModel):
    session_id: str
    expires_at: AwareDatetime


# What activities take and give


class PriceNow(BaseModel):
    """Asks for an instrument's last price, whether its market is open or shut."""

    exchange: Exchange
    symbol: str


class Priced(BaseModel):
    """The last price and the broker's time of it; None where the house cannot see the market."""

    price: Decimal | None = None
    seen_at: AwareDatetime | None = None


class DraftSignal(BaseModel):
    signal: SignalInput
    as_of: AwareDatetime


class PublishSignal(BaseModel):
    signal_id: str
    published_by: str
    registration_number: str
    assertion: SignedAssertion
    market: Priced | None = None
    """The market as it stood then; None where the house could not see it."""
    as_of: AwareDatetime


class CloseSignal(BaseModel):
    """Ends a signal. `exit_price`: the market's at the end, None where it was not seen."""

    signal_id: str
    status: Status
    exit_price: Decimal | None = None
    reason_note: str | None = None
    as_of: AwareDatetime


class EnterSignal(BaseModel):
    """The market was seen for the first time since publication."""

    signal_id: str
    price: Decimal
    seen_at: AwareDatetime
    as_of: AwareDatetime


class Standing(BaseModel):
    """Where the record says that the signal is; `refused` where it did not move, and why."""

    status: Status
    version: int
    published_at: AwareDatetime | None = None
    refused: str | None = None


class WatchMarket(BaseModel):
    """Look until the target or the stop is reached, for minutes at most; the first look where `entered`
    is false ends at the first price."""

    signal_id: str
    terms: SignalTerms
    entered: bool


class Sighting(BaseModel):
    """The last price seen, None where there was none, and which level it reached. `pause_seconds`: how
    long the market cannot be seen, as far as is known."""

    price: Decimal | None = None
    seen_at: AwareDatetime | None = None
    reached: Status | None = None
    pause_seconds: float = 0.0


class RunStrategy(BaseModel):
    run: RunInput
    signal_id: str
    """Of the one signal that a run may propose."""
    as_of: AwareDatetime


class ExchangeMarketToken(BaseModel):
    session_id: str
    opened_by: str
    token_note: str
    as_of: AwareDatetime
