"""What support staff see of a run: search attributes and the current details. Ids and codes only."""

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.contracts.search_attributes import Attribute


def show(
    *,
    state: str | None = None,
    customer: str | None = None,
    symbol: str | None = None,
    plan: str | None = None,
    reference: Sequence[str] | None = None,
    amount: int | None = None,
    due: datetime | None = None,
    attention: bool | None = None,
) -> None:
    """Upserts the search attributes that differ from the run's current ones, in one history event."""
    wanted = {
        Attribute.STATE: state,
        Attribute.CUSTOMER: customer,
        Attribute.SYMBOL: symbol,
        Attribute.PLAN: plan,
        Attribute.REFERENCE: list(reference) if reference is not None else None,
        Attribute.AMOUNT: amount,
        Attribute.DUE: due,
        Attribute.NEEDS_ATTENTION: attention,
    }
    present = workflow.info().typed_search_attributes
    updates = [
        key.value.value_set(value)
        for key, value in wanted.items()
        if value is not None and present.get(key.value) != value
    ]
    if updates:
        workflow.upsert_search_attributes(updates)


def waiting(what: str, *, since: datetime, otherwise: str, who: str, link: str = "") -> None:
    """Sets the run's current details: what is awaited, what happens if it never comes, who can act."""
    lines = [
        f"**Waiting for** {what}",
        f"since {since.isoformat(timespec='seconds')}",
        f"if it never comes: {otherwise}",
        f"who can act: {who}",
    ]
    if link:
        lines.append(f"how: `{link}`")
    workflow.set_current_details("\n\n".join(lines))


def working(what: str) -> None:
    """Sets the run's current details while nothing is awaited from outside."""
    workflow.set_current_details(what)
