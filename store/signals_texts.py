"""The words of signals, opened: rationale, disclosure, and who stands behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from store import identity_profiles
from store.database import Connection
from store.vault import PersonForgotten, Vault


@dataclass(frozen=True)
class Words:
    """`analyst`: the name that the analyst registered under; empty where the person was erased."""

    rationale: str
    disclosure: str
    analyst: str


async def words_of(connection: Connection, vault: Vault, rows: Sequence[dict[str, Any]]) -> dict[str, Words]:
    """The words of each signal row, by signal id: one read for the texts, one an analyst."""
    wanted = [row[name] for row in rows for name in ("rationale_note", "disclosure_note")]
    cursor = await connection.execute(
        "SELECT note_id, text FROM platform.notes WHERE note_id = ANY(%s)", (wanted,)
    )
    texts = {
        row["note_id"]: vault.firm.open(bytes(row["text"]), row["note_id"]).decode()
        for row in await cursor.fetchall()
    }
    names = {
        analyst: await _name(connection, vault, analyst)
        for analyst in sorted({row["analyst_id"] for row in rows})
    }
    return {
        row["signal_id"]: Words(
            texts.get(row["rationale_note"], ""),
            texts.get(row["disclosure_note"], ""),
            names[row["analyst_id"]],
        )
        for row in rows
    }


async def _name(connection: Connection, vault: Vault, user_id: str) -> str:
    try:
        found = await identity_profiles.profile(connection, vault, user_id)
    except PersonForgotten:
        return ""
    return str(found[0].get("full_name", "")) if found else ""
