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
    FoundRefund,
    GatewayPayment,
    GatewayRefund,
    OpenedPayment,
    OpenedRefund,
    OrderAnswer,
    PaymentInput,
    ReadOrder,
    RefundInput,
    SendRefund,
    VerifyCheckout,
    VoidAttempt,
)


class BillingPort:
    """Our own books; local activities."""

    @activity.defn(name="billing.open_payment")
    async def open_payment(self, command: PaymentInput) -> OpenedPayment: ...

    @activity.defn(name="billing.advance")
    async def advance(self, command: Advance) -> Advanced: ...

    @activity.defn(name="billing.verify_checkout")
    async def verify_checkout(self, command: VerifyCheckout) -> bool: ...

    @activity.defn(name="billing.void_attempt")
    async def void_attempt(self, command: VoidAttempt) -> None: ...

    @activity.defn(name="billing.book_capture")
    async def book_capture(self, command: BookCapture) -> BookedCapture: ...


class GatewayPort:
    """Calls to the payment gateway; served on `Queue.RAZORPAY`."""

    @activity.defn(name="billing.create_order")
    async def create_order(self, command: CreateOrder) -> Checkout: ...

    @activity.defn(name="billing.read_order")
    async def read_order(self, command: ReadOrder) -> OrderAnswer: ...

    @activity.defn(name="billing.capture")
    async def capture(self, command: CaptureCommand) -> GatewayPayment: ...


class RefundPort:
    """Our own books; local activities."""

    @activity.defn(name="refunds.open_refund")
    async def open_refund(self, command: RefundInput) -> OpenedRefund: ...

    @activity.defn(name="refunds.advance")
    async def advance(self, command: AdvanceRefund) -> AdvancedRefund: ...


class RefundGatewayPort:
    """Calls to the payment gateway; served on `Queue.RAZORPAY`."""

    @activity.defn(name="refunds.send")
    async def send(self, command: SendRefund) -> GatewayRefund: ...

    @activity.defn(name="refunds.find")
    async def find(self, command: FindRefund) -> FoundRefund: ...
