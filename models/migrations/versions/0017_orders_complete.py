"""Slices, triggers that are watched, and orders made elsewhere."""

from alembic import op

revision = "0017"
down_revision = "0016"

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
