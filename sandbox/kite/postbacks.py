"""Postbacks to the app's one URL, and the copies that go out on the ticker.

The checksum is SHA-256(order_id + order_timestamp + api_secret); the ticker's copy carries an empty one.
Source: kite.trade/docs/connect/v3/postbacks. A row is done only once it has been sent (or a fault ate it),
so what a crash interrupts is sent again after the restart: a postback may come twice, never not at all.
"""

import asyncio
import json
import logging
import sqlite3
import time
from hashlib import sha256
from typing import Any

import httpx

from sandbox.world import World

log = logging.getLogger("sandbox.kite.postbacks")

ATTEMPTS = 5
RETRY_SECONDS = 0.5
HOLD_SECONDS = 10.0
SEND_TIMEOUT_SECONDS = 5.0
APP_ID = 1234
FAULTS = frozenset({"drop_webhook", "duplicate_webhook", "reorder_webhooks", "tampered_webhook"})


def _body(user_id: str, doc: dict[str, Any], status: str, checksum: str) -> dict[str, Any]:
    return {
        **doc,
        "user_id": user_id,
        "status": status,
        "unfilled_quantity": doc["pending_quantity"],
        "app_id": APP_ID,
        "checksum": checksum,
    }


def enqueue(db: sqlite3.Connection, user_id: str, api_key: str, doc: dict[str, Any], status: str) -> None:
    """Queues a postback in the same transaction as what it tells of, and its copy for the ticker."""
    body = _body(user_id, doc, status, "")
    db.execute(
        "INSERT INTO kite_postbacks (order_id, body) VALUES (?, ?)", (doc["order_id"], json.dumps(body))
    )
    _stream(db, user_id, api_key, body)


def stream_only(db: sqlite3.Connection, user_id: str, api_key: str, doc: dict[str, Any]) -> None:
    """A change of state that only the ticker tells (OPEN, CANCEL PENDING, ...)."""
    _stream(db, user_id, api_key, _body(user_id, doc, doc["status"], ""))


def _stream(db: sqlite3.Connection, user_id: str, api_key: str, body: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO kite_updates (user_id, api_key, body) VALUES (?, ?, ?)",
        (user_id, api_key, json.dumps(body)),
    )


def signed(body: dict[str, Any], secret: str) -> dict[str, Any]:
    """The body with its checksum; the timestamp goes in verbatim."""
    source = f"{body['order_id']}{body['order_timestamp']}{secret}"
    return {**body, "checksum": sha256(source.encode()).hexdigest()}


async def deliver(world: World) -> None:
    """Sends what is due, in order, until cancelled."""
    wake = world.event("kite.postbacks")
    async with httpx.AsyncClient(timeout=SEND_TIMEOUT_SECONDS, trust_env=False) as client:
        delivery = Delivery(world, client)
        while True:
            wake.clear()
            if not await delivery.round():
                try:
                    async with asyncio.timeout(RETRY_SECONDS):
                        await wake.wait()
                except TimeoutError:
                    continue  # rows left by a failed attempt, or by a process before this one


class Delivery:
    """The sender. To be overtaken, a postback waits for the next one; a restart forgets the waiting."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client
        self.held: sqlite3.Row | None = None
        self.held_until = 0.0
        world.on_reset.append(self._forget)

    def _forget(self) -> None:
        self.held = None

    async def round(self) -> bool:
        """One pass over what is due; False when nothing was sent."""
        url = self.world.settings.postback_url
        rows = self.world.db.execute(
            "SELECT * FROM kite_postbacks WHERE done = 0 AND attempts < ? ORDER BY n LIMIT 50", (ATTEMPTS,)
        ).fetchall()
        sent = False
        for row in rows if url else []:
            if self.held is not None and row["n"] == self.held["n"]:
                if time.monotonic() >= self.held_until:
                    sent = await self._release() or sent
                continue
            async with self.world.exclusive():
                fault = self.world.faults.take("kite", url, kinds=FAULTS)
            if fault and fault.kind == "reorder_webhooks" and self.held is None:
                seconds = HOLD_SECONDS if fault.seconds is None else fault.seconds
                self.held, self.held_until = row, time.monotonic() + seconds
                continue
            sent = await _send(self.world, self.client, row, fault.kind if fault else "") or sent
            sent = await self._release() or sent
        return sent

    async def _release(self) -> bool:
        row, self.held = self.held, None
        return await _send(self.world, self.client, row, "") if row is not None else False


async def _send(world: World, client: httpx.AsyncClient, row: sqlite3.Row, kind: str) -> bool:
    """Posts one row as the fault says; marks it done where the app took it (or where it is to be lost)."""
    if world.db.execute("SELECT 1 FROM kite_postbacks WHERE n = ?", (row["n"],)).fetchone() is None:
        return False  # the sandbox was emptied meanwhile
    body = signed(json.loads(row["body"]), world.credentials["kite"]["api_secret"])
    if kind == "tampered_webhook":
        body["filled_quantity"] = body["quantity"]
        body["checksum"] = "0" * 64
    delivered = kind == "drop_webhook"
    for _ in range(0 if kind == "drop_webhook" else 2 if kind == "duplicate_webhook" else 1):
        try:
            answer = await client.post(world.settings.postback_url, json=body)
            delivered = answer.is_success or delivered
        except httpx.HTTPError as problem:
            log.warning("postback of order %s not delivered: %s", row["order_id"], type(problem).__name__)
    async with world.exclusive():
        world.db.execute(
            "UPDATE kite_postbacks SET attempts = attempts + 1, done = ? WHERE n = ?",
            (int(delivered), row["n"]),
        )
    return delivered
