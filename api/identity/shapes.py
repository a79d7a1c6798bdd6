"""Shapes of the identity column's requests and answers."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.fields import Moment
from domain.identity import Channel, Role, normalise_email, normalise_phone


class Body(BaseModel):
    """A request's body: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


Email = Annotated[str, Field(max_length=254), AfterValidator(normalise_email)]
Phone = Annotated[str, Field(max_length=32), AfterValidator(normalise_phone)]
Password = Annotated[str, Field(min_length=8, max_length=256)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class Register(Body):
    email: Email
    phone: Phone
    password: Password
    full_name: Name


class Registered(BaseModel):
    user_id: str
    status: Literal["verification_pending"] = "verification_pending"


class Verify(Body):
    user_id: Id
    channel: Channel
    code: Code


class Verified(BaseModel):
    email_verified: bool
    phone_verified: bool


class Resend(Body):
    user_id: Id
    channel: Channel


class Login(Body):
    email: Annotated[str, Field(max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=256)]
    totp: Annotated[str, Field(min_length=6, max_length=32)] | None = None


class Pair(BaseModel):
    """What a sign-in gives."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int
    user_id: str


class Refresh(Body):
    refresh_token: Annotated[str, Field(min_length=1, max_length=256)]


class Session(BaseModel):
    session_id: str
    device: str
    made_at: datetime
    used_at: datetime
    expires_at: datetime
    current: bool


class Forgot(Body):
    email: Email


class Reset(Body):
    email: Email
    code: Code
    password: Password


class ChangePassword(Body):
    current_password: Annotated[str, Field(min_length=1, max_length=256)]
    new_password: Password


class ChangeContact(Body):
    """Exactly one of the two."""

    email: Email | None = None
    phone: Phone | None = None


class ProveContact(Body):
    channel: Channel
    code: Code


class Enrolled(BaseModel):
    secret: str
    otpauth_uri: str


class TotpCode(Body):
    code: Code


class Recovery(BaseModel):
    recovery_codes: list[str]


class Challenge(Body):
    method: Literal["totp", "phone"]


class Challenged(BaseModel):
    method: Literal["totp", "phone"]
    expires_in: int


class StepUp(Body):
    method: Literal["totp", "phone"]
    code: Code


class SteppedUp(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int


class NewKey(Body):
    name: Name
    expires_at: Moment | None = None


class Key(BaseModel):
    api_key_id: str
    name: str
    made_at: datetime
    expires_at: datetime | None


class MadeKey(Key):
    key: str


class Grant(Body):
    user_id: Id
    role: Role
    expires_at: Moment | None = None


class HeldRole(BaseModel):
    user_id: str
    role: Role
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None


class Address(Body):
    line1: Name
    line2: Annotated[str, Field(max_length=200)] | None = None
    city: Name
    state: Name
    pincode: Annotated[str, Field(pattern=r"^[1-9][0-9]{5}$")]


class Billing(Body):
    """Who is billed: the state is the place of supply of an unregistered buyer."""

    name: Name
    state: Name
    gstin: Annotated[str, Field(max_length=20)] | None = None
    address: Annotated[Address | None, Field(exclude_if=lambda given: given is None)] = None
    """On invoices (CGST Rule 46(d), (e)); without it the person's own stands there, and for a GSTIN the one
    that it is registered at."""


class ProfileChange(Body):
    """What is given replaces what is on record; the rest stays."""

    full_name: Name | None = None
    date_of_birth: date | None = None
    address: Address | None = None
    occupation: Name | None = None
    income: Annotated[int, Field(ge=0, le=10**15, description="paise a year")] | None = None
    experience: Literal["beginner", "intermediate", "advanced", "expert"] | None = None
    risk_tolerance: Literal["conservative", "moderate", "aggressive"] | None = None
    horizon: Literal["short", "medium", "long"] | None = None
    billing: Billing | None = None


class Profile(BaseModel):
    user_id: str
    email: str
    phone: str
    email_verified: bool
    phone_verified: bool
    full_name: str | None = None
    date_of_birth: date | None = None
    address: Address | None = None
    occupation: str | None = None
    income: int | None = None
    experience: str | None = None
    risk_tolerance: str | None = None
    horizon: str | None = None
    billing: Billing | None = None
    version: int


class Preferences(Body):
    language: Literal["en", "hi"] = "en"
    email_notifications: bool = True
    sms_notifications: bool = True
    marketing: bool = False


class PreferencesChange(Body):
    language: Literal["en", "hi"] | None = None
    email_notifications: bool | None = None
    sms_notifications: bool | None = None
    marketing: bool | None = None


class FamilyMember(Body):
    name: Name
    relation: Literal["spouse", "child", "parent", "sibling", "other"]
    date_of_birth: date | None = None
    user_id: Id | None = None


class Family(Body):
    """Whom the yearly fee cap of research services counts together (SEBI, research analysts)."""

    members: Annotated[list[FamilyMember], Field(max_length=20)]


Purpose = Literal["kyc", "research_services", "marketing"]
Document = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


class NewConsent(Body):
    purpose: Purpose
    document: Document
    version: Version


class WithdrawnConsent(Body):
    purpose: Purpose
    document: Document | None = None
    version: Version | None = None


class Consent(BaseModel):
    consent_id: str
    purpose: Purpose
    document: str
    version: str
    given_at: datetime
    withdrawn_at: datetime | None
