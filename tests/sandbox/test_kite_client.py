"""The official client, unchanged: every method of `KiteConnect` and of `KiteTicker` against the sandbox.

A method that a later release of the client brings and that no call here exercises fails the first test.
"""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect, KiteTicker, exceptions

from tests.sandbox.kite_user import KiteUser

HERE = Path(__file__).parent
LEG = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1350}
ASKED = {
    "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular",
    "product": "CNC", "order_type": "LIMIT", "quantity": 10, "price": 1500,
}  # fmt: skip
INFY = 408065
DAY = datetime(2026, 11, 20, 9, 15), datetime(2026, 11, 23, 10, 0)


def methods(client: type) -> set[str]:
    return {name for name, each in vars(client).items() if inspect.isfunction(each) and name[0] != "_"}


def resting(kite: KiteUser) -> str:
    """An order that waits at the exchange."""
    order_id = kite.buy(quantity=1, price=1300)
    kite.wait(order_id, "OPEN")
    return order_id


def filled(kite: KiteUser) -> str:
    order_id = kite.buy(quantity=1, price=1410, product="MIS")
    kite.wait(order_id, "COMPLETE")
    return order_id


def slices(kite: KiteUser) -> Any:
    return kite.client.place_autoslice_order(
        "regular", "NFO", "NIFTY26DECFUT", "BUY", 65, "NRML", "LIMIT", price=26130, validity="DAY"
    )


def covered(kite: KiteUser) -> str:
    """A cover order's second leg can be exited by its parent."""
    return kite.place(
        variety="co", product="MIS", order_type="LIMIT", price=1300, trigger_price=1280, quantity=1
    )


def gtt(kite: KiteUser) -> int:
    return int(kite.client.place_gtt("single", "RELIANCE", "NSE", [1340], 1400, [LEG])["trigger_id"])


def scheme(kite: KiteUser) -> str:
    return str(kite.client.mf_instruments()[0]["tradingsymbol"])


def fund_order(kite: KiteUser) -> str:
    return str(kite.client.place_mf_order(scheme(kite), "BUY", amount=5000)["order_id"])


def sip(kite: KiteUser) -> str:
    return str(kite.client.place_mf_sip(scheme(kite), 1000, 12, "monthly")["sip_id"])


def secret(kite: KiteUser) -> str:
    return str(kite.sandbox.credentials["kite"]["api_secret"])


def renewed(kite: KiteUser) -> Any:
    return kite.client.renew_access_token(kite.session["refresh_token"], secret(kite))


def hooked(kite: KiteUser) -> bool:
    told: list[bool] = []
    kite.client.set_session_expiry_hook(lambda: told.append(True))
    kite.client.set_access_token("spent")
    with pytest.raises(exceptions.TokenException):
        kite.client.profile()
    return told == [True]


def converted(kite: KiteUser) -> Any:
    filled(kite)
    return kite.client.convert_position("NSE", "RELIANCE", "BUY", "day", 1, "MIS", "CNC")


CALLS: dict[str, Callable[[KiteUser], Any]] = {
    "login_url": lambda kite: kite.client.api_key in kite.client.login_url(),
    "set_session_expiry_hook": hooked,
    "set_access_token": lambda kite: kite.client.set_access_token(kite.client.access_token) is None,
    "generate_session": lambda kite: kite.login().access_token,
    "invalidate_access_token": lambda kite: kite.client.invalidate_access_token(),
    "renew_access_token": lambda kite: renewed(kite)["access_token"],
    "invalidate_refresh_token": lambda kite: kite.client.invalidate_refresh_token(
        kite.session["refresh_token"]
    ),
    "margins": lambda kite: kite.client.margins("equity")["net"],
    "profile": lambda kite: kite.client.profile()["user_id"],
    "place_order": resting,
    "place_autoslice_order": slices,
    "modify_order": lambda kite: kite.client.modify_order("regular", resting(kite), price=1301),
    "cancel_order": lambda kite: kite.client.cancel_order("regular", resting(kite)),
    "exit_order": lambda kite: kite.client.exit_order("co", covered(kite)),
    "orders": lambda kite: resting(kite) and kite.client.orders(),
    "order_history": lambda kite: kite.client.order_history(resting(kite)),
    "trades": lambda kite: filled(kite) and kite.client.trades(),
    "order_trades": lambda kite: kite.client.order_trades(filled(kite)),
    "positions": lambda kite: filled(kite) and kite.client.positions()["net"],
    "holdings": lambda kite: kite.client.holdings() == [],
    "get_auction_instruments": lambda kite: kite.client.get_auction_instruments() == [],
    "convert_position": converted,
    "mf_orders": lambda kite: fund_order(kite) and kite.client.mf_orders(),
    "place_mf_order": fund_order,
    "cancel_mf_order": lambda kite: kite.client.cancel_mf_order(fund_order(kite)),
    "mf_sips": lambda kite: sip(kite) and kite.client.mf_sips(),
    "place_mf_sip": sip,
    "modify_mf_sip": lambda kite: kite.client.modify_mf_sip(sip(kite), amount=1500),
    "cancel_mf_sip": lambda kite: kite.client.cancel_mf_sip(sip(kite)),
    "mf_holdings": lambda kite: kite.client.mf_holdings() == [],
    "mf_instruments": lambda kite: kite.client.mf_instruments(),
    "instruments": lambda kite: kite.client.instruments("NSE"),
    "quote": lambda kite: kite.client.quote("NSE:INFY"),
    "ohlc": lambda kite: kite.client.ohlc("NSE:INFY"),
    "ltp": lambda kite: kite.client.ltp("NSE:INFY"),
    "historical_data": lambda kite: kite.client.historical_data(INFY, *DAY, "5minute", oi=True),
    "trigger_range": lambda kite: kite.client.trigger_range("BUY", "NSE:INFY"),
    "get_gtts": lambda kite: gtt(kite) and kite.client.get_gtts(),
    "get_gtt": lambda kite: kite.client.get_gtt(gtt(kite)),
    "place_gtt": gtt,
    "modify_gtt": lambda kite: kite.client.modify_gtt(
        gtt(kite), "single", "RELIANCE", "NSE", [1350], 1400, [LEG]
    ),
    "delete_gtt": lambda kite: kite.client.delete_gtt(gtt(kite)),
    "order_margins": lambda kite: kite.client.order_margins([ASKED]),
    "basket_order_margins": lambda kite: kite.client.basket_order_margins([ASKED]),
    "get_virtual_contract_note": lambda kite: kite.client.get_virtual_contract_note(
        [{**ASKED, "average_price": 1500}]
    ),
}
TICKER = {
    *("connect", "is_connected", "close", "stop", "stop_retry"),
    *("subscribe", "unsubscribe", "set_mode", "resubscribe"),
}
"""What `official_ticker.py` calls of `KiteTicker`."""


