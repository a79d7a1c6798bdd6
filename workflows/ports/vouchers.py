"""What vouchers do to the book."""

from temporalio import activity

from models.messages.vouchers import DecideVoucher, TakeVoucher, VoucherState


class VoucherPort:
    """Implemented by `activities.vouchers.VoucherActivities`."""

    @activity.defn(name="vouchers.take")
    async def take(self, command: TakeVoucher) -> VoucherState:
        """Writes the voucher, and posts it where one person is enough; once a voucher id.

        Raises:
            Rejected: `account_not_by_hand`, `unbalanced`, `too_many_lines`.
        """
        ...

    @activity.defn(name="vouchers.decide")
    async def decide(self, command: DecideVoucher) -> VoucherState:
        """Posts or rejects a voucher that awaits a second person; a repeat gives what stands.

        Raises:
            Rejected: `voucher_unknown`, `same_person`, `already_decided`.
        """
        ...
