"""``treum seed``: what every new platform holds, and in an embedded home the staff to run it."""

import asyncio
import base64
import json
import secrets
from pathlib import Path
from typing import TypedDict

from cli.supervisor.state import write_atomically
from models.contracts.identifiers import Prefix, mint
from models.settings import settings

STAFF = ("admin", "compliance", "compliance2", "finance", "finance2", "analyst", "instructor", "support")


class Credential(TypedDict):
    """How one member of the staff signs in; ``totp_secret`` is base 32 of 20 bytes (RFC 4226, 4)."""

    user_id: str
    email: str
    password: str
    totp_secret: str


def main() -> None:
    """Write reference data and staff; repeating it changes nothing."""
    from store.seed import run

    configured = settings()
    staff = credentials(Path(configured.home)) if configured.env == "embedded" else None
    asyncio.run(run(configured, staff))


def credentials(home: Path) -> dict[str, Credential]:
    """The home's staff by name, made at its first start.

    Kept in ``DIR/credentials.json`` (mode 600) before any of it is stored: a crash in between leaves
    a file whose people are stored by the next start, never people whose passwords nobody knows.
    """
    path = home / "credentials.json"
    if path.exists():
        held: dict[str, Credential] = json.loads(path.read_text())
        return held
    staff = {name: _credential(name) for name in STAFF}
    write_atomically(path, json.dumps(staff, indent=2), mode=0o600)
    return staff


def _credential(name: str) -> Credential:
    return {
        "user_id": mint(Prefix.USER),
        "email": f"{name}.{secrets.token_hex(4)}@staff.example.com",
        "password": secrets.token_urlsafe(18),
        "totp_secret": base64.b32encode(secrets.token_bytes(20)).decode(),
    }
