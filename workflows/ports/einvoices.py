"""What the registration of documents does to the world."""

from temporalio import activity

from models.messages.einvoices import Cancel, Cancelled, Register, Registration, Reissue, Reissued


class EInvoicePort:
    """Implemented by `activities.einvoices.EInvoiceActivities`."""

    @activity.defn(name="einvoices.register")
    async def register(self, asked: Register) -> Registration:
        """Registers the document with the portal and keeps IRN and signed QR, or the code of its refusal; a
        repeat finds what stands.

        Raises:
            Unavailable, RateLimited: the portal gave no answer.
        """
        ...

    @activity.defn(name="einvoices.cancel")
    async def cancel(self, asked: Cancel) -> Cancelled:
        """Takes the registration back at the portal; a repeat finds it taken back.

        Raises:
            Rejected: the portal's time for it is over, or the document has credit notes.
            Unavailable, RateLimited: the portal gave no answer.
        """
        ...

    @activity.defn(name="einvoices.reissue")
    async def reissue(self, asked: Reissue) -> Reissued:
        """Voids the number and issues another document in one transaction; a repeat gives the same."""
        ...
