"""Settlements at scale: what a day of a million lines needs."""

from alembic import op

revision = "0016"
down_revision = "0015"

UP = """
SELECT 1
"""

DOWN = """
SELECT 1
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
