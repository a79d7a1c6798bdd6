"""Entities as documents in one table, with the few columns they are looked up by."""

import json
import sqlite3
from typing import Any

from sandbox.razorpay.errors import NOT_FOUND, RazorpayError

Entity = dict[str, Any]
MAX_INTEGER = 2**53

SCHEMA = """
CREATE TABLE IF NOT EXISTS razorpay_objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, reference TEXT,
  status TEXT, created_at INTEGER NOT NULL, settles TEXT, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS razorpay_by_reference ON razorpay_objects (kind, reference);
CREATE INDEX IF NOT EXISTS razorpay_by_status ON razorpay_objects (kind, status);
CREATE INDEX IF NOT EXISTS razorpay_unsettled ON razorpay_objects (settles) WHERE settles IS NOT NULL;
"""

PREFIXES = {
    "order": "order_",
    "payment": "pay_",
    "refund": "rfnd_",
    "customer": "cust_",
    "token": "token_",
    "plan": "plan_",
    "subscription": "sub_",
    "dispute": "disp_",
    "settlement": "setl_",
    "adjustment": "adj_",
}
# What an entity of each kind is found by, besides its id.
REFERENCES = {
    "order": ("receipt",),
    "payment": ("order_id",),
    "refund": ("payment_id",),
    "dispute": ("payment_id",),
    "token": ("_customer_id",),
    "customer": ("email", "contact"),
    "subscription": ("plan_id",),
}


def public(entity: Entity) -> Entity:
    """The entity as the API shows it: names with a leading underscore are the sandbox's own."""
    return {name: value for name, value in entity.items() if not name.startswith("_")}


def reference(*parts: Any) -> str:
    """The key an entity is found by."""
    return "|".join("" if part is None else str(part) for part in parts)


class Objects:
    """Adds, reads, saves and lists entities; the caller holds the transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def add(self, entity: Entity) -> Entity:
        """Stores a new entity; its `entity` field is its kind."""
        self.db.execute(
            "INSERT INTO razorpay_objects (reference, status, settles, data, id, kind, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*self._columns(entity), entity["id"], entity["entity"], entity.get("created_at", 0)),
        )
        return entity

    def save(self, entity: Entity) -> Entity:
        """Stores a changed entity."""
        self.db.execute(
            "UPDATE razorpay_objects SET reference = ?, status = ?, settles = ?, data = ? WHERE id = ?",
            (*self._columns(entity), entity["id"]),
        )
        return entity

    def _columns(self, entity: Entity) -> tuple[str | None, str | None, str | None, str]:
        names = REFERENCES.get(entity["entity"], ())
        key = reference(*(entity.get(name) for name in names)) if names else None
        return key, entity.get("status"), entity.get("_settles"), json.dumps(entity)

    def look(self, kind: str, identifier: Any) -> Entity | None:
        """The entity, or None."""
        row = self.db.execute(
            "SELECT data FROM razorpay_objects WHERE id = ? AND kind = ?", (str(identifier), kind)
        ).fetchone()
        return None if row is None else json.loads(row["data"])

    def get(self, kind: str, identifier: Any) -> Entity:
        """The entity; raises RazorpayError where the id is malformed or unknown."""
        if not str(identifier).startswith(PREFIXES[kind]):
            raise RazorpayError(f"{identifier} is not a valid id")
        entity = self.look(kind, identifier)
        if entity is None:
            raise RazorpayError(NOT_FOUND)
        return entity

    def of(self, kind: str, *parts: Any) -> list[Entity]:
        """Entities found by their reference, newest first."""
        rows = self.db.execute(
            "SELECT data FROM razorpay_objects WHERE kind = ? AND reference = ? ORDER BY seq DESC",
            (kind, reference(*parts)),
        )
        return [json.loads(row["data"]) for row in rows]

    def in_status(self, kind: str, status: str) -> list[Entity]:
        """Entities of a kind in one status, oldest first."""
        rows = self.db.execute(
            "SELECT data FROM razorpay_objects WHERE kind = ? AND status = ? ORDER BY seq", (kind, status)
        )
        return [json.loads(row["data"]) for row in rows]

    def every(self, kind: str) -> list[Entity]:
        """All entities of a kind, oldest first."""
        rows = self.db.execute("SELECT data FROM razorpay_objects WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row["data"]) for row in rows]

    def unsettled(self, until: str) -> list[Entity]:
        """Payments, refunds and adjustments that wait for settlement, of IST days up to `until`."""
        rows = self.db.execute(
            "SELECT data FROM razorpay_objects WHERE settles <= ? ORDER BY settles, seq", (until,)
        )
        return [json.loads(row["data"]) for row in rows]

    def page(self, kind: str, query: Any) -> Entity:
        """A collection, newest first, by `from`, `to` (unix seconds), `count` (at most 100) and `skip`."""
        count = number(query, "count", 10, 1, 100)
        skip = number(query, "skip", 0, 0)
        rows = self.db.execute(
            "SELECT data FROM razorpay_objects WHERE kind = ? AND created_at BETWEEN ? AND ?"
            " ORDER BY created_at DESC, seq DESC LIMIT ? OFFSET ?",
            (kind, number(query, "from", 0, 0), number(query, "to", MAX_INTEGER, 0), count, skip),
        )
        return collection([json.loads(row["data"]) for row in rows])


def number(query: Any, name: str, default: int, least: int, most: int | None = None) -> int:
    """A query parameter as an integer; raises RazorpayError as the gateway words it."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isascii() or not text.removeprefix("-").isdigit():
        raise RazorpayError(f"The {name} must be an integer.", name)
    value = int(text[:20])
    if value < least:
        raise RazorpayError(f"The {name} must be at least {least}.", name)
    most = MAX_INTEGER if most is None else most
    if value > most:
        raise RazorpayError(f"The {name} may not be greater than {most}.", name)
    return value


def collection(entities: list[Entity]) -> Entity:
    """A list in the gateway's envelope."""
    return {"entity": "collection", "count": len(entities), "items": [public(one) for one in entities]}
