"""Planted faults: what the next calls, webhooks or ticks will suffer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS core_faults (
  id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, match TEXT NOT NULL, fault TEXT NOT NULL,
  remaining INTEGER NOT NULL, seconds REAL
);
"""

TARGETS = frozenset({"razorpay", "kite", "kyc", "screening", "outbox", "irp"})
CALL_KINDS = frozenset({"timeout_before", "timeout_after", "error_5xx", "error_429", "slow"})
WEBHOOK_KINDS = frozenset({"drop_webhook", "duplicate_webhook", "reorder_webhooks", "tampered_webhook"})
STREAM_KINDS = frozenset({"silent_ticker", "expired_token"})
KINDS = CALL_KINDS | WEBHOOK_KINDS | STREAM_KINDS


@dataclass(frozen=True)
class Fault:
    """One taken fault; `seconds` is None where the planter left it to the default."""

    id: int
    kind: str
    seconds: float | None


class Faults:
    """The queue of planted faults; taking one uses up one of its `times`."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def plant(self, target: str, match: str, kind: str, times: int, seconds: float | None = None) -> int:
        """Plants `times` faults for calls whose method and path hold `match`; answers its number."""
        cursor = self.world.db.execute(
            "INSERT INTO core_faults (target, match, fault, remaining, seconds) VALUES (?, ?, ?, ?, ?)",
            (target, match, kind, times, seconds),
        )
        return int(cursor.lastrowid or 0)

    def heal(self, target: str | None) -> int:
        """Takes back what is still planted; how many faults that were."""
        cursor = self.world.db.execute(
            "UPDATE core_faults SET remaining = 0 WHERE remaining > 0 AND coalesce(?, target) = target",
            (target,),
        )
        return cursor.rowcount

    def take(self, target: str, path: str, kinds: frozenset[str] | set[str] = CALL_KINDS) -> Fault | None:
        """The oldest planted fault of these kinds that matches, or None; one of its `times` is then gone."""
        rows = self.world.db.execute(
            "SELECT * FROM core_faults WHERE target = ? AND remaining > 0 ORDER BY id", (target,)
        )
        for row in rows.fetchall():
            if row["fault"] in kinds and row["match"] in path:
                self.world.db.execute(
                    "UPDATE core_faults SET remaining = remaining - 1 WHERE id = ?", (row["id"],)
                )
                return Fault(row["id"], row["fault"], row["seconds"])
        return None
