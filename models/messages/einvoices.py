"""What the registration of a document with the e-invoice portal takes and gives. Ids, codes, amounts only."""

from datetime import date

from pydantic import AwareDatetime, BaseModel

from domain.einvoices import EInvoiceStatus
from models.contracts.assertions import SignedAssertion


class EInvoiceInput(BaseModel):
    """Starts `EInvoice`; `report_by` is the last day on which the portal takes the document."""

    invoice_id: str
    number: str
    user_id: str
    payment_id: str
    total: int
    report_by: date | None = None
    assertion_public_key: str = ""


class Register(BaseModel):
    invoice_id: str
    as_of: AwareDatetime


class Registration(BaseModel):
    """Where the document stands after a registration was tried. `cancel_until`: till when the portal takes it
    back; `failure_code`: why it refuses."""

    status: EInvoiceStatus
    irn: str | None = None
    cancel_until: AwareDatetime | None = None
    failure_code: str | None = None


class Correct(BaseModel):
    """The updates `retry` (the same document again) and `reissue` (another in its place, with who is billed
    as of now); `signed` is the API's assertion for the action of that name."""

    signed: SignedAssertion
    note_id: str | None = None


class Cancel(BaseModel):
    invoice_id: str
    as_of: AwareDatetime


class Cancelled(BaseModel):
    """When the portal cancelled; None where it had registered nothing."""

    at: AwareDatetime | None = None


class Reissue(BaseModel):
    """Voids a document's number and issues another in its place."""

    invoice_id: str
    subject: str
    note_id: str | None
    cancelled_at: AwareDatetime | None
    as_of: AwareDatetime


class Reissued(BaseModel):
    """The document that stands now, or the code of why none could be."""

    invoice_id: str | None = None
    number: str | None = None
    refused: str | None = None


class EInvoiceView(BaseModel):
    """Answer of `retry` and `reissue`: the state reached by then."""

    invoice_id: str
    status: EInvoiceStatus
    irn: str | None = None
    failure_code: str | None = None
    replaced_by: str | None = None
