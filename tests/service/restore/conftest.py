"""The street of three services, and a reader that lives through what happens to them."""

from tests.contract.conftest import sandbox_origin, town

__all__ = ["sandbox_origin", "town"]
