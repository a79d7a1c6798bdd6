"""The command envelope: the promise is a row, the ids are minted once, the answer is stored.

An update is durable only once a worker has accepted it, and its id dedupes within one run only
(`docs/commands.md`). So a command is first written down, then driven under ids that never change, and
driven again, by a repeat or by the sweeper, until its answer is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.contracts.commands import Alongside, Answer, CommandLog, Drive, Promise, Request
from models.contracts.search_attributes import Attribute

log = structlog.get_logger()

REFUSAL = "Rejected"
"""The `ApplicationError` type by which a process refuses; its first detail is the stable code."""

CLOSED = Answer(refused="process_closed", detail="the process has ended")
FAILED = "process_failed"
"""The process took the command and could not say why it failed: final, since its update id is spent."""

TASK_TIMEOUT = timedelta(seconds=3)
"""After how long the task, and the local activities in it, of a worker that died are given to another."""

RUNS_READ = 60
"""How many earlier runs of an entity are asked for an answer: five years of monthly cycles."""


class KeyReused(Exception):
    """The key was used before with another body (422)."""


class InProgress(Exception):
    """The first request under this key still runs (409, retry after a second)."""


class Pending(Exception):
    """The command is kept and will be driven, but no answer came in time (503 with Retry-After)."""


Sight = Callable[[str], Awaitable[Answer]]
"""Sees in the record, by the business id, what the process is about to answer; it may wait for ever."""


@dataclass(frozen=True)
class Outcome:
    business_id: str
    answer: Answer
    replayed: bool


class Envelope:
    """Every command of the API and the sweeper pass through here, and only here."""

    def __init__(self, client: Client, commands: CommandLog, deadline: timedelta) -> None:
        self._client = client
        self._commands = commands
        self._deadline = deadline

    async def run(
        self,
        request: Request,
        business_id: str,
        drive: Callable[[str], Drive],
        alongside: Alongside | None = None,
        sight: Sight | None = None,
    ) -> Outcome:
        """Makes or finds the promise and drives it to its answer.

        `business_id` is the id to mint if the promise is new; `drive` builds the start or update from it;
        `alongside` writes rows (personal data, sealed) in the promise's transaction, once; the process or
        `sight` answers, whichever is first.

        Raises:
            KeyReused, InProgress, Pending.
        """
        promise = await self._commands.promise(request, business_id, drive(business_id), alongside)
        if not promise.same_body:
            raise KeyReused
        if promise.answer is not None:
            return Outcome(promise.business_id, promise.answer, replayed=True)
        if not promise.mine:
            raise InProgress
        return Outcome(promise.business_id, await self.fulfil(promise, sight), replayed=False)

    async def fulfil(self, promise: Promise, sight: Sight | None = None) -> Answer:
        """Drives a promise whose lease the caller holds, and stores the answer. Raises Pending."""
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                answer = await (self._seen(promise, sight) if sight else self._drive(promise))
        except (TimeoutError, RPCError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
            log.warning("command_pending", command=promise.command_id, error=type(error).__name__)
            await self._commands.release(promise.command_id)
            raise Pending from None
        return await self._commands.keep(promise.command_id, answer)

    async def sweep(self, limit: int = 50) -> int:
        """Drives promises that nobody drives any more, side by side: a pool that is down holds up only its
        own. How many were answered."""
        return sum(await asyncio.gather(*map(self._swept, await self._commands.lapsed(limit))))

    async def _swept(self, promise: Promise) -> bool:
        try:
            await self.fulfil(promise)
        except Pending:
            return False
        return True

    async def _seen(self, promise: Promise, sight: Sight) -> Answer:
        """The answer of the process, or what the record shows of it, if that is first."""
        seeing = asyncio.ensure_future(sight(promise.business_id))
        driving = asyncio.ensure_future(self._drive(promise))
        try:
            await asyncio.wait((driving, seeing), return_when=asyncio.FIRST_COMPLETED)
            if not driving.done() and seeing.exception() is None:
                return seeing.result()
            return await driving
        finally:
            for task in (driving, seeing):
                # Consumed either way, or asyncio would complain of it later.
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                task.cancel()

    async def _drive(self, promise: Promise) -> Answer:
        drive = promise.drive
        try:
            if drive.update is None:
                return await self._start(drive)
            if promise.again and (earlier := await self._given_before(drive)) is not None:
                return earlier
            try:
                body = await (self._create(drive) if drive.start is not None else self._update(drive))
                return Answer(body=body or {})
            except WorkflowAlreadyStartedError:
                return await self._given_before(drive) or CLOSED
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return await self._given_before(drive) or CLOSED
        except WorkflowUpdateFailedError as failure:
            return _refusal(failure.cause)

    async def _given_before(self, drive: Drive) -> Answer | None:
        """What a run of this process, newest first, has answered to this very command, if it has one.

        An update id dedupes within one run only, and a closed run takes none: without this look a command
        whose answer was lost would run again after continue-as-new, or be called refused though it ran.
        """
        run_id = ""
        for _ in range(RUNS_READ):
            handle = self._client.get_workflow_handle(drive.workflow_id, run_id=run_id or None)
            try:
                return Answer(body=await handle.get_update_handle(drive.update_id).result() or {})
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            try:
                first = await anext(handle.fetch_history_events(page_size=1))
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return None
            run_id = first.workflow_execution_started_event_attributes.continued_execution_run_id
            if not run_id:
                return None
        return None

    async def _start(self, drive: Drive) -> Answer:
        try:
            await self._client.start_workflow(
                drive.workflow_type,
                drive.start,
                id=drive.workflow_id,
                task_queue=drive.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=drive.summary,
                static_details=drive.details,
                search_attributes=attributes(drive),
                task_timeout=TASK_TIMEOUT,
                rpc_timeout=self._deadline,
            )
        except WorkflowAlreadyStartedError:
            # It ran and ended already: the promise was kept, only its answer was not stored.
            return Answer()
        return Answer()

    async def _create(self, drive: Drive) -> dict:
        operation: WithStartWorkflowOperation = WithStartWorkflowOperation(
            drive.workflow_type,
            drive.start,
            id=drive.workflow_id,
            task_queue=drive.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if drive.rerun
            else WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=drive.summary,
            static_details=drive.details,
            search_attributes=attributes(drive),
            task_timeout=TASK_TIMEOUT,
        )
        # The handle carries the start's own failure, the same as the update's: consumed either way, or
        # asyncio would complain of it later.
        started = asyncio.ensure_future(operation.workflow_handle())
        started.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        try:
            return await self._client.execute_update_with_start_workflow(
                drive.update or "",
                drive.argument,
                start_workflow_operation=operation,
                id=drive.update_id,
                rpc_timeout=self._deadline,
            )
        finally:
            started.cancel()

    async def _update(self, drive: Drive) -> dict:
        handle = self._client.get_workflow_handle(drive.workflow_id)
        return await handle.execute_update(
            drive.update or "", drive.argument, id=drive.update_id, rpc_timeout=self._deadline
        )


def _refusal(cause: BaseException) -> Answer:
    """The answer of an update that failed: for good, whatever failed it."""
    if isinstance(cause, ActivityError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, ApplicationError) and cause.type == REFUSAL and cause.details:
        return Answer(refused=str(cause.details[0]), detail=cause.message)
    log.error("command_failed", error=type(cause).__name__)
    return Answer(refused=FAILED)


def attributes(drive: Drive) -> TypedSearchAttributes:
    """The search attributes that a process starts with."""
    return TypedSearchAttributes(
        [SearchAttributePair(Attribute[name].value, value) for name, value in drive.attributes.items()]
    )
