"""The journal: every call that reached a world, in order, and what it really did."""

import base64
import json
import sqlite3
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

SCHEMA = """
CREATE TABLE IF NOT EXISTS core_journal (
  n INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, target TEXT NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, body TEXT NOT NULL, status INTEGER, effect TEXT NOT NULL
);
"""


def readable(body: bytes, content_type: str) -> Any:
    """A body as JSON: the value itself, a form as an object, other text as it is, bytes as base64."""
    if not body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    if content_type.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(text, keep_blank_values=True))
    try:
        return json.loads(text)
    except ValueError:
        return text


def write(
    db: sqlite3.Connection,
    at: datetime,
    target: str,
    method: str,
    path: str,
    body: Any,
    status: int | None,
    effect: Any,
) -> None:
    """Adds a call. `status` is None where the call was held and never executed."""
    db.execute(
        "INSERT INTO core_journal (at, target, method, path, body, status, effect)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (at.isoformat(), target, method, path, json.dumps(body), status, json.dumps(effect)),
    )


def items(db: sqlite3.Connection, target: str | None, after: int = 0) -> list[dict[str, Any]]:
    """Calls in order, oldest first, of one target or of all, numbered above `after`."""
    rows = db.execute(
        "SELECT * FROM core_journal WHERE n > ? AND (? IS NULL OR target = ?) ORDER BY n",
        (after, target, target),
    )
    return [
        {**dict(row), "body": json.loads(row["body"]), "effect": json.loads(row["effect"])} for row in rows
    ]
