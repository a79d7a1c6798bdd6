"""A month's documents as the GST returns want them, and what ledger and series say beside them."""

from datetime import date
from typing import Any

from domain import gst_returns
from domain.gst import financial_year
from store.database import Connection

Rows = list[dict[str, Any]]

# A credit note follows its invoice: it is in the table of large ones where the invoice was.
DOCUMENTS = """
SELECT i.*, i.buyer_gstin IS NOT NULL AS registered, i.place_of_supply AS place,
       coalesce(o.buyer_gstin, i.buyer_gstin) IS NULL AND coalesce(o.igst, i.igst) > 0
           AND coalesce(o.total, i.total) > %(large)s AS large,
       o.number AS original_number, o.issued_on AS original_issued_on
FROM finance.invoices i LEFT JOIN finance.invoices o ON o.invoice_id = i.original_invoice_id
WHERE i.issued_on >= %(first)s AND i.issued_on < %(next)s
"""

GROUPS = f"""
SELECT kind, registered, large, place, rate, sac, count(*)::bigint AS documents,
       sum(taxable)::bigint AS taxable, sum(cgst)::bigint AS cgst, sum(sgst)::bigint AS sgst,
       sum(igst)::bigint AS igst, sum(total)::bigint AS value
FROM ({DOCUMENTS}) d WHERE status <> 'void' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 (a constant of this file)

LISTED = f"""
SELECT d.kind, d.registered, d.buyer_gstin AS gstin, d.number, d.issued_on, d.total AS value, d.place, d.rate,
       d.sac, d.taxable, d.igst, d.cgst, d.sgst, d.original_number, d.original_issued_on, e.irn
FROM ({DOCUMENTS}) d LEFT JOIN finance.einvoices e USING (invoice_id)
WHERE d.status <> 'void' AND d.kind <> 'financial_credit_note' AND (d.registered OR d.large)
ORDER BY d.kind, d.financial_year, d.sequence
"""  # noqa: S608 (a constant of this file)

# Numbers that follow one another without a gap are one row; a document dated late begins a row of its own.
SERIES = """
SELECT kind, (array_agg(number ORDER BY sequence))[1] AS first_number,
       (array_agg(number ORDER BY sequence DESC))[1] AS last_number, count(*)::bigint AS documents,
       count(*) FILTER (WHERE status = 'void')::bigint AS cancelled,
       count(*) FILTER (WHERE status <> 'void')::bigint AS net
FROM (
    SELECT *, sequence - row_number() OVER (PARTITION BY kind, financial_year ORDER BY sequence) AS island
    FROM finance.invoices WHERE issued_on >= %(first)s AND issued_on < %(next)s) numbered
GROUP BY kind, financial_year, island ORDER BY kind, financial_year, min(sequence)
"""

# What every number of a financial year came to, against the counter that gave it out.
NUMBERS = """
SELECT s.kind, s.financial_year, s.last - count(i.sequence) AS difference
FROM finance.number_series s LEFT JOIN finance.invoices i USING (kind, financial_year)
WHERE s.financial_year BETWEEN %(from_year)s AND %(to_year)s
GROUP BY s.kind, s.financial_year, s.last ORDER BY 1, 2
"""

LEDGER = """
SELECT l.account, coalesce(sum(l.credit - l.debit), 0)::bigint AS amount
FROM finance.journal_lines l JOIN finance.journal_entries e USING (entry_id)
WHERE e.date >= %(first)s AND e.date < %(next)s AND e.business_key NOT LIKE 'voucher:%%'
  AND l.account IN ('output_cgst', 'output_sgst', 'output_igst', 'input_gst')
GROUP BY l.account
"""

VALUE = """
SELECT coalesce(sum(CASE WHEN e.business_key LIKE 'capture:%%' THEN l.debit ELSE -l.credit END), 0)::bigint
           AS amount
FROM finance.journal_lines l JOIN finance.journal_entries e USING (entry_id)
WHERE e.date >= %(first)s AND e.date < %(next)s
  AND (e.business_key LIKE 'capture:%%' AND l.debit > 0 OR e.business_key LIKE 'refund:%%' AND l.credit > 0)
