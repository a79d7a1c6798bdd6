"""Where customers pay: the API with its webhook address known to the gateway."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from cli.embedded import EmbeddedEngines
from models.contracts.workflow_ids import Kind, workflow_id
from tests.api.conftest import Api, Person
from tests.workflows.shop import Buyer, Shop, eventually, shop


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(12)}


@dataclass
class Counter:
    """Where customers pay: the API with its webhook address known to the gateway."""

    api: Api
    shop: Shop
    url: str

    async def customer(self, *, kyc: bool = True) -> tuple[Person, str]:
        """Someone signed in, with a billing state, and a subscription that awaits its money."""
        person = await self.api.signed_in()
        profile = {"billing": {"name": "Asha Verma", "state": "KA"}}
        answer = await self.api.put(
            f"/v1/users/{person.user_id}/profile", json=profile, headers=person.headers
        )
        assert answer.status_code == 200, answer.text
        if kyc:
            await self.verify(person)
        return person, await self.wants(person)

    async def verify(self, person: Person) -> None:
        await self.shop.rows(
            """INSERT INTO user_management.kyc_status (user_id, status, tier, legal_name, verified_at,
                   expires_at, updated_at)
               VALUES (%s, 'verified', 'basic', 'sealed', now(), now() + interval '2 years', now())
               RETURNING 1""",
            person.user_id,
        )

    async def wants(self, person: Person) -> str:
        other = await self.shop.purchase(waits=False)
        await self.shop.rows(
            "UPDATE finance.user_subscriptions SET user_id = %s WHERE subscription_id = %s RETURNING 1",
            person.user_id,
            other.subscription_id,
        )
        await self.shop.client.start_workflow(
            Buyer.run, id=workflow_id(Kind.SUBSCRIPTION, other.subscription_id), task_queue=self.shop.queue
        )
        return other.subscription_id

    async def create(self, person: Person, reference_id: str, **headers: str) -> httpx.Response:
        body = {"purpose": "subscription", "reference_id": reference_id}
        return await self.api.post(
            "/v1/payments/create", json=body, headers={**person.headers, **key(), **headers}
        )

    async def pay(self, checkout: dict[str, Any], **more: Any) -> dict[str, Any]:
        given = {"order_id": checkout["gateway_order_id"], "outcome": "success", **more}
        brought = await self.shop.control("/razorpay/checkout", **given)
        names = ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature")
        return {name: brought[name] for name in names}

    async def confirm(
        self, person: Person, checkout: dict[str, Any], brought: dict[str, Any]
    ) -> httpx.Response:
        return await self.api.post(
            f"/v1/payments/{checkout['payment_id']}/confirm", json=brought, headers=person.headers
        )

    async def settled(self, person: Person, payment_id: str, status: str = "captured") -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            path = f"/v1/payments/{payment_id}/status"
            return (await self.api.get(path, headers=person.headers)).json()

        return await eventually(read, lambda found: found["status"] == status)

    async def bought(self) -> tuple[Person, dict[str, Any]]:
        person, reference_id = await self.customer()
        checkout = (await self.create(person, reference_id)).json()
        await self.pay(checkout)
        return person, await self.settled(person, checkout["payment_id"])


@asynccontextmanager
async def counter(engines: EmbeddedEngines, app: FastAPI, api: Api) -> AsyncIterator[Counter]:
    """The API on a port of its own, which the gateway's webhooks go to, beside the billing pool."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with shop(engines, engines.settings.postgres) as place:
        await eventually(lambda: asyncio.sleep(0, server.started), bool)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1/webhooks/razorpay"
        await place.control("/razorpay/webhook", url=url)
        yield Counter(api, place, url)
        await place.control("/razorpay/webhook", enabled=False)
    server.should_exit = True
    await serving
