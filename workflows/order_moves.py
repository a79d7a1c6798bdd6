"""What the steps of an order's story are made of: one change or reading at the broker, one state reached."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.market_calendar import INDIA_2026
    from domain.trading import OrderStatus
    from models.messages.trading import BookReading, Submission
    from workflows.failures import outcome, refuse
    from workflows.order_commands import Change, OrderCommands

S = OrderStatus


class OrderMoves(OrderCommands):
    """The state as it moves; the story is `workflows.orders.Order`."""

    async def _do(self, change: Change, done: "asyncio.Future[None]") -> None:
        try:
            await change()
        except (ActivityError, ApplicationError) as error:
            if not done.done():
                done.set_exception(refuse(outcome(error).code))
        else:
            if not done.done():
                done.set_result(None)

    async def _read(self) -> None:
        self._hinted = False
        if self._at.broker_order_id is None:
            return
        self._take(await self._steps.read())

    async def _record(self, status: OrderStatus, reason: str | None = None) -> None:
        recorded = await self._steps.record(status, reason)
        self._reach(status, reason, recorded.version)

    def _taken(self, broker_order_id: str | None, version: int) -> None:
        """The broker's order management has it; the exchange may not yet. The next slice may follow."""
        if self._at.leg == 1:
            self._at.broker_order_id = broker_order_id
        self._at.leg += 1
        self._at.attempt = 1
        self._reach(S.SUBMITTING, None, version)
        self._answer()
        if self._at.cancel_wanted:
            self._cancel_again()

    def _cancel_again(self) -> None:
        self._changes.append((self._steps.cancel, asyncio.Future()))

    def _refused(self, status: OrderStatus, submission: Submission) -> None:
        if self._at.leg > 1:
            self._nothing_more_leaves()
        else:
            self._reach(status, submission.reason_code, submission.version)

    def _nothing_more_leaves(self) -> None:
        """The slices that have left are the order now; the record says why the others stayed."""
        self._at.leg = self._at.legs + 1

    def _take(self, reading: BookReading) -> None:
        self._at.filled_quantity = reading.filled_quantity
        self._at.average_price = reading.average_price
        self._at.gone = reading.gone
        self._uncancelled = self._at.cancel_wanted and reading.alive
        self._reach(reading.status, reading.reason_code, reading.version)

    def _stands(self, status: OrderStatus, version: int, reason: str | None = None) -> None:
        """A slice waits; with earlier ones at the broker the order is on its way all the same."""
        if self._at.leg == 1:
            self._reach(status, reason, version)
        else:
            self._reach(S.SUBMITTING, None, version)

    def _reach(self, status: OrderStatus, reason: str | None, version: int) -> None:
        if status is not self._at.status or self._at.since is None:
            self._at.since = workflow.now()
            self._at.quiet_readings = 0
        if status is not S.NEEDS_PERSON and self._resolution is not None:
            # Said of what has been found out meanwhile: it holds for nothing that comes later.
            self._resolution, self._contradiction = None, "not_awaiting_person"
        self._at.status, self._at.reason_code = status, reason
        self._at.version = max(version, self._at.version)
        if self._over:
            self._answer()

    def _day_ends(self) -> datetime:
        """When a day's order that has not left is over: with the day on which it might have."""
        return INDIA_2026.next_close(self._order.terms.exchange, self._at.ready_at or workflow.now())

    def _deadline(self) -> datetime:
        """Until when the order may still leave: its day's end, or its signal's if that is sooner."""
        day = self._day_ends()
        expires = self._order.origin.expires_at if self._order.origin else None
        return min(day, expires) if expires else day

    @property
    def _sending(self) -> bool:
        """Whether something of the order has not left yet."""
        return self._at.leg <= self._at.legs

    @property
    def _stirred(self) -> bool:
        """Whether the broker was heard of, or something was asked."""
        return self._hinted or bool(self._changes)
