"""What a settlement leaves unexplained, tax that differs alone, lines that are not settled, and on which day
of the book each settlement and decision stands."""

from alembic import op

revision = "0022"
down_revision = "0021"

UP = """
ALTER TABLE finance.report_lines
    -- Not while the gateway holds the money back: then nothing of it is at the bank.
    ADD COLUMN settled boolean NOT NULL DEFAULT true;

ALTER TABLE finance.breaks
    -- Of the decision's figures: the GST in them, and the day of the book on which they stand.
    ADD COLUMN decided_tax bigint NOT NULL DEFAULT 0,
    ADD COLUMN booked_on date,
    -- A fee may be right and the GST in it wrong: that moves no money, and is claimed from the government.
    DROP CONSTRAINT breaks_difference_check,
    ADD CONSTRAINT breaks_differ CHECK (difference <> 0 OR difference_tax <> 0),
    DROP CONSTRAINT breaks_two_people,
    -- Above fifty thousand rupees no one person decides.
    ADD CONSTRAINT breaks_two_people CHECK (status <> 'resolved'
        OR greatest(abs(difference), abs(difference_tax)) <= 5000000
        OR second_by IS NOT NULL OR ended = 'mended');
UPDATE finance.breaks b SET decided_tax = difference_tax,
    booked_on = (SELECT e.date FROM finance.journal_entries e WHERE e.business_key = 'break:' || b.break_id)
WHERE ended = 'decided';

ALTER TABLE finance.settlements
    -- What was paid beyond the lines of its report and beyond what their breaks explain, booked to the bank.
    ADD COLUMN residual bigint NOT NULL DEFAULT 0;

-- Each entry of a settlement with its day of the book, which is a later one where the month was closed.
CREATE TABLE finance.settlement_bookings (
    settlement_id text NOT NULL,
    date date NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    booked_on date NOT NULL,
    bank bigint NOT NULL,
    fee bigint NOT NULL,
    tax bigint NOT NULL,
    PRIMARY KEY (settlement_id, date, number),
    FOREIGN KEY (settlement_id, date) REFERENCES finance.settlements
);
CREATE INDEX settlement_bookings_by_day ON finance.settlement_bookings (booked_on);
INSERT INTO finance.settlement_bookings (settlement_id, date, number, booked_on, bank, fee, tax)
SELECT s.settlement_id, s.date, row_number() OVER (PARTITION BY s.settlement_id, s.date ORDER BY e.entry_id),
       e.date, coalesce(sum(l.debit - l.credit) FILTER (WHERE l.account = 'bank'), 0),
       coalesce(sum(l.debit - l.credit) FILTER (WHERE l.account = 'gateway_fees'), 0),
       coalesce(sum(l.debit - l.credit) FILTER (WHERE l.account = 'input_gst'), 0)
FROM finance.settlements s
JOIN finance.journal_entries e
    ON e.business_key = 'settlement:' || s.settlement_id || ':' || s.date
    OR e.business_key LIKE 'settlement:' || s.settlement_id || ':' || s.date || ':%%'
JOIN finance.journal_lines l USING (entry_id)
GROUP BY s.settlement_id, s.date, e.entry_id, e.date;

-- Refunds that the gateway has yet to deduct from a settlement are looked for by when they were paid.
CREATE INDEX refunds_deducted ON finance.refunds (updated_at)
    WHERE status = 'processed' AND utr IS NULL AND returned_at IS NULL;
"""

DOWN = """
DROP INDEX finance.refunds_deducted;
DROP TABLE finance.settlement_bookings;
ALTER TABLE finance.settlements DROP COLUMN residual;
DELETE FROM finance.breaks WHERE difference = 0;
ALTER TABLE finance.breaks
    DROP CONSTRAINT breaks_two_people, DROP CONSTRAINT breaks_differ,
    DROP COLUMN decided_tax, DROP COLUMN booked_on,
    ADD CONSTRAINT breaks_difference_check CHECK (difference <> 0),
    ADD CONSTRAINT breaks_two_people CHECK (status <> 'resolved' OR abs(difference) <= 5000000
        OR second_by IS NOT NULL OR ended = 'mended');
ALTER TABLE finance.report_lines DROP COLUMN settled;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(UP)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(DOWN)
