"""Who decides: a staff assertion holds for the run, the action and the command that the API signed it for."""

from collections.abc import Collection

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.contracts.assertions import Assertion, ForgedAssertion, SignedAssertion, check
    from workflows.failures import refuse


def decider(
    signed: SignedAssertion, public_key: str, action: str, roles: Collection[str], *, about: str | None = None
) -> Assertion:
    """Who decides, for a validator and for the handler after it. What is typed into the UI passes for nobody.

    `about`: the person whom the decision is about, who does not take it.

    Raises:
        ApplicationError: `assertion_invalid`; `role_required`, where it is signed for none of `roles`;
            `own_case`.
    """
    update = workflow.current_update_info()
    try:
        who = check(
            signed,
            public_key,
            workflow_id=workflow.info().workflow_id,
            action=action,
            now=workflow.now(),
            command_id=update.id if update else "",
        )
    except ForgedAssertion as forged:
        raise refuse("assertion_invalid", str(forged)) from None
    if who.role not in roles:
        raise refuse("role_required")
    if about and who.subject == about:
        raise refuse("own_case")
    return who
