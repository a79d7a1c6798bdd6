"""Drives what was promised or received and is not done: commands, outside events, messages to people."""

from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from store import events, identity_expiry, messages
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.commands import TASK_TIMEOUT, Envelope
from temporal.events import tell

log = structlog.get_logger()
SWEPT = Counter("treum_relay_swept", "Promises, events and messages taken up by the sweepers", ["kind"])
GIVE_UP = 40
"""Deliveries of an event whose process is not there before it is left as done; weeks at the longest pause."""
ANSWERS_KEPT = timedelta(hours=24)


class Sweepers:
    def __init__(
        self, database: Database, vault: Vault, client: Client, envelope: Envelope, commands: Commands
    ) -> None:
        self._database = database
        self._vault = vault
        self._client = client
        self._envelope = envelope
        self._commands = commands

    async def drive_commands(self) -> None:
        """Promises whose lease has lapsed without an answer."""
        SWEPT.labels("command").inc(await self._envelope.sweep())

    async def forget_answers(self) -> None:
        """Answers under an idempotency key are kept for 24 hours; what sign-in no longer needs goes too."""
        now = datetime.now(UTC)
        await self._commands.forget(now - ANSWERS_KEPT)
        async with self._database.transaction() as connection:
            await identity_expiry.drop_expired(connection, now)

    async def deliver_events(self) -> None:
        """Events stored and not taken by their workflow yet."""
        async with self._database.transaction() as connection:
            due = await events.open_events(connection, self._vault, datetime.now(UTC))
        for event in due:
            if await self._deliver(event):
                async with self._database.reading() as connection:
                    await events.done(connection, event.number, datetime.now(UTC))
                SWEPT.labels("event").inc()

    async def _deliver(self, event: events.OpenEvent) -> bool:
        try:
            await tell(self._client, event.workflow_id, event.signal, event.argument, event.start)
        except WorkflowAlreadyStartedError:
            log.info("event_after_the_end", number=event.number, workflow=event.workflow_id)
            return True
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                log.warning("event_delayed", number=event.number, status=error.status.name)
                return False
            return await self._ended(event) or event.attempts >= GIVE_UP
        return True

    async def _ended(self, event: events.OpenEvent) -> bool:
        """Whether the process ran and is over: a hint has nobody left to hint to. Else it is yet to come."""
        try:
            await self._client.get_workflow_handle(event.workflow_id).describe()
        except RPCError:
            return False
        log.info("event_after_the_end", number=event.number, workflow=event.workflow_id)
        return True

    async def start_messages(self) -> None:
        """Mail and texts written and not sent: a workflow each, so that a retry is seen and bounded."""
        async with self._database.transaction() as connection:
            due = await messages.due(connection, datetime.now(UTC))
        for message_id in due:
            try:
                await self._client.start_workflow(
                    "Message",
                    {"message_id": message_id},
                    id=workflow_id(Kind.MESSAGE, message_id),
                    task_queue=Queue.ONBOARDING,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"Message {message_id}",
                    task_timeout=TASK_TIMEOUT,
                )
                SWEPT.labels("message").inc()
            except WorkflowAlreadyStartedError:
                continue
            except RPCError as error:
                log.warning("message_delayed", message=message_id, status=error.status.name)
                return
