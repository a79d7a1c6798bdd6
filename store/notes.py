"""Free text that people write: sealed here, while histories and rows carry its id."""

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


async def read(connection: Connection, vault: Vault, note_id: str) -> str | None:
    cursor = await connection.execute("SELECT text FROM platform.notes WHERE note_id = %s", (note_id,))
    row = await cursor.fetchone()
    return vault.firm.open(bytes(row["text"]), note_id).decode() if row else None
