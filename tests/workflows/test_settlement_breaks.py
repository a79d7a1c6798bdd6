"""What a report may say wrongly besides amounts: tax, fees of refunds, payouts, what is held or left out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cli.embedded import EmbeddedEngines
from domain.billing_calendar import is_bank_day
from domain.reconciliation import DEBITS_DUE
from models.messages.reconciliation import Compared
from tests.workflows.settlements import SettlementDay, decide, run_of, served
from tests.workflows.subscribers import Town, town


@pytest.fixture(scope="module")
async def place(engines: EmbeddedEngines, database: str) -> AsyncIterator[Town]:
    async with town(engines, database, serve=False) as made, served(made):
        yield made


@pytest.fixture
async def day(place: Town) -> SettlementDay:
    made = SettlementDay(place)
    # The fortnight after it is this test's too: debits are looked for some bank days later.
    for _ in range(2):
        SettlementDay(place)
    await made.begin()
    return made


def kinds(compared: Compared) -> list[tuple[str, int]]:
    return [(found.kind, found.difference) for found in compared.breaks]


async def test_a_wrong_tax_is_a_break_though_the_fee_is_right(day: SettlementDay) -> None:
    one = await day.paid()
    await day.settle()
    await day.plant("wrong_tax", payment_id=one.id, amount=(one.tax or 0) + 7)
    compared = await day.reconcile()
    assert (compared.status, kinds(compared)) == ("open", [("wrong_fee", 0)])
    before = await day.book()
    assert before["input_gst"] == one.tax
    [found] = compared.breaks
    assert found.difference_tax == 7
    [row] = await day.town.rows("SELECT * FROM finance.breaks WHERE break_id = %s", found.break_id)
    assert (row["expected"], row["found"], row["difference_tax"]) == (one.tax, (one.tax or 0) + 7, 7)
    await decide(day, found, "accept")
    assert await run_of(day, found).result() == "resolved"
    after = await day.book()
    assert after["input_gst"] == before["input_gst"] + 7
    assert after["gateway_fees"] == before["gateway_fees"] - 7
    assert after["gateway_clearing"] == before["gateway_clearing"]
    again = await day.reconcile()
    assert (again.status, again.breaks, await day.book()) == ("resolved", [], after)
    # The report is put right after all: what was accepted is taken back by a decision too.
    await day.plant("wrong_tax", payment_id=one.id, amount=one.tax)
    [back] = (await day.reconcile()).breaks
    await decide(day, back, "accept")
    assert await day.book() == before


@pytest.mark.parametrize("resolution", ["claim_gateway", "write_off", "post_adjustment"])
async def test_a_wrong_tax_that_is_not_accepted_moves_nothing_and_waits_for_nobody(
    day: SettlementDay, resolution: str
) -> None:
    one = await day.paid()
    await day.settle()
    await day.plant("wrong_tax", payment_id=one.id)
    [found] = (await day.reconcile()).breaks
    before = await day.book()
    assert (await decide(day, found, resolution))["claim"] is None
    assert await run_of(day, found).result() == "resolved"
    again = await day.reconcile()
    assert (again.status, await day.book()) == ("resolved", before)


async def test_a_fee_on_a_refund_is_a_break(day: SettlementDay) -> None:
    one = await day.paid()
    refund = await day.refunded(one, 500_00)
    await day.settle()
    planted = await day.plant("wrong_fee", payment_id=refund, amount=5_90)
    assert (planted["applied"], planted["after"]["debit"]) == (True, 505_90)
    compared = await day.reconcile()
    assert kinds(compared) == [("wrong_fee", 5_90)]
    await decide(day, compared.breaks[0], "write_off")
    book = await day.book()
    assert (book["bad_debt"], book["gateway_clearing"]) == (5_90, -1_499_00)
    assert book["gateway_fees"] == (one.fee or 0) - (one.tax or 0)


async def test_a_capture_that_told_no_fee_may_cost_the_list_price_and_no_more(day: SettlementDay) -> None:
    one, other = await day.paid(), await day.paid(2_999_00)
    query = (
        "UPDATE finance.payments SET fee = NULL, tax = NULL WHERE gateway_payment_id = ANY(%s) RETURNING 1"
    )
    await day.town.rows(query, [one.id, other.id])
    await day.settle()
    assert (await day.reconcile()).status == "balanced"
    await day.plant("wrong_fee", payment_id=other.id, amount=(other.fee or 0) + 1_00)
    assert kinds(await day.reconcile()) == [("wrong_fee", 1_00)]


@pytest.mark.parametrize("short", [1_00, -2_00])
async def test_a_payout_that_differs_from_its_lines_is_a_break(day: SettlementDay, short: int) -> None:
    await day.paid(), await day.paid(5_000_00)
    settled = await day.settle()
    await day.plant("wrong_payout", amount=settled["amount"] - short)
    compared = await day.reconcile()
    assert (compared.status, compared.matched, kinds(compared)) == ("open", 2, [("wrong_amount", short)])
    [found] = compared.breaks
    assert (found.reference, found.utr) == (settled["settlement_id"], settled["utr"])
    book = await day.book()
    # The bank has what was paid; what is missing of it stands on clearing until somebody decides.
    assert (book["bank"], book["gateway_clearing"]) == (settled["amount"] - short, short - 6_999_00)
    assert (await day.reconcile()).breaks == compared.breaks
    await decide(day, found, "write_off")
    assert (await day.book())["gateway_clearing"] == -6_999_00
    again = await day.reconcile()
    assert (again.status, again.breaks) == ("resolved", [])
    # The gateway's list is put right: the bank follows it, and what was written off comes back as a break.
    await day.plant("wrong_payout", amount=settled["amount"])
    assert kinds(await day.reconcile()) == [("wrong_amount", -short)]
    assert (await day.book())["bank"] == settled["amount"]


async def test_what_a_line_explains_of_a_payout_is_no_second_break(day: SettlementDay) -> None:
    one, two, three = await day.paid(), await day.paid(5_000_00), await day.paid(7_000_00)
    settled = await day.settle()
    await day.plant("missing_line", payment_id=one.id)
    await day.plant("wrong_fee", payment_id=two.id, amount=(two.fee or 0) + 5_00)
    await day.plant("extra_line", amount=300_00)
    compared = await day.reconcile()
    assert sorted(found.kind for found in compared.breaks) == ["extra_line", "missing_line", "wrong_fee"]
    await day.plant("wrong_payout", payment_id=three.id, amount=settled["amount"] - 40)
    more = await day.reconcile()
    assert [(found.kind, found.reference, found.difference) for found in more.breaks if found.utr is not None
            and found.reference == settled["settlement_id"]] == [
        ("wrong_amount", settled["settlement_id"], 40)
    ]  # fmt: skip


async def test_a_payout_without_lines_and_lines_without_a_payout_are_breaks(day: SettlementDay) -> None:
    """The report names a settlement that the gateway's list does not know: nothing of it is at the bank."""
    one = await day.paid()
    settled = await day.settle()
    taken = await day.plant("missing_line", payment_id=one.id)
    elsewhere = taken["before"] | {"settlement_id": "setl_NobodyKnows000", "settlement_utr": None}
    await day.town.control("/razorpay/line", date=day.date.isoformat(), line=elsewhere)
    compared = await day.reconcile()
    net = one.amount - (one.fee or 0)
    found = {each.reference: (each.kind, each.difference) for each in compared.breaks}
    assert found == {
        settled["settlement_id"]: ("wrong_amount", -net), "setl_NobodyKnows000": ("wrong_amount", net),
    }  # fmt: skip
    assert (await day.book())["bank"] == settled["amount"]


