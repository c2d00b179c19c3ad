"""Why a door stayed shut: one name per cause, the same in code, log, sync and pages."""

from enum import StrEnum


class Reason(StrEnum):
    """The cause of a refusal. Names are part of the protocol: never renamed, only added."""

    MALFORMED = "malformed"  # not an RH1 presentation, or a signed pass with claims out of bounds
    UNKNOWN_KEY = "unknown_key"  # the issuer key is not known, or not valid now
    TAMPERED = "tampered"  # the issuer's signature does not fit the pass
    FOREIGN_ISSUER = "foreign_issuer"  # another installation's pass
    WRONG_HOLDER_KEY = "wrong_holder_key"  # the proof was not signed by the key inside the pass
    FOREIGN_HUB = "foreign_hub"
    WRONG_DOOR = "wrong_door"  # made for another door, or that door is not in the pass
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLAYED = "replayed"  # this proof, or a later one of the same pass, was accepted before
    STALE = "stale"  # the proof is older than 60 s and was never accepted
    CLOCK = "clock"  # the reader's or the phone's clock cannot be right
    PIN_UNKNOWN = "pin_unknown"
    PIN_PAUSED = "pin_paused"  # too many wrong PINs at this door
    UNKNOWN_DOOR = "unknown_door"  # not a door of this reader
    READER_FAULT = "reader_fault"  # the reader could not record the decision


class Refused(Exception):
    """A presentation that does not open; `pass_id` only if the issuer's signature was genuine."""

    def __init__(self, reason: Reason, pass_id: bytes | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.pass_id = pass_id
