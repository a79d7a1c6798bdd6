"""Recorded histories: kept with their payloads under a key that is for tests alone.

``python -m tests.histories.recording HOME`` records what ran on the embedded platform in HOME. Done once for
a process and once for a released change of it, never by a test: a history that is recorded anew proves
nothing about the runs that are still open.
"""

import asyncio
import dataclasses
import gzip
import json
import sys
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes

from models.contracts.sealing import KeyRing
from temporal.codec import EncryptionCodec
from tests.budgets.measure import payloads, runs

FOLDER = Path(__file__).parent
TEST_KEY = bytes(range(32))
TEST_CODEC = EncryptionCodec(KeyRing({"test": TEST_KEY}))
LONGEST = 400
"""Events of a history that is worth keeping; longer ones repeat themselves."""


def converter() -> DataConverter:
    """The platform's, with the key that the recordings are under."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=TEST_CODEC,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def resealed(history: WorkflowHistory, ring: KeyRing) -> WorkflowHistory:
    """The same history under the test key."""
    own = EncryptionCodec(ring)
    for event in history.events:
        for payload in payloads(event):
            [opened] = await own.decode([payload])
            if opened is not payload:
                [sealed] = await TEST_CODEC.encode([opened])
                payload.CopyFrom(sealed)
    return history


async def record(home: Path) -> None:
    endpoints = json.loads((home / "endpoints.json").read_text())
    ring = KeyRing(_ring(json.loads((home / "secrets.json").read_text())["codec_keys"]))
    client = await Client.connect(endpoints["temporal"], namespace=endpoints["namespace"])
    for kind, histories in sorted((await runs(client)).items()):
        fit = [history for history in histories if len(history.events) <= LONGEST]
        if not fit:
            continue
        longest = max(fit, key=lambda history: len(history.events))
        kept = await resealed(longest, ring)
        path = FOLDER / f"{kind}.json.gz"
        document = json.dumps({"id": kept.workflow_id, "history": kept.to_json_dict()})
        path.write_bytes(gzip.compress(document.encode(), mtime=0))
        print(f"{kind}: {len(kept.events)} events")


def recorded(path: Path) -> WorkflowHistory:
    document = json.loads(gzip.decompress(path.read_bytes()))
    return WorkflowHistory.from_json(document["id"], document["history"])


def _ring(keys: list[str]) -> dict[str, bytes]:
    from models.settings import Settings

    return Settings(codec_keys=keys).ring(keys)


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
