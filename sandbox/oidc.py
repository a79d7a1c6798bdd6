"""An OpenID provider: discovery, keys, authorization code flow with PKCE, RS256 id tokens, userinfo.

OpenID Connect Core 1.0, Discovery 1.0, RFC 6749 and RFC 7636. One confidential client, whose id and
secret `GET /_control/oidc/client` tells. Whoever names a mail at the sign-in page is that person; a
`login_hint` stands for somebody who is signed in there already.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.control import ControlError, fields
from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS oidc_users (
  sub TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, email_verified INTEGER NOT NULL, name TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS oidc_codes (
  code TEXT PRIMARY KEY, sub TEXT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
  scope TEXT NOT NULL, nonce TEXT NOT NULL, at TEXT NOT NULL, spent INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS oidc_tokens (
  token TEXT PRIMARY KEY, code TEXT NOT NULL, sub TEXT NOT NULL, scope TEXT NOT NULL, expires_at TEXT NOT NULL
);
"""

CODE_LIFE = timedelta(minutes=1)
TOKEN_LIFE = timedelta(minutes=10)
SCOPES = ("openid", "email", "profile")
PASSED_ON = ("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge")


def error(status: int, request: Request) -> JSONResponse:
    """A failure in OAuth 2's shape."""
    return refuse(status, "temporarily_unavailable" if status == 429 else "server_error")


def refuse(status: int, code: str, description: str = "", challenge: str = "") -> JSONResponse:
    """An error answer of RFC 6749, 5.2; `challenge` is the WWW-Authenticate header of a 401."""
    body = {"error": code} | ({"error_description": description} if description else {})
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": challenge} if challenge else {})
    return JSONResponse(body, status, headers=headers)


def client(world: World) -> dict[str, str]:
    """The one registered client, kept over restarts and resets."""
    return {
        "client_id": "treum",
        "client_secret": world.kept("oidc.client_secret", lambda: world.new_id("", 32)),
    }


def signing_key(world: World) -> RSAKey:
    """The provider's key, kept over restarts and resets; its id is its thumbprint."""
    pem = world.kept("oidc.key", lambda: RSAKey.generate_key(2048).as_pem(private=True).decode())
    key = RSAKey.import_key(pem, {"use": "sig", "alg": "RS256"})
    key.ensure_kid()
    return key


def issuer(request: Request) -> str:
    """The issuer as this caller reaches it: what it discovered is what its tokens name."""
    return f"{str(request.base_url).rstrip('/')}/oidc"


