"""Messages of the notifications column."""

from pydantic import BaseModel


class MessageInput(BaseModel):
    """A message that stands written in the store; its words and its addressee stay there."""

    message_id: str
