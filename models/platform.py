"""Tables of the Postgres schema `platform`: the promises made to callers and the events received."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


def instant(*, nullable: bool = False) -> Column:
    """A point in time, always with its zone."""
    return Column(DateTime(timezone=True), nullable=nullable)


class CommandRow(SQLModel, table=True):
    """One promise: what a caller asked for, the id minted for it, and the answer once there is one."""

    __tablename__ = "commands"
    __table_args__ = (UniqueConstraint("actor", "route", "key"), {"schema": "platform"})

    command_id: str = Field(primary_key=True, sa_type=Text)
    actor: str = Field(sa_type=Text)
    route: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    body_hash: bytes = Field(sa_type=LargeBinary)
    business_id: str = Field(sa_type=Text)
    drive: bytes = Field(sa_type=LargeBinary)
    """What to start or update, sealed: a `temporal.commands.Drive` as JSON."""
    answer: bytes | None = Field(default=None, sa_type=LargeBinary)
    """What was answered, sealed: a `temporal.commands.Answer` as JSON."""
    attempts: int
    holder: str = Field(sa_type=Text)
    """Whose lease it is: the command id that the driving attempt would have minted."""
    lease_until: datetime = Field(sa_column=instant())
    made_at: datetime = Field(sa_column=instant())
    lasting: bool
    """Under a natural key: kept for good; under an idempotency key: for 24 hours after its answer."""


class EventRow(SQLModel, table=True):
    """One event received from outside, raw, until its workflow has taken it."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("source", "event_id"), {"schema": "platform"})

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    source: str = Field(sa_type=Text)
    event_id: str = Field(sa_type=Text)
    raw: bytes = Field(sa_type=LargeBinary)
    """The body as it came, sealed."""
    workflow_id: str | None = Field(default=None, sa_type=Text)
    signal: str | None = Field(default=None, sa_type=Text)
    argument: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The signal's argument as JSON, sealed: ids only, never the event's own claims."""
    start: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    """How the process is started where it does not run yet: type, queue and input, ids only."""
    attempts: int = 0
    received_at: datetime = Field(sa_column=instant())
    due_at: datetime = Field(sa_column=instant())
    done_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))


class Note(SQLModel, table=True):
    """Free text that someone wrote (a reason, a note): sealed here, histories carry its id."""

    __tablename__ = "notes"
    __table_args__ = {"schema": "platform"}

    note_id: str = Field(primary_key=True, sa_type=Text)
    author: str = Field(sa_type=Text)
    text: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())


class IdempotencyKey(SQLModel, table=True):
    """Which body a key came with first, for commands that are told apart by a natural key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = {"schema": "platform"}

    actor: str = Field(primary_key=True, sa_type=Text)
    route: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    body_hash: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())


class MessageRow(SQLModel, table=True):
    """A mail or text to a person, sealed, until it is sent; its id is the key the provider dedupes by."""

    __tablename__ = "messages"
    __table_args__ = {"schema": "platform"}

    message_id: str = Field(primary_key=True, sa_type=Text)
    person_id: str = Field(sa_type=Text)
    channel: str = Field(sa_type=Text)
    recipient: bytes = Field(sa_type=LargeBinary)
    subject: bytes = Field(sa_type=LargeBinary)
    text: bytes = Field(sa_type=LargeBinary)
    attempts: int = 0
    made_at: datetime = Field(sa_column=instant())
    due_at: datetime = Field(sa_column=instant())
    sent_at: datetime | None = Field(default=None, sa_column=instant(nullable=True))
