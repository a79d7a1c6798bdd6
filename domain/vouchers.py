"""Postings that a person of finance makes by hand: what no process of the platform knows of.

Tax paid to the government, input tax set off, income tax that a payer has withheld (TDS), a suspense that is
explained. The other accounts are moved by processes alone: a voucher there would part the book from the
records that it is held against. A claim that is paid outside of a settlement ends with its break.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

from domain.ledger import Account, Entry, Line

BY_HAND = frozenset(
    {
        Account.BANK, Account.TDS_RECEIVABLE, Account.INPUT_GST, Account.OUTPUT_CGST, Account.OUTPUT_SGST,
        Account.OUTPUT_IGST, Account.RECONCILIATION_SUSPENSE, Account.GATEWAY_FEES, Account.BAD_DEBT,
        Account.RECONCILIATION_GAINS, Account.RECONCILIATION_LOSSES,
    }
)  # fmt: skip
"""Accounts that a voucher may move."""

MOST_LINES = 20


class VoucherStatus(StrEnum):
    AWAITING_SECOND = "awaiting_second"
    """Above ₹50,000 a second person agrees before anything is posted."""
    POSTED = "posted"
    REJECTED = "rejected"


V = VoucherStatus
VOUCHER_NEXT: dict[VoucherStatus, frozenset[VoucherStatus]] = {
    V.AWAITING_SECOND: frozenset({V.POSTED, V.REJECTED}),
    V.POSTED: frozenset(),
    V.REJECTED: frozenset(),
}
"""Every step that a voucher takes; held by `store/vouchers.py`."""
VOUCHER_FIRST = (V.AWAITING_SECOND, V.POSTED)


def obstacle(lines: Sequence[Line]) -> str | None:
    """The code by which lines make no voucher: `account_not_by_hand`, `unbalanced`, `too_many_lines`."""
    if any(line.account not in BY_HAND for line in lines):
        return "account_not_by_hand"
    if len(lines) < 2 or sum(line.debit - line.credit for line in lines) != 0:
        return "unbalanced"
    return "too_many_lines" if len(lines) > MOST_LINES else None


def voucher_entry(voucher_id: str, day: date, lines: Sequence[Line]) -> Entry:
    return Entry(business_key=f"voucher:{voucher_id}", date=day, lines=tuple(lines), references=(voucher_id,))
