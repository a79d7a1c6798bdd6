"""Offline e-KYC files: the sandbox makes them, the platform's verifier takes the right ones only."""

import base64
import io
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pyzipper
from lxml import etree
from signxml import XMLSigner
from signxml.algorithms import CanonicalizationMethod
from signxml.verifier import XMLVerifier

from domain.errors import Rejected
from providers.aadhaar import AadhaarRecord, AadhaarVerifier
from providers.aadhaar_zip import MAX_XML_BYTES
from sandbox.kyc import offline_file
from tests.sandbox.conftest import Sandbox
from tests.sandbox.receiver import Receiver

CODE, MOBILE, EMAIL = "Abc@123", "9800000002", "asha@example.in"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
KEY, CERTIFICATE = offline_file.new_signing_key()
# One line of XML, encrypted with the traditional cipher by Info-ZIP, since no library here can write it.
TRADITIONAL = (
    "UEsDBAoACQAAALUkd11CwWizEQAAAAUAAAAGAAAAYWsueG1saJqvhQn1lYv6X/S19TFBkLBQSwcIQsFosxEAAAAFAAAAUEsBAh4DCg"
    "AJAAAAtSR3XULBaLMRAAAABQAAAAYAAAAAAAAAAQAAAKSBAAAAAGFrLnhtbFBLBQYAAAAAAQABADQAAABFAAAAAAA="
)
DS = "{http://www.w3.org/2000/09/xmldsig#}"
ASHA = offline_file.Person(
    name="Asha Rao",
    date_of_birth=date(1990, 1, 2),
    gender="F",
    mobile=MOBILE,
    email=EMAIL,
    address={"house": "12", "street": "MG Road", "loc": "Indiranagar", "vtc": "Bengaluru", "pc": "560001"},
    last4="1234",
)


def verify(
    packed: bytes, code: str = CODE, as_of: datetime = NOW, pins: tuple[str, ...] = (CERTIFICATE,)
) -> AadhaarRecord:
    verifier = AadhaarVerifier(pins)
    return verifier.verify(packed, code, as_of=as_of, mobile=f"+91{MOBILE}", email=EMAIL)


def refusal(packed: bytes, **other: Any) -> str:
    with pytest.raises(Rejected) as caught:
        verify(packed, **other)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.code


def signed(person: offline_file.Person = ASHA, prefix: str | None = "ds") -> bytes:
    return offline_file.sign(offline_file.document(person, CODE, NOW), KEY, CERTIFICATE, prefix)


def pack(xml: bytes, name: str = "offlineaadhaar.xml") -> bytes:
    return offline_file.pack(xml, name, CODE)


@pytest.mark.parametrize("prefix", ["ds", None], ids=["prefixed", "as-uidai-writes-it"])
def test_a_right_file_gives_what_was_signed(prefix: str | None) -> None:
    record = verify(pack(signed(prefix=prefix)))
    assert (record.name, record.date_of_birth, record.gender) == ("Asha Rao", date(1990, 1, 2), "F")
    assert (record.address.line1, record.address.line2) == ("12, MG Road", "Indiranagar")
    assert (record.address.city, record.address.pincode) == ("Bengaluru", "560001")
    assert (record.last4, record.reference_id) == ("1234", "123420261123113000000")
    assert record.made_at == NOW
    assert record.mobile_matches
    assert record.email_matches is True


@pytest.mark.parametrize("last4", ["1230", "1231", "1232", "1239"])
def test_the_mobile_is_matched_by_the_last_digit(last4: str) -> None:
    assert verify(pack(signed(replace(ASHA, last4=last4)))).mobile_matches
    assert not verify(pack(signed(replace(ASHA, last4=last4, mobile="9800000003")))).mobile_matches


def test_a_file_of_somebody_else_opens_but_does_not_match() -> None:
    record = verify(pack(signed(replace(ASHA, mobile="9999999999", email="other@example.in"))))
    assert (record.mobile_matches, record.email_matches) == (False, False)


