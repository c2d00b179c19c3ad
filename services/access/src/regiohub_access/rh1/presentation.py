"""A pass shown at a door: the pass, and a proof that the phone holding its key made this code just now.

The text of the QR code::

    "RH1:" + base45( CBOR [pass, pop, sig] )      three byte strings
    pop = CBOR [ts, door, nonce]                  ts: real time, Unix seconds; nonce: 4 bytes
    sig = ES256 of the holder's key, raw r||s, over "RH1-POP" || SHA-256(pass) || pop

`SHA-256(pass)` binds the proof to this very pass, `door` to one door, `ts` to this minute.
"""

import hashlib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import cbor2

from regiohub_access.rh1 import base45
from regiohub_access.rh1.claims import MAX_DOOR, Claims
from regiohub_access.rh1.keys import SIGNATURE_SIZE, IssuerKey, PrivateKey, PublicKey
from regiohub_access.rh1.passes import open_pass, put_bytes, take_bytes
from regiohub_access.rh1.reasons import Reason, Refused

PREFIX: Final = "RH1:"
PROOF_LEEWAY_S: Final = 60
NONCE_SIZE: Final = 4
MAX_TEXT: Final = 900
_ARRAY_OF_3 = b"\x83"
_MAX_POP_SIZE = 24
_MAX_TS = 2**33


@dataclass(frozen=True, slots=True)
class Proof:
    """What the phone signed: when (real time, Unix seconds), for which door, with a nonce."""

    ts: int
    door: int
    nonce: bytes

    def to_cbor(self) -> bytes:
        """The signed bytes."""
        return cbor2.dumps([self.ts, self.door, self.nonce], canonical=True)

    @classmethod
    def from_cbor(cls, data: bytes) -> "Proof":
        """Read it; `ValueError` unless exactly as written above."""
        try:
            loaded = cbor2.loads(data, allow_indefinite=False, max_depth=2)
        except Exception as error:  # a decoder's surprise must refuse, never crash the reader
            raise ValueError("not CBOR") from error
        if type(loaded) is not list or [type(item) for item in loaded] != [int, int, bytes]:
            raise ValueError("not a proof")
        proof = cls(*loaded)
        if not (0 <= proof.ts < _MAX_TS and 0 < proof.door <= MAX_DOOR and len(proof.nonce) == NONCE_SIZE):
            raise ValueError("a proof out of range")
        if proof.to_cbor() != data:
            raise ValueError("not deterministic CBOR")
        return proof


@dataclass(frozen=True, slots=True)
class Verifier:
    """Everything against which a presentation is held, except the time.

    `denied` holds the ids of revoked passes, `last_ts` the newest accepted proof per pass id.
    """

    issuer: str
    hub: str
    door: int
    keys: Mapping[bytes, IssuerKey]
    denied: Container[bytes]
    last_ts: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class Verified:
    """A presentation that opens; the caller must store `ts` as the pass's newest before the door opens."""

    claims: Claims
    ts: int


def present(minted: bytes, holder: PrivateKey, proof: Proof) -> str:
    """What the phone shows (the page does the same in the browser; here for scripts and tests)."""
    pop = proof.to_cbor()
    signature = holder.sign(_to_be_signed(minted, pop))
    return PREFIX + base45.encode(_ARRAY_OF_3 + b"".join(map(put_bytes, (minted, pop, signature))))


def verify(text: str, verifier: Verifier, *, now: datetime, real_now: datetime) -> Verified:
    """Decide on a presentation: return what opens or raise `Refused` with the first reason that applies.

    Genuine first (issuer's signature, holder's signature), then where, then when, then whether again.
    `now` is business time and judges the pass; `real_now` is real time and judges the proof and the issuer key.
    """
    minted, pop, signature = _split(text)
    claims, key = open_pass(minted, verifier.keys)
    try:
        _check(claims, key, verifier, now=now, real_now=real_now)
        proof = _proof(claims.holder, minted, pop, signature)
        _check_proof(proof, claims, verifier, real_now=real_now)
    except Refused as refused:
        refused.pass_id = claims.pass_id
        raise
    return Verified(claims, proof.ts)


def enrolment_message(grant_id: str, ts: int) -> bytes:
    """What a phone signs (ES256, raw r||s) to fetch a pass: ASCII `RH1-KEY <grant id> <ts>`.

    `grant_id` as in the URL (lower-case UUID), `ts` real time in Unix seconds.
    """
    return f"RH1-KEY {grant_id} {ts}".encode()


def is_enrolment(holder: PublicKey, grant_id: str, ts: int, signature: bytes) -> bool:
    """Whether the holder of this key signed this; how old `ts` may be is the issuer's word, not ours."""
    return holder.is_signed(signature, enrolment_message(grant_id, ts))


def _to_be_signed(minted: bytes, pop: bytes) -> bytes:
    return b"RH1-POP" + hashlib.sha256(minted).digest() + pop


def _split(text: str) -> tuple[bytes, bytes, bytes]:
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise Refused(Reason.MALFORMED)
    try:
        data = base45.decode(text[len(PREFIX) :])
        minted, at = take_bytes(data, len(_ARRAY_OF_3))
        pop, at = take_bytes(data, at)
        signature, at = take_bytes(data, at)
    except ValueError as error:
        raise Refused(Reason.MALFORMED) from error
    is_framed = data.startswith(_ARRAY_OF_3) and at == len(data)
    if not is_framed or len(pop) > _MAX_POP_SIZE or len(signature) != SIGNATURE_SIZE:
        raise Refused(Reason.MALFORMED)
    return minted, pop, signature


def _check(claims: Claims, key: IssuerKey, verifier: Verifier, *, now: datetime, real_now: datetime) -> None:
    if not key.not_before <= real_now < key.not_after:
        raise Refused(Reason.UNKNOWN_KEY)
    if claims.issuer != verifier.issuer:
        raise Refused(Reason.FOREIGN_ISSUER)
    if claims.hub != verifier.hub:
        raise Refused(Reason.FOREIGN_HUB)
    if claims.pass_id in verifier.denied:
        raise Refused(Reason.REVOKED)
    if now < claims.not_before:
        raise Refused(Reason.NOT_YET_VALID)
    if now >= claims.expires_at:
        raise Refused(Reason.EXPIRED)


def _proof(holder: PublicKey, minted: bytes, pop: bytes, signature: bytes) -> Proof:
    if not holder.is_signed(signature, _to_be_signed(minted, pop)):
        raise Refused(Reason.WRONG_HOLDER_KEY)
    try:
        return Proof.from_cbor(pop)
    except ValueError as error:
        raise Refused(Reason.MALFORMED) from error


def _check_proof(proof: Proof, claims: Claims, verifier: Verifier, *, real_now: datetime) -> None:
    if proof.door != verifier.door or verifier.door not in claims.doors:
        raise Refused(Reason.WRONG_DOOR)
    if proof.ts <= verifier.last_ts.get(claims.pass_id, -1):
        raise Refused(Reason.REPLAYED)
    age = real_now.timestamp() - proof.ts
    if age > PROOF_LEEWAY_S:
        raise Refused(Reason.STALE)
    if age < -PROOF_LEEWAY_S:
        raise Refused(Reason.CLOCK)
