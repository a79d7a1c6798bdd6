"""What must hold of the whole book, by plain SQL and by no model of ours: each statement finds what does not.

A voucher is a person's own posting: where an account is held against the records that move it, vouchers are
left out of both sides.
"""

from datetime import date
from typing import Any

from store import periods
from store.database import Connection

# Credit less debit of an account by what the platform itself has posted.
POSTED = """
(SELECT coalesce(sum(l.credit - l.debit), 0)::bigint FROM finance.journal_lines l
 JOIN finance.journal_entries e USING (entry_id)
 WHERE l.account = '{}' AND e.business_key NOT LIKE 'voucher:%%')
"""

DIFFERS = """
SELECT format('{account}: %%s in the book, %%s by {records}, %%s differ', ours, theirs, ours - theirs)
           AS finding
FROM (SELECT {posted} AS ours, ({expected})::bigint AS theirs) compared WHERE ours <> theirs
"""

# Of payments whose thing has begun: what is left of their stretches. Of the others: all that was not given
# back.
DEFERRED = """
SELECT coalesce((SELECT sum(coalesce(s.kept, s.amount) - finance.earned(s, c.through))
                 FROM finance.revenue_segments s LEFT JOIN LATERAL (
                     SELECT max(day) AS through FROM finance.revenue_runs r WHERE r.number > s.since_run) c
                     ON true), 0)
     + coalesce((SELECT sum(greatest(i.taxable - i.credited, 0)) FROM (
                     SELECT i.payment_id, i.taxable, coalesce((
                         SELECT sum(n.taxable) FROM finance.invoices n
                         WHERE n.payment_id = i.payment_id AND n.kind <> 'invoice' AND n.status <> 'void'), 0)
                         AS credited
                     FROM finance.invoices i WHERE i.kind = 'invoice' AND i.status <> 'void') i
                 WHERE NOT EXISTS (SELECT FROM finance.revenue_plans p WHERE p.payment_id = i.payment_id)), 0)
"""

TAX = """
SELECT coalesce(sum(CASE kind WHEN 'invoice' THEN {tax} WHEN 'credit_note' THEN -{tax} ELSE 0 END), 0)
FROM finance.invoices WHERE status <> 'void'
"""

REFUNDS = """
SELECT coalesce(sum(amount), 0) FROM finance.refunds WHERE status IN ('pending', 'manual_payout')
"""

LIVE = "status IN ('open', 'under_review')"

CLEARING = f"""
SELECT -(coalesce((SELECT sum(amount) FROM finance.payments WHERE captured_at IS NOT NULL), 0)
     - coalesce((SELECT sum(amount) FROM finance.refunds
                 WHERE status = 'processed' AND utr IS NULL AND returned_at IS NULL), 0)
     - coalesce((SELECT sum(CASE WHEN {LIVE} THEN amount ELSE lost END) FROM finance.disputes), 0)
     - coalesce((SELECT sum(booked_bank + booked_fee + booked_tax) FROM finance.settlements), 0)
     - coalesce((SELECT sum(CASE WHEN claim = 'settled' THEN 0 ELSE booked END) FROM finance.breaks), 0))
"""  # noqa: S608 (a constant of this file)

BANK = """
SELECT -(coalesce((SELECT sum(booked_bank) FROM finance.settlements), 0)
     - coalesce((SELECT sum(amount) FROM finance.refunds WHERE status = 'processed' AND utr IS NOT NULL), 0)
     + coalesce((SELECT sum(booked) FROM finance.breaks
                 WHERE claim = 'given_up' AND claim_resolution = 'paid_outside'), 0))
"""

REVENUE = """
SELECT coalesce(sum(finance.earned(s, c.through)), 0)
FROM finance.revenue_segments s LEFT JOIN LATERAL (
    SELECT max(day) AS through FROM finance.revenue_runs r WHERE r.number > s.since_run) c ON true
"""

# What people decided of breaks, and of claims that were given up: positive where the gateway owed us.
DECIDED = """
(SELECT kind, resolution, booked AS amount, decided_tax AS tax FROM finance.breaks
 WHERE ended = 'decided' AND resolution <> 'claim_gateway'
 UNION ALL SELECT 'claim', claim_resolution, booked, 0 FROM finance.breaks WHERE claim = 'given_up') decided
"""
ACCEPTED_FEE = "resolution = 'accept' AND kind = 'wrong_fee'"

