"""State, clock and credentials of the sandbox: one SQLite file, one connection, one event-loop thread."""

import asyncio
import os
import secrets
import sqlite3
import string
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from sandbox.faults import Faults

ALPHANUMERIC = string.ascii_letters + string.digits

SCHEMA = """
CREATE TABLE IF NOT EXISTS core_kept (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS core_clock (
  one INTEGER PRIMARY KEY CHECK (one = 1), real_at TEXT NOT NULL, sandbox_at TEXT NOT NULL,
  run INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Settings:
    """What the process was started with; an empty string means "not given"."""

    webhook_url: str = ""
    postback_url: str = ""
    credentials: dict[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> "Settings":
        """Reads the `TREUM_SANDBOX_*` variables."""
        names = {
            ("razorpay", "key_id"): "RAZORPAY_KEY_ID",
            ("razorpay", "key_secret"): "RAZORPAY_KEY_SECRET",
            ("razorpay", "webhook_secret"): "RAZORPAY_WEBHOOK_SECRET",
            ("kite", "api_key"): "KITE_API_KEY",
            ("kite", "api_secret"): "KITE_API_SECRET",
            ("kyc", "aadhaar_signer"): "AADHAAR_SIGNER",
            ("irp", "signer"): "IRP_SIGNER",
        }
        given = {where: os.environ.get(f"TREUM_SANDBOX_{name}", "") for where, name in names.items()}
        return cls(
            webhook_url=os.environ.get("TREUM_SANDBOX_WEBHOOK_URL", ""),
            postback_url=os.environ.get("TREUM_SANDBOX_POSTBACK_URL", ""),
            credentials={where: value for where, value in given.items() if value},
        )


def parse_time(text: str) -> datetime:
    """ISO 8601 with a zone (or `Z`), or unix seconds; raises ValueError for anything else."""
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no zone in {text!r}")
    return moment.astimezone(UTC)


class World:
    """Everything the worlds share. Use only from the event-loop thread; hold `exclusive()` to write."""

    def __init__(self, path: str, settings: Settings | None = None) -> None:
        from sandbox import faults, journal

        self.settings = settings or Settings()
        self.db = sqlite3.connect(path, isolation_level=None, timeout=5)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(SCHEMA + faults.SCHEMA + journal.SCHEMA)
        self.lock = asyncio.Lock()
        self.prefixes: list[str] = []
        # Calls that a `slow` fault holds up before they execute: a provider may call them "in progress".
        self.in_flight: set[HTTPConnection] = set()
        # What can be found again from the database: lost on restart, emptied by a reset.
        self.cache: dict[str, Any] = {}
        self.on_reset: list[Callable[[], None]] = []
        self._events: dict[str, asyncio.Event] = {}
        self.faults: Faults = faults.Faults(self)

    @cached_property
    def credentials(self) -> dict[str, dict[str, str]]:
        """Credentials a client of this sandbox needs, by world; stable over restarts."""

        def one(world: str, name: str, make: Callable[[], str]) -> str:
            return self.settings.credentials.get((world, name)) or self.kept(f"{world}.{name}", make)

        return {
            "razorpay": {
                "key_id": one("razorpay", "key_id", lambda: self.new_id("rzp_test_")),
                "key_secret": one("razorpay", "key_secret", lambda: self.new_id("", 24)),
                "webhook_secret": one("razorpay", "webhook_secret", lambda: self.new_id("whsec_", 24)),
            },
            "kite": {
                "api_key": one("kite", "api_key", lambda: self.new_id("", 16).lower()),
                "api_secret": one("kite", "api_secret", lambda: self.new_id("", 32).lower()),
            },
        }

    def kept(self, key: str, make: Callable[[], str]) -> str:
        """The value under `key`, made once and then kept over restarts and resets (keys, secrets)."""
        row = self.db.execute("SELECT value FROM core_kept WHERE key = ?", (key,)).fetchone()
        if row is None:
            value = make()
            self.db.execute("INSERT INTO core_kept VALUES (?, ?)", (key, value))
            return value
        return str(row["value"])

    def now(self, request: HTTPConnection | None = None) -> datetime:
        """Aware UTC. The call's own `X-Sandbox-Now` wins, else the sandbox's clock."""
        if request is not None and (header := request.headers.get("x-sandbox-now")):
            return parse_time(header)
        real = datetime.now(UTC)
        row = self.db.execute("SELECT * FROM core_clock").fetchone()
        if row is None:
            return real
        passed = real - datetime.fromisoformat(row["real_at"]) if row["run"] else timedelta()
        return datetime.fromisoformat(row["sandbox_at"]) + passed

    def set_clock(self, now: datetime, run: bool) -> None:
        """Sets the clock, which then runs on or stands."""
        self.db.execute(
            "INSERT OR REPLACE INTO core_clock VALUES (1, ?, ?, ?)",
            (datetime.now(UTC).isoformat(), now.astimezone(UTC).isoformat(), int(run)),
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; inside another transaction it is a savepoint. Never await within, except locked."""
        inner = self.db.in_transaction
        self.db.execute("SAVEPOINT inner_step" if inner else "BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self.db.execute("ROLLBACK TO inner_step" if inner else "ROLLBACK")
            if inner:
                self.db.execute("RELEASE inner_step")
            raise
        self.db.execute("RELEASE inner_step" if inner else "COMMIT")

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[sqlite3.Connection]:
        """One transaction that no call and no background loop can interleave with."""
        async with self.lock:
            with self.transaction() as db:
                yield db

    def event(self, name: str) -> asyncio.Event:
        """A named wake-up for a background loop; rows in the database say what there is to do."""
        return self._events.setdefault(name, asyncio.Event())

    def new_id(self, prefix: str, length: int = 14) -> str:
        """`prefix` followed by `length` case-sensitive alphanumerics."""
        return prefix + "".join(secrets.choice(ALPHANUMERIC) for _ in range(length))

    def reset(self) -> None:
        """Empties every world, the journal, the faults and the clock; credentials and keys stay."""
        with self.transaction() as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            owned = (*self.prefixes, "core_clock", "core_faults", "core_journal")
            for table in tables:
                if table["name"].startswith(owned):
                    db.execute(f'DELETE FROM "{table["name"]}"')  # noqa: S608 (names of our own tables)
        self.cache.clear()
        for forget in self.on_reset:
            forget()
