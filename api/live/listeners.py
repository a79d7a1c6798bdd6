"""One who listens: a bounded queue, and the reason why it ended."""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

LONGEST_QUEUE = 256
"""Messages that wait for a slow reader before it is let go: minutes of the busiest market."""


class Close(IntEnum):
    """Close codes of the stream (api.md)."""

    GOING_AWAY = 1001
    TRY_AGAIN_LATER = 1013
    SIGN_IN_AGAIN = 4401
    TOO_SLOW = 4429


@dataclass(frozen=True)
class Message:
    """One event, serialised once for everyone. `sequence` is its place in the topic."""

    sequence: int
    type: str
    signal_id: str
    at: datetime
    text: str


class Listener:
    """A socket or an event stream. `after`: the sequence up to which it has heard everything; `upto`:
    the one from which it is offered what comes."""

    def __init__(self, user_id: str, session_id: str, tier: str) -> None:
        self.user_id = user_id
        self.session_id = session_id
        self.tier = tier
        self.after = self.upto = 0
        self.told_spent_on: date | None = None
        self.closed: Close | None = None
        self.ended = asyncio.Event()
        self._waiting: deque[Message] = deque()
        self._woken = asyncio.Event()

    @property
    def limited(self) -> bool:
        """Whether a daily allowance holds."""
        return self.tier == "free"

    def offer(self, message: Message) -> None:
        """Queues a message; whoever does not keep up is let go, never waited for."""
        if self.closed is not None:
            return
        if len(self._waiting) >= LONGEST_QUEUE:
            self.end(Close.TOO_SLOW)
            return
        self._waiting.append(message)
        self._woken.set()

    def end(self, code: Close) -> None:
        if self.closed is None:
            self.closed = code
            self._waiting.clear()
            self._woken.set()
            self.ended.set()

    async def next(self) -> Message | None:
        """The next message; None once it has ended."""
        while not self._waiting:
            if self.closed is not None:
                return None
            self._woken.clear()
            await self._woken.wait()
        return self._waiting.popleft()
