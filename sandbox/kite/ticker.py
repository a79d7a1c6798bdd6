"""The ticker `/kite/ws`: binary ticks of subscribed tokens, a heartbeat byte, order updates as text.

Source: kite.trade/docs/connect/v3/websocket. Three connections an account, 3,000 tokens a connection.
"""

import asyncio
import json
from collections import Counter
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.kite import market
from sandbox.kite.caller import live_user
from sandbox.kite.errors import KiteError
from sandbox.kite.hours import ist
from sandbox.kite.instruments import by_token
from sandbox.kite.packets import HEARTBEAT, Tick, message, packet
from sandbox.world import World

MAX_CONNECTIONS = 3
MAX_TOKENS = 3000
HEARTBEAT_SECONDS = 1.0
MODES = ("ltp", "quote", "full")
FOREVER = float("inf")


class Hub:
    """The open connections of a sandbox; `wake` is set for each when prices or orders changed."""

    def __init__(self) -> None:
        self.waiting: set[asyncio.Event] = set()
        self.open: Counter[tuple[str, str]] = Counter()


_hubs: WeakKeyDictionary[World, Hub] = WeakKeyDictionary()


def hub(world: World) -> Hub:
    """The one hub of a world."""
    return _hubs.setdefault(world, Hub())


async def broadcast(world: World) -> None:
    """Passes the exchange's wake-up on to every connection, until cancelled."""
    changed = world.event("kite.ticks")
    while True:
        await changed.wait()
        changed.clear()
        for wake in hub(world).waiting:
            wake.set()


def route(world: World) -> WebSocketRoute:
    """`/kite/ws?api_key=&access_token=`; a bad session or a fourth connection is refused in the handshake."""

    async def endpoint(socket: WebSocket) -> None:
        query = socket.query_params
        api_key, access_token = query.get("api_key", ""), query.get("access_token", "")
        async with world.exclusive():
            expired = world.faults.take("kite", socket.url.path, kinds={"expired_token"})
        try:
            user_id = live_user(world, api_key, access_token, world.now(socket))
        except KiteError:
            await socket.close()
            return
        account = (api_key, user_id)
        if expired or hub(world).open[account] >= MAX_CONNECTIONS:
            await socket.close()
            return
        hub(world).open[account] += 1
        try:
            await socket.accept()
            await Connection(world, socket, account, access_token).run()
        finally:
            hub(world).open[account] -= 1

    return WebSocketRoute("/kite/ws", endpoint)


