"""An order on the real server against the sandbox's exchange: each way it can go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.testing._timeskipping import TimeSkipper

from activities.brokers import Brokers
from api.trading.ordering import order_drive
from cli.embedded import EmbeddedEngines
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import BrokerEvent, OrderTerms, SignalOrigin
from store import trading_accounts, trading_positions
from tests.workflows.traders import NAME, Floor, Trader, eventually, floor_of, lose_session, working
from workers.parts import assemble


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


@pytest.fixture
async def by_hand(floor: Floor) -> AsyncIterator[Floor]:
    """INFY is matched by hand only, so that the test decides about fills."""
    await floor.market(manual=True)
    yield floor
    await floor.market(manual=False)


async def live(floor: Floor, trader: Trader, **terms: Any) -> dict[str, Any]:
    """An order that rests at the exchange; its row."""
    answer = await floor.place(trader, **terms)
    return await floor.reaches(answer["order_id"], "open", "trigger_pending")


async def test_an_order_is_placed_filled_and_becomes_a_position(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader, price=Decimal(1500))
    assert answer["status"] in ("submitting", "open", "filled")
    assert answer["broker_order_id"]
    row = await floor.reaches(answer["order_id"], "filled")
    assert (row["filled_quantity"], row["average_price"]) == (10, Decimal(1500))
    position = await floor.position(trader)
    assert (position["quantity"], position["cost"], position["realised"]) == (10, 15_000_00, 0)
    assert len(await floor.placed(answer["order_id"])) == 1
    result = await floor.handle(answer["order_id"]).result()
    assert result["status"] == "filled"


async def test_a_partial_fill_is_seen_and_then_the_rest(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader, quantity=5)
    await by_hand.fill(row["broker_order_id"], 2)
    part = await by_hand.reaches(row["order_id"], "partially_filled")
    assert part["filled_quantity"] == 2
    await by_hand.fill(row["broker_order_id"], 3)
    assert (await by_hand.reaches(row["order_id"], "filled"))["filled_quantity"] == 5
    trades = await by_hand.rows("SELECT * FROM trading.trades WHERE order_id = %s", row["order_id"])
    assert sorted(trade["quantity"] for trade in trades) == [2, 3]
    assert (await by_hand.position(trader))["quantity"] == 5


async def test_a_round_trip_realises_its_profit_and_rebuilds_the_same(floor: Floor) -> None:
    trader = await floor.trader()
    for side, price in (("BUY", 1500), ("SELL", 1510)):
        await floor.market(price=price)
        answer = await floor.place(trader, side=side, price=Decimal(price), product="MIS")
        await floor.reaches(answer["order_id"], "filled")
    await floor.market(price=1500)
    before = await floor.position(trader)
    assert (before["quantity"], before["cost"], before["realised"]) == (0, 0, 10 * 10_00)
    async with floor.database.transaction() as connection:
        await trading_positions.rebuild(connection, trader.account_id)
    after = await floor.position(trader)
    assert {name: after[name] for name in after if name != "version"} == {
        name: before[name] for name in before if name != "version"
    }


async def test_a_caller_whose_word_was_lost_is_answered_by_the_order_that_filled_meanwhile(
    floor: Floor,
) -> None:
    """A server that dies forgets an update that nobody has accepted, and not the start that came with it."""
    trader, order_id = await floor.trader(), mint(Prefix.ORDER)
    terms = OrderTerms.model_validate(
        {"exchange": "NSE", "symbol": "INFY", "side": "BUY", "quantity": 1, "order_type": "LIMIT",
         "price": Decimal(1500), "product": "CNC"}
    )  # fmt: skip
    drive = order_drive(order_id, trader.user_id, trader.account_id, terms)
    await floor.client.start_workflow(
        drive.workflow_type, drive.start, id=drive.workflow_id, task_queue=drive.queue
    )

    async def filled() -> bool:
        found = await floor.rows("SELECT status FROM trading.orders WHERE order_id = %s", order_id)
        return bool(found) and found[0]["status"] == "filled"

    await eventually(filled, "the order to fill with nobody told")
    answer = await floor.run(drive, order_id, trader.user_id)
    # The row says so a moment before the run hears it.
    assert (answer.refused, answer.body["status"]) in ((None, "submitting"), (None, "filled"))
    assert (await floor.handle(order_id).result())["status"] == "filled"


async def test_a_cancel_ends_what_is_not_filled(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader)
    answer = await by_hand.update(row["order_id"], "cancel")
    assert answer.body["status"] in ("cancel_pending", "cancelled")
    assert (await by_hand.reaches(row["order_id"], "cancelled"))["filled_quantity"] == 0
    again = await by_hand.update(row["order_id"], "cancel")
    assert again.refused in ("order_closed", "process_closed")


async def test_a_cancel_that_races_a_fill_loses_to_it(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader)
    _, answer = await asyncio.gather(
        by_hand.fill(row["broker_order_id"], 10), by_hand.update(row["order_id"], "cancel")
    )
    assert answer.refused in (None, "order_closed", "process_closed")
    ended = await by_hand.reaches(row["order_id"], "filled", "cancelled")
    assert ended["filled_quantity"] == (10 if ended["status"] == "filled" else 0)


async def test_a_modification_changes_the_price_at_the_broker(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader, price=Decimal(1490))
    answer = await by_hand.update(row["order_id"], "modify", price="1495")
    assert answer.refused is None, answer
    changed = await by_hand.order(row["order_id"])
    assert (changed["price"], changed["modifications"]) == (Decimal(1495), 1)
    await by_hand.market(manual=False, price=1495)
    assert (await by_hand.reaches(row["order_id"], "filled"))["average_price"] == 1495
    await by_hand.market(price=1500)


async def test_a_modification_that_a_cancel_overtakes_is_not_made(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader, price=Decimal(1490))
    # While the book is read slowly, both wait for their turn.
    await by_hand.fault(f"GET /kite/orders/{row['broker_order_id']}", "slow", seconds=1.5)
    await by_hand.handle(row["order_id"]).signal("broker_event", BrokerEvent(event_number=1))
    changing = asyncio.create_task(by_hand.update(row["order_id"], "modify", price="1495"))
    await eventually(lambda: updates(by_hand, row["order_id"], 2), "the modification to wait")
    await by_hand.update(row["order_id"], "cancel")
    assert (await changing).refused == "order_not_live"
    ended = await by_hand.reaches(row["order_id"], "cancelled")
    assert (ended["price"], ended["modifications"]) == (Decimal(1490), 0)


async def updates(floor: Floor, order_id: str, count: int) -> bool:
    """Whether the run has accepted so many."""
    events = (await floor.handle(order_id).fetch_history()).events
    kind = "workflow_execution_update_accepted_event_attributes"
    return sum(event.HasField(kind) for event in events) >= count


async def test_the_exchange_rejects_and_says_why(floor: Floor) -> None:
    """INFY's limit price protection is 10 %: inside the day's band of the quote, refused by the exchange."""
    trader = await floor.trader()
    await floor.market("SBIN", price=900, close=840)
    answer = await floor.place(trader, symbol="SBIN", side="SELL", product="MIS", price=Decimal(800))
    row = await floor.reaches(answer["order_id"], "rejected", "risk_rejected")
    assert (row["status"], row["reason_code"]) == ("rejected", "limit_price_protection")
    await floor.market("SBIN", price=880, close=880)


async def test_a_broker_that_refuses_ends_the_order(floor: Floor) -> None:
    """Shares that nobody holds cannot be sold for delivery: Kite answers with a HoldingException."""
    trader = await floor.trader()
    answer = await floor.place(trader, side="SELL")
    assert (answer["status"], answer["reason_code"]) == ("rejected", "insufficient_holding")
    assert await floor.placed(answer["order_id"]) == []


async def test_an_order_waits_for_the_market_and_can_be_dropped(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.clock("2026-11-23T08:00:00+05:30")
    try:
        answer = await floor.place(trader)
        assert answer["status"] == "awaiting_market"
        assert await floor.sent(trader) == []
        dropped = await floor.update(answer["order_id"], "cancel")
        assert dropped.body["status"] == "cancelled"
    finally:
        await floor.clock()
    assert await floor.sent(trader) == []


async def test_an_order_leaves_when_the_market_opens(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.clock("2026-11-23T09:14:58+05:30")
    answer = await floor.place(trader)
    assert answer["status"] == "awaiting_market"
    await floor.reaches(answer["order_id"], "filled")
    await floor.clock()
    assert len(await floor.placed(answer["order_id"])) == 1


async def test_an_expired_token_makes_the_order_wait_for_a_new_login(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("", "expired_token")
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "awaiting_session")
    account = await floor.rows("SELECT * FROM trading.accounts WHERE account_id = %s", trader.account_id)
    assert (account[0]["status"], account[0]["access_token"]) == ("expired", None)
    await floor.begin(trader.user_id, account_id=trader.account_id)
    assert (await floor.complete(trader.account_id, trader.broker_user)).body["status"] == "connected"
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1


async def test_an_order_that_nobody_signs_in_for_ends_with_its_day(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("", "expired_token")
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "awaiting_session")
    # Longer than any row of holidays.
    handle = floor.handle(answer["order_id"])
    await TimeSkipper(floor.client).fast_forward(handle, timedelta(days=7))
    ended = await floor.reaches(answer["order_id"], "expired")
    assert ended["reason_code"] == "no_session"
    await floor.begin(trader.user_id, account_id=trader.account_id)
    await floor.complete(trader.account_id, trader.broker_user)
    assert await floor.placed(answer["order_id"]) == []


async def test_a_cancel_that_found_no_session_is_asked_when_there_is_one(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader)
    await lose_session(by_hand, trader)
    asked = await by_hand.update(row["order_id"], "cancel")
    assert asked.refused == "session_expired"
    await by_hand.begin(trader.user_id, account_id=trader.account_id)
    await by_hand.complete(trader.account_id, trader.broker_user)
    await by_hand.reaches(row["order_id"], "cancelled")


async def test_a_cancel_that_came_to_nothing_is_asked_again(by_hand: Floor) -> None:
    """No login tells of it: as where the broker refuses a cancel because it is busy with the order."""
    trader = await by_hand.trader()
    row = await live(by_hand, trader)
    query = "SELECT status, access_token FROM trading.accounts WHERE account_id = %s"
    account = (await by_hand.rows(query, trader.account_id))[0]
    await lose_session(by_hand, trader)
    assert (await by_hand.update(row["order_id"], "cancel")).refused == "session_expired"
    async with by_hand.database.transaction() as connection:
        await connection.execute(
            "UPDATE trading.accounts SET status = %s, access_token = %s WHERE account_id = %s",
            (*account.values(), trader.account_id),
        )
    await by_hand.reaches(row["order_id"], "cancelled")


async def test_an_order_of_a_strategy_waits_for_the_customers_yes(floor: Floor) -> None:
    trader = await floor.trader()
    asked = await floor.place(trader, confirmed=False)
    assert asked["status"] == "awaiting_confirmation"
    other = await floor.update(asked["order_id"], "confirm", user_id="usr_other")
    assert other.refused == "not_found"
    said = await floor.update(asked["order_id"], "confirm", user_id=trader.user_id)
    assert said.refused is None, said
    row = await floor.reaches(asked["order_id"], "filled")
    assert row["confirmed_at"] is not None


async def test_a_no_ends_an_order_of_a_strategy(floor: Floor) -> None:
    trader = await floor.trader()
    asked = await floor.place(trader, confirmed=False)
    said = await floor.update(asked["order_id"], "decline", user_id=trader.user_id)
    assert (said.body["status"], said.body["reason_code"]) == ("cancelled", "declined")
    assert await floor.sent(trader) == []


@pytest.mark.parametrize(("word", "status"), [("confirm", "filled"), ("decline", "cancelled")])
async def test_a_customers_word_is_taken_before_the_run_has_heard_that_it_is_asked_for(
    floor: Floor, word: str, status: str
) -> None:
    """The record asks, and the worker died before the run heard of it: a refusal would stand for good."""
    trader = await floor.trader()
    order_id = mint(Prefix.ORDER)
    terms = OrderTerms.model_validate(
        {"exchange": "NSE", "symbol": "INFY", "side": "BUY", "quantity": 10, "order_type": "LIMIT",
         "price": Decimal(1500), "product": "CNC"}
    )  # fmt: skip
    placing = order_drive(order_id, trader.user_id, trader.account_id, terms, confirmed=False)
    first = placing.model_copy(update={"update": word, "argument": {"user_id": trader.user_id}})
    said = await floor.run(first, order_id, trader.user_id)
    assert said.refused is None, said
    await floor.reaches(order_id, status)


def signal(entry: int, lives: timedelta = timedelta(hours=1)) -> SignalOrigin:
    now = datetime.now(UTC)
    published = now - timedelta(minutes=5)
    return SignalOrigin(
        signal_id=mint(Prefix.SIGNAL),
        entry_price=Decimal(entry),
        published_at=published,
        expires_at=now + lives,
    )


async def test_a_signal_is_checked_again_when_its_order_leaves(floor: Floor) -> None:
    trader = await floor.trader()
    late = await floor.place(trader, origin=signal(1500, timedelta(seconds=-1)))
    assert (late["status"], late["reason_code"]) == ("risk_rejected", "signal_expired")
    far = await floor.place(trader, origin=signal(1400), price=Decimal(1400))
    assert (far["status"], far["reason_code"]) == ("risk_rejected", "signal_drifted")
    assert await floor.sent(trader) == []
    near = await floor.place(trader, origin=signal(1500))
    await floor.reaches(near["order_id"], "filled")


async def test_a_day_order_that_nobody_fills_has_expired_after_the_close(by_hand: Floor) -> None:
    trader = await by_hand.trader()
    row = await live(by_hand, trader)
    await by_hand.clock("2026-11-23T15:30:01+05:30")
    try:
        ended = await by_hand.reaches(row["order_id"], "expired", "cancelled")
        assert (ended["status"], ended["reason_code"]) == ("expired", "day_ended")
    finally:
        await by_hand.clock()


async def test_a_person_settles_what_nobody_could_find_out(floor: Floor) -> None:
    """A lost answer on a day that is over: the book shows today only, so a person looks at the broker."""
    trader = await floor.trader()
    await floor.fault("/kite/orders/regular", "timeout_before", seconds=0.1)
    placing = asyncio.create_task(floor.place(trader))
    await eventually(lambda: attempt_is(floor, trader, "unanswered"), "the answer to be lost")
    await floor.clock("2026-11-25T10:00:00+05:30")
    try:
        order_id = (await placing)["order_id"]
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
        row = await floor.reaches(order_id, "needs_person")
        forged = await floor.update(
            order_id, "resolve_order", **resolution(floor, order_id, "typed_in_the_ui")
        )
        assert forged.refused == "assertion_invalid"
        settled = await floor.update(
            order_id, "resolve_order", **resolution(floor, order_id, "resolve_order")
        )
        assert settled.refused is None, settled
        ended = await floor.reaches(order_id, "filled", "expired")
        # A day's order does not leave on another day, however late it is known that it never left.
        assert (ended["status"], ended["reason_code"]) == ("expired", "day_ended")
        assert row["broker_order_id"] is None
        assert await floor.placed(order_id) == []
    finally:
        await floor.clock()


async def test_a_person_is_asked_where_no_session_comes_back(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault("/kite/orders/regular", "timeout_before", seconds=0.1)
    placing = asyncio.create_task(floor.place(trader))
    await eventually(lambda: attempt_is(floor, trader, "unanswered"), "the answer to be lost")
    async with floor.database.transaction() as connection:
        await connection.execute(
            """UPDATE trading.order_attempts SET sending_at = sending_at - interval '2 minutes'
               WHERE order_id IN (SELECT order_id FROM trading.orders WHERE account_id = %s)""",
            (trader.account_id,),
        )
        await trading_accounts.end_session(connection, trader.account_id, close=False)
    order_id = (await placing)["order_id"]
    # A look that was under way saw the young attempt: this one is the next.
    await floor.handle(order_id).signal("broker_event", BrokerEvent(event_number=1))
    await floor.reaches(order_id, "needs_person")
    settled = await floor.update(order_id, "resolve_order", **resolution(floor, order_id, "resolve_order"))
    assert settled.refused is None, settled
    dropped = await floor.update(order_id, "cancel")
    assert dropped.refused is None, dropped
    await floor.reaches(order_id, "cancelled")


async def test_late_word_of_an_old_session_does_not_end_the_new_one(floor: Floor) -> None:
    trader = await floor.trader()
    async with assemble(floor.settings) as parts:
        brokers = Brokers(floor.settings, parts.database, parts.vault, parts.redis)
        old = await brokers.session(trader.account_id)
        assert old is not None
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
        await brokers.lost(old)
        new = await brokers.session(trader.account_id)
        assert new is not None, "the new session was ended"
        await brokers.lost(new)
        assert await brokers.session(trader.account_id) is None


async def attempt_is(floor: Floor, trader: Trader, status: str) -> bool:
    rows = await floor.rows(
        """SELECT a.status FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
           WHERE o.account_id = %s""",
        trader.account_id,
    )
    return [row["status"] for row in rows] == [status]


def resolution(floor: Floor, order_id: str, action: str) -> dict[str, Any]:
    """What the API sends for a member of staff who found no such order at the broker."""
    assertion = Assertion(
        subject="usr_support",
        role="support",
        workflow_id=workflow_id(Kind.ORDER, order_id),
        action=action,
        expires_at=datetime.now(UTC) + LIFETIME,
    )
    signed = sign(floor.settings.assertion_key.get_secret_value(), assertion)
    return {"assertion": signed.model_dump(), "decision": "absent"}


async def test_no_history_holds_a_name(floor: Floor) -> None:
    trader = await floor.trader()
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    logins = await floor.rows("SELECT process FROM trading.logins WHERE account_id = %s", trader.account_id)
    for process in (f"order:{answer['order_id']}", logins[0]["process"]):
        history = await floor.client.get_workflow_handle(process).fetch_history()
        opened = await opened_payloads(floor, history)
        assert trader.account_id in opened
        assert NAME not in opened
        assert trader.broker_user not in opened


async def opened_payloads(floor: Floor, history: Any) -> str:
    """Everything that a history carries, decrypted."""
    codec = floor.client.data_converter.payload_codec
    assert codec is not None
    parts = [history.to_json()]
    for event in history.events:
        for payload in payloads_in(event):
            parts += [str(each.data) for each in await codec.decode([payload])]
    return " ".join(parts)


def payloads_in(message: Any) -> list[Any]:
    found = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = list(value.values()) if field.message_type.fields_by_name["value"].message_type else []
        else:
            values = list(value) if field.is_repeated else [value]
        for each in values:
            if each.DESCRIPTOR.name == "Payload":
                found.append(each)
            else:
                found += payloads_in(each)
    return found
