"""Orders that are prepared for customers when a signal is published, and who lets them leave unasked."""

from alembic import op

revision = "0027"
down_revision = "0022"

UP = """
ALTER TABLE trading.accounts ADD COLUMN signal_order_value bigint NOT NULL DEFAULT 0
    CHECK (signal_order_value >= 0);
ALTER TABLE trading.accounts ADD COLUMN algo_provider text;
-- SEBI (research analysts): without the customer's own recorded yes an order leaves only where an empanelled
-- provider routes it.
ALTER TABLE trading.accounts ADD CHECK (mode = 'confirm' OR algo_provider IS NOT NULL);
DROP INDEX trading.orders_user;
CREATE INDEX orders_user ON trading.orders (user_id, made_at DESC, order_id DESC);
CREATE INDEX accounts_signal_orders ON trading.accounts (account_id)
    WHERE signal_order_value > 0 AND status <> 'closed';
"""
DOWN = """
DROP INDEX trading.orders_user;
CREATE INDEX orders_user ON trading.orders (user_id, order_id DESC);
DROP INDEX trading.accounts_signal_orders;
ALTER TABLE trading.accounts DROP COLUMN algo_provider;
ALTER TABLE trading.accounts DROP COLUMN signal_order_value;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
