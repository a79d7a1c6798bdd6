"""Shapes of the onboarding column's requests and answers."""

import base64
import binascii
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PastDate, StringConstraints

from domain.kyc import PAN, Status, Tier

MAX_FILE_CHARACTERS = 9_000_000
"""Of base 64; the request as a whole is bounded at 10 MB."""


class Body(BaseModel):
    """A request's body: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


def _base64(text: str) -> str:
    try:
        if not base64.b64decode(text, validate=True):
            raise ValueError("the file is empty")
    except binascii.Error:
        raise ValueError("not base 64") from None
    return text


def _pan(text: str) -> str:
    pan = text.strip().upper()
    if not PAN.fullmatch(pan):
        raise ValueError("not the shape of a PAN")
    return pan


File = Annotated[str, Field(min_length=4, max_length=MAX_FILE_CHARACTERS), AfterValidator(_base64)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]


class Address(Body):
    line1: Line
    line2: Line | None = None
    city: Line
    state: Line
    pincode: Annotated[str, Field(pattern=r"^[1-9][0-9]{5}$")]


class AadhaarFile(Body):
    zip_base64: File
    share_code: Annotated[str, Field(min_length=1, max_length=32)]


class Document(Body):
    type: Code
    content_base64: File
    issued_on: date | None = None


class Consent(Body):
    purposes: Annotated[list[Literal["kyc"]], Field(min_length=1, max_length=5)]
    accepted: Literal[True]


class Submission(Body):
    """Everything that a KYC submission holds."""

    tier: Tier
    full_name: Line
    date_of_birth: PastDate
    pan: Annotated[str, AfterValidator(_pan)]
    address: Address
    aadhaar_ekyc: AadhaarFile
    documents: Annotated[list[Document], Field(max_length=10)] = []
    consent: Consent


class Submitted(BaseModel):
    onboarding_id: str
    status: Status


class Appeal(Body):
    reason: Words


class Step(BaseModel):
    step: str
    status: str
    reason_code: str | None
    at: AwareDatetime | None


class Bounds(BaseModel):
    """Paise; null: not bounded."""

    single: int | None
    daily: int | None
    monthly: int | None


class Kyc(BaseModel):
    """Where a customer's KYC stands, as the customer sees it. `limits` are 0 where none is verified."""

    status: Status
    tier: Tier | None
    steps: list[Step]
    limits: Bounds
    reason_code: str | None
    verified_at: AwareDatetime | None
    expires_at: AwareDatetime | None
    version: int


class Hit(BaseModel):
    entry_id: str
    state: str
    programme: str
    score: int
    list_version: str


class StaffKyc(Kyc):
    """And what only compliance sees."""

    user_id: str
    risk_score: int | None
    codes: dict[str, list[str]]
    screening: list[Hit]
    list_version: str | None
    screened_at: AwareDatetime | None
    frozen_at: AwareDatetime | None


class Case(BaseModel):
    case_id: str
    user_id: str
    reason: str
    status: str
    risk_score: int | None
    opened_at: AwareDatetime
    due_at: AwareDatetime
    escalated_at: AwareDatetime | None
    decided_at: AwareDatetime | None
    decided_by: str | None
    first_by: str | None
    version: int


class Decision(Body):
    decision: Literal["approve", "reject", "request_information"]
    reason: Words


class Decided(BaseModel):
    case_id: str
    status: str
    kyc_status: Status


class NewComplaint(Body):
    subject: Line
    text: Words
    about: Line | None = None


class Complaint(BaseModel):
    """`escalation` names where to go if the answer does not satisfy."""

    complaint_id: str
    status: str
    due_at: AwareDatetime
    escalation: dict[str, str]
