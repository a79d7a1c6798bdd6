"""The signals column's tables, constraints and triggers."""

from alembic import op

revision = "0006"
down_revision = "0005"

UP = """
CREATE TABLE signals.signal_runs (
    run_id text PRIMARY KEY,
    requested_by text NOT NULL,
    strategy text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL,
    candle_source text NOT NULL,
    candle_count integer NOT NULL CHECK (candle_count >= 0),
    first_candle_at timestamptz,
    last_candle_at timestamptz,
    findings jsonb NOT NULL,
    backtest jsonb NOT NULL,
    reason_code text,
    made_at timestamptz NOT NULL
);

CREATE TABLE signals.trading_signals (
    signal_id text PRIMARY KEY,
    run_id text REFERENCES signals.signal_runs,
    source text NOT NULL CHECK (source IN ('analyst', 'algorithm')),
    analyst_id text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    action text NOT NULL CHECK (action IN ('buy', 'sell', 'hold', 'exit')),
    timeframe text NOT NULL CHECK (timeframe IN ('1m', '5m', '15m', '1h', '4h', '1d')),
    entry_price numeric NOT NULL CHECK (entry_price > 0),
    target_price numeric CHECK (target_price > 0),
    stop_loss numeric CHECK (stop_loss > 0),
    confidence integer NOT NULL CHECK (confidence BETWEEN 0 AND 100),
    expires_at timestamptz NOT NULL,
    rationale_note text NOT NULL REFERENCES platform.notes,
    disclosure_note text NOT NULL REFERENCES platform.notes,
    status text NOT NULL
        CHECK (status IN ('draft', 'published', 'live', 'target', 'stop', 'expired', 'withdrawn')),
    made_at timestamptz NOT NULL,
    registration_number text,
    published_by text,
    published_at timestamptz,
    kept_until timestamptz,
    seal bytea,
    actual_entry numeric,
    entered_at timestamptz,
    actual_exit numeric,
    closed_at timestamptz,
    return_percent numeric,
    withdrawal_note text REFERENCES platform.notes,
    version bigint NOT NULL DEFAULT 1,
    CHECK (action <> 'buy' OR (stop_loss < entry_price AND entry_price < target_price
                               AND stop_loss IS NOT NULL AND target_price IS NOT NULL)),
    CHECK (action <> 'sell' OR (target_price < entry_price AND entry_price < stop_loss
                                AND stop_loss IS NOT NULL AND target_price IS NOT NULL)),
    CHECK (status NOT IN ('published', 'live', 'target', 'stop') OR published_at IS NOT NULL),
    CHECK (published_at IS NULL
           OR (published_by IS NOT NULL AND registration_number IS NOT NULL AND seal IS NOT NULL
               AND kept_until >= published_at + interval '5 years' AND confidence > 75
               AND published_at < expires_at)),
    CHECK ((status IN ('target', 'stop', 'expired', 'withdrawn')) = (closed_at IS NOT NULL))
);
CREATE INDEX trading_signals_listed ON signals.trading_signals (signal_id DESC)
    WHERE published_at IS NOT NULL;
CREATE INDEX trading_signals_open ON signals.trading_signals (signal_id DESC)
    WHERE status IN ('published', 'live');
CREATE INDEX trading_signals_analyst ON signals.trading_signals (analyst_id, signal_id DESC);

-- SEBI (research analysts), reg. 25: a recommendation is kept as it was given. Only where it stands and
-- how it ended may be written after its publication, each once, and it never goes back.
CREATE FUNCTION signals.keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.published_at IS NOT NULL AND OLD.kept_until > clock_timestamp() THEN
            RAISE EXCEPTION 'a published signal is kept five years' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.closed_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a closed signal does not change' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.published_at IS NULL THEN
        RETURN NEW;
    END IF;
    IF to_jsonb(NEW) - ARRAY['status', 'actual_entry', 'entered_at', 'actual_exit', 'closed_at',
                             'return_percent', 'withdrawal_note', 'version']
       IS DISTINCT FROM
       to_jsonb(OLD) - ARRAY['status', 'actual_entry', 'entered_at', 'actual_exit', 'closed_at',
                             'return_percent', 'withdrawal_note', 'version'] THEN
        RAISE EXCEPTION 'a published signal is never edited' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.status = 'draft' OR (OLD.status = 'live' AND NEW.status = 'published')
       OR (OLD.actual_entry IS NOT NULL AND NEW.actual_entry IS DISTINCT FROM OLD.actual_entry) THEN
        RAISE EXCEPTION 'a signal never goes back' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER signals_keep_published BEFORE UPDATE OR DELETE ON signals.trading_signals
    FOR EACH ROW EXECUTE FUNCTION signals.keep_published();

CREATE TABLE signals.decisions (
    decision_id text PRIMARY KEY,
    signal_id text NOT NULL REFERENCES signals.trading_signals,
    user_id text NOT NULL,
    account_id text NOT NULL,
    decision text NOT NULL CHECK (decision IN ('confirm', 'decline')),
    order_id text UNIQUE,
    quantity bigint CHECK (quantity > 0),
    made_at timestamptz NOT NULL,
    CHECK ((decision = 'confirm') = (order_id IS NOT NULL))
);
CREATE UNIQUE INDEX decisions_one_no ON signals.decisions (signal_id, user_id, account_id)
    WHERE decision = 'decline';
CREATE INDEX decisions_user ON signals.decisions (user_id, decision_id DESC);

-- What a daily allowance was spent on: a signal once a person, whichever way and how often it was shown.
CREATE TABLE signals.deliveries (
    user_id text NOT NULL,
    signal_id text NOT NULL REFERENCES signals.trading_signals,
    delivered_on date NOT NULL,
    delivered_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, signal_id)
);
CREATE INDEX deliveries_day ON signals.deliveries (user_id, delivered_on);
CREATE INDEX deliveries_signal ON signals.deliveries (signal_id);

CREATE TABLE signals.market_sessions (
    session_id text PRIMARY KEY,
    opened_by text NOT NULL,
    access_token bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX market_sessions_newest ON signals.market_sessions (opened_at DESC) WHERE ended_at IS NULL;
"""

DOWN = """
DROP TABLE signals.market_sessions;
DROP TABLE signals.deliveries;
DROP TABLE signals.decisions;
DROP TABLE signals.trading_signals;
DROP FUNCTION signals.keep_published();
DROP TABLE signals.signal_runs;
"""


def upgrade() -> None:
    if UP.strip():
        op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    if DOWN.strip():
        op.get_bind().exec_driver_sql(DOWN)
