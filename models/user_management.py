"""Tables of the Postgres schema `user_management`: people, their sign-in, their identity checks."""

from datetime import datetime

from sqlalchemy import LargeBinary, Text
from sqlmodel import Field, SQLModel

from models.platform import instant


class PersonKey(SQLModel, table=True):
    """The key that seals one person's data, itself sealed by the vault; deleting it erases the person."""

    __tablename__ = "person_keys"
    __table_args__ = {"schema": "user_management"}

    person_id: str = Field(primary_key=True, sa_type=Text)
    wrapped_key: bytes = Field(sa_type=LargeBinary)
    made_at: datetime = Field(sa_column=instant())
