"""Mail, SMS, push and chat: takes a message once per caller's id, stores it, and can fail."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from sandbox.world import World

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox_messages (
  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, message_id TEXT NOT NULL,
  recipient TEXT NOT NULL, channel TEXT NOT NULL, subject TEXT, text TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_messages_recipient ON outbox_messages (recipient, n);
"""

CHANNELS = frozenset({"email", "sms", "push", "chat"})
SHOWN = 1000


def error(status: int, request: Request) -> JSONResponse:
    """A planted 5xx or 429 in this provider's shape."""
    response = JSONResponse({"error": "rate_limited" if status == 429 else "internal_error"}, status)
    if status == 429:
        response.headers["Retry-After"] = "1"
    return response


def routes(world: World) -> list[BaseRoute]:
    """`POST /outbox {id, to, channel, subject?, text}`."""

    async def accept(request: Request) -> JSONResponse:
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return JSONResponse({"error": "malformed_json"}, 400)
        values = [body.get(key) for key in ("id", "to", "channel", "text")]
        if not all(isinstance(value, str) and value for value in values) or body["channel"] not in CHANNELS:
            return JSONResponse({"error": "malformed_message"}, 422)
        subject = body.get("subject")
        if subject is not None and not isinstance(subject, str):
            return JSONResponse({"error": "malformed_message"}, 422)
        # The caller's id is the idempotency key: a repeat finds the first message and adds none.
        found = world.db.execute(
            "SELECT message_id FROM outbox_messages WHERE id = ?", (body["id"],)
        ).fetchone()
        if found:
            message_id = found["message_id"]
        else:
            message_id = world.new_id("msg_")
            request.state.effect = {"message_id": message_id}
            at = world.now(request).isoformat().replace("+00:00", "Z")
            world.db.execute(
                "INSERT INTO outbox_messages (id, message_id, recipient, channel, subject, text, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (body["id"], message_id, body["to"], body["channel"], subject, body["text"], at),
            )
        return JSONResponse({"id": body["id"], "message_id": message_id, "status": "accepted"}, 202)

    return [Route("/outbox", accept, methods=["POST"])]


def control_routes(world: World) -> list[BaseRoute]:
    """`GET /_control/outbox?to=`: what somebody received, newest first."""

    async def read(request: Request) -> JSONResponse:
        to = request.query_params.get("to", "")
        if to.startswith(" "):
            to = "+" + to[1:]  # a phone number's plus, left unescaped in a query, means a blank
        rows = world.db.execute(
            "SELECT id, recipient, channel, subject, text, at FROM outbox_messages"
            " WHERE ? IN ('', recipient) ORDER BY n DESC LIMIT ?",
            (to, SHOWN),
        )
        return JSONResponse({"items": [_shown(row) for row in rows.fetchall()]})

    def _shown(row: dict[str, str]) -> dict[str, str]:
        item = {"id": row["id"], "to": row["recipient"], "channel": row["channel"]}
        if row["subject"] is not None:
            item["subject"] = row["subject"]
        return {**item, "text": row["text"], "at": row["at"]}

    return [Route("/_control/outbox", read, methods=["GET"])]
