"""Calls of the contract whose column has not come yet: 501 ``not_built``. Built routes match first."""

from fastapi import APIRouter
from starlette.responses import Response

from api.problems import Problem

router = APIRouter()

CALLS = """
GET /v1/auth/oidc/{provider}
GET /v1/auth/oidc/{provider}/callback
POST /v1/auth/verify-kyc
GET /v1/users/{id}/kyc
POST /v1/users/{id}/kyc/resubmit
POST /v1/users/{id}/kyc/appeal
POST /v1/kyc/digilocker/start
GET /v1/kyc/digilocker/callback
GET /v1/users/{id}/export
POST /v1/users/{id}/erasure
GET /v1/kyc/reviews
POST /v1/kyc/reviews/{case_id}/decision
POST /v1/complaints
GET /v1/billing/plans
POST /v1/payments/create
POST /v1/payments/{id}/confirm
GET /v1/payments
GET /v1/payments/{id}/status
POST /v1/payments/refund
GET /v1/payments/refunds/{id}
POST /v1/billing/subscriptions
GET /v1/billing/subscriptions
GET /v1/billing/subscriptions/{id}
POST /v1/billing/subscriptions/{id}/change-plan
POST /v1/billing/subscriptions/{id}/pause
POST /v1/billing/subscriptions/{id}/resume
POST /v1/billing/subscriptions/{id}/cancel
GET /v1/billing/invoices
GET /v1/billing/invoices/{id}
GET /v1/billing/invoices/{id}.pdf
POST /v1/webhooks/razorpay
GET /v1/finance/trial-balance
GET /v1/finance/ledger
GET /v1/finance/payments
GET /v1/finance/refunds
GET /v1/finance/payouts
POST /v1/finance/refunds/{id}/approve
POST /v1/finance/refunds/{id}/reject
POST /v1/finance/reconciliations
GET /v1/finance/reconciliations/{date}
GET /v1/finance/breaks
POST /v1/finance/breaks/{id}/resolve
GET /v1/finance/gst
POST /v1/finance/periods/{period}/close
GET /v1/courses
GET /v1/courses/{id}
GET /v1/courses/{id}/modules
POST /v1/courses
PUT /v1/courses/{id}
POST /v1/courses/{id}/publish
POST /v1/courses/{id}/enroll
GET /v1/users/{id}/progress
GET /v1/lessons/{id}
POST /v1/enrollments/{id}/lessons/{lesson_id}/progress
POST /v1/assessments/{id}/attempts
POST /v1/assessments/{id}/submit
GET /v1/certificates
GET /v1/certificates/{id}
GET /v1/certificates/{id}.pdf
GET /v1/certificates/{id}/verify
GET /v1/signals/live
GET /v1/signals/history
GET /v1/signals/performance
GET /v1/signals/{id}
POST /v1/signals/subscribe
POST /v1/signals/stream-ticket
POST /v1/signals/{id}/act
POST /v1/signals
POST /v1/signals/{id}/publish
POST /v1/signals/{id}/withdraw
POST /v1/trading/exchanges/connect
GET /v1/trading/exchanges/callback
POST /v1/trading/exchanges/callback
GET /v1/trading/accounts
DELETE /v1/trading/accounts/{id}
POST /v1/trading/orders
GET /v1/trading/orders
GET /v1/trading/orders/{id}
PUT /v1/trading/orders/{id}
DELETE /v1/trading/orders/{id}
POST /v1/trading/orders/{id}/confirm
POST /v1/trading/orders/{id}/decline
GET /v1/trading/portfolio
GET /v1/trading/positions
POST /v1/trading/accounts/{id}/kill-switch
GET /v1/trading/accounts/{id}/kill-switch
DELETE /v1/trading/accounts/{id}/kill-switch
POST /v1/webhooks/kite/{secret}
GET /v1/staff/search
POST /v1/staff/runs/{workflow_id}/actions/{name}
GET /v1/staff/attention
GET /v1/audit
POST /v1/graphql
"""


async def not_built() -> Response:
    raise Problem(501)


for call in CALLS.split("\n"):
    if call:
        method, path = call.split(" ")
        router.add_api_route(path, not_built, methods=[method], include_in_schema=False)
