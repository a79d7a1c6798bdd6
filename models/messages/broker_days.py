"""Messages of an account's trading day: compared with the broker's book, its breaks, its charges."""

from datetime import date
from decimal import Decimal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.broker_day import BreakKind, BreakStatus, DayStatus, Resolution
from domain.trading import BrokerStatus, Side
from models.contracts.assertions import SignedAssertion


class BrokerDaysInput(BaseModel):
    """Starts the BrokerDays process, which a schedule does at the end of each trading day."""

    assertion_public_key: str
    day: date | None = None
    """None: the day on which the schedule fired."""
    after: str | None = None
    """Where a long round goes on."""


class DueAccounts(BaseModel):
    """Which accounts' day is compared: those after `after`, at most `limit`."""

    day: date
    after: str | None = None
    limit: int


class DueAccount(BaseModel):
    account_id: str
    user_id: str


class Due(BaseModel):
    accounts: list[DueAccount]


class BrokerDayInput(BaseModel):
    """Starts the BrokerDay process of one account and trading day."""

    account_id: str
    user_id: str
    day: date
    assertion_public_key: str


class CompareNow(BaseModel):
    """The update that asks for the comparison."""


class DayBreak(BaseModel):
    """One difference, in ids, words and quantities."""

    break_id: str
    kind: BreakKind
    reference: str
    ours: str
    theirs: str
    status: BreakStatus


class DayCompared(BaseModel):
    """What a comparison found. `status` None: the broker's book could not be read (`no_session`), or the
    day is over at the broker (`day_over`)."""

    account_id: str
    day: date
    status: DayStatus | None = None
    reason_code: str | None = None
    orders: int = 0
    trades: int = 0
    elsewhere: int = 0
    differences: int = 0
    breaks: list[DayBreak] = Field(default_factory=list)
    agreed: list[str] = Field(default_factory=list)
    """Breaks of earlier comparisons that are none any more."""
    version: int = 0


class CompareDay(BaseModel):
    """Read the broker's book of the day and hold ours against it.

    `final`: differences become breaks; before, they may be things under way. `give_up`: nobody signed in
    in time: the day is marked as unread.
    """

    account_id: str
    day: date
    final: bool
    give_up: bool = False
    as_of: AwareDatetime


class BrokerBreakInput(BaseModel):
    """Starts the BrokerBreak process."""

    account_id: str
    user_id: str
    day: date
    found: DayBreak
    assertion_public_key: str


class ResolveDayBreak(BaseModel):
    """A member of staff decides what becomes of a break; why stands in the note."""

    assertion: SignedAssertion
    resolution: Resolution
    note_id: str


class DecideDayBreak(BaseModel):
    break_id: str
    resolution: Resolution
    note_id: str | None
    subject: str
    as_of: AwareDatetime


class DayBreakView(BaseModel):
    break_id: str
    status: BreakStatus
    resolution: Resolution | None = None
    version: int = 0


# What a broker's book of a day holds


class DayOrder(BaseModel):
    """An order as the day's book shows it, whoever made it."""

    model_config = ConfigDict(frozen=True)

    broker_order_id: str
    status: BrokerStatus
    tag: str | None
    exchange: str
    symbol: str
    product: str
    side: Side
    order_type: str
    variety: str
    filled_quantity: int
    average_price: Decimal
    followed: bool = False
    """Whether an order of ours can follow it, if it was made elsewhere: one that we could trade in too."""


class DayPosition(BaseModel):
    """A net position: `overnight_quantity` was carried into the day. Prices in rupees."""

    exchange: str
    symbol: str
    product: str
    quantity: int
    overnight_quantity: int
    average_price: Decimal
    last_price: Decimal


class Holding(BaseModel):
    """Delivered shares; `unsettled` of them are on their way into the depository."""

    exchange: str
    symbol: str
    product: str
    isin: str
    quantity: int
    unsettled: int
    average_price: Decimal
    last_price: Decimal


class Executed(BaseModel):
    """An order whose charges are asked for: what was really traded, at the average price."""

    broker_order_id: str
    exchange: str
    symbol: str
    product: str
    side: Side
    order_type: str
    variety: str
    quantity: int
    average_price: Decimal


class Charge(BaseModel):
    """What the broker and the state take for an order, in paise, by the broker's own calculation."""

    broker_order_id: str
    brokerage: int
    transaction_tax: int
    exchange_fee: int
    regulator_fee: int
    stamp_duty: int
    gst: int
    total: int


# Reminders


class RemindersInput(BaseModel):
    """Starts the SessionReminders process, which a schedule does before the opening."""

    day: date | None = None
    """None: the day on which the schedule fired."""


class RemindSessions(BaseModel):
    """Write to those whose session of `day` is missing at `as_of`."""

    day: date
    as_of: AwareDatetime


class Reminded(BaseModel):
    """How many customers were written to."""

    messages: int
