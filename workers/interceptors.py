"""Around every activity: the kill points, the closed set of errors, nothing of a driver's own words."""

from datetime import timedelta
from typing import Any

import psycopg
import redis
import structlog
from psycopg_pool import PoolTimeout
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown
from models.contracts.killpoints import Stage, current_activity, reached, spoils

log = structlog.get_logger()

ENGINE_DOWN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolTimeout,
    redis.ConnectionError,
    redis.TimeoutError,
)


def as_failure(error: TreumError) -> ApplicationError:
    """The failure that stands in the history: a class, a code, and for a pace limit the wait."""
    kind = type(error).__name__
    if isinstance(error, RateLimited):
        pause = timedelta(seconds=error.retry_after)
        return ApplicationError(error.code, error.code, error.retry_after, type=kind, next_retry_delay=pause)
    if isinstance(error, Unavailable) and error.retry_after:
        pause = timedelta(seconds=error.retry_after)
        return ApplicationError(error.code, error.code, type=kind, next_retry_delay=pause)
    permanent = isinstance(error, Rejected | Unknown)
    # A refusal is an answer: it is no warning in a log and no failure in the metrics.
    category = (
        ApplicationErrorCategory.BENIGN
        if isinstance(error, Rejected)
        else ApplicationErrorCategory.UNSPECIFIED
    )
    return ApplicationError(error.code, error.code, type=kind, non_retryable=permanent, category=category)


class ClosedErrors(Interceptor):
    """Turns what activities raise into the closed set, and ends the process at an armed kill point."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        current_activity.set(name)
        reached(Stage.BEFORE, name)
        try:
            if spoils(Stage.DOUBLED, name):
                await super().execute_activity(input)
            result = await super().execute_activity(input)
        except (ApplicationError, CancelledError):
            raise
        except TreumError as error:
            raise as_failure(error) from None
        except ENGINE_DOWN:
            raise as_failure(Unavailable("engine_unavailable")) from None
        except Exception as error:
            log.error("activity_defect", activity=name, error=type(error).__name__, exc_info=error)
            raise ApplicationError("defect", "defect", type="Defect") from None
        reached(Stage.AFTER, name)
        return result
