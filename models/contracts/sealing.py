"""AES-256-GCM under a ring of keys: the current key seals, every key in the ring opens."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CannotOpen(ValueError):
    """The sealed bytes are damaged, were sealed for another context, or their key is not in the ring."""


class KeyRing:
    """Seals bytes for a context (associated data), so that a sealed value moved elsewhere does not open."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """`keys`: id -> 32 bytes, the current key first.

        Raises:
            ValueError: the ring is empty.
        """
        if not keys:
            raise ValueError("a key ring needs a key")
        self.current = next(iter(keys))
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        """Nonce and ciphertext under the current key."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[self.current].encrypt(nonce, data, context)

    def decrypt(self, key_id: str, data: bytes, context: bytes) -> bytes:
        """Raises CannotOpen."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen(f"key {key_id!r} is not in the ring")
        try:
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], context)
        except InvalidTag:
            raise CannotOpen("the sealed bytes are damaged or belong elsewhere") from None

    def seal(self, data: bytes, context: str) -> bytes:
        """`encrypt` with the key's id in front (one byte of length, the id), to be stored in one column."""
        name = self.current.encode()
        return bytes([len(name)]) + name + self.encrypt(data, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """The inverse of `seal`. Raises CannotOpen."""
        if not sealed:
            raise CannotOpen("nothing was sealed")
        end = 1 + sealed[0]
        return self.decrypt(sealed[1:end].decode(errors="replace"), sealed[end:], context.encode())


def blind_index(key: bytes, kind: str, value: str) -> bytes:
    """HMAC-SHA256 of a normalised value: equality can be searched, the value cannot be read."""
    return hmac.new(key, f"{kind}\0{value}".encode(), hashlib.sha256).digest()
