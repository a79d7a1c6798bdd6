"""Each error of Kite Connect: the exception class, the HTTP code, and that nothing has happened."""

from typing import Any

import pytest
from kiteconnect.exceptions import (
    DataException,
    GeneralException,
    InputException,
    KiteException,
    NetworkException,
    OrderException,
    PermissionException,
)

from tests.sandbox.conftest import Sandbox
from tests.sandbox.kite_user import KiteUser

MARKET = {"order_type": "MARKET", "price": None}
FUTURE = {"exchange": "NFO", "tradingsymbol": "NIFTY26DECFUT", "product": "NRML", "price": 26130}
GOLD = {"exchange": "MCX", "tradingsymbol": "GOLDPETAL26DECFUT", "product": "NRML", "price": 12200}

REFUSED = [
    (MARKET, InputException, "market protection"),
    ({**MARKET, "market_protection": 0}, InputException, "market protection"),
    ({"order_type": "SL-M", "price": None, "trigger_price": 1410}, InputException, "market protection"),
    ({**MARKET, "market_protection": 101}, InputException, "market_protection"),
    ({"tag": "with-dash"}, InputException, "tag"),
    ({"tag": "x" * 21}, InputException, "tag"),
    ({"price": 1400.03}, InputException, "Tick size for this script is 0.10"),
    ({"price": 1400.001}, InputException, "price"),
    ({"price": "nan"}, InputException, "price"),
    ({"quantity": 0}, InputException, "quantity"),
    ({"quantity": "1.5"}, InputException, "quantity"),
    ({**FUTURE, "quantity": 64}, InputException, "multiples of lot size 65"),
    ({**FUTURE, "quantity": 65 * 28}, InputException, "freeze quantity of 1800"),
    ({**GOLD, "validity": "IOC"}, InputException, "IOC orders are not allowed on MCX"),
    ({"validity": "TTL"}, InputException, "validity_ttl"),
    ({"order_type": "SL", "price": 1410}, InputException, "Trigger price is required"),
    ({"product": "NRML"}, InputException, "product"),
    ({"transaction_type": "HOLD"}, InputException, "transaction_type"),
    ({"tradingsymbol": "NIFTY 50"}, InputException, "does not exist"),
    ({"tradingsymbol": "UNLISTED"}, InputException, "does not exist"),
    ({"variety": "bo"}, InputException, "variety"),
    (
        {"variety": "iceberg", "iceberg_legs": 11, "iceberg_quantity": 1, "quantity": 11},
        InputException,
        "iceberg",
    ),
    ({"variety": "auction"}, InputException, "auction_number"),
    ({"variety": "amo"}, OrderException, "AMO"),
    ({"transaction_type": "SELL"}, GeneralException, "Insufficient stock holding"),
    ({"quantity": 100_000}, GeneralException, "Insufficient funds"),
]


@pytest.mark.parametrize(("different", "kind", "message"), REFUSED)
def test_a_refused_order_leaves_nothing_behind(
    kite: KiteUser, different: dict[str, Any], kind: type[KiteException], message: str
) -> None:
    with pytest.raises(kind, match=message) as refused:
        kite.place(**different)
    assert type(refused.value) is kind
    assert refused.value.code in (400, 404)
    assert kite.client.orders() == []
    placing = [call for call in kite.sandbox.journal("kite") if call["path"].startswith("/kite/orders/")]
    assert [call["effect"] for call in placing] == [None]


def test_more_than_ten_slices_are_refused(kite: KiteUser) -> None:
    with pytest.raises(InputException, match="Maximum allowed slices is 10"):
        kite.client.place_autoslice_order(
            variety="regular", transaction_type="BUY", quantity=1755 * 11, order_type="LIMIT", **FUTURE
        )


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [("error_429", NetworkException, 429), ("error_5xx", GeneralException, 500)],
)
def test_planted_errors_come_in_kites_envelope(
    kite: KiteUser, fault: str, kind: type[KiteException], code: int
) -> None:
    planted = {"target": "kite", "match": "/orders", "fault": fault, "times": 1}
    kite.sandbox.control("POST", "/faults", planted)
    with pytest.raises(kind) as refused:
        kite.place()
    assert refused.value.code == code
    assert kite.client.orders() == []


def test_orders_from_an_unregistered_address_are_refused_and_reads_are_not(kite: KiteUser) -> None:
    kite.sandbox.control("POST", "/kite/app", {"static_ip": "203.0.113.7"})
    with pytest.raises(PermissionException) as refused:
        kite.place()
    assert refused.value.code == 403
    assert kite.client.orders() == []
    kite.sandbox.control("POST", "/kite/app", {"static_ip": "127.0.0.1"})
    kite.wait(kite.place(), "COMPLETE")


def test_an_answer_that_is_no_json_is_a_data_exception(kite: KiteUser) -> None:
    page = "/kite/connect/login?api_key=" + kite.client.api_key
    kite.client._routes = {**kite.client._routes, "user.profile": page}
    with pytest.raises(DataException):
        kite.client.profile()


def test_unknown_things(kite: KiteUser) -> None:
    with pytest.raises(OrderException) as unknown:
        kite.client.order_history("123456789012345")
    assert unknown.value.code == 404
    with pytest.raises(GeneralException):
        kite.client.get_gtt(999)
    with pytest.raises(GeneralException):
        kite.client.mf_orders("nope")
    with pytest.raises(InputException):
        kite.client.historical_data(1, "2026-01-01", "2026-01-02", "day")


def outcome(kite: KiteUser, call: str = "place") -> int:
    """200, or the code of the refusal by the rate limit."""
    try:
        if call == "ltp":
            kite.client.ltp("NSE:INFY")
        else:
            kite.buy(quantity=1, price=1300)
    except NetworkException as refused:
        return int(refused.code)
    return 200


def test_ten_orders_a_second_and_one_quote(limited_sandbox: Sandbox) -> None:
    kite = KiteUser(limited_sandbox)
    kite.market(price=1400)
    kinds = [outcome(kite) for _ in range(25)]
    seconds = {call["at"][:19] for call in limited_sandbox.journal("kite")}
    assert 429 in kinds
    # A second more than the journal shows, as its clock and the limiter's may cut seconds differently.
    assert kinds.count(200) <= 10 * (len(seconds) + 1)
    assert kinds[:10] == [200] * 10
    quotes = [outcome(kite, "ltp") for _ in range(3)]
    assert quotes[0] == 200
    assert 429 in quotes
