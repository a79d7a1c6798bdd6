"""Trading over HTTP: connecting, ordering, postbacks, reading, and everything that is refused."""

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cli.embedded import EmbeddedEngines
from models.contracts.reports import check
from tests.api.conftest import Api, Person
from tests.workflows.traders import TRADING_MORNING, eventually, working

NAME = "Asha Rao"


class Desk:
    """A customer of the API with the sandbox beside her."""

    def __init__(self, api: Api, engines: EmbeddedEngines, http: httpx.AsyncClient) -> None:
        self.api = api
        self.settings = engines.settings
        self.http = http

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"/_control{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def customer(self, name: str = NAME) -> Person:
        """Signed in, KYC verified."""
        person = await self.api.signed_in()
        now = datetime.now(UTC)
        async with self.api.platform.database.transaction() as connection:
            ring = await self.api.platform.vault.person(connection, person.user_id)
            await connection.execute(
                """INSERT INTO user_management.kyc_status
                       (user_id, status, tier, legal_name, verified_at, expires_at, updated_at)
                   VALUES (%s, 'verified', 'intermediate', %s, %s, %s, %s)
                   ON CONFLICT (user_id) DO UPDATE SET status = 'verified', tier = 'intermediate',
                       legal_name = excluded.legal_name, verified_at = excluded.verified_at,
                       expires_at = excluded.expires_at""",
                (
                    *(person.user_id, ring.seal(name.encode(), f"legal-name:{person.user_id}")),
                    *(now, now + timedelta(days=700), now),
                ),
            )
        return person

    async def connect(self, person: Person, broker: str = "kite") -> httpx.Response:
        headers = await self.api.stepped_up(person)
        return await self.api.post("/v1/trading/exchanges/connect", json={"broker": broker}, headers=headers)

    def state_of(self, connected: httpx.Response) -> str:
        query = parse_qs(urlsplit(connected.json()["login_url"]).query)
        return parse_qs(query["redirect_params"][0])["state"][0]

    async def request_token(self, broker_user: str, name: str = NAME) -> str:
        given = await self.control(
            "/kite/login", api_key=self.settings.kite_api_key, user_id=broker_user, name=name
        )
        return given["request_token"]

    async def come_back(self, person: Person, state: str, token: str) -> httpx.Response:
        body = {"request_token": token, "state": state}
        return await self.api.post("/v1/trading/exchanges/callback", json=body, headers=person.headers)

    async def trader(self) -> tuple[Person, str, str]:
        """A connected customer: the person, the account, the user id at the broker."""
        person, broker_user = await self.customer(), f"AP{secrets.token_hex(3).upper()}"
        connected = await self.connect(person)
        assert connected.status_code == 201, connected.text
        token = await self.request_token(broker_user)
        answer = await self.come_back(person, self.state_of(connected), token)
        assert answer.status_code == 200, answer.text
        return person, answer.json()["account_id"], broker_user

    async def limit_orders(self, account_id: str, value: int | None) -> None:
        """The customer's own limit of an order's value, in paise."""
        async with self.api.platform.database.transaction() as connection:
            await connection.execute(
                "UPDATE trading.accounts SET max_order_value = %s WHERE account_id = %s", (value, account_id)
            )

    async def place(self, person: Person, account_id: str, **terms: Any) -> httpx.Response:
        body = {
            "account_id": account_id, "exchange": "NSE", "symbol": "TCS", "side": "BUY", "quantity": 2,
            "order_type": "LIMIT", "price": "3100", "product": "CNC", "validity": "DAY", **terms,
        }  # fmt: skip
        headers = {**person.headers, "Idempotency-Key": secrets.token_hex(8)}
        return await self.api.post("/v1/trading/orders", json=body, headers=headers)

    async def order(self, person: Person, order_id: str, **query: Any) -> dict[str, Any]:
        answer = await self.api.get(f"/v1/trading/orders/{order_id}", params=query, headers=person.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def reaches(self, person: Person, order_id: str, status: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            found = await self.order(person, order_id)
            return found if found["status"] == status else None

        return await eventually(there, f"{order_id} to be {status}")

    async def postback(self, secret: str | None = None, **body: Any) -> httpx.Response:
        path = secret or self.settings.kite_postback_secret.get_secret_value()
        return await self.api.post(f"/v1/webhooks/kite/{path}", content=json.dumps(body))

    def signed(self, **body: Any) -> dict[str, Any]:
        secret = self.settings.kite_api_secret.get_secret_value()
        text = f"{body['order_id']}{body['order_timestamp']}{secret}"
        return {**body, "checksum": hashlib.sha256(text.encode()).hexdigest()}


@pytest.fixture(scope="module")
async def desk(api: Api, engines: EmbeddedEngines) -> AsyncIterator[Desk]:
    headers = {"X-Sandbox-Control": "1"}
    async with httpx.AsyncClient(base_url=engines.settings.sandbox, headers=headers, timeout=30) as http:
        desk = Desk(api, engines, http)
        await desk.control("/clock", now=TRADING_MORNING, run=True)
        # At the price that `place` bids, whatever other tests of the session did to the market.
        await desk.control("/kite/market", symbol="TCS", price=3100, halt=False, manual=False)
        async with working(engines):
            yield desk


async def test_connect_order_fill_position(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    placed = await desk.place(person, account_id)
    assert placed.status_code == 201, placed.text
    assert placed.json()["status"] in ("submitting", "open", "filled")
    order = await desk.reaches(person, placed.json()["order_id"], "filled")
    assert (order["filled_quantity"], order["average_price"], order["price"]) == (2, "3100", "3100")
    assert order["events"][0]["type"] == "queued"
    positions = await desk.api.get("/v1/trading/positions", headers=person.headers)
    assert positions.json()["items"] == [
        {
            "account_id": account_id, "exchange": "NSE", "symbol": "TCS", "product": "CNC", "quantity": 2,
            "average_price": "3100.0000", "last_price": "3100", "realised": 0, "unrealised": 0,
            "charges": None,
        }
    ]  # fmt: skip
    portfolio = await desk.api.get("/v1/trading/portfolio", headers=person.headers)
    assert portfolio.json()["items"] == positions.json()["items"]
    listed = await desk.api.get("/v1/trading/orders?status=filled", headers=person.headers)
    assert [item["order_id"] for item in listed.json()["items"]] == [order["order_id"]]
    accounts = await desk.api.get("/v1/trading/accounts", headers=person.headers)
    assert accounts.json()["items"][0]["status"] == "connected"
    assert "access_token" not in accounts.text


async def test_a_reader_waits_for_the_next_version(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    await desk.control("/kite/market", symbol="TCS", manual=True)
    try:
        placed = await desk.place(person, account_id)
        order = await desk.reaches(person, placed.json()["order_id"], "open")
        await desk.control("/kite/fill", order_id=order["broker_order_id"], quantity=1)
        found = await desk.order(person, order["order_id"], wait=10, since=order["version"])
        assert found["version"] > order["version"]
        assert (found["status"], found["filled_quantity"]) == ("partially_filled", 1)
        headers = {**person.headers, "Idempotency-Key": "cancel-1"}
        path = f"/v1/trading/orders/{order['order_id']}"
        changed = await desk.api.put(path, json={"price": "3101"}, headers=person.headers)
        assert changed.status_code == 200, changed.text
        cancelled = await desk.api.delete(path, headers=headers)
        assert cancelled.json()["status"] in ("cancel_pending", "cancelled")
        ended = await desk.reaches(person, order["order_id"], "cancelled")
        assert ended["filled_quantity"] == 1
        late = await desk.api.put(path, json={"price": "3102"}, headers=person.headers)
        assert late.status_code == 409
    finally:
        await desk.control("/kite/market", symbol="TCS", manual=False)


async def test_the_same_key_places_one_order(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    body = {
        "account_id": account_id, "exchange": "NSE", "symbol": "TCS", "side": "BUY", "quantity": 1,
        "order_type": "LIMIT", "price": "3100", "product": "CNC",
    }  # fmt: skip
    headers = {**person.headers, "Idempotency-Key": "once"}
    first = await desk.api.post("/v1/trading/orders", json=body, headers=headers)
    again = await desk.api.post("/v1/trading/orders", json=body, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    other = await desk.api.post("/v1/trading/orders", json={**body, "quantity": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    missing = await desk.api.post("/v1/trading/orders", json=body, headers=person.headers)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency_key_required")


async def test_the_holder_at_the_broker_must_be_the_customer(desk: Desk) -> None:
    person = await desk.customer(name="Asha Rao")
    connected = await desk.connect(person)
    token = await desk.request_token(f"AP{secrets.token_hex(3).upper()}", name="Ramesh Kumar Gupta")
    answer = await desk.come_back(person, desk.state_of(connected), token)
    assert (answer.status_code, answer.json()["code"]) == (409, "account_holder_mismatch")
    accounts = await desk.api.get("/v1/trading/accounts", headers=person.headers)
    assert accounts.json()["items"][0]["status"] == "awaiting_login"


async def test_a_login_belongs_to_who_began_it_and_is_used_once(desk: Desk) -> None:
    person, stranger = await desk.customer(), await desk.customer()
    connected = await desk.connect(person)
    assert connected.json()["status"] == "awaiting_login"
    state = desk.state_of(connected)
    broker_user = f"AP{secrets.token_hex(3).upper()}"
    token = await desk.request_token(broker_user)
    theirs = await desk.come_back(stranger, state, token)
    assert theirs.status_code == 404
    unknown = await desk.come_back(person, "no-such-state", token)
    assert unknown.status_code == 404
    returned = await desk.api.get("/v1/trading/exchanges/callback", params={"state": state})
    assert returned.status_code == 303
    mine = await desk.come_back(person, state, token)
    assert mine.status_code == 200, mine.text
    assert mine.json()["expires_at"].startswith("2026-11-24T00:30:00")
    again = await desk.come_back(person, state, await desk.request_token(broker_user))
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == mine.json()


async def test_one_broker_account_serves_one_customer(desk: Desk) -> None:
    _, _, broker_user = await desk.trader()
    other = await desk.customer()
    connected = await desk.connect(other)
    token = await desk.request_token(broker_user)
    answer = await desk.come_back(other, desk.state_of(connected), token)
    assert (answer.status_code, answer.json()["code"]) == (409, "account_taken")


async def test_connecting_needs_a_fresh_second_factor(desk: Desk) -> None:
    person = await desk.customer()
    body = {"broker": "kite"}
    answer = await desk.api.post("/v1/trading/exchanges/connect", json=body, headers=person.headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")


async def test_a_login_that_was_under_way_opens_no_closed_account(desk: Desk) -> None:
    person = await desk.customer()
    connected = await desk.connect(person)
    account_id = connected.json()["account_id"]
    closed = await desk.api.delete(f"/v1/trading/accounts/{account_id}", headers=person.headers)
    assert closed.json()["status"] == "closed"
    token = await desk.request_token(f"AP{secrets.token_hex(3).upper()}")
    late = await desk.come_back(person, desk.state_of(connected), token)
    assert (late.status_code, late.json().get("code")) == (409, "account_closed")


async def test_a_closed_account_takes_no_order(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    closed = await desk.api.delete(f"/v1/trading/accounts/{account_id}", headers=person.headers)
    assert closed.json()["status"] == "closed"
    placed = await desk.place(person, account_id)
    assert (placed.json()["status"], placed.json()["reason_code"]) == ("risk_rejected", "account_closed")


async def test_an_account_is_not_closed_over_an_order_that_lives(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    path = f"/v1/trading/accounts/{account_id}"
    placed = await desk.place(person, account_id, price="3000")
    order = await desk.reaches(person, placed.json()["order_id"], "open")
    refused = await desk.api.delete(path, headers=person.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "account_in_use")
    await desk.api.delete(f"/v1/trading/orders/{order['order_id']}", headers=person.headers)
    await desk.reaches(person, order["order_id"], "cancelled")
    for _ in range(2):
        closed = await desk.api.delete(path, headers=person.headers)
        assert (closed.status_code, closed.json().get("status")) == (200, "closed"), closed.text


async def test_a_postback_is_a_hint_that_is_checked_and_counted_once(desk: Desk) -> None:
    person, account_id, broker_user = await desk.trader()
    await desk.control("/kite/market", symbol="TCS", manual=True)
    try:
        placed = await desk.place(person, account_id)
        order = await desk.reaches(person, placed.json()["order_id"], "open")
    finally:
        await desk.control("/kite/market", symbol="TCS", manual=False)
    claimed = {
        "order_id": order["broker_order_id"], "order_timestamp": "2026-11-23 10:00:01",
        "user_id": broker_user, "status": "COMPLETE", "filled_quantity": 2, "tag": None,
    }  # fmt: skip
    tampered = await desk.postback(**{**claimed, "checksum": "0" * 64})
    assert (tampered.status_code, tampered.json()["code"]) == (400, "checksum_invalid")
    elsewhere = await desk.postback(secret="guessed", **desk.signed(**claimed))
    assert elsewhere.status_code == 404
    assert "guessed" not in elsewhere.text
    for _ in range(2):
        taken = await desk.postback(**desk.signed(**claimed))
        assert taken.status_code == 200, taken.text
    async with desk.api.platform.database.reading() as connection:
        cursor = await connection.execute(
            "SELECT done_at FROM platform.events WHERE source = 'kite' AND event_id = %s",
            (f"{order['broker_order_id']}|COMPLETE|2",),
        )
        stored = await cursor.fetchall()
    assert len(stored) == 1
    assert stored[0]["done_at"] is not None
    foreign = await desk.postback(**desk.signed(**{**claimed, "order_id": "1", "user_id": "ZZ9999"}))
    assert foreign.status_code == 200
    assert (await desk.postback(order_id=1)).status_code == 400
    await desk.reaches(person, order["order_id"], "filled")


async def test_a_postback_of_an_order_made_elsewhere_makes_it_one_of_ours(desk: Desk) -> None:
    person, account_id, broker_user = await desk.trader()
    wanted = {
        "exchange": "NSE", "tradingsymbol": "TCS", "transaction_type": "BUY", "quantity": 3,
        "order_type": "LIMIT", "price": 3100, "product": "CNC",
    }  # fmt: skip
    made = await desk.control("/kite/order", user_id=broker_user, **wanted)
    claimed = {
        "order_id": made["order_id"], "order_timestamp": "2026-11-23 10:00:01", "user_id": broker_user,
        "status": "COMPLETE", "filled_quantity": 3, "tag": None,
    }  # fmt: skip
    assert (await desk.postback(**desk.signed(**claimed))).status_code == 200

    async def shown() -> list[dict[str, Any]]:
        listed = await desk.api.get("/v1/trading/orders", headers=person.headers)
        return [order for order in listed.json()["items"] if order["status"] == "filled"]

    orders = await eventually(shown, "the order to be taken up")
    assert [(order["adopted"], order["filled_quantity"]) for order in orders] == [(True, 3)]
    positions = await desk.api.get("/v1/trading/positions", headers=person.headers)
    held = [(each["account_id"], each["symbol"], each["quantity"]) for each in positions.json()["items"]]
    assert held == [(account_id, "TCS", 3)]


async def test_another_persons_things_are_not_there(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    placed = await desk.place(person, account_id)
    order_id = placed.json()["order_id"]
    stranger = await desk.customer()
    assert (await desk.place(stranger, account_id)).status_code == 404
    for method, path in (
        ("GET", f"/v1/trading/orders/{order_id}"),
        ("DELETE", f"/v1/trading/orders/{order_id}"),
        ("POST", f"/v1/trading/orders/{order_id}/confirm"),
        ("POST", f"/v1/trading/orders/{order_id}/decline"),
        ("DELETE", f"/v1/trading/accounts/{account_id}"),
    ):
        answer = await desk.api.request(method, path, headers=stranger.headers)
        assert answer.status_code == 404, path
        unsigned = await desk.api.request(method, path)
        assert unsigned.status_code == 401, path
    assert (await desk.api.get("/v1/trading/orders", headers=stranger.headers)).json()["items"] == []


@pytest.mark.parametrize(
    "terms",
    [
        {"quantity": 0},
        {"quantity": "2"},
        {"quantity": 1.5},
        {"price": "-1"},
        {"price": "NaN"},
        {"side": "HOLD"},
        {"exchange": "NYSE"},
        {"symbol": ""},
        {"symbol": "x; DROP"},
        {"unknown": 1},
        {"market_protection": 101},
    ],
)
async def test_an_order_of_wrong_shape_is_invalid(desk: Desk, terms: dict[str, Any]) -> None:
    person = await desk.customer()
    async with desk.api.platform.database.transaction() as connection:
        account_id = f"acc_{secrets.token_hex(8)}"
        await connection.execute(
            """INSERT INTO trading.accounts (account_id, user_id, broker, status, made_at)
               VALUES (%s, %s, 'kite', 'awaiting_login', now())""",
            (account_id, person.user_id),
        )
    answer = await desk.place(person, account_id, **terms)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), answer.text


async def test_the_kill_switch_blocks_takes_back_and_flattens(desk: Desk) -> None:
    person, account_id, _ = await desk.trader()
    held = await desk.place(person, account_id)
    await desk.reaches(person, held.json()["order_id"], "filled")
    resting = await desk.place(person, account_id, price="3000")
    await desk.reaches(person, resting.json()["order_id"], "open")
    await desk.limit_orders(account_id, 1_00)
    path = f"/v1/trading/accounts/{account_id}/kill-switch"
    headers = {**person.headers, "Idempotency-Key": "stop"}
    engaged = await desk.api.post(path, json={"flatten": True}, headers=headers)
    assert engaged.status_code == 202, engaged.text
    again = await desk.api.post(path, json={"flatten": True}, headers=headers)
    assert again.json()["kill_switch_id"] == engaged.json()["kill_switch_id"]
    other = {**person.headers, "Idempotency-Key": "stop-again"}
    twice = await desk.api.post(path, json={"flatten": False}, headers=other)
    assert (twice.status_code, twice.json()["code"]) == (409, "already_blocked")
    refused = await desk.place(person, account_id)
    assert (refused.json()["status"], refused.json()["reason_code"]) == ("risk_rejected", "account_blocked")

    async def done() -> dict[str, Any] | None:
        shown = (await desk.api.get(path, headers=person.headers)).json()
        return shown if shown["status"] == "done" else None

    shown = await eventually(done, "the report")
    report = shown["report"]
    keys = (await desk.api.get("/v1/trading/reports/keys.json")).json()["keys"]
    header = json.loads(base64.urlsafe_b64decode(shown["signed_report"].split(".")[0] + "=="))
    assert header["kid"] in {key["kid"] for key in keys}
    assert check(shown["signed_report"], desk.settings.report_public_keys) == report
    assert report["taken_back"] == [resting.json()["order_id"]]
    assert report["left_open"] == []
    await desk.reaches(person, resting.json()["order_id"], "cancelled")
    for order_id in report["flattening"]:
        await desk.reaches(person, order_id, "filled")
    positions = await desk.api.get("/v1/trading/positions", headers=person.headers)
    assert [item["quantity"] for item in positions.json()["items"]] == [0]
    lifted = await desk.api.delete(path, headers=person.headers)
    assert lifted.json()["status"] == "lifted"
    await desk.limit_orders(account_id, None)
    free = await desk.place(person, account_id)
    assert free.json()["status"] in ("submitting", "open", "filled")


async def test_a_paper_account_trades_on_the_last_quotes(desk: Desk) -> None:
    """The same process on a broker of our own rows: nothing reaches Kite."""
    person, account_id, _ = await desk.trader()
    async with desk.api.platform.database.transaction() as connection:
        # What was heard of another test's market, at another hour.
        await connection.execute("DELETE FROM trading.quotes")
        await connection.execute("DELETE FROM trading.last_prices")
    first = await desk.place(person, account_id, quantity=1)
    await desk.reaches(person, first.json()["order_id"], "filled")
    paper = await desk.connect(person, "paper")
    assert paper.status_code == 201, paper.text
    assert paper.json()["status"] == "connected"
    assert paper.json().get("login_url") is None
    placed = await desk.place(person, paper.json()["account_id"], variety="amo")
    order = await desk.order(person, placed.json()["order_id"])
    if order["reason_code"] == "market_open":
        placed = await desk.place(person, paper.json()["account_id"])
    order = await desk.reaches(person, placed.json()["order_id"], "filled")
    assert (order["filled_quantity"], order["broker_order_id"][:5]) == (2, "PAPER")
    positions = await desk.api.get("/v1/trading/positions", headers=person.headers)
    quantities = {item["account_id"]: item["quantity"] for item in positions.json()["items"]}
    assert quantities == {account_id: 1, paper.json()["account_id"]: 2}
