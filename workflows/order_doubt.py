"""An order of which nobody knows what became at the broker: looked for, and settled by a person at last."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026
    from domain.order_day import last_day
    from domain.trading import OrderStatus
    from models.contracts.search_attributes import Attribute
    from models.messages.trading import Finding, FindingKind
    from workflows.failures import outcome
    from workflows.order_board import until
    from workflows.order_commands import STAFF_ACTION
    from workflows.order_moves import OrderMoves
    from workflows.visible import show

S = OrderStatus


class OrderInDoubt(OrderMoves):
    """The law of the unknown outcome (`design/workflows.md`, The irreversible call)."""

    async def _find_out(self) -> None:
        """The unknown outcome: look by our tag, wait, look again; a new attempt only on proof of absence."""
        while True:
            self._hinted = False
            finding = await self._steps.look_up()
            await self._tend()
            if finding.kind in (FindingKind.LOOK_AGAIN, FindingKind.NO_SESSION):
                await self._stays_unknown(finding)
                continue
            if finding.kind is FindingKind.ASK_A_PERSON:
                if (settled := await self._person_decides()) is None:
                    continue  # a postback came, or the decision could not be taken: look again
                finding = settled
            self._found_out(finding)
            return

    async def _tend(self) -> None:
        """Earlier slices live at the broker while a later one is on its way: changed as asked, and read."""
        if self._at.leg == 1:
            return
        while self._changes:
            await self._do(*self._changes.pop(0))
        await self._read()

    def _found_out(self, finding: Finding) -> None:
        self._attended()
        self._at.legs = max(self._at.legs, finding.legs)
        if self._at.trading_day is None and finding.sent_on is not None:
            self._at.trading_day = last_day(INDIA_2026, self._order.terms.variety, finding.sent_on)
        match finding.kind:
            case FindingKind.FOUND:
                self._taken(finding.broker_order_id, finding.version)
            case FindingKind.NEVER_LEFT:
                self._stands(S.QUEUED, finding.version)
            case FindingKind.ABSENT:
                self._at.attempt += 1
                self._stands(S.QUEUED, finding.version)
            case _ if self._at.leg > 1:
                self._nothing_more_leaves()
            case _:
                self._reach(finding.status or S.REJECTED, finding.reason_code, finding.version)

    async def _stays_unknown(self, finding: Finding) -> None:
        if self._at.status is not S.UNKNOWN:
            await self._record(S.UNKNOWN)
        self._answer()
        if finding.kind is FindingKind.NO_SESSION:
            self._wait("a session, to look the order up", "a person is asked", "the customer", "")
            await until(lambda: self._session_opened or self._stirred, timedelta(minutes=5))
            self._session_opened = False
        else:
            self._wait("the broker's book to show the order", "a person is asked", "nobody yet", "")
            await until(lambda: self._stirred, timedelta(seconds=finding.wait_seconds))

    async def _person_decides(self) -> Finding | None:
        """Everything known is on the run's page. None: a postback came before the person, or the broker's
        book or our record contradicts what was decided."""
        await self._record(S.NEEDS_PERSON)
        await self._person_speaks(f"what became of attempt {self._at.attempt} at the broker")
        if self._resolution is None:
            return None
        try:
            return await self._steps.settle(self._resolution)
        except ActivityError as error:
            self._contradiction = outcome(error).code
            return None
        finally:
            self._resolution = None

    async def _person_ends(self) -> None:
        """Its day at the broker is over and nobody had a session to read it in: how it ended is on the
        customer's contract note. Word from the broker has the book read once more."""
        await self._person_speaks("how the order ended at the broker, whose book shows it no longer")
        if (stated := self._resolution) is None:
            return
        try:
            finding = await self._steps.settle(stated)
        except ActivityError as error:
            self._contradiction = outcome(error).code
            return
        finally:
            self._resolution = None
        self._at.filled_quantity = stated.filled_quantity or 0
        self._at.average_price = stated.average_price or self._at.average_price
        self._reach(finding.status or self._at.status, finding.reason_code, finding.version)

    async def _person_speaks(self, what: str) -> None:
        """Waits for a member of staff, or for word from the broker."""
        show(attention=True)
        self._answer()
        self._wait(
            what,
            "the order stays as it is",
            "support, after looking at the broker",
            f"POST /v1/staff/runs/{workflow.info().workflow_id}/actions/{STAFF_ACTION}",
        )
        await until(lambda: self._resolution is not None or self._stirred, None)

    def _attended(self) -> None:
        """No person is asked any more."""
        if workflow.info().typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value):
            show(attention=False)
