"""Monitoring of payments: alerts for compliance, risk scores from outside, and why a payment moved."""

from alembic import op

revision = "0011"
down_revision = "0010"

UP = """
CREATE TABLE finance.payment_alerts (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id text NOT NULL,
    user_id text NOT NULL,
    flag text NOT NULL CHECK (flag IN ('HIGH_VALUE_TRANSACTION', 'SINGLE_LIMIT_EXCEEDED',
        'DAILY_LIMIT_EXCEEDED', 'MONTHLY_LIMIT_EXCEEDED', 'VELOCITY_EXCEEDED', 'UNUSUAL_PATTERN',
        'LOCATION_RISK', 'FRAUD_SCORE')),
    effect text NOT NULL CHECK (effect IN ('flag', 'review', 'block')),
    stage text NOT NULL CHECK (stage IN ('create', 'capture')),
    measured numeric NOT NULL,
    allowed numeric NOT NULL,
    raised_at timestamptz NOT NULL,
    escalated_at timestamptz,
    decision text CHECK (decision IN ('released', 'blocked', 'lapsed')),
    decided_by text,
    note_id text,
    decided_at timestamptz,
    UNIQUE (payment_id, flag),
    CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE INDEX payment_alerts_of_user ON finance.payment_alerts (user_id, number);

CREATE TABLE user_management.risk_scores (
    user_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('location', 'fraud')),
    score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
    source text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > set_at),
    PRIMARY KEY (user_id, kind, set_at)
);

ALTER TABLE finance.payment_timeline ADD COLUMN code text;
"""

DOWN = """
ALTER TABLE finance.payment_timeline DROP COLUMN code;
DROP TABLE user_management.risk_scores, finance.payment_alerts;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
