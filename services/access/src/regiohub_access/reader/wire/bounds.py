"""What both sides of the sync must agree on beside its shape."""

from datetime import timedelta

MAX_DRIFT = timedelta(minutes=5)
"""How far a reader's clock may be from access's: the reader opens no door beyond it, so access believes it up to it."""
