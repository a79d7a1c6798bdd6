"""The outbox takes a message once, whatever is repeated, lost or killed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import Rejected, Unavailable
from providers.notify import Channel, HttpNotifier
from tests.sandbox.conftest import Sandbox
from tests.sandbox.receiver import Receiver

MESSAGE = {
    "id": "m-1",
    "to": "asha@example.in",
    "channel": "email",
    "subject": "Hello",
    "text": "Code 123456",
}


@pytest.fixture
def own_sandbox(hooks_server: Receiver, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that this test may kill."""
    process = Sandbox(tmp_path / "sandbox.db", hooks_server.url, worlds="kyc,outbox")
    yield process
    process.stop()


def read(sandbox: Sandbox, to: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = sandbox.control("GET", f"/outbox?to={to}")["items"]
    return items


def test_a_repeat_answers_the_first_and_adds_nothing(clean: Sandbox) -> None:
    first = clean.http.post("/outbox", json=MESSAGE)
    again = clean.http.post("/outbox", json=MESSAGE | {"text": "another text"})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    [item] = read(clean, "asha@example.in")
    assert item.pop("at").endswith("Z")
    assert item == MESSAGE
    assert clean.effects("outbox") == [{"message_id": first.json()["message_id"]}]
    assert len(clean.journal("outbox")) == 2


async def test_repeats_at_the_same_time_make_one_message(clean: Sandbox) -> None:
    async with httpx.AsyncClient(base_url=clean.base_url) as client:
        answers = await asyncio.gather(*(client.post("/outbox", json=MESSAGE) for _ in range(20)))
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert len(read(clean)) == len(clean.effects("outbox")) == 1


def test_newest_first_and_only_the_own(clean: Sandbox) -> None:
    for n in range(3):
        clean.http.post(
            "/outbox", json={"id": f"m-{n}", "to": "+919800000002", "channel": "sms", "text": str(n)}
        )
    clean.http.post("/outbox", json=MESSAGE | {"id": "other"})
    assert [item["text"] for item in read(clean, "%2B919800000002")] == ["2", "1", "0"]
    assert [item["text"] for item in read(clean, "+919800000002")] == ["2", "1", "0"]
    assert "subject" not in read(clean, "%2B919800000002")[0]
    assert len(read(clean)) == 4
    assert read(clean, "nobody@example.in") == []


async def test_a_lost_answer_is_repeated_without_a_second_message(clean: Sandbox) -> None:
    clean.control("POST", "/faults", {"target": "outbox", "fault": "timeout_after", "times": 1})
    async with httpx.AsyncClient() as client:
        notifier = HttpNotifier(client, clean.base_url, timeout_seconds=0.3)
        with pytest.raises(Unavailable):
            await notifier.send("m-1", "a@example.in", Channel.EMAIL, None, "text")
        accepted = await notifier.send("m-1", "a@example.in", Channel.EMAIL, None, "text")
    assert len(read(clean, "a@example.in")) == 1
    assert clean.effects("outbox") == [{"message_id": accepted.message_id}]


def test_what_was_accepted_outlives_a_kill(own_sandbox: Sandbox) -> None:
    accepted = own_sandbox.http.post("/outbox", json=MESSAGE).json()
    own_sandbox.kill()
    own_sandbox.restart()
    assert own_sandbox.http.post("/outbox", json=MESSAGE).json() == accepted
    assert len(read(own_sandbox)) == len(own_sandbox.effects("outbox")) == 1


@pytest.mark.parametrize(
    "broken", [{"channel": "pigeon"}, {"text": ""}, {"to": None}, {"id": 5}, {"subject": 5}]
)
async def test_a_malformed_message_is_refused(clean: Sandbox, broken: dict[str, Any]) -> None:
    assert clean.http.post("/outbox", json=MESSAGE | broken).status_code == 422
    assert clean.http.post("/outbox", content=b"{").status_code == 400
    assert read(clean) == []


async def test_a_refusal_is_permanent_for_the_platform(clean: Sandbox) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(Rejected) as caught:
            await HttpNotifier(client, clean.base_url).send("m-1", "", Channel.SMS, None, "text")
    assert (caught.value.code, caught.value.detail) == ("notify_refused", "malformed_message")
