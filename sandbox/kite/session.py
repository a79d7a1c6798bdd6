"""Sign-in: request tokens, the token exchange and its checksum, renewal, invalidation, profile, login page.

Source: kite.trade/docs/connect/v3/user.
"""

import html
import os
import secrets
import sqlite3
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from sandbox.kite.caller import Caller, form, required
from sandbox.kite.errors import KiteError, ok, token_error
from sandbox.kite.hours import session_expiry, stamp
from sandbox.world import World

REQUEST_TOKEN_LIFE = timedelta(minutes=5)
OPENING_CASH_PAISE = 5_000_000_00
EXCHANGES = ["NSE", "BSE", "NFO", "MCX", "MF"]
PRODUCTS = ["CNC", "NRML", "MIS", "MTF", "CO"]
ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]


def open_account(db: sqlite3.Connection, user_id: str, name: str | None) -> None:
    """Makes the broker's customer on first sight; a given name replaces the one on record."""
    db.execute(
        "INSERT OR IGNORE INTO kite_users VALUES (?, ?, ?)",
        (user_id, name or f"Customer {user_id}", OPENING_CASH_PAISE),
    )
    if name:
        db.execute("UPDATE kite_users SET name = ? WHERE user_id = ?", (name, user_id))


def issue_request_token(world: World, api_key: str, user_id: str, name: str | None, now: datetime) -> str:
    """What the login page hands to the app: single-use, five minutes."""
    if api_key != world.credentials["kite"]["api_key"]:
        raise KiteError("InputException", "Invalid `api_key`.")
    open_account(world.db, user_id, name)
    token = world.new_id("", 32)
    world.db.execute(
        "INSERT INTO kite_request_tokens (token, api_key, user_id, issued_at) VALUES (?, ?, ?, ?)",
        (token, api_key, user_id, now.isoformat()),
    )
    return token


def _check(world: World, fields: dict[str, str], token: str) -> str:
    """The caller's api_key, once the checksum over key + token + secret is right."""
    api_key, checksum = required(fields, "api_key"), required(fields, "checksum")
    known = world.credentials["kite"]
    if api_key != known["api_key"]:
        raise token_error("Invalid `api_key`.")
    wanted = sha256((api_key + token + known["api_secret"]).encode()).hexdigest()
    if not secrets.compare_digest(checksum.encode(), wanted.encode()):
        raise token_error("Invalid `checksum`.")
    return api_key


def _open_session(world: World, api_key: str, user_id: str, now: datetime) -> Response:
    """One live session a user and app: a new one ends the older. Dies at 06:00 IST of the next day."""
    world.db.execute(
        "UPDATE kite_sessions SET dead = 1, refresh_dead = 1 WHERE api_key = ? AND user_id = ?",
        (api_key, user_id),
    )
    access, public, refresh = (world.new_id("", 32) for _ in range(3))
    world.db.execute(
        "INSERT INTO kite_sessions (access_token, api_key, user_id, public_token, refresh_token, login_at,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (access, api_key, user_id, public, refresh, now.isoformat(), session_expiry(now).isoformat()),
    )
    tokens = {
        "api_key": api_key, "access_token": access, "public_token": public, "enctoken": "",
        "refresh_token": refresh, "silo": "", "login_time": stamp(now),
    }  # fmt: skip
    return ok({**person(world.db, user_id), **tokens})


def person(db: sqlite3.Connection, user_id: str) -> dict[str, Any]:
    """The user as profile and token exchange show it."""
    row = db.execute("SELECT * FROM kite_users WHERE user_id = ?", (user_id,)).fetchone()
    return {
        "user_id": user_id, "user_type": "individual", "email": f"{user_id.lower()}@example.com",
        "user_name": row["name"], "user_shortname": row["name"].split()[0], "broker": "ZERODHA",
        "exchanges": EXCHANGES, "products": PRODUCTS, "order_types": ORDER_TYPES, "avatar_url": None,
        "meta": {"demat_consent": "consent"},
    }  # fmt: skip


