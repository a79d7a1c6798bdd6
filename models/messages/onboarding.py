"""Messages of the onboarding column: ids, codes and results only. What was handed in stays in the store."""

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel

from domain.kyc import Result, Status, Step, Tier
from models.contracts.assertions import SignedAssertion


class Reason(StrEnum):
    """Why a person has to decide."""

    SCREENING_HIT = "screening_hit"
    RISK_SCORE = "risk_score"
    TRIES_EXHAUSTED = "tries_exhausted"
    APPEAL = "appeal"
    RESCREENING_HIT = "rescreening_hit"
    PROVIDER_REFUSED = "provider_refused"
    """A provider will not judge what was handed in."""


class CaseStatus(StrEnum):
    OPEN = "open"
    AWAITING_SECOND = "awaiting_second"
    """One officer approved; another one has to."""
    ESCALATED = "escalated"
    APPROVED = "approved"
    REJECTED = "rejected"
    INFORMATION_REQUESTED = "information_requested"
    WITHDRAWN = "withdrawn"


class Notice(StrEnum):
    """What the customer is told; the words are the activity's, neutral whatever the reason was."""

    VERIFIED = "verified"
    ACTION_REQUIRED = "action_required"
    REVIEW = "review"
    REJECTED = "rejected"
    EXPIRES_SOON = "expires_soon"
    EXPIRED = "expired"
    STOPPED = "stopped"


class Alert(StrEnum):
    """What compliance is alerted of."""

    CASE_OVERDUE = "case_overdue"
    SANCTIONS_CONFIRMED = "sanctions_confirmed"


class Case(BaseModel):
    """A manual review that is open."""

    case_id: str
    reason: Reason
    opened_at: AwareDatetime
    due_at: AwareDatetime
    escalated: bool = False
    sanction_hits: int = 0
    open_hits: int = 0
    second_due: bool = False
    """Two officers have to approve: the customer is frozen."""
    first_by: str | None = None
    not_by: str | None = None
    """Who decided against the customer before, and so may not judge the appeal."""


class OnboardingState(BaseModel):
    """All that the process carries from run to run."""

    status: Status = Status.PENDING
    since: AwareDatetime | None = None
    tier: Tier | None = None
    """Verified, and not ended."""
    submission_id: str | None = None
    requested: Tier | None = None
    """Tier of the submission that is being judged; None when nothing is."""
    results: dict[Step, Result] = {}
    tries: int = 0
    verified_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    reminded: bool = False
    frozen: bool = False
    rejected_by: str | None = None
    list_version: str | None = None
    listed: str | None = None
    """A newer version of the list that was told of and not searched yet."""
    case: Case | None = None
    moves: int = 0
    version: int = 0


class OnboardingInput(BaseModel):
    """Starts `onboarding:{user_id}`; `assertion_public_key` checks the staff assertions of decisions."""

    user_id: str
    assertion_public_key: str = ""
    state: OnboardingState | None = None


class Register(BaseModel):
    """The account was made; nothing was handed in yet."""


class Submit(BaseModel):
    """Rows were written, sealed, beside this command."""

    submission_id: str
    tier: Tier


class Appeal(BaseModel):
    """The customer asks for a second look at a rejection; the reason is a note."""

    note_id: str


class Decide(BaseModel):
    """An officer's decision; `signed` is the API's assertion for `decision_action(case_id, decision)`."""

    case_id: str
    decision: Literal["approve", "reject", "request_information"]
    note_id: str
    signed: SignedAssertion


def decision_action(case_id: str, decision: str) -> str:
    """The action that a decision's assertion is signed for."""
    return f"decide:{case_id}:{decision}"


class WithdrawConsent(BaseModel):
    """The customer took back the consent under which the submission was handed in."""


class ListChanged(BaseModel):
    """The watchlist in force has another version than the one that the customer was searched in."""

    list_version: str


class OnboardingView(BaseModel):
    """What a customer's command answers; `onboarding_id` is the submission's id."""

    onboarding_id: str | None
    status: Status
    version: int


class CaseView(BaseModel):
    """What an officer's decision answers."""

    case_id: str
    status: CaseStatus
    kyc_status: Status


class Checked(BaseModel):
    """One submission to look at."""

    user_id: str
    submission_id: str
    as_of: AwareDatetime


class Judged(BaseModel):
    """What all the checks of a submission came to."""

    results: dict[Step, Result]
    open_hits: int = 0
    sanction_hits: int = 0
    list_version: str | None = None


class StepResult(BaseModel):
    result: Result
    codes: list[str] = []


class Screened(BaseModel):
    """Results of both screening steps, and how many hits nobody has judged."""

    aml: Result
    sanctions: Result
    open_hits: int
    sanction_hits: int
    list_version: str


class CaseMove(BaseModel):
    """A case as it stands after a move."""

    case_id: str
    reason: Reason
    status: CaseStatus
    opened_at: AwareDatetime
    due_at: AwareDatetime
    decided_by: str | None = None
    first_by: str | None = None
    note_id: str | None = None
    hits: Literal["cleared", "confirmed"] | None = None
    """What the decision makes of the open hits."""


class Move(BaseModel):
    """One step of the customer's KYC, written once under (user, number)."""

    user_id: str
    number: int
    status: Status
    tier: Tier | None
    submission_id: str | None
    reason_code: str | None
    verified_at: AwareDatetime | None
    expires_at: AwareDatetime | None
    risk_score: int | None
    list_version: str | None
    frozen: bool
    case: CaseMove | None = None
    notice: Notice | None = None
    alert: Alert | None = None
    as_of: AwareDatetime


class RescreenPage(BaseModel):
    """Verified customers after `after` who were not searched in this version of the list."""

    list_version: str
    after: str = ""


class RescreenRound(BaseModel):
    """Where a round of re-screening stands; None: the list in force has to be asked for."""

    list_version: str | None = None
    after: str = ""
