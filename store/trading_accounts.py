"""Broker accounts and the logins that open their sessions. Tokens are sealed for the person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from domain.broker_accounts import ACCOUNT_NEXT, AccountStatus
from domain.errors import Rejected
from domain.exits import TRIGGER_UNKNOWN, ExitStatus
from domain.moves import sources
from domain.trading import TERMINAL
from models.messages.broker_accounts import AccountSettings, SettingsStand
from store.changes import touch
from store.database import Connection
from store.vault import Vault

STATE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class Account:
    """What an activity needs of an account; `access_token` still sealed."""

    account_id: str
    user_id: str
    broker: str
    status: str
    access_token: bytes | None
    session_expires_at: datetime | None
    blocked_by: str | None
    mode: str = "confirm"

    def blocks(self, flattens: str | None) -> bool:
        """Whether an order may not leave; one that serves the kill switch which blocks may."""
        return self.blocked_by is not None and self.blocked_by != flattens


@dataclass(frozen=True)
class Login:
    login_id: str
    account_id: str
    user_id: str
    process: str
    expires_at: datetime
    used_at: datetime | None


async def account_of(connection: Connection, account_id: str) -> Account | None:
    cursor = connection.cursor(row_factory=class_row(Account))
    await cursor.execute(
        """SELECT account_id, user_id, broker, status, access_token, session_expires_at, blocked_by, mode
           FROM trading.accounts WHERE account_id = %s""",
        (account_id,),
    )
    return await cursor.fetchone()


async def hold(connection: Connection, account_id: str) -> None:
    """Keeps the account as it is to the transaction's end: whoever changes it waits, and sees what was made
    meanwhile."""
    await connection.execute("SELECT 1 FROM trading.accounts WHERE account_id = %s FOR SHARE", (account_id,))


async def in_use(connection: Connection, account_id: str) -> bool:
    """Whether an order has not ended, or a trigger may stand at the broker that nobody would watch any more.
    Nothing of a closed paper account fires."""
    cursor = await connection.execute(
        """SELECT EXISTS (SELECT FROM trading.orders WHERE account_id = %(account)s
                          AND status <> ALL(%(ended)s))
               OR EXISTS (SELECT FROM trading.exits e JOIN trading.accounts a USING (account_id)
                          WHERE e.account_id = %(account)s AND a.broker <> 'paper'
                            AND (e.status = ANY(%(there)s)
                                 OR (e.status = %(unprotected)s AND e.reason_code = %(unknown)s))) AS used""",
        {
            "account": account_id,
            "ended": [str(each) for each in TERMINAL],
            "there": [ExitStatus.SENDING, ExitStatus.ACTIVE, ExitStatus.TRIGGERED],
            "unprotected": ExitStatus.UNPROTECTED,
            "unknown": TRIGGER_UNKNOWN,
        },
    )
    row = await cursor.fetchone()
    return bool(row and row["used"])


async def close(connection: Connection, account_id: str) -> bool:
    """Closes the account for good; False, and nothing done, where it is in use. Its row is locked first: what
    was being made meanwhile is seen, and what comes later finds it closed."""
    await connection.execute("SELECT 1 FROM trading.accounts WHERE account_id = %s FOR UPDATE", (account_id,))
    if await in_use(connection, account_id):
        return False
    await end_session(connection, account_id, close=True)
    return True


async def token_of(connection: Connection, vault: Vault, account: Account) -> str | None:
    """The account's access token, opened; None without one."""
    if account.access_token is None:
        return None
    ring = await vault.person(connection, account.user_id)
    return ring.open(bytes(account.access_token), f"access-token:{account.account_id}").decode()


async def open_account(
    connection: Connection, account_id: str, user_id: str, broker: str, now: datetime
) -> AccountStatus:
    """Makes the account; one on paper needs no login. A repeat gives the stored status."""
    status = AccountStatus.CONNECTED if broker == "paper" else AccountStatus.AWAITING_LOGIN
    cursor = await connection.execute(
        """INSERT INTO trading.accounts (account_id, user_id, broker, status, connected_at, made_at)
           VALUES (%(account)s, %(user)s, %(broker)s, %(status)s,
                   CASE WHEN %(status)s = 'connected' THEN %(now)s::timestamptz END, %(now)s)
           ON CONFLICT (account_id) DO UPDATE SET version = trading.accounts.version
           RETURNING status""",
        {"account": account_id, "user": user_id, "broker": broker, "status": status, "now": now},
    )
    row = await cursor.fetchone()
    return AccountStatus(row["status"]) if row else status


