"""Free text that people write: sealed here, while histories and rows carry its id."""

from collections.abc import Iterable
from datetime import datetime

from models.contracts.identifiers import Prefix, mint
from store.database import Connection
from store.vault import Vault


async def write(
    connection: Connection,
    vault: Vault,
    author: str,
    text: str,
    now: datetime,
    note_id: str | None = None,
) -> str:
    """Stores a text and gives its note id, `note_id` where the caller has minted one."""
    note_id = note_id or mint(Prefix.NOTE)
    await connection.execute(
        "INSERT INTO platform.notes (note_id, author, text, made_at) VALUES (%s, %s, %s, %s)",
        (note_id, author, vault.firm.seal(text.encode(), note_id), now),
    )
    return note_id


async def texts(
    connection: Connection, vault: Vault, note_ids: Iterable[str | None]
) -> dict[str | None, str]:
    """The texts of these notes by id; what has no note is left out."""
    wanted = [note_id for note_id in note_ids if note_id is not None]
    if not wanted:
        return {}
    cursor = await connection.execute(
        "SELECT note_id, text FROM platform.notes WHERE note_id = ANY(%s)", (wanted,)
    )
    return {
        row["note_id"]: vault.firm.open(bytes(row["text"]), row["note_id"]).decode()
        for row in await cursor.fetchall()
    }


async def read(connection: Connection, vault: Vault, note_id: str) -> str | None:
    cursor = await connection.execute("SELECT text FROM platform.notes WHERE note_id = %s", (note_id,))
    row = await cursor.fetchone()
    return vault.firm.open(bytes(row["text"]), note_id).decode() if row else None
