"""What stands in a history opens only with the ring, and says nothing without it."""

import secrets
from datetime import timedelta

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from cli.embedded import EmbeddedEngines
from models.contracts.sealing import CannotOpen, KeyRing
from temporal.client import connect
from temporal.codec import EncryptionCodec
from tests.temporal.greeting import Whisper
from workers.pool import runner

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
SECRET = "Zebrafink-7731"


def codec(**keys: bytes) -> EncryptionCodec:
    return EncryptionCodec(KeyRing(keys))


def payload(text: bytes = b'"hello"') -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=text)


async def test_a_rotated_key_still_opens_what_it_sealed() -> None:
    sealed = await codec(old=OLD).encode([payload()])
    rotated = codec(new=NEW, old=OLD)
    assert await rotated.decode(sealed) == [payload()]
    [fresh] = await rotated.encode([payload()])
    assert fresh.metadata["encryption-key-id"] == b"new"


async def test_a_key_that_left_the_ring_opens_nothing() -> None:
    sealed = await codec(old=OLD).encode([payload()])
    with pytest.raises(CannotOpen):
        await codec(new=NEW).decode(sealed)


@pytest.mark.parametrize("place", [0, 11, 12, 40, -1])
async def test_a_changed_bit_is_noticed(place: int) -> None:
    [sealed] = await codec(old=OLD).encode([payload()])
    damaged = bytearray(sealed.data)
    damaged[place] ^= 1
    with pytest.raises(CannotOpen):
        await codec(old=OLD).decode([Payload(metadata=sealed.metadata, data=bytes(damaged))])


async def test_a_key_id_exchanged_for_another_is_noticed() -> None:
    [sealed] = await codec(old=OLD).encode([payload()])
    sealed.metadata["encryption-key-id"] = b"new"
    with pytest.raises(CannotOpen):
        await codec(new=NEW, old=OLD).decode([sealed])


async def test_equal_payloads_are_sealed_unequally() -> None:
    first, second = await codec(old=OLD).encode([payload(), payload()])
    assert first.data != second.data


@pytest.fixture
async def client(engines: EmbeddedEngines) -> Client:
    return await connect(engines.settings)


async def test_the_raw_history_holds_no_word_of_it(engines: EmbeddedEngines, client: Client) -> None:
    """Input, failure message and details, summary, details: read as the server has them."""
    queue = f"test-{secrets.token_hex(4)}"
    async with Worker(client, task_queue=queue, workflows=[Whisper], workflow_runner=runner()):
        handle = await client.start_workflow(
            Whisper.run,
            SECRET,
            id=f"whisper:{secrets.token_hex(4)}",
            task_queue=queue,
            memo={"note": SECRET},
            static_summary=SECRET,
            static_details=SECRET,
            task_timeout=timedelta(seconds=3),
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert SECRET in str(failed.value.cause), "whoever holds the ring reads the failure"
    raw = json_format.MessageToJson((await handle.fetch_history()).events[0])
    whole = "".join(json_format.MessageToJson(event) for event in (await handle.fetch_history()).events)
    described = json_format.MessageToJson((await handle.describe()).raw_description)
    assert "YmluYXJ5L2VuY3J5cHRlZA==" in raw, "binary/encrypted, in base 64"
    for place in (whole, described):
        assert SECRET not in place
        assert SECRET.encode().hex() not in place
    for word in (b"cannot bear", SECRET.encode()):
        assert word not in b"".join(
            event.SerializeToString() for event in (await handle.fetch_history()).events
        )
