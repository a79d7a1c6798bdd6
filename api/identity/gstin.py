"""GST identification numbers, checked in full."""

from stdnum import luhn
from stdnum.exceptions import ValidationError
from stdnum.in_ import gstin, pan

NEWER_STATES = frozenset({"38", "97"})
"""Ladakh (since 31 October 2019) and other territory: the GST portal has them, python-stdnum not yet."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def checked_gstin(text: str) -> str | None:
    """The number in capitals without separators: 15 characters; None where shape, state, PAN or check
    digit is wrong."""
    number = gstin.compact(text)
    try:
        if number[:2] not in NEWER_STATES:
            return gstin.validate(number)
        if len(number) != 15 or number[12] == "0" or number[13] != "Z":
            return None
        pan.validate(number[2:12])
        luhn.validate(number, ALPHABET)
    except ValidationError:
        return None
    return number
