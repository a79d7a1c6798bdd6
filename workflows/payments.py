"""Payment: one checkout, from the order at the gateway to the captured money, its invoice and its books.

Callback, webhook and poll race here. Each is only a hint: the gateway is read again, and what it says is
done once. Nothing goes back; a failed payment may still become authorized for three days.
"""

from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.monitoring import DECLINED, LAPSED
    from domain.payments import LATE_AUTHORISATION, PaymentStatus
    from models.contracts.policies import BOOK, READ_PROVIDER
    from models.messages.billing import (
        Advance,
        Advanced,
        BookCapture,
        BookedCapture,
        Checkout,
        CreateOrder,
        GatewayPayment,
        OpenedPayment,
        Opening,
        PaymentCaptured,
        PaymentEnded,
        PaymentInput,
        PaymentOutcome,
    )
    from workflows.capturing import Capturing
    from workflows.failures import outcome
    from workflows.late_payments import REASON as LATE
    from workflows.order_reading import look_at_order, read_order
    from workflows.payment_messages import PaymentMessages
    from workflows.ports.billing import BillingPort, GatewayPort
    from workflows.reviewing import Decided, Reviewing
    from workflows.unwanted import Unwanted
    from workflows.visible import show, waiting, working

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_POLL = timedelta(seconds=3)
LAST_POLL = timedelta(hours=1)
NOBODY = Decided(released=False, by="nobody", note_id=None)
"""Who let a review lapse."""


