"""Messages to people: written in the transaction of what they tell of, sent by the relay."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from store.database import Connection
from store.vault import PersonForgotten, Vault

CHANNEL = "messages"
"""Of NOTIFY: woken when a message is committed."""

LEASE = timedelta(seconds=5)
"""How long one sender has a message before another may try."""


@dataclass(frozen=True)
class Message:
    """One message, opened. `message_id` is the key by which the provider dedupes."""

    message_id: str
    person_id: str
    channel: Literal["email", "sms"]
    to: str
    subject: str
    text: str
    attempts: int


async def enqueue(
    connection: Connection,
    vault: Vault,
    *,
    message_id: str,
    to: str,
    channel: Literal["email", "sms"],
    subject: str,
    text: str,
    person_id: str,
    now: datetime,
) -> None:
    """Adds a message, sealed under the person's key; a repeat under the same id changes nothing."""
    ring = await vault.person(connection, person_id)
    context = f"message:{message_id}"
    await connection.execute(
        """INSERT INTO platform.messages
               (message_id, person_id, channel, recipient, subject, text, made_at, due_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (message_id) DO NOTHING""",
        (
            message_id,
            person_id,
            channel,
            *(ring.seal(part.encode(), context) for part in (to, subject, text)),
            now,
            now,
        ),
    )
    await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))


async def due(connection: Connection, now: datetime, limit: int = 50) -> list[str]:
    """Takes messages that are due, oldest first; their ids. Each one's next turn moves back (5 s,
    doubling, at most an hour), so that a sender who dies leaves it to the next."""
    cursor = await connection.execute(
        """UPDATE platform.messages SET attempts = attempts + 1,
               due_at = %(now)s + least(interval '1 hour', %(lease)s * power(2, least(attempts, 12)))
           WHERE message_id IN (
               SELECT message_id FROM platform.messages WHERE sent_at IS NULL AND due_at <= %(now)s
               ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
           RETURNING message_id""",
        {"now": now, "limit": limit, "lease": LEASE},
    )
    return [row["message_id"] for row in await cursor.fetchall()]


async def unsent(connection: Connection, vault: Vault, message_id: str) -> Message | None:
    """The message, opened; None where it was sent, or its person was erased."""
    cursor = await connection.execute(
        """SELECT message_id, person_id, channel, recipient, subject, text, attempts
           FROM platform.messages WHERE message_id = %s AND sent_at IS NULL""",
        (message_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    try:
        ring = await vault.person(connection, row["person_id"])
    except PersonForgotten:
        return None
    to, subject, text = (
        ring.open(bytes(row[part]), f"message:{message_id}").decode()
        for part in ("recipient", "subject", "text")
    )
    return Message(message_id, row["person_id"], row["channel"], to, subject, text, row["attempts"])


async def sent(connection: Connection, message_id: str, now: datetime) -> None:
    """Marks a message as sent; the provider dedupes by its id, so marking late is harmless."""
    await connection.execute(
        "UPDATE platform.messages SET sent_at = coalesce(sent_at, %s) WHERE message_id = %s",
        (now, message_id),
    )
