"""What staff see of an enrollment in the Temporal UI."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.progression import EnrollmentStatus as Status
    from models.messages.education import EnrollmentState
    from workflows.enrollment_rules import is_stuck
    from workflows.visible import show, waiting, working


def tell_staff(state: EnrollmentState, due: datetime | None) -> None:
    """What is awaited, since when, and who can act. `due`: when the time for it runs out."""
    references = [state.enrollment_id, state.course_id, state.payment_id, state.certificate_id]
    show(
        state=state.status,
        reference=[each for each in references if each],
        amount=state.amount,
        due=due,
        attention=is_stuck(state),
    )
    now, link = workflow.now(), "GET /v1/users/{id}/progress"
    match state.status:
        case Status.AWAITING_PAYMENT:
            waiting("the payment", since=state.enrolled_at or now, otherwise="it expires after 7 days",
                    who="the customer, at the checkout", link="POST /v1/payments/create")  # fmt: skip
        case Status.ON_HOLD:
            waiting("the end of a dispute", since=now, otherwise="the course stays closed",
                    who="finance, at the gateway", link=link)  # fmt: skip
        case Status.COMPLETED:
            working(f"completed; certificate {state.certificate_id}; lessons stay open until {due}")
        case _:
            waiting(f"the learner, at {state.percent()}%", since=state.active_at or now,
                    otherwise=f"access ends on {state.access_until:%d %b %Y}", who="the customer",
                    link=link)  # fmt: skip
