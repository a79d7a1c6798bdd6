"""What Razorpay says it paid to the bank: the combined recon report line by line, and its settlements."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.billing_calendar import ist_midnight
from domain.errors import Unavailable
from models.messages.reconciliation import Line, Payout
from providers.razorpay import LIST_PAGE, Razorpay, _options, _read

REPORT_PAGE = 1000
"""Most lines of the combined recon report in one call (Razorpay)."""


class RazorpayReports(Razorpay):
    """Reads alone: each may be asked again, and raises Unavailable or RateLimited where no answer came."""

    def report(self, day: date, skip: int, count: int = REPORT_PAGE) -> list[Line]:
        """Lines of the combined recon report of an Indian settlement date, from line `skip` on.

        Raises:
            Unavailable, RateLimited: ask again. A page that is not what was asked for is no answer.
        """
        asked = {"year": day.year, "month": f"{day.month:02d}", "day": f"{day.day:02d}"}
        page = {**asked, "count": count, "skip": skip}
        answer = _read(lambda: self._client.settlement.report(page, **_options()))
        try:
            lines = [_line(item) for item in answer["items"]]
        except (KeyError, TypeError, ValueError):
            raise Unavailable("gateway_answer_malformed") from None
        if len(lines) > count:
            raise Unavailable("gateway_answer_malformed")
        return lines

    def payouts(self, day: date) -> list[Payout]:
        """The settlements that were made on an Indian day, oldest first."""
        first = ist_midnight(day)
        last = first + timedelta(days=1)
        asked = {"from": int(first.timestamp()), "to": int(last.timestamp()) - 1, "count": LIST_PAGE}
        found: dict[str, Payout] = {}
        while True:
            items = self._payouts({**asked, "skip": len(found)})
            known = len(found)
            found |= {one.settlement_id: one for one in items}
            if len(items) < LIST_PAGE:
                return sorted(found.values(), key=lambda one: (one.made_at, one.settlement_id))
            if len(found) < known + LIST_PAGE:
                # A settlement was made while the pages were read, newest first: what was seen came again.
                raise Unavailable("report_changed")

    def _payouts(self, page: dict[str, int]) -> list[Payout]:
        answer = _read(lambda: self._client.settlement.all(page, **_options()))
        try:
            return [_payout(item) for item in answer["items"]]
        except (KeyError, TypeError, ValueError):
            raise Unavailable("gateway_answer_malformed") from None


def _line(item: dict[str, Any]) -> Line:
    """A line counts as settled where it says so and names its settlement; one on hold does not."""
    settlement_id = item.get("settlement_id") or ""
    return Line(
        settlement_id=settlement_id,
        entity_id=item["entity_id"],
        kind=item["type"],
        amount=int(item["amount"]),
        debit=int(item["debit"]),
        credit=int(item["credit"]),
        fee=int(item.get("fee") or 0),
        tax=int(item.get("tax") or 0),
        payment_id=item.get("payment_id"),
        utr=item.get("settlement_utr"),
        dispute_id=item.get("dispute_id"),
        settled=bool(settlement_id and item["settled"] and not item.get("on_hold")),
    )


def _payout(item: dict[str, Any]) -> Payout:
    made_at = datetime.fromtimestamp(item["created_at"], UTC)
    return Payout(settlement_id=item["id"], utr=item.get("utr"), amount=int(item["amount"]), made_at=made_at)
