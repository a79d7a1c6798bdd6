"""A settlement day of its own for each test: captures on it, the gateway's settlement, finance."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.reconciliation import ReconciliationActivities
from domain.billing_calendar import IST
from domain.payments import Purpose
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayPayment
from models.messages.reconciliation import Compared, Found, ReconciliationInput, Resolve
from providers.razorpay_reports import REPORT_PAGE, RazorpayReports
from store import captures, payments
from store.invoices import Supplier
from tests.workflows.subscribers import Town
from workers.interceptors import ClosedErrors
from workers.pool import runner
from workflows.reconciliation import DailyReconciliation, Reconciliation, ReconciliationBreak

PROCESSES = [Reconciliation, ReconciliationBreak, DailyReconciliation]

_days = iter(date(2031, 1, 6) + timedelta(days=28 * n) for n in range(200))


@dataclass
class SettlementDay:
    """One Indian day on which nothing but this test's payments is captured and settled."""

    town: Town
    date: date = field(default_factory=lambda: next(_days))

    def at(self, hour: int) -> datetime:
        return datetime.combine(self.date, time(hour), IST).astimezone(UTC)

    async def begin(self) -> None:
        """Whatever other tests left unsettled goes into the day before."""
        before = self.date - timedelta(days=1)
        await self.town.control("/razorpay/settle", date=before.isoformat(), now=self.at(1).isoformat())

    async def paid(self, amount: int = 1_999_00, user_id: str | None = None) -> GatewayPayment:
        """A payment captured at noon, at the gateway and in the book."""
        town, now = self.town, self.at(12)
        user_id = user_id or await town.person()
        api, payment_id = town.gateway._client, mint(Prefix.PAYMENT)
        options = {"headers": {"X-Sandbox-Now": now.isoformat()}}
        asked = {"amount": amount, "currency": "INR", "receipt": payment_id}
        order = api.order.create({**asked, "payment": {"capture": "automatic"}}, **options)
        await town.control("/razorpay/checkout", order_id=order["id"], outcome="success", now=now.isoformat())
        found = GatewayPayment.model_validate(api.order.payments(order["id"], **options)["items"][0])
        new = payments.NewPayment(
            payment_id, user_id, Purpose.COURSE, f"ref_{secrets.token_hex(8)}",
            workflow_id(Kind.PAYMENT, payment_id), "Course", "999293", amount, "INR", "MH",
        )  # fmt: skip
        async with town.database.transaction() as connection:
            await payments.open_payment(connection, new, now, "test")
            await payments.set_order(connection, payment_id, order["id"], None)
            await captures.book(
                connection, town.vault, Supplier.of(town.settings), payment_id, found, "test", now
            )
        return found

    async def lost_dispute(self, gateway_payment_id: str) -> dict[str, Any]:
        """A dispute of ₹2,000 that the book has as lost; the gateway has only opened it."""
        opened = await self.town.control(
            "/razorpay/dispute",
            payment_id=gateway_payment_id,
            phase="created",
            amount=2_000_00,
            now=self.at(13).isoformat(),
        )
        await self.town.rows(
            """INSERT INTO finance.disputes (dispute_id, payment_id, user_id, status, phase, reason_code,
                   amount, lost, currency, approvals_due, opened_at, ended_at, updated_at)
               SELECT %s, payment_id, user_id, 'lost', 'chargeback', 'chargeback', 200000, 200000, 'INR', 1,
                      %s, %s, %s FROM finance.payments WHERE gateway_payment_id = %s RETURNING dispute_id""",
            opened["id"], self.at(13), self.at(14), self.at(14), gateway_payment_id,
        )  # fmt: skip
        return opened

    async def settle(self, lag_days: int = 0) -> dict[str, Any]:
        return await self.town.control(
            "/razorpay/settle", date=self.date.isoformat(), now=self.at(18).isoformat(), lag_days=lag_days
        )

    async def plant(self, kind: str, **given: Any) -> dict[str, Any]:
        return await self.town.control("/razorpay/plant", kind=kind, date=self.date.isoformat(), **given)

    def after(self, days: int = 1) -> "SettlementDay":
        """A day after this one, on which nothing has happened yet."""
        return SettlementDay(self.town, self.date + timedelta(days=days))

    async def refunded(self, payment: GatewayPayment, amount: int) -> str:
        """A refund at one in the afternoon, at the gateway and in the book; the gateway's id."""
        options = {"headers": {"X-Sandbox-Now": self.at(13).isoformat()}}
        refund = self.town.gateway._client.payment.refund(payment.id, {"amount": amount}, **options)
        await self.town.rows(
            """INSERT INTO finance.refunds (refund_id, payment_id, user_id, amount, currency, speed, status,
                   requested_by, authority, approvals_due, reason_code, gateway_refund_id, created_at,
                   updated_at)
               SELECT %s, payment_id, user_id, %s, 'INR', 'normal', 'processed', user_id, 'finance', 0,
                      'test', %s, %s, %s
               FROM finance.payments WHERE gateway_payment_id = %s RETURNING refund_id""",
            mint(Prefix.REFUND), amount, refund["id"], self.at(13), self.at(13), payment.id,
        )  # fmt: skip
        return str(refund["id"])

    async def listed_a_day_late(self) -> tuple["SettlementDay", dict[str, Any]]:
        """Two payments in a settlement that the gateway lists on the day after that of its lines; that day,
        and the settlement."""
        paid = [await self.paid(), await self.paid(5_000_00)]
        settled = await self.settle(lag_days=1)
        following = self.after((date.fromisoformat(settled["settled_on"]) - self.date).days)
        for each in paid:
            taken = await following.plant("missing_line", payment_id=each.id)
            await self.town.control("/razorpay/line", date=self.date.isoformat(), line=taken["before"])
        return following, settled

    async def reconcile(self) -> Compared:
        given = ReconciliationInput(
            date=self.date, assertion_public_key=self.town.settings.assertion_public_key
        )
        handle = await self.town.client.start_workflow(
            "Reconciliation",
            given,
            id=workflow_id(Kind.RECONCILIATION, self.date.isoformat()),
            task_queue=Queue.BILLING,
            result_type=Compared,
        )
        return await handle.result()

    async def book(self) -> dict[str, int]:
        """Net debit of each account by the entries of this day's settlement and breaks."""
        rows = await self.town.rows(
            """SELECT l.account, sum(l.debit - l.credit)::bigint AS net
               FROM finance.journal_entries e JOIN finance.journal_lines l USING (entry_id)
               WHERE e.business_key LIKE 'settlement:%%' AND e.date = %s
                  OR e.refs[1] IN (SELECT break_id FROM finance.breaks WHERE date = %s)
               GROUP BY l.account""",
            self.date,
            self.date,
        )
        return {row["account"]: row["net"] for row in rows if row["net"]}

    def decision(
        self, run_id: str, resolution: str, subject: str, *, role: str = "finance", key: str = ""
    ) -> Resolve:
        private = key or self.town.settings.assertion_key.get_secret_value()
        inside = Assertion(
            subject=subject,
            role=role,
            workflow_id=run_id,
            action="resolve",
            expires_at=datetime.now(UTC) + LIFETIME,
        )
        return Resolve.model_validate(
            {"assertion": sign(private, inside), "resolution": resolution, "note_id": mint(Prefix.NOTE)}
        )


