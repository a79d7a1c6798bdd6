"""A settlement day of its own for each test: captures on it, the gateway's settlement, finance."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from activities.reconciliation import ReconciliationActivities
from domain.billing_calendar import IST
from domain.payments import Purpose
from models.contracts.assertions import LIFETIME, Assertion, SignedAssertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayPayment
from models.messages.reconciliation import Compared, ReconciliationInput, Resolve
from providers.razorpay_reports import RazorpayReports
from store import captures, payments
from store.invoices import Supplier
from tests.workflows.subscribers import Town

_days = iter(date(2031, 1, 6) + timedelta(days=7 * n) for n in range(500))


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

    async def settle(self) -> dict[str, Any]:
        return await self.town.control(
            "/razorpay/settle", date=self.date.isoformat(), now=self.at(18).isoformat()
        )

    async def plant(self, kind: str, **given: Any) -> None:
        await self.town.control("/razorpay/plant", kind=kind, date=self.date.isoformat(), **given)

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


def methods(town: Town) -> list[Any]:
    done = ReconciliationActivities(town.database, RazorpayReports(town.settings), lag_days=0)
    return [done.begin, done.read, done.compare, done.tell, done.decide]


__all__ = ["SettlementDay", "SignedAssertion", "methods"]