def exchange_token(world: World, request: Request) -> Response:
    """`POST /session/token`."""
    fields = form(request)
    token = required(fields, "request_token")
    api_key = _check(world, fields, token)
    now = world.now(request)
    row = world.db.execute(
        "SELECT * FROM kite_request_tokens WHERE token = ? AND api_key = ? AND used = 0", (token, api_key)
    ).fetchone()
    if row is None or now - datetime.fromisoformat(row["issued_at"]) > REQUEST_TOKEN_LIFE:
        raise token_error("Token is invalid or has expired.")
    world.db.execute("UPDATE kite_request_tokens SET used = 1 WHERE token = ?", (token,))
    request.state.effect = {"session": row["user_id"]}
    return _open_session(world, api_key, row["user_id"], now)


def renew(world: World, request: Request) -> Response:
    """`POST /session/refresh_token`: a new session for a refresh token, which is then spent."""
    fields = form(request)
    refresh = required(fields, "refresh_token")
    api_key = _check(world, fields, refresh)
    row = world.db.execute(
        "SELECT * FROM kite_sessions WHERE refresh_token = ? AND api_key = ? AND refresh_dead = 0",
        (refresh, api_key),
    ).fetchone()
    if row is None:
        raise token_error("Token is invalid or has expired.")
    request.state.effect = {"session": row["user_id"]}
    return _open_session(world, api_key, row["user_id"], world.now(request))


def invalidate(world: World, request: Request) -> Response:
    """`DELETE /session/token`: ends an access token, or a refresh token."""
    query = dict(request.query_params)
    api_key = required(query, "api_key")
    if refresh := query.get("refresh_token"):
        change = "UPDATE kite_sessions SET refresh_dead = 1 WHERE refresh_token = ? AND api_key = ?"
        done = world.db.execute(change, (refresh, api_key))
    else:
        change = "UPDATE kite_sessions SET dead = 1 WHERE access_token = ? AND api_key = ? AND dead = 0"
        done = world.db.execute(change, (required(query, "access_token"), api_key))
    if not done.rowcount:
        raise token_error()
    request.state.effect = {"invalidated": True}
    return ok(True)


def profile(caller: Caller) -> Response:
    """`GET /user/profile`."""
    return ok(person(caller.world.db, caller.user_id))


def redirect_url(db: sqlite3.Connection) -> str:
    """The app's one redirect URL: set by the control interface, else `TREUM_SANDBOX_KITE_REDIRECT_URL`."""
    row = db.execute("SELECT redirect_url FROM kite_app").fetchone()
    given = str(row["redirect_url"]) if row else ""
    return given or os.environ.get("TREUM_SANDBOX_KITE_REDIRECT_URL", "")


LOGIN_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Kite sandbox login</title></head>
<body><main><h1>Kite login (sandbox)</h1>{message}<form method="post"><label>User ID
<input name="user_id" required pattern="[A-Za-z0-9]{{2,12}}"></label> <label>Name <input name="name"></label>
<button>Log in</button></form></main></body></html>"""


def login_page(world: World, request: Request) -> Response:
    """`GET /connect/login?v=3&api_key=`: the form the customer fills in at the broker."""
    if request.query_params.get("api_key") != world.credentials["kite"]["api_key"]:
        raise KiteError("InputException", "Invalid `api_key`.")
    return HTMLResponse(LOGIN_PAGE.format(message=""))


def login(world: World, request: Request) -> Response:
    """The filled-in form: back to the app with `request_token`, and its `redirect_params` passed through."""
    fields, query = form(request), request.query_params
    user_id = required(fields, "user_id").upper()
    if not (user_id.isascii() and user_id.isalnum()):
        raise KiteError("InputException", "Invalid `user_id`.")
    now = world.now(request)
    token = issue_request_token(world, query.get("api_key", ""), user_id, fields.get("name"), now)
    request.state.effect = {"request_token": token}
    target = redirect_url(world.db)
    if not target:
        message = f"<p>This app has no redirect URL. request_token: <code>{html.escape(token)}</code></p>"
        return HTMLResponse(LOGIN_PAGE.format(message=message))
    parts = urlsplit(target)
    passed = parse_qsl(query.get("redirect_params", ""))
    answer = [("action", "login"), ("type", "login"), ("status", "success"), ("request_token", token)]
    full = urlencode([*parse_qsl(parts.query), *passed, *answer])
    return RedirectResponse(urlunsplit(parts._replace(query=full)), status_code=302)
