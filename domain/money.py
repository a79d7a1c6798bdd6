"""Amounts: an integer number of paise and a currency; nothing here ever sees a float."""

CURRENCY = "INR"
MIN_PAISE = 100
"""Razorpay takes and refunds at least one rupee."""


def half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` rounded half up to an integer, for a non-negative numerator.

    Raises:
        ValueError: the numerator is negative or the denominator is not positive.
    """
    if numerator < 0 or denominator <= 0:
        raise ValueError("half_up takes a non-negative numerator and a positive denominator")
    return (2 * numerator + denominator) // (2 * denominator)


def rupees(paise: int) -> str:
    """Paise in Indian notation, e.g. ``1,23,456.70``; a minus in front where it is negative."""
    whole, rest = divmod(abs(paise), 100)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    groups = [tail]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{'-' if paise < 0 else ''}{','.join(groups)}.{rest:02d}"


_ONES = (  # noqa: SIM905
    "Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen"
    " Seventeen Eighteen Nineteen"
).split()
_TENS = ["Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety"]


def in_words(paise: int) -> str:
    """A non-negative amount as an invoice spells it, e.g. ``Rupees One Lakh and Paise Five Only``."""
    whole, rest = divmod(paise, 100)
    text = f"Rupees {_words(whole)}"
    return f"{text} and Paise {_words(rest)} Only" if rest else f"{text} Only"


def _words(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    for size, name in ((10_000_000, "Crore"), (100_000, "Lakh"), (1_000, "Thousand"), (100, "Hundred")):
        if number >= size:
            rest = f" {_words(number % size)}" if number % size else ""
            return f"{_words(number // size)} {name}{rest}"
    raise AssertionError("a number is below twenty, below a hundred, or at least a hundred")
