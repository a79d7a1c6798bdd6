"""How a caller is found: by contact through the blind index, by whatever number they quote."""

from typing import Any

from store.database import Connection
from store.vault import Vault

MOST = 50
"""Objects shown of one person or reference."""

OBJECTS = """
    SELECT 'payment' AS kind, payment_id AS id, user_id, status, created_at AS at,
           array_remove(ARRAY[gateway_order_id, gateway_payment_id], NULL) AS also
    FROM finance.payments
    UNION ALL
    SELECT 'invoice', invoice_id, user_id, status, issued_on::timestamp AT TIME ZONE 'Asia/Kolkata',
           ARRAY[number, payment_id]
    FROM finance.invoices
    UNION ALL
    SELECT 'refund', refund_id, user_id, status, created_at,
           array_remove(ARRAY[gateway_refund_id, utr, arn, payment_id], NULL)
    FROM finance.refunds
    UNION ALL
    SELECT 'dispute', dispute_id, user_id, status, opened_at, ARRAY[payment_id]
    FROM finance.disputes
    UNION ALL
    SELECT 'subscription', subscription_id, user_id, status, created_at, ARRAY[]::text[]
    FROM finance.user_subscriptions
    UNION ALL
    SELECT 'enrollment', enrollment_id, user_id, status, enrolled_at, ARRAY[]::text[]
    FROM education.enrollments
    UNION ALL
    SELECT 'certificate', certificate_id, user_id, 'issued', issued_at, ARRAY[enrollment_id]
    FROM education.certificates
    UNION ALL
    SELECT 'order', order_id, user_id, status, made_at, array_remove(ARRAY[broker_order_id], NULL)
    FROM trading.orders
    UNION ALL
    SELECT 'broker_account', account_id, user_id, status, made_at, ARRAY[]::text[] FROM trading.accounts
    UNION ALL
    SELECT 'complaint', complaint_id, user_id, status, made_at, ARRAY[]::text[]
    FROM user_management.complaints
"""


async def by_contact(connection: Connection, vault: Vault, contact: str, value: str) -> list[str]:
    """Users whose mail or phone (`contact` says which) it is; normalised by the caller."""
    cursor = await connection.execute(
        f"SELECT user_id FROM user_management.users WHERE {contact}_index = %s",  # noqa: S608
        (vault.index(contact, value),),
    )
    return [row["user_id"] for row in await cursor.fetchall()]


async def is_user(connection: Connection, user_id: str) -> bool:
    cursor = await connection.execute("SELECT 1 FROM user_management.users WHERE user_id = %s", (user_id,))
    return await cursor.fetchone() is not None


async def of_person(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """The person's objects, newest first: kind, id, user_id, status, at, and the numbers they also carry."""
    cursor = await connection.execute(
        f"SELECT * FROM ({OBJECTS}) AS o WHERE user_id = %s ORDER BY at DESC, id LIMIT %s",  # noqa: S608
        (user_id, MOST),
    )
    return await cursor.fetchall()


async def by_number(connection: Connection, number: str) -> list[dict[str, Any]]:
    """Objects with this id, invoice number, UTR, or id at the gateway or broker, as `of_person`.

    A settlement's id or UTR finds the payments that it paid out, a line's thing what it was matched with.
    """
    cursor = await connection.execute(
        f"""WITH quoted AS (
                SELECT payment_id AS id FROM finance.payments
                WHERE payment_id = %(q)s OR gateway_order_id = %(q)s OR gateway_payment_id = %(q)s
                UNION SELECT invoice_id FROM finance.invoices WHERE invoice_id = %(q)s OR number = %(q)s
                UNION SELECT invoice_id FROM finance.einvoices WHERE irn = %(q)s
                UNION SELECT refund_id FROM finance.refunds
                WHERE refund_id = %(q)s OR gateway_refund_id = %(q)s OR utr = %(q)s OR arn = %(q)s
                UNION SELECT order_id FROM trading.orders
                WHERE order_id = %(q)s OR broker_order_id = %(q)s
                UNION (SELECT p.payment_id FROM finance.settlements t
                       JOIN finance.settlement_lines s USING (settlement_id)
                       JOIN finance.payments p ON p.gateway_payment_id = s.entity_id
                       WHERE t.utr = %(q)s OR t.settlement_id = %(q)s LIMIT %(most)s)
                UNION SELECT s.matches FROM finance.settlement_lines s WHERE s.entity_id = %(q)s
                UNION SELECT %(q)s)
            SELECT o.* FROM quoted JOIN ({OBJECTS}) AS o USING (id)
            ORDER BY at DESC, id LIMIT %(most)s""",  # noqa: S608
        {"q": number, "most": MOST},
    )
    return await cursor.fetchall()
