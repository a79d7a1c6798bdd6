"""What a payment is told and asked: by the browser, by the gateway, by staff."""

from collections.abc import Container
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.payments import OPEN, PaymentStatus
    from models.contracts.assertions import Assertion, SignedAssertion
    from models.contracts.policies import BOOK
    from models.messages.billing import (
        Checkout,
        ConfirmCheckout,
        GatewayEvent,
        OpenedPayment,
        OpenPayment,
        PaymentInput,
        PaymentState,
        StaffDecision,
        VerifyCheckout,
    )
    from models.messages.monitoring import Settlement, SettlePayment
    from workflows.capturing import Capturing
    from workflows.deciding import decider
    from workflows.failures import refuse
    from workflows.hearing import heard
    from workflows.ports.billing import BillingPort
    from workflows.reviewing import Decided
    from workflows.visible import working

ANSWER_WITHIN = timedelta(seconds=2)
ANSWERED = frozenset(
    {
        PaymentStatus.CAPTURED,
        PaymentStatus.REFUND_PENDING,
        PaymentStatus.REFUNDED,
        PaymentStatus.REVIEW,
        PaymentStatus.BLOCKED,
    }
)
"""States that the browser is told as soon as they are reached."""


class PaymentMessages:
    """The messages of `PaymentWorkflow`, and the state that they change."""

    def __init__(self, given: PaymentInput) -> None:
        self._given = given
        self._opened: OpenedPayment | None = None
        self._checkout: Checkout | None = None
        self._joined: Checkout | None = None
        self._refused: str | None = None
        self._status: PaymentStatus | None = None
        self._invoice_id: str | None = None
        self._hint: str | None = None
        """What last told us that something moved: callback, webhook, staff."""
        self._decided: Decided | None = None
        self._taking: Capturing | None = None
        self._over = False

    @workflow.update
    async def open(self, _: OpenPayment) -> Checkout:
        """The checkout (of the payment that was open already, if so), or the refusal that ended this run."""
        await workflow.wait_condition(lambda: bool(self._checkout or self._joined or self._refused))
        answer = self._checkout or self._joined
        if answer is None:
            raise refuse(self._refused or "refused")
        return answer

    @workflow.update
    async def confirm(self, callback: ConfirmCheckout) -> PaymentState:
        """The browser came back: a hint, believed only with the gateway's signature over our order."""
        # The row may tell the browser of the checkout before this run has heard of it from its own step.
        await workflow.wait_condition(lambda: bool(self._checkout or self._joined or self._refused))
        if self._checkout is None:
            raise refuse("payment_not_open")
        genuine = await workflow.execute_local_activity_method(
            BillingPort.verify_checkout,
            VerifyCheckout(gateway_order_id=self._checkout.gateway_order_id, callback=callback),
            **BOOK.local(),
        )
        if not genuine:
            raise refuse("signature_invalid")
        self._hint = "callback"
        try:
            await workflow.wait_condition(
                lambda: self._status in ANSWERED or self._over, timeout=ANSWER_WITHIN
            )
        except TimeoutError:
            working("the callback is genuine; the gateway has not told the outcome yet")
        return self._answer()

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """A webhook named this payment: read the gateway again."""
        self._hint = "webhook"

    @workflow.update
    async def release(self, decision: StaffDecision) -> PaymentState:
        """Compliance lets the reviewed payment go on: it is captured if it is still wanted."""
        await self._decide(decision, released=True)
        return self._answer()

    @release.validator
    def _may_release(self, decision: StaffDecision) -> None:
        self._signed(decision.assertion, "release", "compliance")
        self._must_be(OPEN)

    @workflow.update
    async def block(self, decision: StaffDecision) -> PaymentState:
        """Compliance blocks the reviewed payment: nothing is taken, the held money goes back."""
        await self._decide(decision, released=False)
        return self._answer()

    @block.validator
    def _may_block(self, decision: StaffDecision) -> None:
        self._signed(decision.assertion, "block", "compliance")
        self._must_be(OPEN)

    @workflow.update
    async def settle(self, decision: SettlePayment) -> PaymentState:
        """Finance says what the gateway's support says of a capture that nobody could read."""
        if self._taking is None:
            raise refuse("not_awaiting_settlement")
        before = self._status
        self._taking.settlement = decision.settlement
        self._hint = "staff"
        await workflow.wait_condition(lambda: self._status is not before or self._over)
        return self._answer()

    @settle.validator
    def _may_settle(self, decision: SettlePayment) -> None:
        self._signed(decision.assertion, "settle", "finance")
        taking = self._taking
        if taking is None or not taking.asking or taking.settlement is not None:
            raise refuse("not_awaiting_settlement")
        if decision.settlement is Settlement.CAPTURED and not decision.note_id:
            raise refuse("evidence_required")

    async def _decide(self, decision: StaffDecision, *, released: bool) -> None:
        await heard(lambda: self._status is PaymentStatus.REVIEW)
        self._must_be((PaymentStatus.REVIEW,))
        who = self._signed(decision.assertion, "release" if released else "block", "compliance")
        self._decided = Decided(released, who.subject, decision.note_id)
        self._hint = "staff"
        await workflow.wait_condition(lambda: self._status is not PaymentStatus.REVIEW or self._over)
        if released:
            try:
                await workflow.wait_condition(
                    lambda: self._status is not PaymentStatus.AUTHORIZED or self._over, timeout=ANSWER_WITHIN
                )
            except TimeoutError:
                working("released; the gateway has not answered the capture yet")

    def _must_be(self, among: Container[PaymentStatus | None]) -> None:
        """Refuses a decision on a payment of another state, or on one that is decided."""
        if self._status not in among or self._decided is not None:
            raise refuse("not_in_review")

    def _signed(self, assertion: SignedAssertion, action: str, role: str) -> Assertion:
        given = self._given
        return decider(assertion, given.assertion_key, action, (role,), about=given.user_id)

    def _answer(self) -> PaymentState:
        return PaymentState(payment_id=self._given.payment_id, status=self._status or PaymentStatus.CREATED)
