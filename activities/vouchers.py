"""What vouchers do to the book."""

from temporalio import activity

from domain.errors import Rejected
from domain.vouchers import obstacle
from models.messages.vouchers import DecideVoucher, TakeVoucher, VoucherState
from store import vouchers
from store.database import Database
from workflows.ports.vouchers import VoucherPort


class VoucherActivities(VoucherPort):
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="vouchers.take")
    async def take(self, command: TakeVoucher) -> VoucherState:
        """Row and entry in one transaction; a repeat finds the row."""
        asked = command.voucher
        code = obstacle(asked.lines)
        if code is not None:
            raise Rejected(code)
        async with self._database.transaction() as connection:
            row = await vouchers.take(
                connection,
                asked.voucher_id,
                asked.date,
                asked.lines,
                asked.note_id,
                command.subject,
                command.as_of,
            )
        return VoucherState.model_validate({name: row[name] for name in VoucherState.model_fields})

    @activity.defn(name="vouchers.decide")
    async def decide(self, command: DecideVoucher) -> VoucherState:
        """Decision and entry in one transaction; a repeat finds them."""
        async with self._database.transaction() as connection:
            row = await vouchers.decide(
                connection, command.voucher_id, command.status, command.subject, command.as_of
            )
        return VoucherState.model_validate({name: row[name] for name in VoucherState.model_fields})
