"""The shapes of a command: who asks, what is driven, what was answered, and what is kept of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from models.contracts.queues import Queue


@dataclass(frozen=True)
class Request:
    """Who asks for what. (actor, route, key) is unique: `key` is the natural key if there is one, else the
    ``Idempotency-Key``, else a fresh random one."""

    actor: str
    route: str
    key: str
    body: bytes = b""
    """The body's bytes; a repeat with other bytes is refused."""
    lasting: bool = False
    """The key is a natural one (user and course, say): the promise holds for good, not for 24 hours."""


class Drive(BaseModel):
    """What makes the promise true: a workflow to start or update under ids that never change."""

    workflow_type: str
    workflow_id: str
    queue: Queue | str
    start: dict[str, Any] | None = None
    """The workflow's input as JSON, where the command creates it; None for a plain update."""
    update: str | None = None
    """The update's name; None where the start alone is the command."""
    update_id: str = ""
    argument: dict[str, Any] | None = None
    rerun: bool = False
    """Whether the process may run again under the same id: only where a second run changes nothing."""
    summary: str = ""
    details: str = ""
    attributes: dict[str, str | int | list[str]] = {}
    """Search attributes at start, by the name of `Attribute` members."""


class Answer(BaseModel):
    """What the process answered: a body, or a refusal with its stable code."""

    body: dict[str, Any] = {}
    refused: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class Promise:
    """The kept row, as its reader finds it."""

    command_id: str
    business_id: str
    drive: Drive
    answer: Answer | None
    mine: bool
    """This caller holds the lease and has to drive."""
    same_body: bool
    again: bool = False
    """It was driven before, and whether that came through is not known."""


Alongside = Callable[[Any, str], Awaitable[None]]
"""Writes rows in the promise's own transaction: (connection, business id)."""


class CommandLog(Protocol):
    """Where promises are kept; `store.commands.Commands` is the one on Postgres."""

    async def promise(
        self, request: Request, business_id: str, drive: Drive, alongside: Alongside | None
    ) -> Promise: ...

    async def keep(self, command_id: str, answer: Answer) -> Answer:
        """Stores the first answer and gives back the stored one."""
        ...

    async def release(self, command_id: str) -> None:
        """Ends the lease early, so that a repeat or the sweeper may drive at once."""
        ...

    async def lapsed(self, limit: int) -> list[Promise]:
        """Takes the lease of unanswered promises that nobody drives."""
        ...
