"""The one trading day that an order may leave on, and be shown on. Pure; moments by the broker's clock."""

from datetime import date, datetime, timedelta

from domain.market_calendar import Calendar, trading_date
from domain.trading import Exchange, Variety


def own_day(calendar: Calendar, exchange: Exchange, ready: datetime) -> date:
    """The day of an order that might leave from `ready` on: of the session that is on then, or comes next. On
    a later one it does not leave: it was given as a day's order (kite.trade/docs/connect/v3/orders)."""
    return trading_date(calendar.next_close(exchange, ready))


def last_day(calendar: Calendar, variety: Variety, sent_on: date) -> date:
    """The last day on which the broker's book shows an order that was sent on `sent_on`: the book is of the
    trading day (kite.trade/docs/connect/v3/orders), an after-market order's is the next one."""
    day = sent_on
    while variety is Variety.AFTER_MARKET:
        day += timedelta(days=1)
        if calendar.is_trading_day(day):
            break
    return day
