"""The paper broker's orders as its market moves them: which ones rest, why one ended, and the ways in."""

from alembic import op

revision = "0030"
down_revision = "0029"

UP = """
ALTER TABLE trading.paper_orders
    -- The market came to it: it is filled at its own price. One that found its price is filled at that.
    ADD COLUMN rests boolean NOT NULL DEFAULT false,
    ADD COLUMN reason_code text;
CREATE INDEX paper_orders_account ON trading.paper_orders (account_id, trading_day);
CREATE INDEX paper_orders_open ON trading.paper_orders (exchange, symbol) WHERE status = 'open';
"""
DOWN = """
DROP INDEX trading.paper_orders_account, trading.paper_orders_open;
ALTER TABLE trading.paper_orders DROP COLUMN rests, DROP COLUMN reason_code;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
