"""DigiLocker: a citizen's consent by OAuth 2 with PKCE, then the documents that were issued to them."""

import base64
import hashlib
import hmac
from datetime import date, datetime
from typing import Protocol
from urllib.parse import quote, urlencode

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from domain.errors import Rejected, Unavailable
from providers.calls import ProviderCalls

TIMEOUT_SECONDS = 10.0


class Grant(BaseModel):
    """A citizen's consent. The token is a secret: never for a workflow's history."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    digilocker_id: str
    name: str
    date_of_birth: date


class IssuedFile(BaseModel):
    """A document that its issuer put into the locker; `doctype` is DigiLocker's (`ADHAR`, `PANCR`, ...)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    uri: str
    doctype: str
    name: str
    issuerid: str


class _Token(BaseModel):
    access_token: str
    digilockerid: str
    name: str
    dob: str


class _Files(BaseModel):
    items: list[IssuedFile]


class DigiLocker(Protocol):
    """What onboarding asks of DigiLocker. Codes: `digilocker_refused`, `_unavailable`, `_unknown`."""

    def consent_link(self, state: str, code_verifier: str) -> str:
        """Where the citizen consents, within ten minutes. `code_verifier`: 43 to 128 characters."""

    async def redeem(self, code: str, code_verifier: str, *, as_of: datetime | None = None) -> Grant:
        """Turns a code, which works once, into a grant; after Unknown the citizen is asked anew."""

    async def issued_files(self, access_token: str, *, as_of: datetime | None = None) -> list[IssuedFile]:
        """What the locker holds."""

    async def read_file(self, access_token: str, uri: str, *, as_of: datetime | None = None) -> bytes:
        """One document; raises Rejected `digilocker_seal_wrong` where its HMAC does not fit."""


class HttpDigiLocker:
    """DigiLocker over HTTP, below `base_url`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        *,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._calls = ProviderCalls(client, base_url, "digilocker", timeout_seconds)
        self._base_url = base_url.rstrip("/")
        self._app = {"client_id": client_id, "client_secret": client_secret}
        self._redirect_uri = redirect_uri

    def consent_link(self, state: str, code_verifier: str) -> str:
        """See `DigiLocker`."""
        proof = hashlib.sha256(code_verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._app["client_id"],
            "redirect_uri": self._redirect_uri,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(proof).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._base_url}/authorize?{urlencode(asked)}"

    async def redeem(self, code: str, code_verifier: str, *, as_of: datetime | None = None) -> Grant:
        """See `DigiLocker`."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        form |= {"code_verifier": code_verifier} | self._app
        response = await self._calls.send("POST", "/token", repeatable=False, form=form, as_of=as_of)
        try:
            token = _Token.model_validate_json(response.content)
            born = date(int(token.dob[4:]), int(token.dob[2:4]), int(token.dob[:2]))  # ddmmyyyy
        except ValueError:  # pydantic's ValidationError is one
            raise Rejected("digilocker_refused", "malformed_token") from None
        return Grant(
            access_token=token.access_token,
            digilocker_id=token.digilockerid,
            name=token.name,
            date_of_birth=born,
        )

    async def issued_files(self, access_token: str, *, as_of: datetime | None = None) -> list[IssuedFile]:
        """See `DigiLocker`."""
        response = await self._read("/files/issued", access_token, as_of)
        try:
            return _Files.model_validate_json(response.content).items
        except ValidationError:
            raise Unavailable("digilocker_unavailable") from None

    async def read_file(self, access_token: str, uri: str, *, as_of: datetime | None = None) -> bytes:
        """See `DigiLocker`."""
        response = await self._read(f"/file/{quote(uri, safe='')}", access_token, as_of)
        seal = hmac.new(self._app["client_secret"].encode(), response.content, hashlib.sha256).digest()
        given = response.headers.get("hmac", "")
        if not hmac.compare_digest(base64.b64encode(seal), given.encode()):
            raise Rejected("digilocker_seal_wrong")
        return response.content

    async def _read(self, path: str, access_token: str, as_of: datetime | None) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {access_token}"}
        return await self._calls.send("GET", path, repeatable=True, headers=bearer, as_of=as_of)
