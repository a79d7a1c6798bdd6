"""What a dispute does to a payment and to the book: nothing is lost twice, nothing stays held."""

from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from domain.disputes import (
    DISPUTE_LIVE,
    DISPUTE_NEXT,
    DisputeStatus,
    after_dispute,
    ended_entry,
    lost_amount,
    opened_entry,
)
from domain.ledger import Account
from domain.payments import NEXT, PaymentStatus
from domain.refunds import returned_entry, second_payout_entry

DAY = date(2026, 11, 23)
PAISE = st.integers(1, 10**10)


@given(PAISE, st.integers(0, 10**10), st.sampled_from([s for s in DisputeStatus if s not in DISPUTE_LIVE]))
def test_what_is_held_is_released_whole(amount: int, deducted: int, outcome: DisputeStatus) -> None:
    lost = lost_amount(outcome, amount, deducted)
    assert 0 <= lost <= amount
    assert (lost > 0) is (outcome is DisputeStatus.LOST)
    net: Counter[Account] = Counter()
    for entry in (opened_entry("disp_1", DAY, amount), ended_entry("disp_1", DAY, amount, lost)):
        for line in entry.lines:
            net[line.account] += line.debit - line.credit
    assert net[Account.DISPUTES] == 0
    assert (net[Account.GATEWAY_CLEARING], net[Account.BAD_DEBT]) == (-lost, lost)


@given(PAISE)
def test_a_returned_refund_that_is_paid_again_costs_once(amount: int) -> None:
    net: Counter[Account] = Counter()
    for entry in (returned_entry("rfd_1", DAY, amount), second_payout_entry("rfd_1", DAY, amount)):
        for line in entry.lines:
            net[line.account] += line.debit - line.credit
    assert {account: sum for account, sum in net.items() if sum} == {
        Account.GATEWAY_CLEARING: amount,
        Account.BANK: -amount,
    }


@given(PAISE, st.data())
def test_a_payment_comes_back_to_what_its_refunds_make_of_it(amount: int, data: st.DataObject) -> None:
    refunding = data.draw(st.integers(0, amount))
    refunded = data.draw(st.integers(0, refunding))
    back = after_dispute(amount, refunding, refunded, 0)
    assert back in NEXT[PaymentStatus.DISPUTED]
    assert (back is PaymentStatus.CAPTURED) is (refunding == 0)
    assert (back is PaymentStatus.REFUNDED) is (refunded == amount)
    assert after_dispute(amount, refunding, refunded, 1) is PaymentStatus.DISPUTED


def test_what_is_decided_is_decided_for_good() -> None:
    assert not any(DISPUTE_NEXT[status] for status in DisputeStatus if status not in DISPUTE_LIVE)
