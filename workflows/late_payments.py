"""Late payment: money that comes for a payment whose process has ended goes back, and the payment says why.

A bank may answer after three days, and a customer may pay at a checkout that was left open. By then the
reference has been told that nothing comes, so nothing is captured: held money lapses by itself, money that
somebody took at the gateway is booked and refunded.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.payments import PaymentStatus
    from models.contracts.policies import BOOK
    from models.messages.billing import Advance, GatewayEvent, GatewayPayment, PaymentState
    from models.messages.monitoring import LatePayment
    from workflows.order_reading import read_order
    from workflows.ports.billing import BillingPort
    from workflows.unwanted import Unwanted
    from workflows.visible import show, working

REASON = "late_authorisation"
"""What the customer is told: the bank answered too late for what was to be bought."""


@workflow.defn(name="LatePayment")
class LatePaymentWorkflow:
    """`late-payment:{payment}`: begun by a webhook about an expired payment."""

    @workflow.init
    def __init__(self, given: LatePayment) -> None:
        self._given = given
        self._hint: str | None = None
        self._status = PaymentStatus.EXPIRED

    @workflow.run
    async def run(self, given: LatePayment) -> PaymentState:
        show(
            state=self._status,
            customer=given.user_id,
            amount=given.amount,
            reference=[given.payment_id, given.gateway_order_id],
        )
        while True:
            seen = await self._read()
            if seen is not None and seen.status in ("authorized", "captured", "refunded"):
                await self._return(seen)
                break
            if self._hint is None:
                working("the gateway holds no money of this payment")
                break
            # A webhook that came during the read may tell of more than it saw: nobody else hears of it.
            self._hint = None
        return PaymentState(payment_id=given.payment_id, status=self._status)

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """A webhook named this payment: read the gateway again."""
        self._hint = "webhook"

    async def _return(self, seen: GatewayPayment) -> None:
        given = self._given
        await self._advance(PaymentStatus.REFUND_PENDING, seen.id)
        unwanted = Unwanted(given.payment_id, given.amount, given.assertion_key, self._read, self._hinted)
        gone = await unwanted.released(seen, REASON)
        if gone.status == "refunded":
            await self._advance(PaymentStatus.REFUNDED, seen.id)

    async def _advance(self, status: PaymentStatus, gateway_payment_id: str) -> None:
        after = await workflow.execute_local_activity_method(
            BillingPort.advance,
            Advance(
                payment_id=self._given.payment_id,
                status=status,
                source="webhook",
                at=workflow.now(),
                gateway_payment_id=gateway_payment_id,
                failure_code=REASON,
                process=workflow.info().workflow_id,
            ),
            **BOOK.local(),
        )
        self._status = after.status
        show(state=self._status)

    async def _read(self) -> GatewayPayment | None:
        return await read_order(self._given.payment_id, self._given.gateway_order_id)

    async def _hinted(self, at_most: timedelta) -> str | None:
        try:
            await workflow.wait_condition(lambda: self._hint is not None, timeout=at_most)
        except TimeoutError:
            return None
        hint, self._hint = self._hint, None
        return hint
