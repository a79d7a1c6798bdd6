"""What customers and compliance are written. Neutral: a customer is never tipped off (PMLA), and no mail
carries personal data."""

from models.messages.onboarding import Alert, Notice

TO_CUSTOMER: dict[Notice, tuple[str, str]] = {
    Notice.VERIFIED: (
        "Your identity is verified",
        "Your identity check at Treum is complete. You can use everything that your tier allows.",
    ),
    Notice.ACTION_REQUIRED: (
        "We need something from you",
        "Your identity check at Treum could not be completed as it came. Sign in to see what to send again.",
    ),
    Notice.REVIEW: (
        "Your identity check takes a little longer",
        "Your details are being looked at. This usually takes up to one working day; nothing is to be done.",
    ),
    Notice.REJECTED: (
        "Your identity check was not completed",
        "We could not verify your identity with what you sent. Sign in to send it again or to appeal.",
    ),
    Notice.EXPIRES_SOON: (
        "Your identity check ends soon",
        "Identity has to be verified again every two years. Yours ends in a month: sign in to renew it.",
    ),
    Notice.EXPIRED: (
        "Your identity check has ended",
        "Two years have passed since your identity was verified. Sign in to verify it again.",
    ),
    Notice.STOPPED: (
        "Your identity check was stopped",
        "You withdrew your consent, so we have stopped. You can begin again at any time.",
    ),
}

TO_COMPLIANCE: dict[Alert, tuple[str, str]] = {
    Alert.CASE_OVERDUE: (
        "A KYC case is overdue",
        "Case {reference} of customer {user_id} was not decided within 24 hours. GET /v1/kyc/reviews",
    ),
    Alert.SANCTIONS_CONFIRMED: (
        "A sanctions match was confirmed",
        "Case {reference}: customer {user_id} is rejected and frozen. A report to FIU-IND may be due by "
        "{report_by}. Do not tell the customer.",
    ),
}
