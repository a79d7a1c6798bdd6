"""An order that a person decides about: held against the broker's book and our own row, no dead end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from activities.brokers import Brokers
from cli.embedded import EmbeddedEngines
from domain.trading import AttemptStatus, tag_of
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import BrokerEvent, OrderTerms
from store import trading_attempts
from tests.workflows.test_order_slices import FUTURE, rich, slices
from tests.workflows.traders import Floor, Trader, eventually, floor_of, lose_session, working
from workers.parts import assemble

TERMS = OrderTerms.model_validate(
    {"exchange": "NSE", "symbol": "INFY", "side": "BUY", "quantity": 10, "order_type": "LIMIT",
     "price": Decimal(1500), "product": "CNC"}
)  # fmt: skip


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def said(floor: Floor, order_id: str, decision: str, **more: Any) -> str | None:
    """Support decides; with what the decision was refused."""
    assertion = Assertion(
        subject="usr_support",
        role="support",
        workflow_id=workflow_id(Kind.ORDER, order_id),
        action="resolve_order",
        expires_at=datetime.now(UTC) + LIFETIME,
    )
    signed = sign(floor.settings.assertion_key.get_secret_value(), assertion).model_dump()
    answer = await floor.update(order_id, "resolve_order", assertion=signed, decision=decision, **more)
    return answer.refused


@asynccontextmanager
async def silent_sender(floor: Floor, trader: Trader) -> AsyncIterator[str]:
    """The order of a sender that was paused minutes ago before the socket, and holds its lock."""
    await floor.fault("/kite/orders/regular", "timeout_before", seconds=0.1)
    placing = asyncio.create_task(floor.place(trader, price=Decimal(1500)))
    query = """SELECT a.order_id FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
               WHERE o.account_id = %s AND a.status = 'unanswered'"""
    order_id = (await eventually(lambda: floor.rows(query, trader.account_id), "the answer to be lost"))[0][
        "order_id"
    ]
    async with floor.database.reading() as sender:
        await sender.execute(
            """SELECT pg_advisory_lock(hashtextextended(tag, 0)) FROM trading.order_attempts
               WHERE order_id = %s""",
            (order_id,),
        )
        await sender.execute(
            """UPDATE trading.order_attempts SET status = 'sending',
                   sending_at = sending_at - interval '2 minutes' WHERE order_id = %s""",
            (order_id,),
        )
        try:
            await placing
            await floor.reaches(order_id, "needs_person")
            yield order_id
        finally:
            await trading_attempts.unlock(sender, tag_of(order_id, 1, 1))


async def test_what_the_book_or_our_row_contradicts_is_refused_and_can_be_decided_again(
    floor: Floor,
) -> None:
    trader = await floor.trader()
    other = await floor.reaches((await floor.place(trader))["order_id"], "filled")
    async with silent_sender(floor, trader) as order_id:
        assert await said(floor, order_id, "absent") == "sender_not_gone"
        wrong = {"broker_order_id": "999999999999999"}
        assert await said(floor, order_id, "found", **wrong) == "broker_order_not_shown"
        anothers = {"broker_order_id": other["broker_order_id"]}
        assert await said(floor, order_id, "found", **anothers) == "broker_order_differs"
        await lose_session(floor, trader)
        assert await said(floor, order_id, "found", **anothers) == "known_already"
    assert await said(floor, order_id, "absent") is None
    await floor.update(order_id, "cancel")
    await floor.reaches(order_id, "cancelled")
    assert await floor.placed(order_id) == []


async def test_a_sender_that_came_back_knows_more_than_the_person(floor: Floor) -> None:
    """It sends while the person looks at a book that does not show it yet: one order, and no second."""
    trader = await floor.trader()
    async with silent_sender(floor, trader) as order_id, assemble(floor.settings) as parts:
        session = await Brokers(floor.settings, parts.database, parts.vault, parts.redis).session(
            trader.account_id
        )
        assert session is not None
        placed = await session.broker.place(TERMS, tag_of(order_id, 1, 1))
        async with floor.database.transaction() as connection:
            sent = AttemptStatus.SENT
            was = (AttemptStatus.SENDING,)
            key = (order_id, 1, 1)
            assert await trading_attempts.move(
                connection, key, was=was, to=sent, broker_order_id=placed.value
            )
        assert await said(floor, order_id, "absent") is None
        assert (await floor.reaches(order_id, "filled"))["broker_order_id"] == placed.value
    assert len(await floor.placed(order_id)) == 1


@asynccontextmanager
async def unread(floor: Floor, trader: Trader, order_id: str) -> AsyncIterator[None]:
    """Nobody was signed in when the order's day ended; the customer is on the next trading day."""
    await lose_session(floor, trader)
    await floor.clock("2026-11-25T10:00:00+05:30")
    try:
        await floor.begin(trader.user_id, account_id=trader.account_id)
        await floor.complete(trader.account_id, trader.broker_user)
        await floor.reaches(order_id, "needs_person")
        yield
    finally:
        await floor.clock()


