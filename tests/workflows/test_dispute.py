"""The dispute's process: what is held, what comes back, what is lost, and giving in, once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from cli.embedded import EmbeddedEngines
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayEvent
from models.messages.disputes import AcceptDispute, DisputeInput, WatchInput
from tests.workflows.shop import AMOUNT, Purchase, Shop, eventually, refusal, shop

TAX = 30493


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def bought(place: Shop, **given: Any) -> Purchase:
    """Paid, and taken up by what was bought."""
    one = await place.bought(**given)
    await place.rows(
        "UPDATE finance.user_subscriptions SET status = 'active' WHERE subscription_id = %s RETURNING 1",
        one.subscription_id,
    )
    return one


async def disputed(place: Shop, one: Purchase, **given: Any) -> tuple[str, WorkflowHandle[Any, Any]]:
    """The customer's bank opens a dispute, and the webhook's relay starts its process."""
    return await told(place, (await phase(place, one, "created", **given))["id"])


async def phase(place: Shop, one: Purchase, name: str, **given: Any) -> dict[str, Any]:
    gateway_payment = (await place.payment(one))["gateway_payment_id"]
    return await place.control("/razorpay/dispute", payment_id=gateway_payment, phase=name, **given)


async def told(place: Shop, dispute_id: str) -> tuple[str, WorkflowHandle[Any, Any]]:
    """As `temporal/events.py` does it: start and signal in one step."""
    handle = await place.client.start_workflow(
        "Dispute",
        DisputeInput(dispute_id=dispute_id, assertion_key=place.engines.settings.assertion_public_key),
        id=workflow_id(Kind.DISPUTE, dispute_id),
        task_queue=Queue.BILLING,
        start_signal="gateway_event",
        start_signal_args=[GatewayEvent(event_number=1)],
    )
    return dispute_id, handle


async def row(place: Shop, dispute_id: str, wanted: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        found = await place.rows("SELECT * FROM finance.disputes WHERE dispute_id = %s", dispute_id)
        return found[0] if found else {"status": None}

    return await eventually(read, lambda found: found["status"] == wanted)


def giving_in(place: Shop, dispute_id: str, subject: str, role: str = "finance") -> AcceptDispute:
    assertion = Assertion(
        subject=subject,
        role=role,
        workflow_id=workflow_id(Kind.DISPUTE, dispute_id),
        action="accept",
        expires_at=datetime.now(UTC) + LIFETIME,
    )
    key = place.engines.settings.assertion_key.get_secret_value()
    return AcceptDispute(assertion=sign(key, assertion))


async def heard(one: Purchase) -> list[str]:
    assert one.buyer is not None
    return [said["state"] for said in await one.buyer.query("heard") if said["signal"] == "disputed"]


async def test_a_dispute_holds_the_money_and_its_winner_gets_it_back(place: Shop) -> None:
    one = await bought(place)
    before = await place.book(one.payment_id)
    dispute_id, handle = await disputed(place, one)
    assert (await row(place, dispute_id, "open"))["amount"] == AMOUNT
    assert (await place.payment(one))["status"] == "disputed"
    held = await place.book(one.payment_id)
    assert (held["disputes"], held.get("gateway_clearing", 0)) == (AMOUNT, 0)
    needs = await eventually(
        lambda: handle.describe(), lambda run: "TreumNeedsAttention" in run.search_attributes
    )
    assert needs.search_attributes["TreumNeedsAttention"] == [True]
    await phase(place, one, "won")
    await place.hint(handle)
    assert (await handle.result())["status"] == "won"
    assert (await row(place, dispute_id, "won"))["lost"] == 0
    assert (await place.payment(one))["status"] == "captured"
    assert await place.book(one.payment_id) == before
    assert await heard(one) == ["opened", "won"]


async def test_a_lost_dispute_is_bad_debt_and_no_credit_note(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    await phase(place, one, "lost")
    await place.hint(handle)
    await handle.result()
    assert (await row(place, dispute_id, "lost"))["lost"] == AMOUNT
    assert (await place.payment(one))["status"] == "disputed"
    assert [document["kind"] for document in await place.documents(one)] == ["invoice"]
    book = await place.book(one.payment_id)
    assert book["bad_debt"] == AMOUNT
    assert {"disputes", "gateway_clearing"} & book.keys() == set()
    assert book["output_igst"] == -TAX
    assert await heard(one) == ["opened", "lost"]
    assert await refusal(place.refund(one, "finance", "usr_finance")) == "refund_exceeds_payment"


async def test_news_of_the_end_alone_opens_and_ends_it(place: Shop) -> None:
    one = await bought(place)
    dispute_id = (await phase(place, one, "created", amount=50_000))["id"]
    await phase(place, one, "lost")
    _, handle = await told(place, dispute_id)
    await handle.result()
    assert (await row(place, dispute_id, "lost"))["lost"] == 50_000
    book = await place.book(one.payment_id)
    assert (book["bad_debt"], book["gateway_clearing"]) == (50_000, AMOUNT - 50_000)
    assert await heard(one) == ["opened", "lost"]


async def test_a_dispute_waits_until_what_was_bought_has_heard_of_its_payment(place: Shop) -> None:
    one = await place.bought()
    dispute_id, handle = await disputed(place, one)
    await eventually(lambda: handle.describe(), lambda run: "TreumState" in run.search_attributes)
    assert await place.rows("SELECT 1 FROM finance.disputes WHERE dispute_id = %s", dispute_id) == []
    await place.rows(
        "UPDATE finance.user_subscriptions SET status = 'active' WHERE subscription_id = %s RETURNING 1",
        one.subscription_id,
    )
    await place.hint(handle)
    await row(place, dispute_id, "open")
    await phase(place, one, "won")
    await place.hint(handle)
    await handle.result()


async def test_finance_gives_in_once_however_its_answer_is_lost(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    await place.control(
        "/faults", target="razorpay", match="/accept", fault="timeout_after", times=1, seconds=0
    )
    mine = giving_in(place, dispute_id, "usr_support", role="support")
    assert await refusal(handle.execute_update("accept", mine)) == "role_required"
    own = giving_in(place, dispute_id, one.user_id)
    assert await refusal(handle.execute_update("accept", own)) == "own_case"
    await handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance"))
    assert (await handle.result())["status"] == "lost"
    found = await row(place, dispute_id, "lost")
    assert (found["approvers"], found["lost"]) == (["usr_finance"], AMOUNT)
    assert len(await place.effects("lost", dispute_id)) == 1
    tries = await place.rows("SELECT state FROM finance.attempts WHERE object_id = %s", dispute_id)
    assert [each["state"] for each in tries] == ["sent"]


async def test_two_people_give_up_a_large_amount(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    await place.rows(
        "UPDATE finance.disputes SET approvals_due = 2 WHERE dispute_id = %s RETURNING 1", dispute_id
    )
    first = giving_in(place, dispute_id, "usr_finance")
    answer = await handle.execute_update("accept", first)
    assert (answer["status"], answer["approvals"], answer["approvals_due"]) == ("open", 1, 2)
    assert await refusal(handle.execute_update("accept", first)) == "second_person_required"
    assert await place.effects("lost", dispute_id) == []
    await handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance2"))
    assert (await handle.result())["status"] == "lost"


async def test_no_refund_of_a_payment_whose_dispute_is_open(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    assert await refusal(place.refund(one, "finance", "usr_finance")) == "payment_disputed"
    await phase(place, one, "won")
    await place.hint(handle)
    await handle.result()
    refund_id, refunding = await place.refund(one, "finance", "usr_finance")
    await refunding.result()
    assert (await place.refund_row(refund_id, "processed"))["amount"] == AMOUNT


async def test_a_dispute_of_which_no_webhook_told_is_found(place: Shop) -> None:
    one, other = await bought(place), await bought(place)
    known, _ = await disputed(place, other)
    await row(place, known, "open")
    dispute_id = (await phase(place, one, "created"))["id"]
    given = WatchInput(assertion_key=place.engines.settings.assertion_public_key)
    watching = f"watch-{dispute_id}"
    found = await place.client.execute_workflow("DisputeWatch", given, id=watching, task_queue=Queue.BILLING)
    assert found >= 1
    await row(place, dispute_id, "open")
    again = await place.client.execute_workflow("DisputeWatch", given, id=watching, task_queue=Queue.BILLING)
    assert again == found - 1
    for each, told_by in ((one, dispute_id), (other, known)):
        await phase(place, each, "won")
        handle = place.client.get_workflow_handle(workflow_id(Kind.DISPUTE, told_by))
        await place.hint(handle)
        await handle.result()


async def test_evidence_is_with_the_bank_until_it_decides(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    keys = (await place.http.get("/_control/credentials")).json()["razorpay"]
    contested = await place.http.patch(
        f"/razorpay/v1/disputes/{dispute_id}/contest",
        json={"summary": "the lessons were opened", "action": "submit"},
        auth=httpx.BasicAuth(keys["key_id"], keys["key_secret"]),
    )
    assert contested.status_code == 200, contested.text
    await place.hint(handle)
    await row(place, dispute_id, "under_review")
    run = await eventually(
        handle.describe, lambda run: run.search_attributes.get("TreumNeedsAttention") == [False]
    )
    assert run.search_attributes["TreumState"] == ["under_review"]
    giving = handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance"))
    assert await refusal(giving) == "dispute_not_open"
    assert (await place.payment(one))["status"] == "disputed"
    await phase(place, one, "won")
    await place.hint(handle)
    assert (await handle.result())["status"] == "won"


async def test_giving_in_finds_that_the_bank_has_decided_already(place: Shop) -> None:
    one = await bought(place)
    dispute_id, handle = await disputed(place, one)
    await row(place, dispute_id, "open")
    await phase(place, one, "won")
    await handle.execute_update("accept", giving_in(place, dispute_id, "usr_finance"))
    assert (await handle.result())["status"] == "won"
    assert await place.effects("lost", dispute_id) == []
    assert await place.rows("SELECT 1 FROM finance.attempts WHERE object_id = %s", dispute_id) == []


async def test_a_dispute_of_no_payment_of_ours_is_shown_and_ends_with_the_gateways(place: Shop) -> None:
    one = await bought(place)
    dispute_id = (await phase(place, one, "created"))["id"]
    await phase(place, one, "lost")
    await place.rows(
        "UPDATE finance.payments SET gateway_payment_id = %s WHERE payment_id = %s RETURNING 1",
        *(f"pay_{dispute_id[-14:]}", one.payment_id),
    )
    _, handle = await told(place, dispute_id)
    await eventually(handle.describe, lambda run: "TreumState" in run.search_attributes)
    skipper = TimeSkipper(place.client, config=TimeSkippingConfig(enabled=False))
    await skipper.fast_forward(handle, timedelta(days=31))
    await handle.result()
    run = await eventually(handle.describe, lambda run: run.search_attributes["TreumState"] == ["foreign"])
    assert run.search_attributes["TreumNeedsAttention"] == [False]
    assert await place.rows("SELECT 1 FROM finance.disputes WHERE dispute_id = %s", dispute_id) == []
