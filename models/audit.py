"""Tables of the Postgres schema `audit`: the outbox here, the trail with its chain of hashes beside it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Text
from sqlalchemy.dialects.postgresql import JSONB
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
