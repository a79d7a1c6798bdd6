"""What each payout was judged on: a settlement may be listed on one day and its lines on another. And the
lines about one dispute, of which one is right."""

from alembic import op

revision = "0029"
down_revision = "0028"

UP = """
ALTER TABLE finance.settlements
    -- The payout less the lines of every day, as last judged here; null where another day judges it.
    ADD COLUMN gap bigint;
-- A dispute is deducted once: whether another line of the report does is asked for each.
CREATE INDEX report_lines_dispute ON finance.report_lines (date, reading, dispute_id)
    WHERE dispute_id IS NOT NULL;
"""
DOWN = """
DROP INDEX finance.report_lines_dispute;
ALTER TABLE finance.settlements DROP COLUMN gap;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
