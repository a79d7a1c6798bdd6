"""Settlements at scale: what a day of a million lines needs, and what is known of each break."""

from alembic import op

revision = "0016"
down_revision = "0015"

UP = """
-- What the gateway says it paid to the bank under one UTR, and what the ledger has of it so far: a later
-- reading of the day books the difference only.
CREATE TABLE finance.settlements (
    settlement_id text NOT NULL,
    date date NOT NULL,
    utr text,
    -- Null until the gateway's own list of settlements names it.
    amount bigint,
    made_at timestamptz,
    booked_bank bigint NOT NULL DEFAULT 0,
    booked_fee bigint NOT NULL DEFAULT 0,
    booked_tax bigint NOT NULL DEFAULT 0,
    bookings integer NOT NULL DEFAULT 0,
    PRIMARY KEY (settlement_id, date)
);
CREATE INDEX settlements_of_day ON finance.settlements (date);
CREATE INDEX settlements_utr ON finance.settlements (utr);
INSERT INTO finance.settlements (settlement_id, date, utr, booked_bank, booked_fee, booked_tax, bookings)
SELECT settlement_id, date, max(utr), sum(booked_bank), sum(booked_fee), sum(booked_tax),
       (SELECT count(*) FROM finance.journal_entries e
        WHERE e.refs @> ARRAY[l.settlement_id] AND e.business_key LIKE 'settlement:%%')
FROM finance.settlement_lines l GROUP BY settlement_id, date;

ALTER TABLE finance.report_lines ADD COLUMN dispute_id text;

ALTER TABLE finance.settlement_lines
    DROP COLUMN reading, DROP COLUMN booked_bank, DROP COLUMN booked_fee, DROP COLUMN booked_tax,
    ADD COLUMN dispute_id text,
    -- What the book expects of the line before fees, signed: in for a payment, out for a refund.
    ADD COLUMN expected bigint NOT NULL DEFAULT 0,
    -- Our own id of what the line was matched with.
    ADD COLUMN matches text;
UPDATE finance.settlement_lines l SET
    expected = CASE l.verdict WHEN 'extra_line' THEN 0 WHEN 'gone' THEN 0
        ELSE coalesce((SELECT amount FROM finance.payments WHERE gateway_payment_id = l.entity_id),
                      -(SELECT amount FROM finance.refunds WHERE gateway_refund_id = l.entity_id), 0) END,
    expected_fee = CASE l.verdict WHEN 'gone' THEN 0 ELSE expected_fee END,
    expected_tax = CASE l.verdict WHEN 'gone' THEN 0 ELSE expected_tax END,
    matches = CASE WHEN l.verdict NOT IN ('extra_line', 'gone') THEN
        coalesce((SELECT payment_id FROM finance.payments WHERE gateway_payment_id = l.entity_id),
                 (SELECT refund_id FROM finance.refunds WHERE gateway_refund_id = l.entity_id)) END;
-- A line that agrees leaves nothing on gateway clearing.
ALTER TABLE finance.settlement_lines ADD CONSTRAINT settlement_lines_agree
    CHECK (verdict <> 'matched' OR expected = credit - debit + expected_fee);
DROP INDEX finance.settlement_lines_of_day;
CREATE INDEX settlement_lines_of_day ON finance.settlement_lines (date);
-- The few that do not agree, without a walk over the many that do.
CREATE INDEX settlement_lines_differing ON finance.settlement_lines (date)
    WHERE verdict IN ('extra_line', 'wrong_amount', 'wrong_fee');
CREATE INDEX settlement_lines_dispute ON finance.settlement_lines (dispute_id) WHERE dispute_id IS NOT NULL;
CREATE INDEX settlement_lines_claims ON finance.settlement_lines (matches) WHERE matches LIKE 'brk_%%';

CREATE INDEX payments_captured ON finance.payments (captured_at) WHERE captured_at IS NOT NULL;

ALTER TABLE finance.breaks
    -- What differs: the reference without the number of the break about it.
    ADD COLUMN about text,
    ADD COLUMN settlement_id text,
    ADD COLUMN utr text,
    -- What the decision moved off gateway clearing.
    ADD COLUMN booked bigint NOT NULL DEFAULT 0,
    -- How it ended: somebody decided it, or a later report made it go away.
    ADD COLUMN ended text CHECK (ended IN ('decided', 'mended')),
    ADD COLUMN claim text CHECK (claim IN ('open', 'settled', 'given_up')),
    -- Who gave the claim up, and where it went.
    ADD COLUMN claim_resolution text CHECK (claim_resolution IN
        ('accept', 'post_adjustment', 'write_off', 'paid_outside')),
    ADD COLUMN claim_note_id text,
    ADD COLUMN claim_first_by text,
    ADD COLUMN claim_second_by text,
    ADD COLUMN claim_line text,
    ADD COLUMN claim_settled_at timestamptz,
    -- The reading that last opened, changed or ended it: of which day, and its number there.
    ADD COLUMN seen_date date,
    ADD COLUMN seen_reading integer NOT NULL DEFAULT 0;
UPDATE finance.breaks SET about = reference, seen_date = date,
    booked = CASE status WHEN 'resolved' THEN difference ELSE 0 END,
    ended = CASE status WHEN 'resolved' THEN 'decided' END,
    claim = CASE WHEN status = 'resolved' AND resolution = 'claim_gateway' THEN 'open' END;
ALTER TABLE finance.breaks
    ALTER COLUMN about SET NOT NULL,
    ALTER COLUMN seen_date SET NOT NULL,
    DROP CONSTRAINT breaks_check, DROP CONSTRAINT breaks_check2,
    ADD CONSTRAINT breaks_decided_by_somebody
        CHECK (first_by IS NOT NULL OR status = 'open' OR ended = 'mended'),
    -- Above fifty thousand rupees no one person decides.
    ADD CONSTRAINT breaks_two_people CHECK (status <> 'resolved' OR abs(difference) <= 5000000
        OR second_by IS NOT NULL OR ended = 'mended'),
    ADD CONSTRAINT breaks_ended CHECK ((status = 'resolved') = (ended IS NOT NULL)),
    ADD CONSTRAINT breaks_claimed CHECK (claim IS NULL OR resolution = 'claim_gateway'),
    ADD CONSTRAINT breaks_claim_given_up CHECK (claim IS NULL OR claim <> 'given_up'
        -- A comparison with NULL would let the row pass.
        OR claim_first_by IS NOT NULL AND (abs(difference) <= 5000000
            OR claim_second_by IS NOT NULL AND claim_first_by <> claim_second_by));
-- One break at a time about one thing, whichever reading finds it.
CREATE UNIQUE INDEX breaks_one_waiting ON finance.breaks (date, kind, about) WHERE status <> 'resolved';
CREATE INDEX breaks_about ON finance.breaks (about);
CREATE INDEX breaks_seen ON finance.breaks (seen_date, seen_reading);
CREATE INDEX breaks_claims ON finance.breaks (opened_at) WHERE claim = 'open';
"""

