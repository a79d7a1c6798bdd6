"""Kite Connect v3 through its official client; every failure in the closed set of `domain.errors`."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors
from pydantic import ValidationError
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from domain.errors import RateLimited, Rejected, TreumError, Unavailable, Unknown
from domain.market_calendar import INDIA
from domain.trading import CLIENT_DEADLINE, BrokerStatus, Side
from models.messages.broker import BrokerOrder, BrokerTrade, Grant, Instrument, MarginAnswer, MarketQuote
from models.messages.trading import Modify, OrderTerms
from providers.broker import Name, Quotes, Reading
from providers.transport import TracedSession

T = TypeVar("T")

STATUSES = {
    "COMPLETE": BrokerStatus.COMPLETE,
    "CANCELLED": BrokerStatus.CANCELLED,
    "CANCELLED AMO": BrokerStatus.CANCELLED,
    "REJECTED": BrokerStatus.REJECTED,
    "OPEN": BrokerStatus.OPEN,
    "MODIFY VALIDATION PENDING": BrokerStatus.OPEN,
    "MODIFY PENDING": BrokerStatus.OPEN,
    "MODIFIED": BrokerStatus.OPEN,
    "TRIGGER PENDING": BrokerStatus.TRIGGER_PENDING,
    "CANCEL PENDING": BrokerStatus.CANCEL_PENDING,
    "AMO REQ RECEIVED": BrokerStatus.OPEN,
}
"""Whatever else Kite says (VALIDATION PENDING, OPEN PENDING, ...) is on its way to the exchange."""

REFUSALS = {
    "InputException": "broker_refused_input",
    "OrderException": "broker_refused_order",
    "MarginException": "insufficient_margin",
    "HoldingException": "insufficient_holding",
    "PermissionException": "not_permitted",
    "UserException": "broker_user_blocked",
}
SHOWN_REASONS = (
    ("circuit limit", "price_band"),
    ("lpp limit", "limit_price_protection"),
    ("insufficient", "insufficient_margin"),
    ("end of the trading day", "day_ended"),
    ("square-off", "square_off"),
    ("expired", "instrument_expired"),
)
"""Wording of the book's `status_message` -> the code we show. Shown only: nothing is decided by it."""

CLIENTS = 512
LOGIN_HOSTS = {"https://api.kite.trade": "https://kite.zerodha.com"}
"""Kite's login page stands on another host than its API; a sandbox has both on one."""


class DatedSession(TracedSession):
    """Keeps, for the calling thread, the answer's time and error type: the client drops both."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.local()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.seen.at, self.seen.error_type = None, ""
        response = super().send(request, **kwargs)
        stamp = response.headers.get("date")
        self.seen.at = parsedate_to_datetime(stamp) if stamp else None
        if response.status_code >= 400 and "json" in response.headers.get("content-type", ""):
            try:
                self.seen.error_type = str(response.json().get("error_type", ""))
            except (ValueError, AttributeError):
                self.seen.error_type = ""
        return response


class Kite:
    """The app at Kite: one api key, many customers. One client a session, kept for its connections."""

    def __init__(
        self, base_url: str, api_key: str, api_secret: str, *, threads: int = 32, algo_id: str = ""
    ) -> None:
        self.algo_id = algo_id
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._api_secret = api_secret
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="kite")
        self._clients: OrderedDict[str, KiteConnect] = OrderedDict()

    def login_url(self, state: str) -> str:
        """Where the customer signs in; `state` comes back beside the request token."""
        query = {"v": "3", "api_key": self._api_key, "redirect_params": urlencode({"state": state})}
        return f"{LOGIN_HOSTS.get(self._base_url, self._base_url)}/connect/login?{urlencode(query)}"

    async def exchange(self, request_token: str) -> Reading[Grant]:
        """Trades a request token, which is then spent, for a session. Raises Unknown for a lost answer."""
        client = self._made("")
        given = await self._run(
            client, lambda: client.generate_session(request_token, self._api_secret), once=True
        )
        grant = Grant(
            broker_user_id=given.value["user_id"],
            holder=given.value["user_name"],
            access_token=given.value["access_token"],
        )
        return Reading(grant, given.at)

    async def end_session(self, access_token: str) -> None:
        """Ends a session at the broker; one that is dead already is no error."""
        client = self.client(access_token)
        try:
            await self._run(client, client.invalidate_access_token)
        except Rejected:
            return
        finally:
            self._clients.pop(access_token, None)

    def account(self, access_token: str) -> "KiteAccount":
        return KiteAccount(self, access_token)

    def client(self, access_token: str) -> KiteConnect:
        if access_token not in self._clients:
            self._clients[access_token] = self._made(access_token)
        self._clients.move_to_end(access_token)
        while len(self._clients) > CLIENTS:
            self._clients.popitem(last=False)
        return self._clients[access_token]

    def _made(self, access_token: str) -> KiteConnect:
        client = KiteConnect(
            self._api_key,
            access_token=access_token or None,
            root=self._base_url,
            timeout=CLIENT_DEADLINE.total_seconds(),
        )
        client.reqsession = DatedSession()
        # The client joins root and route with urljoin, which drops a path of the root.
        path = urlsplit(self._base_url).path
        client._routes = {name: f"{path}{route}" for name, route in KiteConnect._routes.items()}
        return client

    async def _run(self, client: KiteConnect, call: Callable[[], T], *, once: bool = False) -> Reading[T]:
        """Runs a blocking call; `once`: a second identical call would do harm, so no answer is Unknown."""
        session: DatedSession = client.reqsession

        def run() -> Reading[T]:
            try:
                value = call()
            except (kite_errors.KiteException, requests.RequestException) as error:
                raise failure(error, session.seen.error_type, once=once) from None
            return Reading(value, session.seen.at or datetime.now(UTC))

        # The trace and the kill point's activity are context variables: the thread needs them too.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, copy_context().run, run)


def never_left(error: requests.RequestException) -> bool:
    """Whether no connection stood, so that no byte of the request went out."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def failure(error: Exception, error_type: str, *, once: bool) -> TreumError:
    """One failure of the client in the closed set (kite.trade/docs/connect/v3/exceptions)."""
    if isinstance(error, requests.RequestException):
        if never_left(error) or not once:
            return Unavailable("broker_unavailable")
        return Unknown("broker_no_answer")
    code = getattr(error, "code", 500)
    if code == 429:
        return RateLimited(1.0)
    if isinstance(error, kite_errors.TokenException):
        return Rejected("session_expired")
    known = REFUSALS.get(error_type or type(error).__name__)
    if known and 400 <= code < 500:
        return Rejected(known)
    return Unknown("broker_no_answer") if once else Unavailable("broker_unavailable")


