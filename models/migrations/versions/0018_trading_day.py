"""The trading day: the comparison with the broker and its breaks, charges, holdings; signed stop reports;
signals with the price that they were published at."""

from alembic import op

revision = "0018"
down_revision = "0017"

UP = """
-- Where a trade event comes from: an order of ours, one made at the broker's own desk, what was held before
-- the account was first compared, or a person's decision about a break.
ALTER TABLE trading.trades ADD COLUMN kind text NOT NULL DEFAULT 'fill'
    CHECK (kind IN ('fill', 'elsewhere', 'opening', 'adjustment'));

ALTER TABLE trading.accounts ADD COLUMN session_reminders boolean NOT NULL DEFAULT false;

CREATE TABLE trading.broker_days (
    account_id text NOT NULL REFERENCES trading.accounts,
    day date NOT NULL,
    status text NOT NULL CHECK (status IN ('waiting', 'balanced', 'open', 'resolved', 'unread')),
    orders integer NOT NULL DEFAULT 0,
    trades integer NOT NULL DEFAULT 0,
    elsewhere integer NOT NULL DEFAULT 0,
    positions integer NOT NULL DEFAULT 0,
    read_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (account_id, day)
);

CREATE TABLE trading.broker_breaks (
    break_id text PRIMARY KEY,
    account_id text NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    ours text NOT NULL,
    theirs text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'resolved')),
    resolution text CHECK (resolution IN ('adopt_broker', 'accept', 'claim_broker', 'agreed')),
    note_id text REFERENCES platform.notes,
    decided_by text,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    FOREIGN KEY (account_id, day) REFERENCES trading.broker_days,
    CHECK ((status = 'resolved') = (resolution IS NOT NULL AND resolved_at IS NOT NULL))
);
CREATE INDEX broker_breaks_day ON trading.broker_breaks (account_id, day);
CREATE INDEX broker_breaks_listed ON trading.broker_breaks (opened_at DESC, break_id DESC);

-- The broker's own positions as last read on a day: prices of the day's statement.
CREATE TABLE trading.day_positions (
    account_id text NOT NULL,
    day date NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    quantity bigint NOT NULL,
    average_price numeric NOT NULL,
    last_price numeric NOT NULL,
    PRIMARY KEY (account_id, day, exchange, symbol, product),
    FOREIGN KEY (account_id, day) REFERENCES trading.broker_days
);

CREATE TABLE trading.charges (
    account_id text NOT NULL REFERENCES trading.accounts,
    day date NOT NULL,
    broker_order_id text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    brokerage bigint NOT NULL,
    transaction_tax bigint NOT NULL,
    exchange_fee bigint NOT NULL,
    regulator_fee bigint NOT NULL,
    stamp_duty bigint NOT NULL,
    gst bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (account_id, day, broker_order_id)
);

CREATE TABLE trading.holdings (
    account_id text NOT NULL REFERENCES trading.accounts,
    exchange text NOT NULL,
    symbol text NOT NULL,
    product text NOT NULL,
    isin text NOT NULL,
    quantity bigint NOT NULL,
    unsettled bigint NOT NULL,
    average_price numeric NOT NULL,
    last_price numeric NOT NULL,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, exchange, symbol, product)
);

ALTER TABLE trading.kill_switches ADD COLUMN signed_report text;

ALTER TABLE signals.trading_signals ADD COLUMN ai_used boolean NOT NULL DEFAULT false,
    ADD COLUMN published_price numeric, ADD COLUMN published_price_at timestamptz,
    ADD CHECK ((published_price IS NULL) = (published_price_at IS NULL)),
    ADD CHECK (published_price IS NULL OR published_at IS NOT NULL);

-- SEBI (research analysts), reg. 25: the words of a published recommendation are kept as they were given.
CREATE FUNCTION signals.keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM signals.trading_signals s WHERE s.published_at IS NOT NULL
                 AND OLD.note_id IN (s.rationale_note, s.disclosure_note, s.withdrawal_note)) THEN
        RAISE EXCEPTION 'a published signal keeps its words' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER notes_keep_words BEFORE UPDATE ON platform.notes
    FOR EACH ROW EXECUTE FUNCTION signals.keep_words();
"""

DOWN = """
DROP TRIGGER notes_keep_words ON platform.notes;
DROP FUNCTION signals.keep_words();
ALTER TABLE signals.trading_signals DROP COLUMN published_price_at, DROP COLUMN published_price,
    DROP COLUMN ai_used;
ALTER TABLE trading.kill_switches DROP COLUMN signed_report;
DROP TABLE trading.holdings, trading.charges, trading.day_positions, trading.broker_breaks,
    trading.broker_days;
ALTER TABLE trading.accounts DROP COLUMN session_reminders;
ALTER TABLE trading.trades DROP COLUMN kind;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
