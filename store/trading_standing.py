"""Everything that the checks before an order ask of our own record."""

from dataclasses import dataclass
from datetime import date, datetime

from domain.pretrade import Exposure, Limits, Standing
from domain.trading import TERMINAL
from models.messages.broker import Instrument, MarketQuote
from models.messages.trading import SubmitOrder
from store import trading_market
from store.database import Connection
from store.entitlements import PLAN_HOLDS
from store.onboarding import kyc_of
from store.trading_accounts import Account

WORKING = """
SELECT coalesce((SELECT quantity FROM trading.positions p WHERE p.account_id = %(account)s
                   AND p.exchange = %(exchange)s AND p.symbol = %(symbol)s AND p.product = %(product)s), 0)
           AS held,
       coalesce((SELECT sum(abs(quantity)) FROM trading.positions p WHERE p.account_id = %(account)s
                   AND p.exchange = %(exchange)s AND p.symbol = %(symbol)s
                   AND p.product <> %(product)s), 0)::bigint AS held_elsewhere,
       (SELECT count(*) FROM (
            SELECT p.exchange, p.symbol, p.product FROM trading.positions p
            WHERE p.account_id = %(account)s AND p.quantity <> 0
            UNION SELECT o.exchange, o.symbol, o.product FROM trading.orders o
            WHERE o.account_id = %(account)s AND o.order_value IS NOT NULL AND o.status <> ALL(%(terminal)s)
        ) taken WHERE (taken.exchange, taken.symbol, taken.product)
                      <> (%(exchange)s, %(symbol)s, %(product)s)) AS open_positions,
       coalesce((SELECT sum(o.quantity - o.filled_quantity)
                 FROM trading.orders o WHERE o.account_id = %(account)s AND o.exchange = %(exchange)s
                   AND o.symbol = %(symbol)s AND o.product = %(product)s AND o.side = %(side)s
                   AND o.order_id <> %(order)s AND o.order_value IS NOT NULL
                   AND o.status <> ALL(%(terminal)s)), 0)::bigint AS working_quantity,
       coalesce((SELECT sum(o.order_value * (o.quantity - o.filled_quantity) / o.quantity)
                 FROM trading.orders o WHERE o.account_id = %(account)s AND o.exchange = %(exchange)s
                   AND o.symbol = %(symbol)s AND o.side = %(side)s AND o.order_id <> %(order)s
                   AND o.status <> ALL(%(terminal)s)), 0)::bigint AS working_value,
       greatest(coalesce((SELECT -sum(p.realised - p.realised_before) FROM trading.positions p
                          WHERE p.account_id = %(account)s AND p.day = %(day)s), 0), 0)::bigint
           AS loss_today
"""


@dataclass(frozen=True)
class Facts:
    """What our record knows about an order that is about to leave; `quote` None: read it again."""

    standing: Standing
    limits: Limits
    exposure: Exposure
    listing: Instrument | None
    listed_on: date | None
    quote: MarketQuote | None
    signal_closed: bool = False
    """The signal that the order answers was withdrawn, or has run its course."""
    entitled: bool = True
    """The customer may still answer it."""
    confirmed: bool = True
    """The customer said yes to the order, or the account is still flagged to need none."""


async def facts_of(connection: Connection, command: SubmitOrder, account: Account, day: date) -> Facts:
    """All of it on one connection. `day`: the broker's, as last heard; only the day's loss hangs on it."""
    terms, name = command.terms, account.broker
    standing = await standing_of(
        connection,
        command.user_id,
        command.as_of,
        status=account.status,
        blocked=account.blocks(command.flattens),
    )
    closed, entitled = await _signal(connection, command)
    exposure = await exposure_of(connection, command, day)
    listed = await trading_market.last_listed(connection, name, terms.exchange, terms.symbol)
    return Facts(
        standing=standing,
        limits=await limits_of(connection, account.account_id),
        exposure=exposure,
        listing=listed[0] if listed else None,
        listed_on=listed[1] if listed else None,
        quote=await trading_market.fresh_quote(connection, name, terms.exchange, terms.symbol),
        signal_closed=closed,
        entitled=entitled,
        confirmed=not command.unasked or account.mode == "auto",
    )


async def _signal(connection: Connection, command: SubmitOrder) -> tuple[bool, bool]:
    """Whether the signal that the order answers is closed, and whether its customer may answer it: it was
    delivered, or a plan shows it now, as it does to staff."""
    if command.origin is None:
        return False, True
    cursor = await connection.execute(
        f"""SELECT s.closed_at IS NOT NULL AS closed,
                  EXISTS (SELECT FROM signals.deliveries d
                          WHERE d.user_id = %(user)s AND d.signal_id = s.signal_id)
               OR EXISTS (SELECT FROM finance.entitlements e
                          WHERE e.user_id = %(user)s AND {PLAN_HOLDS})
               OR EXISTS (SELECT FROM user_management.user_roles r
                          WHERE r.user_id = %(user)s AND r.ended_at IS NULL
                            AND (r.expires_at IS NULL OR r.expires_at > %(now)s)) AS entitled
           FROM signals.trading_signals s WHERE s.signal_id = %(signal)s""",  # noqa: S608
        {"user": command.user_id, "signal": command.origin.signal_id, "now": command.as_of},
    )
    row = await cursor.fetchone()
    return (row["closed"], row["entitled"]) if row else (False, True)


async def standing_of(
    connection: Connection, user_id: str, as_of: datetime, *, status: str, blocked: bool
) -> Standing:
    """Who orders, as of that moment. `status` and `blocked` are the account's."""
    kyc = await kyc_of(connection, user_id, as_of)
    return Standing(
        kyc_verified=kyc is not None and kyc.in_force,
        kyc_single_limit=kyc.limits.single if kyc is not None and kyc.limits else None,
        account_open=status != "closed",
        blocked=blocked,
    )


async def limits_of(connection: Connection, account_id: str) -> Limits:
    """The customer's own limits where set, the firm's elsewhere."""
    cursor = await connection.execute(
        """SELECT max_order_value, max_symbol_exposure, max_open_positions, max_daily_loss
           FROM trading.accounts WHERE account_id = %s""",
        (account_id,),
    )
    row = await cursor.fetchone() or {}
    return Limits(**{name: value for name, value in row.items() if value is not None})


async def in_turn(connection: Connection, account_id: str) -> None:
    """Holds the account's turn to the transaction's end: orders at once are weighed one after another."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"exposure:{account_id}",)
    )


async def reserve(connection: Connection, order_id: str, value: int) -> None:
    """What the order is worth counts for the account's other orders from here on."""
    await connection.execute(
        "UPDATE trading.orders SET order_value = %s WHERE order_id = %s", (value, order_id)
    )


async def reserved(connection: Connection, order_id: str) -> int:
    """What the order counts for now, in paise."""
    cursor = await connection.execute(
        "SELECT coalesce(order_value, 0) AS value FROM trading.orders WHERE order_id = %s", (order_id,)
    )
    row = await cursor.fetchone()
    return row["value"] if row else 0


async def exposure_of(connection: Connection, command: SubmitOrder, day: date) -> Exposure:
    """What the account holds in this instrument and has under way on this side, and the day's loss."""
    terms = command.terms
    cursor = await connection.execute(
        WORKING,
        {
            "order": command.order_id,
            "account": command.account_id,
            "exchange": terms.exchange,
            "symbol": terms.symbol,
            "product": terms.product,
            "side": terms.side,
            "day": day,
            "terminal": [str(each) for each in TERMINAL],
        },
    )
    row = await cursor.fetchone()
    return Exposure(**row) if row else Exposure()
