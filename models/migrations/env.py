"""Alembic's entry: one linear chain of migrations over the schemas of every column."""

from alembic import context
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

import models.tables  # noqa: F401  (registers every table)

config = context.config
engine = create_engine(config.attributes["dsn"].replace("postgresql://", "postgresql+psycopg://", 1))

with engine.connect() as connection:
    # Two processes that migrate at once: the second waits here and then finds nothing to do.
    connection.execute(text("SELECT pg_advisory_lock(7373001)"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        include_schemas=True,
        version_table="alembic_version",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(7373001)"))
    connection.commit()
engine.dispose()
