"""A document's registration with the e-invoice portal: until it stands and can no longer be undone."""

from contextlib import suppress
from datetime import datetime, time, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.billing_calendar import ist_date
    from domain.einvoices import ALERT_BEFORE, EInvoiceStatus
    from domain.errors import Rejected
    from domain.gst import IST
    from models.contracts.policies import BOOK, REGISTER
    from models.contracts.queues import Queue
    from models.messages.einvoices import (
        Cancel,
        Cancelled,
        Correct,
        EInvoiceInput,
        EInvoiceView,
        Register,
        Registration,
        Reissue,
    )
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.ports.einvoices import EInvoicePort
    from workflows.visible import show, waiting, working

PAUSES = (
    timedelta(seconds=20),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)
"""Between tries while the portal is away; the last one for as long as it takes."""

ANSWER_WITHIN = timedelta(seconds=2)
"""How long the caller of `retry` or `reissue` waits for its effect before it is told the state of now."""


@workflow.defn(name="EInvoice")
class EInvoice:
    """`einvoice:{invoice}`. A document to a registered buyer is no invoice before the portal has given it an
    IRN: registered at once, tried again while the portal is away, shown to a person where it is refused, and
    open to correction for the day in which the portal takes it back."""

    @workflow.init
    def __init__(self, given: EInvoiceInput) -> None:
        self._given = given
        self._stands = Registration(status=EInvoiceStatus.PENDING)
        self._tries = 0
        self._asked: tuple[str, Correct, str] | None = None
        self._replaced_by: str | None = None
        self._refused: str | None = None

    @workflow.run
    async def run(self, given: EInvoiceInput) -> str:
        show(
            state=self._stands.status,
            customer=given.user_id,
            reference=[given.payment_id, given.invoice_id, given.number],
            amount=given.total,
            due=self._last_moment(),
        )
        await self._register()
        while self._stands.status is not EInvoiceStatus.VOID and not self._is_final():
            asked = await self._asked_within(self._wait())
            if asked is not None:
                await self._act(*asked)
            elif self._stands.status is EInvoiceStatus.PENDING:
                await self._register()
        show(state=self._stands.status, attention=False)
        working(f"{given.number} is {self._stands.status}")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._stands.status

    def _is_final(self) -> bool:
        """Registered, and too late for the portal to take it back."""
        until = self._stands.cancel_until
        registered = self._stands.status is EInvoiceStatus.REGISTERED
        return registered and until is not None and until <= workflow.now()

    async def _register(self) -> None:
        working(f"registering {self._given.number} with the e-invoice portal")
        self._tries += 1
        asked = Register(invoice_id=self._given.invoice_id, as_of=workflow.now())
        try:
            self._stands = await workflow.execute_activity_method(
                EInvoicePort.register, asked, task_queue=Queue.RAZORPAY, **REGISTER.options()
            )
        except ActivityError:
            return  # no answer: what stands is still `pending`, and is asked for again
        show(state=self._stands.status, attention=self._stands.status is EInvoiceStatus.ATTENTION)

    def _wait(self) -> timedelta | None:
        """Says what is awaited now; for how long, None where only a person can end it."""
        number, since = self._given.number, workflow.now()
        match self._stands.status:
            case EInvoiceStatus.PENDING:
                pause = PAUSES[min(self._tries, len(PAUSES)) - 1]
                late = self._is_late()
                show(attention=late)
                waiting(
                    f"the e-invoice portal, which gives no answer for {number} (try {self._tries})",
                    since=since,
                    otherwise=f"it is tried again in {pause}; {self._by()}",
                    who="finance, by the portal's own page" if late else "nobody has to",
                    link=self._link("retry"),
                )
                return pause
            case EInvoiceStatus.ATTENTION:
                waiting(
                    f"a correction of {number}: {self._stands.failure_code}",
                    since=since,
                    otherwise=f"it stays no invoice; {self._by()}",
                    who="finance, once the customer has corrected who is billed",
                    link=f"{self._link('reissue')} or {self._link('retry')}",
                )
                return None
            case _:
                until = self._stands.cancel_until or since
                waiting(
                    f"{number} to be final: it is registered, and may be issued anew until then",
                    since=since,
                    otherwise=f"it is final {until.isoformat(timespec='seconds')}",
                    who="finance, where who is billed is wrong",
                    link=self._link("reissue"),
                )
                return until - since

    async def _asked_within(self, pause: timedelta | None) -> tuple[str, Correct, str] | None:
        """What staff asked for in time."""
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._asked is not None, timeout=pause)
        return self._asked

    async def _act(self, action: str, asked: Correct, subject: str) -> None:
        try:
            if action == "retry":
                await self._register()
            else:
                await self._reissue(asked, subject)
        finally:
            self._asked = None

    async def _reissue(self, asked: Correct, subject: str) -> None:
        """Taken back at the portal, where it is registered there; then voided and issued anew."""
        working(f"issuing another document in the place of {self._given.number}")
        invoice_id = self._given.invoice_id
        try:
            cancelled: Cancelled = await workflow.execute_activity_method(
                EInvoicePort.cancel,
                Cancel(invoice_id=invoice_id, as_of=workflow.now()),
                task_queue=Queue.RAZORPAY,
                **REGISTER.options(),
            )
        except ActivityError as error:
            meant = outcome(error)
            self._refused = meant.code if isinstance(meant, Rejected) else "temporarily_unavailable"
            return
        reissued = await workflow.execute_local_activity_method(
            EInvoicePort.reissue,
            Reissue(
                invoice_id=invoice_id,
                subject=subject,
                note_id=asked.note_id,
                cancelled_at=cancelled.at,
                as_of=workflow.now(),
            ),
            **BOOK.local(),
        )
        self._refused, self._replaced_by = reissued.refused, reissued.invoice_id
        status = EInvoiceStatus.ATTENTION if reissued.refused else EInvoiceStatus.VOID
        self._stands = Registration(status=status, irn=self._stands.irn, failure_code=reissued.refused)
        show(state=status, attention=status is EInvoiceStatus.ATTENTION)

    @workflow.update
    async def retry(self, asked: Correct) -> EInvoiceView:
        return await self._do("retry", asked)

    @retry.validator
    def _may_retry(self, asked: Correct) -> None:
        self._checked("retry", asked)

    @workflow.update
    async def reissue(self, asked: Correct) -> EInvoiceView:
        return await self._do("reissue", asked)

    @reissue.validator
    def _may_reissue(self, asked: Correct) -> None:
        self._checked("reissue", asked)

    async def _do(self, action: str, asked: Correct) -> EInvoiceView:
        subject = self._checked(action, asked)
        self._refused = None
        mine = self._asked = (action, asked, subject)
        with suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._asked is not mine, timeout=ANSWER_WITHIN)
        if self._refused is not None:
            raise refuse(self._refused)
        return self._view()

    def _checked(self, action: str, asked: Correct) -> str:
        """Who asks, if the API has signed it for this run and the state is one for it."""
        given = self._given
        who = decider(asked.signed, given.assertion_public_key, action, ("finance",), about=given.user_id)
        if self._asked is not None:
            raise refuse("correction_running")
        possible = {
            "retry": (EInvoiceStatus.PENDING, EInvoiceStatus.ATTENTION),
            "reissue": (EInvoiceStatus.ATTENTION, EInvoiceStatus.REGISTERED),
        }
        if self._stands.status not in possible[action]:
            raise refuse("einvoice_final" if self._stands.irn else "einvoice_pending")
        return who.subject

    def _view(self) -> EInvoiceView:
        return EInvoiceView(
            invoice_id=self._given.invoice_id,
            status=self._stands.status,
            irn=self._stands.irn,
            failure_code=self._stands.failure_code,
            replaced_by=self._replaced_by,
        )

    def _last_moment(self) -> datetime | None:
        """The end of the last day on which the portal takes the document."""
        if self._given.report_by is None:
            return None
        return datetime.combine(self._given.report_by, time(23, 59, 59), IST)

    def _is_late(self) -> bool:
        by = self._given.report_by
        return by is not None and ist_date(workflow.now()) >= by - ALERT_BEFORE

    def _by(self) -> str:
        by = self._given.report_by
        return f"the portal takes it until {by}" if by else "the portal sets it no last day"

    def _link(self, action: str) -> str:
        return f"POST /v1/staff/runs/einvoice:{self._given.invoice_id}/actions/{action}"
