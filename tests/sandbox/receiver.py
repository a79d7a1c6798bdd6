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
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer.changed:
                    outer.items.append(Received(self.path, headers, body))
                    status = outer.answers.pop(0) if outer.answers else 200
                    outer.changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent: the tests look at what was received."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def clear(self) -> None:
        """Forgets everything received and every planned answer."""
        with self.changed:
            self.items.clear()
            self.answers.clear()

    def wait(self, condition: Callable[[list[Received]], bool], seconds: float = 10) -> list[Received]:
        """What was received once `condition` holds; raises AssertionError when `seconds` are over."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.items), seconds):
                raise AssertionError(f"not received: {[item.path for item in self.items]}")
            return list(self.items)

    def close(self) -> None:
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