class KiteAccount:
    """`providers.broker.Broker` of one Kite session."""

    def __init__(self, kite: Kite, access_token: str) -> None:
        self._kite = kite
        self._client = kite.client(access_token)

    async def place(self, terms: OrderTerms, tag: str) -> Reading[str]:
        wanted = {**placing(terms), "tag": tag, "algo_id": self._kite.algo_id or None}
        call = self._client.place_order
        return await self._kite._run(self._client, lambda: str(call(**wanted)), once=True)

    async def modify(self, variety: str, broker_order_id: str, change: Modify) -> Reading[str]:
        wanted = change.model_dump(exclude_none=True, mode="json")
        call = self._client.modify_order
        return await self._run(lambda: str(call(variety, broker_order_id, **wanted)))

    async def cancel(self, variety: str, broker_order_id: str) -> Reading[str]:
        return await self._run(lambda: str(self._client.cancel_order(variety, broker_order_id)))

    async def book(self) -> Reading[list[BrokerOrder]]:
        return await self._run(lambda: [in_book(row) for row in self._client.orders()])

    async def order(self, broker_order_id: str) -> Reading[BrokerOrder]:
        def latest() -> BrokerOrder:
            return order_of(self._client.order_history(broker_order_id)[-1])

        return await self._run(latest)

    async def trades(self, broker_order_id: str) -> Reading[list[BrokerTrade]]:
        call = self._client.order_trades
        return await self._run(lambda: [trade_of(row) for row in call(broker_order_id)])

    async def quotes(self, names: Sequence[Name]) -> Reading[Quotes]:
        def asked() -> Quotes:
            found = self._client.quote(*(f"{exchange}:{symbol}" for exchange, symbol in names))
            return {
                name: quote_of(*name, found[f"{name[0]}:{name[1]}"])
                for name in names
                if f"{name[0]}:{name[1]}" in found
            }

        return await self._run(asked)

    async def margin(self, terms: OrderTerms) -> Reading[MarginAnswer]:
        """Kite's own calculation for the order (/margins/orders) and what is free (/user/margins)."""
        segment = "commodity" if terms.exchange == "MCX" else "equity"
        asked, free = await asyncio.gather(
            self._run(
                lambda: self._client.order_margins([{**placing(terms), "variety": terms.variety.value}])
            ),
            self._run(lambda: self._client.margins(segment)),
        )
        answer = MarginAnswer(required=number(asked.value[0]["total"]), available=number(free.value["net"]))
        return Reading(answer, max(asked.at, free.at))

    async def instruments(self) -> Reading[list[Instrument]]:
        return await self._run(lambda: listed(self._client.instruments()))

    async def _run(self, call: Callable[[], T]) -> Reading[T]:
        return await self._kite._run(self._client, call)


