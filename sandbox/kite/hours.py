"""Trading days and hours in IST: when the exchange takes orders and when a session dies.

The days on which NSE is shut are data with a date: NSE's circular of holidays for 2026.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")

# NSE equity and derivatives segments, trading holidays of 2026 that fall on weekdays.
NSE_HOLIDAYS_2026 = frozenset(
    date(2026, month, day)
    for month, day in (
        (1, 15), (1, 26), (3, 3), (3, 26), (3, 31), (4, 3), (4, 14), (5, 1),
        (5, 28), (6, 26), (9, 14), (10, 2), (10, 20), (11, 10), (11, 24), (12, 25),
    )
)  # fmt: skip

HOURS = {
    "NSE": (time(9, 15), time(15, 30)),
    "BSE": (time(9, 15), time(15, 30)),
    "NFO": (time(9, 15), time(15, 30)),
    "MCX": (time(9, 0), time(23, 30)),
}
# Sessions on days of their own, with their hours: the Union Budget of Sunday 1 February 2026 (NSE circular).
SPECIAL_SESSIONS = {date(2026, 2, 1): (time(9, 15), time(15, 30))}
SQUARE_OFF = {"NSE": time(15, 20), "BSE": time(15, 20), "NFO": time(15, 25), "MCX": time(23, 15)}
SESSION_DIES = time(6, 0)


def ist(moment: datetime) -> datetime:
    """The same moment on the exchange's wall clock."""
    return moment.astimezone(IST)


def stamp(moment: datetime) -> str:
    """`2026-11-23 10:15:00`, IST: how Kite writes every order time."""
    return ist(moment).strftime("%Y-%m-%d %H:%M:%S")


def is_trading_day(day: date) -> bool:
    """Monday to Friday and not one of NSE's holidays, or a day of a special session."""
    return day in SPECIAL_SESSIONS or (day.weekday() < 5 and day not in NSE_HOLIDAYS_2026)


def hours_of(exchange: str, day: date) -> tuple[time, time]:
    """When the exchange opens and closes on a trading day."""
    return SPECIAL_SESSIONS.get(day, HOURS[exchange])


def next_trading_day(day: date) -> date:
    """The first trading day after `day`."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return day


def previous_trading_day(day: date) -> date:
    """The last trading day before `day`."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day


def is_open(exchange: str, moment: datetime) -> bool:
    """Whether regular orders are taken at this moment."""
    local = ist(moment)
    opens, closes = hours_of(exchange, local.date())
    return is_trading_day(local.date()) and opens <= local.time() < closes


def amo_day(exchange: str, moment: datetime) -> date:
    """The trading day for which an after-market order placed now is meant."""
    local = ist(moment)
    if is_trading_day(local.date()) and local.time() < hours_of(exchange, local.date())[0]:
        return local.date()
    return next_trading_day(local.date())


def is_over(exchange: str, day: date, moment: datetime) -> bool:
    """Whether that trading day's session has ended, so that its DAY orders lapse."""
    local = ist(moment)
    return local.date() > day or (local.date() == day and local.time() >= hours_of(exchange, day)[1])


def session_expiry(login: datetime) -> datetime:
    """06:00 IST of the next day, when every access token dies."""
    day = ist(login).date() + timedelta(days=1)
    return datetime.combine(day, SESSION_DIES, IST)
