"""Takes the one XML document out of an offline e-KYC ZIP without trusting anything that the ZIP says.

UIDAI's own files use the traditional ZIP cipher, which pyzipper reads but cannot write; the sandbox's
use WinZip AES-256. Both are read here.
"""

import io
import zlib

import pyzipper

from domain.errors import Rejected

MAX_ZIP_BYTES = 256 << 10
MAX_XML_BYTES = 512 << 10
"""A real file is some 10 to 40 KB, nearly all of it the photograph."""

MALFORMED = "aadhaar_file_malformed"
_TAKEN_COMPRESSION = (pyzipper.ZIP_STORED, pyzipper.ZIP_DEFLATED)
_BROKEN = (pyzipper.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError, OverflowError)


def open_single_xml(zip_bytes: bytes, share_code: str) -> bytes:
    """Decrypts the single `.xml` entry, reading at most `MAX_XML_BYTES` whatever the headers claim.

    Raises:
        Rejected: `aadhaar_share_code_wrong` or `aadhaar_file_malformed`.
    """
    if len(zip_bytes) > MAX_ZIP_BYTES:
        raise Rejected(MALFORMED, "too large")
    try:
        archive = pyzipper.AESZipFile(io.BytesIO(zip_bytes))
    except Exception:  # noqa: BLE001
        # The central directory is parsed from untrusted lengths: struct, index and decoding errors too.
        raise Rejected(MALFORMED, "no ZIP") from None
    with archive:
        entry = _single_entry(archive)
        try:
            with archive.open(entry, pwd=share_code.encode()) as stream:
                xml = bytes(stream.read(MAX_XML_BYTES + 1))
        except _BROKEN:
            raise Rejected(_blame(entry), "unreadable entry") from None
        except RuntimeError:
            raise Rejected("aadhaar_share_code_wrong") from None
    if len(xml) > MAX_XML_BYTES:
        raise Rejected(MALFORMED, "entry too large")
    return xml


def _single_entry(archive: pyzipper.AESZipFile) -> pyzipper.ZipInfo:
    entries = archive.infolist()
    if len(entries) != 1 or not entries[0].filename.lower().endswith(".xml"):
        raise Rejected(MALFORMED, "not one XML entry")
    entry = entries[0]
    if not entry.is_encrypted or entry.compress_type not in _TAKEN_COMPRESSION:
        raise Rejected(MALFORMED, "entry not encrypted or oddly compressed")
    if entry.file_size > MAX_XML_BYTES:
        raise Rejected(MALFORMED, "entry too large")
    return entry


def _blame(entry: pyzipper.ZipInfo) -> str:
    # The traditional cipher lets one wrong code in 256 through its check byte and the garbage then
    # fails to inflate; AES lets through one in 65,536 and authenticates the file itself.
    return MALFORMED if getattr(entry, "wz_aes_version", None) else "aadhaar_share_code_wrong"
