"""What is checked before an order leaves, each refusal with its reason code. Pure; numbers are dated data.

Sources: `docs` of NSE (bands, freeze quantities, September 2025), SEBI's retail algo framework (from
1 April 2026: market orders need protection, no IOC on MCX), the firm's own limits per account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import TypeVar

from domain.slices import MAX_SLICES, cut
from domain.trading import DELIVERING, Exchange, OrderType, Product, Side, Validity, drifted, stale

T = TypeVar("T")


class Refusal(StrEnum):
    """Why an order of ours never left; the words of `reason_code`."""

    KYC_REQUIRED = "kyc_required"
    KYC_TIER_REQUIRED = "kyc_tier_required"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_BLOCKED = "account_blocked"
    SIGNAL_EXPIRED = "signal_expired"
    SIGNAL_DRIFTED = "signal_drifted"
    SIGNAL_ALREADY_ACTED = "signal_already_acted"
    SIGNAL_CLOSED = "signal_closed"
    ENTITLEMENT_REQUIRED = "entitlement_required"
    CONFIRMATION_REQUIRED = "confirmation_required"
    PRICE_REQUIRED = "price_required"
    PRICE_NOT_ALLOWED = "price_not_allowed"
    TRIGGER_REQUIRED = "trigger_price_required"
    TRIGGER_NOT_ALLOWED = "trigger_price_not_allowed"
    TRIGGER_WORSE_THAN_PRICE = "trigger_worse_than_price"
    MARKET_PROTECTION_REQUIRED = "market_protection_required"
    VALIDITY_NOT_ALLOWED = "validity_not_allowed"
    PRODUCT_NOT_ALLOWED = "product_not_allowed"
    DISCLOSED_QUANTITY = "disclosed_quantity"
    INSTRUMENT_UNKNOWN = "instrument_unknown"
    INSTRUMENT_EXPIRED = "instrument_expired"
    LOT_SIZE = "lot_size"
    TICK_SIZE = "tick_size"
    FREEZE_QUANTITY = "freeze_quantity"
    PRICE_BAND = "price_band"
    LIMIT_PRICE_PROTECTION = "limit_price_protection"
    ALGO_ID_REQUIRED = "algo_id_required"
    INTRADAY_OVER = "intraday_over"
    ORDER_VALUE_LIMIT = "order_value_limit"
    SYMBOL_EXPOSURE_LIMIT = "symbol_exposure_limit"
    OPEN_POSITIONS_LIMIT = "open_positions_limit"
    DAILY_LOSS_LIMIT = "daily_loss_limit"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    DAY_PACE_SPENT = "day_pace_spent"
    MARKET_OPEN = "market_open"
    DECLINED = "declined"


FREEZE_QUANTITIES: tuple[tuple[date, Mapping[str, int]], ...] = (
    (
        date(2025, 9, 1),
        {"NIFTY": 1800, "BANKNIFTY": 900, "FINNIFTY": 1800, "MIDCPNIFTY": 2800},
    ),
)
"""Largest quantity of one index contract order from a date on (NSE circular, September 2025)."""

LPP_PERCENTS: tuple[tuple[date, Mapping[str, int]], ...] = (
    (date(2025, 9, 1), {"FUT": 5, "CE": 40, "PE": 40}),
)
"""How far in percent a limit may lie beyond the last price, by kind of contract, from a date on (NSE's limit
price protection, which it revises often). Shares have their day's band instead, told with the quote."""

ALGO_ID_FROM = date(2026, 4, 1)
"""From this day every order of a program names its algorithm (SEBI, retail algo framework)."""

INTRADAY_ENDS: tuple[tuple[date, Mapping[Exchange, time]], ...] = (
    (
        date(2026, 1, 1),
        {
            Exchange.NSE: time(15, 20),
            Exchange.BSE: time(15, 20),
            Exchange.NFO: time(15, 25),
            Exchange.MCX: time(23, 15),
        },
    ),
)
"""When the broker closes intraday positions itself and takes no new ones, Asia/Kolkata (Zerodha, 2026)."""

LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT)
"""Types with a price of their own; what the others cost, the market says."""

DEFAULT_MAX_ORDER_VALUE = 10_00_000_00
DEFAULT_MAX_SYMBOL_EXPOSURE = 25_00_000_00
DEFAULT_MAX_OPEN_POSITIONS = 50
DEFAULT_MAX_DAILY_LOSS = 1_00_000_00
"""The firm's limits in paise where the customer has set none (own rule, 2026)."""