FEES = f"""
SELECT -coalesce((SELECT sum(booked_fee) FROM finance.settlements), 0)
     - coalesce((SELECT sum(amount - tax) FROM {DECIDED} WHERE {ACCEPTED_FEE}), 0)
"""  # noqa: S608 (constants of this file)

INPUT_TAX = f"""
SELECT -coalesce((SELECT sum(booked_tax) FROM finance.settlements), 0)
     - coalesce((SELECT sum(tax) FROM {DECIDED} WHERE {ACCEPTED_FEE}), 0)
"""  # noqa: S608 (constants of this file)

SUSPENSE = f"""
SELECT -coalesce(sum(amount), 0) FROM {DECIDED} WHERE resolution = 'accept' AND kind <> 'wrong_fee'
"""  # noqa: S608 (constants of this file)

GAINS = f"""
SELECT -coalesce(sum(amount), 0) FROM {DECIDED}
WHERE resolution IN ('post_adjustment', 'write_off') AND amount < 0
"""  # noqa: S608 (constants of this file)

LOSSES = f"""
SELECT -coalesce(sum(amount), 0) FROM {DECIDED} WHERE resolution = 'post_adjustment' AND amount > 0
"""  # noqa: S608 (constants of this file)

# What finance owed of a refund and a lost dispute has paid is forfeited: its note stands, less is left of it.
BAD_DEBT = f"""
SELECT -coalesce((SELECT sum(lost) FROM finance.disputes WHERE NOT {LIVE}), 0)
     - coalesce((SELECT sum(amount) FROM {DECIDED} WHERE resolution = 'write_off' AND amount > 0), 0)
     + coalesce((SELECT sum(n.total - CASE r.status WHEN 'rejected' THEN 0 ELSE r.amount END)
                 FROM finance.refunds r JOIN finance.invoices n USING (refund_id)
                 WHERE n.status <> 'void'), 0)
"""  # noqa: S608 (constants of this file)

# Of each sale what is neither given back nor still to be earned. One that has not begun has earned nothing.
EARNED = """
SELECT coalesce(sum(i.taxable - n.credited - CASE WHEN p.payment_id IS NULL
                                                  THEN greatest(i.taxable - n.credited, 0)
                                                  ELSE d.deferred END), 0)
FROM finance.invoices i JOIN finance.payments paid USING (payment_id)
LEFT JOIN finance.revenue_plans p USING (payment_id)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(taxable), 0) AS credited FROM finance.invoices n
    WHERE n.payment_id = i.payment_id AND n.kind <> 'invoice' AND n.status <> 'void') n
CROSS JOIN LATERAL (
    SELECT coalesce(sum(coalesce(s.kept, s.amount) - finance.earned(s, (
        SELECT max(day) FROM finance.revenue_runs r WHERE r.number > s.since_run))), 0) AS deferred
    FROM finance.revenue_segments s WHERE s.payment_id = i.payment_id) d
WHERE i.kind = 'invoice' AND i.status <> 'void' AND paid.purpose = '{purpose}'
"""

BOOKED = """
SELECT format('%%s of %%s: bank %%s, fees %%s, tax %%s booked; %%s, %%s, %%s by its lines',
              settlement_id, date, booked_bank, booked_fee, booked_tax, bank, fee, tax) AS finding
FROM (
    SELECT s.*, coalesce(l.bank, 0) + s.residual AS bank, coalesce(l.fee, 0) AS fee,
           coalesce(l.tax, 0) AS tax, (b.bank, b.fee, b.tax) AS entries
    FROM finance.settlements s
    LEFT JOIN (SELECT settlement_id, date, sum(credit - debit)::bigint AS bank,
                      sum(expected_fee - expected_tax)::bigint AS fee, sum(expected_tax)::bigint AS tax
               FROM finance.settlement_lines GROUP BY settlement_id, date) l USING (settlement_id, date)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(bank), 0)::bigint AS bank, coalesce(sum(fee), 0)::bigint AS fee,
               coalesce(sum(tax), 0)::bigint AS tax FROM finance.settlement_bookings b
        WHERE (b.settlement_id, b.date) = (s.settlement_id, s.date)) b) compared
WHERE (booked_bank, booked_fee, booked_tax) <> (bank, fee, tax)
   OR (booked_bank, booked_fee, booked_tax) <> entries
"""

