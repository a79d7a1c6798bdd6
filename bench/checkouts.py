"""Customers who have paid at the gateway's checkout, and the webhook that tells us so."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
import psycopg
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from bench.shapes import BenchBuyer
from domain.payments import Purpose
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.billing import PaymentInput
from models.settings import Settings
from store import identity_profiles, identity_users, plans
from store.changes import CHANNEL
from store.database import Database
from store.vault import Vault

AMOUNT = 1_999_00
DEADLINE_SECONDS = 30.0


class Checkouts:
    """One payment after another. The sandbox's own webhooks are dropped: ours is the one that is timed."""

    def __init__(self, settings: Settings, database: Database, client: Client) -> None:
        self._settings, self._database, self._client = settings, database, client
        self._vault = Vault(settings)
        self._http = httpx.AsyncClient(timeout=DEADLINE_SECONDS, headers={"X-Sandbox-Control": "1"})
        self._heard: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._listening = await psycopg.AsyncConnection.connect(self._settings.postgres, autocommit=True)
        await self._listening.execute(f"LISTEN {CHANNEL}")
        self._ear = asyncio.create_task(self._listen())
        async with self._database.transaction() as connection:
            await plans.seed(connection)
        await self._control("faults", target="razorpay", match="", fault="drop_webhook", times=10**6)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ear.cancel()
        with suppress(asyncio.CancelledError):
            await self._ear
        await self._listening.close()
        await self._http.aclose()

    async def _listen(self) -> None:
        async for note in self._listening.notifies():
            self._heard.put_nowait((note.payload, time.perf_counter()))

    async def timed(self) -> tuple[float, float]:
        """Milliseconds from sending the webhook until the invoice is committed, and until its answer."""
        payment_id, order_id = await self._opened()
        paid = await self._control("razorpay/checkout", order_id=order_id, method="upi", outcome="success")
        raw, headers = self._webhook(paid["razorpay_payment_id"], order_id)
        begun = time.perf_counter()
        sending = asyncio.create_task(
            self._http.post(f"{self._settings.public_url}/v1/webhooks/razorpay", content=raw, headers=headers)
        )
        sending.add_done_callback(lambda _: answers.append(time.perf_counter()))
        answers: list[float] = []
        invoiced = await self._invoiced(payment_id)
        (await sending).raise_for_status()
        return (invoiced - begun) * 1000, (answers[0] - begun) * 1000

    async def _invoiced(self, payment_id: str) -> float:
        """When the commit that made the payment's invoice was heard of."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                what, at = await self._heard.get()
                if what != payment_id:
                    continue
                async with self._database.reading() as connection:
                    cursor = await connection.execute(
                        "SELECT FROM finance.invoices WHERE payment_id = %s", (payment_id,)
                    )
                    if await cursor.fetchone() is not None:
                        return at

    def _webhook(self, gateway_payment_id: str, order_id: str) -> tuple[bytes, dict[str, str]]:
        entity = {"id": gateway_payment_id, "entity": "payment", "order_id": order_id, "status": "authorized"}
        event = {"entity": "event", "event": "payment.authorized", "contains": ["payment"]}
        raw = json.dumps({**event, "payload": {"payment": {"entity": entity}}}).encode()
        secret = self._settings.razorpay_webhook_secrets[0]
        signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"X-Razorpay-Signature": signature, "x-razorpay-event-id": f"evt_{secrets.token_hex(7)}"}
        return raw, {**headers, "Content-Type": "application/json"}

    async def _opened(self) -> tuple[str, str]:
        """A new customer's payment, opened as the API opens it: its id and the gateway's order."""
        user_id, subscription_id = await self._customer()
        await self._client.start_workflow(
            BenchBuyer.run, id=workflow_id(Kind.SUBSCRIPTION, subscription_id), task_queue="bench-buyers"
        )
        payment_id = mint(Prefix.PAYMENT)
        given = PaymentInput(
            payment_id=payment_id,
            user_id=user_id,
            purpose=Purpose.SUBSCRIPTION,
            reference_id=subscription_id,
            second_factor=True,
            assertion_key=self._settings.assertion_public_key,
        )
        start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            "Payment",
            given,
            id=workflow_id(Kind.PAYMENT, payment_id),
            task_queue=Queue.BILLING,
            task_timeout=timedelta(seconds=3),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        checkout: dict[str, Any] = await self._client.execute_update_with_start_workflow(
            "open", {}, start_workflow_operation=start
        )
        return payment_id, str(checkout["gateway_order_id"])

    async def _customer(self) -> tuple[str, str]:
        user_id, subscription_id, now = mint(Prefix.USER), mint(Prefix.SUBSCRIPTION), datetime.now(UTC)
        contact = identity_users.NewUser(
            user_id, f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}", "x"
        )
        profile = {"billing": {"name": "Asha Verma", "state": "MH", "gstin": None}}
        async with self._database.transaction() as connection:
            await identity_users.create(connection, self._vault, contact, now)
            await identity_profiles.create(connection, self._vault, user_id, profile, now)
            await connection.execute(
                """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                       expires_at, updated_at)
                   VALUES (%(user)s, 'verified', 'basic', 'sealed', %(now)s,
                       %(now)s::timestamptz + interval '2 years', %(now)s)""",
                {"user": user_id, "now": now},
            )
            await connection.execute(
                """INSERT INTO finance.user_subscriptions (subscription_id, user_id, plan_id, status, amount,
                       currency, period, created_at, changed_at, version)
                   SELECT %s, %s, plan_id, 'awaiting_payment', %s, 'INR', 0, %s, %s, 1
                   FROM finance.subscription_plans WHERE plan_id = 'pln_premium_monthly'""",
                (subscription_id, user_id, AMOUNT, now, now),
            )
        return user_id, subscription_id

    async def _control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self._http.post(f"{self._settings.sandbox}/_control/{path}", json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
