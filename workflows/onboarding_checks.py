"""The checks of one submission, in their order: documents, identity, watchlist."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain import kyc
    from domain.errors import Rejected
    from domain.kyc import Result, Step
    from models.contracts.policies import READ_PROVIDER
    from models.contracts.queues import Queue
    from models.messages.onboarding import Checked, Judged, Reason, Screened
    from workflows.failures import outcome
    from workflows.ports.onboarding import KycPort


async def judge(checked: Checked) -> Judged:
    """What the checks came to; a document that fails ends them, so that nothing more is paid for.

    Raises:
        Rejected: a check cannot be made at all.
    """
    try:
        documents = await workflow.execute_activity_method(
            KycPort.check_documents, checked, task_queue=Queue.KYC, **READ_PROVIDER.options()
        )
        judged = Judged(results={Step.DOCUMENTS: documents.result})
        if documents.result in (Result.REJECTED, Result.UNFIT):
            return judged
        identity = await workflow.execute_activity_method(
            KycPort.check_identity, checked, task_queue=Queue.KYC, **READ_PROVIDER.options()
        )
        found = await search(checked)
    except ActivityError as error:
        # Only what is permanent ends an activity that is retried until it has an answer.
        refused = outcome(error)
        raise Rejected(refused.code) from None
    return Judged(
        results={
            Step.DOCUMENTS: documents.result,
            Step.IDENTITY: identity.result,
            Step.AML: found.aml,
            Step.SANCTIONS: found.sanctions,
        },
        open_hits=found.open_hits,
        sanction_hits=found.sanction_hits,
        list_version=found.list_version,
    )


async def search(checked: Checked) -> Screened:
    """Searches the watchlist in force. Raises ActivityError."""
    return await workflow.execute_activity_method(
        KycPort.screen, checked, task_queue=Queue.KYC, **READ_PROVIDER.options()
    )


def why(judged: Judged) -> Reason:
    """Why results that did not settle it go to a person."""
    if judged.open_hits:
        return Reason.SCREENING_HIT
    over = kyc.risk_score(judged.results) > kyc.REVIEW_OVER
    return Reason.RISK_SCORE if over else Reason.TRIES_EXHAUSTED
