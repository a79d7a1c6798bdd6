"""Disputes of captured payments, each step of a refund, and what an outside event starts."""

from alembic import op

revision = "0012"
down_revision = "0011"

UP = """
CREATE TABLE finance.disputes (
    dispute_id text PRIMARY KEY,
    payment_id text NOT NULL REFERENCES finance.payments,
    user_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'under_review', 'won', 'lost', 'closed')),
    phase text NOT NULL,
    reason_code text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    lost bigint NOT NULL DEFAULT 0 CHECK (lost BETWEEN 0 AND amount),
    currency text NOT NULL CHECK (currency = 'INR'),
    respond_by timestamptz,
    approvals_due integer NOT NULL CHECK (approvals_due BETWEEN 1 AND 2),
    approvers text[] NOT NULL DEFAULT '{}',
    note_ids text[] NOT NULL DEFAULT '{}',
    opened_at timestamptz NOT NULL,
    ended_at timestamptz,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK ((ended_at IS NULL) = (status IN ('open', 'under_review'))),
    CHECK (lost = 0 OR status = 'lost')
);
CREATE INDEX disputes_of_payment ON finance.disputes (payment_id);
CREATE INDEX disputes_by_time ON finance.disputes (opened_at, dispute_id);

ALTER TABLE finance.payments ADD COLUMN amount_lost bigint NOT NULL DEFAULT 0
    CONSTRAINT payments_amount_lost_check CHECK (amount_lost BETWEEN 0 AND amount);

ALTER TABLE finance.attempts DROP CONSTRAINT attempts_kind_check,
    ADD CONSTRAINT attempts_kind_check CHECK (kind IN ('capture', 'refund', 'debit', 'acceptance'));

ALTER TABLE platform.events ADD COLUMN start jsonb;

CREATE TABLE finance.refund_timeline (
    refund_id text NOT NULL REFERENCES finance.refunds,
    number bigint GENERATED ALWAYS AS IDENTITY,
    status text NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    actor text,
    code text,
    PRIMARY KEY (refund_id, number)
);
-- What the bank of the customer calls the refund, and when it sent the money back to the gateway.
ALTER TABLE finance.refunds ADD COLUMN arn text, ADD COLUMN returned_at timestamptz;
CREATE INDEX refunds_arn ON finance.refunds (arn) WHERE arn IS NOT NULL;

CREATE OR REPLACE FUNCTION finance.reserve_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row lock on the payment orders refunds of one payment; its CHECK refuses the one too many.
    UPDATE finance.payments SET amount_refunding = (
        SELECT coalesce(sum(r.amount), 0) FROM finance.refunds r
        WHERE r.payment_id = new.payment_id AND r.status NOT IN ('rejected', 'failed'))
    WHERE payment_id = new.payment_id;
    -- A refund under way when a dispute is lost has left already; a new one finds what is left.
    IF tg_op = 'INSERT' AND EXISTS (SELECT FROM finance.payments WHERE payment_id = new.payment_id
                                    AND amount_refunding + amount_lost > amount) THEN
        RAISE EXCEPTION 'refund %% exceeds its payment', new.refund_id USING ERRCODE = 'check_violation';
    END IF;
    IF tg_op = 'INSERT' AND EXISTS (SELECT FROM finance.disputes WHERE payment_id = new.payment_id
                                    AND status IN ('open', 'under_review')) THEN
        RAISE EXCEPTION 'payment %% is disputed', new.payment_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""

DOWN = """
CREATE OR REPLACE FUNCTION finance.reserve_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row lock on the payment orders refunds of one payment; its CHECK refuses the one too many.
    UPDATE finance.payments SET amount_refunding = (
        SELECT coalesce(sum(r.amount), 0) FROM finance.refunds r
        WHERE r.payment_id = new.payment_id AND r.status NOT IN ('rejected', 'failed'))
    WHERE payment_id = new.payment_id;
    RETURN NULL;
END $$;
ALTER TABLE finance.refunds DROP COLUMN arn, DROP COLUMN returned_at;
DROP TABLE finance.refund_timeline;
ALTER TABLE platform.events DROP COLUMN start;
DELETE FROM finance.attempts WHERE kind = 'acceptance';
ALTER TABLE finance.attempts DROP CONSTRAINT attempts_kind_check,
    ADD CONSTRAINT attempts_kind_check CHECK (kind IN ('capture', 'refund', 'debit'));
ALTER TABLE finance.payments DROP COLUMN amount_lost;
DROP TABLE finance.disputes;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
