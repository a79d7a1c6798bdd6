"""The portal's client against the sandbox's portal: duplicates are read, forgeries refused."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cli.embedded import EmbeddedEngines
from domain.einvoice_document import Document
from domain.errors import RateLimited, Rejected, Unavailable
from models.contracts.identifiers import Prefix, mint
from models.settings import Settings
from providers.irp import HttpIrp
from providers.transport import client
from tests.domain.test_einvoices import document

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def fresh(**given: Any) -> Document:
    return document(number=f"T/{mint(Prefix.NOTE)[-13:]}", **given)


@pytest.fixture
async def irp(engines: EmbeddedEngines) -> AsyncIterator[HttpIrp]:
    async with client() as http:
        yield HttpIrp(http, engines.settings)


async def plant(settings: Settings, **fault: Any) -> None:
    async with httpx.AsyncClient(base_url=settings.sandbox) as sandbox:
        headers = {"X-Sandbox-Control": "1"}
        body = {"target": "irp", "match": "v1.03/Invoice", "times": 1, **fault}
        (await sandbox.post("/_control/faults", json=body, headers=headers)).raise_for_status()


async def test_a_document_is_registered_and_a_repeat_finds_it(irp: HttpIrp) -> None:
    one = fresh()
    first = await irp.register(one, as_of=NOW)
    assert first.irn == one.irn
    assert (first.ack_at, first.cancelled) == (NOW, False)
    assert await irp.register(one, as_of=NOW + timedelta(hours=1)) == first


async def test_a_note_is_registered_too(irp: HttpIrp) -> None:
    note = fresh(kind="credit_note", original=("TR/2627/000001", NOW.date()))
    assert (await irp.register(note, as_of=NOW)).irn == note.irn


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "0"}, "irp_2140"),
        ({"sac": "123456"}, "irp_2176"),
        ({"igst": 0, "total": 169_411}, "irp_2227"),
        ({"issued_on": NOW.date() + timedelta(days=1)}, "irp_2162"),
        ({"issued_on": NOW.date() - timedelta(days=31)}, "irp_2163"),
        ({"kind": "credit_note"}, "irp_2140"),
    ],
)
async def test_what_is_wrong_with_a_document_is_told_by_its_number(
    irp: HttpIrp, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(Rejected) as refused:
        await irp.register(document(**{"number": f"T/{mint(Prefix.NOTE)[-13:]}", **change}), as_of=NOW)
    assert refused.value.code == code


@pytest.mark.parametrize(("fault", "kind"), [("error_5xx", Unavailable), ("error_429", RateLimited)])
async def test_the_portals_own_failures_are_asked_again(
    engines: EmbeddedEngines, irp: HttpIrp, fault: str, kind: type[Exception]
) -> None:
    await plant(engines.settings, fault=fault)
    one = fresh()
    with pytest.raises(kind):
        await irp.register(one, as_of=NOW)
    assert (await irp.register(one, as_of=NOW)).irn == one.irn


async def test_what_another_key_signed_is_not_believed(engines: EmbeddedEngines) -> None:
    other = generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = base64.b64encode(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).decode()
    async with client() as http:
        deceived = HttpIrp(http, engines.settings.model_copy(update={"irp_public_keys": [pem]}))
        with pytest.raises(Rejected) as refused:
            await deceived.register(fresh(), as_of=NOW)
        rotated = HttpIrp(
            http,
            engines.settings.model_copy(update={"irp_public_keys": [pem, *engines.settings.irp_public_keys]}),
        )
        one = fresh()
        assert (await rotated.register(one, as_of=NOW)).irn == one.irn
    assert refused.value.code == "irp_forged"


async def test_a_duplicate_over_another_amount_is_not_ours(irp: HttpIrp) -> None:
    one = fresh()
    await irp.register(one, as_of=NOW)
    with pytest.raises(Rejected) as refused:
        await irp.register(document(2_999_00, number=one.number), as_of=NOW)
    assert refused.value.code == "irp_forged"


async def test_a_cancellation_is_found_made_and_comes_too_late_after_a_day(irp: HttpIrp) -> None:
    one, late = fresh(), fresh()
    await irp.register(one, as_of=NOW)
    await irp.register(late, as_of=NOW)
    at = await irp.cancel(one, as_of=NOW + timedelta(hours=22))
    assert at == NOW + timedelta(hours=22)
    assert await irp.cancel(one, as_of=NOW + timedelta(hours=23)) == at
    assert (await irp.register(one, as_of=NOW)).cancelled
    with pytest.raises(Rejected) as refused:
        await irp.cancel(late, as_of=NOW + timedelta(hours=25))
    assert refused.value.code == "irp_2270"


async def test_the_register_knows_who_holds_a_gstin(irp: HttpIrp) -> None:
    found = await irp.taxpayer("27AAPFU0939F1ZV", as_of=NOW)
    assert found.active
    assert found.address
    assert found.place
    with pytest.raises(Rejected) as refused:
        await irp.taxpayer("27AAPFU", as_of=NOW)
    assert refused.value.code == "irp_3001"
