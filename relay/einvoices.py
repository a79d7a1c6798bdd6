"""Starts the registration of each document that needs an IRN and was committed without one."""

from datetime import UTC, datetime

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.einvoices import EInvoiceInput
from store import einvoices
from store.database import Database
from temporal.commands import TASK_TIMEOUT

log = structlog.get_logger()


class EInvoiceStarter:
    """`assertion_public_key`: what the process checks staff's commands with."""

    def __init__(self, database: Database, client: Client, assertion_public_key: str) -> None:
        self._database = database
        self._client = client
        self._key = assertion_public_key

    async def start_einvoices(self) -> None:
        """Documents whose registration is pending and due to be started. One that runs is found running; one
        whose run failed or was ended by hand is begun again, which the portal makes harmless."""
        due = await self._due()
        while due and await self._start(due):
            due = await self._due()

    async def _due(self) -> list[einvoices.Start]:
        async with self._database.transaction() as connection:
            return await einvoices.due(connection, datetime.now(UTC))

    async def _start(self, due: list[einvoices.Start]) -> bool:
        """Whether the server took them all; what it did not is due again in a few seconds."""
        for one in due:
            given = EInvoiceInput(**vars(one), assertion_public_key=self._key)
            try:
                await self._client.start_workflow(
                    "EInvoice",
                    given,
                    id=workflow_id(Kind.EINVOICE, one.invoice_id),
                    task_queue=Queue.BILLING,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    static_summary=f"E-invoice {one.number}",
                    static_details=f"{one.invoice_id} of {one.payment_id} to a registered buyer",
                    task_timeout=TASK_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                continue
            except RPCError as error:
                log.warning("einvoice_delayed", invoice=one.invoice_id, status=error.status.name)
                return False
        return True