@dataclass(frozen=True)
class Wish:
    """What is to be traded; prices in rupees."""

    exchange: Exchange
    symbol: str
    side: Side
    quantity: int
    order_type: OrderType
    price: Decimal | None
    trigger_price: Decimal | None
    product: Product
    validity: Validity
    market_protection: Decimal | None
    disclosed_quantity: int | None


@dataclass(frozen=True)
class Standing:
    """Who orders: from our own record. `kyc_single_limit` in paise, None without one."""

    kyc_verified: bool
    kyc_single_limit: int | None
    account_open: bool
    blocked: bool


@dataclass(frozen=True)
class SignalBasis:
    """The signal behind the order."""

    entry_price: Decimal
    expires_at: datetime | None


@dataclass(frozen=True)
class Listing:
    """The instrument on the broker's list of the day."""

    tick: Decimal
    lot: int
    underlying: str
    expiry: date | None
    derivative: bool
    kind: str = "EQ"


@dataclass(frozen=True)
class Prices:
    """The market now; a limit of None is not known and not checked."""

    last: Decimal
    lower_limit: Decimal | None
    upper_limit: Decimal | None


@dataclass(frozen=True)
class Limits:
    """The customer's own limits; money in paise."""

    max_order_value: int = DEFAULT_MAX_ORDER_VALUE
    max_symbol_exposure: int = DEFAULT_MAX_SYMBOL_EXPOSURE
    max_open_positions: int = DEFAULT_MAX_OPEN_POSITIONS
    max_daily_loss: int = DEFAULT_MAX_DAILY_LOSS


@dataclass(frozen=True)
class Exposure:
    """What the account holds and has under way; `working_*` are other live orders' unfilled parts on the
    order's own side.

    `held` is signed and of the order's own product, `held_elsewhere` the size of what other products hold of
    the same symbol; values and the day's loss (positive) in paise. `open_positions`: other instruments,
    those among them that are only ordered yet.
    """

    held: int = 0
    held_elsewhere: int = 0
    working_value: int = 0
    working_quantity: int = 0
    open_positions: int = 0
    loss_today: int = 0


def standing_refusal(standing: Standing) -> Refusal | None:
    if not standing.account_open:
        return Refusal.ACCOUNT_CLOSED
    if not standing.kyc_verified:
        return Refusal.KYC_REQUIRED
    return Refusal.ACCOUNT_BLOCKED if standing.blocked else None


def terms_refusal(wish: Wish) -> Refusal | None:
    """What the terms alone tell."""
    limited = wish.order_type in LIMITED
    stop = wish.order_type in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)
    if limited != bool(wish.price):
        return Refusal.PRICE_REQUIRED if limited else Refusal.PRICE_NOT_ALLOWED
    if stop != bool(wish.trigger_price):
        return Refusal.TRIGGER_REQUIRED if stop else Refusal.TRIGGER_NOT_ALLOWED
    if wish.order_type is OrderType.STOP_LIMIT and wish.price and wish.trigger_price:
        worse = wish.trigger_price - wish.price
        if (worse if wish.side is Side.BUY else -worse) > 0:
            return Refusal.TRIGGER_WORSE_THAN_PRICE
    if not limited and wish.market_protection is not None and wish.market_protection == 0:
        return Refusal.MARKET_PROTECTION_REQUIRED
    if wish.exchange is Exchange.MCX and wish.validity is Validity.IOC:
        return Refusal.VALIDITY_NOT_ALLOWED
    delivered = wish.exchange in DELIVERING
    if wish.product is (Product.CARRY_FORWARD if delivered else Product.DELIVERY):
        return Refusal.PRODUCT_NOT_ALLOWED
    if wish.disclosed_quantity is not None and wish.disclosed_quantity > wish.quantity:
        return Refusal.DISCLOSED_QUANTITY
    return None


def freeze_quantity(underlying: str, day: date) -> int | None:
    """The largest quantity of one order, None where the exchange names none."""
    return (_dated(FREEZE_QUANTITIES, day) or {}).get(underlying)


def instrument_refusal(wish: Wish, listing: Listing | None, day: date) -> Refusal | None:
    if listing is None:
        return Refusal.INSTRUMENT_UNKNOWN
    if listing.expiry is not None and listing.expiry < day:
        return Refusal.INSTRUMENT_EXPIRED
    if wish.quantity % listing.lot:
        return Refusal.LOT_SIZE
    if any(price and price % listing.tick for price in (wish.price, wish.trigger_price)):
        return Refusal.TICK_SIZE
    if len(slices_of(wish, listing, day)) > MAX_SLICES:
        return Refusal.FREEZE_QUANTITY
    return None


