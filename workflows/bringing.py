"""Which command brings a decision: a staff assertion holds for the one it was signed for."""

from temporalio import workflow


def command_id() -> str:
    """The id of the update that is being handled, which is the command's; empty outside of one."""
    update = workflow.current_update_info()
    return update.id if update else ""
