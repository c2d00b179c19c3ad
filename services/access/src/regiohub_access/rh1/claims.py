"""What a pass says (RFC 8392 claims): who issued it, for which hub, doors, time and holder's key."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Self, TypeVar

import cbor2

from regiohub_access.rh1.keys import PublicKey

_T = TypeVar("_T")

MAX_SPAN = timedelta(hours=24)
MAX_DOORS = 16
MAX_DOOR = 65535
PASS_ID_SIZE = 8
_MAX_TEXT = 64
_MAX_TIME = 2**33


class Claim(IntEnum):
    """The integer labels inside a pass."""

    ISS = 1
    AUD = 3
    EXP = 4
    NBF = 5
    CTI = 7
    CNF = 8
    DOORS = -70001
    FLAGS = -70003


_ALL = frozenset(Claim)
_REQUIRED = _ALL - {Claim.FLAGS}
_COSE_KEY = 1
_KTY, _CRV, _X, _Y = 1, -1, -2, -3
_EC2, _P256 = 2, 1


@dataclass(frozen=True, slots=True)
class Claims:
    """A pass's content, valid within `[not_before, expires_at)` (business time, whole seconds, margins included).

    `issuer` names the installation; `flags` is a bit field without a meaning in version 1. Values out of
    bounds raise `ValueError`.
    """

    issuer: str
    hub: str
    pass_id: bytes
    not_before: datetime
    expires_at: datetime
    holder: PublicKey
    doors: tuple[int, ...]
    flags: int = 0

    def __post_init__(self) -> None:
        if not (0 < len(self.issuer) <= _MAX_TEXT and 0 < len(self.hub) <= _MAX_TEXT):
            raise ValueError("issuer and hub have 1 to 64 characters")
        if len(self.pass_id) != PASS_ID_SIZE:
            raise ValueError("a pass id has 8 bytes")
        if not timedelta(0) < self.expires_at - self.not_before <= MAX_SPAN:
            raise ValueError("a pass is valid for more than 0 and at most 24 hours")
        if not 0 < len(self.doors) <= MAX_DOORS or list(self.doors) != sorted(set(self.doors)):
            raise ValueError("a pass names 1 to 16 doors, each once, in order")
        if not (self.doors[0] > 0 and self.doors[-1] <= MAX_DOOR and 0 <= self.flags < 2**32):
            raise ValueError("door number or flags out of range")

    def to_cbor(self) -> bytes:
        """The CWT claims set in deterministic CBOR; `flags` is left out when 0."""
        key = {_KTY: _EC2, _CRV: _P256, _X: self.holder.x, _Y: self.holder.y}
        claims: dict[int, object] = {
            Claim.ISS.value: self.issuer,
            Claim.AUD.value: self.hub,
            Claim.EXP.value: _to_epoch(self.expires_at),
            Claim.NBF.value: _to_epoch(self.not_before),
            Claim.CTI.value: self.pass_id,
            Claim.CNF.value: {_COSE_KEY: key},
            Claim.DOORS.value: list(self.doors),
        }
        if self.flags:
            claims[Claim.FLAGS.value] = self.flags
        return cbor2.dumps(claims, canonical=True)

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read a claims set whose signature is known to be good; `ValueError` unless exactly as written above."""
        claims = _load_map(data)
        if not _REQUIRED <= claims.keys() <= _ALL:
            raise ValueError("missing or unknown claims")
        read = cls(
            issuer=_of(claims[Claim.ISS], str),
            hub=_of(claims[Claim.AUD], str),
            pass_id=_of(claims[Claim.CTI], bytes),
            not_before=_from_epoch(claims[Claim.NBF]),
            expires_at=_from_epoch(claims[Claim.EXP]),
            holder=_holder(claims[Claim.CNF]),
            doors=tuple(_of(door, int) for door in _of(claims[Claim.DOORS], list)),
            flags=_of(claims.get(Claim.FLAGS, 0), int),
        )
        if read.to_cbor() != data:  # also refuses trailing bytes and every second way to write the same
            raise ValueError("not deterministic CBOR")
        return read


def _load_map(data: bytes) -> dict[Any, Any]:
    try:
        loaded = cbor2.loads(data, allow_indefinite=False, allow_duplicate_keys=False, max_depth=4)
    except Exception as error:  # a decoder's surprise must refuse, never crash the reader
        raise ValueError("not CBOR") from error
    return _of(loaded, dict)


def _of(value: object, kind: type[_T]) -> _T:
    if type(value) is not kind:  # exact: True is not a number here
        raise ValueError(f"not of type {kind.__name__}")
    return value


def _holder(cnf: object) -> PublicKey:
    if not isinstance(cnf, dict) or cnf.keys() != {_COSE_KEY}:
        raise ValueError("cnf names no key")
    key = _of(cnf[_COSE_KEY], dict)
    if key.keys() != {_KTY, _CRV, _X, _Y} or (key[_KTY], key[_CRV]) != (_EC2, _P256):
        raise ValueError("not a P-256 key")
    return PublicKey(_of(key[_X], bytes), _of(key[_Y], bytes))


def _to_epoch(value: datetime) -> int:
    if value.tzinfo is None or value.microsecond:
        raise ValueError("times in a pass have an offset and whole seconds")
    return int(value.timestamp())


def _from_epoch(value: object) -> datetime:
    seconds = _of(value, int)
    if not 0 <= seconds < _MAX_TIME:
        raise ValueError("time out of range")
    return datetime.fromtimestamp(seconds, UTC)
