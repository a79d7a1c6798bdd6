"""From an event of the topic to the message that everyone gets: figures of the event, words of the record."""

from collections import OrderedDict
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from api.live.listeners import Message
from api.signals.shapes import Signal
from domain.signals import FREE_A_DAY, allowance_renews
from store import signals
from store.database import Database
from store.signals_texts import words_of
from store.topics import Published
from store.vault import Vault

KEPT = 2000
"""Signals whose words are remembered: they never change after publication."""
OF_THE_EVENT = ("status", "version", "closed_at")


class Scribe:
    """Writes messages; reads a signal's words once."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def write(self, event: Published) -> Message | None:
        """The message of an event; None for one about no published signal."""
        shown = await self._signal(event.key)
        if shown is None:
            return None
        moved = {name: event.body[name] for name in OF_THE_EVENT if name in event.body}
        return _message(event.sequence, event.type, event.key, event.made_at, {**shown, **moved})

    async def _signal(self, signal_id: str) -> dict[str, Any] | None:
        if signal_id not in self._known:
            async with self._database.reading() as connection:
                row = await signals.find(connection, signal_id)
                if row is None or row["published_at"] is None:
                    return None
                words = await words_of(connection, self._vault, [row])
            view = Signal.of(row, words[signal_id], staff=False)
            self._known[signal_id] = view.model_dump(mode="json", exclude={"measured"})
        self._known.move_to_end(signal_id)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return self._known[signal_id]


def allowance_spent(sequence: int, signal_id: str, at: datetime) -> Message:
    """Tells that the day's signals have been had; it names the last one and nothing more of it."""
    return _message(
        sequence,
        "allowance.spent",
        signal_id,
        at,
        {"signal_id": signal_id},
        allowance={"a_day": FREE_A_DAY, "renews_at": allowance_renews(at)},
    )


def _message(
    sequence: int, kind: str, signal_id: str, at: datetime, signal: dict[str, Any], **more: Any
) -> Message:
    whole = {"id": str(sequence), "type": kind, "at": at, "signal": signal, **more}
    return Message(sequence, kind, signal_id, at, to_json(whole).decode())
