"""What `PeriodClose` and its activity take and give."""

from pydantic import AwareDatetime, BaseModel

from models.contracts.assertions import SignedAssertion


class CloseInput(BaseModel):
    """Input of `PeriodClose`: an accounting month, ``yyyy-mm``."""

    period: str
    assertion_public_key: str


class AskClose(BaseModel):
    """Update `close`, made with the start; the API signs for the person of finance who closes."""

    assertion: SignedAssertion


class ClosePeriod(BaseModel):
    """Input of `closing.close`; `subject` is the person's id."""

    period: str
    subject: str
    as_of: AwareDatetime


class Lack(BaseModel):
    """What a month still lacks: `about` names days, breaks or amounts."""

    code: str
    about: list[str]


class PeriodClosed(BaseModel):
    """`missing` is empty where the month is closed."""

    period: str
    status: str
    closed_at: AwareDatetime | None = None
    closed_by: str | None = None
    entries: int = 0
    documents: int = 0
    book_hash: str = ""
    missing: list[Lack] = []
