"""``treum ledger verify``: proves the whole book from Postgres alone, and says what does not hold."""

import asyncio
import json
from pathlib import Path

from models.settings import Settings, settings
from store import proof
from store.database import Database


async def findings(config: Settings) -> dict[str, list[str]]:
    """Findings by the name of what should hold. Raises psycopg.Error: the book cannot be read."""
    async with Database(config.postgres, max_size=1) as database, database.reading() as connection:
        return await proof.findings(connection)


def main(home: Path | None = None) -> int:
    """Prints each proof and what it found; 0 where all hold. `home`: of an embedded platform, else
    ``TREUM_*`` rules."""
    config = settings()
    if home is not None:
        endpoints = json.loads((home / "endpoints.json").read_text())
        config = config.model_copy(update={"postgres": endpoints["postgres"]})
    found = asyncio.run(findings(config))
    for name, wrong in found.items():
        print(f"{name}: {'yes' if not wrong else f'no, {len(wrong)} found'}")
        for finding in wrong:
            print(f"  {finding}")
    return 1 if any(found.values()) else 0
