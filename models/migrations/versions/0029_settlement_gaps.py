"""What each payout was judged on: a settlement may be listed on one day and its lines on another."""

from alembic import op

revision = "0029"
down_revision = "0028"

UP = """
ALTER TABLE finance.settlements
    -- The payout less the lines of every day, as last judged here; null where another day judges it.
    ADD COLUMN gap bigint;
"""
DOWN = """
ALTER TABLE finance.settlements DROP COLUMN gap;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
