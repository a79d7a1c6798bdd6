"""One mail or text on its way: handed to the provider until it takes it."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import DELIVERY
    from models.messages.notifications import MessageInput
    from workflows.ports.notifications import NotificationsPort
    from workflows.visible import show, waiting


@workflow.defn(name="Message")
class Message:
    """`message:{message}`: delivered once; what cannot be delivered in a day waits for a person."""

    @workflow.run
    async def run(self, message: MessageInput) -> str:
        waiting(
            "the mail or text provider",
            since=workflow.now(),
            otherwise="it is tried for a day, then marked as needing attention",
            who="nobody has to",
        )
        try:
            await workflow.execute_activity_method(
                NotificationsPort.deliver, message.message_id, **DELIVERY.options()
            )
        except ActivityError:
            show(state="undelivered", attention=True)
            return "undelivered"
        return "delivered"