def test_wrong_share_code() -> None:
    assert refusal(pack(signed()), code="Abc@124") == "aadhaar_share_code_wrong"
    assert refusal(pack(signed()), code="") in ("aadhaar_share_code_wrong", "aadhaar_file_malformed")


@pytest.mark.parametrize(
    "tampering",
    [
        (b'name="Asha Rao"', b'name="Asha Roy"'),
        (b'pc="560001"', b'pc="560002"'),
        (b'referenceId="1234', b'referenceId="1235'),
        (b"<UidData>", b"<UidData><Poi/>"),
        (b"</UidData>", b"</UidData><Extra/>"),
        (b"#rsa-sha256", b"#rsa-sha512"),
        (b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256"),
    ],
    ids=["name", "address", "reference", "second-poi", "sibling", "algorithm", "hmac-with-the-public-key"],
)
def test_tampering_breaks_the_signature(tampering: tuple[bytes, bytes]) -> None:
    xml = signed()
    assert tampering[0] in xml
    assert refusal(pack(xml.replace(*tampering))) == "aadhaar_signature_invalid"


def test_no_signature() -> None:
    bare = etree.tostring(offline_file.document(ASHA, CODE, NOW))
    assert refusal(pack(bare)) == "aadhaar_signature_invalid"


def test_a_forger_with_a_key_and_certificate_of_his_own() -> None:
    forged = offline_file.sign(offline_file.document(ASHA, CODE, NOW), *offline_file.new_signing_key())
    assert refusal(pack(forged)) == "aadhaar_signature_invalid"


def test_a_forger_who_shows_the_genuine_certificate() -> None:
    key, certificate = offline_file.new_signing_key()
    forged = offline_file.sign(offline_file.document(ASHA, CODE, NOW), key, certificate).decode()
    shown, genuine = ("".join(pem.splitlines()[1:-1]) for pem in (certificate, CERTIFICATE))
    root = etree.fromstring(forged.encode())
    element = root.find(f".//{DS}X509Certificate")
    assert element is not None
    assert (element.text or "").replace("\n", "") == shown
    element.text = genuine
    assert refusal(pack(etree.tostring(root))) == "aadhaar_signature_invalid"


def test_the_embedded_certificate_is_never_looked_at() -> None:
    root = etree.fromstring(signed())
    element = root.find(f".//{DS}X509Certificate")
    assert element is not None
    element.text = "".join(offline_file.new_signing_key()[1].splitlines()[1:-1])
    assert verify(pack(etree.tostring(root))).name == "Asha Rao"


def test_a_former_certificate_is_still_taken_where_pinned() -> None:
    newer = offline_file.new_signing_key()[1]
    assert verify(pack(signed()), pins=(newer, CERTIFICATE)).name == "Asha Rao"
    assert refusal(pack(signed()), pins=(newer,)) == "aadhaar_signature_invalid"
    with pytest.raises(ValueError, match="pinned"):
        AadhaarVerifier([])


def wrapped_inside() -> bytes:
    """The genuine document kept as a child of a forged one, its signature still that of the child."""
    forged = offline_file.document(replace(ASHA, name="Mallory"), CODE, NOW)
    forged.append(etree.fromstring(signed()))
    return etree.tostring(forged)


def wrapped_with_signature_on_top() -> bytes:
    """The same, with the genuine signature moved to where the verifier looks for it."""
    forged = offline_file.document(replace(ASHA, name="Mallory"), CODE, NOW)
    genuine = etree.fromstring(signed())
    signature = genuine.find(f"{DS}Signature")
    assert signature is not None
    forged.append(genuine)
    forged.append(signature)
    return etree.tostring(forged)


def wrapped_in_the_signature() -> bytes:
    """The genuine data moved into an Object of the signature, which the enveloped transform drops."""
    forged = offline_file.document(replace(ASHA, name="Mallory"), CODE, NOW)
    genuine = etree.fromstring(signed())
    signature = genuine.find(f"{DS}Signature")
    assert signature is not None
    etree.SubElement(signature, f"{DS}Object").append(genuine[0])
    forged.append(signature)
    return etree.tostring(forged)


def two_signatures() -> bytes:
    genuine = etree.fromstring(signed())
    forged = offline_file.sign(offline_file.document(ASHA, CODE, NOW), *offline_file.new_signing_key())
    extra = etree.fromstring(forged).find(f"{DS}Signature")
    assert extra is not None
    genuine.insert(0, extra)
    return etree.tostring(genuine)


@pytest.mark.parametrize(
    "attack", [wrapped_inside, wrapped_with_signature_on_top, wrapped_in_the_signature, two_signatures]
)
def test_signature_wrapping(attack: Any) -> None:
    assert refusal(pack(attack())) == "aadhaar_signature_invalid"


def test_data_dropped_into_the_signature_is_not_read() -> None:
    root = etree.fromstring(signed())
    signature = root.find(f"{DS}Signature")
    assert signature is not None
    mallory = offline_file.document(replace(ASHA, name="Mallory"), CODE, NOW)
    etree.SubElement(signature, f"{DS}Object").append(mallory)
    assert verify(pack(etree.tostring(root))).name == "Asha Rao"


def test_another_kind_of_document_signed_by_the_same_key_is_refused() -> None:
    other = etree.Element("Something", referenceId="123420261123113000000")
    assert refusal(pack(offline_file.sign(other, KEY, CERTIFICATE))) == "aadhaar_file_malformed"


def test_a_weak_digest_is_refused_although_the_key_is_right() -> None:
    signer = XMLSigner(digest_algorithm="sha512", c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0)
    document = signer.sign(offline_file.document(ASHA, CODE, NOW), key=KEY, cert=CERTIFICATE)
    assert refusal(pack(etree.tostring(document))) == "aadhaar_signature_invalid"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (NOW - timedelta(days=10), "aadhaar_file_too_old"),
        (NOW + timedelta(hours=1), "aadhaar_file_malformed"),
    ],
)
def test_the_time_of_the_file(made: datetime, code: str) -> None:
    assert refusal(offline_file.offline_file(ASHA, CODE, made, KEY, CERTIFICATE)[1]) == code


