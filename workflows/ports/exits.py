"""What a signal order's target and stop ask of the world."""

from temporalio import activity

from models.messages.exits import ExitStanding, OpenExit, WorkExit


class ExitPort:
    """A trigger of two legs at the broker: our record of it, and the broker's."""

    @activity.defn(name="exits.open")
    async def open(self, command: OpenExit) -> ExitStanding: ...

    @activity.defn(name="exits.place")
    async def place(self, command: WorkExit) -> ExitStanding: ...

    @activity.defn(name="exits.find")
    async def find(self, command: WorkExit) -> ExitStanding: ...

    @activity.defn(name="exits.look")
    async def look(self, command: WorkExit) -> ExitStanding: ...
