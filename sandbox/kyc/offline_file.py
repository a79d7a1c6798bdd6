"""Makes a file as UIDAI's resident portal does: OfflinePaperlessKyc XML, signed, in a ZIP under a share code.

Format: UIDAI, "About Aadhaar Paperless Offline e-KYC" (elements, reference id, hashes). One difference:
UIDAI's ZIP uses the traditional cipher, which pyzipper cannot write, so this one is WinZip AES-256.
"""

import base64
import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pyzipper
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml import XMLSigner
from signxml.algorithms import CanonicalizationMethod, SignatureMethod

IST = ZoneInfo("Asia/Kolkata")

# One grey pixel as JPEG: the sandbox knows nobody's face.
PHOTO_BASE64 = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6j"
    "q62rZ4C8ybqmx5moq6T/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAI"
    "AQEAAD8AP//Z"
)


@dataclass(frozen=True)
class Person:
    """Whom a file is about; `address` holds the `Poa` attributes by UIDAI's names."""

    name: str
    date_of_birth: date
    gender: str
    mobile: str
    email: str
    address: dict[str, str]
    last4: str


def contact_hash(contact: str, share_code: str, last_digit: int) -> str:
    """UIDAI's Sha256(Sha256(contact + share code)) * last digit; 0 and 1 hash once."""
    digest = contact + share_code
    for _ in range(last_digit or 1):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return digest


def new_signing_key() -> tuple[str, str]:
    """A private key and its self-signed certificate, both PEM; valid 2000 to 2100, for any sandbox clock."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Treum sandbox, not UIDAI"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox offline e-KYC signer"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def reference_id(last4: str, made_at: datetime) -> str:
    """Last four digits, then Indian time as yyyymmddhhmmssSSS."""
    local = made_at.astimezone(IST)
    return f"{last4}{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}"


def document(person: Person, share_code: str, made_at: datetime) -> etree._Element:
    """The unsigned XML document."""
    digit = int(person.last4[-1])
    root = etree.Element("OfflinePaperlessKyc", referenceId=reference_id(person.last4, made_at))
    data = etree.SubElement(root, "UidData")
    etree.SubElement(
        data,
        "Poi",
        dob=f"{person.date_of_birth:%d-%m-%Y}",
        e=contact_hash(person.email, share_code, digit) if person.email else "",
        gender=person.gender,
        m=contact_hash(person.mobile, share_code, digit),
        name=person.name,
    )
    etree.SubElement(data, "Poa", dict(sorted(person.address.items())))
    etree.SubElement(data, "Pht").text = PHOTO_BASE64
    return root


def sign(root: etree._Element, private_key: str, certificate: str, prefix: str | None = "ds") -> bytes:
    """The document with UIDAI's kind of enveloped signature: RSA-SHA256 over the whole of it.

    UIDAI's own Signature element has no `prefix`. libxml2 2.14 misreads inclusive C14N there, so with
    one every verifier in use can check a sandbox file; None makes UIDAI's exact form.
    """
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    signer.namespaces = {prefix: "http://www.w3.org/2000/09/xmldsig#"}  # type: ignore[dict-item]
    signed = signer.sign(root, key=private_key, cert=certificate, exclude_c14n_transform_element=True)
    return bytes(etree.tostring(signed, xml_declaration=True, encoding="UTF-8"))


def pack(xml: bytes, name: str, share_code: str) -> bytes:
    """A ZIP of the one document, encrypted with the share code."""
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(share_code.encode())
        archive.writestr(name, xml)
    return buffer.getvalue()


def offline_file(
    person: Person, share_code: str, made_at: datetime, private_key: str, certificate: str
) -> tuple[str, bytes]:
    """A whole file: its reference id and its ZIP."""
    reference = reference_id(person.last4, made_at)
    xml = sign(document(person, share_code, made_at), private_key, certificate)
    return reference, pack(xml, f"offlineaadhaar{made_at.astimezone(IST):%Y%m%d%H%M%S}.xml", share_code)


def as_base64(data: bytes) -> str:
    """Standard base 64, as the platform's API takes it."""
    return base64.b64encode(data).decode()
