"""The billing column's payments, refunds, invoices, ledger and entitlements."""

from alembic import op

revision = "0004"
down_revision = "0003"

PAYMENTS = """
CREATE TABLE finance.payments (
    payment_id text PRIMARY KEY,
    user_id text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('course', 'subscription')),
    reference_id text NOT NULL,
    process text NOT NULL,
    renewal boolean NOT NULL DEFAULT false,
    title text NOT NULL,
    sac text NOT NULL,
    status text NOT NULL CHECK (status IN ('created', 'action_required', 'review', 'authorized', 'captured',
        'failed', 'expired', 'refund_pending', 'partially_refunded', 'refunded', 'disputed', 'blocked',
        'unknown')),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL CHECK (currency = 'INR'),
    place_of_supply text NOT NULL,
    amount_refunding bigint NOT NULL DEFAULT 0,
    amount_refunded bigint NOT NULL DEFAULT 0,
    gateway_order_id text UNIQUE,
    gateway_payment_id text UNIQUE,
    gateway_customer_id text,
    token_id text,
    method text,
    mandate_max bigint,
    fee bigint,
    tax bigint,
    failure_code text,
    flags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    captured_at timestamptz,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK (amount_refunding BETWEEN 0 AND amount),
    CHECK (amount_refunded BETWEEN 0 AND amount_refunding),
    CHECK (amount_refunding = 0 OR captured_at IS NOT NULL)
);
CREATE UNIQUE INDEX payments_one_open ON finance.payments (purpose, reference_id)
    WHERE NOT renewal
        AND status IN ('created', 'action_required', 'review', 'authorized', 'failed', 'unknown');
CREATE INDEX payments_of_user ON finance.payments (user_id, created_at);
CREATE INDEX payments_of_reference ON finance.payments (purpose, reference_id);
CREATE INDEX payments_by_time ON finance.payments (created_at, payment_id);

CREATE TABLE finance.payment_timeline (
    payment_id text NOT NULL REFERENCES finance.payments,
    number bigint GENERATED ALWAYS AS IDENTITY,
    status text NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    PRIMARY KEY (payment_id, number)
);

CREATE TABLE finance.payment_refusals (
    payment_id text PRIMARY KEY,
    user_id text NOT NULL,
    purpose text NOT NULL,
    reference_id text NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX refusals_of_reference ON finance.payment_refusals (purpose, reference_id);

CREATE TABLE finance.attempts (
    kind text NOT NULL CHECK (kind IN ('capture', 'refund', 'debit')),
    object_id text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    state text NOT NULL CHECK (state IN ('sending', 'sent', 'void')),
    code text,
    begun_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (kind, object_id, number)
);
CREATE UNIQUE INDEX attempts_one_live ON finance.attempts (kind, object_id) WHERE state <> 'void';

CREATE TABLE finance.gateway_customers (
    user_id text PRIMARY KEY,
    gateway_customer_id text NOT NULL UNIQUE,
    made_at timestamptz NOT NULL
);

CREATE TABLE finance.entitlements (
    entitlement_id text PRIMARY KEY,
    user_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('plan', 'course')),
    reference text NOT NULL,
    plan_tier text,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    revoked_at timestamptz,
    UNIQUE (kind, reference, starts_at)
);
CREATE INDEX entitlements_of_user ON finance.entitlements (user_id, kind);
"""

REFUNDS = """
CREATE TABLE finance.refunds (
    refund_id text PRIMARY KEY,
    payment_id text NOT NULL REFERENCES finance.payments,
    user_id text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 100),
    currency text NOT NULL CHECK (currency = 'INR'),
    speed text NOT NULL CHECK (speed IN ('normal', 'instant')),
    status text NOT NULL CHECK (status IN
        ('requested', 'approved', 'pending', 'processed', 'failed', 'manual_payout', 'rejected')),
    requested_by text NOT NULL,
    authority text NOT NULL CHECK (authority IN ('customer', 'support', 'finance', 'system')),
    approvers text[] NOT NULL DEFAULT '{}',
    approvals_due integer NOT NULL CHECK (approvals_due BETWEEN 0 AND 2),
    note_id text,
    reason_code text NOT NULL,
    gateway_refund_id text UNIQUE,
    utr text UNIQUE,
    failure_code text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX refunds_of_payment ON finance.refunds (payment_id);
CREATE INDEX refunds_by_time ON finance.refunds (created_at, refund_id);

CREATE FUNCTION finance.reserve_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The row lock on the payment orders refunds of one payment; its CHECK refuses the one too many.
    UPDATE finance.payments SET amount_refunding = (
        SELECT coalesce(sum(r.amount), 0) FROM finance.refunds r
        WHERE r.payment_id = new.payment_id AND r.status NOT IN ('rejected', 'failed'))
    WHERE payment_id = new.payment_id;
    RETURN NULL;
END $$;
CREATE FUNCTION finance.lock_refunded_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM finance.payments WHERE payment_id = new.payment_id FOR UPDATE;
    RETURN new;
END $$;
CREATE TRIGGER refunds_lock_payment BEFORE INSERT OR UPDATE OF status, amount ON finance.refunds
    FOR EACH ROW EXECUTE FUNCTION finance.lock_refunded_payment();
CREATE TRIGGER refunds_reserve AFTER INSERT OR UPDATE OF status, amount ON finance.refunds
    FOR EACH ROW EXECUTE FUNCTION finance.reserve_refund();
"""

