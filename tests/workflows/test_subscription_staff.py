"""What staff see of a subscription's debits, and do about those of which nobody tells the outcome."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from cli.embedded import EmbeddedEngines
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.search_attributes import Attribute
from models.messages.subscriptions import DebitSettlement, SettleDebit
from tests.workflows.subscribers import Subscriber, Town, eventually, longest_run, refusal, town

SCHEDULE = timedelta(days=5, hours=1, minutes=5)
"""From the debit to the question to a person, if no webhook tells of it."""


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database) as made:
        yield made


async def sent(place: Town, one: Subscriber) -> dict[str, Any]:
    """The debit of the first renewal, an hour after it has left."""
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] + timedelta(hours=1))
    [debit] = await place.debits(one)
    return debit


async def undecided(place: Town) -> tuple[Subscriber, dict[str, Any]]:
    """A subscriber with a debit that the bank leaves open."""
    one = await place.active()
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="pending")
    return one, await sent(place, one)


async def settle(
    place: Town, one: Subscriber, said: DebitSettlement, role: str = "finance", **given: Any
) -> dict[str, Any]:
    inside = Assertion(
        subject=given.pop("subject", "usr_0f1a"),
        role=role,
        workflow_id=one.handle.id,
        action="settle",
        expires_at=await place.now(one) + LIFETIME,
    )
    signed = sign(place.settings.assertion_key.get_secret_value(), inside)
    given = {"note_id": mint(Prefix.NOTE)} | given
    asked = SettleDebit(assertion=signed, settlement=said, **given)
    answer: dict[str, Any] = await place.command(one, "settle", **asked.model_dump(mode="json"))
    return answer


async def payment(place: Town, debit: dict[str, Any]) -> dict[str, Any]:
    return (await place.rows("SELECT * FROM finance.payments WHERE payment_id = %s", debit["payment_id"]))[0]


async def attention(place: Town, one: Subscriber) -> bool:
    seen = await one.handle.describe()
    return bool(seen.typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value))


async def asked(place: Town, one: Subscriber) -> None:
    async def there() -> bool:
        return await attention(place, one)

    await eventually(there, "a person to be asked")


async def runs_of(place: Town, quoted: str) -> set[str]:
    """Ids of the runs that the UI finds by what a customer quotes."""
    return {run.id async for run in place.client.list_workflows(f"TreumReference = '{quoted}'")}


async def test_a_renewal_is_found_by_whatever_its_customer_quotes(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=1))
    [debit] = await place.debits(one)
    present = (await one.handle.describe()).typed_search_attributes.get(Attribute.REFERENCE.value)
    announced = [debit["payment_id"], debit["gateway_order_id"]]
    assert present == [one.subscription_id, row["payment_id"], *announced]
    await place.forward(one, timedelta(hours=2))
    assert (await place.row(one))["period"] == 2
    booked = await payment(place, debit)
    present = (await one.handle.describe()).typed_search_attributes.get(Attribute.REFERENCE.value)
    query = "SELECT number FROM finance.invoices WHERE payment_id = %s"
    [invoice] = await place.rows(query, debit["payment_id"])
    paid = [*announced, booked["gateway_payment_id"], invoice["number"]]
    assert present == [one.subscription_id, *paid]
    for quoted in (one.subscription_id, *paid):

        async def found(quoted: str = quoted) -> bool:
            return one.handle.id in await runs_of(place, quoted)

        await eventually(found, f"the run to be found by {quoted}")
    assert max(await longest_run(place.client, one.handle.id)) <= 40


async def test_a_mandate_that_takes_no_notice_costs_a_run_an_attempt(place: Town) -> None:
    one = await place.subscribe()
    await place.pay(one, token_id="token_GoneAtGateway1")
    await place.status(one, "active")
    await place.forward(one, timedelta(days=45))
    await place.status(one, "halted")
    assert await place.debits(one) == []
    assert max(await longest_run(place.client, one.handle.id)) <= 40


async def test_a_debit_that_the_bank_leaves_open_is_in_the_end_settled_by_finance(place: Town) -> None:
    one, debit = await undecided(place)
    # Nobody has to do anything: the bank has not answered, and no approval is due.
    assert (await payment(place, debit))["status"] == "created"
    assert await refusal(settle(place, one, DebitSettlement.CAPTURED)) == "not_awaiting_settlement"
    await place.forward(one, timedelta(days=4))
    assert not await attention(place, one)
    await place.forward(one, SCHEDULE - timedelta(days=4))
    await asked(place, one)
    assert (await payment(place, debit))["status"] == "unknown"
    said = DebitSettlement.CAPTURED
    assert await refusal(settle(place, one, said, role="support")) == "role_required"
    assert await refusal(settle(place, one, said, subject=one.user_id)) == "own_case"
    assert await refusal(settle(place, one, said, note_id=None)) == "evidence_required"
    another = await refusal(settle(place, one, said, gateway_payment_id="pay_another"))
    assert another == "gateway_payment_differs"
    answer = await settle(place, one, said)
    assert (answer["status"], (await place.row(one))["period"]) == ("active", 2)
    assert (await payment(place, debit))["status"] == "captured"
    assert [each["state"] for each in await place.debits(one)] == ["captured"]
    [entry] = await place.rows(
        "SELECT * FROM audit.trail WHERE action = 'subscription.debit_settled' AND %s = ANY(subjects)",
        debit["payment_id"],
    )
    assert (entry["actor"], entry["detail"]["outcome"]) == ("usr_0f1a", "captured")
    assert not await attention(place, one)


async def test_a_debit_that_finance_learns_has_failed_is_tried_again(place: Town) -> None:
    one, debit = await undecided(place)
    await place.forward(one, SCHEDULE)
    await asked(place, one)
    answer = await settle(place, one, DebitSettlement.FAILED)
    assert answer["status"] == "past_due"
    assert (await payment(place, debit))["status"] == "failed"
    await place.forward(one, timedelta(days=3))
    row = await place.status(one, "active")
    assert row["period"] == 2
    assert [each["state"] for each in await place.debits(one)] == ["failed", "captured"]
    assert len(await place.charges(one)) == 1


async def test_what_the_bank_says_while_a_person_is_asked_holds(place: Town) -> None:
    one, debit = await undecided(place)
    await place.forward(one, SCHEDULE)
    await asked(place, one)
    now = (await place.now(one)).isoformat()
    await place.control("/razorpay/debit", token_id=one.token_id, outcome="success", now=now)
    # No webhook tells of it: it is read on once a day.
    await place.forward(one, timedelta(days=1, hours=1))
    assert (await place.row(one))["period"] == 2
    assert (await payment(place, debit))["status"] == "captured"
    assert not await attention(place, one)


async def test_a_cancel_does_not_take_the_question_away_and_money_that_was_taken_goes_back(
    place: Town,
) -> None:
    one, debit = await undecided(place)
    await place.forward(one, SCHEDULE)
    await asked(place, one)
    assert (await place.command(one, "cancel"))["status"] == "cancelled"
    assert await attention(place, one)
    await settle(place, one, DebitSettlement.CAPTURED)
    # The gateway has nothing to give back yet: that is the refund's own story.
    query = "SELECT * FROM finance.refunds WHERE payment_id = %s"
    assert await eventually(lambda: place.rows(query, debit["payment_id"]), "the money to go back")
    assert (await place.row(one))["period"] == 1


@pytest.mark.campaign
async def test_a_gateway_that_cannot_be_read_for_six_days_is_not_asked_without_end(place: Town) -> None:
    one = await place.active()
    row = await place.row(one)
    await place.forward(one, row["current_period_end"] - row["current_period_start"] - timedelta(hours=1))
    [debit] = await place.debits(one)
    await place.control(
        "/faults", target="razorpay", match="create/recurring", fault="timeout_before", times=1, seconds=8
    )
    reads = f"{debit['gateway_order_id']}/payments"
    await place.control("/faults", target="razorpay", match=reads, fault="error_5xx", times=10**6)
    try:
        await place.forward(one, timedelta(days=6, hours=2))
        await asked(place, one)
        assert (await payment(place, debit))["status"] == "unknown"
        said = DebitSettlement.CAPTURED
        assert await refusal(settle(place, one, said)) == "gateway_payment_required"
        [first] = await place.rows(
            "SELECT gateway_payment_id FROM finance.payments WHERE payment_id = %s", row["payment_id"]
        )
        mistyped = await refusal(settle(place, one, said, gateway_payment_id=first["gateway_payment_id"]))
        assert mistyped == "gateway_payment_taken"
    finally:
        await place.http.post("/_control/faults/heal", json={"target": "razorpay"})
    # Once it can be read again it says, twice, that it has no such debit: it goes out anew after a notice.
    await place.forward(one, timedelta(days=5))
    row = await place.status(one, "active")
    assert row["period"] == 2
    assert [each["state"] for each in await place.debits(one)] == ["void", "captured"]
    assert len(await place.charges(one)) == 1
    assert (await one.handle.describe()).status is WorkflowExecutionStatus.RUNNING
