"""Keys of people and of the firm: what is personal is sealed under the person's own key.

Erasing a person deletes that one key (`forget`); every sealed column of theirs is then noise.
"""

import os
from datetime import UTC, datetime
from typing import Any

from models.contracts.sealing import KeyRing, blind_index
from models.settings import Settings
from store.database import Connection


class Vault:
    """The firm's key ring and blind index; `person` gives the ring of one person."""

    def __init__(self, settings: Settings) -> None:
        self.firm = KeyRing(settings.ring(settings.vault_keys))
        self._index_key = settings.index_key.get_secret_value().encode()

    def index(self, kind: str, value: str) -> bytes:
        """Blind index of a normalised value, e.g. ``index("email", "a@b.in")``: 32 bytes."""
        return blind_index(self._index_key, kind, value)

    async def person(self, connection: Connection, person_id: str) -> KeyRing:
        """The ring that seals this person's data, made at first use.

        Raises:
            PersonForgotten: the person's key was deleted and the row kept as a mark.
        """
        # Read first: every request opens something, and only a person's first one makes a key.
        cursor = await connection.execute(
            "SELECT wrapped_key FROM user_management.person_keys WHERE person_id = %s", (person_id,)
        )
        row = await cursor.fetchone() or await self._make(connection, person_id)
        if not row["wrapped_key"]:
            raise PersonForgotten(person_id)
        key = self.firm.open(bytes(row["wrapped_key"]), f"person:{person_id}")
        return KeyRing({"p": key})

    async def _make(self, connection: Connection, person_id: str) -> dict[str, Any]:
        made = self.firm.seal(os.urandom(32), f"person:{person_id}")
        cursor = await connection.execute(
            """INSERT INTO user_management.person_keys (person_id, wrapped_key, made_at)
               VALUES (%s, %s, %s)
               ON CONFLICT (person_id) DO UPDATE SET person_id = excluded.person_id
               RETURNING wrapped_key""",
            (person_id, made, datetime.now(UTC)),
        )
        row = await cursor.fetchone()
        if row is None:
            raise RuntimeError("an upsert gave no row")
        return row

    def new_record(self, record_id: str) -> tuple[bytes, KeyRing]:
        """A key of one record's own: wrapped, to be kept beside it, and its ring.

        For what a law keeps longer than the person may be known elsewhere: erasing the person leaves it
        readable, and it ends when the record's own key is deleted.
        """
        key = os.urandom(32)
        return self.firm.seal(key, f"record:{record_id}"), KeyRing({"r": key})

    def record(self, wrapped_key: bytes, record_id: str) -> KeyRing:
        """The ring of a record. Raises CannotOpen."""
        return KeyRing({"r": self.firm.open(wrapped_key, f"record:{record_id}")})

    async def forget(self, connection: Connection, person_id: str) -> None:
        """Erases the person: the key is gone, an empty mark stays so that none is made anew."""
        await connection.execute(
            "UPDATE user_management.person_keys SET wrapped_key = '' WHERE person_id = %s", (person_id,)
        )


class PersonForgotten(LookupError):
    """This person's data was erased."""