def s256(text: str) -> str:
    """BASE64URL(SHA256(text)), as PKCE has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def at_hash(token: str) -> str:
    """OpenID Connect Core 3.1.3.6: the left half of the access token's hash."""
    half = hashlib.sha256(token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def user_by_mail(world: World, email: str, name: str = "", verified: bool = True) -> str:
    """Subject of the person with this mail, who is made where there is none."""
    row = world.db.execute("SELECT sub FROM oidc_users WHERE email = ?", (email,)).fetchone()
    if row:
        return str(row["sub"])
    sub = world.new_id("", 24)
    values = (sub, email, int(verified), name or email.partition("@")[0])
    world.db.execute("INSERT INTO oidc_users VALUES (?, ?, ?, ?)", values)
    return sub


def claims(world: World, sub: str, scope: str) -> dict[str, Any]:
    """What the granted scopes tell of a person."""
    row = world.db.execute("SELECT * FROM oidc_users WHERE sub = ?", (sub,)).fetchone()
    told: dict[str, Any] = {"sub": sub}
    if "email" in scope.split():
        told |= {"email": row["email"], "email_verified": bool(row["email_verified"])}
    return told | ({"name": row["name"]} if "profile" in scope.split() else {})


def sent_form(request: Request) -> dict[str, str]:
    """The URL-encoded body's fields, the first of each name."""
    found = parse_qs(request.state.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {key: values[0] for key, values in found.items()}


def routes(world: World) -> list[BaseRoute]:
    """The provider's endpoints, all below `/oidc`."""

    async def discovery(request: Request) -> JSONResponse:
        base = issuer(request)
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/jwks",
                "scopes_supported": list(SCOPES),
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
                "claims_supported": [
                    "sub",
                    "iss",
                    "aud",
                    "exp",
                    "iat",
                    "nonce",
                    "email",
                    "email_verified",
                    "name",
                ],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(request: Request) -> JSONResponse:
        return JSONResponse(KeySet([signing_key(world)]).as_dict(private=False))

    async def authorize(request: Request) -> Response:
        asked = sent_form(request) if request.method == "POST" else dict(request.query_params)
        to = urlsplit(asked.get("redirect_uri", ""))
        # Neither of these may be told by a redirect (RFC 6749, 4.1.2.1): nobody vouches for the address.
        if asked.get("client_id") != client(world)["client_id"]:
            return refuse(400, "unauthorized_client")
        if to.scheme not in ("http", "https") or not to.netloc or to.fragment:
            return refuse(400, "invalid_request", "redirect_uri is no absolute address")
        wrong = _wrong_with(asked)
        if wrong:
            return _back(request, asked, error=wrong)
        email = asked.get("email") if request.method == "POST" else asked.get("login_hint")
        if not email:
            return (
                _back(request, asked, error="login_required")
                if asked.get("prompt") == "none"
                else _page(asked)
            )
        code = world.new_id("", 40)
        sub = user_by_mail(world, email, asked.get("name", ""))
        world.db.execute(
            "INSERT INTO oidc_codes (code, sub, redirect_uri, challenge, scope, nonce, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                code,
                sub,
                asked["redirect_uri"],
                asked["code_challenge"],
                " ".join(scope for scope in asked["scope"].split() if scope in SCOPES),
                asked.get("nonce", ""),
                world.now(request).isoformat(),
            ),
        )
        request.state.effect = {"sub": sub}
        return _back(request, asked, code=code)

    async def token(request: Request) -> Response:
        form, now = sent_form(request), world.now(request)
        if not _is_client(request, form, client(world)):
            return refuse(401, "invalid_client", challenge='Basic realm="oidc"')
        if form.get("grant_type") != "authorization_code":
            return refuse(400, "unsupported_grant_type")
        row = world.db.execute("SELECT * FROM oidc_codes WHERE code = ?", (form.get("code", ""),)).fetchone()
        if row is None or now > datetime.fromisoformat(row["at"]) + CODE_LIFE:
            return refuse(400, "invalid_grant", "the code is unknown or expired")
        if row["spent"]:
            # A code used twice was stolen: what it gave is void too (RFC 6749, 4.1.2).
            world.db.execute("DELETE FROM oidc_tokens WHERE code = ?", (row["code"],))
            return refuse(400, "invalid_grant", "the code is spent")
        fits = hmac.compare_digest(s256(form.get("code_verifier", "")), row["challenge"])
        if form.get("redirect_uri") != row["redirect_uri"] or not fits:
            return refuse(400, "invalid_grant", "redirect_uri or code_verifier does not fit")
        access = world.new_id("", 40)
        until = (now + TOKEN_LIFE).isoformat()
        world.db.execute("UPDATE oidc_codes SET spent = 1 WHERE code = ?", (row["code"],))
        values = (access, row["code"], row["sub"], row["scope"], until)
        world.db.execute("INSERT INTO oidc_tokens VALUES (?, ?, ?, ?, ?)", values)
        request.state.effect = {"sub": row["sub"]}
        body = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": int(TOKEN_LIFE.total_seconds()),
            "scope": row["scope"],
            "id_token": id_token(request, access, dict(row), now),
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def id_token(request: Request, access: str, grant: dict[str, Any], now: datetime) -> str:
        key = signing_key(world)
        issued = int(now.timestamp())
        told = {
            "iss": issuer(request),
            "aud": client(world)["client_id"],
            "iat": issued,
            "exp": issued + int(TOKEN_LIFE.total_seconds()),
            "auth_time": int(datetime.fromisoformat(grant["at"]).timestamp()),
            "at_hash": at_hash(access),
            **({"nonce": grant["nonce"]} if grant["nonce"] else {}),
            **claims(world, grant["sub"], grant["scope"]),
        }
        return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": key.kid}, told, key)

    async def userinfo(request: Request) -> Response:
        scheme, _, access = request.headers.get("authorization", "").partition(" ")
        row = world.db.execute("SELECT * FROM oidc_tokens WHERE token = ?", (access,)).fetchone()
        late = row is not None and datetime.fromisoformat(row["expires_at"]) <= world.now(request)
        if scheme.lower() != "bearer" or row is None or late:
            return refuse(401, "invalid_token", challenge='Bearer error="invalid_token"')
        return JSONResponse(claims(world, row["sub"], row["scope"]))

    return [
        Route("/oidc/.well-known/openid-configuration", discovery, methods=["GET"]),
        Route("/oidc/jwks", jwks, methods=["GET"]),
        Route("/oidc/authorize", authorize, methods=["GET", "POST"]),
        Route("/oidc/token", token, methods=["POST"]),
        Route("/oidc/userinfo", userinfo, methods=["GET", "POST"]),
    ]


def control_routes(world: World) -> list[BaseRoute]:
    """The client's credentials, and persons who exist before they first sign in."""

    async def credentials(request: Request) -> JSONResponse:
        return JSONResponse(client(world) | {"issuer": issuer(request)})

    async def user(request: Request) -> JSONResponse:
        body = await fields(request)
        email, name, verified = body.get("email"), body.get("name", ""), body.get("email_verified", True)
        if not isinstance(email, str) or "@" not in email or not isinstance(name, str):
            raise ControlError("`email` or `name` is malformed")
        sub = user_by_mail(world, email, name, verified is True)
        return JSONResponse({"sub": sub, "email": email})

    return [
        Route("/_control/oidc/client", credentials, methods=["GET"]),
        Route("/_control/oidc/user", user, methods=["POST"]),
    ]


def _wrong_with(asked: dict[str, str]) -> str:
    """The error code of RFC 6749, 4.1.2.1 that an authorization request earns, or nothing."""
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in asked.get("scope", "").split():
        return "invalid_scope"
    pkce = asked.get("code_challenge") and asked.get("code_challenge_method") == "S256"
    return "" if pkce else "invalid_request"


def _back(request: Request, asked: dict[str, str], **answer: str) -> Response:
    state = {"state": asked["state"]} if asked.get("state") else {}
    mark = "&" if urlsplit(asked["redirect_uri"]).query else "?"
    query = urlencode({**answer, **state, "iss": issuer(request)})
    return RedirectResponse(f"{asked['redirect_uri']}{mark}{query}", 302)


def _page(asked: dict[str, str]) -> Response:
    kept = {key: asked[key] for key in (*PASSED_ON, "code_challenge_method") if key in asked}
    hidden = "".join(f'<input type="hidden" name="{k}" value="{escape(v)}">' for k, v in kept.items())
    return HTMLResponse(
        '<!doctype html><html lang="en"><title>Sandbox sign-in</title><h1>Sandbox sign-in</h1>'
        f'<form method="post">{hidden}<label>Mail <input name="email" type="email" required></label>'
        '<label>Name <input name="name"></label><button>Sign in</button></form></html>',
        headers={"Content-Security-Policy": "default-src 'none'", "Cache-Control": "no-store"},
    )


def _is_client(request: Request, form: dict[str, str], own: dict[str, str]) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return False
        given = (unquote_plus(name), unquote_plus(secret))
    else:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
    return hmac.compare_digest("\0".join(given).encode(), "\0".join(own.values()).encode())
