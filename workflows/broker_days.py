"""The end of a trading day: each account's book held against the broker's, each difference for a person."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.broker_day import BreakStatus, DayStatus, may_be
    from domain.market_calendar import INDIA_2026, session_ends, trading_date
    from models.contracts.policies import BOOK, READ_BROKER
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.broker_days import (
        BrokerBreakInput,
        BrokerDayInput,
        BrokerDaysInput,
        CompareDay,
        CompareNow,
        DayBreak,
        DayBreakView,
        DayCompared,
        DecideDayBreak,
        DueAccount,
        DueAccounts,
        ResolveDayBreak,
    )
    from models.messages.trading import SessionOpened
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.broker_days import BrokerDayPort
    from workflows.scheduling import due_at
    from workflows.visible import show, waiting, working

PAGE = 200
"""Accounts begun by one run of the round."""
LOOK_AGAIN = timedelta(seconds=20)
"""Before a difference counts: what is under way between broker and record has come to rest by then."""
TRY_AGAIN = timedelta(minutes=30)
ANSWER_WITHIN = timedelta(seconds=2)
ROLES = ("support", "compliance")


@workflow.defn(name="BrokerDays")
class BrokerDays:
    """`broker-days`. After the close of a trading day: starts the comparison of each account, under its own
    id."""

    @workflow.run
    async def run(self, given: BrokerDaysInput) -> str:
        due = due_at()
        day = given.day or trading_date(due)
        if not INDIA_2026.is_trading_day(day):
            show(state="no_trading_day")
            return "no_trading_day"
        working(f"accounts of {day}")
        found = await workflow.execute_activity_method(
            BrokerDayPort.days_due, DueAccounts(day=day, after=given.after, limit=PAGE), **BOOK.options()
        )
        for account in found.accounts:
            await self._begin(account, given.model_copy(update={"day": day}))
        if len(found.accounts) == PAGE:
            after = found.accounts[-1].account_id
            workflow.continue_as_new(given.model_copy(update={"day": day, "after": after}))
        show(state="begun")
        return day.isoformat()

    async def _begin(self, account: DueAccount, given: BrokerDaysInput) -> None:
        assert given.day is not None  # set by the caller
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "BrokerDay",
                BrokerDayInput(
                    account_id=account.account_id,
                    user_id=account.user_id,
                    day=given.day,
                    assertion_public_key=given.assertion_public_key,
                ),
                id=workflow_id(Kind.BROKER_DAY, account.account_id, given.day.isoformat()),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Day {given.day} of account {account.account_id}",
            )


@workflow.defn(name="BrokerDay")
class BrokerDay:
    """`broker-day:{account}:{date}`. One account's day held against the broker's book. It may run again as
    long as the broker shows the day: what has not changed is not done again."""

    @workflow.init
    def __init__(self, given: BrokerDayInput) -> None:
        self._given = given
        self._compared: DayCompared | None = None
        self._session_opened = False
        self._until = session_ends(given.day)

    @workflow.run
    async def run(self, given: BrokerDayInput) -> DayCompared:
        show(state="running", customer=given.user_id, reference=[given.account_id])
        compared = await self._compared_at_last()
        for found in compared.breaks:
            if found.status is BreakStatus.OPEN:
                await self._open_break(found)
        for break_id in compared.agreed:
            with suppress(ApplicationError):
                process = workflow_id(Kind.BROKER_BREAK, break_id)
                await workflow.get_external_workflow_handle(process).signal(BrokerBreak.agreed)
        self._compared = compared
        state = compared.status or DayStatus.UNREAD
        show(state=state)
        working(f"{state}: {compared.orders} orders, {compared.trades} trades, {len(compared.breaks)} breaks")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return compared

    @workflow.update(name="compare")
    async def compare(self, command: CompareNow) -> DayCompared:
        """Answers when the day is compared, or soon that it is still running."""
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._compared is not None, timeout=ANSWER_WITHIN)
        given = self._given
        running = DayCompared(account_id=given.account_id, day=given.day, reason_code="running")
        return self._compared or running

    @workflow.signal(name="session_opened")
    def session_opened(self, event: SessionOpened) -> None:
        self._session_opened = True

    async def _compared_at_last(self) -> DayCompared:
        """Two looks make a difference; without a session it waits until the broker shows the day no more."""
        final = False
        while True:
            # Before the look: a session that opens during it is not waited for.
            self._session_opened = False
            compared = await self._look(final=final)
            if compared.status is not None or compared.reason_code == "day_over":
                break
            if compared.reason_code is None:
                final = True
                await self._rest()
                continue
            if workflow.now() >= self._until:
                return await self._look(final=True, give_up=True)
            await self._session()
        if compared.reason_code == "day_over":
            return await self._look(final=True, give_up=True)
        return compared

    async def _look(self, *, final: bool, give_up: bool = False) -> DayCompared:
        command = CompareDay(
            account_id=self._given.account_id,
            day=self._given.day,
            final=final,
            give_up=give_up,
            as_of=workflow.now(),
        )
        return await workflow.execute_activity_method(
            BrokerDayPort.compare_day, command, task_queue=Queue.KITE, **READ_BROKER.options()
        )

    async def _rest(self) -> None:
        waiting(
            "both books to come to rest",
            since=workflow.now(),
            otherwise="they are compared as they then stand",
            who="nobody has to",
            link="",
        )
        await workflow.sleep(LOOK_AGAIN)

    async def _session(self) -> None:
        waiting(
            "the customer to sign in",
            since=workflow.now(),
            otherwise="the day, once the broker no longer shows it, waits for a person",
            who="the customer",
            link="POST /v1/trading/exchanges/connect",
        )
        left = min(self._until - workflow.now(), TRY_AGAIN)
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._session_opened, timeout=max(left, timedelta()))

    async def _open_break(self, found: DayBreak) -> None:
        """The break outlives this run, and is found again by its id when the day is compared again."""
        given = self._given
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "BrokerBreak",
                BrokerBreakInput(
                    account_id=given.account_id,
                    user_id=given.user_id,
                    day=given.day,
                    found=found,
                    assertion_public_key=given.assertion_public_key,
                ),
                id=workflow_id(Kind.BROKER_BREAK, found.break_id),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=f"Break {found.kind} {found.reference} of {given.day}",
                static_details=f"`{given.account_id}`: ours {found.ours}, the broker's {found.theirs}",
            )


@workflow.defn(name="BrokerBreak")
class BrokerBreak:
    """`broker-break:{break}`. One difference between an account's day and the broker's: it waits until a
    person has decided what becomes of it."""

    @workflow.init
    def __init__(self, given: BrokerBreakInput) -> None:
        self._given = given
        self._status = BreakStatus.OPEN
        self._deciding = asyncio.Lock()

    @workflow.run
    async def run(self, given: BrokerBreakInput) -> str:
        found = given.found
        show(
            state=self._status,
            customer=given.user_id,
            attention=True,
            reference=[found.break_id, given.account_id],
        )
        waiting(
            f"a decision on {found.kind} of {found.reference}: {found.ours} here, {found.theirs} there",
            since=workflow.now(),
            otherwise="it stays open and is shown in the day's statement",
            who="support or compliance",
            link=f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/resolve",
        )
        await workflow.wait_condition(lambda: self._status is BreakStatus.RESOLVED)
        show(state=self._status, attention=False)
        working("resolved")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    @workflow.update(name="resolve")
    async def resolve(self, asked: ResolveDayBreak) -> DayBreakView:
        """A person's decision, signed for this run."""
        async with self._deciding:
            if self._status is BreakStatus.RESOLVED:
                raise refuse("already_resolved")
            decision = DecideDayBreak(
                break_id=self._given.found.break_id,
                resolution=asked.resolution,
                note_id=asked.note_id,
                subject=self._checked(asked),
                as_of=workflow.now(),
            )
            try:
                decided = await workflow.execute_local_activity_method(
                    BrokerDayPort.decide_break, decision, **BOOK.local()
                )
            except ApplicationError as error:
                code = outcome(error).code
                if code == "already_resolved":
                    self._status = BreakStatus.RESOLVED  # agreed meanwhile, and nobody could say so
                raise refuse(code) from None
            self._status = decided.status
            return decided

    @resolve.validator
    def _may_resolve(self, asked: ResolveDayBreak) -> None:
        self._checked(asked)
        if not may_be(self._given.found.kind, asked.resolution):
            raise refuse("resolution_not_possible")

    @workflow.signal(name="agreed")
    def agreed(self) -> None:
        """A later comparison found no such difference any more."""
        self._status = BreakStatus.RESOLVED

    def _checked(self, asked: ResolveDayBreak) -> str:
        """Who decides, if the API has signed it for this run; what is typed by hand does not pass."""
        given = self._given
        return decider(
            asked.assertion, given.assertion_public_key, "resolve", ROLES, about=given.user_id
        ).subject
