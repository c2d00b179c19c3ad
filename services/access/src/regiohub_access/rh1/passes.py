"""The signed pass: COSE_Sign1 (tag 18) over a CWT, ES256, framed by hand so that nothing unsigned is interpreted.

The bytes, in order::

    d2                            tag 18
    84                            array of 4
      bstr a2 01 26 04 kid        protected: {alg: ES256, kid}; only these bytes, only `kid` is read from them
      a0                          unprotected: empty
      bstr claims
      bstr signature              64 bytes

The verifier takes the algorithm from its own key record: a pass that names another one is not a pass.
"""

from collections.abc import Mapping

import cbor2

from regiohub_access.rh1.claims import Claims
from regiohub_access.rh1.keys import SIGNATURE_SIZE, IssuerKey, SigningKey
from regiohub_access.rh1.reasons import Reason, Refused

MAX_PASS_SIZE = 400
_HEAD = b"\xd2\x84"
_ALG_AND_KID = b"\xa2\x01\x26\x04"
_EMPTY_MAP = b"\xa0"
_BSTR, _BSTR_8, _BSTR_16 = 0x40, 0x58, 0x59


def mint(claims: Claims, key: SigningKey) -> bytes:
    """Sign a pass; the same claims and key always give the same bytes."""
    protected = _ALG_AND_KID + put_bytes(key.kid)
    payload = claims.to_cbor()
    signature = key.private.sign(_to_be_signed(protected, payload))
    minted = _HEAD + put_bytes(protected) + _EMPTY_MAP + put_bytes(payload) + put_bytes(signature)
    if len(minted) > MAX_PASS_SIZE:
        raise ValueError("the pass is too large for a door's QR code")
    return minted


def open_pass(data: bytes, keys: Mapping[bytes, IssuerKey]) -> tuple[Claims, IssuerKey]:
    """The claims of a genuine pass and the key that signed it.

    Raises `Refused` with `malformed`, `unknown_key` or `tampered`; times, hub and doors are not checked here.
    """
    try:
        protected, payload, signature = _split(data)
        kid = _kid(protected)
    except ValueError as error:
        raise Refused(Reason.MALFORMED) from error
    key = keys.get(kid)
    if key is None:
        raise Refused(Reason.UNKNOWN_KEY)
    if not key.public.is_signed(signature, _to_be_signed(protected, payload)):
        raise Refused(Reason.TAMPERED)
    try:
        return Claims.from_cbor(payload), key
    except ValueError as error:
        raise Refused(Reason.MALFORMED) from error


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    if len(data) > MAX_PASS_SIZE or not data.startswith(_HEAD):
        raise ValueError("not a tagged COSE_Sign1")
    protected, at = take_bytes(data, len(_HEAD))
    if data[at : at + 1] != _EMPTY_MAP:
        raise ValueError("unprotected headers are not allowed")
    payload, at = take_bytes(data, at + 1)
    signature, at = take_bytes(data, at)
    if at != len(data) or len(signature) != SIGNATURE_SIZE:
        raise ValueError("trailing bytes or a signature of the wrong size")
    return protected, payload, signature


def _kid(protected: bytes) -> bytes:
    kid, at = take_bytes(protected, len(_ALG_AND_KID))
    if not protected.startswith(_ALG_AND_KID) or at != len(protected) or not 1 <= len(kid) <= 4:
        raise ValueError("the protected header is not exactly {alg: ES256, kid}")
    return kid


def put_bytes(data: bytes) -> bytes:
    """A CBOR byte string, shortest form."""
    return cbor2.dumps(data)


def take_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """The byte string that starts at `at`, and where it ends; only the shortest form, else `ValueError`."""
    head = data[at] if at < len(data) else 0
    if _BSTR <= head < _BSTR + 24:
        size, start = head - _BSTR, at + 1
    elif head == _BSTR_8:
        size, start = int.from_bytes(data[at + 1 : at + 2], "big"), at + 2
    elif head == _BSTR_16:
        size, start = int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
    else:
        raise ValueError("not a byte string")
    end = start + size
    if end > len(data) or data[at:start] != put_bytes(data[start:end])[: start - at]:
        raise ValueError("cut off or not in its shortest form")
    return data[start:end], end
