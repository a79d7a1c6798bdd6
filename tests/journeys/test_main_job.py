"""The main job, end to end, on the whole platform; after it personal data stands in sealed columns and at the
providers, and nowhere else. One file: one worker of the tests plays it, once."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from psycopg import sql
from redis.asyncio import Redis
from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client

from models.contracts.sealing import KeyRing
from models.settings import Settings
from temporal.client import connect
from temporal.codec import EncryptionCodec
from tests.journeys.conftest import ROOT, MainJob
from tests.journeys.needles import needles, seen

# `make demo` plays the main job too: here it is played to be searched.
pytestmark = pytest.mark.campaign

ALLOWED: set[tuple[str, str]] = set()
"""Places, each with what may be read there in the clear: none."""


@pytest.fixture(scope="module")
def wanted(main_job: MainJob) -> dict[bytes, str]:
    """What to search for: the customer, who went through KYC and paid, and her namesake's like."""
    customer = main_job.play.customer
    assert customer.pan, "the customer did not come as far as KYC"
    assert main_job.play.subscription or main_job.broken, "the plan was not paid"
    return needles(customer) | needles(main_job.play.free)


@pytest.fixture(scope="module")
async def platform(main_job: MainJob) -> tuple[Settings, Client, EncryptionCodec]:
    endpoints = json.loads((main_job.home / "endpoints.json").read_text())
    secrets = json.loads((main_job.home / "secrets.json").read_text())
    config = Settings(
        **{name: endpoints[name] for name in ("postgres", "redis", "temporal", "namespace")},
        codec_keys=secrets["codec_keys"],
    )
    codec = EncryptionCodec(KeyRing(config.ring(config.codec_keys)))
    return config, await connect(config), codec


def test_all_eight_steps_hold(main_job: MainJob) -> None:
    assert main_job.broken is None, f"step {len(main_job.play.played) + 1}: {main_job.broken}"
    assert len(main_job.play.played) == 8


def test_the_outside_checker_finds_nothing(main_job: MainJob) -> None:
    command = [sys.executable, "-m", "cli", "verify", "--home", str(main_job.home)]
    judged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_needles_are_found_where_they_lie(main_job: MainJob, wanted: dict[bytes, str]) -> None:
    """A search that finds nothing anywhere would pass everything."""
    customer = main_job.play.customer
    assert seen(f"Dear {customer.name.upper()}, ".encode(), wanted) == {"name, plain"}
    assert "mail, base 64" in seen(base64_of(f'{{"a": "{customer.email}"}}'), wanted)
    assert "PAN, hexadecimal" in seen(customer.pan.encode().hex().encode(), wanted)
    # At the provider, who has to know them, they lie in the clear.
    outside = b"".join(path.read_bytes() for path in main_job.home.glob("sandbox.db*"))
    assert seen(outside, wanted) >= {"name, plain", "mail, plain", "phone, plain", "PAN, plain"}


async def test_no_history_holds_any_even_decoded(
    platform: tuple[Settings, Client, EncryptionCodec], wanted: dict[bytes, str]
) -> None:
    """Raw and decoded: every event, id, search attribute, memo, summary and failure of every run."""
    _, client, codec = platform
    found: set[tuple[str, str]] = set()
    counted = decoded = 0
    async for run in client.list_workflows(""):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        request = DescribeWorkflowExecutionRequest(namespace=client.namespace)
        request.execution.workflow_id, request.execution.run_id = run.id, run.run_id
        described = await client.workflow_service.describe_workflow_execution(request)
        messages: list[Message] = [described, *[event async for event in handle.fetch_history_events()]]
        for message in messages:
            payloads = await codec.decode(list(payloads_in(message)))
            texts = [message.SerializeToString(), *(payload.SerializeToString() for payload in payloads)]
            for text in texts:
                found |= {(run.workflow_type, what) for what in seen(text, wanted)}
            counted += 1
            decoded += sum(payload.metadata.get("encoding") == b"json/plain" for payload in payloads)
    assert found <= ALLOWED
    assert counted > 100, "the main job leaves more than this"
    assert decoded > 100, "histories were read, not decoded"


def test_no_log_and_no_file_of_temporal_holds_any(main_job: MainJob, wanted: dict[bytes, str]) -> None:
    logs = [path for path in (main_job.home / "logs").rglob("*") if path.is_file()]
    assert {"api.log", "worker-onboarding.log", "worker-billing.log"} <= {path.name for path in logs}
    read = [*logs, *main_job.home.glob("temporal.db*"), *main_job.home.glob("supervisor*")]
    assert found_in(read, wanted) <= ALLOWED


async def test_no_column_of_postgres_holds_any_in_the_clear(
    platform: tuple[Settings, Client, EncryptionCodec], wanted: dict[bytes, str]
) -> None:
    """Every column of every table, binary ones too: what is personal is sealed."""
    found, rows = set(), 0
    async with await psycopg.AsyncConnection.connect(platform[0].postgres) as connection:
        columns = await connection.execute(
            """SELECT c.table_schema, c.table_name, c.column_name FROM information_schema.columns c
               JOIN pg_tables t ON t.schemaname = c.table_schema AND t.tablename = c.table_name
               WHERE t.schemaname NOT IN ('pg_catalog', 'information_schema')
                 AND (c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY'))"""
        )
        for schema, table, column in await columns.fetchall():
            query = sql.SQL("SELECT {}::text FROM {} WHERE {} IS NOT NULL").format(
                sql.Identifier(column), sql.Identifier(schema, table), sql.Identifier(column)
            )
            values = [row[0] for row in await (await connection.execute(query)).fetchall()]
            rows += len(values)
            found |= {
                (f"{schema}.{table}.{column}", what) for what in seen("\n".join(values).encode(), wanted)
            }
    assert found <= ALLOWED
    assert rows > 1000, "the main job leaves more than this"


async def test_no_key_and_no_stream_of_redis_holds_any(
    platform: tuple[Settings, Client, EncryptionCodec], wanted: dict[bytes, str]
) -> None:
    found = set()
    async with Redis.from_url(platform[0].redis) as redis:
        async for key in redis.scan_iter():
            text = key + b"\n" + await value_of(redis, key)
            found |= {(key.decode(errors="replace"), what) for what in seen(text, wanted)}
    assert found <= ALLOWED


async def value_of(redis: Redis, key: bytes) -> bytes:
    """All that a key holds, as bytes to search."""
    match await redis.type(key):
        case b"string":
            return await redis.get(key) or b""
        case b"stream":
            return repr(await redis.xrange(key)).encode()
        case b"hash":
            return repr(await redis.hgetall(key)).encode()
        case b"set":
            return repr(await redis.smembers(key)).encode()
        case b"zset":
            return repr(await redis.zrange(key, 0, -1)).encode()
        case _:
            return repr(await redis.lrange(key, 0, -1)).encode()


def found_in(paths: list[Path], wanted: dict[bytes, str]) -> set[tuple[str, str]]:
    return {(path.name, what) for path in paths for what in seen(path.read_bytes(), wanted)}


def payloads_in(message: Message) -> Iterator[Payload]:
    """Every payload at any depth of a message."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        for inner in _each(field, value):
            if isinstance(inner, Message):
                yield from payloads_in(inner)


def _each(field: FieldDescriptor, value: Any) -> Iterator[Any]:
    if field.message_type.GetOptions().map_entry:
        yield from value.values()
    elif field.is_repeated:
        yield from value
    else:
        yield value


def base64_of(text: str) -> bytes:
    return base64.b64encode(text.encode())
