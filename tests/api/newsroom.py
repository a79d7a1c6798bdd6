"""Analysts, subscribers and listeners on the session's engines; the signals pool, relay and hub run."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from api.live.server import create_hub
from cli.embedded import EmbeddedEngines
from models.contracts.identifiers import Prefix, mint
from relay.listener import Wakeup, listen
from relay.publisher import Publisher
from store import identity_profiles, identity_roles, identity_sessions, identity_users
from tests.api.conftest import Api, Person
from workers.parts import Parts, assemble
from workers.pool import workers
from workers.signals import POOL

NAME = "Asha Verma"
TRADING_MORNING = "2026-11-23T10:00:00+05:30"
DRAFT: dict[str, Any] = {
    "exchange": "NSE",
    "symbol": "INFY",
    "action": "buy",
    "timeframe": "1d",
    "entry_price": "1500.00",
    "target_price": "1560.00",
    "stop_loss": "1470.00",
    "confidence": 80,
    "rationale": "Drawn up by hand for a test.",
    "disclosure": "No holding in this security.",
}


class Newsroom:
    """What a test needs to publish, listen and move the market."""

    def __init__(self, api: Api, parts: Parts, sandbox: httpx.AsyncClient, hub: str) -> None:
        self.api = api
        self.parts = parts
        self.sandbox = sandbox
        self.hub = hub
        self.analyst = Person("", "", "")

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.sandbox.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.parts.database.reading() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def post(self, path: str, who: Person, body: Any = None, **headers: str) -> httpx.Response:
        given = {"Idempotency-Key": secrets.token_hex(8), **headers, **who.headers}
        return await self.api.post(f"/v1{path}", json={} if body is None else body, headers=given)

    async def answered(self, path: str, who: Person, body: Any) -> httpx.Response:
        """Asked again under its key while the command is pending, as a client does: the house's calls at the
        broker are paced."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        async with asyncio.timeout(60):
            while (answer := await self.post(path, who, body, **key)).status_code == 503:
                await asyncio.sleep(0.2)
        return answer

    async def get(self, path: str, who: Person, **query: Any) -> httpx.Response:
        return await self.api.get(f"/v1{path}", headers=who.headers, params=query)

    async def customer(self, tier: str = "free") -> Person:
        person = await self.person()
        if tier != "free":
            await self.entitle(person, tier)
        return person

    async def person(self, *roles: str) -> Person:
        """Someone with a session, as registration and sign-in leave them: both have tests of their own."""
        mail, phone = f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}"
        found, now, vault = Person(mint(Prefix.USER), mail, phone), datetime.now(UTC), self.parts.vault
        session_id = mint(Prefix.SESSION)
        async with self.parts.database.transaction() as connection:
            new = identity_users.NewUser(found.user_id, mail, phone, "x")
            await identity_users.create(connection, vault, new, now)
            await identity_profiles.create(connection, vault, found.user_id, {"full_name": NAME}, now)
            for contact in ("email", "phone"):
                await identity_users.verify_contact(connection, found.user_id, contact, now)
            for role in roles:
                await identity_roles.grant(connection, found.user_id, role, "test", None, now)
            await identity_sessions.begin(
                connection, vault, session_id=session_id, user_id=found.user_id, device="test", now=now
            )
        tokens = self.api.platform.tokens
        found.access_token, _ = tokens.issue(found.user_id, session_id, list(roles), "free")
        return found

    async def entitle(self, person: Person, tier: str) -> None:
        now = datetime.now(UTC)
        async with self.parts.database.transaction() as connection:
            await connection.execute(
                """INSERT INTO finance.entitlements
                       (entitlement_id, user_id, kind, reference, plan_tier, starts_at, ends_at)
                   VALUES (%s, %s, 'plan', %s, %s, %s, %s)""",
                (
                    *(f"ent_{secrets.token_hex(8)}", person.user_id, mint(Prefix.SUBSCRIPTION), tier),
                    *(now - timedelta(minutes=1), now + timedelta(days=30)),
                ),
            )

    async def draft(self, analyst: Person | None = None, **changes: Any) -> str:
        expires = (datetime.now(UTC) + timedelta(days=5)).isoformat()
        body = {**DRAFT, "expires_at": expires, **changes}
        answer = await self.post("/signals", analyst or self.analyst, body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "draft"
        return answer.json()["signal_id"]

    async def published(self, **changes: Any) -> str:
        signal_id = await self.draft(**changes)
        answer = await self.post(f"/signals/{signal_id}/publish", self.analyst)
        assert answer.status_code == 200, answer.text
        return signal_id

    async def signal(self, signal_id: str, who: Person | None = None) -> dict[str, Any]:
        return (await self.get(f"/signals/{signal_id}", who or self.analyst)).json()

    async def sign_in_house(self) -> httpx.Response:
        """The house signs in at the broker for market data."""
        keys = (await self.sandbox.get("/_control/credentials")).json()["kite"]
        login = await self.control("/kite/login", api_key=keys["api_key"], user_id="HOUSE1", name="Treum")
        return await self.post(
            "/signals/market-data", self.analyst, {"request_token": login["request_token"]}
        )

    async def ticket(self, who: Person) -> str:
        answer = await self.post("/signals/stream-ticket", who)
        assert answer.status_code == 200, answer.text
        return answer.json()["ticket"]

    @asynccontextmanager
    async def listening(self, who: Person, after: str | None = None) -> AsyncIterator[ClientConnection]:
        """The live stream of a person, by a ticket."""
        query = f"ticket={await self.ticket(who)}" + (f"&after={after}" if after is not None else "")
        async with connect(f"ws://{self.hub}/v1/ws/signals/stream?{query}") as stream:
            yield stream


async def heard(stream: ClientConnection, holds: Any, seconds: float = 10.0) -> list[dict[str, Any]]:
    """Messages up to the first of which `holds` is true."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while True:
            messages.append(json.loads(await stream.recv()))
            if holds(messages[-1]):
                return messages


def about(signal_id: str, kind: str = "signal.published") -> Any:
    return lambda message: (message["type"], message["signal"]["signal_id"]) == (kind, signal_id)


@asynccontextmanager
async def newsroom(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    headers = {"X-Sandbox-Control": "1"}
    async with AsyncExitStack() as running:
        parts = await running.enter_async_context(assemble(engines.settings))
        client = httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=10)
        sandbox = await running.enter_async_context(client)
        for worker in workers(POOL, parts, parts.client):
            await running.enter_async_context(worker)
        await running.enter_async_context(relaying(parts))
        hub = await running.enter_async_context(hub_of(engines))
        made = Newsroom(api, parts, sandbox, hub)
        await made.control("/clock", now=TRADING_MORNING, run=True)
        # Near the levels of `DRAFT`, whatever other tests of the session did to the market.
        await made.control("/kite/market", symbol=DRAFT["symbol"], price=1500, manual=False)
        made.analyst = await made.person("analyst")
        yield made


@asynccontextmanager
async def relaying(parts: Parts) -> AsyncIterator[None]:
    """The relay's publisher in this process."""
    wake = Wakeup()
    redis = Redis.from_url(parts.settings.redis, socket_timeout=2.0)
    tasks = [
        asyncio.create_task(listen(parts.settings.postgres, {"outbox": wake})),
        asyncio.create_task(Publisher(parts.database, redis).run(wake)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await redis.aclose()


@asynccontextmanager
async def hub_of(engines: EmbeddedEngines) -> AsyncIterator[str]:
    """A hub on a free port; its ``host:port``."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_hub(engines.settings.model_copy(update={"limit_factor": 1000.0})),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield "{}:{}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def paper_account(room: Newsroom, customer: Person) -> str:
    """The customer's account on paper, which needs no login."""
    account = f"acc_{customer.user_id[4:]}"
    await room.rows(
        """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
           VALUES (%s, %s, 'paper', 'connected', now()) RETURNING account_id""",
        account,
        customer.user_id,
    )
    return account
