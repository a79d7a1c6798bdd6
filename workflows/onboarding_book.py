"""What can become of a customer's KYC, each written once with its case, its message and its alert."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain import kyc
    from domain.kyc import Status
    from domain.moves import moved
    from models.contracts.identifiers import Prefix
    from models.contracts.policies import BOOK
    from models.messages.onboarding import (
        Alert,
        Case,
        CaseMove,
        CaseStatus,
        Checked,
        Move,
        Notice,
        OnboardingState,
        Reason,
    )
    from workflows.naming import named
    from workflows.ports.onboarding import OnboardingPort
    from workflows.visible import show

CONSENT_WITHDRAWN = "consent_withdrawn"


class KycBook:
    """Changes the state and writes it; callers hold the process's lock, so that moves follow each other."""

    def __init__(self, user_id: str, state: OnboardingState) -> None:
        self._user_id = user_id
        self.state = state

    async def verify(self, case: CaseMove | None = None) -> None:
        state, now = self.state, workflow.now()
        if state.requested is not None:
            if not await self.consent_held():
                await self.stop()
                return
            state.tier, state.requested = state.requested, None
            state.verified_at, state.expires_at, state.reminded = now, kyc.expiry(now), False
        state.case, state.frozen, state.rejected_by, state.tries = None, False, None, 0
        await self.move(Status.VERIFIED, case=case, notice=Notice.VERIFIED)

    async def turn_down(self, code: str, case: CaseMove | None = None, *, freeze: bool = False) -> None:
        """Rejects; who was verified already keeps that, unless it is for a confirmed match."""
        state = self.state
        state.case = None
        if (
            state.tier is not None
            and not freeze
            and (case is None or case.reason is not Reason.RESCREENING_HIT)
        ):
            state.requested = None
            await self.move(Status.ACTION_REQUIRED, code=code, case=case, notice=Notice.ACTION_REQUIRED)
            return
        state.frozen = state.frozen or freeze
        state.tier = state.verified_at = state.expires_at = None
        alert = Alert.SANCTIONS_CONFIRMED if freeze else None
        await self.move(Status.REJECTED, code=code, case=case, notice=Notice.REJECTED, alert=alert)

    async def ask(self, code: str, case: CaseMove | None = None) -> None:
        self.state.case, self.state.requested = None, None
        await self.move(Status.ACTION_REQUIRED, code=code, case=case, notice=Notice.ACTION_REQUIRED)

    async def open_case(self, reason: Reason, open_hits: int, sanction_hits: int) -> None:
        state, now = self.state, workflow.now()
        state.case = Case(
            case_id=named(Prefix.CASE, self._user_id, str(state.moves + 1)),
            reason=reason,
            opened_at=now,
            due_at=now + kyc.REVIEW_WITHIN,
            open_hits=open_hits,
            sanction_hits=sanction_hits,
            second_due=state.frozen,
            not_by=state.rejected_by,
        )
        # A customer who is searched again and hit is told nothing at all.
        told = None if reason is Reason.RESCREENING_HIT else Notice.REVIEW
        await self.move(Status.MANUAL_REVIEW, case=self.case(CaseStatus.OPEN), notice=told)

    async def stop(self) -> None:
        """The consent was taken back: what was in flight ends; what was verified before stays on record."""
        state = self.state
        case = self.case(CaseStatus.WITHDRAWN) if state.case else None
        state.case, state.requested = None, None
        await self.move(Status.PENDING, code=CONSENT_WITHDRAWN, case=case, notice=Notice.STOPPED)

    async def move(
        self,
        status: Status,
        *,
        code: str | None = None,
        case: CaseMove | None = None,
        notice: Notice | None = None,
        alert: Alert | None = None,
    ) -> None:
        state = self.state
        if state.status is not moved(kyc.NEXT, state.status, status):
            state.status, state.since = status, workflow.now()
        state.moves += 1
        move = Move(
            user_id=self._user_id,
            number=state.moves,
            status=status,
            tier=state.tier,
            submission_id=state.submission_id,
            reason_code=code,
            verified_at=state.verified_at,
            expires_at=state.expires_at,
            risk_score=kyc.risk_score(state.results) if state.results else None,
            list_version=state.list_version,
            frozen=state.frozen,
            case=case,
            notice=notice,
            alert=alert,
            as_of=workflow.now(),
        )
        state.version = await workflow.execute_local_activity_method(
            OnboardingPort.move, move, **BOOK.local()
        )
        references = [each for each in (state.submission_id, case.case_id if case else None) if each]
        due = state.case.due_at if state.case else state.expires_at
        show(state=status, reference=references, due=due, attention=status is Status.MANUAL_REVIEW)

    def case(
        self,
        status: CaseStatus,
        by: str | None = None,
        note_id: str | None = None,
        *,
        hits: str | None = None,
    ) -> CaseMove:
        case = self.state.case
        if case is None:
            raise RuntimeError("there is no case")
        return CaseMove.model_validate(
            {**case.model_dump(), "status": status, "decided_by": by, "note_id": note_id, "hits": hits}
        )

    async def consent_held(self) -> bool:
        return await workflow.execute_local_activity_method(
            OnboardingPort.consent_held, self.checked(), **BOOK.local()
        )

    def checked(self) -> Checked:
        return Checked(
            user_id=self._user_id,
            submission_id=self.state.submission_id or "",
            as_of=workflow.now(),
        )
