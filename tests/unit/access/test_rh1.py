"""RH1: the vectors hold, every refusal can be reached, and nothing that was changed opens."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regiohub_access.rh1 import (
    Claims,
    PrivateKey,
    Proof,
    PublicKey,
    Reason,
    Refused,
    SigningKey,
    Verified,
    Verifier,
    base45,
    enrolment_message,
    is_enrolment,
    mint,
    open_pass,
    present,
    verify,
)
from regiohub_access.rh1.passes import put_bytes
from regiohub_access.rh1.presentation import MAX_TEXT, PREFIX
from tests.unit.access import rh1_vectors as v

VECTORS = json.loads(v.FILE.read_text(encoding="utf-8"))
PASS = mint(v.CLAIMS, v.SIGNING)
FRAME = base45.decode(v.shown().removeprefix(PREFIX))
READER_ONLY = {Reason.PIN_UNKNOWN, Reason.PIN_PAUSED, Reason.UNKNOWN_DOOR, Reason.READER_FAULT}


def attempt(
    text: str, verifier: Verifier = v.VERIFIER, now: datetime = v.NOW, real_now: datetime = v.NOW
) -> Verified | Reason:
    try:
        return verify(text, verifier, now=now, real_now=real_now)
    except Refused as refused:
        return refused.reason


def seconds(value: int) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def test_the_committed_vectors_are_what_this_code_makes():
    assert json.loads(json.dumps(v.build())) == VECTORS


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_vector(case):
    verifier = replace(
        v.VERIFIER,
        hub=case["hub"],
        door=case["door"],
        denied={bytes.fromhex(pass_id) for pass_id in case["denied"]},
        last_ts={bytes.fromhex(pass_id): ts for pass_id, ts in case["last_ts"].items()},
    )
    got = attempt(case["presentation"], verifier, seconds(case["now"]), seconds(case["real_now"]))
    assert (got == case["expect"]) if case["expect"] != "granted" else isinstance(got, Verified)


def test_every_reason_of_a_pass_has_a_vector():
    assert {case["expect"] for case in VECTORS["cases"]} == set(Reason) - READER_ONLY | {"granted"}


def test_a_refusal_names_the_pass_only_if_it_is_genuine():
    with pytest.raises(Refused) as genuine:
        verify(v.shown(), replace(v.VERIFIER, hub="mayen"), now=v.NOW, real_now=v.NOW)
    with pytest.raises(Refused) as forged:
        verify(v.tampered(), v.VERIFIER, now=v.NOW, real_now=v.NOW)
    assert (genuine.value.pass_id, forged.value.pass_id) == (v.CLAIMS.pass_id, None)


def test_base45_as_in_rfc_9285():
    known = {"": "", "AB": "BB8", "Hello!!": "%69 VD92EX0", "base-45": "UJCLQE7W581", "ietf!": "QED8WEX0"}
    assert {text: base45.encode(text.encode()) for text in known} == known


@pytest.mark.parametrize("text", ["A", "GGW", ":::", "::", "abc", "Ä00", "00A0"])
def test_base45_refuses(text):
    with pytest.raises(ValueError, match="base45"):
        base45.decode(text)


@given(st.binary(max_size=300))
def test_base45_round_trip(data):
    text = base45.encode(data)
    assert base45.decode(text) == data
    assert set(text) <= set(base45.ALPHABET)


@settings(max_examples=400, deadline=None)
@given(position=st.integers(0, len(FRAME) - 1), flip=st.integers(1, 255))
@example(position=0, flip=1)
@example(position=len(FRAME) - 1, flip=1)
def test_any_flipped_byte_is_refused(position, flip):
    changed = bytearray(FRAME)
    changed[position] ^= flip
    assert isinstance(attempt(PREFIX + base45.encode(bytes(changed))), Reason)


@pytest.mark.parametrize("position", range(len(FRAME)))
def test_each_byte_matters(position):
    changed = FRAME[:position] + bytes([FRAME[position] ^ 0x01]) + FRAME[position + 1 :]
    assert isinstance(attempt(PREFIX + base45.encode(changed)), Reason)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=400).map(lambda data: PREFIX + base45.encode(data)))
def test_nonsense_is_malformed_or_unknown_and_never_an_error(text):
    assert attempt(text) in {Reason.MALFORMED, Reason.UNKNOWN_KEY}


@given(st.integers(0, len(FRAME) - 1))
def test_a_cut_presentation_is_malformed(length):
    assert attempt(PREFIX + base45.encode(FRAME[:length])) == Reason.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        PREFIX + base45.encode(FRAME + b"\x00"),
        PREFIX + "0" * MAX_TEXT,
        v.shown().lower(),
        v.shown().removeprefix(PREFIX),
        "RH2:" + v.shown().removeprefix(PREFIX),
        v.shown() + " ",
    ],
)
def test_trailing_oversize_and_foreign_frames_are_malformed(text):
    assert attempt(text) == Reason.MALFORMED


def resigned(protected: bytes, unprotected: bytes = b"\xa0", payload: bytes = v.CLAIMS.to_cbor(), tag: int = 18) -> str:
    """A pass with any parts, properly signed by the issuer."""
    signature = v.ISSUER.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1] + b"\x84"
    minted = head + put_bytes(protected) + unprotected + put_bytes(payload) + put_bytes(signature)
    return present(minted, v.HOLDER, v.PROOF)


KID = v.SIGNING.kid


@pytest.mark.parametrize(
    "text",
    [
        resigned(cbor2.dumps({1: -8, 4: KID})),  # EdDSA
        resigned(cbor2.dumps({1: 5, 4: KID})),  # HMAC
        resigned(cbor2.dumps({4: KID})),  # no alg
        resigned(cbor2.dumps({1: -7})),  # no kid
        resigned(cbor2.dumps({1: -7, 4: b""})),
        resigned(cbor2.dumps({1: -7, 4: b"12345"})),
        resigned(cbor2.dumps({1: -7, 4: KID, 33: b"certificate"})),
        resigned(cbor2.dumps({4: KID, 1: -7})),
        resigned(cbor2.dumps({1: -7, 4: KID}), unprotected=cbor2.dumps({4: KID})),
        resigned(cbor2.dumps({1: -7, 4: KID}), tag=17),
        resigned(cbor2.dumps({1: -7, 4: KID}), tag=61),
    ],
)
def test_only_one_header_is_a_pass(text):
    assert attempt(text) == Reason.MALFORMED


def test_the_builder_of_odd_passes_makes_a_good_one_too():
    assert isinstance(attempt(resigned(cbor2.dumps({1: -7, 4: KID}))), Verified)


def claims_with(**changes) -> bytes:
    loaded = cbor2.loads(v.CLAIMS.to_cbor())
    names = {"iss": 1, "aud": 3, "exp": 4, "nbf": 5, "cti": 7, "cnf": 8, "doors": -70001, "flags": -70003, "other": 9}
    loaded.update({names[name]: value for name, value in changes.items() if value is not None})
    for name, value in changes.items():
        if value is None:
            del loaded[names[name]]
    return cbor2.dumps(loaded, canonical=True)


@pytest.mark.parametrize(
    "payload",
    [
        claims_with(exp=v.TS + 90_000),  # more than 24 h
        claims_with(exp=v.TS - 601),
        claims_with(nbf=float(v.TS)),
        claims_with(nbf=-1),
        claims_with(exp=2**40),
        claims_with(cti=b"short"),
        claims_with(cti=None),
        claims_with(aud=None),
        claims_with(iss=""),
        claims_with(doors=[]),
        claims_with(doors=[12, 1]),
        claims_with(doors=[0]),
        claims_with(doors=[True]),
        claims_with(doors=list(range(1, 18))),
        claims_with(flags=-1),
        claims_with(flags=0),  # a second way to write the same pass
        claims_with(other="x"),
        claims_with(cnf={1: {1: 2, -1: 1, -2: v.HOLDER.public.x, -3: True}}),  # compressed y
        claims_with(cnf={1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}),  # off the curve
        claims_with(cnf={3: b"thumbprint"}),
        v.CLAIMS.to_cbor() + b"\x00",
        cbor2.dumps([1, 2]),
        b"\xff",
        bytes.fromhex("c5821b7fffffffffffffff01"),  # a number too large to exist
    ],
)
def test_signed_claims_out_of_bounds_are_malformed(payload):
    assert attempt(resigned(cbor2.dumps({1: -7, 4: KID}), payload=payload)) == Reason.MALFORMED


def presented_with_pop(pop: bytes) -> str:
    class Raw(Proof):
        def to_cbor(self) -> bytes:
            return pop

    return present(PASS, v.HOLDER, Raw(0, 0, b""))


@pytest.mark.parametrize(
    "pop",
    [
        cbor2.dumps([v.TS, 12]),
        cbor2.dumps([v.TS, 12, b"12345"]),
        cbor2.dumps([float(v.TS), 12, b"1234"]),
        cbor2.dumps([v.TS, True, b"1234"]),
        cbor2.dumps([-1, 12, b"1234"]),
        cbor2.dumps([v.TS, 12, b"1234"]) + b"\x00",
        cbor2.dumps({1: v.TS}),
        b"\x9f\xff",
        b"",
        bytes(25),
    ],
)
def test_a_signed_proof_of_another_shape_is_malformed(pop):
    assert attempt(presented_with_pop(pop)) == Reason.MALFORMED


def test_a_proof_for_another_pass_does_not_fit():
    other = mint(replace(v.CLAIMS, pass_id=bytes(8)), v.SIGNING)
    pop = v.PROOF.to_cbor()
    frame = base45.decode(v.shown().removeprefix(PREFIX)).replace(put_bytes(PASS), put_bytes(other))
    assert pop in frame
    assert attempt(PREFIX + base45.encode(frame)) == Reason.WRONG_HOLDER_KEY


@pytest.mark.parametrize(
    "change",
    [
        {"doors": ()},
        {"doors": (2, 1)},
        {"doors": (70000,)},
        {"pass_id": b"x"},
        {"issuer": ""},
        {"hub": "x" * 65},
        {"flags": 2**32},
        {"expires_at": v.CLAIMS.not_before},
        {"expires_at": v.CLAIMS.not_before + timedelta(hours=24, seconds=1)},
    ],
)
def test_minting_refuses_what_no_door_would_take(change):
    with pytest.raises(ValueError):
        replace(v.CLAIMS, **change)


def test_times_need_an_offset_and_whole_seconds():
    with pytest.raises(ValueError, match="offset"):
        mint(replace(v.CLAIMS, not_before=v.NOW + timedelta(microseconds=1)), v.SIGNING)


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(v.TS, v.TS + 10**9).map(seconds),
    length=st.integers(1, 86_400),
    doors=st.sets(st.integers(1, 65535), min_size=1, max_size=16),
    flags=st.integers(0, 2**32 - 1),
    pass_id=st.binary(min_size=8, max_size=8),
)
def test_whatever_is_minted_is_read_back(start, length, doors, flags, pass_id):
    claims = Claims(
        "rh", "mayen", pass_id, start, start + timedelta(seconds=length), v.HOLDER.public, tuple(sorted(doors)), flags
    )
    assert open_pass(mint(claims, v.SIGNING), v.VERIFIER.keys)[0] == claims


def test_sizes_fit_a_small_qr_code():
    assert len(mint(replace(v.CLAIMS, issuer="rh"), v.SIGNING)) <= 211
    assert len(v.shown()) <= 482  # version 12-L holds 534 characters, 11-L 468


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {**v.HOLDER.public.to_jwk(), "crv": "P-384"},
        {**v.HOLDER.public.to_jwk(), "kty": "OKP"},
        {**v.HOLDER.public.to_jwk(), "d": "secret"},
        {**v.HOLDER.public.to_jwk(), "y": v.OTHER.public.to_jwk()["y"]},
        {**v.HOLDER.public.to_jwk(), "x": v.HOLDER.public.to_jwk()["x"] + "="},
        {**v.HOLDER.public.to_jwk(), "x": "AAAA"},
        {**v.HOLDER.public.to_jwk(), "x": 5},
        {**v.HOLDER.public.to_jwk(), "x": "+" * 43},
    ],
)
def test_a_key_that_is_not_public_p256_is_refused(jwk):
    with pytest.raises(ValueError):
        PublicKey.from_jwk(jwk)


def test_a_jwk_is_read_back():
    assert PublicKey.from_jwk({**v.HOLDER.public.to_jwk(), "ext": True}) == v.HOLDER.public


def test_enrolment_proves_key_grant_and_time():
    grant, ts = "01890a5d-ac96-774b-bcce-b302099a8057", v.TS
    signature = v.HOLDER.sign(enrolment_message(grant, ts))
    assert is_enrolment(v.HOLDER.public, grant, ts, signature)
    assert not is_enrolment(v.OTHER.public, grant, ts, signature)
    assert not is_enrolment(v.HOLDER.public, grant[::-1], ts, signature)
    assert not is_enrolment(v.HOLDER.public, grant, ts + 1, signature)
    assert not is_enrolment(v.HOLDER.public, grant, ts, signature + b"\x00")


def test_private_keys_do_not_show_themselves():
    key = SigningKey.generate()
    assert key.private.scalar.hex() not in repr(key)
    assert PrivateKey.from_scalar(key.private.scalar).public == key.private.public
