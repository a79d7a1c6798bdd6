"""Monitoring of payments before capture, and webhooks that were stored before they were understood."""

from alembic import op

revision = "0011"
down_revision = "0010"

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
