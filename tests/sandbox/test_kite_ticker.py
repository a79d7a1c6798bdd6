"""The ticker: packets that KiteTicker's own parser reads, and a live connection."""

import json
import struct
from typing import Any

import pytest
from kiteconnect import KiteTicker
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from sandbox.kite.packets import HEARTBEAT, Tick, message, packet
from tests.sandbox.kite_user import KiteUser

INFY, NIFTY = 408065, 256265
SHARE = Tick(
    INFY, index=False, last=150_010, open=149_000, high=151_000, low=148_500, close=150_000, last_quantity=7,
    average=149_950, volume=1_234, buy_quantity=30, sell_quantity=40, last_trade_at=1_700_000_000,
    exchange_at=1_700_000_001, buy=((10, 150_000, 1), (20, 149_990, 2)), sell=((40, 150_020, 3),),
)  # fmt: skip
INDEX = Tick(
    NIFTY, index=True, last=2_600_000, open=2_590_000, high=2_610_000, low=2_580_000, close=2_595_000
)


def parse(data: bytes) -> list[dict[str, Any]]:
    """What the official client makes of a binary message."""
    ticks: list[dict[str, Any]] = KiteTicker("key", "token")._parse_binary(data)
    return ticks


@pytest.mark.parametrize(
    ("tick", "mode", "size"),
    [
        (SHARE, "ltp", 8), (SHARE, "quote", 44), (SHARE, "full", 184),
        (INDEX, "ltp", 8), (INDEX, "quote", 28), (INDEX, "full", 32),
    ],
)  # fmt: skip
def test_each_packet_has_its_length_and_is_parsed(tick: Tick, mode: str, size: int) -> None:
    data = packet(tick, mode)
    assert len(data) == size
    (parsed,) = parse(message([data]))
    assert (parsed["mode"], parsed["instrument_token"]) == (mode, tick.token)
    assert parsed["last_price"] == tick.last / 100
    if mode != "ltp":
        expected = {name: getattr(tick, name) / 100 for name in ("open", "high", "low", "close")}
        assert parsed["ohlc"] == expected


def test_a_full_packet_field_by_field() -> None:
    (tick,) = parse(message([packet(SHARE, "full")]))
    assert (tick["last_traded_quantity"], tick["volume_traded"]) == (7, 1234)
    assert tick["average_traded_price"] == 1499.5
    assert (tick["total_buy_quantity"], tick["total_sell_quantity"]) == (30, 40)
    assert tick["last_trade_time"].timestamp() == 1_700_000_000
    assert tick["exchange_timestamp"].timestamp() == 1_700_000_001
    assert tick["depth"]["buy"][1] == {"quantity": 20, "price": 1499.9, "orders": 2}
    assert tick["depth"]["sell"][0] == {"quantity": 40, "price": 1500.2, "orders": 3}
    assert [len(side) for side in tick["depth"].values()] == [5, 5]


def test_a_golden_message_byte_by_byte() -> None:
    data = message([packet(SHARE, "ltp"), packet(INDEX, "ltp")])
    assert data == struct.pack(">HHIIHII", 2, 8, INFY, 150_010, 8, NIFTY, 2_600_000)
    assert parse(HEARTBEAT) == []


def ticker(kite: KiteUser, access_token: str | None = None) -> ClientConnection:
    """A connection as KiteTicker makes it."""
    root = kite.sandbox.base_url.replace("http://", "ws://") + "/kite/ws"
    official = KiteTicker(kite.client.api_key, access_token or kite.client.access_token, root=root)
    return connect(official.socket_url, proxy=None)


def next_ticks(socket: ClientConnection) -> list[dict[str, Any]]:
    """The next binary message that is no heartbeat; raises TimeoutError after five seconds."""
    while True:
        data = socket.recv(timeout=5)
        if isinstance(data, bytes) and len(data) > 1:
            return parse(data)


def next_text(socket: ClientConnection) -> dict[str, Any]:
    """The next text message."""
    while True:
        data = socket.recv(timeout=5)
        if isinstance(data, str):
            found: dict[str, Any] = json.loads(data)
            return found


def send(socket: ClientConnection, action: str, value: Any) -> None:
    """A command as KiteTicker writes it."""
    socket.send(json.dumps({"a": action, "v": value}).encode(), text=True)


def test_ticks_follow_the_market(kite: KiteUser) -> None:
    with ticker(kite) as socket:
        send(socket, "subscribe", [INFY, NIFTY])
        assert {tick["mode"] for tick in next_ticks(socket)} == {"quote"}
        send(socket, "mode", ["full", [INFY]])
        (tick,) = next_ticks(socket)
        assert (tick["mode"], tick["last_price"]) == ("full", 1500)
        kite.market("INFY", price=1501.5)
        (tick,) = next_ticks(socket)
        assert (tick["last_price"], tick["ohlc"]["high"]) == (1501.5, 1501.5)
        send(socket, "unsubscribe", [INFY])
        kite.market("INFY", price=1502)
        kite.market("NIFTY 50", price=26100)
        (tick,) = next_ticks(socket)
        assert (tick["instrument_token"], tick["tradable"]) == (NIFTY, False)


def test_a_quiet_market_has_a_heartbeat(kite: KiteUser) -> None:
    with ticker(kite) as socket:
        assert socket.recv(timeout=5) == HEARTBEAT


def test_order_updates_come_as_text_with_an_empty_checksum(kite: KiteUser) -> None:
    with ticker(kite) as socket:
        order_id = kite.buy(quantity=1, price=1400)
        seen = []
        while "COMPLETE" not in seen:
            update = next_text(socket)
            order = update["data"]
            assert (update["type"], order["order_id"], order["checksum"]) == ("order", order_id, "")
            seen.append(order["status"])


def test_a_bad_session_and_a_fourth_connection_are_refused(kite: KiteUser) -> None:
    with pytest.raises(InvalidStatus):
        ticker(kite, "not a token")
    with ticker(kite), ticker(kite), ticker(kite), pytest.raises(InvalidStatus):
        ticker(kite)


def test_a_message_that_means_nothing_is_answered(kite: KiteUser) -> None:
    with ticker(kite) as socket:
        send(socket, "subscribe", list(range(3001)))
        assert next_text(socket)["type"] == "error"
        send(socket, "mode", ["deep", [INFY]])
        assert next_text(socket) == {"type": "error", "data": "Invalid message."}


def test_a_planted_silence_keeps_the_connection_open_and_mute(kite: KiteUser) -> None:
    kite.sandbox.control("POST", "/faults", {"target": "kite", "fault": "silent_ticker", "times": 1})
    with ticker(kite) as socket:
        send(socket, "subscribe", [INFY])
        with pytest.raises(TimeoutError):
            socket.recv(timeout=1.5)
        socket.ping().wait(5)


def test_the_stream_ends_with_the_session(kite: KiteUser) -> None:
    with ticker(kite) as socket:
        kite.client.invalidate_access_token()
        assert next_text(socket)["type"] == "error"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
