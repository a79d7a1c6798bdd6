"""PAN verification, face match and the KRA and CKYC registries.

All are reads, so asking twice changes nothing; a PAN check is charged, once for each reference of ours.
"""

from datetime import date, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, Literal, Protocol

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict

from domain.errors import Unavailable
from providers.calls import ProviderCalls

TIMEOUT_SECONDS = 10.0


class PanStatus(StrEnum):
    """State of a PAN in the Income Tax database."""

    VALID = "valid"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


class KraState(StrEnum):
    """State of a client's record at the KYC registration agencies (SEBI KRA regulations)."""

    VALIDATED = "validated"
    REGISTERED = "registered"
    ON_HOLD = "on_hold"
    NOT_FOUND = "not_found"


def _yes_or_no(answer: object) -> object:
    """NSDL's `Y`, `N` and blank (not compared)."""
    return {"Y": True, "N": False, "": None}.get(answer, answer) if isinstance(answer, str) else answer


YesNo = Annotated[bool | None, BeforeValidator(_yes_or_no)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    check_id: str


class PanAnswer(_Answer):
    """`name_match` and `dob_match` are None where the PAN is unknown, so nothing was compared."""

    status: PanStatus
    name_match: YesNo
    dob_match: YesNo
    aadhaar_seeding_status: Literal["Y", "R", "NA"]


class FaceAnswer(_Answer):
    """Whether the selfie is the document's face, and whether a living person took it."""

    match: bool
    live: bool


class KraAnswer(_Answer):
    """What the KYC registration agencies hold for a PAN."""

    kra_status: KraState


class CkycAnswer(_Answer):
    """The central registry's KYC identifier, where there is one."""

    found: bool
    ckyc_number: str | None


class KycProvider(Protocol):
    """What onboarding asks of the KYC providers. Every method raises as `ProviderCalls.send` says.

    `as_of` is aware; codes are `kyc_refused` and `kyc_unavailable`.
    """

    async def check_pan(
        self,
        pan: str,
        name: str,
        date_of_birth: date,
        *,
        reference: str = "",
        as_of: datetime | None = None,
    ) -> PanAnswer:
        """Status of a PAN and whether name and date of birth are its holder's.

        `reference` is ours: the same question under it again is neither charged nor answered anew.
        """

    async def check_face(self, reference: str, *, as_of: datetime | None = None) -> FaceAnswer:
        """Result of the video call known by `reference`."""

    async def kra_state(self, pan: str, *, as_of: datetime | None = None) -> KraAnswer:
        """State at the KYC registration agencies."""

    async def find_ckyc(self, pan: str, *, as_of: datetime | None = None) -> CkycAnswer:
        """Looks a person up in the central registry."""

    async def aadhaar_certificate(self) -> str:
        """Certificate (PEM) that offline e-KYC files are signed with.

        To be pinned once, when an installation is set up, never fetched beside a file that it shall judge.
        """

    async def clock(self) -> datetime:
        """The provider's own time: what the age of its files is judged by, never the host's clock."""


class HttpKyc:
    """KYC providers over HTTP, below `base_url` (`.../kyc`)."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._calls = ProviderCalls(client, base_url, "kyc", timeout_seconds)

    async def check_pan(
        self,
        pan: str,
        name: str,
        date_of_birth: date,
        *,
        reference: str = "",
        as_of: datetime | None = None,
    ) -> PanAnswer:
        """See `KycProvider`."""
        body = {"pan": pan, "name": name, "dob": date_of_birth.isoformat()}
        if reference:
            body["reference"] = reference
        return await self._calls.ask(PanAnswer, "POST", "/pan", json=body, as_of=as_of)

    async def check_face(self, reference: str, *, as_of: datetime | None = None) -> FaceAnswer:
        """See `KycProvider`."""
        return await self._calls.ask(FaceAnswer, "POST", "/face", json={"reference": reference}, as_of=as_of)

    async def kra_state(self, pan: str, *, as_of: datetime | None = None) -> KraAnswer:
        """See `KycProvider`."""
        return await self._calls.ask(KraAnswer, "POST", "/kra", json={"pan": pan}, as_of=as_of)

    async def find_ckyc(self, pan: str, *, as_of: datetime | None = None) -> CkycAnswer:
        """See `KycProvider`."""
        return await self._calls.ask(CkycAnswer, "POST", "/ckyc", json={"pan": pan}, as_of=as_of)

    async def aadhaar_certificate(self) -> str:
        """See `KycProvider`."""
        return (await self._calls.send("GET", "/aadhaar/certificate", repeatable=True)).text

    async def clock(self) -> datetime:
        """See `KycProvider`; learnt from the answer's `Date`."""
        answer = await self._calls.send("GET", "/aadhaar/certificate", repeatable=True)
        try:
            return parsedate_to_datetime(answer.headers["date"])
        except (KeyError, ValueError):
            raise Unavailable("kyc_unavailable") from None
