"""The street of three services, whose rows are what an installation of the first version could hold."""

from tests.service.restore.conftest import sandbox_origin, town

__all__ = ["sandbox_origin", "town"]