def slices_of(wish: Wish, listing: Listing, day: date) -> tuple[int, ...]:
    """The quantities that the order leaves in: whole lots, none above the day's freeze quantity."""
    freeze = freeze_quantity(listing.underlying, day) if listing.derivative else None
    return cut(wish.quantity, freeze, listing.lot)


def program_refusal(wish: Wish, algo_id: str, local: datetime) -> Refusal | None:
    """What the rules for programs and for intraday trading say at a moment of the exchange's own clock
    (`local`, Asia/Kolkata)."""
    if not algo_id and local.date() >= ALGO_ID_FROM:
        return Refusal.ALGO_ID_REQUIRED
    ends = intraday_ends(wish.exchange, local.date())
    if wish.product is Product.INTRADAY and ends and local.time() >= ends:
        return Refusal.INTRADAY_OVER
    return None


def intraday_ends(exchange: Exchange, day: date) -> time | None:
    """When the broker closes intraday positions, Asia/Kolkata; None for a day before the table."""
    ends = _dated(INTRADAY_ENDS, day)
    return ends[exchange] if ends else None


def protection_refusal(wish: Wish, kind: str, last: Decimal, day: date) -> Refusal | None:
    """The exchange's limit price protection: no limit far beyond the last price, on the side that trades."""
    percent = (_dated(LPP_PERCENTS, day) or {}).get(kind)
    if percent is None or wish.order_type not in LIMITED or not wish.price or last <= 0:
        return None
    beyond = wish.price - last if wish.side is Side.BUY else last - wish.price
    return Refusal.LIMIT_PRICE_PROTECTION if beyond * 100 > last * percent else None


def _dated(table: tuple[tuple[date, T], ...], day: date) -> T | None:
    """What is in force on that day."""
    known = [value for since, value in table if since <= day]
    return known[-1] if known else None


def price_refusal(wish: Wish, prices: Prices) -> Refusal | None:
    """The day's band, for every price that the order names."""
    for price in (wish.price, wish.trigger_price):
        if not price:
            continue
        if prices.lower_limit is not None and price < prices.lower_limit:
            return Refusal.PRICE_BAND
        if prices.upper_limit is not None and price > prices.upper_limit:
            return Refusal.PRICE_BAND
    return None


def signal_refusal(basis: SignalBasis, prices: Prices | None, now: datetime) -> Refusal | None:
    """The signal's age, and how far the market has moved from it, at the moment the order leaves."""
    if stale(now, basis.expires_at):
        return Refusal.SIGNAL_EXPIRED
    if prices is not None and drifted(basis.entry_price, prices.last):
        return Refusal.SIGNAL_DRIFTED
    return None


def order_value(wish: Wish, last: Decimal) -> int:
    """What the order is worth in paise, rounded up; a market order at the last price."""
    price = wish.price if wish.price and wish.order_type in LIMITED else last
    return int((price * wish.quantity * 100).to_integral_value(ROUND_CEILING))


def opening_quantity(wish: Wish, exposure: Exposure) -> int:
    """How much of the order opens exposure; the rest only closes what is held and nothing else closes."""
    held = -exposure.held if wish.side is Side.BUY else exposure.held
    closes = held - exposure.working_quantity
    return max(wish.quantity - max(closes, 0), 0)


def limit_refusal(
    wish: Wish, value: int, standing: Standing, limits: Limits, exposure: Exposure
) -> Refusal | None:
    """The tier's single limit and the customer's own limits; what only closes a position is let through
    by all but the value limits."""
    if standing.kyc_single_limit is not None and value > standing.kyc_single_limit:
        return Refusal.KYC_TIER_REQUIRED
    if value > limits.max_order_value:
        return Refusal.ORDER_VALUE_LIMIT
    opens = opening_quantity(wish, exposure)
    if opens == 0:
        return None
    if exposure.loss_today >= limits.max_daily_loss:
        return Refusal.DAILY_LOSS_LIMIT
    per_unit = value // wish.quantity
    after = (abs(exposure.held) + exposure.held_elsewhere + opens) * per_unit + exposure.working_value
    if after > limits.max_symbol_exposure:
        return Refusal.SYMBOL_EXPOSURE_LIMIT
    if exposure.held == 0 and exposure.open_positions >= limits.max_open_positions:
        return Refusal.OPEN_POSITIONS_LIMIT
    return None


def margin_refusal(required: Decimal, available: Decimal) -> Refusal | None:
    """The broker's own calculation, in rupees."""
    return Refusal.INSUFFICIENT_MARGIN if required > available else None
