"""Bodies of the signal calls, strict, and how signals are shown."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.fields import Moment
from domain.signals import Action, Flaw, Levels, Status, Timeframe, risk_reward
from domain.trading import Exchange
from models.messages.signals import SignalTerms, Source, Strategy
from store.signals_texts import Words

Price = Annotated[Decimal, Field(gt=0, lt=10**9, max_digits=13, decimal_places=4)]
Symbol = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[A-Z0-9&\-_ ]+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoBody(Body):
    """An empty object, or nothing."""


class DraftBody(Body):
    exchange: Exchange
    symbol: Symbol
    action: Action
    timeframe: Timeframe
    entry_price: Price
    target_price: Price | None = None
    stop_loss: Price | None = None
    confidence: Annotated[int, Field(ge=0, le=100, strict=True)]
    expires_at: Moment
    rationale: Text
    disclosure: Text
    ai_used: Annotated[bool, Field(strict=True)] = False

    def terms(self) -> SignalTerms:
        return SignalTerms(**self.model_dump(exclude={"rationale", "disclosure", "ai_used"}))


class WithdrawBody(Body):
    reason: Text


class RunBody(Body):
    strategy: Strategy
    exchange: Exchange
    symbol: Symbol
    timeframe: Timeframe


class WatchBody(RunBody):
    """What runs by itself after each bar."""


class MarketDataBody(Body):
    request_token: str = Field(min_length=1, max_length=256)


class SubscribeBody(Body):
    plan_id: Identifier


class ActBody(Body):
    account_id: Identifier
    quantity: Annotated[int, Field(gt=0, le=10**9, strict=True)] | None = None
    """Needed to confirm."""
    decision: Literal["confirm", "decline"]


class Measured(BaseModel):
    """What a signal really brought; nobody has verified it, so staff alone see it. Percent, before costs."""

    actual_entry: str | None
    actual_exit: str | None
    return_percent: str | None


class Signal(BaseModel):
    """A signal as it is shown. Prices are decimal strings in the instrument's own currency."""

    signal_id: str
    exchange: Exchange
    symbol: str
    action: Action
    timeframe: Timeframe
    entry_price: str
    target_price: str | None
    stop_loss: str | None
    risk_reward: str | None
    confidence: int
    status: Status
    published_at: datetime | None
    expires_at: datetime
    closed_at: datetime | None
    source: Source
    run_id: str | None
    analyst: str
    analyst_id: str
    registration_number: str | None
    rationale: str
    disclosure: str
    ai_used: bool
    market_price_at_publication: str | None
    version: int
    measured: Measured | None = None

    @classmethod
    def of(cls, row: dict[str, Any], words: Words, *, staff: bool) -> "Signal":
        levels = Levels(Action(row["action"]), row["entry_price"], row["target_price"], row["stop_loss"])
        own = {name: row[name] for name in cls.model_fields if name in row}
        prices = {name: shown(row[name]) for name in ("entry_price", "target_price", "stop_loss")}
        measured = Measured(
            actual_entry=shown(row["actual_entry"]),
            actual_exit=shown(row["actual_exit"]),
            return_percent=shown(row["return_percent"]),
        )
        return cls(
            **{**own, **prices, **vars(words)},
            risk_reward=shown(risk_reward(levels)),
            market_price_at_publication=shown(row["published_price"]),
            measured=measured if staff else None,
        )


def shown(number: Decimal | None) -> str | None:
    """A decimal string, never in powers of ten."""
    return None if number is None else format(number, "f")


MESSAGES = {
    "price_required": "a buy or a sell names it",
    "target_on_wrong_side": "above the entry of a buy, below that of a sell",
    "stop_on_wrong_side": "below the entry of a buy, above that of a sell",
    "expires_in_the_past": "must be in the future",
    "expires_too_late": "beyond what is kept",
}


def explained(flaw: Flaw) -> tuple[str, str, str]:
    """Pointer, code and message of a flaw."""
    return f"/{flaw.field}", flaw.code, MESSAGES[flaw.code]
