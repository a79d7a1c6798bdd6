"""Who may look: staff who signed in at the API, known by its RS256 access token."""

import html
import time

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

COOKIE = "treum_staff"
STAFF_ROLES = frozenset({"support", "finance", "compliance", "admin"})
KEYS_KEPT_SECONDS = 300.0


class StaffDoor:
    """Asks the API for tokens and checks them with its published keys."""

    def __init__(self, api: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport`: how the API is reached, where it is served in this very process."""
        self._api = httpx.AsyncClient(base_url=api, timeout=5.0, transport=transport)
        self._keys: KeySet | None = None
        self._read_at = 0.0

    async def token(self, email: str, password: str, totp: str) -> str | None:
        """An access token of a member of staff; None where the API refuses or no staff role is held."""
        body = {"email": email, "password": password, "totp": totp or None}
        try:
            answer = await self._api.post("/v1/auth/login", json=body)
        except httpx.HTTPError:
            return None
        if answer.status_code != httpx.codes.OK:
            return None
        token = str(answer.json()["access_token"])
        return token if await self.subject(token, None) else None

    async def subject(self, cookie: str | None, authorization: str | None) -> str | None:
        """The user id of a signed-in member of staff, from the cookie or a bearer token; else None."""
        token = cookie or (authorization or "").removeprefix("Bearer ").strip()
        if not token:
            return None
        keys = await self._published()
        if keys is None:
            return None
        try:
            claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return None
        expired = float(claims.get("exp", 0)) < time.time()
        held = STAFF_ROLES.intersection(claims.get("roles", ()))
        return str(claims["sub"]) if held and not expired else None

    async def _published(self) -> KeySet | None:
        if self._keys is None or time.monotonic() - self._read_at > KEYS_KEPT_SECONDS:
            try:
                answer = await self._api.get("/v1/auth/jwks.json")
                self._keys = KeySet.import_key_set(answer.raise_for_status().json())
                self._read_at = time.monotonic()
            except (httpx.HTTPError, ValueError, JoseError):
                return self._keys
        return self._keys


def sign_in_page(message: str = "") -> str:
    note = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Treum staff</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px system-ui;display:grid;place-items:center;min-height:90vh;background:#f5f6f8;color:#1c2330}}
form{{background:#fff;padding:2rem;border-radius:12px;box-shadow:0 2px 12px #0002;display:grid;gap:.8rem;
width:20rem}}h1{{font-size:1.1rem;margin:0}}label{{display:grid;gap:.2rem;font-size:.85rem}}
input{{padding:.5rem;border:1px solid #c5cad3;border-radius:6px;font:inherit}}
button{{padding:.6rem;border:0;border-radius:6px;background:#1c4ed8;color:#fff;font:inherit}}
[role=alert]{{color:#b3261e;margin:0;font-size:.9rem}}</style>
<form method="post" action="/sign-in"><h1>Treum: processes</h1>{note}
<label>Mail<input name="email" type="email" autocomplete="username" required></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<label>One-time code<input name="totp" inputmode="numeric" pattern="[0-9]{{6}}"
autocomplete="one-time-code"></label><button>Sign in</button></form></html>"""
