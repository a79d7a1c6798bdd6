"""Digital signature of documents: PAdES, baseline B-B (ETSI EN 319 142-1), as CGST Rule 46(q) takes it."""

import base64
import io
from threading import Lock
from typing import TYPE_CHECKING

from models.settings import Settings

if TYPE_CHECKING:
    from pyhanko.sign.signers import PdfSigner

FIELD = "Signature"


class Signer:
    """Signs with the supplier's key and certificate (its chain may follow), PEM in base 64. Blocking, some
    90 ms of a processor."""

    def __init__(self, key: str, certificate: str, reason: str, location: str) -> None:
        self._key = key
        self._certificate = certificate
        self._reason = reason
        self._location = location
        self._lock = Lock()
        self._made: PdfSigner | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Signer | None":
        """None where this process holds no key."""
        key = settings.document_key.get_secret_value()
        if not key:
            return None
        reason = f"Issued by {settings.supplier_name}"
        return cls(key, settings.document_certificate, reason, settings.supplier_place)

    def sign(self, content: bytes) -> bytes:
        """The PDF with a certifying signature over all of it, added behind what was there."""
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

        with self._lock:
            self._made = self._made or self._make()
        signed = io.BytesIO()
        self._made.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(content)), output=signed)
        return signed.getvalue()

    def _make(self) -> "PdfSigner":
        # Imported at the first document: it takes most of a second, which no start of the API waits for.
        from pyhanko.keys import load_certs_from_pemder_data, load_private_key_from_pemder_data
        from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
        from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
        from pyhanko_certvalidator.registry import SimpleCertificateStore

        own, *chain = load_certs_from_pemder_data(base64.b64decode(self._certificate))
        signer = SimpleSigner(
            signing_cert=own,
            signing_key=load_private_key_from_pemder_data(base64.b64decode(self._key), passphrase=None),
            cert_registry=SimpleCertificateStore.from_certs(chain),  # type: ignore[no-untyped-call]
        )
        metadata = PdfSignatureMetadata(
            field_name=FIELD,
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            reason=self._reason,
            location=self._location,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
        )
        return PdfSigner(metadata, signer)
