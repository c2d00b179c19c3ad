"""Base45 (RFC 9285): bytes as the alphabet that a QR code stores most densely."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE = {char: value for value, char in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    """Two bytes become three characters, a last single byte two."""
    chars: list[str] = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        number = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            number, digit = divmod(number, 45)
            chars.append(ALPHABET[digit])
    return "".join(chars)


def decode(text: str) -> bytes:
    """The bytes; `ValueError` for a foreign character, a wrong length or a group that is too large."""
    data = bytearray()
    for start in range(0, len(text), 3):
        group = text[start : start + 3]
        try:
            number = sum(_VALUE[char] * 45**power for power, char in enumerate(group))
            data += number.to_bytes(len(group) - 1, "big") if len(group) > 1 else _refuse()
        except (KeyError, OverflowError) as error:
            raise ValueError("not base45") from error
    return bytes(data)


def _refuse() -> bytes:
    raise ValueError("not base45")
