"""The process's pool of Postgres connections and the one way to open a transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Connection = AsyncConnection[DictRow]


class Database:
    """A pool that checks a connection before it lends it and reconnects in the background.

    A store function takes the `Connection` first, so that its caller decides what commits together.
    """

    def __init__(self, dsn: str, *, max_size: int = 16) -> None:
        self.dsn = dsn
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "autocommit": True, "options": "-c timezone=UTC"},
            min_size=1,
            max_size=max_size,
            timeout=2.0,
            max_idle=60.0,
            reconnect_timeout=3600.0,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def open(self) -> None:
        await self.pool.open()

    async def close(self) -> None:
        await self.pool.close()

    async def __aenter__(self) -> "Database":
        await self.open()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: all of it is committed at the end, or nothing.

        Raises:
            psycopg.OperationalError, psycopg_pool.PoolTimeout: the server cannot be reached.
        """
        async with self.pool.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode: one round trip a statement, for reads and single writes."""
        async with self.pool.connection() as connection:
            yield connection
