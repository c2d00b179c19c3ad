"""P-256 keys: the issuer's (private and public) and the holder's, as raw coordinates."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

_SIZE = 32
SIGNATURE_SIZE = 2 * _SIZE


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on P-256; making one from anything else raises `ValueError`."""

    x: bytes
    y: bytes

    def __post_init__(self) -> None:
        if len(self.x) != _SIZE or len(self.y) != _SIZE:
            raise ValueError("P-256 coordinates have 32 bytes")
        self._loaded()

    def _loaded(self) -> ec.EllipticCurvePublicKey:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big"), ec.SECP256R1()
        )
        return numbers.public_key()

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, object]) -> Self:
        """Read a public P-256 JWK; `ValueError` for any other, and for one with a private part."""
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
            raise ValueError("not a public P-256 JWK")
        return cls(decode_base64url(jwk.get("x")), decode_base64url(jwk.get("y")))

    def to_jwk(self) -> dict[str, str]:
        """The public JWK."""
        return {"kty": "EC", "crv": "P-256", "x": encode_base64url(self.x), "y": encode_base64url(self.y)}

    def thumbprint(self) -> bytes:
        """SHA-256 thumbprint (RFC 7638), 32 bytes."""
        text = f'{{"crv":"P-256","kty":"EC","x":"{encode_base64url(self.x)}","y":"{encode_base64url(self.y)}"}}'
        return hashlib.sha256(text.encode()).digest()

    def is_signed(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (raw r||s, 64 bytes) over `message` is this key's, ES256."""
        if len(signature) != SIGNATURE_SIZE:
            return False
        r, s = int.from_bytes(signature[:_SIZE], "big"), int.from_bytes(signature[_SIZE:], "big")
        try:
            self._loaded().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """A P-256 private key: the issuer's, or in tests and scripts the holder's."""

    secret: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_scalar(cls, scalar: bytes) -> Self:
        """The key of a 32-byte big-endian scalar (`d` of a JWK)."""
        return cls(ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1()))

    @property
    def scalar(self) -> bytes:
        """The 32-byte scalar, to be stored encrypted."""
        return self.secret.private_numbers().private_value.to_bytes(_SIZE, "big")

    @property
    def public(self) -> PublicKey:
        """The public half."""
        numbers = self.secret.public_key().public_numbers()
        return PublicKey(numbers.x.to_bytes(_SIZE, "big"), numbers.y.to_bytes(_SIZE, "big"))

    def sign(self, message: bytes) -> bytes:
        """ES256 as raw r||s, deterministic (RFC 6979), so that test vectors can be reproduced."""
        der = self.secret.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        return r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A public key that signs passes within `[not_before, not_after)`, in real time."""

    kid: bytes
    public: PublicKey
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        if not 1 <= len(self.kid) <= 4:
            raise ValueError("a kid has 1 to 4 bytes")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key that signs passes, under its `kid`."""

    kid: bytes
    private: PrivateKey

    @classmethod
    def generate(cls) -> Self:
        """A new key whose `kid` is the start of its thumbprint."""
        private = PrivateKey.generate()
        return cls(kid_of(private.public), private)


def kid_of(key: PublicKey) -> bytes:
    """The usual `kid`: the first 4 bytes of the key's thumbprint."""
    return key.thumbprint()[:4]


def encode_base64url(data: bytes) -> str:
    """Without padding, as in a JWK."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: object) -> bytes:
    """Strict and unpadded; `ValueError` for anything else."""
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base64url")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode_base64url(data) != text:
        raise ValueError("not base64url")
    return data
