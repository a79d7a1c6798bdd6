"""A customer's emergency stop: block the account, take back every order, close what is held if asked, and
say under a signature what is left."""

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
        Flatten,
        KillSwitchInput,
        KillSwitchReport,
        KillSwitchView,
        Lift,
        LiftBlock,
        LiveOrders,
    )
    from workflows.answering import caller_told
    from workflows.failures import outcome, refuse
    from workflows.ports.trading import KillSwitchPort
    from workflows.visible import show, waiting, working

LOOK_AGAIN = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=10)
A_PERSON_AFTER = 60
"""Rounds of cancelling before a person is asked; the account stays blocked."""
FLATTEN_ROUNDS = 3
"""How often what is still held is closed anew before a person is asked."""

Status = KillSwitchStatus


@workflow.defn(name="KillSwitch")
class KillSwitch:
    """`kill-switch:{account}:{request}`. The block stands before anything else is done, so that nothing
    slips out between block and report: no attempt begins on a blocked account (one statement decides), and
    what had begun is live until the broker's word about it is read."""

    @workflow.init
    def __init__(self, switch: KillSwitchInput) -> None:
        self._switch = switch
        self._status = Status.BLOCKING
        self._refused: str | None = None
        self._lifted = False
        self._seen: set[str] = set()
        self._at_broker: set[str] = set()
        self._triggers: set[str] = set()
        self._live = LiveOrders(order_ids=[])
        self._flattening: list[str] = []
        self._told = False

    @workflow.run
    async def run(self, switch: KillSwitchInput) -> KillSwitchView:
        await self._block()
        if self._refused is None:
            await self._take_back_every_order()
            flat = await self._flatten()
            if not self._lifted:
                # Whoever lifts the block meanwhile is told nothing of what was not seen to its end.
                await self._report(Status.DONE if flat else Status.NEEDS_PERSON)
            await self._until_lifted()
        working("over")
        await caller_told(lambda: self._told)
        return self._view()

    @workflow.update(name="engage")
    async def engage(self, command: Engage) -> KillSwitchView:
        """Answers once the block stands; the orders are taken back after."""
        await workflow.wait_condition(lambda: self._status is not Status.BLOCKING or bool(self._refused))
        self._told = True
        if self._refused is not None:
            raise refuse(self._refused)
        return self._view()

    @workflow.update(name="lift")
    async def lift(self, command: Lift) -> KillSwitchView:
        """Lets orders through again; what was still being taken back is left alone. The record may be ahead
        of this run, whose worker died: then it waits until the run has heard that the block stands."""
        await workflow.wait_condition(lambda: self._status is not Status.BLOCKING or bool(self._refused))
        if self._refused is not None:
            raise refuse("not_blocked")
        lifting = LiftBlock(
            kill_switch_id=self._switch.kill_switch_id,
            account_id=self._switch.account_id,
            as_of=workflow.now(),
        )
        await workflow.execute_local_activity_method(KillSwitchPort.lift_block, lifting, **BOOK.local())
        self._lifted, self._status = True, Status.LIFTED
        show(state=Status.LIFTED, attention=False)
        return self._view()

    @lift.validator
    def _may_lift(self, command: Lift) -> None:
        if self._lifted:
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
        """Cancel, verify each by its own process and by the broker's book, again: a fill that was faster is
        verified too, and so is what only the broker knows of."""
        rounds = 0
        pause = LOOK_AGAIN
        while not self._lifted:
            live = await workflow.execute_activity_method(
                KillSwitchPort.stop_orders,
                self._switch,
                task_queue=Queue.KITE,
                **READ_BROKER.options(),
            )
            self._note(live)
            if live.clear:
                return
            rounds += 1
            if rounds == A_PERSON_AFTER:
                await self._report(Status.NEEDS_PERSON)
            if rounds > A_PERSON_AFTER:
                pause = min(2 * pause, LONGEST_PAUSE)
            waiting(
                f"{len(live.order_ids)} orders, {len(live.at_broker)} more at the broker and "
                f"{len(live.triggers) + len(live.leaving)} triggers to end",
                since=workflow.now(),
                otherwise="a person is asked; the account stays blocked",
                who="support, at the broker",
            )
            await self._until_lifted(pause)

    async def _flatten(self) -> bool:
        """Closes what is held with market orders of its own, which alone pass the block; False where that
        did not close all of it."""
        if not self._switch.flatten or self._lifted:
            return True
        for number in range(1, FLATTEN_ROUNDS + 1):
            started = await self._close_what_is_held(Flatten(switch=self._switch, round=number))
            if self._lifted:
                return True
            new = [each for each in started.order_ids if each not in self._flattening]
            self._flattening += new
            if not new:
                return started.held == 0
            if await self._closing_ends():
                return True
        return False

    async def _close_what_is_held(self, command: Flatten) -> LiveOrders:
        """Only the broker knows what is held; without a session it is asked once there is one."""
        pause = LOOK_AGAIN
        while True:
            started = await workflow.execute_activity_method(
                KillSwitchPort.flatten, command, task_queue=Queue.KITE, **READ_BROKER.options()
            )
            if started.reachable or self._lifted:
                return started
            await self._report(Status.BLOCKED)
            waiting(
                "a session, to ask the broker what is held",
                since=workflow.now(),
                otherwise="nothing is closed; the account stays blocked",
                who="the customer, by signing in",
                link="POST /v1/trading/exchanges/connect",
            )
            await self._until_lifted(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _closing_ends(self) -> bool:
        """Whether nothing is held any more once the closing orders have ended."""
        pause = LOOK_AGAIN / 4
        await self._report(Status.BLOCKED)
        while not self._lifted:
            left = await workflow.execute_local_activity_method(
                KillSwitchPort.flattening, self._switch, **BOOK.local()
            )
            if not left.live:
                return left.held == 0
            waiting(
                f"{len(left.live)} closing orders to end",
                since=workflow.now(),
                otherwise="they end with their day, are sent anew, then a person is asked",
                who="the customer, by signing in; support",
            )
            await self._until_lifted(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

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
        self._at_broker.update(live.at_broker)
        self._triggers.update(live.triggers)
        self._live = live
        show(state=self._status, customer=self._switch.user_id, reference=[self._switch.account_id])

    async def _report(self, status: KillSwitchStatus) -> None:
        report = KillSwitchReport(
            kill_switch_id=self._switch.kill_switch_id,
            account_id=self._switch.account_id,
            status=status,
            taken_back=self._taken_back(),
            left_open=self._live.order_ids,
            at_broker=sorted(self._at_broker),
            triggers=sorted(self._triggers),
            verified=self._live.verified and self._live.clear,
            flattening=self._flattening,
            as_of=workflow.now(),
        )
        await workflow.execute_local_activity_method(KillSwitchPort.report_stop, report, **BOOK.local())
        if not self._lifted:
            self._status = status
            show(state=status, attention=status is Status.NEEDS_PERSON)

    def _taken_back(self) -> list[str]:
        return sorted(self._seen - set(self._live.order_ids))

    def _view(self) -> KillSwitchView:
        return KillSwitchView(
            kill_switch_id=self._switch.kill_switch_id,
            status=self._status,
            taken_back=self._taken_back(),
            left_open=self._live.order_ids,
        )
