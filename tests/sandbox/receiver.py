"""A web server that keeps what it is sent: the platform's end of webhooks and postbacks."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """One POST: path, headers with lower-case names, raw body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers 200, or the statuses of `answers` first; `wait` blocks until a condition holds."""

    def __init__(self) -> None:
        self.items: list[Received] = []
        self.answers: list[int] = []
        self.razorpay_path = "/razorpay"
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = outer._take(Received(self.path, headers, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent: the tests look at what was received."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _take(self, received: Received) -> int:
        with self.changed:
            if received.path.startswith("/razorpay") and received.path != self.razorpay_path:
                return 200  # still on its way from an earlier test
            self.items.append(received)
            self.changed.notify_all()
            return self.answers.pop(0) if self.answers else 200

    def clear(self, razorpay_path: str = "/razorpay") -> None:
        """Forgets everything received and every planned answer; webhooks count on this path only."""
        with self.changed:
            self.razorpay_path = razorpay_path
            self.items.clear()
            self.answers.clear()

    def wait(self, condition: Callable[[list[Received]], bool], seconds: float = 10) -> list[Received]:
        """What was received once `condition` holds; raises AssertionError when `seconds` are over."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.items), seconds):
                raise AssertionError(f"not received: {[item.path for item in self.items]}")
            return list(self.items)

    def wait_count(self, count: int) -> list[Received]:
        """What was received once it is `count` or more."""
        return self.wait(lambda items: len(items) >= count)

    def close(self) -> None:
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
