"""Brings a database to the newest schema, or back."""

from pathlib import Path

from alembic import command
from alembic.config import Config

import models.migrations


def configuration(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(models.migrations.__file__).parent))
    config.attributes["dsn"] = dsn
    return config


def upgrade(dsn: str, revision: str = "head") -> None:
    """Applies every migration up to `revision`; safe to call from several processes at once."""
    command.upgrade(configuration(dsn), revision)


def downgrade(dsn: str, revision: str) -> None:
    command.downgrade(configuration(dsn), revision)
