"""Signed webhooks: queued with their cause, delivered at once, retried with backoff, at least once."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from functools import partial
from sqlite3 import Row
from typing import Any

import httpx

from sandbox.faults import WEBHOOK_KINDS
from sandbox.razorpay.rules import WEBHOOK_LIFE_SECONDS, WEBHOOK_TIMEOUT_SECONDS, Rules
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_webhooks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL,
  secret TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, first_at REAL, next_at REAL NOT NULL,
  held INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS razorpay_webhooks_due ON razorpay_webhooks (next_at) WHERE state = 'due';
CREATE TABLE IF NOT EXISTS razorpay_endpoint (
  one INTEGER PRIMARY KEY CHECK (one = 1), url TEXT, secret TEXT, enabled INTEGER NOT NULL
);
"""

log = logging.getLogger("sandbox.razorpay")

WAKE = "razorpay.webhooks"
AT_ONCE = 32  # deliveries under way at the same time
REORDER_SECONDS = 2.0  # how long a reordered webhook waits for a later one to overtake it


def endpoint(world: World) -> tuple[str, str, bool]:
    """URL, secret and whether it is enabled: as set by control, else as started."""
    row = world.db.execute("SELECT * FROM razorpay_endpoint").fetchone()
    secret = world.credentials["razorpay"]["webhook_secret"]
    if row is None:
        return world.settings.webhook_url, secret, True
    return row["url"] or world.settings.webhook_url, row["secret"] or secret, bool(row["enabled"])


def set_endpoint(world: World, url: str | None, secret: str | None, enabled: bool) -> None:
    """Changes the endpoint. Events already queued keep the secret they were signed with."""
    world.db.execute(
        "INSERT OR REPLACE INTO razorpay_endpoint VALUES (1, ?, ?, ?)", (url, secret, int(enabled))
    )


def queue(world: World, event: str, now: int, entities: dict[str, Any]) -> None:
    """Adds an event to the queue in the caller's transaction and wakes the delivery."""
    url, secret, enabled = endpoint(world)
    if not url or not enabled:
        return
    document = {
        "entity": "event",
        "account_id": world.kept("razorpay.account_id", lambda: world.new_id("acc_")),
        "event": event,
        "contains": list(entities),
        "payload": {name: {"entity": entity} for name, entity in entities.items()},
        "created_at": now,
    }
    body = json.dumps(document, separators=(",", ":"))
    _insert(world, world.new_id(""), event, body, secret)
    world.event(WAKE).set()


def _insert(world: World, event_id: str, event: str, body: str, secret: str) -> None:
    world.db.execute(
        "INSERT INTO razorpay_webhooks (event_id, event, body, secret, state, attempts, next_at, held)"
        " VALUES (?, ?, ?, ?, 'due', 0, ?, 0)",
        (event_id, event, body, secret, time.time()),
    )


def signature(body: str, secret: str) -> str:
    """HMAC-SHA256 of the raw body, in hex."""
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def _tampered(body: str) -> str:
    document = json.loads(body)
    for part in document["payload"].values():
        if isinstance(part["entity"].get("amount"), int):
            part["entity"]["amount"] += 100
    document["tampered"] = True
    return json.dumps(document, separators=(",", ":"))


async def deliver(world: World) -> None:
    """Sends what is due until cancelled. Retries follow the host's clock: they are about the network."""
    rules = Rules.from_environment()
    wake = world.event(WAKE)
    under_way: dict[int, asyncio.Task[None]] = {}
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_SECONDS, limits=limits, trust_env=False) as client:
        while True:
            wake.clear()
            async with world.exclusive() as db:
                free = AT_ONCE - len(under_way)
                rows = db.execute(
                    "SELECT * FROM razorpay_webhooks WHERE state = 'due' ORDER BY next_at, id LIMIT ?",
                    (AT_ONCE + len(under_way),),
                ).fetchall()
            waiting = [row for row in rows if row["id"] not in under_way]
            due = [row for row in waiting if row["next_at"] <= time.time()][:free]
            for row in due:
                task = asyncio.create_task(_one(world, client, rules, row))
                under_way[row["id"]] = task
                task.add_done_callback(partial(_ended, under_way, wake, row["id"]))
            later = [row["next_at"] for row in waiting[len(due) :]]
            pause = max(0.001, min(later) - time.time()) if later and len(under_way) < AT_ONCE else 60.0
            try:
                async with asyncio.timeout(pause):
                    await wake.wait()
            except TimeoutError:
                continue


def _ended(
    under_way: dict[int, asyncio.Task[None]], wake: asyncio.Event, number: int, task: asyncio.Task[None]
) -> None:
    del under_way[number]
    wake.set()
    if not task.cancelled() and task.exception():
        log.error("a delivery failed and will be tried again", exc_info=task.exception())


async def _one(world: World, client: httpx.AsyncClient, rules: Rules, row: Row) -> None:
    """One attempt at one webhook; what became of it is committed before the next."""
    body, sign = row["body"], signature(row["body"], row["secret"])
    async with world.exclusive() as db:
        url, _, enabled = endpoint(world)
        if not enabled or not url:
            db.execute("UPDATE razorpay_webhooks SET state = 'disabled' WHERE id = ?", (row["id"],))
            return
        fault = world.faults.take("razorpay", f"{row['event']} {url}", WEBHOOK_KINDS)
        if fault and fault.kind == "drop_webhook":
            db.execute("UPDATE razorpay_webhooks SET state = 'dropped' WHERE id = ?", (row["id"],))
            return
        if fault and fault.kind == "reorder_webhooks":
            wait = REORDER_SECONDS if fault.seconds is None else fault.seconds
            db.execute(
                "UPDATE razorpay_webhooks SET held = 1, next_at = ? WHERE id = ?",
                (time.time() + wait, row["id"]),
            )
            return
        if fault and fault.kind == "duplicate_webhook":
            _insert(world, row["event_id"], row["event"], body, row["secret"])
        if fault and fault.kind == "tampered_webhook":
            body = _tampered(body)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Razorpay-Webhook/v1",
        "X-Razorpay-Signature": sign,
        "x-razorpay-event-id": row["event_id"],
    }
    try:
        accepted = (await client.post(url, content=body.encode(), headers=headers)).is_success
    except httpx.HTTPError:
        accepted = False
    async with world.exclusive():
        _settle(world, rules, row, accepted)


def _settle(world: World, rules: Rules, row: Row, accepted: bool) -> None:
    now = time.time()
    if accepted:
        world.db.execute("UPDATE razorpay_webhooks SET state = 'delivered' WHERE id = ?", (row["id"],))
        # One that was held back for reordering has now been overtaken.
        world.db.execute("UPDATE razorpay_webhooks SET held = 0, next_at = ? WHERE held = 1", (now,))
        return
    first = row["first_at"] or now
    if now - first >= WEBHOOK_LIFE_SECONDS:
        # A day of failures disables the endpoint: later events are not sent until it is enabled again.
        world.db.execute("UPDATE razorpay_webhooks SET state = 'disabled' WHERE state = 'due'")
        url, secret, _ = endpoint(world)
        set_endpoint(world, url, secret, enabled=False)
        return
    wait = rules.retry_seconds * 2.0 ** row["attempts"]
    world.db.execute(
        "UPDATE razorpay_webhooks SET attempts = attempts + 1, first_at = ?, next_at = ? WHERE id = ?",
        (first, now + wait, row["id"]),
    )
