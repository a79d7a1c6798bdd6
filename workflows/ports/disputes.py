"""What the dispute process asks of the world; `activities/disputes.py` does it."""

from temporalio import activity

from models.messages.disputes import (
    ApproveAcceptance,
    DisputeState,
    FindUntold,
    GatewayDispute,
    ReadDispute,
    SendAcceptance,
    TakeDispute,
    TakenDispute,
    Untold,
)


class DisputePort:
    """Our own books; local activities."""

    @activity.defn(name="disputes.take")
    async def take(self, command: TakeDispute) -> TakenDispute:
        """Opens or moves the dispute as the gateway says, with its books, once a state."""
        ...

    @activity.defn(name="disputes.approve")
    async def approve(self, command: ApproveAcceptance) -> DisputeState:
        """Counts a person's word to give in, once a person."""
        ...


class DisputeGatewayPort:
    """Calls to the payment gateway that no customer waits for: on its own queue."""

    @activity.defn(name="disputes.read")
    async def read(self, command: ReadDispute) -> GatewayDispute:
        """The dispute as the gateway knows it now."""
        ...

    @activity.defn(name="disputes.untold")
    async def untold(self, command: FindUntold) -> Untold:
        """Disputes at the gateway of which nothing is on record here."""
        ...

    @activity.defn(name="disputes.accept")
    async def accept(self, command: SendAcceptance) -> GatewayDispute:
        """Irreversible. Raises Unknown where nobody knows whether it happened."""
        ...
