"""What to search for: a person's data in every form in which it might lie about."""

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from cli.demo.stage import Person


def needles(person: Person) -> dict[bytes, str]:
    """Bytes to look for, in lower case where letters are plain, and what each of them is."""
    national = person.phone.removeprefix("+91")
    facts = {"name": person.name, "mail": person.email, "phone": national, "PAN": person.pan}
    found: dict[bytes, str] = {}
    for what, text in facts.items():
        if text:
            for how, form in forms(text):
                found.setdefault(form, f"{what}, {how}")
    return found


def forms(text: str) -> Iterator[tuple[str, bytes]]:
    """A text plain, as URLs and JSON hold it, in hexadecimal, and in base 64 wherever it begins."""
    plain = text.lower()
    yield from (("plain", plain.encode()), ("hexadecimal", text.encode().hex().encode()))
    yield from (("in a URL", quote(plain).lower().encode()), ("in a URL", quote_plus(plain).lower().encode()))
    yield "JSON", json.dumps(plain)[1:-1].encode()
    for shift in range(3):
        # The characters that also hold bits of a neighbour are cut off.
        inner = slice(-(-shift * 8 // 6), (shift + len(text)) * 8 // 6)
        padded = b"\0" * shift + text.encode()
        yield "base 64", base64.b64encode(padded)[inner].lower()
        yield "base 64", base64.urlsafe_b64encode(padded)[inner].lower()


def seen(haystack: bytes, wanted: dict[bytes, str]) -> set[str]:
    """Which of the needles lie in the haystack."""
    lower = haystack.lower()
    return {what for needle, what in wanted.items() if needle in lower}
