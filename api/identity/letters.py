"""What people are written to: codes to a contact, and word to an account's owner when something happens."""

from datetime import datetime
from typing import Literal

from domain.identity import Channel
from models.contracts.identifiers import Prefix, mint
from store import identity_users, messages
from store.database import Connection
from store.vault import Vault

WIRE: dict[Channel, Literal["email", "sms"]] = {Channel.EMAIL: "email", Channel.PHONE: "sms"}

CODE = "Your Treum code is {code}. It holds for 10 minutes. Nobody from Treum will ever ask you for it."
SOMEONE_REGISTERED = (
    "Someone tried to register at Treum with your contact. If it was you: you have an account already, "
    "sign in or reset your password. If not, nothing is to be done."
)
RESET_TOLD = "The password of your Treum account was changed. If it was not you, reset it at once."
CONTACT_CHANGED = "A contact of your Treum account was changed. If it was not you, write to support at once."


async def send_code(
    connection: Connection, vault: Vault, person_id: str, channel: Channel, to: str, code: str, now: datetime
) -> None:
    await _send(connection, vault, person_id, channel, to, "Your Treum code", CODE.format(code=code), now)


async def tell(
    connection: Connection, vault: Vault, user_id: str, subject: str, text: str, now: datetime
) -> None:
    """Writes to the mail address of an account's owner."""
    found = await identity_users.contact_of(connection, vault, user_id)
    if found is not None:
        await _send(connection, vault, user_id, Channel.EMAIL, found.email, subject, text, now)


async def tell_at(
    connection: Connection, vault: Vault, user_id: str, channel: Channel, to: str, text: str, now: datetime
) -> None:
    """Writes to one contact of an account's owner."""
    await _send(connection, vault, user_id, channel, to, "About your Treum account", text, now)


async def _send(
    connection: Connection,
    vault: Vault,
    person_id: str,
    channel: Channel,
    to: str,
    subject: str,
    text: str,
    now: datetime,
) -> None:
    await messages.enqueue(
        connection,
        vault,
        message_id=mint(Prefix.MESSAGE),
        to=to,
        channel=WIRE[channel],
        subject=subject,
        text=text,
        person_id=person_id,
        now=now,
    )
