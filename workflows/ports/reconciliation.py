"""What the reconciliation processes do to the world."""

from temporalio import activity

from models.messages.reconciliation import Compare, Compared, Day, Decide, Resolved, Settled, Tell, Told


class ReconciliationPort:
    """Implemented by `activities.reconciliation.ReconciliationActivities`."""

    @activity.defn(name="reconciliation.begin")
    async def begin(self, day: Day) -> Day:
        """Opens a reading of the day."""
        ...

    @activity.defn(name="reconciliation.read")
    async def read(self, day: Day) -> Settled:
        """Pages through the gateway's report of the day; a repeat goes on where the last attempt ended."""
        ...

    @activity.defn(name="reconciliation.compare")
    async def compare(self, compare: Compare) -> Compared:
        """Merges, matches and books the day in one transaction; a repeat changes nothing.

        Raises:
            Rejected: `report_incomplete`: what was read is not all there any more; read it again.
        """
        ...

    @activity.defn(name="reconciliation.tell")
    async def tell(self, tell: Tell) -> Told:
        """The breaks whose processes are to hear of the comparison, a page at a time."""
        ...

    @activity.defn(name="reconciliation.decide")
    async def decide(self, decide: Decide) -> Resolved:
        """One person's decision on a break, with its ledger entry, once a note.

        Raises:
            Rejected: `already_resolved`, `same_person`, `resolution_differs`.
        """
        ...