class Connection:
    """One ticker connection: what it is subscribed to, and what it has been told."""

    def __init__(self, world: World, socket: WebSocket, account: tuple[str, str], access_token: str) -> None:
        self.world = world
        self.socket = socket
        self.api_key, self.user_id = account
        self.access_token = access_token
        self.modes: dict[int, str] = {}
        self.told: dict[int, tuple[Any, ...]] = {}
        row = world.db.execute("SELECT coalesce(max(n), 0) AS n FROM kite_updates").fetchone()
        self.last_update: int = row["n"]
        self.silent_until = 0.0
        self.spoke_at = 0.0
        self.gone = False
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Serves until either side ends it."""
        waiting = hub(self.world).waiting
        waiting.add(self.wake)
        listener = asyncio.create_task(self._listen())
        try:
            await self._speak()
        except WebSocketDisconnect:
            return  # the client went away while we were sending
        finally:
            waiting.discard(self.wake)
            listener.cancel()

    async def _listen(self) -> None:
        try:
            while (event := await self.socket.receive())["type"] != "websocket.disconnect":
                text = event.get("text") or (event.get("bytes") or b"").decode("utf-8", "replace")
                if problem := self._obey(text):
                    await self.socket.send_text(json.dumps({"type": "error", "data": problem}))
                self.wake.set()
        finally:
            self.gone = True
            self.wake.set()

    def _obey(self, text: str) -> str | None:
        """Carries out subscribe, unsubscribe or mode; answers what is wrong with it, if anything."""
        try:
            command = json.loads(text)
            action, value = command["a"], command["v"]
            mode = value[0] if action == "mode" else "quote"
            tokens = [int(token) for token in (value[1] if action == "mode" else value)]
        except (ValueError, KeyError, TypeError, IndexError):
            return "Invalid message."
        if action == "unsubscribe":
            for token in tokens:
                self.modes.pop(token, None)
            return None
        if action not in ("subscribe", "mode") or mode not in MODES:
            return "Invalid message."
        if len(self.modes.keys() | set(tokens)) > MAX_TOKENS:
            return f"Maximum of {MAX_TOKENS} tokens is allowed in a connection."
        for token in tokens:
            self.modes[token] = self.modes.get(token, mode) if action == "subscribe" else mode
            self.told.pop(token, None)
        return None

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.gone:
            self.wake.clear()
            if await self._silenced(loop.time()):
                await self._pause()
                continue
            try:
                live_user(self.world, self.api_key, self.access_token, self.world.now(self.socket))
            except KiteError as ended:
                await self.socket.send_text(json.dumps({"type": "error", "data": ended.message}))
                await self.socket.close(1008)
                return
            ticks = self._ticks()
            if not ticks and loop.time() - self.spoke_at >= HEARTBEAT_SECONDS:
                await self.socket.send_bytes(HEARTBEAT)
                self.spoke_at = loop.time()
            if ticks:
                await self.socket.send_bytes(message(ticks))
                self.spoke_at = loop.time()
            for body in self._updates():
                await self.socket.send_text(json.dumps({"type": "order", "id": "", "data": body}))
            await self._pause()

    async def _silenced(self, moment: float) -> bool:
        """Whether a planted `silent_ticker` keeps this connection open and mute."""
        async with self.world.exclusive():
            fault = self.world.faults.take("kite", self.socket.url.path, kinds={"silent_ticker"})
        if fault:
            self.silent_until = FOREVER if fault.seconds is None else moment + fault.seconds
        return moment < self.silent_until

    async def _pause(self) -> None:
        """Waits for news, or until a heartbeat is due."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self.wake.wait()
        except TimeoutError:
            return  # nothing moved

    def _ticks(self) -> list[bytes]:
        """Packets of the subscribed tokens that changed since they were last sent."""
        now = self.world.now(self.socket)
        packets = []
        for token, mode in self.modes.items():
            item = by_token(ist(now).date(), token)
            if item is None:
                continue
            row = market.state(self.world.db, item, now)
            seen = tuple(row[name] for name in ("last", "volume", "open", "high", "low", "close", "depth"))
            if self.told.get(token) != seen:
                self.told[token] = seen
                packets.append(packet(tick_of(row, item.tradable, market.depth(row, item), now), mode))
        return packets

    def _updates(self) -> list[dict[str, Any]]:
        """Order updates since the last ones, of this account."""
        rows = self.world.db.execute(
            "SELECT n, body FROM kite_updates WHERE n > ? AND user_id = ? AND api_key = ? ORDER BY n",
            (self.last_update, self.user_id, self.api_key),
        ).fetchall()
        self.last_update = rows[-1]["n"] if rows else self.last_update
        return [json.loads(row["body"]) for row in rows]


def tick_of(row: Any, tradable: bool, depth: dict[str, list[dict[str, int]]], now: datetime) -> Tick:
    """The tick of an instrument's state."""
    prices = {name: row[name] for name in ("last", "open", "high", "low", "close")}
    if not tradable:
        return Tick(row["token"], index=True, exchange_at=int(now.timestamp()), **prices)
    buy, sell = (
        tuple((level["quantity"], level["price"], level["orders"]) for level in depth[side])
        for side in ("buy", "sell")
    )
    return Tick(
        row["token"], index=False, last_quantity=row["last_quantity"], average=row["last"],
        volume=row["volume"] & 0xFFFFFFFF, buy_quantity=sum(level[0] for level in buy),
        sell_quantity=sum(level[0] for level in sell), exchange_at=int(now.timestamp()),
        last_trade_at=int(datetime.fromisoformat(row["traded_at"]).timestamp()), buy=buy, sell=sell, **prices,
    )  # fmt: skip
