"""Reads UIDAI's Aadhaar offline e-KYC file: a ZIP under a share code, in it one signed XML document.

No network and no store: everything that the record says was signed by a pinned certificate. The
Aadhaar number itself is not in the file, only its last four digits; neither is it kept anywhere.
"""

from collections.abc import Sequence
from datetime import date, datetime

from cryptography import x509
from lxml import etree
from pydantic import BaseModel, ConfigDict
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier
from signxml.algorithms import CanonicalizationMethod

from domain import aadhaar as rules
from domain.errors import Rejected
from providers.aadhaar_zip import open_single_xml

SHARE_CODE_WRONG = "aadhaar_share_code_wrong"
MALFORMED = "aadhaar_file_malformed"
SIGNATURE_INVALID = "aadhaar_signature_invalid"
TOO_OLD = "aadhaar_file_too_old"


class AadhaarAddress(BaseModel):
    """Address as signed; `line1` is house, street and landmark, `line2` the locality."""

    model_config = ConfigDict(frozen=True)

    care_of: str
    line1: str
    line2: str
    city: str
    district: str
    state: str
    pincode: str


class AadhaarRecord(BaseModel):
    """What UIDAI signed about a person. Personal data: never for a workflow's history.

    `email_matches` is None where the file carries no mail or none was asked about.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    date_of_birth: date
    gender: str
    address: AadhaarAddress
    last4: str
    reference_id: str
    made_at: datetime
    mobile_matches: bool
    email_matches: bool | None
    photo_base64: str


class AadhaarVerifier:
    """Verifies files against `certificates`, PEM, pinned out of band.

    More than one, since UIDAI renews its key and files signed by the former one are still about. What
    certificate a file itself carries is never looked at.
    """

    def __init__(self, certificates: Sequence[str]) -> None:
        if not certificates:
            raise ValueError("no certificate is pinned, so no file could ever be believed")
        self._certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in certificates]

    def verify(
        self, zip_bytes: bytes, share_code: str, *, as_of: datetime, mobile: str, email: str | None = None
    ) -> AadhaarRecord:
        """Opens and verifies one file. Blocking, 2 to 10 ms of processor time.

        Args:
            as_of: aware; the file's age and the certificate's validity are judged at it.
            mobile: with or without country code.

        Raises:
            Rejected: `aadhaar_share_code_wrong`, `aadhaar_file_malformed`, `aadhaar_signature_invalid`
                or `aadhaar_file_too_old`.
        """
        xml = open_single_xml(zip_bytes, share_code)
        _refuse_unsafe_xml(xml)
        signed = self._signed_part(xml, as_of)
        record = _record(signed, share_code, mobile, email)
        if record.made_at - as_of > rules.CLOCK_SKEW:
            raise Rejected(MALFORMED, "made in the future")
        if rules.is_too_old(record.made_at, as_of):
            raise Rejected(TOO_OLD)
        return record

    def _signed_part(self, xml: bytes, as_of: datetime) -> etree._Element:
        for certificate in self._certificates:
            signed = _signed_by(xml, certificate, as_of)
            if signed is not None:
                return signed
        raise Rejected(SIGNATURE_INVALID)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def _refuse_unsafe_xml(xml: bytes) -> None:
    try:
        tree = etree.fromstring(xml, parser=_parser()).getroottree()
    except (etree.XMLSyntaxError, ValueError):
        raise Rejected(MALFORMED, "no XML") from None
    # UIDAI's file has no document type; one can only bring entities or default attributes.
    if tree.docinfo.internalDTD is not None or tree.docinfo.externalDTD is not None or tree.docinfo.doctype:
        raise Rejected(MALFORMED, "document type")


class _Verifier(XMLVerifier):
    """signxml's verifier, around a fault of libxml2 2.14 that refuses every genuine file.

    Its inclusive C14N of a subtree undeclares a default namespace that the subtree inherits, as UIDAI's
    SignedInfo does; given a document of its own, the same subtree is canonicalised as the standard says.
    """

    def _c14n(
        self,
        nodes: etree._Element,
        algorithm: CanonicalizationMethod,
        inclusive_ns_prefixes: list[str] | None = None,
    ) -> bytes:
        own = etree.fromstring(etree.tostring(nodes, with_tail=False), parser=_parser())
        return bytes(super()._c14n(own, algorithm=algorithm, inclusive_ns_prefixes=inclusive_ns_prefixes))


def _signed_by(xml: bytes, certificate: x509.Certificate, as_of: datetime) -> etree._Element | None:
    """The document as this certificate signed it, or None. Only this return value may be read."""
    expected = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=frozenset({SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=as_of,
        # XML Signature's own default where a reference names no canonicalisation, as UIDAI's does not.
        default_reference_c14n_method=CanonicalizationMethod.CANONICAL_XML_1_0,
    )
    try:
        result = _Verifier().verify(xml, x509_cert=certificate, parser=_parser(), expect_config=expected)
    except Exception:  # noqa: BLE001
        # A forged Signature element can fail in any layer below (schema, base64, unknown algorithm,
        # arithmetic); whatever it was, nothing is proven to be signed, so there is nothing to read.
        return None
    return None if isinstance(result, list) else result.signed_xml


def _record(root: etree._Element, share_code: str, mobile: str, email: str | None) -> AadhaarRecord:
    if root.tag != "OfflinePaperlessKyc" or [child.tag for child in root] != ["UidData"]:
        raise Rejected(MALFORMED, "root")
    poi, poa = _only(root[0], "Poi"), _only(root[0], "Poa")
    photo = root[0].find("Pht")
    reference_id = root.get("referenceId", "")
    try:
        last4, made_at = rules.read_reference(reference_id)
        date_of_birth = rules.read_birth_date(poi.get("dob", ""))
    except ValueError:
        raise Rejected(MALFORMED, "referenceId or dob") from None
    name, gender = poi.get("name", "").strip(), poi.get("gender", "")
    if not name or gender not in ("M", "F", "T"):
        raise Rejected(MALFORMED, "name or gender")
    digit, mail_hash = int(last4[-1]), poi.get("e", "")
    return AadhaarRecord(
        name=name,
        date_of_birth=date_of_birth,
        gender=gender,
        address=_address(poa),
        last4=last4,
        reference_id=reference_id,
        made_at=made_at,
        mobile_matches=rules.mobile_matches(poi.get("m", ""), mobile, share_code, digit),
        email_matches=_email(mail_hash, email, share_code, digit),
        photo_base64=(photo.text or "") if photo is not None else "",
    )


def _email(found: str, email: str | None, share_code: str, digit: int) -> bool | None:
    return rules.email_matches(found, email, share_code, digit) if email and found else None


def _only(parent: etree._Element, tag: str) -> etree._Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise Rejected(MALFORMED, tag)
    return found[0]


def _address(poa: etree._Element) -> AadhaarAddress:
    def joined(*names: str) -> str:
        return ", ".join(part for name in names if (part := poa.get(name, "").strip()))

    return AadhaarAddress(
        care_of=joined("careof"),
        line1=joined("house", "street", "landmark"),
        line2=joined("loc"),
        city=joined("vtc") or joined("dist"),
        district=joined("dist"),
        state=joined("state"),
        pincode=joined("pc"),
    )
