"""Monitoring in the payment's process: refused, held for compliance, released, blocked, or given back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing._timeskipping import TimeSkipper

from cli.embedded import EmbeddedEngines
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.messages.billing import StaffDecision
from models.messages.monitoring import Settlement, SettlePayment
from store import identity_risk
from tests.workflows.shop import Purchase, Shop, attention, eventually, refusal, shop

HIGH = 60_000_00
DAYS_HELD = timedelta(days=4)


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Shop]:
    async with shop(engines, database) as made:
        yield made


async def tier(place: Shop, one: Purchase, tier: str) -> None:
    await place.rows(
        "UPDATE user_management.kyc_status SET tier = %s WHERE user_id = %s RETURNING 1", tier, one.user_id
    )


async def scored(place: Shop, one: Purchase, kind: str, score: int) -> None:
    now = datetime.now(UTC)
    async with place.database.transaction() as connection:
        await identity_risk.set_score(
            connection, user_id=one.user_id, kind=kind, score=score, source="test", set_by="usr_officer",
            now=now - timedelta(seconds=1), expires_at=now + timedelta(days=30),
        )  # fmt: skip


async def alerts(place: Shop, one: Purchase) -> list[dict[str, Any]]:
    return await place.rows(
        "SELECT * FROM finance.payment_alerts WHERE payment_id = %s ORDER BY flag", one.payment_id
    )


def decision(place: Shop, one: Purchase, action: str, **given: Any) -> StaffDecision:
    """Signed as the API signs it."""
    assertion = Assertion(
        subject=given.get("subject", "usr_officer"),
        role=given.get("role", "compliance"),
        workflow_id=f"payment:{given.get('of', one).payment_id}",
        action=given.get("signs", action),
        expires_at=given.get("until", datetime.now(UTC) + LIFETIME),
    )
    key = place.engines.settings.assertion_key.get_secret_value()
    return StaffDecision(assertion=sign(key, assertion), note_id="not_1")


async def reviewed(place: Shop) -> tuple[Purchase, WorkflowHandle[Any, Any], dict[str, Any]]:
    """A paid purchase of high value from a risky place: two flags."""
    one = await place.purchase(amount=HIGH)
    await tier(place, one, "intermediate")
    await scored(place, one, "location", 90)
    handle = await place.open(one)
    brought = await place.pay(one)
    assert (await place.confirm(handle, brought))["status"] == "review"
    return one, handle, brought


async def test_one_flag_is_told_and_holds_nothing_up(place: Shop) -> None:
    one = await place.purchase(amount=HIGH)
    await tier(place, one, "intermediate")
    handle = await place.open(one)
    assert (await place.confirm(handle, await place.pay(one)))["status"] == "captured"
    (alert,) = await alerts(place, one)
    assert (alert["flag"], alert["effect"], alert["stage"]) == ("HIGH_VALUE_TRANSACTION", "flag", "create")
    assert (alert["measured"], alert["allowed"]) == (HIGH, 50_000_00)
    assert (await place.payment(one))["flags"] == ["HIGH_VALUE_TRANSACTION"]
    told = await place.rows(
        "SELECT detail FROM audit.trail WHERE subjects @> ARRAY[%s] AND action = 'payment.flagged'",
        one.payment_id,
    )
    assert [entry["detail"]["flags"] for entry in told] == [["HIGH_VALUE_TRANSACTION"]]
    events = await place.rows("SELECT body FROM audit.outbox WHERE type = 'payment.flagged' AND key = %s", one.payment_id)  # fmt: skip # noqa: E501
    assert [event["body"] for event in events] == [{"payment_id": one.payment_id}]


async def test_above_two_lakh_compliance_holds_a_video_call_before_the_money_is_taken(place: Shop) -> None:
    one = await place.purchase(amount=3_00_000_00)
    await tier(place, one, "intermediate")
    handle = await place.open(one)
    brought = await place.pay(one)
    assert (await place.confirm(handle, brought))["status"] == "review"
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    (alert,) = await alerts(place, one)
    assert (alert["flag"], alert["effect"], alert["allowed"]) == (
        "HIGH_VALUE_TRANSACTION",
        "review",
        2_00_000_00,
    )
    await handle.execute_update("release", decision(place, one, "release"))
    await place.status(one, "captured")


async def test_a_released_payment_is_captured(place: Shop) -> None:
    one, handle, brought = await reviewed(place)
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    assert await attention(handle)
    assert len(await alerts(place, one)) == 2
    answer = await handle.execute_update("release", decision(place, one, "release"))
    assert answer["status"] in ("authorized", "captured")
    row = await place.status(one, "captured")
    assert row["failure_code"] is None
    assert len(await place.effects("captured", brought["razorpay_payment_id"])) == 1
    assert {(a["decision"], a["decided_by"], a["note_id"]) for a in await alerts(place, one)} == {
        ("released", "usr_officer", "not_1")
    }
    await handle.result()
    assert not await attention(handle)


async def test_a_blocked_payment_goes_back_and_the_customer_sees_a_neutral_code(place: Shop) -> None:
    one, handle, brought = await reviewed(place)
    answer = await handle.execute_update("block", decision(place, one, "block"))
    assert answer["status"] == "blocked"
    row = await place.status(one, "blocked")
    assert row["failure_code"] == "payment_declined"
    assert one.buyer is not None
    assert [said["signal"] for said in await one.buyer.query("heard")] == ["ended"]
    assert not await attention(handle)
    assert await refusal(handle.execute_update("release", decision(place, one, "release"))) == "not_in_review"
    # The bank lets the money go by itself.
    await place.control("/clock", now=(datetime.now(UTC) + DAYS_HELD).isoformat(), run=True)
    try:
        await TimeSkipper(place.client).fast_forward(handle, timedelta(hours=13))
        assert (await place.status(one, "refunded"))["failure_code"] == "payment_declined"
    finally:
        await place.control("/clock", now=datetime.now(UTC).isoformat(), run=True)
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    assert await place.documents(one) == []


@pytest.mark.parametrize("action", ["release", "block"])
@pytest.mark.parametrize("early", [True, False])
async def test_what_is_taken_at_the_gateway_is_delivered_only_by_the_decision(
    place: Shop, action: str, early: bool
) -> None:
    if early:
        one = await place.purchase(amount=HIGH)
        await tier(place, one, "intermediate")
        await scored(place, one, "location", 90)
        handle = await place.open(one)
        brought = await place.pay(one)
        await place.taken(brought, HIGH)
        assert (await place.confirm(handle, brought))["status"] == "review"
    else:
        one, handle, brought = await reviewed(place)
        await place.taken(brought, HIGH)
        await place.hint(handle)
    assert one.buyer is not None
    assert await attention(handle)
    assert await one.buyer.query("heard") == []
    await handle.execute_update(action, decision(place, one, action))
    await handle.result()
    heard = [said["signal"] for said in await one.buyer.query("heard")]
    assert (await place.documents(one))[0]["kind"] == "invoice"
    if action == "release":
        assert heard == ["captured"]
        assert (await place.payment(one))["status"] == "captured"
    else:
        await place.status(one, "refunded")
        assert "captured" not in heard
    assert {alert["decision"] for alert in await alerts(place, one)} == {f"{action.removesuffix('e')}ed"}


async def test_what_nobody_decides_is_escalated_and_then_lapses(place: Shop) -> None:
    one, handle, brought = await reviewed(place)
    skipper = TimeSkipper(place.client)
    await skipper.fast_forward(handle, timedelta(hours=24, minutes=5))
    escalated = await eventually(
        lambda: alerts(place, one), lambda found: all(a["escalated_at"] for a in found)
    )
    assert [alert["decision"] for alert in escalated] == [None, None]
    assert (await place.payment(one))["status"] == "review"
    assert await attention(handle)
    await skipper.fast_forward(handle, timedelta(hours=36))
    row = await place.status(one, "refund_pending")
    assert row["failure_code"] == "review_expired"
    assert {(a["decision"], a["decided_by"]) for a in await alerts(place, one)} == {("lapsed", "nobody")}
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    timeline = await place.rows(
        "SELECT status, source, code FROM finance.payment_timeline WHERE payment_id = %s ORDER BY number",
        one.payment_id,
    )
    assert [(t["status"], t["source"], t["code"]) for t in timeline][1:] == [
        ("authorized", "callback", None),
        ("review", "monitoring", None),
        ("refund_pending", "timer", "review_expired"),
    ]
    await handle.terminate()


@pytest.mark.parametrize(
    ("forged", "code"),
    [
        ({"role": "finance"}, "role_required"),
        ({"signs": "block"}, "assertion_invalid"),
        ({"until": datetime(2026, 1, 1, tzinfo=UTC)}, "assertion_invalid"),
        ({"subject": "customer"}, "own_case"),
    ],
)
async def test_only_a_signed_officer_releases(place: Shop, forged: dict[str, Any], code: str) -> None:
    one, handle, _ = await reviewed(place)
    given = {**forged, **({"subject": one.user_id} if "subject" in forged else {})}
    assert await refusal(handle.execute_update("release", decision(place, one, "release", **given))) == code
    assert (await place.payment(one))["status"] == "review"
    await handle.terminate()


async def test_a_release_of_what_is_no_longer_wanted_takes_nothing(place: Shop) -> None:
    one, handle, brought = await reviewed(place)
    await place.rows(
        "UPDATE finance.user_subscriptions SET status = 'cancelled' WHERE subscription_id = %s RETURNING 1",
        one.subscription_id,
    )
    await handle.execute_update("release", decision(place, one, "release"))
    assert (await place.status(one, "refund_pending"))["failure_code"] == "no_longer_wanted"
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    await handle.terminate()


async def test_a_fraud_score_refuses_before_and_blocks_after_the_money_is_held(place: Shop) -> None:
    early = await place.purchase()
    await scored(place, early, "fraud", 81)
    assert await refusal(place.open(early)) == "payment_declined"
    (alert,) = await alerts(place, early)
    assert (alert["flag"], alert["effect"]) == ("FRAUD_SCORE", "block")

    late = await place.purchase()
    handle = await place.open(late)
    await scored(place, late, "fraud", 95)
    brought = await place.pay(late)
    assert (await place.confirm(handle, brought))["status"] == "blocked"
    assert (await place.payment(late))["failure_code"] == "payment_declined"
    assert await place.effects("captured", brought["razorpay_payment_id"]) == []
    await handle.terminate()


async def test_an_expired_score_is_not_looked_at(place: Shop) -> None:
    one = await place.purchase()
    await scored(place, one, "fraud", 100)
    await place.rows(
        """UPDATE user_management.risk_scores SET set_at = now() - interval '2 days',
               expires_at = now() - interval '1 day' WHERE user_id = %s RETURNING 1""",
        one.user_id,
    )
    handle = await place.open(one)
    assert (await place.confirm(handle, await place.pay(one)))["status"] == "captured"


async def test_the_advanced_tier_is_reviewed_above_the_figures_and_not_blocked(place: Shop) -> None:
    one = await place.purchase(amount=8_00_000_00)
    await tier(place, one, "advanced")
    handle = await place.open(one)
    assert (await place.confirm(handle, await place.pay(one)))["status"] == "review"
    assert [a["flag"] for a in await alerts(place, one)] == ["DAILY_LIMIT_EXCEEDED", "HIGH_VALUE_TRANSACTION"]
    await handle.execute_update("release", decision(place, one, "release"))
    await place.status(one, "captured")


async def test_the_eleventh_payment_of_an_hour_is_flagged(place: Shop) -> None:
    first = await place.purchase(amount=1_00)
    handles = [await place.open(first)]
    for _ in range(9):
        handles.append(await place.open(await place.again(first, 1_00)))
    assert await alerts(place, first) == []
    last = await place.again(first, 1_00)
    handles.append(await place.open(last))
    assert [(a["flag"], a["measured"]) for a in await alerts(place, last)] == [("VELOCITY_EXCEEDED", 11)]
    await asyncio.gather(*(handle.terminate() for handle in handles))


async def test_a_large_payment_without_a_fresh_second_factor_is_refused_by_the_process_too(
    place: Shop,
) -> None:
    one = await place.purchase(amount=HIGH)
    await tier(place, one, "intermediate")
    assert await refusal(place.open(one, second_factor=False)) == "step_up_required"


@pytest.mark.parametrize("settlement", list(Settlement))
async def test_an_outcome_that_nobody_can_read_is_settled_by_a_person_with_evidence(
    place: Shop, settlement: Settlement
) -> None:
    one = await place.purchase()
    handle = await place.open(one)
    brought = await place.pay(one)
    await place.control("/faults", target="razorpay", match="/capture", fault="error_5xx", times=1)
    match = f"/orders/{one.order_id}/payments"
    await place.status(one, "created")

    def settled(**more: Any) -> SettlePayment:
        signed = decision(place, one, "settle", role="finance", until=datetime.now(UTC) + timedelta(days=9))
        return SettlePayment(
            **{"assertion": signed.assertion, "settlement": settlement, "note_id": "not_2", **more}
        )

    await place.confirm(handle, brought)
    assert (await place.status(one, "unknown"))["status"] == "unknown"
    assert await refusal(handle.execute_update("settle", settled())) == "not_awaiting_settlement"
    # From here on the gateway does not answer at all.
    await place.control("/faults", target="razorpay", match=match, fault="error_5xx", times=10_000)
    await TimeSkipper(place.client).fast_forward(handle, timedelta(days=6, hours=3))
    await eventually(lambda: attention(handle), bool)
    assert (await place.payment(one))["status"] == "unknown"
    if settlement is Settlement.CAPTURED:
        assert await refusal(handle.execute_update("settle", settled(note_id=None))) == "evidence_required"
    answer = await handle.execute_update("settle", settled())
    wanted = "captured" if settlement is Settlement.CAPTURED else "refund_pending"
    assert answer["status"] == wanted
    await eventually(lambda: attention(handle), lambda needed: not needed)
    assert len(await place.documents(one)) == (settlement is Settlement.CAPTURED)
