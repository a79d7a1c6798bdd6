"""Customers with subscriptions on the session's engines, and the world around them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing._timeskipping import TimeSkipper
from temporalio.worker import Worker

from activities.billing import BillingActivities
from activities.debits import DebitActivities
from activities.refunds import RefundActivities, RefundGatewayActivities
from activities.subscriptions import SubscriptionActivities
from cli.embedded import EmbeddedEngines
from domain.payments import Purpose
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import GatewayPayment, PaymentCaptured
from models.messages.subscriptions import Cancel, SubscriptionInput
from models.settings import Settings
from providers.razorpay_mandates import RazorpayMandates
from store import captures, identity_consents, identity_profiles, identity_users, payments, plans
from store.database import Database
from store.invoices import Supplier
from store.vault import Vault
from temporal.client import connect
from workers.interceptors import ClosedErrors
from workers.pool import runner
from workflows.refunds import RefundWorkflow
from workflows.subscriptions import Subscription

DEADLINE_SECONDS = 60.0


@dataclass
class Subscriber:
    """One person with one subscription."""

    user_id: str
    subscription_id: str
    handle: WorkflowHandle[Any, Any]
    token_id: str = ""


@dataclass
class Town:
    """What a test needs to play customers, the bank and time."""

    settings: Settings
    database: Database
    vault: Vault
    client: Client
    skipper: TimeSkipper
    gateway: RazorpayMandates
    http: httpx.AsyncClient

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def journal(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/_control/journal", params={"target": "razorpay"})
        return answer.json()["items"]

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.reading() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def person(self, *, consents: bool = True, tier: str = "intermediate") -> str:
        """A customer with contacts, KYC, a billing state, and the consent to research services."""
        user_id, now = mint(Prefix.USER), datetime.now(UTC)
        new = identity_users.NewUser(
            user_id, f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}", "x"
        )
        billing = {"billing": {"name": "Asha Verma", "state": "MH", "gstin": None}}
        async with self.database.transaction() as connection:
            await identity_users.create(connection, self.vault, new, now)
            await identity_profiles.create(connection, self.vault, user_id, billing, now)
            await connection.execute(
                """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                       expires_at, updated_at)
                   VALUES (%(user)s, 'verified', %(tier)s, 'sealed', %(now)s,
                       %(now)s::timestamptz + interval '10 years', %(now)s)""",
                {"user": user_id, "tier": tier, "now": now},
            )
            if consents:
                await identity_consents.give(connection, user_id, "research_services", "mitc", "1", now)
        return user_id

    async def subscribe(
        self, plan_id: str = "pln_premium_monthly", user_id: str | None = None, *, trial: bool = False
    ) -> Subscriber:
        """Subscribes; the answer of the process is awaited, not the payment."""
        user_id = user_id or await self.person()
        subscription_id = mint(Prefix.SUBSCRIPTION)
        given = SubscriptionInput(
            subscription_id=subscription_id,
            user_id=user_id,
            plan_id=plan_id,
            trial=trial,
            assertion_key=self.settings.assertion_public_key,
        )
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Subscription",
            given,
            id=workflow_id(Kind.SUBSCRIPTION, subscription_id),
            task_queue=Queue.BILLING,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=timedelta(seconds=3),
        )
        await self.client.execute_update_with_start_workflow("subscribe", {}, start_workflow_operation=start)
        handle = await start.workflow_handle()
        return Subscriber(user_id, subscription_id, self.client.get_workflow_handle(handle.id))

    async def pay(
        self,
        one: Subscriber,
        method: str = "card",
        plan_id: str = "",
        token_id: str | None = None,
        **terms: Any,
    ) -> str:
        """The checkout of its plan, of the one that it is to change to, or of `plan_id`: authenticated at the
        subscription's own time and booked as the payment process books it. The payment's id. `token_id`: a
        mandate that the gateway does not know, in place of the checkout's."""
        person = await self._contact(one.user_id)
        [plan] = await self.rows(
            """SELECT p.amount, p.name FROM finance.user_subscriptions s
               JOIN finance.subscription_plans p
                 ON p.plan_id = coalesce(nullif(%s, ''), s.pending_plan_id, s.plan_id)
               WHERE s.subscription_id = %s""",
            plan_id,
            one.subscription_id,
        )
        payment_id, amount = mint(Prefix.PAYMENT), plan["amount"]
        now = await self.now(one)
        api = self.gateway._client
        customer = api.customer.create({"email": person.email, "contact": person.phone, "fail_existing": "0"})
        order = api.order.create(
            {
                "amount": amount,
                "currency": "INR",
                "receipt": payment_id,
                "customer_id": customer["id"],
                "payment": {"capture": "automatic"},
                "token": {"max_amount": max(amount, 15_000_00), "frequency": "as_presented", **terms},
            }
        )
        await self.control(
            "/razorpay/checkout", order_id=order["id"], method=method, outcome="success", now=now.isoformat()
        )
        paid = GatewayPayment.model_validate(api.order.payments(order["id"])["items"][0])
        new = payments.NewPayment(
            payment_id, one.user_id, Purpose.SUBSCRIPTION, one.subscription_id,
            workflow_id(Kind.PAYMENT, payment_id), plan["name"], "998311", amount, "INR", "MH",
            mandate_max=max(amount, 15_000_00), gateway_customer_id=customer["id"],
        )  # fmt: skip
        async with self.database.transaction() as connection:
            await payments.open_payment(connection, new, now, "test")
            await payments.set_order(connection, payment_id, order["id"], customer["id"])
            await captures.book(
                connection, self.vault, Supplier.of(self.settings), payment_id, paid, "test", now
            )
        one.token_id = token_id or paid.token_id or ""
        captured = PaymentCaptured(
            payment_id=payment_id,
            purpose=Purpose.SUBSCRIPTION,
            reference_id=one.subscription_id,
            amount=amount,
            captured_at=now,
            token_id=one.token_id or None,
            gateway_customer_id=customer["id"],
            method=method,
        )
        await one.handle.signal("payment_captured", captured)
        return payment_id

    async def now(self, one: Subscriber) -> datetime:
        """The subscription's own time."""
        return await self.skipper.get_current_time(one.handle)

    async def active(self, plan_id: str = "pln_premium_monthly", method: str = "card") -> Subscriber:
        one = await self.subscribe(plan_id)
        await self.pay(one, method)
        await self.status(one, "active")
        return one

    async def command(self, one: Subscriber, name: str, **argument: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await one.handle.execute_update(name, argument)
        return answer

    async def row(self, one: Subscriber) -> dict[str, Any]:
        query = "SELECT * FROM finance.user_subscriptions WHERE subscription_id = %s"
        return (await self.rows(query, one.subscription_id))[0]

    async def status(self, one: Subscriber, *wanted: str) -> dict[str, Any]:
        """The row once its status is one of `wanted`."""

        async def there() -> dict[str, Any] | None:
            row = await self.row(one)
            return row if row["status"] in wanted else None

        return await eventually(there, f"{one.subscription_id} to be {wanted}")

    async def forward(self, one: Subscriber, duration: timedelta) -> bool:
        return await asyncio.wait_for(self.skipper.fast_forward(one.handle, duration), 120)

    async def held(self, one: Subscriber) -> dict[str, Any]:
        """What it entitles to."""
        query = "SELECT * FROM finance.entitlements WHERE reference = %s"
        return (await self.rows(query, one.subscription_id))[0]

    async def refund_of(self, payment_id: str) -> dict[str, Any]:
        """The refund of a payment, once it is processed."""

        async def there() -> dict[str, Any] | None:
            query = "SELECT * FROM finance.refunds WHERE payment_id = %s AND status = 'processed'"
            found = await self.rows(query, payment_id)
            return found[0] if found else None

        found: dict[str, Any] = await eventually(there, f"{payment_id} to be given back")
        return found

    async def debits(self, one: Subscriber) -> list[dict[str, Any]]:
        return await self.rows(
            "SELECT * FROM finance.debits WHERE subscription_id = %s ORDER BY period, attempt",
            one.subscription_id,
        )

    async def charges(self, one: Subscriber) -> list[dict[str, Any]]:
        """Debits of this subscriber that the sandbox carried out, by its journal."""
        found = [
            item for item in await self.journal()
            if item["path"].startswith("/razorpay/v1/payments/create/recurring") and item["effect"]
            and one.token_id in (item["body"] if isinstance(item["body"], str) else str(item["body"]))
        ]  # fmt: skip
        return [item for item in found if item["effect"].get("charged")]

    async def _contact(self, user_id: str) -> identity_users.Contacts:
        async with self.database.transaction() as connection:
            found = await identity_users.contact_of(connection, self.vault, user_id)
        assert found is not None
        return found


async def eventually(read: Callable[[], Awaitable[Any]], what: str) -> Any:
    """The first truthy answer of `read`, within a deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS) as limit:
        try:
            while True:
                found = await read()
                if found:
                    return found
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            if limit.expired():
                raise AssertionError(f"waited {DEADLINE_SECONDS} s in vain for {what}") from None
            raise


@asynccontextmanager
async def town(engines: EmbeddedEngines, dsn: str, *, serve: bool = True) -> AsyncIterator[Town]:
    """A town with its own database; its workers, unless others serve the queues, end with it."""
    settings = engines.settings.model_copy(update={"postgres": dsn})
    client = await connect(settings)
    vault, gateway = Vault(settings), RazorpayMandates(settings)
    headers = {"X-Sandbox-Control": "1"}
    async with (
        Database(dsn) as database,
        httpx.AsyncClient(base_url=settings.sandbox, headers=headers, timeout=10) as http,
    ):
        async with database.transaction() as connection:
            await plans.seed(connection)
        done = SubscriptionActivities(database, vault, Supplier.of(settings))
        debits = DebitActivities(database, vault, gateway)
        methods = [
            done.open, done.quote, done.save, done.begin, done.renew, done.miss, done.tell,
            debits.notify, debits.withdraw, debits.debit, debits.look, debits.unsure, debits.late,
            debits.end_mandate,
        ]  # fmt: skip
        made = Town(settings, database, vault, client, TimeSkipper(client), gateway, http)
        if not serve:
            yield made
            return
        methods += _refunds(settings, database, vault, gateway)
        common = {"workflow_runner": runner(), "interceptors": [ClosedErrors()], "activities": methods}
        async with (
            Worker(client, task_queue=Queue.BILLING, workflows=[Subscription, RefundWorkflow], **common),
            Worker(client, task_queue=Queue.RAZORPAY, **common),
        ):
            yield made


def _refunds(
    settings: Settings, database: Database, vault: Vault, gateway: RazorpayMandates
) -> list[Callable[..., Any]]:
    books = BillingActivities(database, vault, Supplier.of(settings), gateway)
    refunds = RefundActivities(database, vault, Supplier.of(settings))
    sends = RefundGatewayActivities(database, gateway)
    return [books.void_attempt, refunds.open_refund, refunds.advance, sends.send, sends.find]


async def refusal(work: Awaitable[Any]) -> str:
    """The code by which a process refused."""
    try:
        await work
    except WorkflowUpdateFailedError as failure:
        return str(failure.cause.details[0])  # type: ignore[union-attr]
    raise AssertionError("it was not refused")


async def longest_run(client: Client, handle_id: str) -> list[int]:
    """History events of each run of a workflow, newest first."""
    counts = []
    async for run in client.list_workflows(f"WorkflowId = '{handle_id}'"):
        handle = client.get_workflow_handle(handle_id, run_id=run.run_id)
        history = await handle.fetch_history()
        counts.append(len(history.events))
    return counts


__all__ = ["Cancel", "EventType", "Subscriber", "Town", "eventually", "longest_run", "refusal", "town"]