"""

# By the day of the book on which each settlement's entry, or the decision about a fee, stands.
INPUT_TAX = """
SELECT (coalesce((SELECT sum(tax) FROM finance.settlement_bookings
                  WHERE booked_on >= %(first)s AND booked_on < %(next)s), 0)
      + coalesce((SELECT sum(decided_tax) FROM finance.breaks
                  WHERE booked_on >= %(first)s AND booked_on < %(next)s
                    AND kind = 'wrong_fee' AND resolution = 'accept'), 0))::bigint AS amount
"""


async def month(connection: Connection, first: date, following: date, supplier_state: str) -> dict[str, Any]:
    """The returns of a month, and what must be zero between documents, ledger and series. Read in one
    transaction of its own, so that no two parts are of different moments."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return await _month(connection, first, following, supplier_state)


async def _month(connection: Connection, first: date, following: date, supplier_state: str) -> dict[str, Any]:
    large = gst_returns.large_from(first)
    sums = await groups(connection, first, following, large)
    single = await listed(connection, first, following, large)
    ledger = await ledger_tax(connection, first, following)
    counted = await numbers(connection, financial_year(first), financial_year(first))
    runs = await series(connection, first, following)
    value = await ledger_value(connection, first, following)
    fees = await input_tax(connection, first, following)
    return {
        "gstr1": gst_returns.gstr1(sums, single, runs),
        "gstr3b": gst_returns.gstr3b(sums, -ledger.get("input_gst", 0), supplier_state),
        "ties": gst_returns.ties(sums, ledger, value, counted, fees),
    }


async def ties(connection: Connection, first: date, following: date) -> dict[str, Any]:
    """`domain.gst_returns.ties` of a month, in the caller's transaction."""
    sums = await groups(connection, first, following, gst_returns.large_from(first))
    year = financial_year(first)
    return gst_returns.ties(
        sums,
        await ledger_tax(connection, first, following),
        await ledger_value(connection, first, following),
        await numbers(connection, year, year),
        await input_tax(connection, first, following),
    )


async def groups(connection: Connection, first: date, following: date, large: int) -> Rows:
    """Sums of the month's documents by kind, buyer, size, place, rate and SAC; void ones left out."""
    return await _all(connection, GROUPS, first, following, large=large)


async def listed(connection: Connection, first: date, following: date, large: int) -> Rows:
    """Documents that GSTR-1 wants by themselves, in the order of their numbers."""
    return await _all(connection, LISTED, first, following, large=large)


async def series(connection: Connection, first: date, following: date) -> Rows:
    """Numbers of the month by kind, from and to, with how many of them were given up."""
    return await _all(connection, SERIES, first, following)


async def numbers(connection: Connection, from_year: int, to_year: int) -> Rows:
    """How many numbers of each series and financial year have no document."""
    return await _all(connection, NUMBERS, None, None, from_year=from_year, to_year=to_year)


async def ledger_tax(connection: Connection, first: date, following: date) -> dict[str, int]:
    """What the month's entries moved on the tax accounts, credit less debit; payments of tax (vouchers) left
    out."""
    rows = await _all(connection, LEDGER, first, following)
    return {row["account"]: row["amount"] for row in rows}


async def ledger_value(connection: Connection, first: date, following: date) -> int:
    """What the month's captures brought in, less what its refunds promised back."""
    rows = await _all(connection, VALUE, first, following)
    return int(rows[0]["amount"])


async def input_tax(connection: Connection, first: date, following: date) -> int:
    """GST on the gateway's fees that settlements and decisions of the month brought."""
    rows = await _all(connection, INPUT_TAX, first, following)
    return int(rows[0]["amount"])


async def _all(
    connection: Connection, query: str, first: date | None, following: date | None, **more: int
) -> Rows:
    cursor = await connection.execute(query, {"first": first, "next": following, **more})
    return await cursor.fetchall()
