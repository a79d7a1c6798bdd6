"""What the reconciliation processes do to the world."""

from temporalio import activity

from models.messages.reconciliation import Compare, Compared, Day, Decide, Resolved, Settled


class ReconciliationPort:
    """Implemented by `activities.reconciliation.ReconciliationActivities`."""

    @activity.defn(name="reconciliation.begin")
    async def begin(self, day: Day) -> Day:
        """Opens a reading of the day."""
        ...

    @activity.defn(name="reconciliation.read")
    async def read(self, day: Day) -> Settled:
        """Pages through the gateway's report of the day; a repeat starts the reading over."""
        ...

    @activity.defn(name="reconciliation.compare")
    async def compare(self, compare: Compare) -> Compared:
        """Merges, matches and books the day in one transaction; a repeat changes nothing."""
        ...

    @activity.defn(name="reconciliation.decide")
    async def decide(self, decide: Decide) -> Resolved:
        """One person's decision on a break, with its ledger entry, once a note.

        Raises:
            Rejected: `already_resolved`, `same_person`, `resolution_differs`.
        """
        ...
