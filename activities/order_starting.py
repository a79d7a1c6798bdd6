"""Starts an order that no caller of the API asked for: made elsewhere, prepared for a signal, or closing."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.errors import Unavailable
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.trading import OrderInput

TASK_TIMEOUT = timedelta(seconds=3)
"""After how long the task of a worker that died is given to another."""


def run_of(order: OrderInput, summary: str) -> dict[str, Any]:
    """How an order's process is started, once, whoever starts it: keyword arguments of the client."""
    return {
        "id": workflow_id(Kind.ORDER, order.order_id),
        "task_queue": Queue.TRADING,
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "static_summary": summary,
        "task_timeout": TASK_TIMEOUT,
    }


async def start_order(client: Client, order: OrderInput, summary: str) -> bool:
    """False where the order's process has run and is over. Safe to repeat. Raises Unavailable."""
    try:
        await client.start_workflow("Order", order, **run_of(order, summary))
    except WorkflowAlreadyStartedError:
        return False
    except RPCError:
        raise Unavailable("order_process_away") from None
    return True
