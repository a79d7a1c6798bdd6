"""What Kite refuses at once (its OMS), and what the exchange rejects later. Prices in paise.

Wording is Kite's where it is known (forum, mocks); the rules of April 2026 have no published text.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sandbox.kite.caller import required
from sandbox.kite.errors import KiteError, input_error, order_error
from sandbox.kite.hours import SQUARE_OFF, is_open, ist
from sandbox.kite.instruments import MAX_SLICES, Instrument, find
from sandbox.kite.matching import slices

VARIETIES = ("regular", "amo", "co", "iceberg", "auction")
SIDES = ("BUY", "SELL")
TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
VALIDITIES = ("DAY", "IOC", "TTL")
PRODUCTS = {"equity": ("CNC", "MIS", "MTF", "CO"), "derivative": ("NRML", "MIS", "CO")}
TAG = re.compile(r"[A-Za-z0-9]{1,20}")
MAX_TTL_MINUTES = 375


@dataclass(frozen=True)
class Wish:
    """A checked wish to place an order."""

    variety: str
    instrument: Instrument
    side: str
    product: str
    order_type: str
    validity: str
    quantity: int
    price: int
    trigger_price: int
    protection: Decimal
    disclosed: int
    ttl: int
    tag: str | None
    legs: int
    leg_quantity: int
    auction_number: str | None
    autoslice: bool


def whole(text: str, name: str) -> int:
    """A whole number that is not negative; raises InputException."""
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise input_error(f"Invalid `{name}`.")
    return int(text)


def paise(text: str, name: str) -> int:
    """A price in rupees as paise; raises InputException for anything that is no price of two decimals."""
    try:
        value = Decimal(text) * 100
    except InvalidOperation as problem:
        raise input_error(f"Invalid `{name}`.") from problem
    if not value.is_finite() or not 0 <= value < 10**11 or value != value.to_integral_value():
        raise input_error(f"Invalid `{name}`.")
    return int(value)


def choice(fields: dict[str, str], name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """One of the allowed values; raises InputException."""
    value = fields.get(name) or default or required(fields, name)
    if value not in allowed:
        raise input_error(f"Invalid `{name}`.")
    return value


def protection(fields: dict[str, str], order_type: str) -> Decimal:
    """`market_protection`: -1 (automatic) or above 0 up to 100. Since April 2026 market orders need one."""
    text = fields.get("market_protection", "0")
    try:
        value = Decimal(text)
    except InvalidOperation as problem:
        raise input_error("Invalid `market_protection`.") from problem
    if not value.is_finite() or (value != -1 and not 0 <= value <= 100):
        raise input_error("Invalid `market_protection`.")
    if order_type in ("MARKET", "SL-M") and value == 0:
        raise input_error(
            f"{order_type} orders without market protection are not allowed. Set `market_protection`."
        )
    return value


def check_prices(instrument: Instrument, order_type: str, side: str, price: int, trigger: int) -> None:
    """Price and trigger are there where the type needs them and are multiples of the tick."""
    if order_type in ("LIMIT", "SL") and price <= 0:
        raise input_error("Missing or empty field `price`")
    if order_type in ("SL", "SL-M") and trigger <= 0:
        raise input_error("Trigger price is required for stoploss orders.")
    for value in (price, trigger):
        if value % instrument.tick:
            tick = Decimal(instrument.tick) / 100
            raise input_error(
                f"Tick size for this script is {tick:.2f}. Kindly enter price in the multiple of tick size"
                " for this script"
            )
    if order_type == "SL" and (trigger > price if side == "BUY" else trigger < price):
        raise input_error("Trigger price cannot be worse than the limit price of a stoploss order.")


def check_quantity(instrument: Instrument, quantity: int, sliced: bool) -> None:
    """Positive, whole lots, within the freeze quantity unless it is cut into at most ten slices."""
    if quantity <= 0:
        raise input_error("Invalid `quantity`.")
    if quantity % instrument.lot:
        raise input_error(f"Quantity should be in multiples of lot size {instrument.lot}.")
    if instrument.freeze is None or quantity <= instrument.freeze:
        return
    if not sliced:
        raise input_error(f"Order quantity is above the freeze quantity of {instrument.freeze}.")
    if len(slices(quantity, instrument.freeze, instrument.lot)) > MAX_SLICES:
        raise input_error(f"Maximum allowed slices is {MAX_SLICES}.")


def check_validity(fields: dict[str, str], instrument: Instrument) -> tuple[str, int]:
    """Validity and its minutes; raises InputException for an IOC on MCX and a TTL without minutes."""
    validity = choice(fields, "validity", VALIDITIES, "DAY")
    if validity == "IOC" and instrument.exchange == "MCX":
        raise input_error("IOC orders are not allowed on MCX.")
    ttl = whole(fields.get("validity_ttl") or "0", "validity_ttl")
    if validity == "TTL" and not 1 <= ttl <= MAX_TTL_MINUTES:
        raise input_error("Missing or empty field `validity_ttl`")
    return validity, ttl


def check_hours(variety: str, exchange: str, product: str, now: datetime) -> None:
    """Regular and intraday orders have their hours, after-market ones the others; raises OrderException."""
    opened = is_open(exchange, now)
    if variety == "amo" and opened:
        raise order_error("AMO orders cannot be placed while the market is open.")
    if variety != "amo" and not opened:
        raise order_error("Markets are closed right now. Place an after market order (AMO) instead.")
    if opened and product in ("MIS", "CO") and ist(now).time() >= SQUARE_OFF[exchange]:
        raise order_error("Intraday orders are not allowed after the square-off time.")


def check_variety(
    fields: dict[str, str], variety: str, order_type: str, quantity: int
) -> tuple[int, int, str | None]:
    """Iceberg legs, quantity of a leg, auction number; raises InputException where one lacks."""
    if variety == "iceberg":
        legs = whole(required(fields, "iceberg_legs"), "iceberg_legs")
        each = whole(required(fields, "iceberg_quantity"), "iceberg_quantity")
        if not 2 <= legs <= MAX_SLICES or each * legs < quantity or each * (legs - 1) >= quantity:
            raise input_error("Invalid `iceberg_legs` or `iceberg_quantity`.")
        return legs, each, None
    if variety == "co" and (not fields.get("trigger_price") or order_type not in ("MARKET", "LIMIT")):
        raise input_error("Cover orders are MARKET or LIMIT with a `trigger_price`.")
    if variety == "auction":
        return 0, 0, required(fields, "auction_number")
    return 0, 0, None


def read_wish(fields: dict[str, str], variety: str, now: datetime) -> Wish:
    """All that the OMS checks before it gives out an order id; raises Input- or OrderException."""
    if variety not in VARIETIES:
        raise KiteError("InputException", "Invalid `variety`.", 404)
    instrument = find(ist(now).date(), required(fields, "exchange"), required(fields, "tradingsymbol"))
    if instrument is None or not instrument.tradable:
        raise input_error("The instrument you are placing an order for has either expired or does not exist.")
    side = choice(fields, "transaction_type", SIDES)
    order_type = choice(fields, "order_type", TYPES)
    product = choice(fields, "product", PRODUCTS["equity" if instrument.is_equity else "derivative"])
    quantity = whole(required(fields, "quantity"), "quantity")
    price = paise(fields.get("price") or "0", "price") if order_type in ("LIMIT", "SL") else 0
    trigger = paise(fields.get("trigger_price") or "0", "trigger_price")
    tag = fields.get("tag") or None
    if tag is not None and not TAG.fullmatch(tag):
        raise input_error("Invalid `tag`. It should be alphanumeric and at most 20 characters.")
    sliced = fields.get("autoslice", "").lower() == "true"
    guard = protection(fields, order_type)
    check_prices(instrument, order_type, side, price, trigger)
    validity, ttl = check_validity(fields, instrument)
    legs, each, auction = check_variety(fields, variety, order_type, quantity)
    check_quantity(instrument, quantity, sliced or variety == "iceberg")
    check_hours(variety, instrument.exchange, product, now)
    disclosed = whole(fields.get("disclosed_quantity") or "0", "disclosed_quantity")
    return Wish(
        variety, instrument, side, product, order_type, validity, quantity, price, trigger, guard, disclosed,
        ttl, tag, legs, each, auction, sliced,
    )  # fmt: skip


def exchange_refusal(
    instrument: Instrument, buy: bool, price: int, last: int, close: int
) -> tuple[str, str] | None:
    """Why the exchange rejects a limit price: (message, raw message), or None.

    Shares without derivatives have a daily band; the others the limit price protection.
    """
    reference = close if instrument.band is not None else last
    span = reference * (instrument.band or 0) // 100
    if instrument.band is not None and not reference - span <= price <= reference + span:
        side = "higher than the current upper" if price > reference else "lower than the current lower"
        limit = Decimal(reference + span if price > reference else reference - span) / 100
        return (
            f"Your order price is {side} circuit limit of {limit:.2f}."
            " Place an order within the daily range.",
            "RMS:Rule: Check circuit limit including square off order exceeds for entity",
        )
    if instrument.lpp is not None:
        guard = reference * instrument.lpp // 100
        if (buy and price > reference + guard) or (not buy and price < reference - guard):
            return "Order price is beyond LPP limit", "EXCH:17070:Order price is beyond LPP limit"
    return None
