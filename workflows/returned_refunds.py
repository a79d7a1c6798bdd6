"""ReturnedRefund: the customer's bank sent back a refund that was paid; it is owed again."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.payments import RefundStatus
    from models.messages.billing import GatewayEvent, RefundState
    from models.messages.refunds import ReturnedInput
    from workflows.payouts import BankPayout
    from workflows.refund_reading import RefundReading
    from workflows.visible import show


@workflow.defn(name="ReturnedRefund")
class ReturnedRefundWorkflow(BankPayout):
    """`refund:{refund}`, after the refund's own run has ended. A webhook starts it; what it believes is what
    the gateway says. The credit note stands: the customer is owed the same money by another way."""

    @workflow.init
    def __init__(self, given: ReturnedInput) -> None:
        self._given: ReturnedInput = given
        self._status = RefundStatus.PROCESSED
        self._reading = RefundReading(given.refund_id, given.gateway_payment_id)

    @workflow.run
    async def run(self, given: ReturnedInput) -> RefundState:
        show(state=self._status, reference=[given.refund_id, given.payment_id, given.gateway_payment_id])
        answer = await self._reading.answer("has the bank sent the money back?", workflow.now())
        if answer.refund is not None and answer.refund.status == "failed":
            await self._advance(
                RefundStatus.MANUAL_PAYOUT, gateway=answer.refund, failure_code="returned_by_bank"
            )
        if self._status is RefundStatus.MANUAL_PAYOUT:
            await self._await_transfer()
        self._done()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._answer()

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """The webhook that started this run, or one like it: look at the gateway."""
        self._reading.told = True
