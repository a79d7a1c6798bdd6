"""Signed staff assertions: who asks for a staff action, in which role, on which run, until when.

The API signs with an Ed25519 key that only it holds; the workflow's validator checks against the public
key in its input, so what someone types into the Temporal UI cannot pass for a second person.
"""

import base64
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import AwareDatetime, BaseModel

LIFETIME = timedelta(minutes=10)
"""How long an assertion holds for whoever brings it. For the command it was signed for it holds until that is
answered: the promise was made in time, and engines that were down do not undo a person's decision."""


class Assertion(BaseModel):
    """What is signed: subject and role, the workflow, the action, and an expiry."""

    subject: str
    role: str
    workflow_id: str
    action: str
    expires_at: AwareDatetime
    command_id: str = ""
    """The command that it was signed for; empty where the command is not known yet."""


class SignedAssertion(BaseModel):
    """An assertion and its Ed25519 signature (base 64) over the assertion's JSON bytes."""

    assertion: str
    signature: str


class ForgedAssertion(ValueError):
    """The assertion is not the API's, is for something else, or has expired."""


def sign(private_pem_base64: str, assertion: Assertion) -> SignedAssertion:
    key = load_pem_private_key(base64.b64decode(private_pem_base64), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("the assertion key is not Ed25519")
    text = assertion.model_dump_json()
    return SignedAssertion(assertion=text, signature=base64.b64encode(key.sign(text.encode())).decode())


def check(
    signed: SignedAssertion,
    public_pem_base64: str,
    *,
    workflow_id: str,
    action: str,
    now: datetime,
    command_id: str = "",
) -> Assertion:
    """The assertion inside, if the API signed it for this run and action and it still holds. `command_id`: of
    the command that brings it, which is the id of the update.

    Raises:
        ForgedAssertion: in every other case; the text says which, without the assertion's content.
    """
    key = load_pem_public_key(base64.b64decode(public_pem_base64))
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError("the assertion key is not Ed25519")
    try:
        key.verify(base64.b64decode(signed.signature), signed.assertion.encode())
    except (InvalidSignature, ValueError):
        raise ForgedAssertion("the signature is not the API's") from None
    inside = Assertion.model_validate_json(signed.assertion)
    if (inside.workflow_id, inside.action) != (workflow_id, action):
        raise ForgedAssertion("the assertion is for another run or action")
    bound = inside.command_id and command_id
    if bound and inside.command_id != command_id:
        raise ForgedAssertion("the assertion is for another command")
    if inside.expires_at < now and not bound:
        raise ForgedAssertion("the assertion has expired")
    return inside
