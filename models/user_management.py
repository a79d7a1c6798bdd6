"""Tables of the Postgres schema `user_management`: people, their sign-in, their identity checks."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant


class PersonKey(SQLModel, table=True):
    """The key that seals one person's data, itself sealed by the vault; deleting it erases the person."""

    __tablename__ = "person_keys"
    __table_args__ = {"schema": "user_management"}

    person_id: str = Field(primary_key=True, sa_type=Text)
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())


class User(SQLModel, table=True):
    """Someone who signs in. Contacts are sealed; their blind indexes are unique and cleared by erasure."""

    __tablename__ = "users"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text)
    email_index: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    email: bytes = Field(sa_type=LargeBinary)
    phone_index: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    phone: bytes = Field(sa_type=LargeBinary)
    password_hash: str = Field(sa_type=Text)
    """Argon2id, with its own parameters and salt."""
    email_verified_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    phone_verified_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    kyc_status: str = Field(default="pending", sa_type=Text)
    risk_score: int | None = Field(default=None, sa_type=SmallInteger)
    aml_status: str | None = Field(default=None, sa_type=Text)
    sanctions_check_date: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    pep_status: bool | None = None
    totp_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    totp_pending: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Enrolled, no code of it shown yet."""
    totp_activated_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    totp_counter: int = Field(default=0, sa_type=BigInteger)
    """The last 30-second step whose code was used; only later ones fit."""
    created_at: datetime = Field(sa_column=instant())
    created_by: str = Field(sa_type=Text)
    updated_at: datetime = Field(sa_column=instant())
    updated_by: str = Field(sa_type=Text)
    deleted_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    version: int = Field(default=1, sa_type=BigInteger)


class UserProfile(SQLModel, table=True):
    """What a person told of themselves: `data` and `family` are sealed JSON."""

    __tablename__ = "user_profiles"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text, foreign_key="user_management.users.user_id")
    data: bytes = Field(sa_type=LargeBinary)
    preferences: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    family: bytes | None = Field(default=None, sa_type=LargeBinary)
    updated_at: datetime = Field(sa_column=instant())
    version: int = Field(default=1, sa_type=BigInteger)


class FamilyLink(SQLModel, table=True):
    """Another customer whom a person names as family: the fee cap of research services counts both."""

    __tablename__ = "family_links"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text, foreign_key="user_management.users.user_id")
    member_id: str = Field(primary_key=True, sa_type=Text)


class SentCode(SQLModel, table=True):
    """A six-digit code, hashed under the firm's key; one a subject and purpose. A decoy has some too."""

    __tablename__ = "codes"
    __table_args__ = {"schema": "user_management"}

    subject_id: str = Field(primary_key=True, sa_type=Text)
    purpose: str = Field(primary_key=True, sa_type=Text)
    code_hash: bytes = Field(sa_type=LargeBinary)
    payload: bytes | None = Field(default=None, sa_type=LargeBinary)
    """What it was made for (a new contact), sealed."""
    tries: int = 0
    made_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
    used_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class SessionRow(SQLModel, table=True):
    """A sign-in on a device: the family of its refresh tokens."""

    __tablename__ = "sessions"
    __table_args__ = {"schema": "user_management"}

    session_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text, foreign_key="user_management.users.user_id")
    device: bytes | None = Field(default=None, sa_type=LargeBinary)
    fingerprint: bytes | None = Field(default=None, sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())
    used_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    end_reason: str | None = Field(default=None, sa_type=Text)


class RefreshToken(SQLModel, table=True):
    """A refresh token, hashed: spent once for its successor."""

    __tablename__ = "refresh_tokens"
    __table_args__ = {"schema": "user_management"}

    token_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    session_id: str = Field(sa_type=Text, foreign_key="user_management.sessions.session_id")
    made_at: datetime = Field(sa_column=instant())
    expires_at: datetime = Field(sa_column=instant())
    spent_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    successor: bytes | None = Field(default=None, sa_type=LargeBinary)
    voided_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class SignInFailure(SQLModel, table=True):
    """Failed sign-ins in a row under one mail, whether or not it is anyone's."""

    __tablename__ = "sign_in_failures"
    __table_args__ = {"schema": "user_management"}

    email_index: bytes = Field(primary_key=True, sa_type=LargeBinary)
    failures: int
    failed_at: datetime = Field(sa_column=instant())
    locked_until: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class RecoveryCode(SQLModel, table=True):
    """A code that stands for a lost second factor, hashed, used once."""

    __tablename__ = "recovery_codes"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text, foreign_key="user_management.users.user_id")
    code_hash: bytes = Field(primary_key=True, sa_type=LargeBinary)
    used_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class ApiKey(SQLModel, table=True):
    """A key by which programs act for their owner; the key is hashed, its name sealed."""

    __tablename__ = "api_keys"
    __table_args__ = {"schema": "user_management"}

    api_key_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text, foreign_key="user_management.users.user_id")
    name: bytes = Field(sa_type=LargeBinary)
    key_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    made_at: datetime = Field(sa_column=instant())
    expires_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class RoleRow(SQLModel, table=True):
    """A role of staff and what it permits."""

    __tablename__ = "roles"
    __table_args__ = {"schema": "user_management"}

    role: str = Field(primary_key=True, sa_type=Text)
    permissions: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))


class UserRole(SQLModel, table=True):
    """A role that someone held: by whose grant, until when, ended by whom."""

    __tablename__ = "user_roles"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text, foreign_key="user_management.users.user_id")
    role: str = Field(primary_key=True, sa_type=Text, foreign_key="user_management.roles.role")
    granted_by: str = Field(sa_type=Text)
    granted_at: datetime = Field(sa_column=Column(instant().type, primary_key=True))
    expires_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
    ended_by: str | None = Field(default=None, sa_type=Text)
    ended_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class Consent(SQLModel, table=True):
    """What someone agreed to, in which version, since when and until when."""

    __tablename__ = "consents"
    __table_args__ = {"schema": "user_management"}

    consent_id: str = Field(primary_key=True, sa_type=Text)
    user_id: str = Field(sa_type=Text, foreign_key="user_management.users.user_id")
    purpose: str = Field(sa_type=Text)
    document: str = Field(sa_type=Text)
    document_version: str = Field(sa_type=Text)
    given_at: datetime = Field(sa_column=instant())
    withdrawn_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class RiskScore(SQLModel, table=True):
    """What an outside judge says of a customer's place or honesty, 0 to 100; the newest counts."""

    __tablename__ = "risk_scores"
    __table_args__ = {"schema": "user_management"}

    user_id: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    score: int
    source: str = Field(sa_type=Text)
    set_by: str = Field(sa_type=Text)
    set_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    expires_at: datetime = Field(sa_column=instant())
