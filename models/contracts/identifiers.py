"""Business identifiers: UUIDv7 behind a prefix that says what the thing is."""

import hashlib
import secrets
import time
import uuid
from enum import StrEnum


class Prefix(StrEnum):
    """What an identifier names; the prefix is part of the identifier everywhere, rows included."""

    USER = "usr"
    SESSION = "ses"
    ONBOARDING = "onb"
    CASE = "kyc"
    CONSENT = "con"
    ERASURE = "era"
    COMPLAINT = "cmp"
    COMMAND = "cmd"
    EVENT = "evt"
    PAYMENT = "pay"
    SUBSCRIPTION = "sub"
    PLAN = "pln"
    REFUND = "rfd"
    INVOICE = "inv"
    JOURNAL = "jrn"
    BREAK = "brk"
    VOUCHER = "vch"
    COURSE = "crs"
    MODULE = "mod"
    LESSON = "les"
    ENROLLMENT = "enr"
    ASSESSMENT = "asm"
    QUESTION = "qst"
    ATTEMPT = "att"
    CERTIFICATE = "crt"
    SIGNAL = "sig"
    RUN = "run"
    """Of a strategy over candles."""
    WATCH = "wch"
    """A strategy over an instrument, run after each bar."""
    DECISION = "dec"
    ACCOUNT = "acc"
    ORDER = "ord"
    KILL_SWITCH = "kil"
    MESSAGE = "msg"
    NOTE = "not"


def uuid7() -> uuid.UUID:
    """A new UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then randomness.

    Not for workflow code: there ``workflow.uuid7()`` is the replayable one.
    """
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def mint(prefix: Prefix, source: uuid.UUID | None = None) -> str:
    """A new identifier, e.g. ``pay_0190f3c2…`` (prefix, underscore, 32 hex digits)."""
    return f"{prefix}_{(source or uuid7()).hex}"


def derived(prefix: Prefix, *key: str) -> str:
    """The identifier of what there is one of by its key, the same whoever makes it."""
    return f"{prefix}_{hashlib.sha256(':'.join(key).encode()).hexdigest()[:32]}"
