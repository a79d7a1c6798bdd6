"""Customers with something to pay for on the session's engines: the billing pool, the gateway, the books."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from temporalio import workflow
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.embedded import EmbeddedEngines
from domain.payments import Purpose
from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.search_attributes import Attribute
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import (
    ConfirmCheckout,
    GatewayEvent,
    PaymentCaptured,
    PaymentEnded,
    PaymentInput,
    PaymentRefunded,
    RefundInput,
    StaffDecision,
)
from models.messages.disputes import PaymentDisputed
from store import identity_profiles, identity_users
from store.database import Database
from store.vault import Vault
from temporal.client import connect
from workers.billing import POOL
from workers.parts import Parts
from workers.pool import workers

DEADLINE_SECONDS = 60.0
AMOUNT = 1_999_00


@workflow.defn(name="Buyer")
class Buyer:
    """Stands where the reference's process stands, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def payment_captured(self, said: PaymentCaptured) -> None:
        self.told.append({"signal": "captured", **said.model_dump(mode="json")})

    @workflow.signal
    def payment_ended(self, said: PaymentEnded) -> None:
        self.told.append({"signal": "ended", **said.model_dump(mode="json")})

    @workflow.signal
    def payment_refunded(self, said: PaymentRefunded) -> None:
        self.told.append({"signal": "refunded", **said.model_dump(mode="json")})

    @workflow.signal
    def payment_disputed(self, said: PaymentDisputed) -> None:
        self.told.append({"signal": "disputed", **said.model_dump(mode="json")})

    @workflow.query
    def heard(self) -> list[dict[str, Any]]:
        return self.told


@dataclass
class Purchase:
    """A customer, the subscription that awaits its money, and the payment once it is opened."""

    user_id: str
    subscription_id: str
    buyer: WorkflowHandle[Any, Any] | None
    payment_id: str = field(default_factory=lambda: mint(Prefix.PAYMENT))
    checkout: dict[str, Any] = field(default_factory=dict)

    @property
    def order_id(self) -> str:
        return str(self.checkout["gateway_order_id"])