@pytest.mark.parametrize("lines_first", [True, False])
async def test_a_settlement_listed_on_one_day_with_its_lines_on_another_is_booked_once(
    day: SettlementDay, lines_first: bool
) -> None:
    following, settled = await day.listed_a_day_late()
    first, second = (day, following) if lines_first else (following, day)
    alone = await first.reconcile()
    wrong = settled["amount"] if lines_first else -settled["amount"]
    assert (alone.status, kinds(alone)) == ("open", [("wrong_amount", wrong)])
    assert (await second.reconcile()).status == "balanced"
    # Nothing of the first was read again: the second day's reading mends it, tells its break, and books.
    assert await run_of(first, alone.breaks[0]).result() == "resolved"
    days = await day.town.rows(
        "SELECT status, reading FROM finance.reconciliations WHERE date = ANY(%s)", [day.date, following.date]
    )
    assert [tuple(row.values()) for row in days] == [("balanced", 1), ("balanced", 1)]
    books = [await day.book(), await following.book()]
    assert sum(book.get("bank", 0) for book in books) == settled["amount"]
    assert sum(book.get("gateway_clearing", 0) for book in books) == -6_999_00
    assert books[1] == {}
    for again in (first, second):
        assert (await again.reconcile()).status == "balanced"
    assert [await day.book(), await following.book()] == books


@pytest.mark.parametrize("lines_first", [True, False])
async def test_what_was_decided_before_the_other_day_was_read_comes_back_as_a_break(
    day: SettlementDay, lines_first: bool
) -> None:
    following, settled = await day.listed_a_day_late()
    first, second = (day, following) if lines_first else (following, day)
    [found] = (await first.reconcile()).breaks
    await decide(first, found, "accept")
    assert (await second.reconcile()).status == "balanced"
    [back] = await day.town.rows(
        "SELECT * FROM finance.breaks WHERE date = %s AND status = 'open'", first.date
    )
    assert (back["reference"], back["difference"]) == (f"{settled['settlement_id']}~2", -found.difference)
    [again] = (await first.reconcile()).breaks
    await decide(first, again, "accept")
    books = [await day.book(), await following.book()]
    assert sum(book.get("bank", 0) for book in books) == settled["amount"]
    assert sum(book.get("reconciliation_suspense", 0) for book in books) == 0


