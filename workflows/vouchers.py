"""A posting by hand: one person of finance writes it, above ₹50,000 another agrees."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.vouchers import VoucherStatus
    from models.contracts.policies import BOOK
    from models.messages.vouchers import DecideVoucher, Sign, TakeVoucher, VoucherInput, VoucherState
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.vouchers import VoucherPort
    from workflows.visible import show, waiting, working

ASK_WITHIN = timedelta(minutes=1)
"""How long a run waits for the signed word that it was started with: one that was refused never comes."""


@workflow.defn(name="Voucher")
class Voucher:
    """`voucher:{voucher}`. Posts lines to accounts that people move, with a reason; above ₹50,000 once a
    second person of finance has agreed."""

    @workflow.init
    def __init__(self, given: VoucherInput) -> None:
        self._given = given
        self._state: VoucherState | None = None
        self._refused = ""
        self._one_at_a_time = asyncio.Lock()

    @workflow.run
    async def run(self, given: VoucherInput) -> str:
        self._wait("the signed word of the person of finance who writes it", "nothing is posted", "post")
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: bool(self._state or self._refused), timeout=ASK_WITHIN)
        if self._state is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            return "refused"
        if self._state.status is VoucherStatus.AWAITING_SECOND:
            show(state=self._state.status, attention=True, amount=self._state.amount)
            self._wait("a second person of finance", "it stays open, and nothing is posted", "approve")
            await workflow.wait_condition(lambda: self._status() is not VoucherStatus.AWAITING_SECOND)
        show(state=self._status(), attention=False, amount=self._state.amount, reference=[given.voucher_id])
        working(f"{self._status()} as {self._state.entry_id}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return str(self._status())

    @workflow.update
    async def post(self, asked: Sign) -> VoucherState:
        async with self._one_at_a_time:
            if self._state is None:
                who = self._checked(asked, "post")
                take = TakeVoucher(voucher=self._given, subject=who, as_of=workflow.now())
                try:
                    self._state = await workflow.execute_local_activity_method(
                        VoucherPort.take, take, **BOOK.local()
                    )
                except ApplicationError as error:
                    self._refused = outcome(error).code
            if self._state is None:
                raise refuse(self._refused)
            return self._state

    @workflow.update
    async def approve(self, asked: Sign) -> VoucherState:
        return await self._decide(asked, "approve", VoucherStatus.POSTED)

    @workflow.update
    async def reject(self, asked: Sign) -> VoucherState:
        return await self._decide(asked, "reject", VoucherStatus.REJECTED)

    @post.validator
    def _may_post(self, asked: Sign) -> None:
        self._checked(asked, "post")

    @approve.validator
    def _may_approve(self, asked: Sign) -> None:
        self._checked(asked, "approve")

    @reject.validator
    def _may_reject(self, asked: Sign) -> None:
        self._checked(asked, "reject")

    async def _decide(self, asked: Sign, action: str, status: VoucherStatus) -> VoucherState:
        async with self._one_at_a_time:
            if self._state is None:
                raise refuse("voucher_unknown")
            decision = DecideVoucher(
                voucher_id=self._given.voucher_id,
                status=status,
                subject=self._checked(asked, action),
                as_of=workflow.now(),
            )
            try:
                decided = await workflow.execute_local_activity_method(
                    VoucherPort.decide, decision, **BOOK.local()
                )
            except ApplicationError as error:
                raise refuse(outcome(error).code) from None
            self._state = decided
            return decided

    def _status(self) -> VoucherStatus | None:
        return self._state.status if self._state else None

    def _checked(self, asked: Sign, action: str) -> str:
        """Who says it, if the API has signed it for this run; what is typed by hand does not pass."""
        return decider(asked.assertion, self._given.assertion_public_key, action, ("finance",)).subject

    def _wait(self, what: str, otherwise: str, call: str) -> None:
        path = "" if call == "post" else f"/{self._given.voucher_id}/{call}"
        waiting(
            what,
            since=workflow.now(),
            otherwise=otherwise,
            who="finance",
            link=f"POST /v1/finance/vouchers{path}",
        )
