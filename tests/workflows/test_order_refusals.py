"""An order that a check refuses: a clear reason, and no call that could place it ever reaches the broker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities import order_sending
from activities.brokers import Brokers
from activities.order_checks import MarketChecks
from cli.embedded import EmbeddedEngines
from domain.pretrade import Refusal
from domain.trading import Exchange, OrderType, Product, Side
from models.contracts.identifiers import Prefix, mint
from models.messages.trading import OrderTerms, SignalOrigin, SubmitOrder
from store import notes
from tests.workflows.traders import Floor, floor_of, signalled, working
from workers.parts import assemble

FUTURE = {
    "quantity": 65,
    "exchange": "NFO",
    "symbol": "NIFTY26NOVFUT",
    "product": "NRML",
    "price": Decimal(26130),
}


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"price": None}, "price_required"),
        # A price that the broker would drop, and our limits would believe.
        ({"order_type": "MARKET", "price": Decimal("0.05"), "quantity": 400}, "price_not_allowed"),
        ({"trigger_price": Decimal(1490)}, "trigger_price_not_allowed"),
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
        (FUTURE | {"price": Decimal(27500)}, "limit_price_protection"),
        (FUTURE | {"side": "SELL", "price": Decimal(24700)}, "limit_price_protection"),
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
        # An answer tells the state reached by then: what came of both is read once it is known.
        rows = [await floor.reaches(answer["order_id"], "risk_rejected", "open") for answer in answers]
    finally:
        await floor.market("INFY", manual=False)
        await floor.market("SBIN", manual=False)
    assert [row["reason_code"] for row in rows if row["status"] == "risk_rejected"] == [reason]
    assert len(await floor.sent(trader)) == 1


async def test_an_after_market_order_is_refused_while_the_market_is_open(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, variety="amo")
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "market_open")
    assert await floor.sent(trader) == []


async def test_no_intraday_order_leaves_once_the_broker_closes_such_positions(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.clock("2026-11-23T15:21:00+05:30")
    try:
        answer = await floor.place(trader, product="MIS")
    finally:
        await floor.clock()
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "intraday_over")
    assert await floor.sent(trader) == []


async def test_what_the_day_allows_and_no_more(floor: Floor) -> None:
    trader = await floor.trader()
    async with floor.database.transaction() as connection:
        await connection.execute(
            """INSERT INTO trading.pace (account_id, kind, starts_at, used)
               VALUES (%s, 'day', '2026-11-22T18:30:00Z', 5000)""",
            (trader.account_id,),
        )
    answer = await floor.place(trader)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "day_pace_spent")
    assert await floor.sent(trader) == []


async def test_a_signal_is_acted_on_once_an_account(floor: Floor) -> None:
    trader = await floor.trader()
    origin = signalled(1500)
    first = await floor.place(trader, origin=origin)
    await floor.reaches(first["order_id"], "filled")
    again = await floor.place(trader, origin=origin)
    assert (again["status"], again["reason_code"]) == ("risk_rejected", "signal_already_acted")
    assert len(await floor.sent(trader)) == 1


async def test_whoever_has_lost_the_right_to_a_signal_sends_nothing_on_it(floor: Floor) -> None:
    """The plan may have ended while the order waited for a session or the market."""
    trader, now, signal_id = await floor.trader(), datetime.now(UTC), mint(Prefix.SIGNAL)
    async with floor.database.transaction() as connection:
        note = await notes.write(connection, floor.vault, "usr_analyst", "Words.", now)
        await connection.execute(
            """INSERT INTO signals.trading_signals
                   (signal_id, source, analyst_id, exchange, symbol, action, timeframe, entry_price,
                    target_price, stop_loss, confidence, expires_at, rationale_note, disclosure_note,
                    status, made_at)
               VALUES (%s, 'analyst', 'usr_analyst', 'NSE', 'INFY', 'buy', '1d', 1500,
                       1600, 1400, 80, %s, %s, %s, 'draft', %s)""",
            (signal_id, now + timedelta(hours=1), note, note, now),
        )
        await connection.execute(
            """INSERT INTO finance.entitlements
                   (entitlement_id, user_id, kind, reference, plan_tier, starts_at, ends_at)
               VALUES (%s, %s, 'plan', %s, 'premium', %s, %s)""",
            (signal_id, trader.user_id, signal_id, now - timedelta(days=30), now - timedelta(seconds=1)),
        )
    origin = SignalOrigin(
        signal_id=signal_id,
        entry_price=Decimal(1500),
        published_at=now,
        expires_at=now + timedelta(hours=1),
    )
    refused = await floor.place(trader, origin=origin)
    assert (refused["status"], refused["reason_code"]) == ("risk_rejected", "entitlement_required")
    assert await floor.sent(trader) == []
    await floor.rows(
        "UPDATE finance.entitlements SET ends_at = NULL WHERE reference = %s RETURNING 1", signal_id
    )
    allowed = await floor.place(trader, origin=origin)
    await floor.reaches(allowed["order_id"], "filled")


async def test_a_blocked_account_lets_nothing_leave(floor: Floor) -> None:
    trader = await floor.trader()
    async with floor.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.accounts SET blocked_by = 'ksw_test' WHERE account_id = %s", (trader.account_id,)
        )
    answer = await floor.place(trader)
    assert (answer["status"], answer["reason_code"]) == ("risk_rejected", "account_blocked")
    assert await floor.sent(trader) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": "1470.05"}, "tick_size"),
        ({"price": "1349"}, "price_band"),
        ({"order_type": "SL"}, "trigger_price_required"),
        ({"quantity": 400}, "kyc_tier_required"),
        ({"quantity": 100}, "symbol_exposure_limit"),
    ],
)
async def test_a_modification_passes_the_checks_of_a_new_order(
    floor: Floor, change: dict[str, Any], reason: str
) -> None:
    trader = await floor.trader()
    await floor.rows(
        "UPDATE trading.accounts SET max_symbol_exposure = 10000000 WHERE account_id = %s RETURNING 1",
        trader.account_id,
    )
    order_id = (await floor.place(trader, price=Decimal(1470)))["order_id"]
    await floor.reaches(order_id, "open")
    answer = await floor.update(order_id, "modify", **change)
    assert answer.refused == reason
    row = await floor.order(order_id)
    assert (row["price"], row["quantity"], row["modifications"]) == (Decimal(1470), 10, 0)
    assert row["order_value"] == 14_700_00
    answer = await floor.update(order_id, "modify", price="1471", quantity=20)
    assert answer.refused is None, answer
    assert (await floor.order(order_id))["order_value"] == 29_420_00
    await floor.update(order_id, "cancel")
    await floor.reaches(order_id, "cancelled")


async def test_nothing_grows_on_a_blocked_account(floor: Floor) -> None:
    trader = await floor.trader()
    order_id = (await floor.place(trader, price=Decimal(1470)))["order_id"]
    await floor.reaches(order_id, "open")
    block = "UPDATE trading.accounts SET blocked_by = %s WHERE account_id = %s RETURNING 1"
    await floor.rows(block, "ksw_test", trader.account_id)
    assert (await floor.update(order_id, "modify", quantity=20)).refused == "account_blocked"
    assert (await floor.order(order_id))["quantity"] == 10
    await floor.rows(block, None, trader.account_id)
    await floor.update(order_id, "cancel")
    await floor.reaches(order_id, "cancelled")


async def test_checks_that_waited_too_long_for_their_turn_are_made_anew(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where each call before it hangs: no order leaves on the market of a minute ago."""
    trader = await floor.trader()
    monkeypatch.setattr(order_sending, "FRESH_SECONDS", -1.0)
    order_id = (await floor.place(trader))["order_id"]
    assert (await floor.order(order_id))["status"] == "queued"
    assert await floor.placed(order_id) == []
    monkeypatch.undo()
    await floor.reaches(order_id, "filled")


