"""Customers with a broker account on the session's engines, the exchange and its journal beside them."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import WorkflowHandle

from api.changes import Changes
from api.trading.accounts import session_drive
from api.trading.ordering import order_drive
from api.trading.sight import at_broker
from cli.embedded import EmbeddedEngines
from models.contracts.commands import Answer, Drive, Request
from models.contracts.identifiers import Prefix, mint
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.broker_accounts import BeginLogin, CompleteLogin
from models.messages.trading import OrderTerms, SignalOrigin
from models.settings import Settings
from store import identity_users, trading_accounts
from store.commands import Commands
from store.database import Database
from store.vault import Vault
from temporal.commands import Envelope, Pending
from workers.parts import Parts, assemble
from workers.pool import workers
from workers.trading import POOL

ROOT = Path(__file__).resolve().parents[2]
TRADING_MORNING = "2026-11-23T10:00:00+05:30"
NAME = "Asha Rao"
DEADLINE_SECONDS = 60.0


@dataclass
class Trader:
    """A customer whose account is connected; `broker_user` is her user id at Kite."""

    user_id: str
    account_id: str
    broker_user: str


class Floor:
    """What a test needs to trade: commands as the API gives them, the record, the market, the journal."""

    def __init__(self, parts: Parts, http: httpx.AsyncClient) -> None:
        self.settings: Settings = parts.settings
        self.database: Database = parts.database
        self.vault: Vault = parts.vault
        self.client = parts.client
        self.http = http
        self.changes = Changes(parts.settings.postgres)
        commands = Commands(parts.database, parts.vault)
        self._envelope = Envelope(parts.client, commands, timedelta(seconds=20))

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def clock(self, now: str = TRADING_MORNING) -> None:
        await self.control("/clock", now=now, run=True)

    async def fault(self, match: str, fault: str, times: int = 1, **more: Any) -> None:
        await self.control("/faults", target="kite", match=match, fault=fault, times=times, **more)

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.reading() as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def run(self, drive: Drive, business_id: str, actor: str = "test") -> Answer:
        """One command through the envelope; driven again while it is pending, as the sweeper would."""
        request = Request(actor, drive.workflow_type, secrets.token_hex(8))
        # As the API does for the two commands that send an order.
        sees = drive.update in ("place", "confirm")
        sight = partial(at_broker, self.changes, self.database) if sees else None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                try:
                    ran = await self._envelope.run(request, business_id, lambda _: drive, sight=sight)
                    return ran.answer
                except Pending:
                    await asyncio.sleep(0.1)

    async def customer(self, name: str = NAME, tier: str | None = "intermediate") -> str:
        """A person whose KYC is verified; `tier` None: never begun."""
        user_id, now = mint(Prefix.USER), datetime.now(UTC)
        new = identity_users.NewUser(
            user_id, f"{secrets.token_hex(6)}@example.in", f"+919{secrets.randbelow(10**9):09d}", "x"
        )
        async with self.database.transaction() as connection:
            await identity_users.create(connection, self.vault, new, now)
            ring = await self.vault.person(connection, user_id)
            if tier:
                await connection.execute(
                    """INSERT INTO user_management.kyc_status
                           (user_id, status, tier, legal_name, verified_at, expires_at, updated_at)
                       VALUES (%s, 'verified', %s, %s, %s, %s, %s)""",
                    (
                        *(user_id, tier, ring.seal(name.encode(), f"legal-name:{user_id}")),
                        *(now, now + timedelta(days=700), now),
                    ),
                )
        return user_id

    async def begin(self, user_id: str, broker: str = "kite", account_id: str = "") -> Answer:
        account_id = account_id or mint(Prefix.ACCOUNT)
        argument = BeginLogin().model_dump(mode="json")
        return await self.run(session_drive(account_id, user_id, broker, "begin", argument), account_id)

    async def complete(self, account_id: str, broker_user: str, name: str = NAME) -> Answer:
        """What the callback does, once the customer has signed in at the broker."""
        logins = await self.rows(
            "SELECT * FROM trading.logins WHERE account_id = %s ORDER BY login_id DESC LIMIT 1", account_id
        )
        given = await self.control(
            "/kite/login", api_key=self.settings.kite_api_key, user_id=broker_user, name=name
        )
        command = CompleteLogin(login_id=logins[0]["login_id"], request_token=given["request_token"])
        drive = Drive(
            workflow_type="TradingSession",
            workflow_id=logins[0]["process"],
            queue=Queue.TRADING,
            update="complete",
            argument=command.model_dump(mode="json"),
        )
        return await self.run(drive, account_id)

    async def trader(self, tier: str = "intermediate") -> Trader:
        """A connected customer."""
        user_id = await self.customer(tier=tier)
        begun = await self.begin(user_id)
        account_id = begun.body["account_id"]
        broker_user = f"TR{secrets.token_hex(3).upper()}"
        completed = await self.complete(account_id, broker_user)
        assert completed.body.get("status") == "connected", completed
        return Trader(user_id, account_id, broker_user)

    async def place(
        self, trader: Trader, origin: SignalOrigin | None = None, confirmed: bool = True, **terms: Any
    ) -> dict[str, Any]:
        """Places an order that differs from a plain limit buy of INFY only in what is given; the answer."""
        wanted = {
            "exchange": "NSE", "symbol": "INFY", "side": "BUY", "quantity": 10, "order_type": "LIMIT",
            "price": Decimal(1500), "product": "CNC", **terms,
        }  # fmt: skip
        order_id = mint(Prefix.ORDER)
        drive = order_drive(
            order_id,
            trader.user_id,
            trader.account_id,
            OrderTerms.model_validate(wanted),
            origin=origin,
            confirmed=confirmed,
        )
        answer = await self.run(drive, order_id, trader.user_id)
        assert answer.refused is None, answer
        return answer.body

    async def update(self, order_id: str, name: str, **argument: Any) -> Answer:
        drive = Drive(
            workflow_type="Order",
            workflow_id=workflow_id(Kind.ORDER, order_id),
            queue=Queue.TRADING,
            update=name,
            argument=argument,
        )
        return await self.run(drive, order_id)

    def handle(self, order_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(workflow_id(Kind.ORDER, order_id))

    async def order(self, order_id: str) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM trading.orders WHERE order_id = %s", order_id))[0]

    async def reaches(self, order_id: str, *statuses: str) -> dict[str, Any]:
        """The order's row once its status is one of `statuses`."""

        async def there() -> dict[str, Any] | None:
            row = await self.order(order_id)
            return row if row["status"] in statuses else None

        return await eventually(there, f"{order_id} to be {statuses}")

    async def market(self, symbol: str = "INFY", **change: Any) -> None:
        await self.control("/kite/market", symbol=symbol, **change)

    async def fill(self, broker_order_id: str, quantity: int) -> None:
        await self.control("/kite/fill", order_id=broker_order_id, quantity=quantity)

    async def placed(self, order_id: str) -> list[dict[str, Any]]:
        """What the sandbox's journal says was placed for this order: calls that had an effect."""
        attempts = await self.rows("SELECT tag FROM trading.order_attempts WHERE order_id = %s", order_id)
        tags = {row["tag"] for row in attempts}
        answer = await self.http.get("/_control/journal", params={"target": "kite"})
        return [
            item
            for item in answer.json()["items"]
            if item["method"] == "POST"
            and item["path"].startswith("/kite/orders/")
            and item["effect"]
            and item["effect"].get("tag") in tags
        ]

    async def sent(self, trader: Trader) -> list[dict[str, Any]]:
        """Every order call of this customer that the sandbox saw, whatever came of it."""
        rows = await self.rows(
            """SELECT a.tag FROM trading.order_attempts a JOIN trading.orders o USING (order_id)
               WHERE o.account_id = %s""",
            trader.account_id,
        )
        tags = {row["tag"] for row in rows}
        answer = await self.http.get("/_control/journal", params={"target": "kite"})
        return [
            item
            for item in answer.json()["items"]
            if item["method"] == "POST"
            and item["path"].startswith("/kite/orders/")
            and any(tag in str(item["body"]) for tag in tags)
        ]

    async def position(self, trader: Trader) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM trading.positions WHERE account_id = %s", trader.account_id))[
            0
        ]


