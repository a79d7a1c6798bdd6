"""What the gateway's answers mean: a read outlives every refusal, a charge tells them apart."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown
from models.settings import Settings
from providers.razorpay import Razorpay


class Desk(BaseHTTPRequestHandler):
    """A gateway that gives every call the same answer."""

    status = 200
    body: bytes = b"{}"

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the test reads what the client made of it."""


@pytest.fixture
def desk() -> Iterator[type[Desk]]:
    class Own(Desk):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        Own.port = server.server_address[1]  # type: ignore[attr-defined]
        yield Own
        server.shutdown()


@pytest.fixture
def gateway(desk: type[Desk]) -> Razorpay:
    settings = Settings.model_construct(
        razorpay_key_id="rzp_test_1",
        razorpay_key_secret=SecretStr("secret"),
        razorpay_url=f"http://127.0.0.1:{desk.port}",  # type: ignore[attr-defined]
    )
    return Razorpay(settings)


REFUSED = json.dumps({"error": {"code": "BAD_REQUEST_ERROR", "reason": "input_validation_failed"}}).encode()
MALFORMED = b'{"items": [{"id": 7, "receipt": "rfn_1"}]}'

READS: list[Callable[[Razorpay], object]] = [
    lambda gateway: gateway.find_order("pay_1"),
    lambda gateway: gateway.payments_of("order_1"),
    lambda gateway: gateway.find_refund("pay_1", "rfn_1"),
]
CHARGES: list[Callable[[Razorpay], object]] = [
    lambda gateway: gateway.capture("pay_1", 100, "INR"),
    lambda gateway: gateway.refund("pay_1", "rfn_0000000001", 100, "normal"),
]


@pytest.mark.parametrize("ask", READS)
@pytest.mark.parametrize("status", [400, 401, 404, 409, 500])
def test_no_refusal_of_a_read_is_final(
    desk: type[Desk], gateway: Razorpay, ask: Callable[[Razorpay], object], status: int
) -> None:
    desk.status, desk.body = status, REFUSED
    with pytest.raises(Unavailable):
        ask(gateway)


@pytest.mark.parametrize("ask", READS[1:])
def test_a_malformed_answer_to_a_read_is_asked_for_again(
    desk: type[Desk], gateway: Razorpay, ask: Callable[[Razorpay], object]
) -> None:
    desk.body = MALFORMED
    with pytest.raises(Unavailable):
        ask(gateway)


@pytest.mark.parametrize("ask", CHARGES)
@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (400, Rejected),
        (401, Unavailable),
        (403, Unavailable),
        (408, Unknown),
        (409, Unknown),
        (429, RateLimited),
        (500, Unknown),
        (200, Unknown),
    ],
)
def test_a_call_that_moves_money_says_whether_it_may_have_happened(
    desk: type[Desk],
    gateway: Razorpay,
    ask: Callable[[Razorpay], object],
    status: int,
    meaning: type[TreumError],
) -> None:
    desk.status, desk.body = status, REFUSED
    with pytest.raises(meaning):
        ask(gateway)


def test_a_refund_is_found_on_whatever_page_it_stands(desk: type[Desk], gateway: Razorpay) -> None:
    """More refunds of one payment than the gateway gives at once (Razorpay: ten, a hundred if asked)."""
    refunds = [
        {
            "id": f"rfnd_{n}",
            "receipt": f"rfn_{n}",
            "amount": 100,
            "status": "processed",
            "payment_id": "pay_1",
        }
        for n in range(205)
    ]

    def do_get(self: Desk) -> None:
        query = parse_qs(urlsplit(self.path).query)
        skip, count = int(query.get("skip", ["0"])[0]), int(query.get("count", ["10"])[0])
        self.body = json.dumps({"items": refunds[skip : skip + count]}).encode()
        self.answer()

    desk.do_GET = do_get  # type: ignore[method-assign,assignment]
    found = gateway.find_refund("pay_1", "rfn_204")
    assert found is not None
    assert found.id == "rfnd_204"
    assert gateway.find_refund("pay_1", "rfn_205") is None
