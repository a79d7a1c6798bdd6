"""Messages of complaints: ids only; subject and text stay in the store."""

from pydantic import AwareDatetime, BaseModel

from domain.complaints import Status
from models.contracts.assertions import SignedAssertion


class ComplaintInput(BaseModel):
    complaint_id: str
    user_id: str
    due_at: AwareDatetime
    assertion_public_key: str = ""


class File(BaseModel):
    """The complaint was written beside this command."""


class Resolve(BaseModel):
    """Staff answered; `signed` is the API's assertion for the action `resolve`."""

    note_id: str
    signed: SignedAssertion


class ComplaintView(BaseModel):
    complaint_id: str
    status: Status
    due_at: AwareDatetime
    escalation: dict[str, str]


class ComplaintMove(BaseModel):
    complaint_id: str
    status: Status
    note_id: str | None = None
