"""What one run of a process costs the server: events of its history, workflow tasks, bytes of payloads."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory


@dataclass(frozen=True)
class Cost:
    """`bytes`: of all payloads as they are stored, encrypted."""

    events: int
    tasks: int
    bytes: int

    def over(self, budget: dict[str, int]) -> list[str]:
        """What is above the budget, in words."""
        return [
            f"{name}: {value} where {budget[name]} are allowed"
            for name, value in asdict(self).items()
            if value > budget[name]
        ]


def cost(history: WorkflowHistory) -> Cost:
    tasks = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    size = sum(payload.ByteSize() for event in history.events for payload in payloads(event))
    return Cost(len(history.events), len(tasks), size)


def payloads(message: Message) -> Iterator[Payload]:
    """Every payload inside a message, to be read or changed in place."""
    if isinstance(message, Payload):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if descriptor.message_type.GetOptions().map_entry:
            inner = descriptor.message_type.fields_by_name["value"].message_type
            children = list(value.values()) if inner is not None else []
        else:
            children = list(value) if descriptor.is_repeated else [value]
        for child in children:
            yield from payloads(child)


async def runs(client: Client, since: datetime | None = None) -> dict[str, list[WorkflowHistory]]:
    """Histories by workflow type, of what ran here (and started after `since`)."""
    found: dict[str, list[WorkflowHistory]] = {}
    async for run in client.list_workflows(f"StartTime > '{since.isoformat()}'" if since else None):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        found.setdefault(run.workflow_type, []).append(history)
    return found
