"""Drives the official `KiteTicker` through each of its methods; tells what came of it as one line of JSON.

A program of its own: the client runs on Twisted's reactor, which starts once a process.
"""

import json
import sys
import threading
import time

from kiteconnect import KiteTicker
from twisted.internet import reactor

SECONDS = 20.0
told = {"connected": False, "modes": [], "resubscribed": False, "closed": False}
modes: set[str] = set()


def main(given: dict) -> None:
    ticker = KiteTicker(given["api_key"], given["access_token"], root=given["root"], reconnect=True)
    token = given["token"]
    ticks: list[dict] = []
    ticker.on_ticks = lambda _, found: ticks.extend(found)
    ticker.on_connect = lambda _, __: ticker.subscribe([token])
    ticker.on_close = lambda *_: told.update(closed=True)
    ticker.connect(threaded=True)
    try:
        until(lambda: ticker.is_connected() and ticks)
        told["connected"] = ticker.is_connected()
        modes.add(ticks[-1]["mode"])
        for mode in (ticker.MODE_FULL, ticker.MODE_LTP, ticker.MODE_QUOTE):
            seen(ticks, lambda mode=mode: ticker.set_mode(mode, [token]), mode)
        told["modes"] = sorted(modes)
        ticks.clear()
        reactor.callFromThread(lambda: ticker.resubscribe())
        until(lambda: ticks)
        told["resubscribed"] = True
        reactor.callFromThread(lambda: ticker.unsubscribe([token]))
        ticker.stop_retry()
        reactor.callFromThread(lambda: ticker.close())
        until(lambda: told["closed"])
    finally:
        reactor.callFromThread(lambda: ticker.stop())
    print(json.dumps(told))


def seen(ticks: list[dict], change, mode: str) -> None:  # type: ignore[no-untyped-def]
    """Changes the mode and waits for a tick in it."""
    ticks.clear()
    reactor.callFromThread(change)
    until(lambda: any(tick["mode"] == mode for tick in ticks))
    modes.add(mode)


def until(holds) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come")
        threading.Event().wait(0.02)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
