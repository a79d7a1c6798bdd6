"""When a run that a schedule starts was due: after an outage that is earlier than when it begins."""

from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeKey

SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def due_at() -> datetime:
    """Now, where nobody's schedule started the run."""
    return workflow.info().typed_search_attributes.get(SCHEDULED_AT) or workflow.now()
