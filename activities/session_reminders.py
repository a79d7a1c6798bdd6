"""Reminders of the broker's login, before the opening: one a customer's account and day."""

import hashlib
from datetime import date
from typing import Any

from temporalio import activity

from models.contracts.identifiers import Prefix
from models.messages.broker_days import Reminded, RemindSessions
from store import identity_users, messages, trading_accounts
from store.database import Connection, Database
from store.vault import PersonForgotten, Vault
from workflows.ports.broker_days import ReminderPort

CHUNK = 200
SUBJECT = "Sign in at your broker before the market opens"
ORDERS_WAIT = (
    "{waiting} of your orders wait for your login at the broker. The market opens at 09:15: sign in before "
    "then, or they end with the day."
)
NOBODY_WAITS = (
    "Your session at the broker has ended, as it does every morning at 06:00. The market opens at 09:15: "
    "sign in if you want to trade today."
)


class ReminderActivities(ReminderPort):
    """`workflows.ports.broker_days.ReminderPort`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @activity.defn(name="trading.remind_sessions")
    async def remind_sessions(self, command: RemindSessions) -> Reminded:
        """Writes the mails of a day; a repeat adds none."""
        after, written = None, 0
        while True:
            async with self._database.transaction() as connection:
                rows = await trading_accounts.without_session(connection, command.as_of, after, CHUNK)
                for row in rows:
                    written += await self._write(connection, row, command)
            if len(rows) < CHUNK:
                return Reminded(messages=written)
            after = rows[-1]["account_id"]

    async def _write(self, connection: Connection, row: dict[str, Any], command: RemindSessions) -> int:
        try:
            person = await identity_users.contact_of(connection, self._vault, row["user_id"])
        except PersonForgotten:
            return 0
        if person is None:
            return 0
        await messages.enqueue(
            connection,
            self._vault,
            message_id=message_id(row["account_id"], command.day),
            to=person.email,
            channel="email",
            subject=SUBJECT,
            text=ORDERS_WAIT.format(waiting=row["waiting"]) if row["waiting"] else NOBODY_WAITS,
            person_id=row["user_id"],
            now=command.as_of,
        )
        return 1


def message_id(account_id: str, day: date) -> str:
    """One reminder an account and day, whoever writes it again."""
    digest = hashlib.sha256(f"session:{account_id}:{day.isoformat()}".encode()).hexdigest()
    return f"{Prefix.MESSAGE}_{digest[:32]}"
