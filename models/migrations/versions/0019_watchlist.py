"""The analysts' watchlist: whose strategies run by schedule after each bar; which run was for which bar."""

from alembic import op

revision = "0019"
down_revision = "0018"

UP = """
-- What an analyst has put on watch: a strategy that runs over an instrument after each bar of a timeframe.
CREATE TABLE signals.watches (
    watch_id text PRIMARY KEY,
    analyst_id text NOT NULL,
    strategy text NOT NULL,
    exchange text NOT NULL,
    symbol text NOT NULL,
    timeframe text NOT NULL CHECK (timeframe IN ('1m', '5m', '15m', '1h', '1d')),
    status text NOT NULL CHECK (status IN ('on_watch', 'off')),
    put_on_at timestamptz NOT NULL,
    taken_off_by text,
    taken_off_at timestamptz,
    last_bar_at timestamptz,
    last_run_id text,
    last_outcome text,
    version bigint NOT NULL DEFAULT 1,
    CHECK ((status = 'off') = (taken_off_at IS NOT NULL AND taken_off_by IS NOT NULL)),
    CHECK ((last_bar_at IS NULL) = (last_outcome IS NULL)),
    CHECK ((last_bar_at IS NULL) = (last_run_id IS NULL))
);
-- The house runs a rule over an instrument once a bar, whoever watches it.
CREATE UNIQUE INDEX watches_one ON signals.watches (strategy, exchange, symbol, timeframe)
    WHERE status = 'on_watch';
CREATE INDEX watches_due ON signals.watches (timeframe, watch_id) WHERE status = 'on_watch';

ALTER TABLE signals.signal_runs
    ADD COLUMN watch_id text REFERENCES signals.watches,
    ADD COLUMN bar_at timestamptz,
    ADD CONSTRAINT signal_runs_bar CHECK ((watch_id IS NULL) = (bar_at IS NULL)),
    ADD CONSTRAINT signal_runs_once UNIQUE (watch_id, bar_at);

-- A run draws up one signal at most.
CREATE UNIQUE INDEX trading_signals_run ON signals.trading_signals (run_id) WHERE run_id IS NOT NULL;
"""

DOWN = """
DROP INDEX signals.trading_signals_run;
ALTER TABLE signals.signal_runs DROP COLUMN bar_at, DROP COLUMN watch_id;
DROP TABLE signals.watches;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