def test_a_certificate_is_judged_at_the_time_of_business() -> None:
    after = datetime(2101, 1, 3, tzinfo=UTC)
    packed = offline_file.offline_file(ASHA, CODE, after, KEY, CERTIFICATE)[1]
    assert refusal(packed, as_of=after) == "aadhaar_signature_invalid"


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"no xml",
        b"<OfflinePaperlessKyc>",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><OfflinePaperlessKyc>&x;</OfflinePaperlessKyc>',
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    ],
)
def test_unsafe_or_broken_xml(xml: bytes) -> None:
    assert refusal(pack(xml)) == "aadhaar_file_malformed"


def zip_of(entries: dict[str, bytes], encrypted: bool = True, method: int = pyzipper.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    encryption = {"encryption": pyzipper.WZ_AES} if encrypted else {}
    with pyzipper.AESZipFile(buffer, "w", method, **encryption) as archive:
        if encrypted:
            archive.setpassword(CODE.encode())
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK\x03\x04 and then nothing",
        b"PK\x05\x06" + b"\xff" * 18,
        b"\x00" * (2 << 20),
        zip_of({}),
        zip_of({"a.xml": signed(), "b.xml": signed()}),
        zip_of({"a.exe": signed()}),
        zip_of({"a.xml": signed()}, encrypted=False),
        zip_of({"a.xml": signed()}, method=pyzipper.ZIP_BZIP2),
        zip_of({"a.xml": b"<a>" + b" " * MAX_XML_BYTES + b"</a>"}),
    ],
    ids=["empty", "truncated", "lengths", "large", "none", "two", "name", "plain", "method", "bomb"],
)
def test_hostile_zips(packed: bytes) -> None:
    assert refusal(packed) == "aadhaar_file_malformed"


