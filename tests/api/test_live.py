"""The live hub: heard at once, in order, by plan; resumed without a gap; closed with the right code."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cli.embedded import EmbeddedEngines
from models.contracts.topics import Topic, stream
from tests.api.conftest import Api
from tests.api.newsroom import DRAFT, Newsroom, about, heard, hub_of, newsroom


@pytest.fixture(scope="module")
async def room(engines: EmbeddedEngines, api: Api) -> AsyncIterator[Newsroom]:
    async with newsroom(engines, api) as made:
        yield made


async def test_a_subscriber_hears_what_a_customer_needs(room: Newsroom) -> None:
    customer = await room.customer("premium")
    async with room.listening(customer) as listening:
        signal_id = await room.published()
        message = (await heard(listening, about(signal_id)))[-1]
    assert message["id"].isdigit()
    signal = message["signal"]
    assert (signal["symbol"], signal["action"], signal["entry_price"]) == ("INFY", "buy", "1500.00")
    assert (signal["disclosure"], signal["registration_number"]) == (DRAFT["disclosure"], "INH000000000")
    assert (signal["analyst"], signal["status"]) == ("Asha Verma", "published")
    assert "measured" not in signal


async def test_a_withdrawal_is_heard(room: Newsroom) -> None:
    customer = await room.customer("premium")
    async with room.listening(customer) as listening:
        signal_id = await room.published()
        await room.post(f"/signals/{signal_id}/withdraw", room.analyst, {"reason": "a slip"})
        messages = await heard(listening, about(signal_id, "signal.closed"))
    assert messages[-1]["signal"]["status"] == "withdrawn"


async def test_the_free_plan_hears_five_and_then_that_they_are_spent(room: Newsroom) -> None:
    free, paid = await room.customer(), await room.customer("premium")
    async with room.listening(free) as one, room.listening(free) as other, room.listening(paid) as all_of_it:
        published = [await room.published() for _ in range(7)]
        told = await heard(one, lambda m: m["type"] == "allowance.spent")
        assert [m["signal"]["signal_id"] for m in told if m["type"] == "signal.published"] == published[:5]
        assert told[-1]["allowance"]["a_day"] == 5
        twin = await heard(other, lambda m: m["type"] == "allowance.spent")
        assert [m["type"] for m in twin].count("signal.published") == 5, "a second socket spends nothing"
        await heard(all_of_it, about(published[-1]))
    spent = await room.rows("SELECT FROM signals.deliveries WHERE user_id = %s", free.user_id)
    assert len(spent) == 5


async def test_a_plan_bought_meanwhile_counts_at_once(room: Newsroom) -> None:
    free = await room.customer()
    async with room.listening(free) as listening:
        for _ in range(5):
            await room.published()
        await heard(listening, lambda m: m["type"] == "allowance.spent")
        await room.entitle(free, "premium")
        signal_id = await room.published()
        assert await heard(listening, about(signal_id))


@pytest.mark.parametrize("source", ["memory", "record"])
async def test_who_comes_back_misses_nothing(room: Newsroom, engines: EmbeddedEngines, source: str) -> None:
    customer = await room.customer("premium")
    async with room.listening(customer) as listening:
        first = await room.published()
        last_heard = (await heard(listening, about(first)))[-1]["id"]
    missed = [await room.published() for _ in range(3)]
    if source == "memory":
        async with room.listening(customer, after=last_heard) as listening:
            told = await heard(listening, about(missed[-1]))
    else:
        # A hub that has just started remembers nothing: it reads the record.
        async with hub_of(engines) as fresh:
            ticket = await room.ticket(customer)
            address = f"ws://{fresh}/v1/ws/signals/stream?ticket={ticket}&after={last_heard}"
            async with connect(address) as listening:
                told = await heard(listening, about(missed[-1]))
    ids = [m["signal"]["signal_id"] for m in told if m["type"] == "signal.published"]
    assert ids == missed
    sequences = [int(m["id"]) for m in told]
    assert sequences == sorted(set(sequences)), "no message twice, none out of order"
    assert sequences[0] == int(last_heard) + 1


async def test_what_redis_lost_comes_from_the_record(room: Newsroom) -> None:
    customer = await room.customer("premium")
    async with room.listening(customer) as listening:
        first = await room.published()
        await heard(listening, about(first))
        # The next event's place in the stream is taken and its entry gone: as after a crash of Redis that
        # lost what the relay had already marked as published.
        topic = await room.rows("SELECT last_sequence FROM audit.topics WHERE topic = %s", Topic.SIGNALS)
        lost = f"{topic[0]['last_sequence'] + 1}-0"
        async with room.parts.redis.pipeline(transaction=True) as crash:
            crash.xadd(stream(Topic.SIGNALS), {"key": "x"}, id=lost)
            crash.xdel(stream(Topic.SIGNALS), lost)
            await crash.execute()
        signal_id = await room.published()
        assert await heard(listening, about(signal_id), seconds=15)


async def test_a_ticket_is_good_once(room: Newsroom) -> None:
    customer = await room.customer("premium")
    ticket = await room.ticket(customer)
    address = f"ws://{room.hub}/v1/ws/signals/stream?ticket={ticket}"
    async with connect(address):
        pass
    async with connect(address) as again:
        with pytest.raises(ConnectionClosed) as closed:
            await again.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer forged"}])
async def test_nobody_listens_without_signing_in(room: Newsroom, headers: dict[str, str]) -> None:
    address = f"ws://{room.hub}/v1/ws/signals/stream"
    async with connect(address, additional_headers=headers) as stranger:
        with pytest.raises(ConnectionClosed) as closed:
            await stranger.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_bearer_token_in_a_header_will_do(room: Newsroom) -> None:
    customer = await room.customer("premium")
    address = f"ws://{room.hub}/v1/ws/signals/stream"
    async with connect(address, additional_headers=customer.headers) as listening:
        signal_id = await room.published()
        assert await heard(listening, about(signal_id))


async def test_who_signs_out_is_sent_away(
    room: Newsroom, engines: EmbeddedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.hub.STANDING_SECONDS", 0.1)
    customer = await room.customer("premium")
    async with hub_of(engines) as fresh:
        ticket = await room.ticket(customer)
        async with connect(f"ws://{fresh}/v1/ws/signals/stream?ticket={ticket}") as listening:
            assert (await room.api.post("/v1/auth/logout", headers=customer.headers)).status_code < 300
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(listening.recv(), 10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_who_does_not_keep_up_is_let_go(room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.listeners.LONGEST_QUEUE", 0)
    customer = await room.customer("premium")
    async with room.listening(customer) as listening:
        await room.published()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(listening.recv(), 10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4429


async def test_the_same_as_server_sent_events(room: Newsroom) -> None:
    customer = await room.customer("premium")
    async with httpx.AsyncClient(base_url=f"http://{room.hub}", timeout=10) as client:
        assert (await client.get("/v1/signals/stream")).status_code == 401
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        async with client.stream("GET", "/v1/signals/stream", headers=customer.headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            assert await anext(lines) == ": listening"
            signal_id = await room.published()
            async with asyncio.timeout(10):
                async for line in lines:
                    if line.startswith("data: "):
                        message = json.loads(line.removeprefix("data: "))
                        if about(signal_id)(message):
                            break
