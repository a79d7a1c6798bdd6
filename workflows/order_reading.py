"""What the gateway says of an order of ours, read by whoever was given a hint."""

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.payments import counts
    from models.contracts.policies import GLANCE, READ_PROVIDER
    from models.messages.billing import GatewayPayment, ReadOrder
    from workflows.ports.billing import GatewayPort


async def read_order(payment_id: str, gateway_order_id: str) -> GatewayPayment | None:
    """The payment that counts among those tried on the order, as the gateway knows it now.

    A glance within the task answers nearly always; a gateway that is slow or away is asked with patience.
    """
    order = ReadOrder(payment_id=payment_id, gateway_order_id=gateway_order_id)
    try:
        answer = await workflow.execute_local_activity_method(GatewayPort.read_order, order, **GLANCE.local())
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        answer = await workflow.execute_activity_method(
            GatewayPort.read_order, order, summary=f"read {gateway_order_id}", **READ_PROVIDER.options()
        )
    return min(answer.payments, key=lambda payment: (counts(payment.status), payment.id), default=None)
