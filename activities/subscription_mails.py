"""Mails to the customer of a subscription: what is debited and when, what failed, what ends."""

from datetime import UTC, datetime

from domain.billing_calendar import IST
from domain.money import rupees
from domain.subscriptions import Status, held_message_id, trial_message_id
from models.messages.subscription_state import SubscriptionState
from models.messages.subscriptions import Miss, Notice, Tell, Topic
from store import identity_users, messages
from store.database import Connection
from store.vault import Vault

Mail = tuple[str, str]
"""Subject and text."""


WITHHELD = {
    Topic.FEE_CAP_REACHED: "With the renewal of your plan {name} your family would pay more for research "
    "services in a year than SEBI allows. Nothing is debited. You keep what is paid for, and can resume the "
    "plan in your account when a year has passed since your earlier payments, or change to another plan.",
    Topic.CONSENT_REQUIRED: "You have withdrawn your consent to the terms of research services, which your "
    "plan {name} carries. Nothing is debited. You keep what is paid for; to go on, consent again and resume "
    "the plan.",
    Topic.KYC_TIER_REQUIRED: "The price of your plan {name} needs a verification of your identity that is in "
    "force and covers it. Nothing is debited. You keep what is paid for; to go on, complete the verification "
    "in your account and resume the plan.",
    Topic.LIMIT_EXCEEDED: "With the renewal of your plan {name} you would pay more in a day or a month than "
    "your verification allows. Nothing is debited. You keep what is paid for; to go on, complete the next "
    "verification in your account or wait for the next month, and resume the plan.",
    Topic.PAYMENT_DECLINED: "We could not take the payment for your plan {name}. Nothing is debited. You "
    "keep what is paid for; you can resume the plan in your account, and our support helps you further.",
}
"""Why a renewal is not debited. Of limits and scores a customer is told the neutral code's words alone."""


async def tell(connection: Connection, vault: Vault, user_id: str, message_id: str, mail: Mail) -> None:
    """Writes a mail, once an id, due at once: what it tells of may lie in business time to come."""
    person = await identity_users.contact_of(connection, vault, user_id)
    if person is not None:
        await messages.enqueue(
            connection,
            vault,
            message_id=message_id,
            to=person.email,
            channel="email",
            subject=mail[0],
            text=mail[1],
            person_id=user_id,
            now=datetime.now(UTC),
        )


def notice_mail(notice: Notice) -> Mail:
    """RBI, e-mandates: what is debited, when and why, and how to stop it."""
    day = notice.due_at.astimezone(IST)
    name = notice.state.renewal_terms().name
    return (
        f"Your {name} plan renews on {day:%d %B %Y}",
        f"On {day:%d %B %Y} at {day:%H:%M} (India) we will debit Rs {rupees(notice.amount)} (GST included) "
        f"for your plan {name} under the mandate that you gave. To stop it, cancel or pause the plan in "
        "your account before then: a cancel that reaches us before the debit leaves always wins.",
    )


def missed_mail(miss: Miss) -> Mail:
    """A debit did not go through: what comes next."""
    name = miss.state.renewal_terms().name
    if miss.state.status is Status.HALTED:
        return (
            f"Your {name} plan has stopped",
            f"We could not debit the renewal of your plan {name}, and do not try again. You can resume or "
            "change the plan in your account for 60 days.",
        )
    return (
        f"The renewal of your {name} plan did not go through",
        f"Your bank did not pay the renewal of your plan {name}. We try again, and tell you before we do.",
    )


def mail_of(given: Tell) -> tuple[str, Mail]:
    """Message id and mail of a topic."""
    match given.topic:
        case Topic.TRIAL_ENDS:
            return trial_message_id(given.state.subscription_id), _trial_mail(given.state)
        case _:
            state = given.state
            key = held_message_id(state.subscription_id, state.period + 1, state.attempt)
            name = state.renewal_terms().name
            return key, (f"Your {name} plan is not renewed", WITHHELD[given.topic].format(name=name))


def _trial_mail(state: SubscriptionState) -> Mail:
    ends = (state.trial_ends_at or datetime.now(UTC)).astimezone(IST)
    terms = state.terms()
    return (
        f"Your trial of {terms.name} ends on {ends:%d %B %Y}",
        f"Your trial of {terms.name} ends on {ends:%d %B %Y} at {ends:%H:%M} (India). Nothing is "
        f"debited: to go on, pay Rs {rupees(terms.amount)} (GST included) in your account by then. Otherwise "
        "it just ends.",
    )
