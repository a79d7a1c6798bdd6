"""Refund: from the request through policy and approvals to the money's return, one saga, one trail."""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.payments import RefundStatus
    from domain.refunds import Authority
    from models.contracts.policies import BOOK
    from models.messages.billing import (
        GatewayEvent,
        GatewayRefund,
        OpenedRefund,
        PaymentRefunded,
        RefundInput,
        RefundOpening,
        RefundState,
        RequestRefund,
        StaffDecision,
    )
    from models.messages.disputes import Dispute, PaymentDisputed
    from workflows.answering import caller_told
    from workflows.failures import refuse
    from workflows.hearing import heard
    from workflows.payouts import BankPayout
    from workflows.ports.billing import RefundPort
    from workflows.returning import Returning
    from workflows.visible import show, waiting, working

FIRST_POLL = timedelta(seconds=5)
LAST_POLL = timedelta(hours=12)
ANSWER_WITHIN = timedelta(seconds=2)
NOTHING_LEFT = frozenset({"dispute_lost", "already_refunded"})
"""Refusals that end what a process owes: the customer has the money."""
DECIDED = frozenset({RefundStatus.PROCESSED, RefundStatus.MANUAL_PAYOUT, RefundStatus.REJECTED})


@workflow.defn(name="Refund")
class RefundWorkflow(BankPayout):
    """`refund:{refund}`. Once accepted by the gateway, or refused by it and so owed by bank transfer, the
    credit note stands and the books say so; nothing is undone after that."""

    @workflow.init
    def __init__(self, given: RefundInput) -> None:
        self._given: RefundInput = given
        self._opened: OpenedRefund | None = None
        self._status = RefundStatus.REQUESTED
        self._approvers: dict[str, str | None] = {}
        """Who has agreed, in turn, with the note of each."""
        self._rejected: tuple[str, str | None] | None = None
        """Who has said no, and that person's note."""
        self._told = False
        self._returning = Returning(given.refund_id, "", 0, given.speed)

    @workflow.run
    async def run(self, given: RefundInput) -> RefundState:
        if await self._open() and await self._agree():
            sent = await self._returning.send()
            if self._returning.forfeited:
                await self._forfeit()
            elif sent is None or not await self._follow(sent):
                await self._pay_by_bank()
        # A process that owes the money waits for its end, not for an answer.
        await caller_told(lambda: self._told or given.authority == Authority.SYSTEM)
        return self._answer()

    # Messages

    @workflow.update
    async def request(self, _: RequestRefund) -> RefundState:
        """The state reached within the time of an answer, or the refusal that ended this run."""
        await workflow.wait_condition(lambda: self._opened is not None)
        self._told = True
        if self._opened is not None and self._opened.refused is not None:
            raise refuse(self._opened.refused)
        if self._opened is not None and self._opened.approvals_due == 0:
            try:
                await workflow.wait_condition(lambda: self._status in DECIDED, timeout=ANSWER_WITHIN)
            except TimeoutError:
                return self._answer()
        return self._answer()

    @workflow.update
    async def approve(self, decision: StaffDecision) -> RefundState:
        await heard(lambda: self._opened is not None)
        self._approvers[self._approver(decision)] = decision.note_id
        await workflow.wait_condition(
            lambda: len(self._approvers) < self._due or self._status is not RefundStatus.REQUESTED
        )
        return self._answer()

    @approve.validator
    def _may_approve(self, decision: StaffDecision) -> None:
        self._approver(decision)

    def _approver(self, decision: StaffDecision) -> str:
        """Who agrees, or the refusal."""
        who = self._signed(decision, "approve").subject
        self._must_be_open()
        if who == self._given.requested_by or who in self._approvers:
            raise refuse("second_person_required")
        return who

    @workflow.update
    async def reject(self, decision: StaffDecision) -> RefundState:
        await heard(lambda: self._opened is not None)
        self._must_be_open()
        self._rejected = self._signed(decision, "reject").subject, decision.note_id
        await workflow.wait_condition(lambda: self._status is not RefundStatus.REQUESTED)
        return self._answer()

    @reject.validator
    def _may_reject(self, decision: StaffDecision) -> None:
        self._signed(decision, "reject")
        self._must_be_open()

    @workflow.signal
    def payment_disputed(self, said: PaymentDisputed) -> None:
        """A dispute of the payment was opened, or has ended: what it held may go on."""
        super().payment_disputed(said)
        self._returning.decided = said.state is not Dispute.OPENED

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """A webhook named this refund: look at the gateway again."""
        self._returning.told = True

    # The story

    async def _open(self) -> bool:
        opened = await self._ask()
        while opened.refused is not None and self._given.authority == Authority.SYSTEM:
            if opened.refused in NOTHING_LEFT:
                break
            await self._until_it_may_open(opened.refused)
            opened = await self._ask()
        self._status, self._opened, self._customer = opened.status, opened, opened.user_id
        self._returning.gateway_payment_id, self._returning.amount = opened.gateway_payment_id, opened.amount
        if opened.refused is not None:
            show(state="refused", attention=False)
            working(f"refused: `{opened.refused}`")
            return False
        show(
            state=self._status,
            customer=opened.user_id,
            amount=opened.amount,
            reference=[self._given.refund_id, self._given.payment_id, opened.gateway_payment_id],
        )
        return True

    async def _ask(self) -> OpenedRefund:
        return await workflow.execute_local_activity_method(
            RefundPort.open_refund,
            RefundOpening(refund=self._given, at=workflow.now()),
            **BOOK.local(),
        )

    async def _until_it_may_open(self, code: str) -> None:
        """A process that owes money asks once and has gone: the debt outlives a refusal."""
        disputed = code == "payment_disputed"
        show(
            state="waiting",
            attention=not disputed,
            reference=[self._given.refund_id, self._given.payment_id],
        )
        waiting(
            "the end of a dispute of the payment"
            if disputed
            else f"what refuses this refund (`{code}`) to end",
            since=workflow.info().start_time,
            otherwise="it is asked for again every twelve hours; nothing is paid back before",
            who="finance, who answer the dispute" if disputed else "finance, who pay back what is owed",
            link="GET /v1/finance/disputes?status=open" if disputed else "POST /v1/payments/refund",
        )
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._returning.decided, timeout=LAST_POLL)
        self._returning.decided = False

    async def _agree(self) -> bool:
        """Waits for as many people of finance as are due; False where one of them says no."""
        while self._status is RefundStatus.REQUESTED:
            agreed = len(self._approvers)
            show(attention=True)
            waiting(
                f"finance: {self._due - agreed} more to agree",
                since=workflow.info().start_time,
                otherwise="nothing is paid back",
                who="finance, not the requester, each person once",
                link=f"POST /v1/finance/refunds/{self._given.refund_id}/approve",
            )
            await workflow.wait_condition(
                lambda: self._rejected is not None or len(self._approvers) > agreed  # noqa: B023
            )
            if self._rejected is not None:
                person, note_id = self._rejected
                await self._advance(RefundStatus.REJECTED, approver=person, note_id=note_id)
            elif len(self._approvers) >= self._due:
                for person, note_id in list(self._approvers.items()):
                    await self._advance(RefundStatus.APPROVED, approver=person, note_id=note_id)
            show(state=self._status, attention=self._status is RefundStatus.REQUESTED)
        working(f"{self._status}")
        return self._status is not RefundStatus.REJECTED

    async def _follow(self, refund: GatewayRefund) -> bool:
        """The gateway has taken it on: credit note and reversal now, the payout when it is processed. False
        where the bank turned it down after all."""
        after = await self._advance(RefundStatus.PENDING, gateway=refund)
        await self._tell(after.full)
        show(
            state=self._status,
            reference=[
                self._given.refund_id,
                self._given.payment_id,
                refund.id,
                after.credit_note_number or "",
            ],
        )
        pause = FIRST_POLL
        while refund.status == "pending":
            waiting(
                f"the bank to take refund {refund.id}",
                since=workflow.now(),
                otherwise="the gateway is asked again, at longest every twelve hours",
                who="nobody needs to",
            )
            await self._returning.wait(pause)
            pause = min(2 * pause, LAST_POLL)
            seen = await self._returning.look()
            refund = seen.refund if seen and seen.refund else refund
        if refund.status == "failed":
            return False
        await self._advance(RefundStatus.PROCESSED, gateway=refund)
        self._done()
        return True

    async def _forfeit(self) -> None:
        """The customer's bank gave the money back meanwhile: a refund would be the second one."""
        await self._advance(RefundStatus.REJECTED, failure_code="dispute_lost")
        self._done()

    async def _pay_by_bank(self) -> None:
        """The gateway cannot (most refuse after six months): finance pays and gives the UTR."""
        told = self._status is RefundStatus.PENDING
        after = await self._advance(RefundStatus.MANUAL_PAYOUT, failure_code="gateway_refused")
        if not told:
            await self._tell(after.full)
        await self._await_transfer()

    async def _tell(self, full: bool) -> None:
        """The reference changes what the customer may use; one that has ended has nothing to change."""
        if self._opened is None or not self._opened.reference_workflow:
            return
        message = PaymentRefunded(
            payment_id=self._given.payment_id,
            reference_id=self._opened.reference_id,
            refund_id=self._given.refund_id,
            amount=self._amount,
            full=full,
        )
        handle = workflow.get_external_workflow_handle(self._opened.reference_workflow)
        try:
            await handle.signal("payment_refunded", message)
        except ApplicationError:
            working("the reference's process has ended; its access is governed by its own state")

    def _must_be_open(self) -> None:
        refused = self._opened is not None and self._opened.refused is not None
        if refused or self._rejected or self._status is not RefundStatus.REQUESTED:
            raise refuse("not_awaiting_approval")

    @property
    def _due(self) -> int:
        return self._opened.approvals_due if self._opened else 0

    @property
    def _amount(self) -> int:
        return self._opened.amount if self._opened else 0
