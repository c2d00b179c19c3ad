"""Columns that are encrypted at rest: AES-256-GCM, bound to their row by the associated data.

A sealed value is ``1 byte key mark | 12 byte nonce | ciphertext and tag``; the mark tells which of the keys (present or
previous) made it. The digest that keeps PINs unique is keyed too: a bare hash of six digits hides nothing.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class SealBroken(Exception):
    """The value was sealed under a key that we do not have, or was moved or changed."""


class Vault:
    """Seals and opens column values; the first key seals, each one opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """``keys`` are 32 bytes each, the present one first."""
        self._keys = [_derived(key, b"column") for key in keys]
        self._digest_keys = [_derived(key, b"pin digest") for key in keys]

    def seal(self, value: bytes, *, purpose: str, row: bytes) -> bytes:
        """Encrypt for one column (``purpose``) of one row."""
        nonce = os.urandom(_NONCE)
        key = self._keys[0]
        return _mark(key) + nonce + AESGCM(key).encrypt(nonce, value, purpose.encode() + b"\0" + row)

    def open(self, sealed: bytes, *, purpose: str, row: bytes) -> bytes:
        """Decrypt; raise :class:`SealBroken`."""
        for key in self._keys:
            if _mark(key) == sealed[:1]:
                try:
                    nonce, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
                    return AESGCM(key).decrypt(nonce, rest, purpose.encode() + b"\0" + row)
                except InvalidTag:
                    continue
        raise SealBroken(purpose)

    def digests(self, hub: str, pin: str) -> list[bytes]:
        """Return what makes a PIN unique in its hub: the present key's first, then those it may be stored under."""
        text = f"{hub}\0{pin}".encode()
        return [hmac.new(key, text, hashlib.sha256).digest() for key in self._digest_keys]


def _derived(key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"regiohub access " + info).derive(key)


def _mark(key: bytes) -> bytes:
    return hashlib.sha256(b"mark" + key).digest()[:1]