def activities(town: Town, page: int = REPORT_PAGE, lag_days: int | None = None) -> ReconciliationActivities:
    """As a worker of the home makes them, or with another lag from capture to settlement."""
    lag = town.settings.settlement_lag_days if lag_days is None else lag_days
    return ReconciliationActivities(town.database, RazorpayReports(town.settings), lag_days=lag, page=page)


def methods(town: Town, page: int = REPORT_PAGE, lag_days: int | None = None) -> list[Any]:
    done = activities(town, page, lag_days)
    return [done.begin, done.read, done.compare, done.tell, done.decide]


@asynccontextmanager
async def served(town: Town, page: int = REPORT_PAGE, lag_days: int | None = None) -> AsyncIterator[None]:
    """The reconciliation processes at work, reading reports in pages of so many lines."""
    common: dict[str, Any] = {
        "workflow_runner": runner(), "interceptors": [ClosedErrors()],
        "activities": methods(town, page, lag_days),
    }  # fmt: skip
    async with (
        Worker(town.client, task_queue=Queue.BILLING, workflows=PROCESSES, **common),
        Worker(town.client, task_queue=Queue.RAZORPAY, **common),
    ):
        yield


def run_of(day: SettlementDay, found: Found) -> WorkflowHandle[Any, Any]:
    run_id = workflow_id(Kind.BREAK, found.date.isoformat(), found.kind, found.reference)
    return day.town.client.get_workflow_handle(run_id)


async def decide(
    day: SettlementDay, found: Found, resolution: str, subject: str = "usr_one"
) -> dict[str, Any]:
    handle = run_of(day, found)
    answer: dict[str, Any] = await handle.execute_update(
        "resolve", day.decision(handle.id, resolution, subject)
    )
    return answer
