"""A broker account's connection and its emergency stop: states, and how they follow one another."""

from enum import StrEnum


class AccountStatus(StrEnum):
    AWAITING_LOGIN = "awaiting_login"
    CONNECTED = "connected"
    EXPIRED = "expired"
    """Its session is over, at 06:00 or by the broker's word: the customer signs in again."""
    CLOSED = "closed"


A = AccountStatus
ACCOUNT_NEXT: dict[AccountStatus, frozenset[AccountStatus]] = {
    A.AWAITING_LOGIN: frozenset({A.CONNECTED, A.CLOSED}),
    A.CONNECTED: frozenset({A.EXPIRED, A.CLOSED}),
    A.EXPIRED: frozenset({A.CONNECTED, A.CLOSED}),
    A.CLOSED: frozenset(),
}
"""Held by `store/trading_accounts.py`."""


class KillSwitchStatus(StrEnum):
    BLOCKING = "blocking"
    """Asked for, the block does not stand yet: the process alone knows this state."""
    BLOCKED = "blocked"
    NEEDS_PERSON = "needs_person"
    """Orders would not end: support looks at the broker. The account stays blocked."""
    DONE = "done"
    LIFTED = "lifted"


K = KillSwitchStatus
KILL_SWITCH_NEXT: dict[KillSwitchStatus, frozenset[KillSwitchStatus]] = {
    K.BLOCKING: frozenset({K.BLOCKED}),
    K.BLOCKED: frozenset({K.NEEDS_PERSON, K.DONE, K.LIFTED}),
    K.NEEDS_PERSON: frozenset({K.DONE, K.LIFTED}),
    K.DONE: frozenset({K.LIFTED}),
    K.LIFTED: frozenset(),
}
"""Held by `store/trading_stops.py`."""