@workflow.defn(name="Payment")
class PaymentWorkflow(PaymentMessages):
    """`payment:{payment}`."""

    @workflow.init
    def __init__(self, given: PaymentInput) -> None:
        super().__init__(given)
        self._tried_at = EPOCH

    @workflow.run
    async def run(self, given: PaymentInput) -> PaymentOutcome:
        if await self._open():
            await self._collect()
            await self._hear_late_news()
        self._over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PaymentOutcome(
            payment_id=given.payment_id,
            status=self._status,
            refused=self._refused,
            joined=self._joined.payment_id if self._joined else None,
            invoice_id=self._invoice_id,
        )

    # The story

    async def _open(self) -> bool:
        """Checks, row and order at the gateway; False where the payment was refused."""
        given = self._given
        opened: OpenedPayment = await workflow.execute_local_activity_method(
            BillingPort.open_payment,
            Opening(payment=given, process=workflow.info().workflow_id, at=workflow.now()),
            **BOOK.local(),
        )
        if opened.refused is not None:
            return self._refuse(opened.refused)
        if opened.joined is not None:
            self._joined = opened.joined
            show(state="joined", reference=[given.payment_id, opened.joined.payment_id])
            working(f"the payment {opened.joined.payment_id} of the same reference is open: answered instead")
            return False
        self._opened = opened
        self._status = PaymentStatus.CREATED
        try:
            checkout: Checkout = await workflow.execute_activity_method(
                GatewayPort.create_order,
                CreateOrder(
                    payment_id=given.payment_id,
                    user_id=given.user_id,
                    reference_id=given.reference_id,
                    amount=opened.amount,
                    currency=opened.currency,
                    mandate_max=opened.mandate_max,
                ),
                summary=f"order for {given.payment_id}",
                **READ_PROVIDER.options(),
            )
        except ActivityError as error:
            await self._advance(PaymentStatus.EXPIRED, "gateway", failure_code=outcome(error).code)
            return self._refuse("gateway_refused")
        self._checkout = checkout
        show(
            state=PaymentStatus.CREATED,
            customer=given.user_id,
            amount=opened.amount,
            reference=[given.payment_id, given.reference_id, checkout.gateway_order_id],
        )
        return True

    def _refuse(self, code: str) -> bool:
        self._refused = code
        show(state="refused")
        working(f"refused: `{code}`")
        return False

    async def _collect(self) -> None:
        """Watches the order until its money is ours, is on its way back, or will never come."""
        pause = FIRST_POLL
        while True:
            source = await self._news(pause)
            pause = min(pause * 2, LAST_POLL)
            seen = await self._read()
            if seen is None and workflow.now() >= self._deadline:
                return await self._end(PaymentStatus.EXPIRED, "timer")
            if seen is None:
                continue
            self._tried_at = EPOCH + timedelta(seconds=seen.created_at)
            if seen.amount != (self._checkout.amount if self._checkout else 0):
                return await self._let_lapse(seen, source, "amount_mismatch", attention=True)
            if seen.captured and seen.status != "refunded":
                return await self._authorised(seen, source)
            match seen.status:
                case "authorized":
                    return await self._authorised(seen, source)
                case "failed":
                    await self._note_failure(seen, source)
                    if workflow.now() >= self._deadline:
                        return await self._end(PaymentStatus.EXPIRED, "timer")
                case "refunded":
                    return await self._end(PaymentStatus.REFUNDED, source)
                case _ if workflow.now() >= self._deadline:
                    return await self._end(PaymentStatus.EXPIRED, "timer")
                case _:
                    continue

    async def _note_failure(self, seen: GatewayPayment, source: str) -> None:
        if self._status is not PaymentStatus.FAILED:
            code = (seen.error_code or "payment_failed").lower()
            await self._advance(PaymentStatus.FAILED, source, failure_code=code)
            show(state=PaymentStatus.FAILED)

    async def _authorised(self, seen: GatewayPayment, source: str) -> None:
        """The bank holds the money: take it if the thing is still wanted, else let it go back. What somebody
        took at the gateway is looked at like what we would take, before it buys anything."""
        checked = await self._advance(PaymentStatus.AUTHORIZED, source, seen.id)
        if checked.status is PaymentStatus.EXPIRED:
            # The end was written by a step that was cut off, and what it had read is read again.
            return await self._let_lapse(seen, source, LATE)
        if checked.refused is None and checked.wanted and checked.review:
            after = await self._reviewed(seen)
            if after is None:
                return None
            checked, seen = after
        if checked.refused is not None:
            return await self._let_lapse(seen, source, checked.refused, PaymentStatus.BLOCKED)
        if seen.captured:
            return await self._book(seen, source)
        if not checked.wanted:
            return await self._let_lapse(seen, source, "no_longer_wanted")
        taken = await self._capture(seen)
        if taken.captured and taken.status != "refunded":
            return await self._book(taken, source)
        return await self._let_lapse(taken, "gateway", "capture_refused")

    async def _reviewed(self, seen: GatewayPayment) -> tuple[Advanced, GatewayPayment] | None:
        """What holds of a payment that compliance released; None where it goes no further. Money that was
        taken at the gateway meanwhile is booked with the decision, and delivered or given back by it."""
        await self._advance(PaymentStatus.REVIEW, "monitoring", seen.id)
        reviewing = Reviewing(self._given.payment_id, lambda: self._decided, self._look, self._hinted)
        ended = await reviewing.wait(seen)
        seen = reviewing.taken or seen
        match ended:
            case Decided(released=True) as decision:
                after = await self._advance(PaymentStatus.AUTHORIZED, "compliance", seen.id, decided=decision)
                return after, seen
            case Decided() as decision:
                await self._let_lapse(seen, "compliance", DECLINED, PaymentStatus.BLOCKED, decided=decision)
            case GatewayPayment() as found:
                await self._let_lapse(found, "gateway", LAPSED, decided=NOBODY)
            case None:
                await self._let_lapse(seen, "timer", LAPSED, decided=NOBODY)
        return None

    async def _capture(self, seen: GatewayPayment) -> GatewayPayment:
        async def unsure(seen: GatewayPayment, code: str) -> None:
            await self._advance(PaymentStatus.UNKNOWN, "gateway", seen.id, code)
            show(state=PaymentStatus.UNKNOWN)

        self._taking = Capturing(self._given.payment_id, self._currency, self._look, self._hinted, unsure)
        return await self._taking.take(seen)

    async def _book(self, seen: GatewayPayment, source: str) -> None:
        """Row, journal, invoice and event in one transaction; then the reference is told."""
        booked: BookedCapture = await workflow.execute_local_activity_method(
            BillingPort.book_capture,
            BookCapture(payment_id=self._given.payment_id, gateway=seen, source=source, at=workflow.now()),
            **BOOK.local(),
        )
        self._status = booked.status
        self._invoice_id = booked.invoice_id
        show(
            state=booked.status,
            reference=[
                self._given.payment_id,
                self._given.reference_id,
                seen.order_id or "",
                seen.id,
                booked.invoice_number,
            ],
        )
        working(f"captured; invoice {booked.invoice_number}")
        told = await self._tell(
            "payment_captured",
            PaymentCaptured(
                payment_id=self._given.payment_id,
                purpose=self._given.purpose,
                reference_id=self._given.reference_id,
                amount=seen.amount,
                captured_at=booked.captured_at,
                token_id=seen.token_id,
                gateway_customer_id=seen.customer_id,
                method=seen.method,
            ),
        )
        if not told or not booked.wanted:
            await self._unwanted.give_back("reference_closed" if not told else "no_longer_wanted")

    async def _let_lapse(
        self,
        seen: GatewayPayment,
        source: str,
        reason: str,
        status: PaymentStatus = PaymentStatus.REFUND_PENDING,
        *,
        attention: bool = False,
        decided: Decided | None = None,
    ) -> None:
        """Held money that we do not take goes back by itself within three days (Razorpay), free of charge."""
        await self._advance(status, source, seen.id, reason, decided)
        await self._tell_ended(status)
        show(state=status, attention=attention)
        gone = await self._unwanted.released(seen, reason)
        if gone.status == "refunded":
            await self._advance(PaymentStatus.REFUNDED, "gateway", seen.id, reason)
            show(state=PaymentStatus.REFUNDED, attention=False if attention else None)

    async def _end(self, status: PaymentStatus, source: str) -> None:
        await self._advance(status, source)
        show(state=status)
        working(f"ended: {status}")
        await self._tell_ended(status)

    async def _hear_late_news(self) -> None:
        """What was told while the end was written is told to nobody else: money that is there goes back."""
        while self._status is PaymentStatus.EXPIRED and self._hint is not None:
            source, self._hint = self._hint, None
            seen = await self._read()
            if seen is not None and seen.status in ("authorized", "captured"):
                await self._let_lapse(seen, source, LATE)

    # Steps

    async def _news(self, pause: timedelta) -> str:
        """Waits for a hint, at most until the next poll; what told us."""
        if self._hint is None:
            waiting(
                f"the customer at the gateway's checkout (order {self._order_id})",
                since=self._opened_at,
                otherwise=f"the payment expires at {self._deadline.isoformat(timespec='seconds')}",
                who="the customer",
                link=f"GET /v1/payments/{self._given.payment_id}/status",
            )
        return await self._hinted(min(pause, max(self._deadline - workflow.now(), timedelta(0)))) or "poll"

    async def _hinted(self, at_most: timedelta) -> str | None:
        """Takes the hint that came within the time, or None."""
        try:
            await workflow.wait_condition(lambda: self._hint is not None, timeout=at_most)
        except TimeoutError:
            return None
        hint, self._hint = self._hint, None
        return hint

    async def _read(self) -> GatewayPayment | None:
        return await read_order(self._given.payment_id, self._order_id)

    async def _look(self) -> GatewayPayment | None:
        return await look_at_order(self._given.payment_id, self._order_id)

    async def _advance(
        self,
        status: PaymentStatus,
        source: str,
        gateway_payment_id: str | None = None,
        failure_code: str | None = None,
        decided: Decided | None = None,
    ) -> Advanced:
        after: Advanced = await workflow.execute_local_activity_method(
            BillingPort.advance,
            Advance(
                payment_id=self._given.payment_id,
                status=status,
                source=source,
                at=workflow.now(),
                gateway_payment_id=gateway_payment_id,
                failure_code=failure_code,
                decided_by=decided.by if decided else None,
                note_id=decided.note_id if decided else None,
            ),
            **BOOK.local(),
        )
        self._status = after.status
        return after

    async def _tell_ended(self, status: PaymentStatus) -> None:
        ended = PaymentEnded(
            payment_id=self._given.payment_id, reference_id=self._given.reference_id, status=status
        )
        await self._tell("payment_ended", ended)

    async def _tell(self, signal: str, message: PaymentCaptured | PaymentEnded) -> bool:
        """Signals the reference's process; False where it has ended."""
        reference = self._opened.reference_workflow if self._opened else ""
        handle = workflow.get_external_workflow_handle(reference)
        try:
            await handle.signal(signal, message)
        except ApplicationError:
            return False
        return True

    @property
    def _unwanted(self) -> Unwanted:
        amount = self._checkout.amount if self._checkout else 0
        return Unwanted(self._given.payment_id, amount, self._given.assertion_key, self._read, self._hinted)

    @property
    def _order_id(self) -> str:
        return self._checkout.gateway_order_id if self._checkout else ""

    @property
    def _currency(self) -> str:
        return self._checkout.currency if self._checkout else ""

    @property
    def _opened_at(self) -> datetime:
        created = self._opened.created_at if self._opened else None
        return created or workflow.info().start_time

    @property
    def _deadline(self) -> datetime:
        """Three days from the customer's last try; from the opening where there was none."""
        return max(self._opened_at, self._tried_at) + LATE_AUTHORISATION
