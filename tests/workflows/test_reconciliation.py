"""A settlement day on the real server: balanced to the paisa, each break found once and resolved once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import ist_date
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.reconciliation import Compared
from store import breaks
from temporal.schedules import RECONCILIATION, ensure_schedules
from tests.workflows.settlements import SettlementDay, decide, run_of, served
from tests.workflows.subscribers import Town, eventually, refusal, town


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made:
        async with served(made):
            yield made


@pytest.fixture
async def day(place: Town) -> SettlementDay:
    made = SettlementDay(place)
    await made.begin()
    return made


async def test_a_clean_day_is_balanced_to_the_paisa_and_a_rerun_changes_nothing(day: SettlementDay) -> None:
    paid = [await day.paid(amount) for amount in (1_999_00, 24_000_00, 33_333)]
    settled = await day.settle()
    first = await day.reconcile()
    assert (first.status, first.lines, first.matched, first.difference) == ("balanced", 3, 3, 0)
    gross, fees, tax = (sum(getattr(one, name) for one in paid) for name in ("amount", "fee", "tax"))
    expected = {
        "bank": settled["amount"],
        "gateway_clearing": -gross,
        "gateway_fees": fees - tax,
        "input_gst": tax,
    }
    assert await day.book() == expected
    again = await day.reconcile()
    assert again == first.model_copy(update={"version": again.version})
    assert await day.book() == expected


@pytest.mark.parametrize(
    ("kind", "given", "difference", "account"),
    [
        ("missing_line", {}, 1_999_00, "bad_debt"),
        ("extra_line", {"amount": 500_00}, -500_00, "reconciliation_gains"),
        ("wrong_amount", {"amount": 1_998_00}, 100, "bad_debt"),
        ("wrong_fee", {"amount": 50_00}, None, "bad_debt"),
    ],
)
async def test_each_kind_of_break_is_found_once_and_written_off_once(
    day: SettlementDay, kind: str, given: dict, difference: int | None, account: str
) -> None:
    one, _ = await day.paid(), await day.paid(5_000_00)
    await day.settle()
    if kind != "extra_line":
        given = {**given, "payment_id": one.id}
    await day.plant(kind, **given)
    if difference is None:
        difference = 50_00 - (one.fee or 0)
    compared = await day.reconcile()
    assert [(found.kind, found.difference) for found in compared.breaks] == [(kind, difference)]
    assert (compared.status, compared.difference) == ("open", difference)
    assert (await day.reconcile()).breaks == compared.breaks
    found = compared.breaks[0]
    handle = run_of(day, found)
    shown = (await handle.describe()).search_attributes
    assert shown["TreumNeedsAttention"] == [True]
    answer = await decide(day, found, "write_off")
    assert answer["status"] == "resolved"
    assert await handle.result() == "resolved"
    book = await day.book()
    assert book[account] == difference
    rerun = await day.reconcile()
    assert (rerun.status, rerun.difference, await day.book()) == ("resolved", 0, book)
    assert book["gateway_clearing"] == -6_999_00


async def test_above_fifty_thousand_two_people_decide(day: SettlementDay) -> None:
    one = await day.paid(60_000_00)
    await day.paid()
    await day.settle()
    await day.plant("missing_line", payment_id=one.id)
    compared = await day.reconcile()
    found = compared.breaks[0]
    assert (await decide(day, found, "claim_gateway"))["status"] == "awaiting_second"
    assert await refusal(decide(day, found, "claim_gateway")) == "same_person"
    assert await refusal(decide(day, found, "write_off", "usr_two")) == "resolution_differs"
    assert "gateway_claims" not in await day.book()
    assert (await decide(day, found, "claim_gateway", "usr_two"))["status"] == "resolved"
    assert (await day.book())["gateway_claims"] == 60_000_00
    async with day.town.database.reading() as connection:
        kept = await breaks.find(connection, found.break_id)
    assert kept is not None
    # What each of the two wrote.
    assert len(set(kept["note_ids"])) == 2


async def test_only_the_apis_signature_for_this_run_and_finance_decides(day: SettlementDay) -> None:
    one = await day.paid()
    await day.settle()
    await day.plant("wrong_fee", payment_id=one.id, amount=100_00)
    found = (await day.reconcile()).breaks[0]
    handle = run_of(day, found)
    other = day.decision("break:2031-01-01:wrong_fee:pay_x", "accept", "usr_one")
    wrong_role = day.decision(handle.id, "accept", "usr_one", role="support")
    forged = day.decision(handle.id, "accept", "usr_one")
    forged.assertion.assertion = forged.assertion.assertion.replace("usr_one", "usr_two")
    for decision in (other, forged):
        assert await refusal(handle.execute_update("resolve", decision)) == "assertion_invalid"
    assert await refusal(handle.execute_update("resolve", wrong_role)) == "role_required"
    assert (await decide(day, found, "accept"))["status"] == "resolved"
    # Accepting a fee books it as what it is: an expense and its GST.
    book = await day.book()
    assert book["gateway_fees"] + book["input_gst"] == 100_00


async def test_what_the_report_shows_later_is_booked_then_and_the_break_costs_nothing(
    day: SettlementDay,
) -> None:
    one = await day.paid()
    other = await day.paid(7_000_00)
    await day.settle()
    before: Compared = await day.reconcile()
    assert before.status == "balanced"
    await day.plant("wrong_amount", payment_id=one.id, amount=1_000_00)
    after = await day.reconcile()
    assert [found.difference for found in after.breaks] == [999_00]
    book = await day.book()
    assert book["bank"] == 1_000_00 - (one.fee or 0) + 7_000_00 - (other.fee or 0)
    assert book["gateway_clearing"] == -8_000_00


async def test_each_morning_in_india_the_day_before_is_compared(place: Town) -> None:
    await ensure_schedules(place.client, place.settings)
    await ensure_schedules(place.client, place.settings)
    schedule = place.client.get_schedule_handle(RECONCILIATION)
    policy = (await schedule.describe()).schedule.policy
    assert policy.catchup_window == timedelta(days=7)
    await schedule.trigger()
    yesterday = ist_date(datetime.now(UTC)) - timedelta(days=1)

    async def compared() -> list[dict]:
        query = "SELECT * FROM finance.reconciliations WHERE date = %s AND finished_at IS NOT NULL"
        return await place.rows(query, yesterday)

    await eventually(compared, "yesterday to be compared")
    run = place.client.get_workflow_handle(workflow_id(Kind.RECONCILIATION, yesterday.isoformat()))
    assert (await run.describe()).workflow_type == "Reconciliation"
