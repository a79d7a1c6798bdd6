"""What the onboarding process asks of the world; `activities/onboarding*.py` do it."""

from temporalio import activity

from models.messages.onboarding import Checked, Move, RescreenPage, Screened, StepResult


class OnboardingPort:
    """Our own books."""

    @activity.defn(name="onboarding.open")
    async def open(self, user_id: str) -> int:
        """Begins the customer's KYC; the version of its row."""
        ...

    @activity.defn(name="onboarding.consent_held")
    async def consent_held(self, checked: Checked) -> bool:
        """Whether the consent that a submission was handed in under still stands."""
        ...

    @activity.defn(name="onboarding.move")
    async def move(self, move: Move) -> int:
        """Writes one step of the story, with the case, the message and the alert that belong to it."""
        ...

    @activity.defn(name="onboarding.to_rescreen")
    async def to_rescreen(self, page: RescreenPage) -> list[str]:
        """The next verified customers who were not searched in this version of the list."""
        ...


class KycPort:
    """Calls to the identity and screening providers; served on `Queue.KYC`."""

    @activity.defn(name="onboarding.check_documents")
    async def check_documents(self, checked: Checked) -> StepResult:
        """Opens and verifies the Aadhaar file and the proofs that the tier needs."""
        ...

    @activity.defn(name="onboarding.check_identity")
    async def check_identity(self, checked: Checked) -> StepResult:
        """Asks for the PAN and compares what was given, what is signed and what is registered."""
        ...

    @activity.defn(name="onboarding.screen")
    async def screen(self, checked: Checked) -> Screened:
        """Searches the watchlist in force."""
        ...

    @activity.defn(name="onboarding.list_version")
    async def list_version(self) -> str:
        """The version of the watchlist in force."""
        ...
