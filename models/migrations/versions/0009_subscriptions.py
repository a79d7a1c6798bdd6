"""The billing column's subscriptions: tables, constraints and triggers."""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = """
"""

DOWN = """
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
