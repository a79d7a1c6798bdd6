"""Disputes at Razorpay."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from domain.errors import Unknown
from models.messages.disputes import GatewayDispute
from providers.razorpay import LIST_PAGE, Razorpay, _options, _read


class RazorpayDisputes(Razorpay):
    """What `Razorpay` does, and disputes."""

    def dispute(self, dispute_id: str) -> GatewayDispute:
        """The dispute as it stands."""
        return _read(lambda: _dispute(self._client.dispute.fetch(dispute_id, **_options())))

    def disputes(self, since: datetime, skip: int) -> list[str]:
        """Ids of the disputes opened since, newest first, from number `skip` on; a page at a time."""
        asked = {"from": int(since.timestamp()), "count": LIST_PAGE, "skip": skip}
        items = _read(lambda: self._client.dispute.all(asked, **_options()))["items"]
        return [str(item["id"]) for item in items]

    def accept_dispute(self, dispute_id: str) -> GatewayDispute:
        """Irreversible: the dispute is lost, its amount deducted. Refused where it is decided already."""
        return _dispute(self._client.dispute.accept(dispute_id, {}, **_options()))


def _dispute(item: dict[str, Any]) -> GatewayDispute:
    try:
        return GatewayDispute.model_validate(item)
    except ValidationError:
        raise Unknown("gateway_answer_malformed") from None
