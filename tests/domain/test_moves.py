"""Every table of states: whole, ending where it says, and what a walk by the code's own methods keeps to."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import (
    complaints,
    disputes,
    einvoices,
    kyc,
    payments,
    progression,
    signals,
    subscriptions,
    trading,
)
from domain.billing_calendar import Cycle
from domain.broker_accounts import ACCOUNT_NEXT, KILL_SWITCH_NEXT, AccountStatus, KillSwitchStatus
from domain.moves import IllegalMove, begun, moved, sources
from domain.reconciliation import BREAK_NEXT, DAY_NEXT, BreakStatus, DayStatus
from domain.subscriptions import ALLOWED, COLLECTING, Action
from models.messages.subscription_state import Debit, Mandate, PlanChange, PlanTerms, SubscriptionState

Table = Mapping[StrEnum, frozenset[StrEnum]]

TABLES: dict[str, tuple[Table, StrEnum, set[StrEnum]]] = {
    "payment": (payments.NEXT, payments.PaymentStatus.CREATED, set()),
    "refund": (payments.REFUND_NEXT, payments.RefundStatus.REQUESTED, {"failed"}),
    "dispute": (disputes.DISPUTE_NEXT, disputes.DisputeStatus.OPEN, set()),
    "subscription": (subscriptions.NEXT, subscriptions.Status.AWAITING_PAYMENT, set()),
    "kyc": (kyc.NEXT, kyc.Status.PENDING, set()),
    "complaint": (complaints.NEXT, complaints.Status.OPEN, set()),
    "enrollment": (progression.FOLLOWS, progression.EnrollmentStatus.AWAITING_PAYMENT, set()),
    "signal": (signals.MOVES, signals.Status.DRAFT, set()),
    "order": (trading.NEXT, trading.OrderStatus.AWAITING_CONFIRMATION, set()),
    "account": (ACCOUNT_NEXT, AccountStatus.AWAITING_LOGIN, set()),
    "kill switch": (KILL_SWITCH_NEXT, KillSwitchStatus.BLOCKING, set()),
    "e-invoice": (einvoices.NEXT, einvoices.EInvoiceStatus.PENDING, set()),
    "break": (BREAK_NEXT, BreakStatus.OPEN, set()),
    "day": (DAY_NEXT, DayStatus.RUNNING, set()),
}  # type: ignore[assignment]
"""Table, first state, and the words of the API that nothing says yet."""

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", TABLES)
def test_every_state_has_its_row_and_can_be_reached(name: str) -> None:
    table, first, unsaid = TABLES[name]
    assert set(table) == set(type(first))
    reached, frontier = {first}, {first}
    while frontier:
        frontier = {then for now in frontier for then in table[now]} - reached
        reached |= frontier
    assert set(table) - reached == unsaid
    assert all(status not in following for status, following in table.items())


@pytest.mark.parametrize("name", TABLES)
def test_only_steps_of_the_table_are_let_through(name: str) -> None:
    table, _, _ = TABLES[name]
    for now in table:
        assert moved(table, now, now) is now
        for then in table:
            if then in table[now]:
                assert moved(table, now, then) is then
            elif then is not now:
                with pytest.raises(IllegalMove):
                    moved(table, now, then)
            assert (str(now) in sources(table, then)) is (then in table[now])


def test_what_ended_stays_so() -> None:
    for ended in (trading.TERMINAL, signals.CLOSED, subscriptions.ENDED, progression.ENDED):
        table = next(each for each, first, _ in TABLES.values() if isinstance(next(iter(ended)), type(first)))
        assert not any(table[status] for status in ended)


PLAN = PlanTerms(
    plan_id="pln_1", name="Plan", tier="premium", amount=100_00, currency="INR", cycle=Cycle.MONTHLY,
    research_services=False, sac="998311",
)  # fmt: skip
DEEDS = ["debit", "capture", "miss", "approval", "withdraw", "cap", "hold", "win", "lose"]
DEED = st.sampled_from([*DEEDS, *Action])


@given(st.booleans(), st.lists(st.tuples(DEED, st.booleans(), st.integers(0, 40)), max_size=40))
def test_no_order_of_debits_and_wishes_leaves_the_subscriptions_table(
    mandated: bool, deeds: list[tuple[str, bool, int]]
) -> None:
    """The state's own methods, called when the process calls them, raise no `IllegalMove`."""
    now = NOW
    mandate = Mandate(token_id="tok", gateway_customer_id="cust", method="card", since=now)
    state = SubscriptionState(subscription_id="sub_1", user_id="usr_1", plan=PLAN)
    state.begin("pay_0", now, mandate if mandated else None, now)
    for deed, flag, days in deeds:
        now += timedelta(days=days)
        if isinstance(deed, Action) and state.status not in ALLOWED[deed]:
            continue
        collecting = state.status in COLLECTING and state.debit is not None
        match deed:
            case Action.CANCEL:
                state.cancel(flag, now)
            case Action.PAUSE:
                state.withdraw()
                state.move(subscriptions.Status.PAUSED, now)
            case Action.RESUME:
                state.resume(now)
            case Action.CHANGE_PLAN:
                state.pending = PlanChange(plan=PLAN, until=now)
                if flag:
                    state.begin("pay_2", now, mandate, now)
            case "hold" if state.status not in subscriptions.ENDED:
                state.hold("disp_1")
            case "win" if state.status not in subscriptions.ENDED:
                state.release("disp_1", now)
            case "lose" if state.status not in subscriptions.ENDED:
                state.lose("disp_1", now)
            case "cap" if state.status in COLLECTING and state.debit is None:
                state.withhold(subscriptions.Reason.FEE_CAP_REACHED, now)
            case "debit" if state.status in COLLECTING and state.debit is None:
                state.attempt += 1
                state.debit = Debit(
                    payment_id="pay_1", period=state.period + 1, attempt=state.attempt, amount=1, due_at=now,
                    gateway_order_id="order_1",
                )  # fmt: skip
            case "approval" if collecting:
                state.move(subscriptions.Status.AWAITING_APPROVAL, now)
            case "capture" if collecting:
                state.renew(state.period + 1, "pay_1", now, now)
            case "miss" if collecting:
                state.miss(now)
            case "withdraw":
                state.withdraw()
        assert state.status not in subscriptions.UNPAID
        assert (state.status in subscriptions.ENDED) <= (state.pending is None)


def test_nothing_begins_in_the_middle() -> None:
    for first in (trading.FIRST, payments.REFUND_FIRST, disputes.DISPUTE_FIRST):
        for status in type(first[0]):
            if status in first:
                assert begun(first, status) is status
            else:
                with pytest.raises(IllegalMove):
                    begun(first, status)