# A day that is being read has its payouts before its lines.
PAYOUTS = """
SELECT format('%%s: %%s paid, %%s booked, and no break of its days', settlement_id, amount, booked) AS finding
FROM (SELECT settlement_id, max(amount) AS amount, sum(booked_bank) AS booked, array_agg(date) AS days
      FROM finance.settlements GROUP BY settlement_id) paid
WHERE amount <> booked
  AND NOT EXISTS (SELECT FROM finance.breaks b
                  WHERE b.date = ANY(days) AND b.ended IS DISTINCT FROM 'mended')
  AND NOT EXISTS (SELECT FROM finance.reconciliations r WHERE r.date = ANY(days) AND r.status = 'running')
"""


def _differs(account: str, expected: str, records: str) -> str:
    return DIFFERS.format(account=account, posted=POSTED.format(account), expected=expected, records=records)


PROOFS = {
    "entries balance": """
        SELECT format('%%s (%%s) is off by %%s', entry_id, business_key, difference) AS finding FROM (
            SELECT e.entry_id, e.business_key, count(l.number) AS lines,
                   coalesce(sum(l.debit - l.credit), 0) AS difference
            FROM finance.journal_entries e LEFT JOIN finance.journal_lines l USING (entry_id)
            GROUP BY e.entry_id) entries
        WHERE lines < 2 OR difference <> 0""",
    "business keys are unique": """
        SELECT format('%%s stands %%s times', business_key, count(*)) AS finding
        FROM finance.journal_entries GROUP BY business_key HAVING count(*) > 1""",
    "the trial balance is zero": """
        SELECT format('debits exceed credits by %%s', sum(debit - credit)) AS finding
        FROM finance.journal_lines HAVING sum(debit - credit) <> 0""",
    "captures are posted as invoiced": """
        SELECT format('%%s: captured %%s, invoiced %%s, posted %%s', payment_id, amount, invoiced, posted)
                   AS finding
        FROM (
            SELECT p.payment_id, p.amount, i.total AS invoiced, sum(l.debit) AS posted,
                   coalesce(sum(l.credit) FILTER (WHERE l.account LIKE 'output%%'), 0)
                       = i.cgst + i.sgst + i.igst AS taxed
            FROM finance.payments p
            LEFT JOIN finance.invoices i
                ON i.payment_id = p.payment_id AND i.kind = 'invoice' AND i.status <> 'void'
            LEFT JOIN finance.journal_entries e ON e.business_key = 'capture:' || p.payment_id
            LEFT JOIN finance.journal_lines l USING (entry_id)
            WHERE p.captured_at IS NOT NULL GROUP BY p.payment_id, i.invoice_id) captures
        WHERE invoiced IS DISTINCT FROM amount OR posted IS DISTINCT FROM amount OR taxed IS NOT TRUE""",
    "credit notes are posted as issued": """
        SELECT format('%%s: noted %%s, posted %%s', number, total, posted) AS finding
        FROM (
            SELECT n.number, n.total, sum(l.debit) AS posted,
                   coalesce(sum(l.debit) FILTER (WHERE l.account LIKE 'output%%'), 0)
                       = n.cgst + n.sgst + n.igst AS taxed
            FROM finance.invoices n
            LEFT JOIN finance.journal_entries e ON e.business_key = 'refund:' || n.refund_id
            LEFT JOIN finance.journal_lines l USING (entry_id)
            WHERE n.kind <> 'invoice' AND n.status <> 'void' GROUP BY n.invoice_id) notes
        WHERE posted IS DISTINCT FROM total OR NOT taxed""",
    "plans are what was invoiced": """
        SELECT format('%%s: %%s planned, %%s invoiced without tax', p.payment_id, p.net, i.taxable) AS finding
        FROM finance.revenue_plans p LEFT JOIN finance.invoices i
            ON i.payment_id = p.payment_id AND i.kind = 'invoice' AND i.status <> 'void'
        WHERE p.net IS DISTINCT FROM i.taxable""",
    "deferred revenue is what is unearned": _differs(
        "deferred_revenue", DEFERRED, "what was paid for and not earned"
    ),
    "revenue runs are what was earned": f"""
        SELECT format('%%s posted by runs, %%s earned of the plans', ours, theirs) AS finding
        FROM (SELECT (SELECT coalesce(sum(subscriptions + courses), 0) FROM finance.revenue_runs) AS ours,
                     ({REVENUE}) AS theirs) compared WHERE ours <> theirs""",  # noqa: S608
    "revenue runs are posted": """
        SELECT format('the run %%s of %%s has no such entry', number, day) AS finding
        FROM finance.revenue_runs r WHERE subscriptions + courses > 0 AND NOT EXISTS (
            SELECT FROM finance.journal_lines l WHERE l.entry_id = r.entry_id
                AND l.account = 'deferred_revenue' AND l.debit = r.subscriptions + r.courses)""",
    **{
        f"output {tax.upper()} is that of the documents": _differs(
            f"output_{tax}", TAX.format(tax=tax), "invoices less credit notes"
        )
        for tax in ("cgst", "sgst", "igst")
    },
    "refunds payable are refunds owed": _differs(
        "refunds_payable", REFUNDS, "refunds that were granted and not paid"
    ),
    "clearing is what the gateway has": _differs(
        "gateway_clearing", CLEARING, "captures, refunds, disputes, settlements and breaks"
    ),
    "the bank is what was settled": _differs(
        "bank", BANK, "settlements, refunds paid by transfer and claims paid outside of settlements"
    ),
    "disputes are what is held": _differs(
        "disputes",
        f"SELECT -coalesce(sum(amount) FILTER (WHERE {LIVE}), 0) FROM finance.disputes",  # noqa: S608
        "disputes that are open",
    ),
    "claims are what was claimed": _differs(
        "gateway_claims",
        "SELECT -coalesce(sum(booked) FILTER (WHERE claim = 'open'), 0) FROM finance.breaks",
        "breaks that were claimed and not paid",
    ),
    "gateway fees are what was settled": _differs(
        "gateway_fees", FEES, "settlements and the fees that were accepted"
    ),
    "input GST is that of the fees": _differs(
        "input_gst", INPUT_TAX, "settlements and the fees that were accepted"
    ),
    "suspense is what was accepted": _differs(
        "reconciliation_suspense", SUSPENSE, "breaks that were accepted"
    ),
    "gains are what was decided": _differs(
        "reconciliation_gains", GAINS, "breaks in our favour that were written off or adjusted"
    ),
    "losses are what was decided": _differs(
        "reconciliation_losses", LOSSES, "breaks against us that were adjusted"
    ),
    "bad debt is what was lost": _differs(
        "bad_debt", BAD_DEBT, "lost disputes and breaks that were written off, less refunds forfeited"
    ),
    **{
        f"revenue of {name} is what was earned": _differs(
            f"revenue_{name}", EARNED.format(purpose=purpose), "sales less what is given back or unearned"
        )
        for name, purpose in (("subscriptions", "subscription"), ("courses", "course"))
    },
    "settlements are booked as reported": BOOKED,
    "payouts are booked or broken": PAYOUTS,
    "series have no gap": """
        SELECT format('%%s of %%s: %%s numbers given out, %%s documents from %%s to %%s', s.kind,
                      s.financial_year, s.last, count(i.sequence), min(i.sequence), max(i.sequence))
                   AS finding
        FROM finance.number_series s FULL JOIN finance.invoices i USING (kind, financial_year)
        GROUP BY s.kind, s.financial_year, s.last
        HAVING s.last IS DISTINCT FROM count(i.sequence) OR s.last IS DISTINCT FROM max(i.sequence)
            OR count(DISTINCT i.sequence) <> count(i.sequence)""",
}


async def findings(connection: Connection) -> dict[str, list[str]]:
    """What does not hold, by the name of what should: all read at one moment."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return await proven(connection)


async def proven(connection: Connection) -> dict[str, list[str]]:
    """`findings`, in the caller's transaction."""
    found: dict[str, list[str]] = {}
    for name, query in PROOFS.items():
        cursor = await connection.execute(query, {})
        found[name] = [row["finding"] for row in await cursor.fetchall()]
    found["closed months are untouched"] = await _changed(connection)
    return found


async def _changed(connection: Connection) -> list[str]:
    """Closed months that do not hold what they held at their close."""
    cursor = await connection.execute("SELECT * FROM finance.periods ORDER BY period")
    found = []
    for row in await cursor.fetchall():
        first: date = row["first_on"]
        held: dict[str, Any] = await periods.figures(connection, first, row["next_on"])
        differ = [
            f"{name} {row[name]} at its close, {held[name]} now"
            for name in ("entries", "turnover", "book_hash", "documents", "documents_hash")
            if held[name] != row[name]
        ]
        if differ:
            found.append(f"{row['period']}: {'; '.join(differ)}")
    return found