DOWN = """
DROP INDEX finance.breaks_one_waiting, finance.breaks_about, finance.breaks_seen, finance.breaks_claims;
DELETE FROM finance.breaks WHERE ended = 'mended';
ALTER TABLE finance.breaks
    DROP CONSTRAINT breaks_decided_by_somebody, DROP CONSTRAINT breaks_two_people,
    DROP CONSTRAINT breaks_ended, DROP CONSTRAINT breaks_claimed, DROP CONSTRAINT breaks_claim_given_up,
    DROP COLUMN about, DROP COLUMN settlement_id, DROP COLUMN utr, DROP COLUMN booked, DROP COLUMN ended,
    DROP COLUMN claim, DROP COLUMN claim_resolution, DROP COLUMN claim_note_id, DROP COLUMN claim_first_by,
    DROP COLUMN claim_second_by, DROP COLUMN claim_line, DROP COLUMN claim_settled_at, DROP COLUMN seen_date,
    DROP COLUMN seen_reading,
    ADD CONSTRAINT breaks_check CHECK (first_by IS NOT NULL OR status = 'open'),
    ADD CONSTRAINT breaks_check2
        CHECK (status <> 'resolved' OR abs(difference) <= 5000000 OR second_by IS NOT NULL);
DROP INDEX finance.payments_captured;
DROP INDEX finance.settlement_lines_of_day, finance.settlement_lines_differing,
    finance.settlement_lines_dispute, finance.settlement_lines_claims;
CREATE INDEX settlement_lines_of_day ON finance.settlement_lines (date, verdict);
ALTER TABLE finance.settlement_lines
    DROP CONSTRAINT settlement_lines_agree,
    DROP COLUMN dispute_id, DROP COLUMN expected, DROP COLUMN matches,
    ADD COLUMN reading integer NOT NULL DEFAULT 1,
    ADD COLUMN booked_bank bigint NOT NULL DEFAULT 0,
    ADD COLUMN booked_fee bigint NOT NULL DEFAULT 0,
    ADD COLUMN booked_tax bigint NOT NULL DEFAULT 0;
ALTER TABLE finance.settlement_lines ALTER COLUMN reading DROP DEFAULT;
-- What the settlement has booked stands on its first line.
UPDATE finance.settlement_lines l SET booked_bank = s.booked_bank, booked_fee = s.booked_fee,
    booked_tax = s.booked_tax
FROM finance.settlements s
WHERE s.settlement_id = l.settlement_id AND s.date = l.date AND (l.entity_id, l.occurrence) = (
    SELECT entity_id, occurrence FROM finance.settlement_lines f
    WHERE f.settlement_id = s.settlement_id AND f.date = s.date ORDER BY 1, 2 LIMIT 1);
ALTER TABLE finance.report_lines DROP COLUMN dispute_id;
DROP TABLE finance.settlements;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
