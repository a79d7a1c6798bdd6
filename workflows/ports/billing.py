"""What the payment and refund processes ask of the world; `activities/billing.py` and `refunds.py` do it."""

from temporalio import activity

from models.messages.billing import (
    Advance,
    Advanced,
    AdvancedRefund,
    AdvanceRefund,
    BookCapture,
    BookedCapture,
    CaptureCommand,
    Checkout,
    CreateOrder,
    FindRefund,
    Forestall,
    FoundRefund,
    GatewayPayment,
    GatewayRefund,
    OpenedPayment,
    OpenedRefund,
    Opening,
    OrderAnswer,
    ReadOrder,
    RefundOpening,
    SendRefund,
    VerifyCheckout,
    VoidAttempt,
)
from models.messages.monitoring import EscalateReview


class BillingPort:
    """Our own books; local activities."""

    @activity.defn(name="billing.open_payment")
    async def open_payment(self, command: Opening) -> OpenedPayment:
        """Checks reference, buyer and KYC limits and writes the row, once a payment id."""
        ...

    @activity.defn(name="billing.advance")
    async def advance(self, command: Advance) -> Advanced:
        """Moves a payment forward; what may not follow changes nothing."""
        ...

    @activity.defn(name="billing.escalate_review")
    async def escalate_review(self, command: EscalateReview) -> None:
        """Tells all of compliance that a review is overdue, once a payment."""
        ...

    @activity.defn(name="billing.verify_checkout")
    async def verify_checkout(self, command: VerifyCheckout) -> bool:
        """Whether the gateway signed the browser's callback for our order."""
        ...

    @activity.defn(name="billing.forestall")
    async def forestall(self, command: Forestall) -> bool:
        """Whether an attempt had not begun; if so it never will."""
        ...

    @activity.defn(name="billing.void_attempt")
    async def void_attempt(self, command: VoidAttempt) -> None:
        """An attempt is proven not to have happened."""
        ...

    @activity.defn(name="billing.book_capture")
    async def book_capture(self, command: BookCapture) -> BookedCapture:
        """Row, journal, invoice and event of a capture in one transaction, once a payment id."""
        ...


class GatewayPort:
    """Calls to the payment gateway that a customer waits for: on the process's own queue."""

    @activity.defn(name="billing.create_order")
    async def create_order(self, command: CreateOrder) -> Checkout:
        """The payment's order, found by its receipt after a lost answer."""
        ...

    @activity.defn(name="billing.read_order")
    async def read_order(self, command: ReadOrder) -> OrderAnswer:
        """Every payment tried on an order."""
        ...

    @activity.defn(name="billing.capture")
    async def capture(self, command: CaptureCommand) -> GatewayPayment:
        """Irreversible. Raises Unknown where nobody knows whether it happened."""
        ...


class RefundPort:
    """Our own books; local activities."""

    @activity.defn(name="refunds.open_refund")
    async def open_refund(self, command: RefundOpening) -> OpenedRefund:
        """Applies the policy and reserves the amount, once a refund id."""
        ...

    @activity.defn(name="refunds.advance")
    async def advance(self, command: AdvanceRefund) -> AdvancedRefund:
        """Moves a refund forward and books what its new state means."""
        ...


class RefundGatewayPort:
    """Calls to the payment gateway that a customer waits for: on the process's own queue."""

    @activity.defn(name="refunds.send")
    async def send(self, command: SendRefund) -> GatewayRefund:
        """Irreversible. Raises Unknown where nobody knows whether it happened."""
        ...

    @activity.defn(name="refunds.find")
    async def find(self, command: FindRefund) -> FoundRefund:
        """Our refund at the gateway, by the receipt that we sent."""
        ...
