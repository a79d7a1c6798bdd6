"""``treum positions``: every position folded again from zero, from its append-only trade events alone."""

import asyncio
import json
from pathlib import Path

from models.settings import Settings, settings
from store import trading_positions
from store.database import Database


async def rebuilt(config: Settings, *, repair: bool) -> tuple[int, dict[str, list[str]]]:
    """How many accounts were looked at, and which positions differ, by account; kept only with `repair`.

    Raises:
        psycopg.Error: the database cannot be read.
    """
    different: dict[str, list[str]] = {}
    async with Database(config.postgres, max_size=1) as database:
        async with database.reading() as connection:
            accounts = await trading_positions.accounts_with_trades(connection)
        for account in accounts:
            async with (
                database.reading() as connection,
                connection.transaction(force_rollback=not repair),
            ):
                if found := await trading_positions.rebuilt_differs(connection, account):
                    different[account] = found
    return len(accounts), different


def main(home: Path | None = None, *, repair: bool = False) -> int:
    """Prints what differs; 0 where nothing does, or where it was repaired."""
    config = settings()
    if home is not None:
        endpoints = json.loads((home / "endpoints.json").read_text())
        config = config.model_copy(update={"postgres": endpoints["postgres"]})
    accounts, different = asyncio.run(rebuilt(config, repair=repair))
    for account, positions in different.items():
        print(f"{account}: {', '.join(positions)}")
    word = "repaired" if repair else "not what their trades say"
    print(f"{accounts} accounts, {sum(map(len, different.values()))} positions {word}")
    return 1 if different and not repair else 0
