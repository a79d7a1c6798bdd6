"""What `Voucher` and its activities take and give. Amounts are paise; the reason is a note."""

from datetime import date as CalendarDay

from pydantic import AwareDatetime, BaseModel

from domain.ledger import Line
from domain.vouchers import VoucherStatus
from models.contracts.assertions import SignedAssertion


class VoucherInput(BaseModel):
    """Starts `Voucher`. `note_id`: why it is posted."""

    voucher_id: str
    date: CalendarDay
    lines: list[Line]
    note_id: str
    assertion_public_key: str


class Sign(BaseModel):
    """Updates `post`, `approve` and `reject`: the API signs for the person of finance who says it."""

    assertion: SignedAssertion


class TakeVoucher(BaseModel):
    """Input of `vouchers.take`; `subject` is who posts it."""

    voucher: VoucherInput
    subject: str
    as_of: AwareDatetime


class DecideVoucher(BaseModel):
    """Input of `vouchers.decide`: the second person's word."""

    voucher_id: str
    status: VoucherStatus
    subject: str
    as_of: AwareDatetime


class VoucherState(BaseModel):
    """`date`: of the entry; the first open day where the one asked for is in a closed month."""

    voucher_id: str
    status: VoucherStatus
    date: CalendarDay
    amount: int
    entry_id: str | None = None
    version: int = 1
