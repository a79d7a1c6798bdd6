"""Promises on Postgres: one round trip to make one, one to keep it."""

import hashlib
from datetime import datetime, timedelta

from models.contracts.commands import Alongside, Answer, Drive, Promise, Request
from models.contracts.identifiers import Prefix, mint
from store.database import Connection, Database
from store.vault import Vault

LEASE = timedelta(seconds=10)

PROMISE = """
INSERT INTO platform.commands AS c
    (command_id, actor, route, key, body_hash, business_id, drive, attempts, holder, lease_until,
     made_at, lasting)
VALUES (%(command_id)s, %(actor)s, %(route)s, %(key)s, %(body_hash)s, %(business_id)s, %(drive)s, 1,
        %(command_id)s, clock_timestamp() + %(lease)s, clock_timestamp(),
        %(lasting)s)
ON CONFLICT (actor, route, key) DO UPDATE SET
    (attempts, lease_until, holder) =
        (SELECT c.attempts + 1, excluded.lease_until, excluded.holder
         WHERE c.answer IS NULL AND c.lease_until < clock_timestamp() AND c.body_hash = excluded.body_hash
         UNION ALL SELECT c.attempts, c.lease_until, c.holder LIMIT 1)
RETURNING command_id, business_id, drive, answer, body_hash = %(body_hash)s AS same_body,
    command_id = %(command_id)s AS made, holder = %(command_id)s AS mine, attempts > 1 AS again
"""

# A repeat may drive as soon as the lease is over; the sweeper waits twice as long after each attempt, at most
# a minute, so that commands for a pool that is down do not crowd out the others.
LAPSED = """
UPDATE platform.commands SET attempts = attempts + 1, lease_until = clock_timestamp() + %(lease)s
WHERE command_id IN (
    SELECT command_id FROM platform.commands
    WHERE answer IS NULL
      AND lease_until + least(interval '1 minute', interval '100 ms' * power(2, least(attempts, 10)))
          < clock_timestamp()
    ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING command_id, business_id, drive
"""


class Commands:
    """`models.contracts.commands.CommandLog`; leases run on the database's own clock."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def promise(
        self, request: Request, business_id: str, drive: Drive, alongside: Alongside | None
    ) -> Promise:
        """Makes the promise, or finds the one made before under the same (actor, route, key).

        A command on what is there already has no object of its own: its business id is the command's."""
        own = business_id.startswith(f"{Prefix.COMMAND}_")
        made_id = business_id if own else mint(Prefix.COMMAND)
        values = {
            "command_id": made_id,
            "actor": request.actor,
            "route": request.route,
            "key": request.key,
            "body_hash": hashlib.sha256(request.body).digest(),
            "business_id": business_id,
            "drive": self._seal(drive.model_copy(update={"update_id": made_id}), made_id),
            "lease": LEASE,
            "lasting": request.lasting,
        }
        # Alone, the promise is one statement and needs no transaction around it.
        opened = self._database.reading() if alongside is None else self._database.transaction()
        async with opened as connection:
            row = await (await connection.execute(PROMISE, values)).fetchone()
            if row is None:
                raise RuntimeError("an upsert gave no row")
            if row["made"] and alongside is not None:
                await alongside(connection, business_id)
        command_id = row["command_id"]
        answer = self._open(row["answer"], command_id) if row["answer"] is not None else None
        return Promise(
            command_id=command_id,
            business_id=row["business_id"],
            drive=self._drive(row["drive"], command_id),
            answer=answer,
            mine=row["mine"],
            same_body=row["same_body"],
            again=row["again"],
        )

    async def keep(self, command_id: str, answer: Answer) -> Answer:
        sealed = self._vault.firm.seal(answer.model_dump_json().encode(), command_id)
        async with self._database.reading() as connection:
            cursor = await connection.execute(
                """UPDATE platform.commands SET answer = coalesce(answer, %s)
                   WHERE command_id = %s RETURNING answer""",
                (sealed, command_id),
            )
            row = await cursor.fetchone()
        return self._open(row["answer"], command_id) if row else answer

    async def settle(self, connection: Connection, request: Request) -> None:
        """Answers a promise in the transaction that makes it: nothing is to be driven for it."""
        cursor = await connection.execute(
            "SELECT command_id FROM platform.commands WHERE actor = %s AND route = %s AND key = %s",
            (request.actor, request.route, request.key),
        )
        row = await cursor.fetchone()
        if row is None:
            raise LookupError("no such promise in this transaction")
        sealed = self._vault.firm.seal(Answer().model_dump_json().encode(), row["command_id"])
        await connection.execute(
            "UPDATE platform.commands SET answer = %s WHERE command_id = %s", (sealed, row["command_id"])
        )

    async def release(self, command_id: str) -> None:
        async with self._database.reading() as connection:
            await connection.execute(
                "UPDATE platform.commands SET lease_until = clock_timestamp() WHERE command_id = %s",
                (command_id,),
            )

    async def lapsed(self, limit: int) -> list[Promise]:
        async with self._database.reading() as connection:
            cursor = await connection.execute(LAPSED, {"lease": LEASE, "limit": limit})
            rows = await cursor.fetchall()
        return [
            Promise(
                command_id=row["command_id"],
                business_id=row["business_id"],
                drive=self._drive(row["drive"], row["command_id"]),
                answer=None,
                mine=True,
                same_body=True,
                again=True,
            )
            for row in rows
        ]

    async def forget(self, before: datetime) -> None:
        """Drops answered promises made before that moment; unanswered ones stay until they are kept."""
        async with self._database.reading() as connection:
            await connection.execute(
                "DELETE FROM platform.commands WHERE answer IS NOT NULL AND made_at < %s AND NOT lasting",
                (before,),
            )

    def _seal(self, drive: Drive, command_id: str) -> bytes:
        return self._vault.firm.seal(drive.model_dump_json().encode(), command_id)

    def _drive(self, sealed: bytes, command_id: str) -> Drive:
        return Drive.model_validate_json(self._vault.firm.open(bytes(sealed), command_id))

    def _open(self, sealed: bytes, command_id: str) -> Answer:
        return Answer.model_validate_json(self._vault.firm.open(bytes(sealed), command_id))
