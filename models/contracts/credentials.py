"""Certificates of completion as Open Badges 3.0 credentials, secured as JSON Web Tokens (VC-JWT, RS256).

https://www.imsglobal.org/spec/ob/v3p0 section 8.2 (JSON Web Token proof format): the payload is the
credential with the registered claims beside it; the header names the key by a URL that answers it as a JWK.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from pydantic_core import from_json, to_json

CONTEXT = [
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
]
SCHEMA = "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
ALGORITHM = "RS256"


@dataclass(frozen=True)
class Achieved:
    """What a certificate says. `salt` keeps the hashed name from being guessed by a list of names."""

    certificate_id: str
    course_id: str
    course_title: str
    syllabus: int
    holder: str
    salt: str
    issued_at: datetime


class ForgedCredential(ValueError):
    """The token is damaged, or none of our keys signed it."""


def credential_url(public_url: str, certificate_id: str) -> str:
    return f"{public_url}/v1/certificates/{certificate_id}"


def hashed_name(name: str, salt: str) -> str:
    """The IdentityHash of Open Badges 3.0: ``sha256$`` and the hex digest of the value and the salt."""
    return "sha256$" + hashlib.sha256((name + salt).encode()).hexdigest()


def credential(achieved: Achieved, public_url: str, issuer_name: str) -> dict[str, Any]:
    """The badge with its registered claims. The holder stands in it by a salted hash only, so that
    whoever holds the printed name can check it and the public page tells nobody's name."""
    url = credential_url(public_url, achieved.certificate_id)
    moment = achieved.issued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "@context": CONTEXT,
        "id": url,
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "name": f"Certificate of completion: {achieved.course_title}",
        "issuer": {"id": public_url, "type": ["Profile"], "name": issuer_name, "url": public_url},
        "validFrom": moment,
        "credentialSubject": {
            "id": f"{url}#holder",
            "type": ["AchievementSubject"],
            "identifier": [
                {
                    "type": "IdentityObject",
                    "identityType": "name",
                    "hashed": True,
                    "identityHash": hashed_name(achieved.holder, achieved.salt),
                    "salt": achieved.salt,
                }
            ],
            "achievement": {
                "id": f"{public_url}/v1/courses/{achieved.course_id}",
                "type": ["Achievement"],
                "achievementType": "Course",
                "name": achieved.course_title,
                "description": f"All lessons and assessments of “{achieved.course_title}”.",
                "version": str(achieved.syllabus),
                "criteria": {"narrative": "Every lesson done and every assessment passed."},
            },
        },
        "credentialSchema": [{"id": SCHEMA, "type": "1EdTechJsonSchemaValidator2019"}],
        "iss": public_url,
        "jti": url,
        "nbf": int(achieved.issued_at.timestamp()),
        "sub": f"{url}#holder",
    }


def sign(private_pem_base64: str, payload: dict[str, Any], public_url: str) -> str:
    """The credential as a compact JWS; the same payload and key give the same token."""
    key = RSAKey.import_key(base64.b64decode(private_pem_base64))
    header = {
        "alg": ALGORITHM,
        "typ": "JWT",
        "kid": f"{public_url}/v1/certificates/keys/{key.thumbprint()}",
    }
    return jws.serialize_compact(header, to_json(payload), key)


def check(token: str, public_pems_base64: list[str]) -> dict[str, Any]:
    """The credential inside, if one of our keys signed it. Raises ForgedCredential."""
    for pem in public_pems_base64:
        try:
            found = jws.deserialize_compact(token, RSAKey.import_key(base64.b64decode(pem)), [ALGORITHM])
            return dict(from_json(found.payload))
        except (JoseError, ValueError):
            continue
    raise ForgedCredential("no key of ours signed it")


def public_jwk(public_pems_base64: list[str], thumbprint: str) -> dict[str, Any] | None:
    """The public key of that thumbprint (RFC 7638) as a JWK; None where it is not ours."""
    for pem in public_pems_base64:
        key = RSAKey.import_key(base64.b64decode(pem))
        if key.thumbprint() == thumbprint:
            return {**key.as_dict(private=False), "alg": ALGORITHM, "use": "sig"}
    return None
