"""The checks of one submission: documents, identity, watchlist. Each result is written once."""

import asyncio
from datetime import UTC, date, datetime

from pydantic import BaseModel
from temporalio import activity

from domain import kyc
from domain.errors import Rejected
from domain.kyc import NameMatch, Result, Step, Tier
from models.messages.onboarding import Checked, Screened, StepResult
from providers.aadhaar import SHARE_CODE_WRONG, AadhaarRecord, AadhaarVerifier
from providers.kyc import KycProvider, PanAnswer, PanStatus
from providers.screening import ScreeningAnswer, ScreeningProvider
from store import identity_users, onboarding, onboarding_cases, onboarding_submissions
from store.database import Connection, Database
from store.onboarding import INDIA
from store.onboarding_submissions import Document, Submission
from store.vault import PersonForgotten, Vault
from workflows.ports.onboarding import KycPort

Finding = tuple[Result, str]


class Kept(BaseModel):
    """What is kept of a signed Aadhaar file; the photograph is not."""

    name: str
    date_of_birth: date
    last4: str
    reference_id: str
    mobile_matches: bool


class KycActivities(KycPort):
    """Safe to repeat: a stored result is given back, a paid check carries our reference, reads read."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        provider: KycProvider,
        verifier: AadhaarVerifier,
        watchlist: ScreeningProvider,
    ) -> None:
        self._database = database
        self._vault = vault
        self._provider = provider
        self._verifier = verifier
        self._watchlist = watchlist

    @activity.defn(name="onboarding.check_documents")
    async def check_documents(self, checked: Checked) -> StepResult:
        """Key: (submission, step). Age is judged by the provider's clock, which dates the file.

        Raises:
            Rejected: `consent_withdrawn`. Unavailable: the provider's clock cannot be read.
        """
        async with self._database.reading() as connection:
            stored = await self._stored(connection, checked, Step.DOCUMENTS)
            if stored:
                return stored
            given = await self._given(connection, checked)
            file = await onboarding_submissions.aadhaar_file(connection, self._vault, given)
            documents = await onboarding_submissions.documents(connection, self._vault, given)
            contacts = await identity_users.contact_of(connection, self._vault, checked.user_id)
        now = await self._provider.clock()
        mobile, email = (contacts.phone, contacts.email) if contacts else ("", None)
        findings: list[Finding] = []
        record: AadhaarRecord | None = None
        try:
            record = await asyncio.to_thread(
                self._verifier.verify, file, given.facts.share_code, as_of=now, mobile=mobile, email=email
            )
        except Rejected as refused:
            # A code mistyped opens nothing, so nothing was refuted; everything else is a false document.
            unopened = refused.code == SHARE_CODE_WRONG
            findings.append((Result.UNFIT if unopened else Result.REJECTED, refused.code))
        findings += _proofs(given.tier, documents, now.astimezone(INDIA).date())
        if not kyc.is_adult(given.facts.date_of_birth, now.astimezone(INDIA).date()):
            findings.append((Result.REJECTED, "under_age"))
        async with self._database.transaction() as connection:
            if record is not None:
                kept = Kept.model_validate(record, from_attributes=True)
                await onboarding_submissions.keep_record(
                    connection, self._vault, given, kept.model_dump(mode="json")
                )
            return await self._keep(connection, checked, Step.DOCUMENTS, findings)

    @activity.defn(name="onboarding.check_identity")
    async def check_identity(self, checked: Checked) -> StepResult:
        """Key: (submission, step). The PAN check is charged once, by the reference that it carries.

        Raises:
            Rejected: `consent_withdrawn`, `kyc_refused`. Unavailable, RateLimited: from the provider.
        """
        async with self._database.reading() as connection:
            stored = await self._stored(connection, checked, Step.IDENTITY)
            if stored:
                return stored
            given = await self._given(connection, checked)
            kept = await onboarding_submissions.record(connection, self._vault, given)
            elsewhere = await onboarding_submissions.pan_is_anothers(connection, given)
            documents = await onboarding_submissions.documents(connection, self._vault, given)
        findings = _by_pan(await self._pan(given))
        if kept is not None:
            findings += _by_aadhaar(given, Kept.model_validate_json(kept))
        if not kyc.is_persons_pan(given.facts.pan):
            findings.append((Result.FLAGGED, "pan_not_a_persons"))
        if elsewhere:
            findings.append((Result.FLAGGED, "pan_shared"))
        if given.tier is Tier.ADVANCED:
            findings += await self._faces(documents)
        async with self._database.transaction() as connection:
            return await self._keep(connection, checked, Step.IDENTITY, findings)

    @activity.defn(name="onboarding.screen")
    async def screen(self, checked: Checked) -> Screened:
        """Key: (customer, listed person): a hit that was judged before is not opened again.

        Raises:
            Rejected: `screening_refused`. Unavailable, RateLimited: from the provider.
        """
        async with self._database.reading() as connection:
            given = await self._given(connection, checked, any_consent=True)
        answer = await self._watchlist.search(given.full_name, given.facts.date_of_birth)
        hits = [onboarding_cases.Hit(hit.entry_id, hit.programme, hit.score, hit.name) for hit in answer.hits]
        async with self._database.transaction() as connection:
            states = await onboarding_cases.keep_hits(
                connection, self._vault, checked.user_id, answer.list_version, hits, checked.as_of
            )
            found = _screened(answer, states)
            for step, result in ((Step.AML, found.aml), (Step.SANCTIONS, found.sanctions)):
                codes = ["hit"] if result is not Result.PASSED else []
                await onboarding.write_step(
                    connection, checked.user_id, checked.submission_id, step, result, codes, checked.as_of
                )
        return found

    @activity.defn(name="onboarding.list_version")
    async def list_version(self) -> str:
        """A read. Raises Unavailable, RateLimited."""
        return (await self._watchlist.current_list()).list_version

    async def _pan(self, given: Submission) -> PanAnswer:
        reference = f"{given.submission_id}-pan"
        now = datetime.now(UTC)
        async with self._database.reading() as connection:
            answer = await onboarding_submissions.begin_check(
                connection, reference, given.submission_id, "pan", now
            )
        if answer is not None:
            return PanAnswer.model_validate(answer)
        activity.heartbeat()
        asked = given.facts
        found = await self._provider.check_pan(
            asked.pan, asked.full_name, asked.date_of_birth, reference=reference
        )
        async with self._database.reading() as connection:
            await onboarding_submissions.end_check(
                connection, reference, found.model_dump(mode="json"), datetime.now(UTC)
            )
        return found

    async def _faces(self, documents: list[Document]) -> list[Finding]:
        calls = [document for document in documents if document.type in kyc.VIDEO_CALLS]
        if not calls:
            return [(Result.UNFIT, "video_call_missing")]
        activity.heartbeat()
        try:
            face = await self._provider.check_face(calls[-1].content.decode()[:128])
        except UnicodeDecodeError:
            return [(Result.UNFIT, "video_call_unreadable")]
        if not face.live:
            return [(Result.REJECTED, "video_call_not_live")]
        return [] if face.match else [(Result.REJECTED, "face_mismatch")]

    async def _stored(self, connection: Connection, checked: Checked, step: Step) -> StepResult | None:
        found = await onboarding.step(connection, checked.submission_id, step)
        return StepResult(result=found[0], codes=found[1]) if found else None

    async def _given(
        self, connection: Connection, checked: Checked, *, any_consent: bool = False
    ) -> Submission:
        try:
            given = await onboarding_submissions.read(connection, self._vault, checked.submission_id)
        except PersonForgotten:
            raise Rejected("consent_withdrawn", "erased") from None
        if given is None or given.user_id != checked.user_id:
            raise Rejected("submission_unknown")
        if not given.consent_held and not any_consent:
            raise Rejected("consent_withdrawn")
        return given

    async def _keep(
        self, connection: Connection, checked: Checked, step: Step, findings: list[Finding]
    ) -> StepResult:
        result, codes = kyc.worst(found for found, _ in findings), [code for _, code in findings]
        await onboarding.write_step(
            connection, checked.user_id, checked.submission_id, step, result, codes, checked.as_of
        )
        return await self._stored(connection, checked, step) or StepResult(result=result, codes=codes)


def _proofs(tier: Tier, documents: list[Document], on: date) -> list[Finding]:
    findings: list[Finding] = []
    due = [(Tier.INTERMEDIATE, kyc.PROOFS_OF_ADDRESS, kyc.PROOF_OF_ADDRESS_MONTHS, "address_proof")]
    due.append((Tier.ADVANCED, kyc.PROOFS_OF_INCOME, kyc.PROOF_OF_INCOME_MONTHS, "income_proof"))
    for needed_from, types, months, name in due:
        if tier.rank < needed_from.rank:
            continue
        found = [(each.issued_on, each.content) for each in documents if each.type in types]
        result, codes = kyc.judge_proof(found, months=months, on=on, name=name)
        findings += [(result, code) for code in codes]
    return findings


def _by_pan(answer: PanAnswer) -> list[Finding]:
    if answer.status is PanStatus.UNKNOWN:
        return [(Result.REJECTED, "pan_unknown")]
    findings: list[Finding] = []
    if answer.status is PanStatus.INACTIVE:
        findings.append((Result.REJECTED, "pan_inactive"))
    if not answer.name_match:
        findings.append((Result.REJECTED, "pan_name_mismatch"))
    if not answer.dob_match:
        findings.append((Result.REJECTED, "pan_birth_date_mismatch"))
    return findings


def _by_aadhaar(given: Submission, record: Kept) -> list[Finding]:
    findings: list[Finding] = []
    match kyc.match_names(given.full_name, record.name):
        case NameMatch.OTHER:
            findings.append((Result.REJECTED, "aadhaar_name_mismatch"))
        case NameMatch.CLOSE:
            findings.append((Result.FLAGGED, "aadhaar_name_differs"))
    if record.date_of_birth != given.facts.date_of_birth:
        findings.append((Result.REJECTED, "aadhaar_birth_date_mismatch"))
    if not record.mobile_matches:
        findings.append((Result.FLAGGED, "aadhaar_mobile_differs"))
    return findings


def _screened(answer: ScreeningAnswer, states: dict[str, str]) -> Screened:
    live = [hit for hit in answer.hits if states[hit.entry_id] != "cleared"]
    sanctions = [hit for hit in live if kyc.is_sanction(hit.programme)]
    return Screened(
        aml=Result.FLAGGED if len(live) > len(sanctions) else Result.PASSED,
        sanctions=Result.FLAGGED if sanctions else Result.PASSED,
        open_hits=len(live),
        sanction_hits=len(sanctions),
        list_version=answer.list_version,
    )
