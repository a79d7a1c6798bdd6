"""Weekdays on which banks in India do not settle mandates: dated data, extended each December."""

from datetime import date

BANK_HOLIDAYS = frozenset(
    date(2026, month, day)
    for month, day in (
        *((1, 26), (3, 3), (3, 26), (3, 31), (4, 1), (4, 3), (4, 14), (5, 1)),
        *((5, 28), (6, 26), (9, 14), (10, 2), (10, 20), (11, 10), (11, 24), (12, 25)),
    )
)
"""Mumbai, where mandates are cleared: the holidays of 2026 under the Negotiable Instruments Act that fall on
weekdays, as the exchanges' calendar has them, and the banks' closing of accounts on 1 April."""

KNOWN_UNTIL = date(2026, 12, 31)
"""Later days are bank days but Sundays, two Saturdays and the national holidays: a debit leaves, the bank
settles it when it works, and one that fails is tried again like any other."""
