"""From a customer's or an officer's wish to the command that the onboarding process takes."""

from datetime import UTC, datetime

from pydantic import BaseModel

from models.contracts.assertions import LIFETIME, Assertion, sign
from models.contracts.commands import Drive
from models.contracts.queues import Queue
from models.contracts.workflow_ids import Kind, workflow_id
from models.messages.onboarding import Decide, OnboardingInput, WithdrawConsent, decision_action
from models.settings import Settings


def onboarding_drive(
    settings: Settings, user_id: str, update: str, argument: BaseModel, *, create: bool = False
) -> Drive:
    """An update of `onboarding:{user_id}`; `create`: registration starts it, but may not have come so far."""
    start = OnboardingInput(user_id=user_id, assertion_public_key=settings.assertion_public_key)
    return Drive(
        workflow_type="CustomerOnboarding",
        workflow_id=workflow_id(Kind.ONBOARDING, user_id),
        queue=Queue.ONBOARDING,
        start=start.model_dump(mode="json") if create else None,
        update=update,
        argument=argument.model_dump(mode="json"),
        summary="Onboarding",
        details=f"KYC of customer `{user_id}`",
        attributes={"CUSTOMER": user_id},
    )


def withdrawal_drive(settings: Settings, user_id: str) -> Drive:
    """Stops what is in flight under a consent to KYC that was just withdrawn."""
    return onboarding_drive(settings, user_id, "withdraw_consent", WithdrawConsent())


def decision_drive(
    settings: Settings, user_id: str, officer: str, case_id: str, decision: str, note_id: str, command_id: str
) -> Drive:
    """An officer's decision, with the API's signature that it is this officer's and no other."""
    assertion = Assertion(
        subject=officer,
        role="compliance",
        workflow_id=workflow_id(Kind.ONBOARDING, user_id),
        action=decision_action(case_id, decision),
        expires_at=datetime.now(UTC) + LIFETIME,
        command_id=command_id,
    )
    given = {"case_id": case_id, "decision": decision, "note_id": note_id}
    signed = sign(settings.assertion_key.get_secret_value(), assertion)
    return onboarding_drive(
        settings, user_id, "decide", Decide.model_validate({**given, "signed": signed.model_dump()})
    )