async def test_two_days_that_share_a_settlement_are_compared_at_once(day: SettlementDay) -> None:
    following, settled = await day.listed_a_day_late()
    await asyncio.gather(day.reconcile(), following.reconcile())
    rows = await day.town.rows(
        "SELECT status FROM finance.reconciliations WHERE date = ANY(%s)", [day.date, following.date]
    )
    assert [row["status"] for row in rows] == ["balanced", "balanced"]
    books = [await day.book(), await following.book()]
    assert sum(book.get("bank", 0) for book in books) == settled["amount"]


async def test_a_line_on_hold_is_booked_nowhere_until_it_is_settled(day: SettlementDay) -> None:
    one, other = await day.paid(), await day.paid(5_000_00)
    settled = await day.settle()
    net = (one.fee or 0) - one.amount
    planted = await day.plant("unsettled_line", payment_id=one.id)
    await day.plant("wrong_payout", payment_id=other.id, amount=settled["amount"] + net)
    compared = await day.reconcile()
    assert (compared.lines, kinds(compared)) == (1, [("missing_line", 1_999_00)])
    assert (await day.book())["bank"] == other.amount - (other.fee or 0)
    rows = await day.town.rows("SELECT * FROM finance.settlements WHERE date = %s", day.date)
    assert [row["settlement_id"] for row in rows] == [settled["settlement_id"]]
    following = day.after()
    await day.town.control("/razorpay/line", date=following.date.isoformat(), line=planted["before"])
    # Settled the day after, the gateway's list says so too.
    await day.plant("wrong_payout", payment_id=other.id, amount=settled["amount"])
    assert (await following.reconcile()).status == "balanced"
    assert await run_of(day, compared.breaks[0]).result() == "resolved"


def _later(day: SettlementDay, bank_days: int) -> SettlementDay:
    on = day.date
    for _ in range(bank_days):
        on += timedelta(days=1)
        while not is_bank_day(on):
            on += timedelta(days=1)
    return SettlementDay(day.town, on)


async def test_a_refund_that_is_never_deducted_is_missing_after_some_days(day: SettlementDay) -> None:
    one = await day.paid(5_000_00)
    refund = await day.refunded(one, 1_200_00)
    await day.settle()
    planted = await day.plant("missing_line", payment_id=refund)
    await day.plant("wrong_payout", payment_id=one.id, amount=one.amount - (one.fee or 0))
    assert (await day.reconcile()).status == "balanced"
    due = DEBITS_DUE[-1][1]
    assert (await _later(day, due - 1).reconcile()).breaks == []
    late = _later(day, due)
    compared = await late.reconcile()
    [found] = compared.breaks
    assert (found.kind, found.reference, found.difference) == ("missing_line", refund, -1_200_00)
    assert (await late.reconcile()).breaks == compared.breaks
    assert (await _later(day, due + 1).reconcile()).breaks == []
    # It comes after all, and the break ends by itself.
    after = _later(day, due + 2)
    line = planted["before"] | {"settlement_id": "setl_Late0000000000"}
    await day.town.control("/razorpay/line", date=after.date.isoformat(), line=line)
    arrived = await after.reconcile()
    assert (arrived.matched, kinds(arrived)) == (1, [("wrong_amount", -1_200_00)])
    assert await run_of(late, found).result() == "resolved"


async def test_a_refund_that_the_bank_sends_back_is_waited_for_no_more(day: SettlementDay) -> None:
    one = await day.paid(5_000_00)
    refund = await day.refunded(one, 1_200_00)
    await day.settle()
    await day.plant("missing_line", payment_id=refund)
    await day.reconcile()
    late = _later(day, DEBITS_DUE[-1][1])
    [found] = (await late.reconcile()).breaks
    await day.town.rows(
        "UPDATE finance.refunds SET returned_at = %s WHERE gateway_refund_id = %s RETURNING refund_id",
        late.at(20), refund,
    )  # fmt: skip
    assert (await late.after().reconcile()).breaks == []
    assert await run_of(late, found).result() == "resolved"


@pytest.mark.parametrize(("resolution", "kind"), [("claim_gateway", None), ("write_off", "extra_line")])
async def test_a_lost_dispute_that_is_never_deducted_is_missing_too(
    day: SettlementDay, resolution: str, kind: str | None
) -> None:
    one, _ = await day.paid(5_000_00), await day.paid(9_000_00)
    opened = await day.lost_dispute(one.id)
    await day.settle()
    await day.reconcile()
    late = _later(day, DEBITS_DUE[-1][1])
    [found] = (await late.reconcile()).breaks
    assert (found.kind, found.reference, found.difference) == ("missing_line", opened["id"], -2_000_00)
    await decide(late, found, resolution)
    # The gateway decides the dispute at last, and deducts it.
    after = late.after()
    await day.town.control("/razorpay/dispute", payment_id=one.id, phase="lost", now=after.at(9).isoformat())
    await (other := SettlementDay(day.town, after.date)).paid(9_000_00)
    await other.settle()
    assert [each.kind for each in (await after.reconcile()).breaks] == ([kind] if kind else [])
    assert await run_of(late, found).result() == "resolved"
