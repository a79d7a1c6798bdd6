"""What the outside checker reads: books and rows as they stand, by plain SQL and by no model of ours."""

from typing import Any

from store.database import Connection

Rows = list[dict[str, Any]]

BOOKS = {
    "payments": """
        SELECT payment_id, gateway_payment_id, amount, captured_at IS NOT NULL AS captured
        FROM finance.payments""",
    "invoices": """
        SELECT i.number, kind, financial_year, sequence, payment_id, refund_id, total, i.status,
               e.status AS einvoice, e.irn, e.cancelled_at IS NOT NULL AS cancelled,
               v.invoice_id IS NOT NULL AS explained
        FROM finance.invoices i LEFT JOIN finance.einvoices e USING (invoice_id)
        LEFT JOIN finance.voids v USING (invoice_id)""",
    "refunds": "SELECT refund_id, gateway_refund_id, payment_id, status, amount FROM finance.refunds",
    "disputes": "SELECT dispute_id, status, amount, lost FROM finance.disputes",
    "orders": """
        SELECT order_id, broker_order_id, status, quantity, filled_quantity FROM trading.orders""",
    "attempts": "SELECT order_id, leg, attempt, tag, status, broker_order_id FROM trading.order_attempts",
    "paper": "SELECT broker_order_id FROM trading.paper_orders",
    "trades": """
        SELECT order_id, broker_order_id, account_id, exchange, symbol, product, side, quantity, price
        FROM trading.trades""",
    "positions": "SELECT account_id, exchange, symbol, product, quantity FROM trading.positions",
    "enrollments": """
        SELECT enrollment_id, e.certificate_id AS named, c.certificate_id AS issued
        FROM education.enrollments e LEFT JOIN education.certificates c USING (enrollment_id)""",
    "unanswered": "SELECT command_id FROM platform.commands WHERE answer IS NULL AND attempts > 1",
    "undelivered": "SELECT number FROM platform.events WHERE done_at IS NULL",
    "unsent": "SELECT message_id FROM platform.messages WHERE sent_at IS NULL",
    "unpublished": "SELECT topic FROM audit.topics WHERE published_sequence < last_sequence",
}


async def books(connection: Connection) -> dict[str, Rows]:
    """Every book at one moment: a single snapshot, so that no two of them are of different times."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return {name: await (await connection.execute(query)).fetchall() for name, query in BOOKS.items()}
