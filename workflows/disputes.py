"""Dispute: the customer's bank asks for the money back, until the gateway tells who keeps it."""

from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.disputes import DISPUTE_LIVE, DisputeStatus
    from domain.errors import RateLimited, Rejected, TreumError, Unknown
    from models.contracts.assertions import Assertion
    from models.contracts.policies import BOOK, IRREVERSIBLE, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.billing import Forestall, GatewayEvent, VoidAttempt
    from models.messages.disputes import (
        AcceptDispute,
        ApproveAcceptance,
        Dispute,
        DisputeInput,
        DisputeState,
        GatewayDispute,
        PaymentDisputed,
        ReadDispute,
        SendAcceptance,
        TakeDispute,
        TakenDispute,
    )
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.hearing import heard
    from workflows.ports.billing import BillingPort
    from workflows.ports.disputes import DisputeGatewayPort, DisputePort
    from workflows.uncertainty import SURELY_OVER
    from workflows.visible import show, waiting, working

FIRST_LOOK = timedelta(seconds=5)
LAST_LOOK = timedelta(hours=12)
FOREIGN_AFTER = timedelta(days=30)
"""No payment of ours is booked later than that: the gateway account has another user."""
ANSWER_WITHIN = timedelta(seconds=2)
OUTCOMES = {
    DisputeStatus.LOST: Dispute.LOST,
    DisputeStatus.WON: Dispute.WON,
    DisputeStatus.CLOSED: Dispute.WON,
}


