"""Finding the QR code in a picture. Pure, but heavy: call it in a thread."""

from io import BytesIO

import zxingcpp
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 8 * 1024 * 1024
_MAX_PIXELS = 40_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_QR = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])
_PREFIX = "RH1:"


class NoPicture(Exception):
    """The bytes are no picture that can be read, or it is too large."""


def find_code(content: bytes) -> str | None:
    """Return the text of the pass in the picture, else of any QR code, else None; raises NoPicture."""
    picture = _grey(content)
    found = [code.text for code in zxingcpp.read_barcodes(picture, formats=_QR)]
    passes = [text for text in found if text.startswith(_PREFIX)]
    return next(iter(passes + found), None)


def _grey(content: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise NoPicture("too many pixels")
            # A code on a transparent ground would be black on black.
            opaque = picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise NoPicture("not a picture") from error
    ground = Image.new("RGBA", opaque.size, "white")
    return Image.alpha_composite(ground, opaque).convert("L")
