"""Each check before an order leaves: what it refuses, and the same order a hair inside."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import pretrade
from domain.pretrade import (
    Exposure,
    Limits,
    Listing,
    Prices,
    Refusal,
    SignalBasis,
    Standing,
    Wish,
)
from domain.trading import Exchange, OrderType, Product, Side, Validity

DAY = date(2026, 11, 23)
WISH = Wish(
    Exchange.NSE, "INFY", Side.BUY, 10, OrderType.LIMIT, Decimal(1500), None, Product.DELIVERY, Validity.DAY,
    None, None,
)  # fmt: skip
STANDING = Standing(True, 5_00_000_00, True, False)
LISTING = Listing(Decimal("0.10"), 1, "INFOSYS", None, False)
FUTURE = Listing(Decimal("0.10"), 65, "NIFTY", date(2026, 11, 24), True)


def wish(**different: Any) -> Wish:
    return replace(WISH, **different)


@pytest.mark.parametrize(
    ("different", "refusal"),
    [
        ({}, None),
        ({"account_open": False}, Refusal.ACCOUNT_CLOSED),
        ({"kyc_verified": False}, Refusal.KYC_REQUIRED),
        ({"blocked": True}, Refusal.ACCOUNT_BLOCKED),
    ],
)
def test_who_orders(different: dict[str, Any], refusal: Refusal | None) -> None:
    assert pretrade.standing_refusal(replace(STANDING, **different)) is refusal


STOP = {"order_type": OrderType.STOP_LIMIT, "trigger_price": Decimal(1490)}


@pytest.mark.parametrize(
    ("different", "refusal"),
    [
        ({}, None),
        ({"price": None}, Refusal.PRICE_REQUIRED),
        ({"order_type": OrderType.STOP_LIMIT}, Refusal.TRIGGER_REQUIRED),
        ({"order_type": OrderType.STOP_MARKET, "price": None}, Refusal.TRIGGER_REQUIRED),
        (STOP, None),
        (STOP | {"trigger_price": Decimal(1501)}, Refusal.TRIGGER_WORSE_THAN_PRICE),
        (STOP | {"side": Side.SELL}, Refusal.TRIGGER_WORSE_THAN_PRICE),
        (STOP | {"side": Side.SELL, "trigger_price": Decimal(1510)}, None),
        ({"order_type": OrderType.MARKET, "price": None}, None),
        ({"order_type": OrderType.MARKET}, Refusal.PRICE_NOT_ALLOWED),
        (STOP | {"order_type": OrderType.STOP_MARKET}, Refusal.PRICE_NOT_ALLOWED),
        ({"trigger_price": Decimal(1499)}, Refusal.TRIGGER_NOT_ALLOWED),
        ({"order_type": OrderType.MARKET, "price": None, "market_protection": Decimal(-1)}, None),
        (
            {"order_type": OrderType.MARKET, "price": None, "market_protection": Decimal(0)},
            Refusal.MARKET_PROTECTION_REQUIRED,
        ),
        ({"market_protection": Decimal(0)}, None),
        ({"validity": Validity.IOC}, None),
        (
            {"exchange": Exchange.MCX, "validity": Validity.IOC, "product": Product.CARRY_FORWARD},
            Refusal.VALIDITY_NOT_ALLOWED,
        ),
        ({"product": Product.CARRY_FORWARD}, Refusal.PRODUCT_NOT_ALLOWED),
        ({"exchange": Exchange.NFO}, Refusal.PRODUCT_NOT_ALLOWED),
        ({"exchange": Exchange.NFO, "product": Product.CARRY_FORWARD}, None),
        ({"disclosed_quantity": 11}, Refusal.DISCLOSED_QUANTITY),
        ({"disclosed_quantity": 10}, None),
    ],
)
def test_the_terms_alone(different: dict[str, Any], refusal: Refusal | None) -> None:
    assert pretrade.terms_refusal(wish(**different)) is refusal


@pytest.mark.parametrize(
    ("different", "listing", "refusal"),
    [
        ({}, LISTING, None),
        ({}, None, Refusal.INSTRUMENT_UNKNOWN),
        ({"price": Decimal("1500.05")}, LISTING, Refusal.TICK_SIZE),
        ({"price": Decimal("1500.10")}, LISTING, None),
        ({"trigger_price": Decimal("1500.01")}, LISTING, Refusal.TICK_SIZE),
        ({"quantity": 64}, FUTURE, Refusal.LOT_SIZE),
        ({"quantity": 65}, FUTURE, None),
        ({"quantity": 65 * 27}, FUTURE, None),
        ({"quantity": 65 * 27 * 10}, FUTURE, None),
        ({"quantity": 65 * 27 * 10 + 65}, FUTURE, Refusal.FREEZE_QUANTITY),
        ({"quantity": 65}, replace(FUTURE, expiry=DAY), None),
        ({"quantity": 65}, replace(FUTURE, expiry=DAY - timedelta(days=1)), Refusal.INSTRUMENT_EXPIRED),
        ({"quantity": 2000}, replace(LISTING, underlying="NIFTY"), None),
    ],
)
def test_the_instrument(different: dict[str, Any], listing: Listing | None, refusal: Refusal | None) -> None:
    assert pretrade.instrument_refusal(wish(**different), listing, DAY) is refusal


@pytest.mark.parametrize(
    ("kind", "different", "refusal"),
    [
        ("FUT", {"price": Decimal(1575)}, None),
        ("FUT", {"price": Decimal("1575.10")}, Refusal.LIMIT_PRICE_PROTECTION),
        ("FUT", {"price": Decimal("1424.90")}, None),
        ("FUT", {"side": Side.SELL, "price": Decimal(1425)}, None),
        ("FUT", {"side": Side.SELL, "price": Decimal("1424.90")}, Refusal.LIMIT_PRICE_PROTECTION),
        ("CE", {"price": Decimal(2100)}, None),
        ("PE", {"price": Decimal("2100.05")}, Refusal.LIMIT_PRICE_PROTECTION),
        ("EQ", {"price": Decimal(9999)}, None),
        ("FUT", {"order_type": OrderType.MARKET, "price": None}, None),
    ],
)
def test_the_limit_price_protection(kind: str, different: dict[str, Any], refusal: Refusal | None) -> None:
    assert pretrade.protection_refusal(wish(**different), kind, Decimal(1500), DAY) is refusal


def local(day: date, hour: int, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("algo_id", "product", "moment", "refusal"),
    [
        ("GENERIC", Product.DELIVERY, local(DAY, 15, 29), None),
        ("GENERIC", Product.INTRADAY, local(DAY, 15, 19), None),
        ("GENERIC", Product.INTRADAY, local(DAY, 15, 20), Refusal.INTRADAY_OVER),
        ("", Product.DELIVERY, local(DAY, 10, 0), Refusal.ALGO_ID_REQUIRED),
        ("", Product.DELIVERY, local(date(2026, 3, 31), 10, 0), None),
    ],
)
def test_the_rules_for_programs(
    algo_id: str, product: Product, moment: datetime, refusal: Refusal | None
) -> None:
    assert pretrade.program_refusal(wish(product=product), algo_id, moment) is refusal


def test_freeze_quantities_are_dated() -> None:
    assert pretrade.freeze_quantity("NIFTY", date(2025, 8, 31)) is None
    assert pretrade.freeze_quantity("NIFTY", date(2025, 9, 1)) == 1800
    assert pretrade.freeze_quantity("BANKNIFTY", DAY) == 900


BAND = Prices(Decimal(1500), Decimal(1350), Decimal(1650))


@pytest.mark.parametrize(
    ("price", "refusal"),
    [(1350, None), (1650, None), ("1349.9", Refusal.PRICE_BAND), ("1650.1", Refusal.PRICE_BAND)],
)
def test_the_days_band(price: str, refusal: Refusal | None) -> None:
    assert pretrade.price_refusal(wish(price=Decimal(price)), BAND) is refusal
    assert pretrade.price_refusal(wish(trigger_price=Decimal(price)), BAND) is refusal
    assert pretrade.price_refusal(wish(price=Decimal(price)), Prices(Decimal(1500), None, None)) is None


def test_a_signals_age_and_drift() -> None:
    now = datetime(2026, 11, 23, 5, tzinfo=UTC)
    basis = SignalBasis(Decimal(1500), now + timedelta(seconds=1))
    assert pretrade.signal_refusal(basis, BAND, now) is None
    assert pretrade.signal_refusal(basis, BAND, now + timedelta(seconds=1)) is Refusal.SIGNAL_EXPIRED
    edge = replace(BAND, last=Decimal(1530))
    assert pretrade.signal_refusal(basis, edge, now) is None
    beyond = replace(BAND, last=Decimal("1530.1"))
    assert pretrade.signal_refusal(basis, beyond, now) is Refusal.SIGNAL_DRIFTED
    assert pretrade.signal_refusal(basis, None, now) is None


LIMITS = Limits(max_order_value=1_00_000_00, max_symbol_exposure=2_00_000_00, max_open_positions=3)


@pytest.mark.parametrize(
    ("value", "standing", "exposure", "refusal"),
    [
        (15_000_00, STANDING, Exposure(), None),
        (15_000_00, replace(STANDING, kyc_single_limit=15_000_00), Exposure(), None),
        (15_000_01, replace(STANDING, kyc_single_limit=15_000_00), Exposure(), Refusal.KYC_TIER_REQUIRED),
        (9_00_000_00, replace(STANDING, kyc_single_limit=None), Exposure(), Refusal.ORDER_VALUE_LIMIT),
        (1_00_000_00, STANDING, Exposure(), None),
        (1_00_000_01, STANDING, Exposure(), Refusal.ORDER_VALUE_LIMIT),
        (15_000_00, STANDING, Exposure(held=123), None),
        (15_000_00, STANDING, Exposure(held=124), Refusal.SYMBOL_EXPOSURE_LIMIT),
        (15_000_00, STANDING, Exposure(held=100, held_elsewhere=23), None),
        (15_000_00, STANDING, Exposure(held=100, held_elsewhere=24), Refusal.SYMBOL_EXPOSURE_LIMIT),
        (15_000_00, STANDING, Exposure(working_value=1_85_000_00), None),
        (15_000_00, STANDING, Exposure(working_value=1_85_000_01), Refusal.SYMBOL_EXPOSURE_LIMIT),
        (15_000_00, STANDING, Exposure(open_positions=2), None),
        (15_000_00, STANDING, Exposure(open_positions=3), Refusal.OPEN_POSITIONS_LIMIT),
        (15_000_00, STANDING, Exposure(held=1, open_positions=3), None),
        (15_000_00, STANDING, Exposure(loss_today=1_00_000_00), Refusal.DAILY_LOSS_LIMIT),
        (15_000_00, STANDING, Exposure(held=-10, loss_today=1_00_000_00, open_positions=9), None),
        (
            15_000_00,
            STANDING,
            Exposure(held=-10, working_quantity=1, loss_today=1_00_000_00),
            Refusal.DAILY_LOSS_LIMIT,
        ),
    ],
)
def test_the_customers_limits(
    value: int, standing: Standing, exposure: Exposure, refusal: Refusal | None
) -> None:
    assert pretrade.limit_refusal(WISH, value, standing, LIMITS, exposure) is refusal


def test_the_brokers_margin() -> None:
    assert pretrade.margin_refusal(Decimal(100), Decimal(100)) is None
    assert pretrade.margin_refusal(Decimal("100.01"), Decimal(100)) is Refusal.INSUFFICIENT_MARGIN


@given(
    quantity=st.integers(1, 10**6),
    price=st.decimals("0.01", "99999.99", places=2, allow_nan=False, allow_infinity=False),
    held=st.integers(-(10**6), 10**6),
    side=st.sampled_from(Side),
)
def test_values_never_round_down_and_only_the_opening_part_counts(
    quantity: int, price: Decimal, held: int, side: Side
) -> None:
    order = wish(quantity=quantity, price=price, side=side)
    assert pretrade.order_value(order, Decimal(1)) == price * quantity * 100
    after = held + (quantity if side is Side.BUY else -quantity)
    opened = pretrade.opening_quantity(order, Exposure(held=held))
    assert 0 <= opened <= quantity
    assert abs(after) <= abs(held) + opened
    if opened == 0:
        assert abs(after) < abs(held) or after == 0
