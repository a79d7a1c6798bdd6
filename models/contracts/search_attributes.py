"""What staff can search runs by. Stored in the clear: identifiers and codes, never a person's data."""

from enum import Enum

from temporalio.common import SearchAttributeKey


class Attribute(Enum):
    """The search attributes of every Treum workflow, registered at start."""

    CUSTOMER = SearchAttributeKey.for_keyword("TreumCustomer")
    """The user's identifier."""
    STATE = SearchAttributeKey.for_keyword("TreumState")
    """The process's state, as the API shows it."""
    SYMBOL = SearchAttributeKey.for_keyword("TreumSymbol")
    PLAN = SearchAttributeKey.for_keyword("TreumPlan")
    REFERENCE = SearchAttributeKey.for_keyword_list("TreumReference")
    """Payment, invoice, order, UTR, gateway ids: whatever a caller may quote."""
    AMOUNT = SearchAttributeKey.for_int("TreumAmount")
    """Paise."""
    NEEDS_ATTENTION = SearchAttributeKey.for_bool("TreumNeedsAttention")
    """A person has to act; cleared after."""
    DUE = SearchAttributeKey.for_datetime("TreumDue")
    """When the next thing happens by itself."""