def placing(terms: OrderTerms) -> dict[str, Any]:
    """The form fields of an order. A market order without its own protection leaves it to the broker (-1)."""
    wanted: dict[str, Any] = {
        "variety": terms.variety.value,
        "exchange": terms.exchange.value,
        "tradingsymbol": terms.symbol,
        "transaction_type": terms.side.value,
        "quantity": terms.quantity,
        "product": terms.product.value,
        "order_type": terms.order_type.value,
        "validity": terms.validity.value,
    }
    if terms.order_type.value in ("LIMIT", "SL") and terms.price is not None:
        wanted["price"] = str(terms.price)
    if terms.order_type.value in ("SL", "SL-M") and terms.trigger_price is not None:
        wanted["trigger_price"] = str(terms.trigger_price)
    if terms.order_type.value in ("MARKET", "SL-M"):
        protection = terms.market_protection
        wanted["market_protection"] = "-1" if protection is None else str(protection)
    if terms.disclosed_quantity:
        wanted["disclosed_quantity"] = terms.disclosed_quantity
    return wanted


def number(value: Any) -> Decimal:
    """A JSON number as the decimal that was written."""
    return Decimal(str(value))


def moment(value: Any) -> datetime | None:
    """Kite writes times without a zone; they are Asia/Kolkata."""
    if isinstance(value, str) and value:
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=INDIA) if isinstance(value, datetime) else None


def order_of(row: dict[str, Any]) -> BrokerOrder:
    message = str(row.get("status_message") or "").lower()
    status = STATUSES.get(row["status"], BrokerStatus.ACCEPTING)
    shown = next((code for words, code in SHOWN_REASONS if words in message), None)
    if status is BrokerStatus.REJECTED and shown is None:
        shown = "rejected_by_exchange"
    return BrokerOrder(
        broker_order_id=str(row["order_id"]),
        status=status,
        tag=row.get("tag"),
        quantity=row["quantity"],
        filled_quantity=row["filled_quantity"],
        average_price=number(row["average_price"]),
        reason_code=shown,
        updated_at=moment(row.get("order_timestamp")),
    )


def in_book(row: dict[str, Any]) -> BrokerOrder:
    """A row of the book with what it trades in, as far as we know such terms."""
    wanted = {
        "exchange": row["exchange"],
        "symbol": row["tradingsymbol"],
        "side": row["transaction_type"],
        "quantity": row["quantity"],
        "order_type": row["order_type"],
        "price": number(row["price"]) if row["price"] else None,
        "trigger_price": number(row["trigger_price"]) if row["trigger_price"] else None,
        "product": row["product"],
        "validity": row["validity"],
        "variety": row["variety"],
    }
    try:
        terms = OrderTerms.model_validate(wanted)
    except ValidationError:
        terms = None
    return order_of(row).model_copy(update={"terms": terms})


def trade_of(row: dict[str, Any]) -> BrokerTrade:
    traded_at = moment(row.get("fill_timestamp")) or moment(row.get("exchange_timestamp"))
    if traded_at is None:
        raise Unavailable("broker_trade_without_time")
    return BrokerTrade(
        trade_id=str(row["trade_id"]),
        broker_order_id=str(row["order_id"]),
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        product=row["product"],
        side=Side(row["transaction_type"]),
        quantity=row["quantity"],
        price=number(row["average_price"]),
        traded_at=traded_at,
    )


def quote_of(exchange: str, symbol: str, found: dict[str, Any]) -> MarketQuote:
    def limit(name: str) -> Decimal | None:
        # An index has no limits; 0 stands for none.
        return number(found[name]) if found.get(name) else None

    return MarketQuote(
        exchange=exchange,
        symbol=symbol,
        last_price=number(found["last_price"]),
        close=number(found["ohlc"]["close"]),
        lower_limit=limit("lower_circuit_limit"),
        upper_limit=limit("upper_circuit_limit"),
    )


def listed(rows: list[dict[str, Any]]) -> list[Instrument]:
    """The daily list of /instruments; indices are quoted, not traded, and left out."""
    return [
        Instrument(
            exchange=row["exchange"],
            symbol=row["tradingsymbol"],
            token=row["instrument_token"],
            segment=row["segment"],
            kind=row["instrument_type"],
            underlying=row["name"],
            tick=number(row["tick_size"]),
            lot=row["lot_size"],
            expiry=row["expiry"] or None,
        )
        for row in rows
        if row["segment"] != "INDICES" and row["exchange"] in ("NSE", "BSE", "NFO", "MCX")
    ]
