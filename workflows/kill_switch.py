"""A customer's emergency stop: block the account, take back every order, say what is left."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.broker_accounts import KillSwitchStatus
    from models.contracts.policies import BOOK, READ_BROKER
    from models.contracts.queues import Queue
    from models.messages.broker_accounts import (
        BlockAccount,
        Engage,
        KillSwitchInput,
        KillSwitchReport,
        KillSwitchView,
        Lift,
        LiftBlock,
        LiveOrders,
    )
    from workflows.failures import outcome, refuse
    from workflows.ports.trading import KillSwitchPort
    from workflows.visible import show, waiting, working

LOOK_AGAIN = timedelta(seconds=1)
A_PERSON_AFTER = 60
"""Rounds of cancelling before a person is asked; the account stays blocked."""

Status = KillSwitchStatus


@workflow.defn(name="KillSwitch")
class KillSwitch:
    """`kill-switch:{account}:{request}`. The block stands before anything else is done, so that nothing
    slips out between block and report: no attempt begins on a blocked account (one statement decides)."""

    @workflow.init
    def __init__(self, switch: KillSwitchInput) -> None:
        self._switch = switch
        self._status = Status.BLOCKING
        self._refused: str | None = None
        self._lifted = False
        self._seen: set[str] = set()
        self._left: list[str] = []
        self._flattening: list[str] = []

    @workflow.run
    async def run(self, switch: KillSwitchInput) -> KillSwitchView:
        await self._block()
        if self._refused is None:
            await self._take_back_every_order()
            await self._flatten()
            await self._report(Status.DONE)
            await self._until_lifted()
        working("over")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view()

    @workflow.update(name="engage")
    async def engage(self, command: Engage) -> KillSwitchView:
        """Answers once the block stands; the orders are taken back after."""
        await workflow.wait_condition(lambda: self._status is not Status.BLOCKING or bool(self._refused))
        if self._refused is not None:
            raise refuse(self._refused)
        return self._view()

    @workflow.update(name="lift")
    async def lift(self, command: Lift) -> KillSwitchView:
        """Lets orders through again; what was still being taken back is left alone."""
        lifting = LiftBlock(
            kill_switch_id=self._switch.kill_switch_id,
            account_id=self._switch.account_id,
            as_of=workflow.now(),
        )
        await workflow.execute_local_activity_method(KillSwitchPort.lift_block, lifting, **BOOK.local())
        self._lifted, self._status = True, Status.LIFTED
        return self._view()

    @lift.validator
    def _may_lift(self, command: Lift) -> None:
        if self._status is Status.BLOCKING or self._lifted:
            raise refuse("not_blocked")

    async def _block(self) -> None:
        command = BlockAccount(
            kill_switch_id=self._switch.kill_switch_id,
            account_id=self._switch.account_id,
            user_id=self._switch.user_id,
            flatten=self._switch.flatten,
            as_of=workflow.now(),
        )
        try:
            live = await workflow.execute_local_activity_method(
                KillSwitchPort.block_account, command, **BOOK.local()
            )
        except ApplicationError as error:
            self._refused = outcome(error).code
        else:
            self._status = Status.BLOCKED
            self._note(live)

    async def _take_back_every_order(self) -> None:
        """Cancel, verify each by its own process, again: a fill that was faster is verified too."""
        rounds = 0
        while not self._lifted:
            live = await workflow.execute_activity_method(
                KillSwitchPort.stop_orders,
                self._switch.account_id,
                task_queue=Queue.KITE,
                **READ_BROKER.options(),
            )
            self._note(live)
            if not live.order_ids:
                return
            rounds += 1
            if rounds == A_PERSON_AFTER:
                await self._report(Status.NEEDS_PERSON)
                show(attention=True)
            waiting(
                f"{len(live.order_ids)} orders to end",
                since=workflow.now(),
                otherwise="a person is asked; the account stays blocked",
                who="support, at the broker",
            )
            await self._until_lifted(LOOK_AGAIN if rounds < A_PERSON_AFTER else 10 * LOOK_AGAIN)

    async def _flatten(self) -> None:
        """Closes what is held with market orders of its own, which alone pass the block."""
        if not self._switch.flatten or self._lifted:
            return
        started = await workflow.execute_activity_method(
            KillSwitchPort.flatten, self._switch, **READ_BROKER.options()
        )
        self._flattening = started.order_ids

    async def _until_lifted(self, within: timedelta | None = None) -> None:
        if within is None:
            waiting(
                "the customer to lift the block",
                since=workflow.now(),
                otherwise="the account stays blocked",
                who="the customer",
                link=f"DELETE /v1/trading/accounts/{self._switch.account_id}/kill-switch",
            )
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._lifted, timeout=within)

    def _note(self, live: LiveOrders) -> None:
        self._seen.update(live.order_ids)
        self._left = live.order_ids
        show(state=self._status, customer=self._switch.user_id, reference=[self._switch.account_id])

    async def _report(self, status: KillSwitchStatus) -> None:
        report = KillSwitchReport(
            kill_switch_id=self._switch.kill_switch_id,
            status=status,
            taken_back=sorted(self._seen - set(self._left)),
            left_open=self._left,
            flattening=self._flattening,
            as_of=workflow.now(),
        )
        await workflow.execute_local_activity_method(KillSwitchPort.report_stop, report, **BOOK.local())
        if not self._lifted:
            self._status = status
        show(state=status, attention=status is Status.NEEDS_PERSON)

    def _view(self) -> KillSwitchView:
        return KillSwitchView(
            kill_switch_id=self._switch.kill_switch_id,
            status=self._status,
            taken_back=sorted(self._seen - set(self._left)),
            left_open=self._left,
        )
