"""The chart of accounts, and journal entries that balance.

What is booked when: at capture the whole price goes to gateway clearing, its net to deferred revenue, its
tax to the output accounts. Each day what was earned of it moves on to revenue. The gateway's fee and the GST
on it are booked at settlement, from the line of the recon report that says what was really withheld; until
then clearing holds the gross amount.
"""

from datetime import date
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, model_validator

from domain.gst import Split


class Nature(StrEnum):
    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"


class Account(StrEnum):
    """Accounts of the book; `NATURES` says on which side each grows."""

    BANK = "bank"
    GATEWAY_CLEARING = "gateway_clearing"
    """Captured by the gateway and not yet in the bank, less refunds it has paid out."""
    GATEWAY_CLAIMS = "gateway_claims"
    """Differences that were claimed from the gateway."""
    INPUT_GST = "input_gst"
    """GST on gateway fees, to be claimed on the gateway's monthly invoice."""
    TDS_RECEIVABLE = "tds_receivable"
    DISPUTES = "disputes"
    """Held back by the gateway while a dispute is open."""
    RECONCILIATION_SUSPENSE = "reconciliation_suspense"
    """Settled money that no record of ours explains yet."""
    DEFERRED_REVENUE = "deferred_revenue"
    """Paid for and not yet delivered, net of tax."""
    OUTPUT_CGST = "output_cgst"
    OUTPUT_SGST = "output_sgst"
    OUTPUT_IGST = "output_igst"
    REFUNDS_PAYABLE = "refunds_payable"
    """Granted refunds whose money has not left yet."""
    REVENUE_SUBSCRIPTIONS = "revenue_subscriptions"
    REVENUE_COURSES = "revenue_courses"
    RECONCILIATION_GAINS = "reconciliation_gains"
    GATEWAY_FEES = "gateway_fees"
    BAD_DEBT = "bad_debt"
    RECONCILIATION_LOSSES = "reconciliation_losses"


NATURES = {
    Account.BANK: Nature.ASSET,
    Account.GATEWAY_CLEARING: Nature.ASSET,
    Account.GATEWAY_CLAIMS: Nature.ASSET,
    Account.INPUT_GST: Nature.ASSET,
    Account.TDS_RECEIVABLE: Nature.ASSET,
    Account.DISPUTES: Nature.ASSET,
    Account.RECONCILIATION_SUSPENSE: Nature.LIABILITY,
    Account.DEFERRED_REVENUE: Nature.LIABILITY,
    Account.OUTPUT_CGST: Nature.LIABILITY,
    Account.OUTPUT_SGST: Nature.LIABILITY,
    Account.OUTPUT_IGST: Nature.LIABILITY,
    Account.REFUNDS_PAYABLE: Nature.LIABILITY,
    Account.REVENUE_SUBSCRIPTIONS: Nature.INCOME,
    Account.REVENUE_COURSES: Nature.INCOME,
    Account.RECONCILIATION_GAINS: Nature.INCOME,
    Account.GATEWAY_FEES: Nature.EXPENSE,
    Account.BAD_DEBT: Nature.EXPENSE,
    Account.RECONCILIATION_LOSSES: Nature.EXPENSE,
}


class Line(BaseModel):
    """One side of an entry, in paise: exactly one of debit and credit is positive, the other zero."""

    model_config = ConfigDict(frozen=True)

    account: Account
    debit: int = 0
    credit: int = 0

    @model_validator(mode="after")
    def _one_side(self) -> "Line":
        if min(self.debit, self.credit) != 0 or max(self.debit, self.credit) <= 0:
            raise ValueError("a line has a positive debit or a positive credit")
        return self


class Entry(BaseModel):
    """A journal entry; its business key makes a repeated posting the same posting."""

    model_config = ConfigDict(frozen=True)

    business_key: str
    """E.g. ``capture:pay_…``: what happened, once."""
    date: date
    """Business day, Asia/Kolkata."""
    lines: tuple[Line, ...]
    references: tuple[str, ...] = ()
    """Payment, refund, settlement, UTR: whatever the entry may be searched by."""

    @model_validator(mode="after")
    def _balanced(self) -> "Entry":
        if len(self.lines) < 2 or sum(line.debit - line.credit for line in self.lines) != 0:
            raise ValueError("an entry has at least two lines and balances")
        return self


def debit(account: Account, amount: int) -> tuple[Line, ...]:
    """A debit line, or nothing for zero paise."""
    return (Line(account=account, debit=amount),) if amount else ()


def credit(account: Account, amount: int) -> tuple[Line, ...]:
    """A credit line, or nothing for zero paise."""
    return (Line(account=account, credit=amount),) if amount else ()


def side(account: Account, amount: int) -> tuple[Line, ...]:
    """A debit of a positive amount, a credit of a negative one, nothing for zero."""
    return debit(account, amount) if amount > 0 else credit(account, -amount)


def capture_entry(payment_id: str, day: date, price: Split, references: tuple[str, ...] = ()) -> Entry:
    """Money taken: clearing against deferred revenue and output tax."""
    return Entry(
        business_key=f"capture:{payment_id}",
        date=day,
        lines=(
            *debit(Account.GATEWAY_CLEARING, price.total),
            *credit(Account.DEFERRED_REVENUE, price.taxable),
            *credit(Account.OUTPUT_CGST, price.cgst),
            *credit(Account.OUTPUT_SGST, price.sgst),
            *credit(Account.OUTPUT_IGST, price.igst),
        ),
        references=(payment_id, *references),
    )


def refund_entry(
    refund_id: str,
    day: date,
    back: Split,
    references: tuple[str, ...] = (),
    *,
    deferred: int | None = None,
    revenue: Account = Account.REVENUE_SUBSCRIPTIONS,
) -> Entry:
    """A refund that the gateway took on: price and tax reversed, owed to the customer until paid.

    `deferred` of the net price was still to be earned (None: all of it); the rest is taken back from
    `revenue`. Where the credit note carries no tax (`financial_credit_note`), `back` has it all in `taxable`.
    """
    unearned = back.taxable if deferred is None else deferred
    return Entry(
        business_key=f"refund:{refund_id}",
        date=day,
        lines=(
            *debit(Account.DEFERRED_REVENUE, unearned),
            *debit(revenue, back.taxable - unearned),
            *debit(Account.OUTPUT_CGST, back.cgst),
            *debit(Account.OUTPUT_SGST, back.sgst),
            *debit(Account.OUTPUT_IGST, back.igst),
            *credit(Account.REFUNDS_PAYABLE, back.total),
        ),
        references=(refund_id, *references),
    )


def payout_entry(
    refund_id: str, day: date, amount: int, source: Account, references: tuple[str, ...] = ()
) -> Entry:
    """The refund's money has left: from gateway clearing, or from the bank where the gateway refused."""
    return Entry(
        business_key=f"payout:{refund_id}",
        date=day,
        lines=(*debit(Account.REFUNDS_PAYABLE, amount), *credit(source, amount)),
        references=(refund_id, *references),
    )


def revenue_entry(key: str, day: date, subscriptions: int, courses: int) -> Entry:
    """What was earned of prepaid subscriptions and courses, by the day's end."""
    return Entry(
        business_key=key,
        date=day,
        lines=(
            *debit(Account.DEFERRED_REVENUE, subscriptions + courses),
            *credit(Account.REVENUE_SUBSCRIPTIONS, subscriptions),
            *credit(Account.REVENUE_COURSES, courses),
        ),
    )
