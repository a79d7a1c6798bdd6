"""Razorpay: orders to settlements, as the official client sees them."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sandbox.razorpay import (
    checkout,
    customers,
    disputes,
    objects,
    orders,
    payments,
    planted,
    recurring,
    refunds,
    settlements,
    subscriptions,
    tokens,
    webhooks,
)
from sandbox.razorpay.control import control_routes
from sandbox.razorpay.errors import UNKNOWN_URL, RazorpayError, error
from sandbox.razorpay.gateway import Gateway, Handler, endpoint
from sandbox.world import World

__all__ = ["SCHEMA", "background", "control_routes", "error", "routes"]

SCHEMA = "".join(
    part.SCHEMA for part in (objects, webhooks, refunds, recurring, checkout, settlements, planted)
)

ENDPOINTS: list[tuple[str, str, Handler]] = [
    ("POST", "/orders", orders.create),
    ("GET", "/orders", orders.listing),
    ("GET", "/orders/{id}", orders.fetch),
    ("PATCH", "/orders/{id}", orders.edit),
    ("GET", "/orders/{id}/payments", orders.payments),
    ("GET", "/payments", payments.listing),
    ("POST", "/payments/create/recurring", recurring.create),
    ("GET", "/payments/{id}", payments.fetch),
    ("PATCH", "/payments/{id}", payments.edit),
    ("GET", "/payments/{id}/card", payments.card),
    ("POST", "/payments/{id}/capture", payments.capture),
    ("POST", "/payments/{id}/refund", refunds.create),
    ("GET", "/payments/{id}/refunds", refunds.of_payment),
    ("GET", "/payments/{id}/refunds/{refund}", refunds.fetch),
    ("POST", "/refunds", refunds.create),
    ("GET", "/refunds", refunds.listing),
    ("GET", "/refunds/{id}", refunds.fetch),
    ("PATCH", "/refunds/{id}", refunds.edit),
    ("POST", "/customers", customers.create),
    ("GET", "/customers", customers.listing),
    ("GET", "/customers/{id}", customers.fetch),
    ("PUT", "/customers/{id}", customers.edit),
    ("GET", "/customers/{id}/tokens", tokens.listing),
    ("GET", "/customers/{id}/tokens/{token}", tokens.fetch),
    ("DELETE", "/customers/{id}/tokens/{token}", tokens.delete),
    ("PUT", "/customers/{id}/tokens/{token}/cancel", tokens.cancel),
    ("POST", "/plans", subscriptions.create_plan),
    ("GET", "/plans", subscriptions.list_plans),
    ("GET", "/plans/{id}", subscriptions.fetch_plan),
    ("POST", "/subscriptions", subscriptions.create),
    ("GET", "/subscriptions", subscriptions.listing),
    ("GET", "/subscriptions/{id}", subscriptions.fetch),
    ("PATCH", "/subscriptions/{id}", subscriptions.update),
    ("POST", "/subscriptions/{id}/cancel", subscriptions.cancel),
    ("POST", "/subscriptions/{id}/pause", subscriptions.pause),
    ("POST", "/subscriptions/{id}/resume", subscriptions.resume),
    ("GET", "/disputes", disputes.listing),
    ("GET", "/disputes/{id}", disputes.fetch),
    ("POST", "/disputes/{id}/accept", disputes.accept),
    ("PATCH", "/disputes/{id}/contest", disputes.contest),
    ("GET", "/settlements", settlements.listing),
    ("GET", "/settlements/recon/combined", settlements.recon),
    ("GET", "/settlements/{id}", settlements.fetch),
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def routes(world: World) -> list[BaseRoute]:
    """Every path of the API; the base URL of a client is `.../razorpay`."""
    gateway = Gateway(world)
    found: list[BaseRoute] = [
        Route(f"/razorpay/v1{path}", endpoint(gateway, handler), methods=[method])
        for method, path, handler in ENDPOINTS
    ]

    async def unknown(request: Request) -> Response:
        # An unknown address is a 400 here, not a 404; so is a known one with another method.
        return RazorpayError(UNKNOWN_URL, reason="NA", source="NA", step="NA").response()

    return [*found, Route("/razorpay/{rest:path}", unknown, methods=METHODS)]


async def background(world: World) -> None:
    """Delivers webhooks and the bank's delayed answers."""
    async with asyncio.TaskGroup() as group:
        group.create_task(webhooks.deliver(world))
        group.create_task(checkout.play_later(world))
