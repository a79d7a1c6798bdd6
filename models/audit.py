"""Tables of the Postgres schema `audit`: the outbox here, the trail with its chain of hashes beside it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from models.platform import instant


class OutboxRow(SQLModel, table=True):
    """An event for others, written in the transaction of the state it tells of."""

    __tablename__ = "outbox"
    __table_args__ = {"schema": "audit"}

    number: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    topic: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    """The entity the event is about; order is kept within it."""
    type: str = Field(sa_type=Text)
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    """Ids, codes and amounts: the stream is read by others, so no personal data."""
    made_at: datetime = Field(sa_column=instant())
    sequence: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Place in the topic, given by the relay after commit, without gaps."""


class TopicRow(SQLModel, table=True):
    """The last sequence that a topic has given out; one row a topic, written by the relay alone."""

    __tablename__ = "topics"
    __table_args__ = {"schema": "audit"}

    topic: str = Field(primary_key=True, sa_type=Text)
    last_sequence: int = Field(sa_type=BigInteger)
    published_sequence: int = Field(sa_type=BigInteger)


class TrailRow(SQLModel, table=True):
    """Who did what to whom: appended only, each entry holding the hash of the one before (both by
    triggers), so that neither a change nor a gap stays unseen."""

    __tablename__ = "trail"
    __table_args__ = {"schema": "audit"}

    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    made_at: datetime = Field(sa_column=instant())
    actor: str = Field(sa_type=Text)
    """The user who acted."""
    action: str = Field(sa_type=Text)
    """A dotted word: ``role.granted``, ``staff.searched``, ``run.refund.approve``."""
    subjects: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    """Persons, runs and objects that it was about, by id."""
    run: str | None = Field(default=None, sa_type=Text)
    """The workflow through which it was done."""
    detail: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    """Ids and codes, no free text and no personal data."""
    previous: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    """SHA-256 over the hash before and this entry's contents."""