async def test_a_word_given_while_the_book_is_read_holds_for_nothing_that_comes_later(floor: Floor) -> None:
    """A postback has the book read; what it shows goes before what was said of it meanwhile."""
    trader = await floor.trader()
    async with silent_sender(floor, trader) as order_id, assemble(floor.settings) as parts:
        brokers = Brokers(floor.settings, parts.database, parts.vault, parts.redis)
        session = await brokers.session(trader.account_id)
        assert session is not None
        await session.broker.place(TERMS, tag_of(order_id, 1, 1))
        await floor.fault("GET /kite/orders", "slow", seconds=1.0)
        await floor.handle(order_id).signal("broker_event", BrokerEvent(event_number=1))
        await eventually(lambda: reading(floor, order_id), "the look to begin")
        assert await said(floor, order_id, "absent") == "not_awaiting_person"
    await floor.reaches(order_id, "filled")
    assert len(await floor.placed(order_id)) == 1


async def reading(floor: Floor, order_id: str) -> bool:
    """Whether the run looks into the book just now."""
    described = await floor.handle(order_id).describe()
    pending = described.raw_description.pending_activities
    return any(each.activity_type.name == "trading.resolve_attempt" for each in pending)


async def test_an_order_whose_end_was_not_read_on_its_day_ends_by_a_persons_word(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.market("SBIN", manual=True, price=880, close=880)
    placed = await floor.place(trader, symbol="SBIN", price=Decimal(880))
    row = await floor.reaches(placed["order_id"], "open")
    order_id = row["order_id"]
    await floor.fill(row["broker_order_id"], 3)
    await floor.reaches(order_id, "partially_filled")
    async with unread(floor, trader, order_id):
        assert (await floor.order(order_id))["reason_code"] == "day_not_read"
        assert await said(floor, order_id, "absent") == "invalid"
        assert (await floor.update(order_id, "cancel")).refused is None
        for quantity in (2, 11):
            wrong = {"filled_quantity": quantity, "average_price": "879"}
            assert await said(floor, order_id, "ended", **wrong) == "fill_impossible"
        stated = {"filled_quantity": 7, "average_price": "879"}
        assert await said(floor, order_id, "ended", **stated) is None
        ended = await floor.reaches(order_id, "cancelled")
    assert (ended["filled_quantity"], ended["average_price"], ended["reason_code"]) == (7, 879, "stated")
    position = await floor.position(trader)
    assert (position["quantity"], position["cost"]) == (7, 7 * 879_00)
    assert (await floor.handle(order_id).result())["filled_quantity"] == 7
    await floor.market("SBIN", manual=False)


async def test_slices_whose_end_was_not_read_on_their_day_end_by_a_persons_word(floor: Floor) -> None:
    trader = await rich(floor)
    await floor.market("NIFTY26NOVFUT", manual=True)
    order_id = (await floor.place(trader, **FUTURE))["order_id"]
    await floor.reaches(order_id, "open")
    async with unread(floor, trader, order_id):
        assert await said(floor, order_id, "ended", filled_quantity=0) is None
        await floor.reaches(order_id, "expired")
    assert [status for _, status, _ in await slices(floor, order_id)] == ["cancelled"] * 3
    await floor.market("NIFTY26NOVFUT", manual=False)
