"""Slices, triggers that are watched, and orders made elsewhere."""

from alembic import op

revision = "0017"
down_revision = "0016"

UP = """
ALTER TABLE trading.orders
    ADD COLUMN legs integer NOT NULL DEFAULT 1 CHECK (legs BETWEEN 1 AND 10),
    ADD COLUMN adopted boolean NOT NULL DEFAULT false;

-- The slices of an order above the exchange's freeze quantity; an order of one leg has none.
CREATE TABLE trading.order_legs (
    order_id text NOT NULL REFERENCES trading.orders,
    leg integer NOT NULL CHECK (leg BETWEEN 1 AND 10),
    quantity bigint NOT NULL CHECK (quantity > 0),
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'sent', 'accepting',
        'trigger_pending', 'open', 'cancel_pending', 'complete', 'cancelled', 'rejected', 'refused',
        'dropped')),
    broker_order_id text,
    filled_quantity bigint NOT NULL DEFAULT 0,
    average_price numeric NOT NULL DEFAULT 0,
    reason_code text,
    PRIMARY KEY (order_id, leg),
    CHECK (filled_quantity BETWEEN 0 AND quantity)
);
CREATE INDEX order_attempts_broker ON trading.order_attempts (broker_order_id)
    WHERE broker_order_id IS NOT NULL;

-- When the account's last order calls left, by the record's clock, and what the newest one was told.
ALTER TABLE trading.pace ADD COLUMN recent timestamptz[] NOT NULL DEFAULT '{}',
    ADD COLUMN verdict text NOT NULL DEFAULT 'granted'
        CHECK (verdict IN ('granted', 'second', 'minute', 'day'));

-- Whether a broker answers: one row that every worker reads before it asks.
CREATE TABLE trading.broker_health (
    broker text PRIMARY KEY,
    failures integer NOT NULL DEFAULT 0,
    openings integer NOT NULL DEFAULT 0,
    open_until timestamptz,
    probe_until timestamptz,
    changed_at timestamptz NOT NULL
);

-- Target and stop of a signal's order, kept at the broker until one of them is really filled.
CREATE TABLE trading.exits (
    order_id text PRIMARY KEY REFERENCES trading.orders,
    account_id text NOT NULL REFERENCES trading.accounts,
    user_id text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    target_price numeric NOT NULL CHECK (target_price > 0),
    stop_price numeric NOT NULL CHECK (stop_price > 0),
    status text NOT NULL CHECK (status IN ('placing', 'sending', 'active', 'triggered', 'filled',
        'cancelled', 'unprotected')),
    attempt integer NOT NULL DEFAULT 1,
    trigger_id text,
    known_triggers text[] NOT NULL DEFAULT '{}',
    broker_order_id text,
    reason_code text,
    sending_at timestamptz,
    sent_on date,
    server_started_at timestamptz,
    looks integer NOT NULL DEFAULT 0,
    filled_quantity bigint NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX exits_trigger ON trading.exits (account_id, trigger_id);
"""

DOWN = """
DROP TABLE trading.exits, trading.broker_health, trading.order_legs;
DROP INDEX trading.order_attempts_broker;
ALTER TABLE trading.pace DROP COLUMN recent, DROP COLUMN verdict;
ALTER TABLE trading.orders DROP COLUMN legs, DROP COLUMN adopted;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
