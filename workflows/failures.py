"""From Temporal's failures to the closed set of `domain.errors`, and from a refusal to the caller."""

from temporalio.exceptions import ActivityError, ApplicationError

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown

REFUSAL = "Rejected"


def refuse(code: str, detail: str = "") -> ApplicationError:
    """What an update handler or validator raises to refuse; `code` reaches the caller as it is."""
    return ApplicationError(detail or code, code, type=REFUSAL, non_retryable=True)


def outcome(error: ActivityError | ApplicationError) -> TreumError:
    """What a failed activity means. A local activity fails with the `ApplicationError` itself.

    Anything that is not an answer (a timeout, a missed heartbeat, a lost worker, a defect) is `Unknown`:
    for an irreversible step that is the only safe reading, and the others retry until they have an answer.
    """
    cause = error.cause if isinstance(error, ActivityError) else error
    if not isinstance(cause, ApplicationError):
        return Unknown("no_answer")
    code = str(cause.details[0]) if cause.details else "defect"
    match cause.type:
        case "Rejected":
            return Rejected(code)
        case "Unavailable":
            return Unavailable(code)
        case "RateLimited":
            return RateLimited(float(cause.details[1]) if len(cause.details) > 1 else 1.0)
        case _:
            return Unknown(code)
