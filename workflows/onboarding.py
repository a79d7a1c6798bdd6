"""A customer's KYC: from registration through the checks, a person's decision where one is due, and renewal.

A document that fails rejects at once; an open watchlist hit goes to a person whatever the score; nobody
decides their own case; what was handed in never enters this history, only the id of its sealed row.
"""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain import kyc
    from domain.errors import Rejected
    from domain.kyc import Result, Status, Step, Verdict
    from models.contracts.policies import BOOK
    from models.contracts.search_attributes import Attribute
    from models.messages.onboarding import (
        Alert,
        Appeal,
        Case,
        CaseMove,
        CaseStatus,
        CaseView,
        Decide,
        Judged,
        ListChanged,
        Notice,
        OnboardingInput,
        OnboardingState,
        OnboardingView,
        Reason,
        Register,
        Submit,
        WithdrawConsent,
        decision_action,
    )
    from workflows.deciding import decider
    from workflows.failures import outcome, refuse
    from workflows.hearing import heard
    from workflows.onboarding_book import CONSENT_WITHDRAWN, KycBook
    from workflows.onboarding_checks import judge, search, why
    from workflows.ports.onboarding import OnboardingPort
    from workflows.visible import show, waiting, working

STALLED = timedelta(minutes=15)
"""Checks that take longer than this have a provider that is away: staff are shown."""

DECISIONS = "POST /v1/kyc/reviews/{case_id}/decision"


