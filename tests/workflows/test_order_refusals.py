"""An order that a check refuses: a clear reason, and no call that could place it ever reaches the broker."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from cli.embedded import EmbeddedEngines
from tests.workflows.traders import Floor, floor_of, working

FUTURE = {"exchange": "NFO", "symbol": "NIFTY26NOVFUT", "product": "NRML", "price": Decimal(26130)}


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"price": None}, "price_required"),
        ({"order_type": "SL-M", "price": None}, "trigger_price_required"),
        ({"order_type": "SL", "trigger_price": Decimal(1510)}, "trigger_worse_than_price"),
        (
            {"order_type": "MARKET", "price": None, "market_protection": Decimal(0)},
            "market_protection_required",
        ),
        ({"exchange": "MCX", "product": "NRML", "validity": "IOC"}, "validity_not_allowed"),
        ({"product": "NRML"}, "product_not_allowed"),
        ({"disclosed_quantity": 11}, "disclosed_quantity"),
        ({"symbol": "NOSUCH"}, "instrument_unknown"),
        ({"price": Decimal("1500.05")}, "tick_size"),
        (FUTURE | {"quantity": 64}, "lot_size"),
        (FUTURE | {"quantity": 65 * 271}, "freeze_quantity"),
        ({"price": Decimal(1651)}, "price_band"),
        ({"price": Decimal(1349)}, "price_band"),
        ({"quantity": 400}, "kyc_tier_required"),
    ],
)
async def test_a_refused_order_never_reaches_the_broker(
    floor: Floor, terms: dict[str, Any], reason: str
) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, **terms)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", reason)
    assert answer["broker_order_id"] is None
    assert await floor.sent(trader) == []
    row = await floor.order(answer["order_id"])
    assert (row["status"], row["reason_code"]) == ("risk_rejected", reason)


async def test_without_kyc_nothing_leaves(floor: Floor) -> None:
    trader = await floor.trader()
    async with floor.database.transaction() as connection:
        await connection.execute(
            "UPDATE user_management.kyc_status SET status = 'expired', tier = NULL WHERE user_id = %s",
            (trader.user_id,),
        )
    answer = await floor.place(trader)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "kyc_required")
    assert await floor.sent(trader) == []


async def test_the_brokers_margin_is_asked_before_the_order_leaves(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.control("/kite/account", user_id=trader.broker_user, cash=14_999)
    answer = await floor.place(trader)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "insufficient_margin")
    assert await floor.sent(trader) == []


@pytest.mark.parametrize(
    ("column", "limit", "reason"),
    [
        ("max_order_value", 14_999_99, "order_value_limit"),
        ("max_symbol_exposure", 14_999_99, "symbol_exposure_limit"),
        ("max_open_positions", 0, "open_positions_limit"),
        ("max_daily_loss", 0, "daily_loss_limit"),
    ],
)
async def test_the_customers_own_limits(floor: Floor, column: str, limit: int, reason: str) -> None:
    trader = await floor.trader()
    async with floor.database.transaction() as connection:
        await connection.execute(
            f"UPDATE trading.accounts SET {column} = %s WHERE account_id = %s", (limit, trader.account_id)
        )
    answer = await floor.place(trader)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", reason)
    assert await floor.sent(trader) == []


@pytest.mark.parametrize(
    ("column", "limit", "symbols", "reason"),
    [
        ("max_symbol_exposure", 15_000_00, ("INFY", "INFY"), "symbol_exposure_limit"),
        ("max_open_positions", 1, ("INFY", "SBIN"), "open_positions_limit"),
    ],
)
async def test_of_orders_that_leave_at_once_only_those_within_the_limits_pass(
    floor: Floor, column: str, limit: int, symbols: tuple[str, str], reason: str
) -> None:
    """Each alone is within the limit: both are weighed before either is known to the broker."""
    trader = await floor.trader()
    async with floor.database.transaction() as connection:
        await connection.execute(
            f"UPDATE trading.accounts SET {column} = %s WHERE account_id = %s", (limit, trader.account_id)
        )
    await floor.market("INFY", manual=True)
    await floor.market("SBIN", manual=True, price=880, close=880)
    try:
        prices = {"INFY": Decimal(1500), "SBIN": Decimal(880)}
        answers = await asyncio.gather(
            *(floor.place(trader, symbol=symbol, price=prices[symbol]) for symbol in symbols)
        )
    finally:
        await floor.market("INFY", manual=False)
        await floor.market("SBIN", manual=False)
    refused = [answer for answer in answers if answer["status"] == "risk_rejected"]
    assert [answer["reason_code"] for answer in refused] == [reason], answers
    assert len(await floor.sent(trader)) == 1


async def test_an_after_market_order_is_refused_while_the_market_is_open(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, variety="amo")
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "market_open")
    assert await floor.sent(trader) == []


async def test_a_market_order_leaves_its_protection_to_the_broker(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, order_type="MARKET", price=None)
    await floor.reaches(answer["order_id"], "filled")
    calls = await floor.sent(trader)
    assert "market_protection" in str(calls[0]["body"])
