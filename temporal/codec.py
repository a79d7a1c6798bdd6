"""The payload codec: what stands in a history is AES-256-GCM, the key's id in the metadata."""

from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from models.contracts.sealing import KeyRing

ENCODING = b"binary/encrypted"
CONTEXT = b"temporal"


class EncryptionCodec(PayloadCodec):
    """Encrypts with the ring's current key and decrypts with whichever key the payload names.

    Raises (decode):
        CannotOpen: the payload is damaged or its key has left the ring.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": ENCODING, "encryption-key-id": self._ring.current.encode()},
                data=self._ring.encrypt(payload.SerializeToString(), CONTEXT),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decode(payload) for payload in payloads]

    def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get("encryption-key-id", b"").decode(errors="replace")
        return Payload.FromString(self._ring.decrypt(key_id, payload.data, CONTEXT))
