"""Day-end comparison with the broker, charges and statements."""

from alembic import op

revision = "0018"
down_revision = "0017"

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