def test_a_bomb_that_lies_about_its_size_is_cut_off() -> None:
    size = 40 << 20
    bomb = bytearray(zip_of({"a.xml": b" " * size}))
    for _ in range(bomb.count(struct.pack("<L", size))):
        place = bomb.index(struct.pack("<L", size))
        bomb[place : place + 4] = struct.pack("<L", 1000)
    assert refusal(bytes(bomb)) == "aadhaar_file_malformed"


def test_every_flipped_byte_of_the_ciphertext_is_noticed() -> None:
    packed = pack(signed())
    start = packed.index(b"offlineaadhaar.xml") + 60
    for place in range(start, len(packed) - 150, 97):
        broken = bytearray(packed)
        broken[place] ^= 0x01
        assert refusal(bytes(broken)).startswith("aadhaar_")


def test_the_traditional_cipher_of_uidais_own_zips_is_read() -> None:
    packed = base64.b64decode(TRADITIONAL)
    assert zipfile.ZipFile(io.BytesIO(packed)).infolist()[0].flag_bits & 1
    assert refusal(packed) == "aadhaar_signature_invalid"  # opened and parsed, but signed by nobody
    assert refusal(packed, code="Abc@124") == "aadhaar_share_code_wrong"


def test_control_makes_a_file_that_the_pinned_certificate_verifies(clean: Sandbox) -> None:
    pin = clean.http.get("/kyc/aadhaar/certificate").text
    made = clean.control("POST", "/kyc/aadhaar", ask())
    packed = base64.b64decode(made["zip_base64"])
    record = verify(packed, as_of=datetime.now(UTC), pins=(pin,))
    assert record.reference_id == made["reference_id"]
    assert record.last4.endswith("7")
    assert record.mobile_matches
    assert record.email_matches
    assert (record.address.line1, record.address.city, record.address.state) == (
        "12 MG Road",
        "Bengaluru",
        "KA",
    )
    with pyzipper.AESZipFile(io.BytesIO(packed)) as archive:
        xml = archive.read(archive.namelist()[0], pwd=CODE.encode())
    anyones = XMLVerifier().verify(xml, x509_cert=pin)
    assert not isinstance(anyones, list)
    assert anyones.signed_xml is not None


def test_the_certificate_outlives_reset_and_crash(own_sandbox: Sandbox) -> None:
    before = own_sandbox.http.get("/kyc/aadhaar/certificate").text
    own_sandbox.control("POST", "/reset", {})
    own_sandbox.kill()
    own_sandbox.restart()
    assert own_sandbox.http.get("/kyc/aadhaar/certificate").text == before


def test_a_file_can_be_dated(clean: Sandbox) -> None:
    made = clean.control("POST", "/kyc/aadhaar", ask(generated_at="2026-01-05T06:30:00Z"))
    assert made["reference_id"][4:] == "20260105120000000"


@pytest.mark.parametrize(
    "wrong", [{"last_digit": 12}, {"gender": "?"}, {"mobile": "12"}, {"date_of_birth": "x"}]
)
def test_a_senseless_control_call_is_refused(clean: Sandbox, wrong: dict[str, Any]) -> None:
    headers = {"X-Sandbox-Control": "1"}
    assert clean.http.post("/_control/kyc/aadhaar", json=ask(**wrong), headers=headers).status_code == 422


@pytest.fixture
def own_sandbox(hooks_server: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that this test may kill."""
    process = Sandbox(tmp_path / "sandbox.db", hooks_server.url, worlds="kyc,outbox")
    yield process
    process.stop()


def ask(**other: Any) -> dict[str, Any]:
    address = {"line1": "12 MG Road", "line2": "", "city": "Bengaluru", "state": "KA", "pincode": "560001"}
    person = {"full_name": "Asha Rao", "date_of_birth": "1990-01-02", "gender": "F", "mobile": f"+91{MOBILE}"}
    return person | {"email": EMAIL, "address": address, "share_code": CODE, "last_digit": 7} | other