async def test_an_order_names_its_algorithm_or_stays(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    assert floor.settings.kite_algo_id in str((await floor.sent(trader))[0]["body"])
    nameless = floor.settings.model_copy(update={"kite_algo_id": ""})
    async with assemble(nameless) as parts:
        brokers = Brokers(nameless, parts.database, parts.vault, parts.redis)
        session = await brokers.session(trader.account_id)
        assert session is not None
        terms = OrderTerms(
            exchange=Exchange.NSE,
            symbol="INFY",
            side=Side.BUY,
            quantity=1,
            order_type=OrderType.LIMIT,
            price=Decimal(1500),
            product=Product.DELIVERY,
        )
        asked = SubmitOrder(
            order_id=mint(Prefix.ORDER),
            user_id=trader.user_id,
            account_id=trader.account_id,
            attempt=1,
            terms=terms,
            as_of=datetime.now(UTC),
        )
        verdict = await MarketChecks(parts.database, brokers).judge(asked, session)
    assert verdict.refusal is Refusal.ALGO_ID_REQUIRED


async def test_a_market_order_leaves_its_protection_to_the_broker(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, order_type="MARKET", price=None)
    await floor.reaches(answer["order_id"], "filled")
    calls = await floor.sent(trader)
    assert "market_protection" in str(calls[0]["body"])
