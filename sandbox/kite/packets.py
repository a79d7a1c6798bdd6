"""The ticker's binary packets, big-endian (kite.trade/docs/connect/v3/websocket). Prices are already paise.

A message is a count and length-prefixed packets: 8 bytes ltp, 28/32 index quote/full, 44 quote, 184 full.
"""

import struct
from dataclasses import dataclass

HEARTBEAT = b"\x00"
LEVELS = 5


@dataclass(frozen=True)
class Tick:
    """What a packet tells; prices in paise, times in unix seconds, `depth` of (quantity, price, orders)."""

    token: int
    index: bool
    last: int
    open: int
    high: int
    low: int
    close: int
    last_quantity: int = 0
    average: int = 0
    volume: int = 0
    buy_quantity: int = 0
    sell_quantity: int = 0
    last_trade_at: int = 0
    exchange_at: int = 0
    buy: tuple[tuple[int, int, int], ...] = ()
    sell: tuple[tuple[int, int, int], ...] = ()


def packet(tick: Tick, mode: str) -> bytes:
    """One tick in mode ltp, quote or full."""
    if mode == "ltp":
        return struct.pack(">II", tick.token, tick.last)
    if tick.index:
        return _index(tick, mode)
    body = struct.pack(
        ">11I", tick.token, tick.last, tick.last_quantity, tick.average, tick.volume, tick.buy_quantity,
        tick.sell_quantity, tick.open, tick.high, tick.low, tick.close,
    )  # fmt: skip
    if mode == "quote":
        return body
    open_interest = (0, 0, 0)
    body += struct.pack(">5I", tick.last_trade_at, *open_interest, tick.exchange_at)
    for side in (tick.buy, tick.sell):
        for quantity, price, orders in (*side, *((0, 0, 0),) * LEVELS)[:LEVELS]:
            body += struct.pack(">IIHxx", quantity, price, orders)
    return body


def _index(tick: Tick, mode: str) -> bytes:
    change = tick.last - tick.close
    body = struct.pack(">6Ii", tick.token, tick.last, tick.high, tick.low, tick.open, tick.close, change)
    return body if mode == "quote" else body + struct.pack(">I", tick.exchange_at)


def message(packets: list[bytes]) -> bytes:
    """A binary message of several packets."""
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(p)) + p for p in packets)
