"""A customer's grievance: how long it may take, and where to go if the answer does not satisfy."""

from datetime import datetime, timedelta
from enum import StrEnum

RESOLVED_WITHIN = timedelta(days=21)
"""SEBI circular SEBI/HO/OIAE/IGRD/CIR/P/2023/156 of 20 September 2023: 21 calendar days from receipt."""

ESCALATION = {
    "scores": "https://scores.sebi.gov.in",
    "odr": "https://smartodr.in",
}
"""SEBI's complaints system, and online dispute resolution for the market (circular of 31 July 2023)."""


class Status(StrEnum):
    OPEN = "open"
    ESCALATED = "escalated"
    """Not answered in time: everyone who can act is shown it, and the customer may go to SCORES."""
    RESOLVED = "resolved"


NEXT: dict[Status, frozenset[Status]] = {
    Status.OPEN: frozenset({Status.ESCALATED, Status.RESOLVED}),
    Status.ESCALATED: frozenset({Status.RESOLVED}),
    Status.RESOLVED: frozenset(),
}
"""Every step that a complaint takes; held by `store/complaints.py`."""


def due(made_at: datetime) -> datetime:
    """By when the complaint has to be resolved."""
    return made_at + RESOLVED_WITHIN
