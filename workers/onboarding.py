"""The onboarding pool: KYC for every customer, and the messages that everyone is sent."""

import base64

from activities.complaints import ComplaintsActivities
from activities.notifications import NotificationsActivities
from activities.onboarding import OnboardingActivities
from activities.onboarding_checks import KycActivities
from models.contracts.queues import Queue
from providers.aadhaar import AadhaarVerifier
from providers.kyc import HttpKyc
from providers.notify import HttpNotifier
from providers.screening import HttpScreening
from workers.parts import Parts
from workers.pool import Pool, Served
from workflows.complaints import Complaint
from workflows.notifications import Message
from workflows.onboarding import CustomerOnboarding
from workflows.rescreening import Rescreening

PROVIDER_SECONDS = 4.0
"""Shorter than the heartbeat timeout of `READ_PROVIDER`, so that a silent provider is no lost worker."""


def _books(parts: Parts) -> list:
    books = OnboardingActivities(parts.database, parts.vault)
    mail = NotificationsActivities(
        parts.database, parts.vault, HttpNotifier(parts.http, parts.settings.sandbox)
    )
    complaints = ComplaintsActivities(parts.database)
    return [complaints.move, books.open, books.consent_held, books.move, books.to_rescreen, mail.deliver]


def _checks(parts: Parts) -> list:
    pinned = [base64.b64decode(each).decode() for each in parts.settings.aadhaar_certificates]
    checks = KycActivities(
        parts.database,
        parts.vault,
        HttpKyc(parts.http, f"{parts.settings.sandbox}/kyc", timeout_seconds=PROVIDER_SECONDS),
        AadhaarVerifier(pinned),
        HttpScreening(parts.http, f"{parts.settings.sandbox}/screening", timeout_seconds=PROVIDER_SECONDS),
    )
    return [checks.check_documents, checks.check_identity, checks.screen, checks.list_version]


POOL = Pool(
    "onboarding",
    [
        Served(Queue.ONBOARDING, [CustomerOnboarding, Rescreening, Complaint, Message], _books),
        Served(Queue.KYC, activities=_checks),
    ],
)
