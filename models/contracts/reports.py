"""Signed reports: canonical JSON as a compact JWS under an Ed25519 key (RFC 7515, RFC 9864).

Canonical as RFC 8785 has it, for what reports hold: members sorted, no space, UTF-8, whole numbers and
texts alone. Whoever has the public key can check a report without us.
"""

import base64
import json
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"
TYPE = "treum-report+jws"


class ForgedReport(ValueError):
    """The report is damaged, or none of our keys signed it."""


def canonical(report: dict[str, Any]) -> bytes:
    return json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(private_pem_base64: str, report: dict[str, Any]) -> str:
    """The same report and key give the same text: Ed25519 draws no lots."""
    key = OKPKey.import_key(base64.b64decode(private_pem_base64))
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.thumbprint()}
    return jws.serialize_compact(header, canonical(report), key, algorithms=[ALGORITHM])


def check(text: str, public_pems_base64: list[str]) -> dict[str, Any]:
    """The report inside, if one of our keys signed it. Raises ForgedReport."""
    for pem in public_pems_base64:
        try:
            key = OKPKey.import_key(base64.b64decode(pem))
            found = jws.deserialize_compact(text, key, algorithms=[ALGORITHM])
            return dict(json.loads(found.payload))
        except (JoseError, ValueError):
            continue
    raise ForgedReport("no key of ours signed it")


def public_keys(public_pems_base64: list[str]) -> dict[str, Any]:
    """Our keys as a JWK set, each under the `kid` that reports carry."""
    keys = [OKPKey.import_key(base64.b64decode(pem)) for pem in public_pems_base64]
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}
            for key in keys
        ]
    }
