"""Builds `vectors/rh1.json`: `python -m tests.unit.access.rh1_vectors` writes it anew, a test compares it.

Keys are made from fixed words and signatures are deterministic, so the file never changes by itself.
"""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from regiohub_access.rh1 import (
    Claims,
    IssuerKey,
    PrivateKey,
    Proof,
    Reason,
    SigningKey,
    Verifier,
    base45,
    encode_base64url,
    kid_of,
    mint,
    present,
)
from regiohub_access.rh1.presentation import PREFIX

FILE = Path(__file__).parent / "vectors" / "rh1.json"
NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
TS = int(NOW.timestamp())


def key_from(word: str) -> PrivateKey:
    return PrivateKey.from_scalar(hashlib.sha256(word.encode()).digest())


ISSUER = key_from("issuer")
SIGNING = SigningKey(kid_of(ISSUER.public), ISSUER)
HOLDER = key_from("holder")
OTHER = key_from("another phone")
CLAIMS = Claims(
    issuer="https://regiohub.example.org",
    hub="bendorf",
    pass_id=bytes.fromhex("0011223344556677"),
    not_before=NOW - timedelta(minutes=10),
    expires_at=NOW + timedelta(hours=2),
    holder=HOLDER.public,
    doors=(1, 12),
)
PROOF = Proof(ts=TS, door=12, nonce=bytes.fromhex("deadbeef"))
ISSUER_KEY = IssuerKey(SIGNING.kid, ISSUER.public, NOW - timedelta(days=1), NOW + timedelta(days=90))
VERIFIER = Verifier(
    issuer=CLAIMS.issuer,
    hub="bendorf",
    door=12,
    keys={SIGNING.kid: ISSUER_KEY},
    denied=frozenset(),
    last_ts={},
)


def shown(claims: Claims = CLAIMS, proof: Proof = PROOF, holder: PrivateKey = HOLDER, key: SigningKey = SIGNING) -> str:
    return present(mint(claims, key), holder, proof)


def tampered() -> str:
    """The doors of a genuine pass are changed; the phone signs the changed pass."""
    genuine = mint(CLAIMS, SIGNING)
    return present(genuine.replace(b"\x82\x01\x0c", b"\x82\x01\x0d"), HOLDER, PROOF)


def _case(name: str, expect: str, presentation: str, **context: Any) -> dict[str, Any]:
    usual = {"hub": "bendorf", "door": 12, "now": TS, "real_now": TS, "denied": [], "last_ts": {}}
    return {"name": name, "expect": expect, "presentation": presentation, **usual, **context}


def _cases() -> list[dict[str, Any]]:
    good, pass_id = shown(), CLAIMS.pass_id.hex()
    stranger = SigningKey(b"\x00\x00\x00\x01", OTHER)
    return [
        _case("opens", "granted", good),
        _case("opens at the first second", "granted", good, now=TS - 600),
        _case("opens with a proof 60 s old", "granted", good, real_now=TS + 60),
        _case("opens after an older proof", "granted", good, last_ts={pass_id: TS - 1}),
        _case("one second early", Reason.NOT_YET_VALID, good, now=TS - 601),
        _case("at its end", Reason.EXPIRED, good, now=TS + 7200),
        _case("another hub's reader", Reason.FOREIGN_HUB, good, hub="mayen"),
        _case("another door's reader", Reason.WRONG_DOOR, good, door=1),
        _case("a door that is not in the pass", Reason.WRONG_DOOR, shown(proof=replace(PROOF, door=2)), door=2),
        _case("the same proof again", Reason.REPLAYED, good, last_ts={pass_id: TS}),
        _case("an older proof", Reason.REPLAYED, good, last_ts={pass_id: TS + 1}),
        _case("a proof 61 s old", Reason.STALE, good, real_now=TS + 61),
        _case("a proof 61 s ahead", Reason.CLOCK, good, real_now=TS - 61),
        _case("revoked", Reason.REVOKED, good, denied=[pass_id]),
        _case("a changed pass", Reason.TAMPERED, tampered()),
        _case("another phone's key", Reason.WRONG_HOLDER_KEY, shown(holder=OTHER)),
        _case("an unknown issuer key", Reason.UNKNOWN_KEY, shown(key=stranger)),
        _case("an issuer key past its time", Reason.UNKNOWN_KEY, good, real_now=TS + 91 * 86400),
        _case(
            "another installation", Reason.FOREIGN_ISSUER, shown(replace(CLAIMS, issuer="https://other.example.org"))
        ),
        _case("not base45", Reason.MALFORMED, "RH1:äöü"),
        _case("an unsigned claims map", Reason.MALFORMED, PREFIX + base45.encode(CLAIMS.to_cbor())),
    ]


def _jwk(key: PrivateKey) -> dict[str, str]:
    return {**key.public.to_jwk(), "d": encode_base64url(key.scalar)}


def build() -> dict[str, Any]:
    minted = mint(CLAIMS, SIGNING)
    return {
        "about": "RH1 test vectors, described in docs/reader.md. The keys are public: never use them at a door.",
        "base45": [
            [text.encode().hex(), base45.encode(text.encode())] for text in ("", "AB", "Hello!!", "base-45", "ietf!")
        ],
        "issuer_key": {
            "kid": SIGNING.kid.hex(),
            **_jwk(ISSUER),
            "not_before": int(ISSUER_KEY.not_before.timestamp()),
            "not_after": int(ISSUER_KEY.not_after.timestamp()),
        },
        "holder_key": _jwk(HOLDER),
        "claims": {
            "iss": CLAIMS.issuer,
            "aud": CLAIMS.hub,
            "nbf": int(CLAIMS.not_before.timestamp()),
            "exp": int(CLAIMS.expires_at.timestamp()),
            "cti": CLAIMS.pass_id.hex(),
            "doors": list(CLAIMS.doors),
        },
        "pass": minted.hex(),
        "proof": {"ts": PROOF.ts, "door": PROOF.door, "nonce": PROOF.nonce.hex(), "pop": PROOF.to_cbor().hex()},
        "cases": _cases(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