def signalled(entry: int, target: int | None = None, stop: int | None = None) -> SignalOrigin:
    """A signal that an order may answer for an hour; prices in rupees."""
    now = datetime.now(UTC)
    return SignalOrigin(
        signal_id=mint(Prefix.SIGNAL),
        entry_price=Decimal(entry),
        published_at=now,
        expires_at=now + timedelta(hours=1),
        target_price=Decimal(target) if target else None,
        stop_price=Decimal(stop) if stop else None,
    )


async def lose_session(floor: Floor, trader: Trader) -> None:
    """As the broker's word about a dead token leaves the record."""
    async with floor.database.transaction() as connection:
        await trading_accounts.end_session(connection, trader.account_id, close=False)


async def eventually(read: Callable[[], Awaitable[Any]], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first truthy answer of `read`, within a deadline."""
    try:
        async with asyncio.timeout(seconds):
            while not (found := await read()):
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}") from None


@asynccontextmanager
async def floor_of(engines: EmbeddedEngines) -> AsyncIterator[Floor]:
    """The floor without workers: whoever asks brings them."""
    async with assemble(engines.settings) as parts:
        headers = {"X-Sandbox-Control": "1"}
        async with httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=30) as http:
            floor = Floor(parts, http)
            listening = asyncio.create_task(floor.changes.run())
            await floor.clock()
            yield floor
            listening.cancel()


@asynccontextmanager
async def working(engines: EmbeddedEngines) -> AsyncIterator[None]:
    """The trading pool's workers in this process."""
    async with assemble(engines.settings) as parts:
        running = workers(POOL, parts, parts.client)
        async with running[0], running[1]:
            yield


class Crew:
    """A pool as a process of its own, which kill points end and a supervisor brings back."""

    pool = "trading"

    def __init__(self, engines: EmbeddedEngines, armed: Path) -> None:
        self.armed = armed
        self._environment = {**os.environ, **engines.environment, "TREUM_CRASH_AT": f"@{armed}"}
        self._environment["PYTHONPATH"] = str(ROOT)
        self._process = self._ready()
        self._spare = self._ready()
        self._keeper: asyncio.Task[None] | None = None
        self.deaths = 0

    def arm(self, point: str) -> None:
        self.armed.write_text(point)

    async def __aenter__(self) -> "Crew":
        self._wake(self._process)
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeper:
            self._keeper.cancel()
        for process in (self._process, self._spare):
            process.kill()
            process.wait()

    def died_after(self, deaths: int) -> Callable[[], Awaitable[bool]]:
        """A reading of whether it has died again."""

        async def died() -> bool:
            return self.deaths > deaths

        return died

    def kill(self) -> None:
        """SIGKILL now; the spare takes over."""
        self._process.kill()

    def _ready(self) -> "subprocess.Popen[bytes]":
        """A worker that has imported everything and waits for its turn: as fast as a forked one."""
        code = (
            f"import sys; from workers import run, {self.pool}; import uvloop, kiteconnect; "
            f"sys.stdin.readline() and run.main('{self.pool}')"
        )
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, cwd=ROOT, env=self._environment, stdin=subprocess.PIPE)

    def _wake(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()

    async def _keep(self) -> None:
        while True:
            if self._process.poll() is not None:
                self.deaths += 1
                self._process = self._spare
                self._wake(self._process)
                self._spare = self._ready()
            await asyncio.sleep(0.05)