async def begin_login(
    connection: Connection,
    vault: Vault,
    *,
    login_id: str,
    state: str,
    account_id: str,
    user_id: str,
    process: str,
    now: datetime,
) -> None:
    """Keeps a blind index of the one-time state. Safe to repeat under the same login id."""
    await connection.execute(
        """INSERT INTO trading.logins
               (login_id, state_index, account_id, user_id, process, made_at, expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (login_id) DO NOTHING""",
        (login_id, vault.index("login-state", state), account_id, user_id, process, now, now + STATE_LIFE),
    )


async def login_of(connection: Connection, vault: Vault, state: str) -> Login | None:
    """The login of a state, whoever presents it."""
    cursor = connection.cursor(row_factory=class_row(Login))
    await cursor.execute(
        """SELECT login_id, account_id, user_id, process, expires_at, used_at
           FROM trading.logins WHERE state_index = %s""",
        (vault.index("login-state", state),),
    )
    return await cursor.fetchone()


async def use_login(connection: Connection, login_id: str, now: datetime) -> bool:
    """Spends a login; False where it was spent before or is too old."""
    cursor = await connection.execute(
        """UPDATE trading.logins SET used_at = %(now)s
           WHERE login_id = %(login)s AND used_at IS NULL AND expires_at > %(now)s RETURNING login_id""",
        {"login": login_id, "now": now},
    )
    return await cursor.fetchone() is not None