@dataclass
class Shop:
    engines: EmbeddedEngines
    database: Database
    vault: Vault
    client: Client
    http: httpx.AsyncClient
    queue: str

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def effects(self, name: str, value: str) -> list[dict[str, Any]]:
        """What the gateway really did, of the calls whose effect has `name`, about `value`."""
        answer = await self.http.get("/_control/journal", params={"target": "razorpay"})
        found = [item["effect"] for item in answer.json()["items"] if item["effect"]]
        return [effect for effect in found if name in effect and value in effect.values()]

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.reading() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def purchase(
        self, *, kyc: bool = True, state: str | None = "MH", amount: int = AMOUNT, waits: bool = True
    ) -> Purchase:
        """Someone who has chosen a plan and not paid; `waits`: the reference's process is there."""
        user_id, subscription_id, now = mint(Prefix.USER), mint(Prefix.SUBSCRIPTION), datetime.now(UTC)
        contact = identity_users.NewUser(
            user_id, f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}", "x"
        )
        profile = {"billing": {"name": "Asha Verma", "state": state, "gstin": None}} if state else {}
        async with self.database.transaction() as connection:
            await identity_users.create(connection, self.vault, contact, now)
            await identity_profiles.create(connection, self.vault, user_id, profile, now)
            if kyc:
                await connection.execute(
                    """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                           expires_at, updated_at)
                       VALUES (%(user)s, 'verified', 'basic', 'sealed', %(now)s,
                           %(now)s::timestamptz + interval '2 years', %(now)s)""",
                    {"user": user_id, "now": now},
                )
            await connection.execute(
                """INSERT INTO finance.subscription_plans (plan_id, name, tier, amount, currency, cycle,
                       research_services, sac, place)
                   VALUES ('pln_test', 'Premium, monthly', 'premium', 199900, 'INR', 'monthly', false,
                       '998311', 1) ON CONFLICT DO NOTHING"""
            )
            await connection.execute(
                """INSERT INTO finance.user_subscriptions (subscription_id, user_id, plan_id, status, amount,
                       currency, period, created_at, changed_at, version)
                   VALUES (%s, %s, 'pln_test', 'awaiting_payment', %s, 'INR', 0, %s, %s, 1)""",
                (subscription_id, user_id, amount, now, now),
            )
        buyer = None
        if waits:
            buyer = await self.client.start_workflow(
                Buyer.run, id=workflow_id(Kind.SUBSCRIPTION, subscription_id), task_queue=self.queue
            )
        return Purchase(user_id, subscription_id, buyer)

    async def again(self, first: Purchase, amount: int) -> Purchase:
        """The same customer's next purchase."""
        await self.rows(
            "UPDATE finance.user_subscriptions SET status = 'expired' WHERE user_id = %s RETURNING 1",
            first.user_id,
        )
        one = await self.purchase(amount=amount)
        await self.rows(
            "UPDATE finance.user_subscriptions SET user_id = %s WHERE subscription_id = %s RETURNING 1",
            first.user_id,
            one.subscription_id,
        )
        one.user_id = first.user_id
        return one

    async def open(self, one: Purchase, *, second_factor: bool = True) -> WorkflowHandle[Any, Any]:
        """Opens the payment as the API does: update with start."""
        given = PaymentInput(
            payment_id=one.payment_id,
            user_id=one.user_id,
            purpose=Purpose.SUBSCRIPTION,
            reference_id=one.subscription_id,
            second_factor=second_factor,
            assertion_key=self.engines.settings.assertion_public_key,
        )
        operation = WithStartWorkflowOperation(
            "Payment",
            given,
            id=workflow_id(Kind.PAYMENT, one.payment_id),
            task_queue=Queue.BILLING,
            task_timeout=timedelta(seconds=3),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        one.checkout = await self.client.execute_update_with_start_workflow(
            "open", {}, start_workflow_operation=operation, id=f"open-{one.payment_id}"
        )
        return await operation.workflow_handle()

    async def pay(self, one: Purchase, outcome: str = "success", **more: Any) -> dict[str, Any]:
        """The customer at the checkout; what the browser brings back."""
        return await self.control("/razorpay/checkout", order_id=one.order_id, outcome=outcome, **more)

    async def taken(self, brought: dict[str, Any], amount: int) -> None:
        """Somebody captures it at the gateway's dashboard."""
        keys = (await self.http.get("/_control/credentials")).json()["razorpay"]
        answer = await self.http.post(
            f"/razorpay/v1/payments/{brought['razorpay_payment_id']}/capture",
            json={"amount": amount, "currency": "INR"},
            auth=httpx.BasicAuth(keys["key_id"], keys["key_secret"]),
        )
        assert answer.status_code == 200, answer.text

    async def confirm(self, handle: WorkflowHandle[Any, Any], brought: dict[str, Any]) -> dict[str, Any]:
        names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
        callback = ConfirmCheckout(**{name: brought[name] for name in names})
        return await handle.execute_update("confirm", callback)

    async def hint(self, handle: WorkflowHandle[Any, Any]) -> None:
        """A webhook, as its workflow hears of it."""
        await handle.signal("gateway_event", GatewayEvent(event_number=1))

    async def bought(self, **given: Any) -> Purchase:
        """A purchase, paid and captured."""
        one = await self.purchase(**given)
        handle = await self.open(one)
        brought = await self.pay(one)
        assert (await self.confirm(handle, brought))["status"] == "captured"
        return one

    async def payment(self, one: Purchase) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM finance.payments WHERE payment_id = %s", one.payment_id))[0]

    async def status(self, one: Purchase, wanted: str) -> dict[str, Any]:
        """The payment's row once it has that status."""
        return await eventually(lambda: self.payment(one), lambda row: row["status"] == wanted)

    async def documents(self, one: Purchase) -> list[dict[str, Any]]:
        return await self.rows(
            "SELECT * FROM finance.invoices WHERE payment_id = %s ORDER BY invoice_id", one.payment_id
        )

    async def book(self, reference: str) -> dict[str, int]:
        """Net debit by account of every posting that names `reference`."""
        rows = await self.rows(
            """SELECT account, sum(debit - credit)::bigint AS net FROM finance.journal_lines
               JOIN finance.journal_entries USING (entry_id) WHERE refs @> ARRAY[%s::text]
               GROUP BY account""",
            reference,
        )
        return {row["account"]: row["net"] for row in rows if row["net"]}

    async def refund(
        self,
        one: Purchase,
        authority: str,
        requested_by: str = "",
        amount: int | None = None,
        speed: str = "normal",
    ) -> tuple[str, WorkflowHandle[Any, Any]]:
        """Asks for a refund as the API does; its id, once the request is answered."""
        refund_id = mint(Prefix.REFUND)
        given = RefundInput(
            refund_id=refund_id,
            payment_id=one.payment_id,
            amount=amount,
            requested_by=requested_by or one.user_id,
            authority=authority,
            speed=speed,
            assertion_key=self.engines.settings.assertion_public_key,
        )
        operation = WithStartWorkflowOperation(
            "Refund",
            given,
            id=workflow_id(Kind.REFUND, refund_id),
            task_queue=Queue.BILLING,
            task_timeout=timedelta(seconds=3),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        await self.client.execute_update_with_start_workflow(
            "request", {}, start_workflow_operation=operation
        )
        return refund_id, await operation.workflow_handle()

    async def refund_row(self, refund_id: str, wanted: str) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            return (await self.rows("SELECT * FROM finance.refunds WHERE refund_id = %s", refund_id))[0]

        return await eventually(read, lambda row: row["status"] == wanted)

    def decision(
        self,
        refund_id: str,
        action: str,
        subject: str,
        *,
        role: str = "finance",
        utr: str | None = None,
        command_id: str = "",
        lifetime: timedelta = LIFETIME,
    ) -> StaffDecision:
        """A decision signed as the API signs it."""
        assertion = Assertion(
            subject=subject,
            role=role,
            workflow_id=workflow_id(Kind.REFUND, refund_id),
            action=action,
            expires_at=datetime.now(UTC) + lifetime,
            command_id=command_id,
        )
        key = self.engines.settings.assertion_key.get_secret_value()
        return StaffDecision(assertion=sign(key, assertion), utr=utr)


@asynccontextmanager
async def shop(engines: EmbeddedEngines, dsn: str, *, serve: bool = True) -> AsyncIterator[Shop]:
    """The billing pool on that database (`serve`: in this process), beside a queue where buyers wait."""
    settings = engines.settings.model_copy(update={"postgres": dsn})
    queue = f"buyers-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(dsn))
        client = await connect(settings)
        outside = await stack.enter_async_context(httpx.AsyncClient())
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=settings.sandbox, headers={"X-Sandbox-Control": "1"})
        )
        vault = Vault(settings)
        parts = Parts(settings, database, vault, None, outside, client)  # type: ignore[arg-type]
        for worker in workers(POOL, parts, client) if serve else ():
            await stack.enter_async_context(worker)
        await stack.enter_async_context(
            Worker(client, task_queue=queue, workflows=[Buyer], workflow_runner=UnsandboxedWorkflowRunner())
        )
        yield Shop(engines, database, vault, client, http, queue)


async def attention(handle: WorkflowHandle[Any, Any]) -> bool:
    return bool((await handle.describe()).typed_search_attributes.get(Attribute.NEEDS_ATTENTION.value))


async def eventually(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """What was read, as soon as it `holds`; fails after the deadline with what was read last."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_SECONDS
    while not holds(found := await read()):
        assert asyncio.get_running_loop().time() < deadline, f"never held: {found}"
        await asyncio.sleep(0.02)
    return found


async def refusal(work: Awaitable[Any]) -> str:
    """The code by which a process refused."""
    try:
        await work
    except WorkflowUpdateFailedError as failure:
        return str(failure.cause.details[0])  # type: ignore[union-attr]
    raise AssertionError("it was not refused")
