"""Access tokens: RS256 JSON Web Tokens (RFC 9068 claims), 15 minutes, five for a fresh second factor."""

import base64
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from models.contracts.identifiers import uuid7
from models.settings import Settings

LIFETIME = timedelta(minutes=15)
STEP_UP_LIFETIME = timedelta(minutes=5)
AUDIENCE = "treum"


class NotOurs(ValueError):
    """The token is forged, expired, or not an access token of ours."""


@dataclass(frozen=True)
class Claims:
    """What a valid token says. Roles and tier in it are for clients to read; requests read them afresh."""

    user_id: str
    session_id: str
    acr: str


class Tokens:
    """Issues and reads access tokens under the key of the settings."""

    def __init__(self, settings: Settings) -> None:
        pem = base64.b64decode(settings.token_key.get_secret_value())
        self._key = RSAKey.import_key(pem)
        self._key.ensure_kid()
        self._issuer = settings.public_url
        self._registry = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
        )

    def issue(
        self, user_id: str, session_id: str, roles: list[str], tier: str, *, stepped_up: bool = False
    ) -> tuple[str, int]:
        """A token and the seconds it lives."""
        now = int(time.time())
        lifetime = int((STEP_UP_LIFETIME if stepped_up else LIFETIME).total_seconds())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "roles": roles,
            "tier": tier,
            "acr": "2" if stepped_up else "1",
            "iat": now,
            "exp": now + lifetime,
            "jti": uuid7().hex,
        }
        header = {"alg": "RS256", "kid": self._key.kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key, algorithms=["RS256"]), lifetime

    def read(self, token: str) -> Claims:
        """Raises NotOurs."""
        try:
            decoded = jwt.decode(token, self._key, algorithms=["RS256"])
            self._registry.validate(decoded.claims)
            claims = decoded.claims
            found = Claims(claims["sub"], claims["sid"], claims["acr"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise NotOurs from None
        if not all(isinstance(part, str) for part in (found.user_id, found.session_id, found.acr)):
            raise NotOurs
        return found

    def published(self) -> dict[str, Any]:
        """The JSON Web Key Set (RFC 7517) by which others check our tokens."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": "RS256"}]}
