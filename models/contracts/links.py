"""Links that stand on documents: whoever holds the document may follow them, and nobody can guess one."""

import base64
import hmac

CODE_BYTES = 10
"""80 bits: 16 characters, more than can be tried at any rate that the limits let through."""


def invoice_code(mac: bytes) -> str:
    """The code of a document's link, of a keyed hash of its id; lower-case base 32, 16 characters."""
    return base64.b32encode(mac[:CODE_BYTES]).decode().lower()


def is_code_of(code: str, given: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(code.encode(), given.encode())


def invoice_link(public_url: str, invoice_id: str, code: str) -> str:
    return f"{public_url}/v1/invoices/{invoice_id}/verify?code={code}"
