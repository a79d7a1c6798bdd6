"""The secrets of one embedded home: made at its first start, kept in ``DIR/secrets.json`` (mode 600)."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cli.supervisor.state import write_atomically


def _key() -> str:
    """32 random bytes in base 64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _ring() -> list[str]:
    return [f"k1:{_key()}"]


def _rsa_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _pem(key: Any) -> str:
    """A private key as PKCS#8 PEM in base 64."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(pem).decode()


def _assertion_pair() -> tuple[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return _pem(key), _public_pem(key)


def _certificate_pair() -> tuple[str, str]:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(public_exponent=65537, key_size=2048)
    return _pem(key), _public_pem(key)


def _public_pem(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def _aadhaar_signer() -> tuple[str, str]:
    """Key and certificate of the sandbox's e-KYC signer, and the certificate alone for us to pin."""
    from sandbox.kyc.offline_file import new_signing_key

    key, certificate = new_signing_key()
    return base64.b64encode((key + certificate).encode()).decode(), base64.b64encode(
        certificate.encode()
    ).decode()


def _document_pair() -> tuple[str, str]:
    """Key and self-signed certificate that sign a home's invoices; a licensed authority's in production."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    key = generate_private_key(public_exponent=65537, key_size=2048)
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Treum Technologies Private Limited")
    common = x509.NameAttribute(NameOID.COMMON_NAME, "Authorised signatory (embedded home)")
    name = x509.Name([organisation, common])
    usage = dict.fromkeys(
        ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
         "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, content_commitment=True, **usage), critical=True)
        .sign(key, SHA256())
    )
    return _pem(key), base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()


_MAKERS: dict[str, Callable[[], Any]] = {
    "postgres_password": lambda: secrets.token_urlsafe(24),
    "redis_password": lambda: secrets.token_urlsafe(24),
    "codec_keys": _ring,
    "vault_keys": _ring,
    "index_key": _key,
    "token_key": _rsa_key,
    "media_key": _key,
    "razorpay_key_id": lambda: f"rzp_test_{secrets.token_hex(7)}",
    "razorpay_key_secret": lambda: secrets.token_urlsafe(18),
    "razorpay_webhook_secrets": lambda: [secrets.token_urlsafe(24)],
    "kite_api_key": lambda: secrets.token_hex(8),
    "kite_api_secret": lambda: secrets.token_hex(16),
    "kite_postback_secret": lambda: secrets.token_urlsafe(24),
}


def make(held: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every secret by the name of its setting: those held, and new ones for those that lack."""
    keys = dict(held or {})
    for name, maker in _MAKERS.items():
        if name not in keys:
            keys[name] = maker()
    if "assertion_key" not in keys:
        keys["assertion_key"], keys["assertion_public_key"] = _assertion_pair()
    if "report_key" not in keys:
        keys["report_key"], keys["report_public_key"] = _assertion_pair()
    if "certificate_key" not in keys:
        keys["certificate_key"], keys["certificate_public_key"] = _certificate_pair()
    if "aadhaar_signer" not in keys:
        keys["aadhaar_signer"], keys["aadhaar_certificate"] = _aadhaar_signer()
    if "irp_signer" not in keys:
        keys["irp_signer"], keys["irp_public_key"] = _certificate_pair()
    if "document_key" not in keys:
        keys["document_key"], keys["document_certificate"] = _document_pair()
    return keys


def load_or_create(home: Path) -> dict[str, Any]:
    """The home's secrets; those it lacks are made and kept.

    Raises:
        OSError: the file cannot be read or written.
    """
    path = home / "secrets.json"
    held: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    keys = make(held)
    if keys != held:
        write_atomically(path, json.dumps(keys, indent=2), mode=0o600)
    return keys


def of_sandbox(keys: Mapping[str, Any]) -> dict[str, str]:
    """The providers' side of the same keys, as the sandbox reads them."""
    return {
        "TREUM_SANDBOX_RAZORPAY_KEY_ID": keys["razorpay_key_id"],
        "TREUM_SANDBOX_RAZORPAY_KEY_SECRET": keys["razorpay_key_secret"],
        "TREUM_SANDBOX_RAZORPAY_WEBHOOK_SECRET": keys["razorpay_webhook_secrets"][0],
        "TREUM_SANDBOX_AADHAAR_SIGNER": keys["aadhaar_signer"],
        "TREUM_SANDBOX_IRP_SIGNER": keys["irp_signer"],
        "TREUM_SANDBOX_KITE_API_KEY": keys["kite_api_key"],
        "TREUM_SANDBOX_KITE_API_SECRET": keys["kite_api_secret"],
    }
