"""The API with every worker pool behind it, and a customer who owns one of each kind of object."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from cli.embedded import EmbeddedEngines
from store import education_seed, plans
from tests.api.conftest import Api, Person, eventually
from workers.parts import assemble
from workers.pool import workers
from workers.run import POOLS, pool_named

NAME = "Asha Rao"
ROLES = ("admin", "analyst", "compliance", "finance", "instructor", "support")


@dataclass
class House:
    """`owner` holds the objects of `ids`, by kind; `stranger` holds nothing."""

    api: Api
    sandbox: httpx.AsyncClient
    kite_api_key: str
    owner: Person = field(init=False)
    stranger: Person = field(init=False)
    staff: dict[str, Person] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.sandbox.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def call(
        self, method: str, path: str, who: Person, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> Any:
        sent = {**who.headers, "Idempotency-Key": secrets.token_hex(8), **(headers or {})}
        answer = await self.api.request(method, f"/v1{path}", json=body, headers=sent)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def customer(self) -> Person:
        """Signed in, with verified KYC, a billing state and the consent that plans need."""
        person = await self.api.signed_in(full_name=NAME)
        now = datetime.now(UTC)
        async with self.api.platform.database.transaction() as connection:
            ring = await self.api.platform.vault.person(connection, person.user_id)
            await connection.execute(
                """INSERT INTO user_management.kyc_status
                       (user_id, status, tier, legal_name, verified_at, expires_at, updated_at)
                   VALUES (%s, 'verified', 'intermediate', %s, %s, %s, %s)
                   ON CONFLICT (user_id) DO UPDATE SET status = excluded.status, tier = excluded.tier,
                       legal_name = excluded.legal_name, verified_at = excluded.verified_at,
                       expires_at = excluded.expires_at""",
                (
                    *(person.user_id, ring.seal(NAME.encode(), f"legal-name:{person.user_id}")),
                    *(now, now + timedelta(days=700), now),
                ),
            )
        base = f"/users/{person.user_id}"
        await self.call("PUT", f"{base}/profile", person, {"billing": {"name": NAME, "state": "KA"}})
        consent = {"purpose": "research_services", "document": "mitc", "version": "current"}
        await self.call("POST", f"{base}/consents", person, consent)
        return person

    async def furnish(self) -> None:
        """One object of each kind for the owner, made by the calls that customers make."""
        self.owner, self.stranger = await self.customer(), await self.customer()
        self.ids["user_id"] = self.owner.user_id
        sessions = await self.call("GET", "/auth/sessions", self.owner)
        self.ids["session_id"] = sessions["items"][0]["session_id"]
        self.staff = {role: await self.api.staff(role) for role in ROLES}
        await self._pay_for_a_plan()
        await self._trade()
        await self._learn()
        await self._advise()
        asked = {"subject": "Refund", "text": "Where is it?"}
        complaint = await self.call("POST", "/complaints", self.owner, asked)
        # A run that staff may act on, and the name of the action.
        self.ids |= {"complaint_run": f"complaint:{complaint['complaint_id']}", "name": "resolve"}

    async def _pay_for_a_plan(self) -> None:
        taken = await self.call(
            "POST", "/billing/subscriptions", self.owner, {"plan_id": "pln_premium_monthly"}
        )
        self.ids |= {name: taken[name] for name in ("subscription_id", "payment_id")}
        await self.pay(taken)
        payment = await self.until(f"/payments/{taken['payment_id']}/status", "status", "captured")
        assert payment["invoice_id"] or await self.until(
            f"/billing/subscriptions/{taken['subscription_id']}", "status", "active"
        )
        invoices = await self.call("GET", "/billing/invoices", self.owner)
        self.ids["invoice_id"] = invoices["items"][0]["invoice_id"]
        asked = {"payment_id": taken["payment_id"], "reason": "asked by phone", "amount": 100}
        refund = await self.call("POST", "/payments/refund", self.staff["support"], asked)
        self.ids["refund_id"] = refund["refund_id"]

    async def _trade(self) -> None:
        raised = await self.api.stepped_up(self.owner)
        begun = await self.call(
            "POST", "/trading/exchanges/connect", self.owner, {"broker": "kite"}, headers=raised
        )
        query = parse_qs(urlsplit(begun["login_url"]).query)
        state = parse_qs(query["redirect_params"][0])["state"][0]
        user = f"AP{secrets.token_hex(3).upper()}"
        login = await self.control("/kite/login", api_key=self.kite_api_key, user_id=user, name=NAME)
        back = {"request_token": login["request_token"], "state": state}
        await self.call("POST", "/trading/exchanges/callback", self.owner, back)
        self.ids["account_id"] = begun["account_id"]
        terms = {
            "account_id": begun["account_id"], "exchange": "NSE", "symbol": "TCS", "side": "BUY",
            "quantity": 2, "order_type": "LIMIT", "price": "3100", "product": "CNC", "validity": "DAY",
        }  # fmt: skip
        order = await self.call("POST", "/trading/orders", self.owner, terms)
        self.ids["order_id"] = order["order_id"]

    async def _learn(self) -> None:
        # The seeded one: other tests' courses may have no quiz.
        course = (await self.call("GET", f"/courses?slug={education_seed.SLUG}", self.owner))["items"][0]
        self.ids["course_id"] = course["course_id"]
        enrolled = await self.call("POST", f"/courses/{course['course_id']}/enroll", self.owner)
        self.ids["enrollment_id"] = enrolled["enrollment_id"]
        if enrolled["status"] == "awaiting_payment":
            await self.pay(enrolled)

        async def progress() -> dict[str, Any]:
            items = (await self.call("GET", f"/users/{self.owner.user_id}/progress", self.owner))["items"]
            return next(item for item in items if item["enrollment_id"] == enrolled["enrollment_id"])

        mine = await eventually(progress, lambda item: item["status"] == "active", 20)
        assert mine["status"] == "active", mine
        self.ids["lesson_id"] = mine["lessons"][0]["lesson_id"]
        self.ids["assessment_id"] = next(
            lesson["assessment_id"] for lesson in mine["lessons"] if lesson.get("assessment_id")
        )

    async def _advise(self) -> None:
        soon = datetime.now(UTC) + timedelta(days=3)
        draft = {
            "exchange": "NSE", "symbol": "INFY", "action": "buy", "timeframe": "1d", "entry_price": "1500.00",
            "target_price": "1560.00", "stop_loss": "1470.00", "confidence": 80,
            "expires_at": soon.isoformat(), "rationale": "Above its average.", "disclosure": "No holding.",
        }  # fmt: skip
        drawn = await self.call("POST", "/signals", self.staff["analyst"], draft)
        self.ids["signal_id"] = drawn["signal_id"]

    async def pay(self, checkout: dict[str, Any]) -> None:
        """Pays at the gateway and brings the signed callback home."""
        order = checkout["gateway_order_id"]
        paid = await self.control("/razorpay/checkout", order_id=order, method="card", outcome="success")
        names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
        brought = {name: paid[name] for name in names}
        await self.call("POST", f"/payments/{checkout['payment_id']}/confirm", self.owner, brought)

    async def until(self, path: str, name: str, wanted: str) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            return await self.call("GET", path, self.owner)

        found = await eventually(read, lambda seen: seen[name] == wanted, 20)
        assert found[name] == wanted, found
        return found


@asynccontextmanager
async def house(engines: EmbeddedEngines, api: Api) -> AsyncIterator[House]:
    """Every pool in this process, on its own queues, while the tests of a module run."""
    headers = {"X-Sandbox-Control": "1"}
    async with (
        assemble(engines.settings) as parts,
        httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=20) as sandbox,
    ):
        async with parts.database.transaction() as connection:
            await plans.seed(connection)
            await education_seed.seed(connection)
        pools = [workers(pool_named(name), parts, parts.client) for name in POOLS]
        running = [asyncio.create_task(worker.run()) for pool in pools for worker in pool]
        try:
            yield House(api, sandbox, engines.settings.kite_api_key)
        finally:
            await asyncio.gather(*(worker.shutdown() for pool in pools for worker in pool))
            await asyncio.gather(*running)
