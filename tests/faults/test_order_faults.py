"""The broker's answer is lost, late, refused or paced: each order is at the broker exactly once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from cli.embedded import EmbeddedEngines
from tests.workflows.traders import Floor, floor_of, working

ORDERS = "/kite/orders/regular"


@pytest.fixture(scope="module")
async def floor(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    async with floor_of(engines) as floor, working(engines):
        yield floor


async def test_an_answer_that_is_lost_is_found_by_its_tag(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault(ORDERS, "timeout_after", seconds=0.1)
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1
    attempts = await floor.rows(
        "SELECT attempt, status FROM trading.order_attempts WHERE order_id = %s", answer["order_id"]
    )
    assert attempts == [{"attempt": 1, "status": "sent"}]


@pytest.mark.campaign
async def test_a_call_that_never_happened_is_sent_again_only_on_proof_of_absence(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault(ORDERS, "timeout_before", seconds=0.1)
    answer = await floor.place(trader)
    assert answer["status"] == "unknown"
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1
    attempts = await floor.rows(
        """SELECT attempt, status, looks FROM trading.order_attempts WHERE order_id = %s ORDER BY attempt""",
        answer["order_id"],
    )
    assert [(row["attempt"], row["status"]) for row in attempts] == [(1, "void"), (2, "sent")]
    assert attempts[0]["looks"] == 2


@pytest.mark.campaign
async def test_a_late_order_is_found_before_another_is_sent(floor: Floor) -> None:
    """The broker takes the order after our client has given up: the search still waits for it."""
    trader = await floor.trader()
    await floor.fault(ORDERS, "slow", seconds=7.6)
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1


@pytest.mark.campaign
async def test_a_5xx_is_an_unknown_outcome_not_a_refusal(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault(ORDERS, "error_5xx")
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1


async def test_a_429_sends_the_same_attempt_again(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault(ORDERS, "error_429")
    answer = await floor.place(trader)
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1
    attempts = await floor.rows(
        "SELECT attempt FROM trading.order_attempts WHERE order_id = %s", answer["order_id"]
    )
    assert len(attempts) == 1


async def test_a_session_that_dies_at_the_socket_waits_for_a_login(floor: Floor) -> None:
    trader = await floor.trader()
    await floor.fault(ORDERS, "expired_token")
    answer = await floor.place(trader)
    assert answer["status"] == "awaiting_session"
    assert await floor.placed(answer["order_id"]) == []
    await floor.begin(trader.user_id, account_id=trader.account_id)
    await floor.complete(trader.account_id, trader.broker_user)
    await floor.reaches(answer["order_id"], "filled")
    assert len(await floor.placed(answer["order_id"])) == 1


async def test_fifteen_orders_at_once_keep_the_brokers_pace(floor: Floor) -> None:
    """Kite takes ten in a calendar second: none of ours is answered 429, each is placed once."""
    trader = await floor.trader()
    answers = await asyncio.gather(*(floor.place(trader, quantity=1) for _ in range(15)))
    for answer in answers:
        await floor.reaches(answer["order_id"], "filled")
    calls = await floor.sent(trader)
    assert len(calls) == 15
    assert {call["status"] for call in calls} == {200}
    assert (await floor.position(trader))["quantity"] == 15