@workflow.defn(name="CustomerOnboarding")
class CustomerOnboarding:
    """`onboarding:{user}`."""

    @workflow.init
    def __init__(self, given: OnboardingInput) -> None:
        self._given = given
        self._kyc = KycBook(given.user_id, given.state or OnboardingState())
        self._state = self._kyc.state
        self._opened = given.state is not None
        self._withdrawn = False
        self._closed = False
        self._writing = asyncio.Lock()

    @workflow.run
    async def run(self, _: OnboardingInput) -> str:
        if not self._opened:
            await self._open()
        while not self._closed:
            match self._state.status:
                case Status.IN_PROGRESS:
                    await self._check()
                case Status.MANUAL_REVIEW:
                    await self._review()
                case Status.VERIFIED:
                    await self._watch()
                case _:
                    await self._for_customer()
            if workflow.info().is_continue_as_new_suggested() and not self._closed:
                await self._continue()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state.status

    # --- the story -----------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._state.version = await workflow.execute_local_activity_method(
            OnboardingPort.open, self._given.user_id, **BOOK.local()
        )
        self._state.since = workflow.now()
        show(state=self._state.status, customer=self._given.user_id)
        self._opened = True

    async def _for_customer(self) -> None:
        """Nothing moves until the customer hands something in, or a verification of before ends."""
        state, status = self._state, self._state.status
        waiting(
            "the customer to hand in the identity check",
            since=state.since or workflow.now(),
            otherwise="nothing: what needs a verified customer stays closed",
            who="the customer",
            link="POST /v1/auth/verify-kyc",
        )
        if await self._moved_before(state.expires_at if state.tier else None, status):
            return
        await self._expire(status)

    async def _check(self) -> None:
        """Documents, identity and watchlist, unless the customer takes the consent back first."""
        working("the submission is being checked")
        judging = asyncio.create_task(judge(self._kyc.checked()))
        try:
            await workflow.wait_condition(lambda: judging.done() or self._stopped(), timeout=STALLED)
        except TimeoutError:
            show(attention=True)
            waiting(
                "a provider of identity checks that does not answer",
                since=self._state.since or workflow.now(),
                otherwise="it is asked again until it answers",
                who="operations, at the provider",
            )
            await workflow.wait_condition(lambda: judging.done() or self._stopped())
        if not judging.done():
            judging.cancel()
            await asyncio.wait([judging])
        async with self._writing:
            if self._state.status is not Status.IN_PROGRESS or self._closed:
                return
            if self._withdrawn or judging.cancelled():
                self._withdrawn = False
                await self._kyc.stop()
                return
            try:
                await self._conclude(judging.result())
            except Rejected as refused:
                await self._unjudged(refused.code)

    async def _review(self) -> None:
        """A person decides; after a day it is everyone's business."""
        case = self._state.case
        if case is None:
            raise RuntimeError("a review without a case")
        waiting(
            f"a compliance officer's decision on `{case.case_id}` ({case.reason})",
            since=case.opened_at,
            otherwise="escalated" if case.escalated else f"escalates at {case.due_at:%d %b %H:%M} UTC",
            who="compliance, but not the customer, nor who decided against the customer before",
            link=DECISIONS.format(case_id=case.case_id),
        )
        if await self._moved_before(None if case.escalated else case.due_at, Status.MANUAL_REVIEW):
            return
        async with self._writing:
            if self._state.case is case and not case.escalated:
                case.escalated = True
                await self._kyc.move(
                    Status.MANUAL_REVIEW, case=self._kyc.case(CaseStatus.ESCALATED), alert=Alert.CASE_OVERDUE
                )

    async def _watch(self) -> None:
        """Verified: until two years are over, a reminder before; searched again when the list changes."""
        state = self._state
        ends = state.expires_at or workflow.now()
        reminder = ends - kyc.REMIND_BEFORE
        working(f"verified as {state.tier} until {ends:%d %b %Y}")
        if await self._moved_before(ends if state.reminded else reminder, Status.VERIFIED):
            if state.status is Status.VERIFIED and self._to_search():
                await self._search_again()
            return
        if state.reminded:
            await self._expire(Status.VERIFIED)
            return
        async with self._writing:
            if state.status is Status.VERIFIED:
                state.reminded = True
                await self._kyc.move(Status.VERIFIED, notice=Notice.EXPIRES_SOON)

    async def _expire(self, seen: Status) -> None:
        async with self._writing:
            if self._state.status is seen:
                self._state.tier = None
                await self._kyc.move(Status.EXPIRED, notice=Notice.EXPIRED)

    # --- checking ------------------------------------------------------------------------------------

    async def _conclude(self, judged: Judged) -> None:
        state = self._state
        state.results = judged.results
        state.list_version = judged.list_version or state.list_version
        match kyc.judge(judged.results, open_hits=judged.open_hits, tries=state.tries):
            case Verdict.VERIFY:
                await self._kyc.verify()
            case Verdict.REJECT:
                await self._kyc.turn_down("documents_rejected")
            case Verdict.ASK:
                unfit = Result.UNFIT in judged.results.values()
                await self._kyc.ask("documents_incomplete" if unfit else "details_do_not_match")
            case Verdict.REVIEW:
                await self._kyc.open_case(why(judged), judged.open_hits, judged.sanction_hits)

    async def _unjudged(self, code: str) -> None:
        if code == CONSENT_WITHDRAWN:
            await self._kyc.stop()
        else:
            await self._kyc.open_case(Reason.PROVIDER_REFUSED, 0, 0)

    async def _search_again(self) -> None:
        """The watchlist has changed: a new hit goes to a person, and the customer is not told why."""
        listed = self._state.listed
        try:
            found = await search(self._kyc.checked())
        except ActivityError as error:
            # An erased customer is searched no more; whatever else, the next version asks again.
            workflow.logger.warning("not searched again: %s", outcome(error).code)
            self._state.list_version = listed
            return
        async with self._writing:
            if self._state.status is not Status.VERIFIED:
                return
            self._state.listed = None
            self._state.list_version = found.list_version
            if found.open_hits:
                await self._kyc.open_case(Reason.RESCREENING_HIT, found.open_hits, found.sanction_hits)
            else:
                await self._kyc.move(Status.VERIFIED)

    # --- commands ------------------------------------------------------------------------------------

    @workflow.update
    async def register(self, _: Register | None = None) -> OnboardingView:
        await workflow.wait_condition(lambda: self._opened)
        return self._view()

    @workflow.update
    async def submit(self, given: Submit) -> OnboardingView:
        await workflow.wait_condition(lambda: self._opened)
        if given.submission_id != self._state.submission_id:
            await heard(lambda: self._state.status is not Status.IN_PROGRESS)
        async with self._writing:
            state = self._state
            if given.submission_id == state.submission_id:
                return self._view()
            self._allow_submission(given)
            state.tries = state.tries + 1 if state.status is Status.ACTION_REQUIRED else 1
            state.submission_id, state.requested = given.submission_id, given.tier
            state.results = {}
            self._withdrawn = False
            await self._kyc.move(Status.IN_PROGRESS)
            return self._view()

    @workflow.update
    async def appeal(self, _: Appeal) -> OnboardingView:
        await heard(lambda: self._state.status is Status.REJECTED)
        async with self._writing:
            if self._state.status is not Status.REJECTED:
                raise refuse("nothing_to_appeal", self._state.status)
            await self._kyc.open_case(Reason.APPEAL, 0, 0)
            return self._view()

    @workflow.update
    async def withdraw_consent(self, _: WithdrawConsent) -> OnboardingView:
        """Stops work in flight; a case about a listed person goes on, since the law asks for it."""
        async with self._writing:
            state = self._state
            if state.status is Status.IN_PROGRESS:
                self._withdrawn = True
            elif state.status is Status.ACTION_REQUIRED or (state.case and not state.case.open_hits):
                await self._kyc.stop()
        await workflow.wait_condition(lambda: not self._withdrawn)
        return self._view()

    @workflow.update
    async def decide(self, decision: Decide) -> CaseView:
        await heard(lambda: self._state.case is not None and self._state.case.case_id == decision.case_id)
        async with self._writing:
            case, officer = self._judging(decision)
            match decision.decision:
                case "request_information":
                    made = self._kyc.case(CaseStatus.INFORMATION_REQUESTED, officer, decision.note_id)
                    await self._kyc.ask("information_requested", made)
                case "reject":
                    hits = "confirmed" if case.open_hits else None
                    made = self._kyc.case(CaseStatus.REJECTED, officer, decision.note_id, hits=hits)
                    self._state.rejected_by = officer
                    await self._kyc.turn_down("not_verified", made, freeze=case.sanction_hits > 0)
                case "approve":
                    made = await self._approve(case, officer, decision.note_id)
            return CaseView(case_id=case.case_id, status=made.status, kyc_status=self._state.status)

    @decide.validator
    def _may_decide(self, decision: Decide) -> None:
        self._officer(decision)

    @workflow.signal
    def list_changed(self, changed: ListChanged) -> None:
        self._state.listed = changed.list_version

    @workflow.signal
    def account_closed(self) -> None:
        """The person was erased: nobody is left to onboard."""
        self._closed = True

    # --- parts ---------------------------------------------------------------------------------------

    async def _approve(self, case: Case, officer: str, note_id: str) -> CaseMove:
        if case.second_due and case.first_by is None:
            case.first_by = officer
            made = self._kyc.case(CaseStatus.AWAITING_SECOND, note_id=note_id)
            await self._kyc.move(Status.MANUAL_REVIEW, case=made)
            return made
        made = self._kyc.case(CaseStatus.APPROVED, officer, note_id, hits="cleared")
        state = self._state
        seen = state.requested is not None and len(state.results) == len(Step)
        if seen or (state.tier is not None and case.reason is Reason.RESCREENING_HIT):
            await self._kyc.verify(made)
        else:
            # Granted, but the checks never ran to their end: nobody is verified unseen.
            state.tries, state.frozen, state.rejected_by = 0, False, None
            await self._kyc.ask("hand_in_again", made)
        return made

    def _judging(self, decision: Decide) -> tuple[Case, str]:
        """The open case and the officer, or the refusal."""
        case, officer = self._state.case, self._officer(decision)
        if case is None or case.case_id != decision.case_id:
            raise refuse("case_closed")
        if officer in (case.first_by, case.not_by):
            raise refuse("same_officer")
        return case, officer

    def _officer(self, decision: Decide) -> str:
        action = decision_action(decision.case_id, decision.decision)
        key, customer = self._given.assertion_public_key, self._given.user_id
        return decider(decision.signed, key, action, ("compliance",), about=customer).subject

    def _allow_submission(self, given: Submit) -> None:
        state = self._state
        match state.status:
            case Status.IN_PROGRESS | Status.MANUAL_REVIEW:
                raise refuse("kyc_in_progress")
            case Status.REJECTED if state.frozen or state.rejected_by:
                raise refuse("appeal_required")
            case Status.VERIFIED:
                ends = state.expires_at or workflow.now()
                higher = state.tier is None or given.tier.rank > state.tier.rank
                if not higher and workflow.now() < ends - kyc.RENEW_BEFORE:
                    raise refuse("kyc_already_verified")

    def _stopped(self) -> bool:
        return self._withdrawn or self._closed

    def _to_search(self) -> bool:
        return self._state.listed is not None and self._state.listed != self._state.list_version

    async def _moved_before(self, until: datetime | None, seen: Status) -> bool:
        """True when something moved first (or the run has grown long), False when the time has come."""
        moves = self._state.moves
        left = until - workflow.now() if until is not None else None
        if left is not None and left <= timedelta():
            return False
        try:
            await workflow.wait_condition(
                lambda: (
                    self._closed
                    or self._state.status is not seen
                    or self._state.moves != moves
                    or (seen is Status.VERIFIED and self._to_search())
                    or workflow.info().is_continue_as_new_suggested()
                ),
                timeout=left,
            )
        except TimeoutError:
            return False
        return True

    async def _continue(self) -> None:
        # A withdrawal waits for the check to stop, which only this coroutine does: it goes first.
        await workflow.wait_condition(lambda: workflow.all_handlers_finished() or self._withdrawn)
        if self._withdrawn or self._closed:
            return
        attributes = workflow.info().typed_search_attributes.updated(
            SearchAttributePair(Attribute.STATE.value, self._state.status)
        )
        workflow.continue_as_new(
            self._given.model_copy(update={"state": self._state}),
            search_attributes=TypedSearchAttributes(list(attributes)),
        )

    def _view(self) -> OnboardingView:
        state = self._state
        return OnboardingView(onboarding_id=state.submission_id, status=state.status, version=state.version)
