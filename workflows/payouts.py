"""What finance pays back by bank transfer, because the gateway cannot, or because a bank returned it."""

from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.payments import RefundStatus
    from models.contracts.assertions import Assertion
    from models.contracts.policies import BOOK
    from models.contracts.search_attributes import Attribute
    from models.messages.billing import (
        AdvancedRefund,
        AdvanceRefund,
        GatewayRefund,
        RefundState,
        StaffDecision,
    )
    from models.messages.disputes import Dispute, PaymentDisputed
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.hearing import heard
    from workflows.ports.billing import RefundPort
    from workflows.visible import show, waiting, working


class Given(Protocol):
    """What every process about a refund is given."""

    refund_id: str
    assertion_key: str


class BankPayout:
    """The part of a refund's process in which finance pays and proves it by the transfer's UTR."""

    _given: Given
    _status: RefundStatus
    _customer = ""
    """Whose money it is, as soon as a step of ours has said so: they decide nothing about it."""
    _utr: str | None = None
    _paid_by: str | None = None
    _paid_note: str | None = None
    _unpayable: str = ""
    """Why the last transfer that was told pays nothing."""
    _lost = False
    """A dispute was lost since it was last seen what is owed."""

    @workflow.signal
    def payment_disputed(self, said: PaymentDisputed) -> None:
        """A dispute of the payment was opened, or has ended: lost, it may have paid what is owed here."""
        self._lost = self._lost or said.state is Dispute.LOST

    @workflow.update
    async def paid_out(self, decision: StaffDecision) -> RefundState:
        """Finance has paid by bank transfer; `utr` proves it."""
        await heard(lambda: self._status is RefundStatus.MANUAL_PAYOUT)
        self._paid_by = self._payer(decision)
        self._utr, self._paid_note = decision.utr, decision.note_id
        await workflow.wait_condition(
            lambda: self._status is RefundStatus.PROCESSED or self._utr is not decision.utr
        )
        if self._status is not RefundStatus.PROCESSED:
            raise refuse(self._unpayable)
        return self._answer()

    @paid_out.validator
    def _may_pay_out(self, decision: StaffDecision) -> None:
        self._signed(decision, "paid_out")
        if not decision.utr or self._utr is not None:
            raise refuse("utr_required" if not decision.utr else "already_paid_out")

    def _payer(self, decision: StaffDecision) -> str:
        """Who has paid, or the refusal."""
        who = self._signed(decision, "paid_out").subject
        if self._status is not RefundStatus.MANUAL_PAYOUT:
            raise refuse("no_payout_due")
        if self._utr is not None:
            raise refuse("already_paid_out")
        return who

    async def _await_transfer(self) -> None:
        """Until finance has paid, or a lost dispute has; the amount stays in refunds payable."""
        show(state=self._status, attention=True)
        waiting(
            "finance to pay by bank transfer and give the UTR; not while the payment is disputed",
            since=workflow.now(),
            otherwise="the amount stays in refunds payable",
            who="finance",
            link=f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/paid_out",
        )
        while self._status is RefundStatus.MANUAL_PAYOUT:
            await workflow.wait_condition(lambda: self._utr is not None or self._lost)
            if self._lost:
                # A transfer told meanwhile was of the amount before: what is left is told anew.
                self._lost, self._unpayable, self._utr = False, "dispute_lost", None
                await self._advance(RefundStatus.REJECTED, failure_code="dispute_lost")
                continue
            try:
                await self._advance(
                    RefundStatus.PROCESSED, approver=self._paid_by, note_id=self._paid_note, utr=self._utr
                )
            except ApplicationError as error:
                # Another refund has this UTR, or a dispute holds or has paid the money: asked again.
                self._unpayable, self._utr = outcome(error).code, None
        if self._status is RefundStatus.REJECTED:
            show(state=self._status, attention=False)
            return self._done()
        known = workflow.info().typed_search_attributes.get(Attribute.REFERENCE.value) or []
        show(attention=False, reference=[*known, self._utr or ""])
        return self._done()

    def _done(self) -> None:
        show(state=self._status)
        lost = self._status is RefundStatus.REJECTED
        working("not paid back: a lost dispute has given the customer the money" if lost else "paid back")

    async def _advance(
        self,
        status: RefundStatus,
        *,
        approver: str | None = None,
        note_id: str | None = None,
        gateway: GatewayRefund | None = None,
        failure_code: str | None = None,
        utr: str | None = None,
    ) -> AdvancedRefund:
        after = await workflow.execute_local_activity_method(
            RefundPort.advance,
            AdvanceRefund(
                refund_id=self._given.refund_id,
                status=status,
                at=workflow.now(),
                approver=approver,
                note_id=note_id,
                gateway=gateway,
                failure_code=failure_code,
                utr=utr,
            ),
            **BOOK.local(),
        )
        self._status, self._customer = after.status, after.user_id or self._customer
        return after

    def _signed(self, decision: StaffDecision, action: str) -> Assertion:
        return decider(
            decision.assertion, self._given.assertion_key, action, ("finance",), about=self._customer
        )

    def _answer(self) -> RefundState:
        return RefundState(refund_id=self._given.refund_id, status=self._status)