@workflow.defn(name="Dispute")
class DisputeWorkflow:
    """`dispute:{dispute}`. A webhook starts it and tells it to look; what it believes is what it reads."""

    @workflow.init
    def __init__(self, given: DisputeInput) -> None:
        self._given = given
        self._taken: TakenDispute | None = None
        self._told = False
        """A webhook named this dispute, and the gateway has not been read since."""
        self._agreed = False
        """As many people of finance as are due have said that it is given up."""
        self._givers: list[str] = []
        self._attempt = 0

    @workflow.run
    async def run(self, given: DisputeInput) -> DisputeState:
        seen = await self._open()
        if seen is not None:
            await self._tell(Dispute.OPENED)
            while seen.status in DISPUTE_LIVE:
                seen = await self._follow(seen)
            await self._end(seen)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._answer()

    # Messages

    @workflow.signal
    def gateway_event(self, _: GatewayEvent) -> None:
        """A webhook named this dispute: look at the gateway again."""
        self._told = True

    @workflow.update
    async def accept(self, asked: AcceptDispute) -> DisputeState:
        """Finance gives in. Irreversible once as many people have said so as are due."""
        await heard(lambda: self._taken is not None)
        who = self._giver(asked)
        counted = ApproveAcceptance(
            dispute_id=self._given.dispute_id, subject=who, note_id=asked.note_id, at=workflow.now()
        )
        try:
            after = await workflow.execute_local_activity_method(DisputePort.approve, counted, **BOOK.local())
        except ApplicationError as error:
            raise refuse(outcome(error).code) from None
        self._givers.append(who)
        if after.approvals < after.approvals_due:
            return after
        self._agreed = True
        try:
            await workflow.wait_condition(lambda: self._status not in DISPUTE_LIVE, timeout=ANSWER_WITHIN)
        except TimeoutError:
            return after
        return after.model_copy(update={"status": self._status})

    @accept.validator
    def _may_accept(self, asked: AcceptDispute) -> None:
        self._giver(asked)

    def _giver(self, asked: AcceptDispute) -> str:
        """Who gives in, or the refusal."""
        who = self._signed(asked).subject
        if self._status is not DisputeStatus.OPEN:
            raise refuse("dispute_not_open")
        if who in self._givers:
            raise refuse("second_person_required")
        return who

    # The story

    async def _open(self) -> GatewayDispute | None:
        """Recorded and booked as soon as the payment is, and what it bought has heard of it; None where it is
        over, and was of no payment of ours for a month."""
        pause, since = FIRST_LOOK, workflow.now()
        while True:
            seen = await self._read()
            taken = await self._take(seen)
            if taken.ready:
                break
            if seen.status not in DISPUTE_LIVE and workflow.now() - since >= FOREIGN_AFTER:
                show(state="foreign", attention=False)
                working(f"`{seen.status}`, and {seen.payment_id} is no payment of ours: finance saw it open")
                return None
            waiting(
                f"the payment {seen.payment_id} to be booked",
                since=since,
                otherwise="it is looked for again, at longest every twelve hours",
                who="finance, where it is no payment of ours",
                link="GET /v1/finance/payments",
            )
            show(state="awaiting_payment", attention=pause >= LAST_LOOK, reference=[seen.id, seen.payment_id])
            await self._hinted(pause)
            pause = min(2 * pause, LAST_LOOK)
        show(
            state=taken.status,
            customer=taken.user_id,
            amount=taken.amount,
            reference=[seen.id, taken.payment_id, seen.payment_id, taken.reference_id],
        )
        return seen

    async def _follow(self, seen: GatewayDispute) -> GatewayDispute:
        """Waits for news, for finance, or for the next look at the gateway; gives what it says then."""
        if self._agreed and seen.status is DisputeStatus.OPEN:
            seen = await self._give_in(seen)
        else:
            self._wait_for_news(seen)
            await self._hinted(self._until_next_look(seen), or_agreed=True)
            seen = await self._read()
        await self._take(seen)
        return seen

    def _wait_for_news(self, seen: GatewayDispute) -> None:
        due = _moment(seen.respond_by)
        on_us = seen.status is DisputeStatus.OPEN
        show(state=self._status, attention=on_us, due=due)
        by = f" by {due.isoformat(timespec='seconds')}" if due else ""
        if on_us:
            waiting(
                f"finance to answer the {seen.phase} `{seen.reason_code}`{by}",
                since=workflow.now(),
                otherwise="the bank decides for the customer, and the amount is lost",
                who="finance: with evidence at the gateway's dashboard, or by giving in",
                link=f"POST /v1/finance/disputes/{seen.id}/accept",
            )
        else:
            waiting(
                "the decision of the customer's bank on the evidence",
                since=workflow.now(),
                otherwise="the gateway is asked again, at longest every twelve hours",
                who="nobody needs to",
            )

    def _until_next_look(self, seen: GatewayDispute) -> timedelta:
        """Every twelve hours, and when the time to answer has just run out."""
        due = _moment(seen.respond_by)
        left = due - workflow.now() + timedelta(minutes=1) if due else LAST_LOOK
        return min(LAST_LOOK, left) if left > timedelta(0) else LAST_LOOK

    async def _give_in(self, seen: GatewayDispute) -> GatewayDispute:
        """The irreversible call: sent once, and looked for where its answer is lost."""
        self._attempt += 1
        begun = workflow.now()
        working(f"giving up {seen.id}, attempt {self._attempt}")
        command = SendAcceptance(dispute_id=seen.id, attempt=self._attempt, at=begun)
        try:
            return await workflow.execute_activity_method(
                DisputeGatewayPort.accept,
                command,
                task_queue=Queue.RAZORPAY,
                summary=f"accept {seen.id}",
                **IRREVERSIBLE.options(),
            )
        except ActivityError as error:
            failure = outcome(error)
        seen = await self._resolve(failure, begun)
        if seen.status is DisputeStatus.OPEN:
            await self._rest(failure)
        return seen

    async def _resolve(self, failure: TreumError, begun: datetime) -> GatewayDispute:
        """What became of an acceptance without an answer: seen at the gateway, or proven not to have
        happened; then it follows again."""
        uncertain = isinstance(failure, Unknown) and not await self._never_begun()
        while True:
            seen = await self._read()
            if seen.status is not DisputeStatus.OPEN:
                return seen
            if not uncertain or workflow.now() - begun >= SURELY_OVER:
                break
            waiting(
                f"the outcome of giving up {seen.id} (`{failure.code}`)",
                since=begun,
                otherwise="the gateway is asked again",
                who="nobody needs to",
            )
            await self._hinted(FIRST_LOOK)
        await self._void(failure.code)
        return seen

    async def _rest(self, failure: TreumError) -> None:
        """The time between an attempt that changed nothing and the next; none follows a refusal."""
        if isinstance(failure, Rejected):
            # The gateway does not take it from us: somebody does it there, and the wait shows that.
            self._agreed = False
            self._givers.clear()
            return
        pause = min(2**self._attempt * FIRST_LOOK, timedelta(hours=1))
        if isinstance(failure, RateLimited):
            pause = timedelta(seconds=failure.retry_after)
        waiting(
            f"the next try to give the dispute up, after attempt {self._attempt} (`{failure.code}`)",
            since=workflow.now(),
            otherwise=f"it follows within {pause}",
            who="nobody needs to",
        )
        await workflow.sleep(pause)

    async def _end(self, seen: GatewayDispute) -> None:
        """The payment's state is back, or its money is lost: tell whoever waits for that."""
        await self._tell(OUTCOMES[seen.status])
        show(state=self._status, attention=False)
        working(f"{self._status}")

    # Steps

    async def _read(self) -> GatewayDispute:
        self._told = False
        return await workflow.execute_activity_method(
            DisputeGatewayPort.read,
            ReadDispute(dispute_id=self._given.dispute_id),
            task_queue=Queue.RAZORPAY,
            summary=f"read {self._given.dispute_id}",
            **READ_PROVIDER.options(),
        )

    async def _take(self, seen: GatewayDispute) -> TakenDispute:
        taken = await workflow.execute_local_activity_method(
            DisputePort.take, TakeDispute(dispute=seen, at=workflow.now()), **BOOK.local()
        )
        self._taken = taken
        return taken

    async def _never_begun(self) -> bool:
        asked = Forestall(
            kind="acceptance", object_id=self._given.dispute_id, number=self._attempt, at=workflow.now()
        )
        return await workflow.execute_local_activity_method(BillingPort.forestall, asked, **BOOK.local())

    async def _void(self, code: str) -> None:
        proven = VoidAttempt(
            kind="acceptance",
            object_id=self._given.dispute_id,
            number=self._attempt,
            code=code,
            at=workflow.now(),
        )
        await workflow.execute_local_activity_method(BillingPort.void_attempt, proven, **BOOK.local())

    async def _hinted(self, at_most: timedelta, *, or_agreed: bool = False) -> None:
        """Until a webhook tells of the dispute, or finance gives in; at most so long."""
        try:
            await workflow.wait_condition(
                lambda: self._told or (or_agreed and self._agreed and self._status is DisputeStatus.OPEN),
                timeout=at_most,
            )
        except TimeoutError:
            return

    async def _tell(self, state: Dispute) -> None:
        """What was bought is held, given back or taken away; refunds that wait go on."""
        taken = self._taken
        if taken is None:
            return
        message = PaymentDisputed(
            payment_id=taken.payment_id,
            reference_id=taken.reference_id,
            dispute_id=self._given.dispute_id,
            state=state,
        )
        refunds = [workflow_id(Kind.REFUND, refund) for refund in taken.waiting_refunds]
        for process in [taken.reference_workflow, *refunds]:
            handle = workflow.get_external_workflow_handle(process)
            try:
                await handle.signal("payment_disputed", message)
            except ApplicationError:
                working(f"{process} has ended; its access is governed by its own state")

    def _signed(self, asked: AcceptDispute) -> Assertion:
        about = self._taken.user_id if self._taken else None
        return decider(asked.assertion, self._given.assertion_key, "accept", ("finance",), about=about)

    @property
    def _status(self) -> DisputeStatus:
        return self._taken.status if self._taken else DisputeStatus.OPEN

    def _answer(self) -> DisputeState:
        return DisputeState(dispute_id=self._given.dispute_id, status=self._status)


def _moment(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
