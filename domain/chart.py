"""What stands on each account of the book, in words for finance."""

from domain.ledger import Account

MEANINGS = {
    Account.BANK: (
        "Money in the firm's bank account: settlements of the gateway come in, refunds paid by bank "
        "transfer go out."
    ),
    Account.GATEWAY_CLEARING: (
        "Money that the gateway has taken from customers and not yet settled, less the refunds it has "
        "paid out. What stands here on a day with no open break is on its way to the bank."
    ),
    Account.GATEWAY_CLAIMS: (
        "Differences that finance has claimed from the gateway by resolving a break; it falls to zero "
        "when the gateway pays."
    ),
    Account.INPUT_GST: (
        "GST on the gateway's fees, to be claimed against output tax once the gateway's monthly "
        "invoice stands in GSTR-2B."
    ),
    Account.TDS_RECEIVABLE: (
        "Income tax that payers have withheld from us and deposited in our name: it is set off "
        "against the year's income tax."
    ),
    Account.DISPUTES: (
        "Money that the gateway holds back while a customer's bank looks into a payment: back to "
        "clearing when it is won, bad debt when it is lost."
    ),
    Account.RECONCILIATION_SUSPENSE: (
        "Settled money that was accepted as it is and that no record of ours explains: it is owed to "
        "somebody until it is."
    ),
    Account.DEFERRED_REVENUE: (
        "What customers have paid for and not received yet, net of tax: it moves to revenue day by "
        "day, and back to customers by refunds."
    ),
    Account.OUTPUT_CGST: (
        "Central GST on sales within the State, less credit notes: owed to the government."
    ),
    Account.OUTPUT_SGST: ("State GST on sales within the State, less credit notes: owed to the government."),
    Account.OUTPUT_IGST: (
        "Integrated GST on sales to other States, less credit notes: owed to the government."
    ),
    Account.REFUNDS_PAYABLE: ("Refunds that were granted and whose money has not reached the customer yet."),
    Account.REVENUE_SUBSCRIPTIONS: ("Earned of subscriptions: each day's share of the period that was paid."),
    Account.REVENUE_COURSES: (
        "Earned of courses: by the learner's progress, at the latest by the end of access."
    ),
    Account.RECONCILIATION_GAINS: ("Differences in our favour that finance has written off or adjusted."),
    Account.GATEWAY_FEES: (
        "The gateway's fees without their GST, booked with the settlement that withheld them."
    ),
    Account.BAD_DEBT: (
        "Money that is lost: chargebacks that a customer's bank has decided against us, and "
        "differences that were written off."
    ),
    Account.RECONCILIATION_LOSSES: ("Differences against us by which finance has adjusted the book."),
}
"""Shown by `GET /v1/finance/accounts`; `docs/finance.md` has the same."""
