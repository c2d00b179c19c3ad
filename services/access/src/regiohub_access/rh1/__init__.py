"""RH1: the door pass. Pure: bytes, keys and times come in as arguments, a value or `Refused` comes out."""

from regiohub_access.rh1.claims import MAX_SPAN, Claims
from regiohub_access.rh1.keys import (
    IssuerKey,
    PrivateKey,
    PublicKey,
    SigningKey,
    decode_base64url,
    encode_base64url,
    kid_of,
)
from regiohub_access.rh1.passes import mint, open_pass
from regiohub_access.rh1.presentation import (
    PROOF_LEEWAY_S,
    Proof,
    Verified,
    Verifier,
    enrolment_message,
    is_enrolment,
    present,
    verify,
)
from regiohub_access.rh1.reasons import Reason, Refused

__all__ = [
    "MAX_SPAN",
    "PROOF_LEEWAY_S",
    "Claims",
    "IssuerKey",
    "PrivateKey",
    "Proof",
    "PublicKey",
    "Reason",
    "Refused",
    "SigningKey",
    "Verified",
    "Verifier",
    "decode_base64url",
    "encode_base64url",
    "enrolment_message",
    "is_enrolment",
    "kid_of",
    "mint",
    "open_pass",
    "present",
    "verify",
]
