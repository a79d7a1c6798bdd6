"""The billing column's reconciliation: tables, constraints and triggers."""

from alembic import op

revision = "0010"
down_revision = "0009"

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
