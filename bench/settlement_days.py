"""A settlement day of any size: the gateway's report in the sandbox's file, the same payments in our book.

Written straight into both databases, since a million checkouts are not what is measured. Of each hundred
things 97 are payments and 3 refunds of the first of them; amounts from ₹100 to ₹9,999. The first payments are
broken, `BREAKS` in each way, however large the day is.
"""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import psycopg

from domain.billing_calendar import IST

BREAKS = 5
"""Breaks of each kind in a day: missing line, extra line, wrong amount, wrong fee."""
SETTLEMENTS = 4
"""Payouts to the bank in a day."""

# What a thing is, in the words of both databases: `n` numbers it.
AMOUNT = "(10000 + n * 7919 % 989900)"
FEE = f"({AMOUNT} * 236 / 10000)"
TAX = f"({FEE} * 18 / 118)"

PAYMENTS = f"""
INSERT INTO finance.payments (payment_id, user_id, purpose, reference_id, process, title, sac, status, amount,
    currency, place_of_supply, gateway_order_id, gateway_payment_id, method, fee, tax, created_at,
    captured_at, updated_at)
SELECT 'pay_bench' || n, 'usr_bench', 'course', 'enr_bench' || n, 'payment:pay_bench' || n, 'Course',
    '999293', 'captured', {AMOUNT}, 'INR', 'KA', 'order_' || n, 'pay_' || n, 'upi', {FEE}, {TAX}, :at,
    :at, :at
FROM generate_series(:first, :last) AS n WHERE n % 100 < 97
"""
REFUNDS = f"""
INSERT INTO finance.refunds (refund_id, payment_id, user_id, amount, currency, speed, status, requested_by,
    authority, approvals_due, reason_code, gateway_refund_id, created_at, updated_at)
SELECT 'ref_bench' || n, 'pay_bench' || n - n % 100, 'usr_bench', {AMOUNT}, 'INR', 'normal', 'processed',
    'usr_bench', 'finance', 0, 'bench', 'rfnd_' || n, :at, :at
FROM generate_series(:first, :last) AS n WHERE n % 100 >= 97
"""

# `way`: 0 missing, 1 with a stranger beside it, 2 a rupee short, 3 a fee of a rupee more, 4 and more right.
REPORT = f"""
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last),
things AS (
    SELECT n, n % 100 >= 97 AS refund, (n - :first) / {BREAKS} AS way, 0 AS stranger FROM numbers
    UNION ALL SELECT n, 0, 1, 1 FROM numbers WHERE n < :first + 2 * {BREAKS} AND n >= :first + {BREAKS}),
priced AS (
    SELECT n, refund, stranger, {AMOUNT} - CASE way WHEN 2 THEN 100 ELSE 0 END AS amount,
        CASE WHEN refund THEN 0 ELSE {FEE} + CASE way WHEN 3 THEN 100 ELSE 0 END END AS fee,
        CASE WHEN refund THEN 0 ELSE {TAX} END AS tax, n % {SETTLEMENTS} AS payout
    FROM things WHERE way <> 0),
named AS (
    SELECT *, CASE WHEN refund THEN 'rfnd_' WHEN stranger THEN 'pay_S' ELSE 'pay_' END || n AS id FROM priced)
INSERT INTO razorpay_recon (day, entity_id, line)
SELECT :day, id, json_object(
    'entity_id', id, 'type', CASE WHEN refund THEN 'refund' ELSE 'payment' END,
    'debit', CASE WHEN refund THEN amount ELSE 0 END, 'credit', CASE WHEN refund THEN 0 ELSE amount - fee END,
    'amount', amount, 'currency', 'INR', 'fee', fee, 'tax', tax, 'on_hold', json('false'),
    'settled', json('true'), 'created_at', :at - 21600, 'settled_at', :at,
    'settlement_id', 'setl_' || :key || payout, 'posted_at', NULL, 'credit_type', 'default',
    'description', NULL, 'notes', json('[]'),
    'payment_id', CASE WHEN refund THEN 'pay_' || (n - n % 100) END, 'settlement_utr', :key || payout || 'ut',
    'order_id', 'order_' || n, 'order_receipt', 'pay_bench' || n, 'method', 'upi', 'card_network', NULL,
    'card_issuer', NULL, 'card_type', NULL, 'dispute_id', NULL)
FROM named ORDER BY n
"""
PAYOUTS = """
WITH paid AS (
    SELECT json_extract(line, '$.settlement_id') AS id, max(json_extract(line, '$.settlement_utr')) AS utr,
           sum(json_extract(line, '$.credit') - json_extract(line, '$.debit')) AS amount
    FROM razorpay_recon WHERE day = :day GROUP BY 1)
INSERT INTO razorpay_objects (id, kind, status, created_at, data)
SELECT id, 'settlement', 'processed', :at, json_object(
    'id', id, 'entity', 'settlement', 'amount', amount, 'status', 'processed', 'fees', 0, 'tax', 0,
    'utr', utr, 'created_at', :at)
FROM paid
"""
BANK = "SELECT sum(json_extract(data, '$.amount')) FROM razorpay_objects WHERE id LIKE 'setl_' || :key || '%'"


KINDS = {"first": "bigint", "last": "bigint", "at": "timestamptz"}


def _for_postgres(statement: str) -> str:
    """The statement in its driver's words: each `:name` a parameter, a remainder's sign none."""

    def parameter(found: re.Match[str]) -> str:
        return f"%({found[1]})s::{KINDS[found[1]]}"

    return re.sub(f":({'|'.join(KINDS)})\\b", parameter, statement.replace("%", "%%"))


def seed(dsn: str, sandbox: Path, day: date, first: int, lines: int) -> int:
    """Writes a day of so many lines into both databases; what the bank gets, in paise.

    `first`, a multiple of a hundred, numbers the day's things: those of two days must not overlap.
    """
    noon = datetime.combine(day, time(12), IST).astimezone(UTC)
    span = {"first": first, "last": first + lines - 1}
    with psycopg.connect(dsn, autocommit=True) as ours:
        # The rows stand for the work of a day long done: no trigger has anything left to do.
        ours.execute("SET session_replication_role = replica")
        for statement in (PAYMENTS, REFUNDS):
            ours.execute(_for_postgres(statement), {**span, "at": noon})
        ours.execute("ANALYZE finance.payments, finance.refunds")
    evening = int((noon + timedelta(hours=6)).timestamp())
    given = {**span, "day": day.isoformat(), "key": f"{day:%Y%m%d}", "at": evening}
    with closing(sqlite3.connect(sandbox, timeout=60)) as theirs:
        theirs.execute("PRAGMA synchronous = OFF")
        for statement in (REPORT, PAYOUTS):
            theirs.execute(statement, given)
            theirs.commit()
        return int(theirs.execute(BANK, given).fetchone()[0])
