"""Orders, payments, captures, refunds, customers: the official client against the sandbox."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from razorpay.errors import BadRequestError, ServerError, SignatureVerificationError

from tests.sandbox.conftest import Sandbox
from tests.sandbox.razorpay_shop import Shop, events
from tests.sandbox.receiver import Receiver


@pytest.fixture
def shop(clean: Sandbox) -> Shop:
    return Shop(clean)


def test_an_order_from_creation_to_refund(shop: Shop, hooks: Receiver) -> None:
    order = shop.order(118_000, receipt="pay_1", notes={"plan": "premium"})
    assert (order["status"], order["amount_due"], order["attempts"]) == ("created", 118_000, 0)
    done = shop.play("checkout", order_id=order["id"], method="upi", outcome="success")
    assert shop.client.utility.verify_payment_signature(done)
    payment = shop.client.payment.fetch(done["razorpay_payment_id"])
    assert (payment["status"], payment["captured"], payment["fee"]) == ("authorized", False, None)
    assert payment["notes"] == {"plan": "premium"}
    assert shop.client.order.fetch(order["id"])["status"] == "attempted"
    captured = shop.client.payment.capture(payment["id"], 118_000, {"currency": "INR"})
    # 2% of 118000 is 2360; 18% GST on it 424.8, rounded half up.
    assert (captured["status"], captured["fee"], captured["tax"]) == ("captured", 2785, 425)
    assert shop.client.order.fetch(order["id"])["status"] == "paid"
    assert [one["id"] for one in shop.client.order.payments(order["id"])["items"]] == [payment["id"]]
    refund = shop.client.payment.refund(payment["id"], {"amount": 18_000})
    assert refund["status"] == "processed"
    assert shop.client.payment.fetch(payment["id"])["refund_status"] == "partial"
    shop.client.payment.refund(payment["id"], {})
    after = shop.client.payment.fetch(payment["id"])
    assert (after["status"], after["amount_refunded"], after["refund_status"]) == (
        "refunded",
        118_000,
        "full",
    )
    assert shop.client.order.fetch(order["id"])["status"] == "paid"
    assert shop.client.payment.fetch_multiple_refund(payment["id"])["count"] == 2
    events(
        hooks, "payment.authorized", "payment.captured", "order.paid", "refund.created", "refund.processed"
    )
    assert shop.sandbox.effects("razorpay") == [
        {"order_id": order["id"]},
        {"payment_id": payment["id"], "captured": 118_000},
        {"refund_id": refund["id"], "payment_id": payment["id"], "refunded": 18_000},
        {
            "refund_id": shop.client.refund.all()["items"][0]["id"],
            "payment_id": payment["id"],
            "refunded": 100_000,
        },
    ]


@pytest.mark.parametrize(
    ("body", "field", "description"),
    [
        ({"currency": "INR"}, "amount", "The amount field is required."),
        ({"amount": 99, "currency": "INR"}, "amount", "The amount must be at least INR 1.00"),
        ({"amount": 100.5, "currency": "INR"}, "amount", "The amount must be an integer."),
        ({"amount": 100}, "currency", "The currency field is required."),
        ({"amount": 100, "currency": "USD"}, "currency", "Currency is not supported"),
        (
            {"amount": 100, "currency": "INR", "receipt": "x" * 41},
            "receipt",
            "The receipt may not be greater than 40 characters.",
        ),
        (
            {"amount": 100, "currency": "INR", "colour": "red"},
            "colour",
            "colour is/are not required and should not be sent",
        ),
        (
            {"amount": 100, "currency": "INR", "notes": {str(n): "x" for n in range(16)}},
            "notes",
            "Number of fields in notes should be less than or equal to 15",
        ),
        (
            {"amount": 100, "currency": "INR", "notes": {"k": "x" * 257}},
            "notes.k",
            "The notes value may not be greater than 256 characters.",
        ),
    ],
)
def test_orders_that_are_refused(shop: Shop, body: dict[str, Any], field: str, description: str) -> None:
    with pytest.raises(BadRequestError, match=description.replace(".", r"\.")):
        shop.client.order.create(body)
    answer = shop.sandbox.http.post("/razorpay/v1/orders", json=body, auth=shop.client.auth)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": description,
        "source": "business",
        "step": "payment_initiation",
        "reason": "input_validation_failed",
        "metadata": {},
        "field": field,
    }
    assert shop.client.order.all()["count"] == 0
    assert shop.sandbox.effects("razorpay") == []


def test_credentials_addresses_and_ids(shop: Shop) -> None:
    http = shop.sandbox.http
    wrong = http.get("/razorpay/v1/orders", auth=("rzp_test_x", "y"))
    assert (wrong.status_code, wrong.json()["error"]["description"]) == (401, "Authentication failed")
    key_id, key_secret = shop.client.auth
    proper = http.build_request("GET", "/razorpay/v1/orders")
    good = http.get("/razorpay/v1/orders", auth=(key_id, key_secret))
    header = good.request.headers["authorization"]
    proper.headers["authorization"] = header.replace("Basic", "basic")
    assert http.send(proper).status_code == 401
    assert http.get("/razorpay/v1/orders").status_code == 401
    unknown = http.post("/razorpay/v1/order", json={}, auth=shop.client.auth)
    assert unknown.status_code == 400
    assert unknown.json()["error"]["description"] == "The requested URL was not found on the server."
    assert http.put("/razorpay/v1/orders", json={}, auth=shop.client.auth).status_code == 400
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        shop.client.order.fetch("order_00000000000000")
    with pytest.raises(BadRequestError, match="nonsense is not a valid id"):
        shop.client.payment.fetch("nonsense")
    bad = http.post("/razorpay/v1/orders", content=b"{", auth=shop.client.auth)
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "BAD_REQUEST_ERROR")


def test_faults_have_the_gateways_error_shape(shop: Shop) -> None:
    for fault, error in (("error_5xx", ServerError), ("error_429", BadRequestError)):
        shop.sandbox.control("POST", "/faults", {"target": "razorpay", "fault": fault, "times": 1})
        with pytest.raises(error):
            shop.order()
    assert shop.sandbox.effects("razorpay") == []


def test_a_lost_answer_is_found_by_receipt(shop: Shop) -> None:
    fault = {"target": "razorpay", "match": "/orders", "fault": "timeout_after", "times": 1, "seconds": 0.1}
    shop.sandbox.control("POST", "/faults", fault)
    with pytest.raises(Exception, match=r"Connection aborted|closed connection"):
        shop.order(receipt="pay_7")
    found = shop.client.order.all({"receipt": "pay_7"})
    assert found["count"] == 1
    assert shop.sandbox.effects("razorpay") == [{"order_id": found["items"][0]["id"]}]


def test_orders_list_newest_first_in_pages(shop: Shop) -> None:
    made = [shop.order(receipt=f"r{n}", options=shop.at(f"2026-11-0{n}T00:00:00Z"))["id"] for n in (1, 2, 3)]
    assert [one["id"] for one in shop.client.order.all()["items"]] == made[::-1]
    page = shop.client.order.all({"count": 1, "skip": 1})
    assert (page["entity"], page["count"], page["items"][0]["id"]) == ("collection", 1, made[1])
    assert page["items"][0]["notes"] == []
    until = shop.client.order.all({"to": made and 1793577600})  # 2026-11-02T00:00:00Z
    assert [one["id"] for one in until["items"]] == [made[1], made[0]]
    with pytest.raises(BadRequestError, match="The count may not be greater than 100"):
        shop.client.order.all({"count": 101})
    edited = shop.client.order.edit(made[0], {"notes": {"seen": "yes"}})
    assert edited["notes"] == {"seen": "yes"}


def test_capture_is_exact_and_happens_once(shop: Shop) -> None:
    order = shop.order()
    payment_id = shop.play("checkout", order_id=order["id"], outcome="success")["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="Capture amount must be equal to the amount authorized"):
        shop.client.payment.capture(payment_id, 117_999, {"currency": "INR"})

    def capture(_: int) -> str:
        try:
            return str(
                Shop(shop.sandbox).client.payment.capture(payment_id, 118_000, {"currency": "INR"})["status"]
            )
        except BadRequestError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(capture, range(8)))
    assert answers == ["This payment has already been captured"] * 7 + ["captured"]
    assert shop.sandbox.effects("razorpay")[1:] == [{"payment_id": payment_id, "captured": 118_000}]


def test_a_second_authorized_payment_cannot_be_captured_on_a_paid_order(shop: Shop) -> None:
    order = shop.order()
    first, second = (shop.play("checkout", order_id=order["id"])["razorpay_payment_id"] for _ in range(2))
    shop.client.payment.capture(first, 118_000, {"currency": "INR"})
    with pytest.raises(BadRequestError, match="the order is already paid"):
        shop.client.payment.capture(second, 118_000, {"currency": "INR"})
    assert shop.client.order.fetch(order["id"])["attempts"] == 2
    answer = shop.sandbox.http.post(
        "/_control/razorpay/checkout", json={"order_id": order["id"]}, headers={"X-Sandbox-Control": "1"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "order_already_paid"


@pytest.mark.parametrize("asked", [{"payment_capture": 1}, {"payment": {"capture": "automatic"}}])
def test_automatic_capture(shop: Shop, hooks: Receiver, asked: dict[str, Any]) -> None:
    order = shop.order(**asked)
    payment_id = shop.play("checkout", order_id=order["id"])["razorpay_payment_id"]
    assert shop.client.payment.fetch(payment_id)["status"] == "captured"
    events(hooks, "payment.authorized", "payment.captured", "order.paid")


def test_failure_tells_and_cannot_be_captured(shop: Shop, hooks: Receiver) -> None:
    order = shop.order()
    done = shop.play("checkout", order_id=order["id"], outcome="failure")
    assert done["razorpay_signature"] is None
    assert done["error"]["metadata"]["payment_id"] == done["razorpay_payment_id"]
    failed = events(hooks, "payment.failed")[0]["payload"]["payment"]["entity"]
    assert (failed["status"], failed["error_code"]) == ("failed", "BAD_REQUEST_ERROR")
    with pytest.raises(BadRequestError, match="Only payments which have been authorized"):
        shop.client.payment.capture(failed["id"], 118_000, {"currency": "INR"})


def test_late_authorization_comes_after_the_failure(shop: Shop, hooks: Receiver) -> None:
    order = shop.order()
    done = shop.play("checkout", order_id=order["id"], outcome="late_authorized", delay_ms=200)
    payment_id = done["razorpay_payment_id"]
    assert shop.client.payment.fetch(payment_id)["status"] == "failed"
    heard = [one["event"] for one in events(hooks, "payment.failed", "payment.authorized")]
    assert heard == ["payment.failed", "payment.authorized"]
    payment = shop.client.payment.fetch(payment_id)
    assert (payment["status"], payment["error_code"]) == ("authorized", None)


def test_a_delayed_success_is_created_first(shop: Shop, hooks: Receiver) -> None:
    order = shop.order()
    done = shop.play("checkout", order_id=order["id"], delay_ms=300)
    assert shop.client.payment.fetch(done["razorpay_payment_id"])["status"] == "created"
    events(hooks, "payment.authorized")
    assert shop.client.payment.fetch(done["razorpay_payment_id"])["status"] == "authorized"


def test_uncaptured_money_goes_back_after_three_days(shop: Shop, hooks: Receiver) -> None:
    order = shop.order(options=shop.at("2026-11-01T00:00:00Z"))
    done = shop.play("checkout", order_id=order["id"], now="2026-11-01T00:00:00Z")
    payment_id = done["razorpay_payment_id"]
    early = shop.client.payment.fetch(payment_id, **shop.at("2026-11-03T23:59:59Z"))
    assert early["status"] == "authorized"
    with pytest.raises(BadRequestError, match="Only payments which have been authorized"):
        shop.client.payment.capture(
            payment_id, 118_000, {"currency": "INR"}, **shop.at("2026-11-04T00:00:00Z")
        )
    late = shop.client.payment.fetch(payment_id, **shop.at("2026-11-04T00:00:00Z"))
    assert (late["status"], late["amount_refunded"], late["captured"]) == ("refunded", 118_000, False)


def test_refund_rules(shop: Shop) -> None:
    payment = shop.paid(now="2026-01-31T10:00:00Z")
    refund = shop.client.payment.refund
    soon, last, late = (shop.at(f"2026-{day}T10:00:00Z") for day in ("02-01", "07-31", "08-01"))
    with pytest.raises(BadRequestError, match="greater than amount captured"):
        refund(payment["id"], {"amount": 118_001}, **soon)
    with pytest.raises(BadRequestError, match=r"at least INR 1\.00"):
        refund(payment["id"], {"amount": 99}, **soon)
    with pytest.raises(BadRequestError, match="not required and should not be sent"):
        refund(payment["id"], {"amount": 100, "reason": "x"}, **soon)
    refund(payment["id"], {"amount": 100_000}, **last)
    with pytest.raises(BadRequestError, match="greater than amount captured"):
        refund(payment["id"], {"amount": 18_001}, **last)
    with pytest.raises(BadRequestError, match="the payment is more than 6 months old"):
        refund(payment["id"], {"amount": 18_000}, **late)
    refund(payment["id"], {"amount": 18_000, "speed": "optimum"}, **last)
    with pytest.raises(BadRequestError, match="fully refunded already"):
        refund(payment["id"], {}, **last)
    order = shop.order()
    held = shop.play("checkout", order_id=order["id"])["razorpay_payment_id"]
    with pytest.raises(BadRequestError, match="status should be captured"):
        refund(held, {"amount": 100})
    assert sum(one.get("refunded", 0) for one in shop.sandbox.effects("razorpay")) == 118_000


def test_refunds_under_an_idempotency_key(shop: Shop) -> None:
    payment = shop.paid()
    key = {"headers": {"X-Refund-Idempotency": "refund_0001-a"}}

    def refund(body: dict[str, Any], key: str | None = None) -> Any:
        headers = {"X-Refund-Idempotency": key or "refund_0001-a"}
        path = f"/razorpay/v1/payments/{payment['id']}/refund"
        return shop.sandbox.http.post(path, json=body, headers=headers, auth=shop.client.auth)

    first = shop.client.payment.refund(payment["id"], {"amount": 1_000}, **key)
    assert refund({"amount": 1_000}).json() == first
    other = refund({"amount": 2_000})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "BAD_REQUEST_ERROR")
    text = "Different request with the same idempotency key has already been processed."
    assert other.json()["error"]["description"] == text
    assert "at least 10 characters" in refund({"amount": 1_000}, "short").text
    assert "alphanumeric" in refund({"amount": 1_000}, "refund 0001 a!").text
    assert shop.client.payment.fetch(payment["id"])["amount_refunded"] == 1_000
    done = [one for one in shop.sandbox.effects("razorpay") if "refunded" in one]
    assert done == [{"refund_id": first["id"], "payment_id": payment["id"], "refunded": 1_000}]


def test_a_refund_in_progress_answers_409(shop: Shop) -> None:
    payment = shop.paid()
    fault = {"target": "razorpay", "match": "/refund", "fault": "slow", "times": 1, "seconds": 1}
    shop.sandbox.control("POST", "/faults", fault)

    def refund(_: int) -> int:
        path = f"/razorpay/v1/payments/{payment['id']}/refund"
        headers = {"X-Refund-Idempotency": "refund_0002"}
        http = shop.sandbox.http
        return http.post(path, json={"amount": 500}, headers=headers, auth=shop.client.auth).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(refund, range(2))) == [200, 409]
    assert shop.client.payment.fetch(payment["id"])["amount_refunded"] == 500


def test_a_pending_refund_is_processed_or_fails(shop: Shop, hooks: Receiver) -> None:
    payment = shop.paid()
    shop.play("refund", payment_id=payment["id"], outcome="pending")
    refund = shop.client.payment.refund(payment["id"], {"amount": 10_000})
    assert refund["status"] == "pending"
    assert shop.play("refund", refund_id=refund["id"], outcome="failed")["status"] == "failed"
    assert shop.client.payment.fetch(payment["id"])["amount_refunded"] == 0
    again = shop.client.payment.refund(payment["id"], {"amount": 118_000, "speed": "optimum"})
    assert (again["status"], again["speed_processed"]) == ("processed", "instant")
    assert shop.client.refund.fetch(refund["id"])["status"] == "failed"
    events(hooks, "refund.created", "refund.failed", "refund.processed")


def test_customers_are_found_again(shop: Shop) -> None:
    person = {"name": "Asha Rao", "email": "asha@example.com", "contact": "+919000000001"}
    first = shop.client.customer.create(person)
    with pytest.raises(BadRequestError, match="Customer already exists for the merchant"):
        shop.client.customer.create(person)
    assert shop.client.customer.create({**person, "fail_existing": "0"}) == first
    edited = shop.client.customer.edit(first["id"], {"email": "rao@example.com"})
    assert shop.client.customer.fetch(first["id"]) == edited
    assert shop.client.customer.all()["count"] == 1
    assert shop.sandbox.effects("razorpay") == [{"customer_id": first["id"]}] * 2


def test_a_forged_checkout_signature_does_not_verify(shop: Shop) -> None:
    order = shop.order()
    done = shop.play("checkout", order_id=order["id"])
    other = shop.order()
    with pytest.raises(SignatureVerificationError):
        shop.client.utility.verify_payment_signature({**done, "razorpay_order_id": other["id"]})


def test_the_journal_holds_every_call_with_its_body(shop: Shop) -> None:
    order = shop.order(receipt="r1")
    with pytest.raises(BadRequestError):
        shop.client.order.fetch("order_00000000000000")
    calls = shop.sandbox.journal("razorpay")
    assert [(one["method"], one["path"], one["status"]) for one in calls] == [
        ("POST", "/razorpay/v1/orders", 200),
        ("GET", "/razorpay/v1/orders/order_00000000000000", 400),
    ]
    assert calls[0]["body"] == {"amount": 118_000, "currency": "INR", "receipt": "r1"}
    assert [one["effect"] for one in calls] == [{"order_id": order["id"]}, None]
    assert json.dumps(calls).count(shop.client.auth[1]) == 0


WEIRD: list[Any] = [None, True, -1, 1.5, 10**30, "", "१००", [1], {"a": {"b": 1}}, {"token_id": [1]}, "\u0000"]


def test_no_malformed_call_is_a_server_error(shop: Shop) -> None:
    payment, plan = shop.paid(), shop.plan()
    bodies: dict[str, dict[str, Any]] = {
        "/orders": {
            **{"amount": 100, "currency": "INR", "receipt": "r", "notes": {}, "payment": {}, "method": "upi"},
            **{"payment_capture": 1, "customer_id": None, "token": {"max_amount": 1}, "notification": {}},
        },
        "/payments/create/recurring": {
            **{"amount": 100, "currency": "INR", "order_id": payment["order_id"], "recurring": True},
            **{"customer_id": "cust_x", "token": "token_x", "contact": "1", "notes": {}},
        },
        "/customers": {"name": "a", "email": "b", "contact": "c", "gstin": "d", "fail_existing": "0"},
        "/plans": {
            "period": "monthly",
            "interval": 1,
            "item": {"name": "a", "amount": 100, "currency": "INR"},
        },
        "/subscriptions": {"plan_id": plan["id"], "total_count": 3, "start_at": 1_990_000_000, "quantity": 1},
        f"/payments/{payment['id']}/refund": {"amount": 100, "speed": "normal", "receipt": "r"},
        f"/payments/{payment['id']}/capture": {"amount": 100, "currency": "INR"},
    }
    for path, body in bodies.items():
        for wrong in [*WEIRD, *({**body, name: value} for name in body for value in WEIRD)]:
            answer = shop.sandbox.http.post(f"/razorpay/v1{path}", json=wrong, auth=shop.client.auth)
            assert answer.status_code in (200, 400), (path, wrong)
            if answer.status_code == 400:
                assert answer.json()["error"]["code"] == "BAD_REQUEST_ERROR"
