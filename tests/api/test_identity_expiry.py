"""What sign-in no longer needs is dropped, and nothing that it still does."""

from datetime import UTC, datetime, timedelta

from store import identity_expiry
from tests.api.conftest import Api


async def test_only_what_has_ended_long_ago_is_dropped(api: Api) -> None:
    person = await api.signed_in()
    await api.post("/v1/auth/login", json={"email": person.email, "password": "not this one"})
    refreshed = await api.post("/v1/auth/refresh", json={"refresh_token": person.refresh_token})
    now = datetime.now(UTC)

    # Without committing: the clock of this test is not that of the tests beside it.
    async def left(at: datetime) -> list[int]:
        async with api.platform.database.reading() as connection, connection.transaction(force_rollback=True):
            await identity_expiry.drop_expired(connection, at)
            cursor = await connection.execute(
                """SELECT (SELECT count(*) FROM user_management.sessions
                           WHERE user_id = %(user)s) AS sessions,
                          (SELECT count(*) FROM user_management.refresh_tokens t
                           JOIN user_management.sessions s USING (session_id)
                           WHERE s.user_id = %(user)s) AS tokens,
                          (SELECT count(*) FROM user_management.codes WHERE subject_id = %(user)s) AS codes,
                          (SELECT count(*) FROM user_management.sign_in_failures
                           WHERE email_index = %(index)s) AS failures""",
                {"user": person.user_id, "index": api.platform.vault.index("email", person.email)},
            )
            row = await cursor.fetchone()
            return list(row.values()) if row else []

    assert refreshed.status_code == 200
    assert await left(now) == [1, 2, 2, 1]
    assert await left(now + timedelta(minutes=11)) == [1, 2, 0, 1]
    assert await left(now + timedelta(days=2)) == [1, 2, 0, 0]
    assert await left(now + timedelta(days=15)) == [1, 0, 0, 0]
    assert await left(now + timedelta(days=38)) == [0, 0, 0, 0]
