"""What the dynamic QR of an invoice to an unregistered buyer says: a link that UPI apps open.

Sources: Notification 14/2020-Central Tax; Circular 146/02/2021-GST (which particulars it holds, and that a
UPI app can read it); Circular 156/12/2021-GST, 2 (the UPI ID stands for account and IFSC); names of the
particulars: NPCI's UPI linking specification, as Razorpay's QR codes with a tax invoice use them.
"""

from datetime import datetime
from urllib.parse import quote, urlencode

from domain.gst import IST, Split
from domain.money import CURRENCY


def upi_link(upi: str, name: str, gstin: str, number: str, issued_at: datetime, price: Split) -> str:
    """``upi://pay?…``: UPI ID, name and GSTIN of the supplier; number, time, value and taxes of the invoice.

    Every invoice of ours is issued when it is paid, so the code expires as it is printed: who scans it reads
    the particulars and pays nothing twice.
    """
    at = issued_at.astimezone(IST).isoformat(timespec="seconds")
    taxes = {"GST": price.total - price.taxable, "CGST": price.cgst, "SGST": price.sgst, "IGST": price.igst}
    particulars = {
        "pa": upi,
        "pn": name,
        "tr": number.replace("/", ""),
        "tn": f"Invoice {number}",
        "am": _rupees(price.total),
        "cu": CURRENCY,
        "invoiceNo": number,
        "invoiceDate": at,
        "gstIn": gstin,
        "gstBrkUp": "|".join(f"{tax}:{_rupees(paise)}" for tax, paise in taxes.items() if paise),
        "QRexpire": at,
    }
    return f"upi://pay?{urlencode(particulars, quote_via=quote, safe='@:')}"


def _rupees(paise: int) -> str:
    return f"{paise // 100}.{paise % 100:02d}"
