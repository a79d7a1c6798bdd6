"""What becomes of a difference: mended, changed, decided, claimed, paid; clearing always comes out even."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

import activities.reconciliation
import workflows.reconciliation
from cli.embedded import EmbeddedEngines
from domain.reconciliation import BreakKind, break_id
from models.contracts.identifiers import Prefix, mint
from models.messages.reconciliation import Found
from store import proof
from tests.workflows.settlements import SettlementDay, decide, run_of, served
from tests.workflows.settlements import activities as activities_of
from tests.workflows.subscribers import Town, eventually, refusal, town


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made, served(made):
        yield made


@pytest.fixture
async def day(place: Town) -> SettlementDay:
    made = SettlementDay(place)
    await made.begin()
    return made


async def net(town: Town, *days: SettlementDay) -> dict[str, int]:
    """The books of some days together."""
    books = [await each.book() for each in days]
    accounts = {account for book in books for account in book}
    added = {account: sum(book.get(account, 0) for book in books) for account in accounts}
    return {account: amount for account, amount in added.items() if amount}


async def shown(handle: WorkflowHandle, attribute: str) -> list:
    return list((await handle.describe()).search_attributes.get(attribute, []))


async def test_a_line_that_comes_a_day_late_closes_its_break_by_itself(day: SettlementDay) -> None:
    one, _ = await day.paid(), await day.paid(5_000_00)
    await day.settle()
    planted = await day.plant("missing_line", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    late = await following.reconcile()
    assert (late.status, late.matched, late.breaks) == ("balanced", 1, [])
    handle = run_of(day, found)
    assert await handle.result() == "resolved"
    assert await shown(handle, "TreumNeedsAttention") == [False]
    [row] = await day.town.rows("SELECT * FROM finance.breaks WHERE break_id = %s", found.break_id)
    assert (row["ended"], row["resolution"], row["booked"]) == ("mended", None, 0)
    [first] = await day.town.rows("SELECT status FROM finance.reconciliations WHERE date = %s", day.date)
    assert first["status"] == "balanced"
    assert (await net(day.town, day, following))["gateway_clearing"] == -6_999_00
    assert (await day.reconcile()).breaks == []


async def test_a_corrected_report_mends_the_break_and_the_day(day: SettlementDay) -> None:
    one, fee = await day.paid(), 0
    fee = one.fee or 0
    await day.settle()
    await day.plant("wrong_fee", payment_id=one.id, amount=fee + 100)
    [found] = (await day.reconcile()).breaks
    await day.plant("wrong_fee", payment_id=one.id, amount=fee)
    again = await day.reconcile()
    assert (again.status, again.difference) == ("balanced", 0)
    assert await run_of(day, found).result() == "resolved"
    with pytest.raises(RPCError, match="already completed"):
        await decide(day, found, "accept")
    assert (await day.book())["gateway_clearing"] == -one.amount


async def test_another_figure_is_decided_anew_by_two_people(day: SettlementDay) -> None:
    one, _ = await day.paid(90_000_00), await day.paid()
    await day.settle()
    await day.plant("wrong_amount", payment_id=one.id, amount=20_000_00)
    [found] = (await day.reconcile()).breaks
    assert (await decide(day, found, "write_off"))["status"] == "awaiting_second"
    await day.plant("wrong_amount", payment_id=one.id, amount=10_000_00)
    [changed] = (await day.reconcile()).breaks
    assert (changed.break_id, changed.difference, changed.status) == (found.break_id, 80_000_00, "open")
    handle = run_of(day, found)

    async def heard() -> list[dict]:
        return [{}] if await shown(handle, "TreumAmount") == [80_000_00] else []

    await eventually(heard, "the break to hear of the new figure")
    assert (await decide(day, found, "write_off", "usr_two"))["status"] == "awaiting_second"
    assert (await decide(day, found, "write_off", "usr_one"))["status"] == "resolved"
    assert (await day.book())["bad_debt"] == 80_000_00


async def test_what_changes_after_the_decision_is_a_new_break(day: SettlementDay) -> None:
    one = await day.paid()
    await day.settle()
    await day.plant("wrong_amount", payment_id=one.id, amount=1_900_00)
    [found] = (await day.reconcile()).breaks
    await decide(day, found, "post_adjustment")
    await day.plant("wrong_amount", payment_id=one.id, amount=1_950_00)
    second = await day.reconcile()
    [more] = [each for each in second.breaks if each.status != "resolved"]
    assert (more.difference, more.reference) == (-50_00, f"{found.reference}~2")
    assert second.difference == -50_00
    await decide(day, more, "post_adjustment")
    book = await day.book()
    assert (book["gateway_clearing"], book["reconciliation_losses"]) == (-1_999_00, 99_00)
    assert book["reconciliation_gains"] == -50_00
    assert (await day.reconcile()).status == "resolved"
    assert await day.book() == book


async def test_an_adjustment_pays_the_claim_and_ends_its_break(day: SettlementDay) -> None:
    one = await day.paid()
    await day.settle()
    await day.plant("wrong_amount", payment_id=one.id, amount=1_500_00)
    [found] = (await day.reconcile()).breaks
    await decide(day, found, "claim_gateway")
    handle = run_of(day, found)
    assert (await day.book())["gateway_claims"] == 499_00

    async def claimed() -> list[dict]:
        return [{}] if await shown(handle, "TreumState") == ["claimed"] else []

    await eventually(claimed, "the break to wait for the gateway")
    assert await shown(handle, "TreumNeedsAttention") == [False]
    assert await refusal(decide(day, found, "claim_gateway", "usr_two")) == "already_resolved"
    following = day.after()
    for _ in range(2):
        # The second of the two belongs to nothing: a claim is paid once.
        await day.town.control(
            "/razorpay/adjust", payment_id=one.id, amount=499_00, now=following.at(12).isoformat()
        )
    await following.settle()
    paid = await following.reconcile()
    assert (paid.lines, paid.matched) == (2, 1)
    assert [each.kind for each in paid.breaks] == ["extra_line"]
    assert await handle.result() == "resolved"
    book = await net(day.town, day, following)
    assert "gateway_claims" not in book
    assert book["gateway_clearing"] == -1_999_00 - 499_00
    assert await following.reconcile() == paid.model_copy(update={"version": (await _version(following))})
    assert await net(day.town, day, following) == book


async def test_a_claim_that_is_never_paid_is_given_up_by_two_people(day: SettlementDay) -> None:
    one, _ = await day.paid(60_000_00), await day.paid()
    await day.settle()
    planted = await day.plant("missing_line", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    for subject in ("usr_one", "usr_two"):
        await decide(day, found, "claim_gateway", subject)
    assert (await decide(day, found, "write_off"))["status"] == "awaiting_second"
    assert await refusal(decide(day, found, "write_off")) == "same_person"
    assert await refusal(decide(day, found, "accept", "usr_two")) == "resolution_differs"
    assert (await day.book())["gateway_claims"] == 60_000_00
    answer = await decide(day, found, "write_off", "usr_two")
    assert (answer["status"], answer["resolution"], answer["claim"]) == ("resolved", "write_off", "given_up")
    assert await run_of(day, found).result() == "resolved"
    book = await day.book()
    assert (book["bad_debt"], book["gateway_clearing"]) == (60_000_00, -61_999_00)
    assert "gateway_claims" not in book
    # Nobody expects it any more: where it comes, finance is asked what it is.
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    assert [each.kind for each in (await following.reconcile()).breaks] == ["extra_line"]


async def test_a_claim_that_was_paid_outside_of_the_settlements_is_paid_once(day: SettlementDay) -> None:
    one, _ = await day.paid(60_000_00), await day.paid()
    await day.settle()
    planted = await day.plant("missing_line", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    assert await refusal(decide(day, found, "paid_outside")) == "not_claimed"
    for subject in ("usr_one", "usr_two"):
        await decide(day, found, "claim_gateway", subject)
    before = (await day.book())["bank"]
    assert (await decide(day, found, "paid_outside"))["status"] == "awaiting_second"
    assert (await decide(day, found, "paid_outside", "usr_two"))["claim"] == "given_up"
    assert await run_of(day, found).result() == "resolved"
    book = await day.book()
    assert (book["bank"], book["gateway_clearing"]) == (before + 60_000_00, -61_999_00)
    assert "gateway_claims" not in book
    async with day.town.database.reading() as connection:
        assert not {"the bank is what was settled", "claims are what was claimed"} & {
            name for name, wrong in (await proof.proven(connection)).items() if wrong
        }
    # The gateway settles it as well: finance is asked, and the claim is not credited again.
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    assert [each.kind for each in (await following.reconcile()).breaks] == ["extra_line"]
    assert (await day.book()) == book


async def test_a_claim_whose_payment_is_taken_back_is_waited_for_again(day: SettlementDay) -> None:
    one, _ = await day.paid(), await day.paid(5_000_00)
    await day.settle()
    planted = await day.plant("missing_line", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    await decide(day, found, "claim_gateway")
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    await following.reconcile()
    handle = run_of(day, found)
    assert await handle.result() == "resolved"
    await following.plant("missing_line", payment_id=one.id)
    assert (await following.reconcile()).lines == 0
    assert (await day.book())["gateway_claims"] == 1_999_00
    # The run that saw it paid has ended: another waits, so that somebody can act.
    assert (await decide(day, found, "write_off"))["claim"] == "given_up"
    assert await handle.result() == "resolved"
    book = await net(day.town, day, following)
    assert (book["bad_debt"], "gateway_claims" in book) == (1_999_00, False)


async def _version(day: SettlementDay) -> int:
    [row] = await day.town.rows("SELECT version FROM finance.reconciliations WHERE date = %s", day.date)
    return int(row["version"])


@pytest.mark.parametrize(("resolution", "kinds"), [("claim_gateway", []), ("write_off", ["extra_line"])])
async def test_a_missing_payment_that_comes_after_all(
    day: SettlementDay, resolution: str, kinds: list[str]
) -> None:
    """It pays the claim; where nobody expected it any more, finance is asked what it is."""
    one, _ = await day.paid(), await day.paid(5_000_00)
    await day.settle()
    planted = await day.plant("missing_line", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    await decide(day, found, resolution)
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    late = await following.reconcile()
    assert [each.kind for each in late.breaks] == kinds
    assert await run_of(day, found).result() == "resolved"
    for extra in late.breaks:
        assert extra.difference == -1_999_00
        await decide(following, extra, "post_adjustment")
    book = await net(day.town, day, following)
    assert book["gateway_clearing"] == -6_999_00
    assert "gateway_claims" not in book


async def test_a_lost_dispute_is_deducted_as_the_book_expects(day: SettlementDay) -> None:
    one, _ = await day.paid(5_000_00), await day.paid(9_000_00)
    await day.lost_dispute(one.id)
    await day.town.control("/razorpay/dispute", payment_id=one.id, phase="lost", now=day.at(14).isoformat())
    settled = await day.settle()
    compared = await day.reconcile()
    assert (compared.status, compared.lines, compared.matched) == ("balanced", 3, 3)
    assert (await day.book())["bank"] == settled["amount"]


@pytest.mark.parametrize("later", [0, 1])
async def test_a_dispute_that_is_deducted_twice_is_an_extra_line(day: SettlementDay, later: int) -> None:
    """Whatever the gateway calls the second line, and on whichever day it comes."""
    one, _ = await day.paid(5_000_00), await day.paid(9_000_00)
    await day.lost_dispute(one.id)
    await day.town.control("/razorpay/dispute", payment_id=one.id, phase="lost", now=day.at(14).isoformat())
    await day.settle()
    [line] = [
        each
        for each in activities_of(day.town)._gateway.report(day.date, 0)
        if each.dispute_id and each.debit
    ]
    taken = await day.plant("missing_line", payment_id=line.entity_id)
    on = day.after(later)
    for each, name in ((day, line.entity_id), (on, "adj_TwiceDeducted00")):
        again = taken["before"] | {"entity_id": name}
        await day.town.control("/razorpay/line", date=each.date.isoformat(), line=again)
    if later:
        assert (await day.reconcile()).status == "balanced"
    found = {
        each.reference.split(".")[0]: (each.kind, each.difference) for each in (await on.reconcile()).breaks
    }
    assert found["adj_TwiceDeducted00"] == ("extra_line", line.debit)
    assert line.entity_id not in found


async def test_refunds_and_those_that_the_bank_sends_back_agree(day: SettlementDay) -> None:
    one = await day.paid(5_000_00)
    refund = await day.refunded(one, 1_200_00)
    settled = await day.settle()
    compared = await day.reconcile()
    assert (compared.status, compared.matched) == ("balanced", 2)
    assert (await day.book())["bank"] == settled["amount"]
    following = day.after()
    now = following.at(12).isoformat()
    await day.town.control("/razorpay/refund", refund_id=refund, outcome="failed", now=now)
    await following.settle()
    unknown = await following.reconcile()
    assert [each.kind for each in unknown.breaks] == ["extra_line"]
    # Once the refund's own process has heard of it, the line is what it waited for.
    await day.town.rows(
        "UPDATE finance.refunds SET returned_at = %s WHERE gateway_refund_id = %s RETURNING refund_id",
        following.at(13), refund,
    )  # fmt: skip
    known = await following.reconcile()
    assert (known.status, known.matched) == ("balanced", 1)
    assert await run_of(following, unknown.breaks[0]).result() == "resolved"


async def test_a_day_of_many_breaks_is_told_in_pages_and_in_several_runs(
    day: SettlementDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities.reconciliation, "TOLD", 2)
    monkeypatch.setattr(workflows.reconciliation, "TOLD_A_RUN", 3)
    for number in range(5):
        await day.plant("extra_line", amount=100_00 + number)
    compared = await day.reconcile()
    assert (compared.lines, compared.matched, len(compared.breaks)) == (5, 0, 2)
    rows = await day.town.rows("SELECT * FROM finance.breaks WHERE date = %s", day.date)
    assert len(rows) == 5
    for row in rows:
        handle = run_of(day, Found.model_validate(row))

        async def asks(handle: WorkflowHandle = handle) -> list[dict]:
            return [{}] if await shown(handle, "TreumNeedsAttention") == [True] else []

        await eventually(asks, "the break to wait for somebody")


async def test_a_run_is_found_by_utr_settlement_payment_and_break(day: SettlementDay) -> None:
    one = await day.paid()
    settled = await day.settle()
    await day.plant("wrong_fee", payment_id=one.id, amount=99_00)
    [found] = (await day.reconcile()).breaks
    run = day.town.client.get_workflow_handle(f"reconciliation:{day.date.isoformat()}")
    assert set(await shown(run, "TreumReference")) == {settled["settlement_id"], settled["utr"]}
    [payment] = await day.town.rows(
        "SELECT payment_id FROM finance.payments WHERE gateway_payment_id = %s", one.id
    )
    wanted = {found.break_id, one.id, payment["payment_id"], settled["utr"]}

    async def findable() -> bool:
        return set(await shown(run_of(day, found), "TreumReference")) == wanted

    await eventually(findable, "the break's run to be findable")


async def test_the_database_gives_a_break_the_id_that_the_rules_give_it(day: SettlementDay) -> None:
    await day.plant("extra_line", amount=7_00)
    [found] = (await day.reconcile()).breaks
    assert found.break_id == break_id(day.date, BreakKind(found.kind), found.reference)


async def test_postgres_refuses_a_line_that_agrees_and_does_not(day: SettlementDay) -> None:
    wrong = """INSERT INTO finance.settlement_lines (settlement_id, entity_id, occurrence, date, kind, amount,
                   debit, credit, fee, tax, verdict, expected, expected_fee)
               VALUES (%s, 'pay_x', 1, %s, 'payment', 100, 0, 97, 2, 0, 'matched', 100, 2) RETURNING 1"""
    with pytest.raises(Exception, match="settlement_lines_agree"):
        await day.town.rows(wrong, mint(Prefix.PAYMENT), date(2099, 1, 1) + timedelta(days=1))
