"""What the gateway says of an order of ours, read by whoever was given a hint."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.payments import counts
    from models.contracts.policies import LOOK, READ_PROVIDER, Step
    from models.messages.billing import GatewayPayment, OrderAnswer, ReadOrder
    from workflows.glancing import glanced
    from workflows.ports.billing import GatewayPort


async def read_order(payment_id: str, gateway_order_id: str) -> GatewayPayment | None:
    """The payment that counts among those tried on the order, as the gateway knows it now.

    A glance within the task answers nearly always; a gateway that is slow or away is asked with patience.
    """
    return _counted(await _read(payment_id, gateway_order_id, READ_PROVIDER))


async def look_at_order(payment_id: str, gateway_order_id: str) -> GatewayPayment | None:
    """The same, for a minute at most: None also where the gateway gave no answer, which says nothing."""
    try:
        return _counted(await _read(payment_id, gateway_order_id, LOOK))
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return None


async def _read(payment_id: str, gateway_order_id: str, patience: Step) -> OrderAnswer:
    order = ReadOrder(payment_id=payment_id, gateway_order_id=gateway_order_id)
    answer: OrderAnswer = await glanced(
        GatewayPort.read_order, order, patience, summary=f"read {gateway_order_id}"
    )
    return answer


def _counted(answer: OrderAnswer) -> GatewayPayment | None:
    """The one of the best rank, the newest of several."""
    return min(
        answer.payments, key=lambda each: (counts(each.status), -each.created_at, each.id), default=None
    )
