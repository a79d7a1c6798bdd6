"""Electronic invoices, recipients under keys of their own, and numbers that were given up."""

from alembic import op

revision = "0015"
down_revision = "0014"

UP = """
-- The recipient of a document outlives the person's key (CGST s.36). Rows from before have no key of their
-- own: theirs is the person's.
ALTER TABLE finance.invoices RENAME COLUMN buyer_name TO recipient;
ALTER TABLE finance.invoices ADD COLUMN recipient_key bytea NOT NULL DEFAULT '';
ALTER TABLE finance.invoices ALTER COLUMN recipient_key DROP DEFAULT;

ALTER TABLE finance.invoices DROP CONSTRAINT invoices_status_check;
ALTER TABLE finance.invoices ADD CONSTRAINT invoices_status_check CHECK (status IN ('issued', 'void'));
DROP INDEX finance.invoices_one_a_payment;
CREATE UNIQUE INDEX invoices_one_a_payment ON finance.invoices (payment_id)
    WHERE kind = 'invoice' AND status = 'issued';
CREATE INDEX invoices_of_payment ON finance.invoices (payment_id);
CREATE INDEX invoices_of_original ON finance.invoices (original_invoice_id)
    WHERE original_invoice_id IS NOT NULL;

CREATE TABLE finance.voids (
    invoice_id text PRIMARY KEY REFERENCES finance.invoices,
    number text NOT NULL UNIQUE,
    reason text NOT NULL CHECK (reason IN ('refused_by_portal', 'cancelled_at_portal')),
    note_id text,
    subject text NOT NULL,
    voided_at timestamptz NOT NULL,
    replaced_by text NOT NULL UNIQUE REFERENCES finance.invoices DEFERRABLE INITIALLY DEFERRED
);
CREATE TRIGGER voids_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.voids
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();

-- A document is never changed: the one step that it may take is to be void, once that is explained.
DROP TRIGGER invoices_append_only ON finance.invoices;
CREATE TRIGGER invoices_append_only BEFORE DELETE OR TRUNCATE OR UPDATE OF invoice_id, number, kind,
    financial_year, sequence, issued_on, tax_point, user_id, payment_id, refund_id, original_invoice_id,
    buyer_gstin, recipient, recipient_key, place_of_supply, supplier, sac, description, rate, currency,
    taxable, cgst, sgst, igst, total ON finance.invoices
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
CREATE FUNCTION finance.only_voided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'issued' OR NEW.status <> 'void' OR to_jsonb(NEW) - 'status' <> to_jsonb(OLD) - 'status'
       OR NOT EXISTS (SELECT FROM finance.voids v WHERE v.invoice_id = OLD.invoice_id) THEN
        RAISE EXCEPTION 'finance.invoices is append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoices_only_voided BEFORE UPDATE ON finance.invoices
    FOR EACH ROW EXECUTE FUNCTION finance.only_voided();

CREATE TABLE finance.einvoices (
    invoice_id text PRIMARY KEY REFERENCES finance.invoices,
    status text NOT NULL CHECK (status IN ('pending', 'attention', 'registered', 'void')),
    report_by date,
    failure_code text,
    recipient_address bytea,
    irn text UNIQUE CHECK (irn ~ '^[0-9a-f]{64}$'),
    ack_no text,
    ack_at timestamptz,
    signed_qr text,
    signed_invoice bytea,
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    version integer NOT NULL,
    -- When its process is to be started next: at once, whatever day the document is dated.
    start_at timestamptz NOT NULL DEFAULT 'epoch',
    starts integer NOT NULL DEFAULT 0,
    CHECK (num_nulls(irn, ack_no, ack_at, signed_qr, signed_invoice) IN (0, 5)),
    CHECK (status <> 'registered' OR irn IS NOT NULL)
);
CREATE INDEX einvoices_to_start ON finance.einvoices (start_at)
    WHERE status IN ('pending', 'attention');
"""

DOWN = """
DROP TABLE finance.einvoices;
DROP TRIGGER invoices_only_voided ON finance.invoices;
DROP FUNCTION finance.only_voided;
DROP TRIGGER invoices_append_only ON finance.invoices;
CREATE TRIGGER invoices_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON finance.invoices
    FOR EACH STATEMENT EXECUTE FUNCTION finance.append_only();
DROP TABLE finance.voids;
DROP INDEX finance.invoices_one_a_payment, finance.invoices_of_payment, finance.invoices_of_original;
CREATE UNIQUE INDEX invoices_one_a_payment ON finance.invoices (payment_id) WHERE kind = 'invoice';
ALTER TABLE finance.invoices DROP CONSTRAINT invoices_status_check;
ALTER TABLE finance.invoices ADD CONSTRAINT invoices_status_check CHECK (status = 'issued');
ALTER TABLE finance.invoices DROP COLUMN recipient_key;
ALTER TABLE finance.invoices RENAME COLUMN recipient TO buyer_name;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