LEDGER = """
CREATE TABLE finance.accounts (
    account text PRIMARY KEY,
    nature text NOT NULL CHECK (nature IN ('asset', 'liability', 'income', 'expense'))
);
INSERT INTO finance.accounts (account, nature) VALUES
    ('bank', 'asset'), ('gateway_clearing', 'asset'), ('gateway_claims', 'asset'), ('input_gst', 'asset'),
    ('tds_receivable', 'asset'), ('disputes', 'asset'), ('reconciliation_suspense', 'liability'),
    ('deferred_revenue', 'liability'), ('output_cgst', 'liability'), ('output_sgst', 'liability'),
    ('output_igst', 'liability'), ('refunds_payable', 'liability'), ('revenue_subscriptions', 'income'),
    ('revenue_courses', 'income'), ('reconciliation_gains', 'income'), ('gateway_fees', 'expense'),
    ('bad_debt', 'expense'), ('reconciliation_losses', 'expense');

CREATE TABLE finance.journal_entries (
    entry_id text PRIMARY KEY,
    business_key text NOT NULL UNIQUE,
    date date NOT NULL,
    refs text[] NOT NULL,
    made_at timestamptz NOT NULL,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX journal_refs ON finance.journal_entries USING gin (refs);
CREATE TABLE finance.journal_lines (
    entry_id text NOT NULL REFERENCES finance.journal_entries,
    number integer NOT NULL,
    account text NOT NULL REFERENCES finance.accounts,
    debit bigint NOT NULL CHECK (debit >= 0),
    credit bigint NOT NULL CHECK (credit >= 0),
    PRIMARY KEY (entry_id, number),
    CHECK ((debit = 0) <> (credit = 0))
);
CREATE INDEX journal_by_account ON finance.journal_lines (account, entry_id);

CREATE FUNCTION finance.entry_balances() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lines integer;
    difference numeric;
BEGIN
    SELECT count(*), sum(debit) - sum(credit) INTO lines, difference
    FROM finance.journal_lines WHERE entry_id = new.entry_id;
    IF lines < 2 OR difference <> 0 THEN
        RAISE EXCEPTION 'journal entry %% does not balance', new.entry_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_entry_balances AFTER INSERT ON finance.journal_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION finance.entry_balances();

CREATE FUNCTION finance.lines_with_their_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM finance.journal_entries
                   WHERE entry_id = new.entry_id AND transaction = pg_current_xact_id()) THEN
        RAISE EXCEPTION 'journal entry %% is closed', new.entry_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER journal_lines_with_entry BEFORE INSERT ON finance.journal_lines
    FOR EACH ROW EXECUTE FUNCTION finance.lines_with_their_entry();

CREATE FUNCTION finance.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%% is append-only', tg_table_name USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER journal_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.journal_entries
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
CREATE TRIGGER journal_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.journal_lines
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
"""

INVOICES = """
CREATE TABLE finance.number_series (
    kind text NOT NULL,
    financial_year integer NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (kind, financial_year)
);
CREATE TABLE finance.invoices (
    invoice_id text PRIMARY KEY,
    number text NOT NULL UNIQUE CHECK (number ~ '^[A-Za-z0-9/-]{1,16}$'),
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note', 'financial_credit_note')),
    financial_year integer NOT NULL,
    sequence bigint NOT NULL,
    status text NOT NULL CHECK (status = 'issued'),
    issued_on date NOT NULL,
    tax_point timestamptz NOT NULL,
    user_id text NOT NULL,
    payment_id text NOT NULL REFERENCES finance.payments,
    refund_id text REFERENCES finance.refunds,
    original_invoice_id text REFERENCES finance.invoices,
    buyer_gstin text,
    buyer_name bytea NOT NULL,
    place_of_supply text NOT NULL,
    supplier jsonb NOT NULL,
    sac text NOT NULL,
    description text NOT NULL,
    rate integer NOT NULL,
    currency text NOT NULL CHECK (currency = 'INR'),
    taxable bigint NOT NULL CHECK (taxable >= 0),
    cgst bigint NOT NULL CHECK (cgst >= 0),
    sgst bigint NOT NULL CHECK (sgst >= 0),
    igst bigint NOT NULL CHECK (igst >= 0),
    total bigint NOT NULL CHECK (total > 0),
    UNIQUE (kind, financial_year, sequence),
    CHECK (taxable + cgst + sgst + igst = total),
    CHECK (cgst = sgst AND (cgst = 0 OR igst = 0)),
    CHECK ((kind = 'invoice') = (refund_id IS NULL)),
    CHECK ((kind = 'invoice') = (original_invoice_id IS NULL))
);
CREATE UNIQUE INDEX invoices_one_a_payment ON finance.invoices (payment_id) WHERE kind = 'invoice';
CREATE UNIQUE INDEX invoices_one_a_refund ON finance.invoices (refund_id) WHERE kind <> 'invoice';
CREATE INDEX invoices_of_user ON finance.invoices (user_id, invoice_id);
CREATE TRIGGER invoices_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.invoices
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
"""

DOWN = """
DROP TABLE finance.invoices, finance.number_series, finance.journal_lines, finance.journal_entries,
    finance.accounts, finance.refunds, finance.entitlements, finance.gateway_customers, finance.attempts,
    finance.payment_refusals, finance.payment_timeline, finance.payments;
DROP FUNCTION finance.append_only, finance.lines_with_their_entry, finance.entry_balances,
    finance.reserve_refund, finance.lock_refunded_payment;
"""


def upgrade() -> None:
    for part in (PAYMENTS, REFUNDS, LEDGER, INVOICES):
        op.get_bind().exec_driver_sql(part)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
