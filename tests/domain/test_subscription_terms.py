"""What a cut period leaves, what a family may pay, and when a debit may leave."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import billing_calendar as calendar
from domain import fee_cap, gst
from domain.billing_calendar import IST, Cycle, ist_date
from domain.proration import unexpired
from models.messages.subscription_state import Mandate, PlanTerms, SubscriptionState

MOMENTS = st.datetimes(datetime(2025, 6, 1), datetime(2029, 12, 31), timezones=st.just(UTC))
AMOUNTS = st.integers(100, 2_00_000_00)
CYCLES = st.sampled_from(list(Cycle))


def plan(amount: int, cycle: Cycle) -> PlanTerms:
    return PlanTerms(
        plan_id="pln", name="Plan", tier="premium", amount=amount, currency="INR", cycle=cycle,
        research_services=True, sac="998311",
    )  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


@pytest.mark.parametrize(
    ("moment", "day_used", "expected"),
    [
        ("2027-04-01T10:00", True, 290_00),
        ("2027-04-01T10:00", False, 300_00),
        ("2027-04-11T23:59", True, 190_00),
        ("2027-04-11T23:59", False, 200_00),
        # Midnight in India is half past six in the evening in UTC.
        ("2027-04-12T00:01", True, 180_00),
        ("2027-04-30T12:00", True, 0),
        ("2027-04-30T12:00", False, 10_00),
        ("2027-05-01T09:59", True, 0),
        ("2027-06-01T10:00", False, 0),
        ("2027-03-20T10:00", True, 300_00),
    ],
)
def test_days_to_come_are_counted_in_india(moment: str, day_used: bool, expected: int) -> None:
    start, end = at("2027-04-01T10:00"), at("2027-05-01T10:00")
    assert unexpired(300_00, start, end, at(moment), day_used=day_used) == expected


@given(AMOUNTS, MOMENTS, CYCLES, st.integers(0, 366 * 24), st.integers(0, 366 * 24))
def test_less_is_left_the_later_it_is_cut_and_never_more_than_was_paid(
    amount: int, start: datetime, cycle: Cycle, first: int, second: int
) -> None:
    end = calendar.boundary(start, cycle, 1)
    sooner, later = (start + timedelta(hours=hours) for hours in sorted((first, second)))
    for used in (True, False):
        assert unexpired(amount, start, end, later, day_used=used) >= 0
        assert unexpired(amount, start, end, later, day_used=used) <= unexpired(
            amount, start, end, sooner, day_used=used
        )
    assert (
        unexpired(amount, start, end, sooner)
        <= unexpired(amount, start, end, sooner, day_used=False)
        <= amount
    )
    assert unexpired(amount, start, end, end) == 0


def test_the_cap_is_sebis_and_leaves_taxes_out() -> None:
    day = date(2027, 1, 1)
    assert fee_cap.cap_on(day) == 1_51_000_00
    assert fee_cap.cap_on(date(2024, 12, 31)) is None
    whole = 1_51_000_00 * 118 // 100
    assert fee_cap.within(whole - 1, 1, day)
    assert not fee_cap.within(whole, 1, day)


def test_the_cap_leaves_out_the_tax_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gst, "RATES", (*gst.RATES, (date(2034, 4, 1), 28)))
    for day, percent in ((date(2034, 3, 31), 18), (date(2034, 4, 1), 28)):
        whole = 1_51_000_00 * (100 + percent) // 100
        assert [fee_cap.within(whole - 1, more, day) for more in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    ("gstin", "protected"),
    [(None, True), ("27ABCPV1234D1ZV", True), ("27ABCHV1234D1ZV", True), ("27ABCCV1234D1ZV", False)],
)
def test_the_cap_protects_persons_and_undivided_families(gstin: str | None, protected: bool) -> None:
    assert fee_cap.applies_to(gstin) is protected


@given(MOMENTS, st.integers(1, 4))
def test_a_yearly_renewal_does_not_meet_its_own_last_fee(start: datetime, years: int) -> None:
    paid = calendar.boundary(start, Cycle.YEARLY, years - 1)
    assert paid <= calendar.boundary(start, Cycle.YEARLY, years) - fee_cap.YEAR


def test_nobody_pays_more_than_a_year_ahead() -> None:
    assert max(cycle.months for cycle in Cycle) <= fee_cap.ADVANCE_MONTHS


@given(MOMENTS, CYCLES, st.sampled_from(["card", "upi", "emandate"]), st.integers(0, 100 * 24))
def test_every_debit_is_noticed_in_time_and_on_a_day_of_its_bank(
    start: datetime, cycle: Cycle, method: str, hours: int
) -> None:
    mandate = Mandate(token_id="tok", gateway_customer_id="cust", method=method, since=start)
    state = SubscriptionState(subscription_id="sub", user_id="usr", plan=plan(100_00, cycle))
    state.begin("pay", start, mandate, start)
    assert state.period_end is not None
    now = state.period_end + timedelta(hours=hours - 50 * 24)
    due = state.due(now)
    assert due >= now + calendar.notice_lead(method)
    assert due >= state.period_end
    if method == "emandate":
        assert calendar.is_bank_day(ist_date(due))
    if method == "upi":
        assert calendar.off_last_day(due, start, cycle) == due


@given(AMOUNTS, AMOUNTS, CYCLES, CYCLES)
def test_what_costs_more_a_month_takes_a_checkout(
    present: int, wanted: int, one: Cycle, other: Cycle
) -> None:
    mandate = Mandate(token_id="tok", gateway_customer_id="cust", method="card", since=datetime.now(UTC))
    mandate.max_amount = max(present, 15_000_00)
    state = SubscriptionState(subscription_id="sub", user_id="usr", plan=plan(present, one), mandate=mandate)
    asked = plan(wanted, other)
    dearer = wanted / other.months > present / one.months
    assert state.needs_checkout(asked) is (dearer or wanted > mandate.max_amount)
    state.mandate = None
    assert state.needs_checkout(asked)


def test_a_trial_ends_at_the_same_time_of_day() -> None:
    assert calendar.trial_end(at("2027-02-20T18:45"), 14) == at("2027-03-06T18:45")


@pytest.mark.parametrize(
    ("paid_at", "start", "end"),
    [
        ("2027-02-03T10:00", "2027-01-31T10:00", "2027-02-28T10:00"),
        ("2027-02-28T09:59", "2027-01-31T10:00", "2027-02-28T10:00"),
        ("2027-02-28T10:00", "2027-02-28T10:00", "2027-03-28T10:00"),
        ("2027-07-12T14:36", "2027-07-12T14:36", "2027-08-12T14:36"),
    ],
)
def test_periods_that_nobody_could_pay_for_are_not_caught_up(paid_at: str, start: str, end: str) -> None:
    state = SubscriptionState(subscription_id="sub_1", user_id="usr_1", plan=plan(9_999_00, Cycle.MONTHLY))
    begun = at("2026-12-31T10:00")
    mandate = Mandate(token_id="token", gateway_customer_id="cust", method="card", since=begun)
    state.begin("pay_0", begun, mandate, begun)
    assert state.period_end == at("2027-01-31T10:00")
    state.renew(2, "pay_1", at(paid_at), at(paid_at))
    assert (state.period_start, state.period_end, state.lapsed) == (at(start), at(end), False)
