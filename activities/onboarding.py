"""The onboarding process's own books: its moves, each with the case, the mail and the alert of it."""

import hashlib
from datetime import date, datetime, timedelta

from temporalio import activity

from activities.onboarding_words import TO_COMPLIANCE, TO_CUSTOMER
from models.contracts.identifiers import Prefix
from models.messages.onboarding import Alert, Checked, Move, RescreenPage
from store import identity_users, messages, onboarding, onboarding_cases, onboarding_submissions
from store.database import Connection, Database
from store.onboarding import INDIA
from store.vault import PersonForgotten, Vault
from workflows.ports.onboarding import OnboardingPort

REPORT_WORKING_DAYS = 7
"""PMLA (Maintenance of Records) Rules, rule 8: a suspicion is reported within seven working days."""

PAGE = 200


class OnboardingActivities(OnboardingPort):
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    @activity.defn(name="onboarding.open")
    async def open(self, user_id: str) -> int:
        """Key: the customer; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            return await onboarding.open_standing(connection, user_id, activity.info().scheduled_time)

    @activity.defn(name="onboarding.consent_held")
    async def consent_held(self, checked: Checked) -> bool:
        """A read; an erased person consents to nothing."""
        async with self._database.reading() as connection:
            try:
                given = await onboarding_submissions.read(connection, self._vault, checked.submission_id)
            except PersonForgotten:
                return False
        return given is not None and given.consent_held

    @activity.defn(name="onboarding.move")
    async def move(self, move: Move) -> int:
        """Key: (customer, number of the move): all of it is written once, in one transaction."""
        async with self._database.transaction() as connection:
            version, new = await onboarding.move(connection, self._vault, move)
            if not new:
                return version
            if move.case is not None:
                await onboarding_cases.write(
                    connection, move.user_id, move.submission_id, move.risk_score, move.case, move.as_of
                )
            await self._tell_customer(connection, move)
            if move.alert is not None:
                await self._alert(connection, move, move.alert)
        return version

    @activity.defn(name="onboarding.to_rescreen")
    async def to_rescreen(self, page: RescreenPage) -> list[str]:
        """A read."""
        async with self._database.reading() as connection:
            return await onboarding.to_rescreen(connection, page.list_version, page.after, PAGE)

    async def _tell_customer(self, connection: Connection, move: Move) -> None:
        if move.notice is not None:
            subject, text = TO_CUSTOMER[move.notice]
            await self._mail(connection, move, move.user_id, subject, text)

    async def _alert(self, connection: Connection, move: Move, alert: Alert) -> None:
        reference = move.case.case_id if move.case else move.user_id
        due = working_days_after(move.as_of.astimezone(INDIA).date(), REPORT_WORKING_DAYS)
        report_by = due if alert is Alert.SANCTIONS_CONFIRMED else None
        await onboarding_cases.alert(
            connection,
            alert_id=f"{alert}:{reference}",
            kind=alert,
            user_id=move.user_id,
            reference=reference,
            report_by=report_by,
            now=move.as_of,
        )
        subject, text = TO_COMPLIANCE[alert]
        text = text.format(reference=reference, user_id=move.user_id, report_by=report_by)
        for officer in await onboarding_cases.officers(connection, move.user_id, move.as_of):
            await self._mail(connection, move, officer, subject, text)

    async def _mail(self, connection: Connection, move: Move, to: str, subject: str, text: str) -> None:
        try:
            contacts = await identity_users.contact_of(connection, self._vault, to)
        except PersonForgotten:
            return
        if contacts is None:
            return
        await messages.enqueue(
            connection,
            self._vault,
            message_id=_message_id(move, to),
            to=contacts.email,
            channel="email",
            subject=subject,
            text=text,
            person_id=to,
            now=_real(move.as_of),
        )


def _message_id(move: Move, to: str) -> str:
    """One message a move and addressee, whoever writes it again."""
    digest = hashlib.sha256(f"kyc:{move.user_id}:{move.number}:{to}".encode()).hexdigest()
    return f"{Prefix.MESSAGE}_{digest[:32]}"


def _real(as_of: datetime) -> datetime:
    """When a message falls due: the relay runs on the host's clock, so never later than now by it."""
    return min(as_of, activity.info().current_attempt_scheduled_time)


def working_days_after(day: date, days: int) -> date:
    """The day that is so many Mondays to Fridays later; bank holidays count, which only makes it earlier."""
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day