async def connect(
    connection: Connection,
    vault: Vault,
    *,
    account_id: str,
    user_id: str,
    broker_user_id: str,
    access_token: str,
    began_at: datetime,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Stores a session, from `began_at` to `expires_at` of the broker's clock; `now` by the platform's.

    Raises Rejected `account_taken`: another account of ours is this broker account; `account_closed`: the
    customer took the connection back while the login was under way.
    """
    ring = await vault.person(connection, user_id)
    try:
        cursor = await connection.execute(
            """UPDATE trading.accounts SET status = 'connected', broker_user_index = %(index)s,
                   broker_user = %(sealed)s, access_token = %(token)s, session_began_at = %(began)s,
                   session_expires_at = %(expires)s, connected_at = %(now)s, version = version + 1
               WHERE account_id = %(account)s AND status = ANY(%(before)s)""",
            {
                # A customer may sign in again while a session lives: the new one replaces it.
                "before": [*sources(ACCOUNT_NEXT, AccountStatus.CONNECTED), AccountStatus.CONNECTED.value],
                "index": vault.index("broker-user", broker_user_id),
                "sealed": ring.seal(broker_user_id.encode(), f"broker-user:{account_id}"),
                "token": ring.seal(access_token.encode(), f"access-token:{account_id}"),
                "began": began_at,
                "expires": expires_at,
                "now": now,
                "account": account_id,
            },
        )
    except UniqueViolation:
        raise Rejected("account_taken") from None
    if not cursor.rowcount:
        raise Rejected("account_closed")
    await touch(connection, account_id)


async def connected_by(
    connection: Connection, account_id: str, as_of: datetime
) -> tuple[datetime, datetime] | None:
    """Beginning and end, by the broker's clock, of the session that `connect` stored at that moment; None
    where another one stands, or none."""
    cursor = await connection.execute(
        """SELECT session_began_at, session_expires_at FROM trading.accounts
           WHERE account_id = %s AND status = 'connected' AND connected_at = %s""",
        (account_id, as_of),
    )
    row = await cursor.fetchone()
    return (row["session_began_at"], row["session_expires_at"]) if row else None


async def end_session(
    connection: Connection,
    account_id: str,
    *,
    close: bool,
    expires_at: datetime | None = None,
    token: bytes | None = None,
) -> bool:
    """Forgets the token. With `expires_at` or `token` (as it is sealed) only if it is still that session's:
    all sessions of a day expire together. False if nothing was ended."""
    to = AccountStatus.CLOSED if close else AccountStatus.EXPIRED
    before = sources(ACCOUNT_NEXT, to)
    cursor = await connection.execute(
        """UPDATE trading.accounts SET status = %(status)s, access_token = NULL, session_began_at = NULL,
               session_expires_at = NULL, version = version + 1
           WHERE account_id = %(account)s AND broker <> 'paper' AND status = ANY(%(before)s)
             AND (%(expires)s::timestamptz IS NULL OR session_expires_at = %(expires)s)
             AND (%(token)s::bytea IS NULL OR access_token = %(token)s)
           RETURNING account_id""",
        {"status": to, "before": before, "account": account_id, "expires": expires_at, "token": token},
    )
    ended = await cursor.fetchone() is not None
    if close and not ended:
        await connection.execute(
            """UPDATE trading.accounts SET status = 'closed', version = version + 1
               WHERE account_id = %s AND status = ANY(%s)""",
            (account_id, before),
        )
    await touch(connection, account_id)
    return ended


async def store_settings(connection: Connection, account_id: str, settings: AccountSettings) -> SettingsStand:
    """What is given replaces what stands; the same again changes nothing.

    Raises:
        Rejected: `account_closed`, which an account that is none of ours is too.
    """
    given = settings.model_dump(exclude_none=True)
    sets = "".join(f"{name} = %({name})s, " for name in given)
    differs = " OR ".join(f"{name} IS DISTINCT FROM %({name})s" for name in given) or "false"
    cursor = await connection.execute(
        f"""UPDATE trading.accounts SET {sets} version = version + CASE WHEN {differs} THEN 1 ELSE 0 END
            WHERE account_id = %(account)s AND status <> 'closed'
            RETURNING account_id, session_reminders, signal_order_value, mode, max_order_value,
                max_symbol_exposure, max_open_positions, max_daily_loss, version""",  # noqa: S608  # names of the model's fields
        {**given, "account": account_id},
    )
    row = await cursor.fetchone()
    if row is None:
        raise Rejected("account_closed")
    await touch(connection, account_id)
    return SettingsStand(**row)


async def open_account_of(connection: Connection, user_id: str, broker: str) -> str | None:
    """The user's account at that broker that is not closed, the newest."""
    cursor = await connection.execute(
        """SELECT account_id FROM trading.accounts
           WHERE user_id = %s AND broker = %s AND status <> 'closed' ORDER BY account_id DESC LIMIT 1""",
        (user_id, broker),
    )
    row = await cursor.fetchone()
    return row["account_id"] if row else None


async def by_broker_user(connection: Connection, vault: Vault, broker: str, broker_user: str) -> str | None:
    """The account behind a broker's user id, as a postback names it."""
    cursor = await connection.execute(
        """SELECT account_id FROM trading.accounts
           WHERE broker = %s AND broker_user_index = %s AND status <> 'closed'""",
        (broker, vault.index("broker-user", broker_user)),
    )
    row = await cursor.fetchone()
    return row["account_id"] if row else None


async def owner_of(connection: Connection, account_id: str) -> str | None:
    cursor = await connection.execute(
        "SELECT user_id FROM trading.accounts WHERE account_id = %s", (account_id,)
    )
    row = await cursor.fetchone()
    return row["user_id"] if row else None


async def list_of(
    connection: Connection, user_id: str, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """A page of the user's accounts, newest first, `limit + 1` rows."""
    cursor = await connection.execute(
        """SELECT account_id, broker, status, session_expires_at AS expires_at, connected_at, mode,
                  blocked_by IS NOT NULL AS blocked, session_reminders, signal_order_value, max_order_value,
                  max_symbol_exposure, max_open_positions, max_daily_loss, version
           FROM trading.accounts WHERE user_id = %(user)s
             AND (%(after)s::text IS NULL OR account_id < %(after)s)
           ORDER BY account_id DESC LIMIT %(limit)s""",
        {"user": user_id, "after": after, "limit": limit + 1},
    )
    return await cursor.fetchall()


async def without_session(
    connection: Connection, now: datetime, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Accounts at a real broker that have no session now and whose customer misses it: orders wait for it,
    or the customer wants to be reminded. `waiting` orders; `user_id`."""
    cursor = await connection.execute(
        """SELECT * FROM (
               SELECT a.account_id, a.user_id, a.session_reminders,
                      (SELECT count(*) FROM trading.orders o WHERE o.account_id = a.account_id
                         AND o.status IN ('awaiting_session', 'awaiting_market')) AS waiting
               FROM trading.accounts a
               WHERE a.broker <> 'paper' AND a.status <> 'closed'
                 AND (a.status <> 'connected' OR a.session_expires_at <= %(now)s)
                 AND (%(after)s::text IS NULL OR a.account_id > %(after)s)) missing
           WHERE session_reminders OR waiting > 0 ORDER BY account_id LIMIT %(limit)s""",
        {"now": now, "after": after, "limit": limit},
    )
    return await cursor.fetchall()
