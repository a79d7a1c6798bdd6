"""A round of re-screening: every verified customer is searched again when the watchlist has changed."""

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from models.contracts.policies import BOOK, READ_PROVIDER
    from models.contracts.queues import Queue
    from models.contracts.workflow_ids import Kind, workflow_id
    from models.messages.onboarding import ListChanged, RescreenPage, RescreenRound
    from workflows.ports.onboarding import KycPort, OnboardingPort

PAGES_A_RUN = 10
"""Of 200 signals each, so that no history grows long."""


@workflow.defn(name="Rescreening")
class Rescreening:
    """`rescreening:{round}`. A round for a list that everyone knows signals nobody."""

    @workflow.run
    async def run(self, round_: RescreenRound) -> str:
        version = round_.list_version or await self._in_force()
        after = round_.after
        for _ in range(PAGES_A_RUN):
            customers = await workflow.execute_local_activity_method(
                OnboardingPort.to_rescreen, RescreenPage(list_version=version, after=after), **BOOK.local()
            )
            if not customers:
                break
            for user_id in customers:
                await self._tell(user_id, version)
            after = customers[-1]
        else:
            workflow.continue_as_new(RescreenRound(list_version=version, after=after))
        return version

    async def _in_force(self) -> str:
        return await workflow.execute_activity_method(
            KycPort.list_version, task_queue=Queue.KYC, **READ_PROVIDER.options()
        )

    async def _tell(self, user_id: str, version: str) -> None:
        handle = workflow.get_external_workflow_handle(workflow_id(Kind.ONBOARDING, user_id))
        try:
            await handle.signal("list_changed", ListChanged(list_version=version))
        except FailureError:
            # Its process has ended (erased): there is nobody to search.
            workflow.logger.warning("no process to re-screen")