def test_no_method_of_the_official_client_is_without_a_call() -> None:
    assert set(CALLS) == methods(KiteConnect)
    assert methods(KiteTicker) == TICKER
    script = (HERE / "official_ticker.py").read_text()
    assert [name for name in sorted(TICKER) if f"ticker.{name}(" not in script] == []


@pytest.mark.parametrize("name", sorted(CALLS))
def test_each_method_has_its_answer(kite: KiteUser, name: str) -> None:
    answer = CALLS[name](kite)
    assert answer, f"{name} answered {answer!r}"


def test_the_official_ticker_connects_subscribes_and_comes_back(kite: KiteUser) -> None:
    """`KiteTicker` itself, on its own event loop, which a process can run once."""
    root = kite.sandbox.base_url.replace("http://", "ws://") + "/kite/ws"
    given = json.dumps(
        {
            "api_key": kite.client.api_key,
            "access_token": kite.client.access_token,
            "root": root,
            "token": INFY,
        }
    )
    command = [sys.executable, str(HERE / "official_ticker.py"), given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {
        "connected": True,
        "modes": ["full", "ltp", "quote"],
        "resubscribed": True,
        "closed": True,
    }


def planted(kite: KiteUser, fault: str) -> Any:
    kite.sandbox.control("POST", "/faults", {"target": "kite", "fault": fault, "times": 1})
    return kite.client.profile()


def elsewhere(kite: KiteUser) -> Any:
    kite.sandbox.control("POST", "/kite/app", {"static_ip": "203.0.113.7"})
    return kite.place()


def a_page(kite: KiteUser) -> Any:
    page = f"/kite/connect/login?api_key={kite.client.api_key}"
    kite.client._routes = {**kite.client._routes, "user.profile": page}
    return kite.client.profile()


def signed_out(kite: KiteUser) -> Any:
    return KiteConnect(kite.client.api_key, access_token="x", root=kite.client.root).profile()


RAISED: dict[str, tuple[Callable[[KiteUser], Any], int]] = {
    "TokenException": (signed_out, 403),
    "PermissionException": (elsewhere, 403),
    "OrderException": (lambda kite: kite.client.order_history("123456789012345"), 404),
    "InputException": (lambda kite: kite.place(quantity=0), 400),
    "DataException": (a_page, 502),
    "NetworkException": (lambda kite: planted(kite, "error_429"), 429),
    "GeneralException": (lambda kite: planted(kite, "error_5xx"), 500),
}
"""Every exception of the client: where Kite raises it, and its code (kite.trade, exceptions)."""


def test_no_exception_of_the_official_client_is_without_its_case() -> None:
    known = {
        name
        for name, each in vars(exceptions).items()
        if inspect.isclass(each) and issubclass(each, exceptions.KiteException)
    }
    assert known - {"KiteException"} == set(RAISED)


@pytest.mark.parametrize("name", sorted(RAISED))
def test_each_exception_is_raised_where_kite_raises_it(kite: KiteUser, name: str) -> None:
    cause, code = RAISED[name]
    with pytest.raises(getattr(exceptions, name)) as raised:
        cause(kite)
    assert raised.value.code == code
