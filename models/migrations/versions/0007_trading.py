"""The trading column's tables, constraints and triggers."""

from alembic import op

revision = "0007"
down_revision = "0006"

UP = """
CREATE TABLE trading.accounts (
    account_id text PRIMARY KEY,
    user_id text NOT NULL,
    broker text NOT NULL CHECK (broker IN ('kite', 'paper')),
    status text NOT NULL CHECK (status IN ('awaiting_login', 'connected', 'expired', 'closed')),
    broker_user_index bytea,
    broker_user bytea,
    access_token bytea,
    session_expires_at timestamptz,
    connected_at timestamptz,
    mode text NOT NULL DEFAULT 'confirm' CHECK (mode IN ('confirm', 'auto')),
    blocked_by text,
    max_order_value bigint,
    max_symbol_exposure bigint,
    max_open_positions integer,
    max_daily_loss bigint,
    made_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK (status <> 'connected' OR broker = 'paper' OR access_token IS NOT NULL)
);
CREATE INDEX accounts_user ON trading.accounts (user_id);
CREATE UNIQUE INDEX accounts_one_paper ON trading.accounts (user_id)
    WHERE broker = 'paper' AND status <> 'closed';
CREATE UNIQUE INDEX accounts_broker_user ON trading.accounts (broker, broker_user_index)
    WHERE status <> 'closed';

CREATE TABLE trading.logins (
    login_id text PRIMARY KEY,
    state_index bytea NOT NULL UNIQUE,
    account_id text NOT NULL REFERENCES trading.accounts,
    user_id text NOT NULL,
    process text NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE TABLE trading.orders (
    order_id text PRIMARY KEY,
    user_id text NOT NULL,
    account_id text NOT NULL REFERENCES trading.accounts,
    exchange text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    order_type text NOT NULL,
    price numeric,
    trigger_price numeric,
    product text NOT NULL,
    validity text NOT NULL,
    variety text NOT NULL,
    market_protection numeric,
    disclosed_quantity bigint,
    signal_id text,
    flattens text,
    status text NOT NULL,
    reason_code text,
    broker_order_id text,
    filled_quantity bigint NOT NULL DEFAULT 0,
    average_price numeric NOT NULL DEFAULT 0,
    order_value bigint,
    modifications integer NOT NULL DEFAULT 0,
    trading_day date,
    confirmed_at timestamptz,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK (filled_quantity BETWEEN 0 AND quantity)
);
CREATE INDEX orders_user ON trading.orders (user_id, order_id DESC);
CREATE INDEX orders_account ON trading.orders (account_id, order_id DESC);
CREATE UNIQUE INDEX orders_broker ON trading.orders (account_id, broker_order_id);
CREATE UNIQUE INDEX orders_signal ON trading.orders (signal_id, account_id)
    WHERE signal_id IS NOT NULL AND status NOT IN ('risk_rejected', 'rejected', 'cancelled', 'expired');

CREATE TABLE trading.order_events (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL REFERENCES trading.orders,
    type text NOT NULL,
    reason_code text,
    filled_quantity bigint,
    at timestamptz NOT NULL
);
CREATE INDEX order_events_order ON trading.order_events (order_id, number);

CREATE TABLE trading.order_attempts (
    order_id text NOT NULL REFERENCES trading.orders,
    leg integer NOT NULL,
    attempt integer NOT NULL,
    tag text NOT NULL UNIQUE,
    status text NOT NULL
        CHECK (status IN ('queued', 'sending', 'unanswered', 'sent', 'refused', 'void')),
    broker_order_id text,
    reason_code text,
    sending_at timestamptz,
    sent_on date,
    server_started_at timestamptz,
    looks integer NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, leg, attempt),
    CHECK (status <> 'sent' OR broker_order_id IS NOT NULL)
);
-- At most one attempt of a leg may be on its way or at the broker: the next one needs a void before it.
CREATE UNIQUE INDEX order_attempts_one_alive ON trading.order_attempts (order_id, leg)
    WHERE status NOT IN ('void', 'refused');

CREATE TABLE trading.trades (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL REFERENCES trading.accounts,
    trading_day date NOT NULL,
    trade_id text NOT NULL,
    order_id text REFERENCES trading.orders,
    broker_order_id text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    price numeric NOT NULL CHECK (price > 0),
    traded_at timestamptz NOT NULL,
    UNIQUE (account_id, trading_day, exchange, trade_id)
);
CREATE INDEX trades_position ON trading.trades (account_id, exchange, symbol, product, traded_at, trade_id);
CREATE INDEX trades_order ON trading.trades (order_id);

CREATE FUNCTION trading.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER trades_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON trading.trades
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();
CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON trading.order_events
    FOR EACH STATEMENT EXECUTE FUNCTION trading.refuse_change();

CREATE TABLE trading.positions (
    account_id text NOT NULL REFERENCES trading.accounts,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    quantity bigint NOT NULL,
    cost bigint NOT NULL,
    realised bigint NOT NULL,
    last_traded_at timestamptz NOT NULL,
    last_trade_id text NOT NULL,
    day date NOT NULL,
    realised_before bigint NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, exchange, symbol, product),
    CHECK (quantity <> 0 OR cost = 0)
);

CREATE TABLE trading.instruments (
    broker text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    listed_on date NOT NULL,
    token bigint NOT NULL,
    segment text NOT NULL,
    kind text NOT NULL,
    underlying text NOT NULL,
    tick numeric NOT NULL,
    lot integer NOT NULL,
    expiry date,
    PRIMARY KEY (broker, exchange, symbol)
);

CREATE TABLE trading.quotes (
    broker text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    last_price numeric NOT NULL,
    close numeric,
    lower_limit numeric,
    upper_limit numeric,
    quoted_at timestamptz NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (broker, exchange, symbol)
);

CREATE TABLE trading.pace (
    account_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('minute', 'day')),
    starts_at timestamptz NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (account_id, kind)
);

CREATE TABLE trading.kill_switches (
    kill_switch_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES trading.accounts,
    user_id text NOT NULL,
    flatten boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('blocking', 'blocked', 'done', 'needs_person', 'lifted')),
    report jsonb,
    made_at timestamptz NOT NULL,
    lifted_at timestamptz,
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX kill_switches_account ON trading.kill_switches (account_id, kill_switch_id DESC);

CREATE TABLE trading.paper_orders (
    broker_order_id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES trading.accounts,
    tag text NOT NULL UNIQUE,
    trading_day date NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    product text NOT NULL,
    order_type text NOT NULL,
    validity text NOT NULL,
    quantity bigint NOT NULL,
    price numeric,
    trigger_price numeric,
    triggered boolean NOT NULL DEFAULT false,
    status text NOT NULL,
    filled_quantity bigint NOT NULL DEFAULT 0,
    fill_price numeric,
    updated_at timestamptz NOT NULL
);
"""

DOWN = """
DROP TABLE trading.paper_orders, trading.kill_switches, trading.pace, trading.quotes, trading.instruments,
    trading.positions, trading.trades, trading.order_attempts, trading.order_events, trading.orders,
    trading.logins, trading.accounts;
DROP FUNCTION trading.refuse_change();
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
