"""AES-GCM for what rests in rows and in the short-lived login cookie."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Broken(ValueError):
    """The sealed bytes are not ours, were changed, or belong elsewhere."""


class Seal:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Each key has 32 bytes."""
        self._ciphers = [AESGCM(key) for key in keys]

    def close(self, plain: bytes, bound_to: str) -> bytes:
        """Return nonce and ciphertext; ``bound_to`` must be the same when opening."""
        nonce = os.urandom(12)
        return nonce + self._ciphers[0].encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Return the plain bytes; raises :class:`Broken`."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:12], sealed[12:], bound_to.encode())
            except (InvalidTag, ValueError):
                continue
        raise Broken
