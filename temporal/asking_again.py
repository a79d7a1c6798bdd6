"""An update that came while its run changed hands is asked again, under its own id.

A worker that leaves with the workflow task in hand loses the update that came with the task where the run
had not accepted it yet: the server then answers FAILED_PRECONDITION (``WorkflowNotReadyFailure``) and nothing
was done. The id makes the second asking safe where the answer alone was lost.
"""

import asyncio
import uuid
from typing import Any

from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    StartWorkflowUpdateInput,
    WorkflowUpdateHandle,
)
from temporalio.service import RPCError, RPCStatusCode

PAUSES_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""A task that a worker left is given out anew within moments; one that fails and fails is not waited for."""


class AskingAgain(Interceptor):
    """Of a client: see the module."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _AskingAgain(next)


class _AskingAgain(OutboundInterceptor):
    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        """Raises: RPCError, WorkflowUpdateRPCTimeoutOrCancelledError."""
        input.update_id = input.update_id or str(uuid.uuid4())
        for pause in PAUSES_SECONDS:
            try:
                return await super().start_workflow_update(input)
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                    raise
            await asyncio.sleep(pause)
        return await super().start_workflow_update(input)
