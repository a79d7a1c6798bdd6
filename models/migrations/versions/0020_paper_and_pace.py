"""The paper broker's market and its triggers: the last price that any session has read, its clock, and
orders of two legs that wait for it. And whose turn it is to ask a real broker for quotes and history."""

from alembic import op

revision = "0020"
down_revision = "0019"

UP = """
-- The market as last seen by whoever read it: a customer's session, or the house's for its watchers.
CREATE TABLE trading.last_prices (
    exchange text NOT NULL,
    symbol text NOT NULL,
    last_price numeric NOT NULL,
    quoted_at timestamptz NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (exchange, symbol)
);
CREATE INDEX last_prices_read ON trading.last_prices (read_at);
INSERT INTO trading.last_prices
SELECT exchange, symbol, last_price, quoted_at, read_at FROM trading.quotes WHERE broker = 'kite';

-- The market's own time as last heard, carried on by this server. Whole minutes of difference: an answer's
-- way and its stamp of whole seconds are no difference of clocks.
CREATE FUNCTION trading.paper_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + coalesce((
        SELECT make_interval(mins => round(extract(epoch FROM quoted_at - read_at) / 60)::integer)
        FROM trading.last_prices ORDER BY read_at DESC LIMIT 1), interval '0')
$$;

CREATE TABLE trading.paper_triggers (
    trigger_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL REFERENCES trading.accounts,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    lower_level numeric NOT NULL,
    lower_price numeric NOT NULL,
    upper_level numeric NOT NULL,
    upper_price numeric NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'triggered', 'deleted', 'expired')),
    fired_price numeric,
    broker_order_id text UNIQUE REFERENCES trading.paper_orders,
    placed_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CHECK (lower_level < upper_level),
    CHECK ((status = 'triggered') = (fired_price IS NOT NULL)),
    CHECK (broker_order_id IS NULL OR status = 'triggered')
);
CREATE INDEX paper_triggers_account ON trading.paper_triggers (account_id, trigger_id);
CREATE INDEX paper_triggers_waiting ON trading.paper_triggers (exchange, symbol) WHERE status = 'active';

-- As many rows as the broker takes such calls in a second from one account, or from the house.
CREATE TABLE trading.read_turns (
    account_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('quote', 'history')),
    turn smallint NOT NULL,
    holder text,
    free_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, kind, turn)
);
"""

DOWN = """
DROP TABLE trading.read_turns;
DROP TABLE trading.paper_triggers;
DROP FUNCTION trading.paper_now();
DROP TABLE trading.last_prices;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
