"""What a service's app role may do: nothing but what its migration lists, table by table."""

from collections.abc import Iterable, Mapping

from alembic import op
from sqlalchemy import Connection, text

from regiohub_shared.log import get_logger

_log = get_logger(__name__)

_ROLE = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_RELATIONS = text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')"
)
_VERSION = "alembic_version"
FACT_RIGHTS = {
    "outbox": "SELECT, INSERT, DELETE",
    "outbox_delivery": "SELECT, INSERT, DELETE, "
    "UPDATE (attempts, refusals, next_at, leased_until, delivered_at, dead_at, last_error)",
    "inbox": "SELECT, INSERT, DELETE",
}
"""What the three tables of facts need; a service that neither sends nor hears leaves them out."""


class RightsMissing(Exception):
    """A table stands in no list, so nobody has decided what the app role may do with it."""


def app_role(service: str) -> str:
    """Return the role that holds the rights: ``<service>_app``, or what the migration job was told by ``--app-role``.

    Who provisions the database makes the role before the migration runs.
    """
    config = op.get_context().config
    told = config.attributes.get("app_role") if config is not None else None
    return str(told or f"{service}_app")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def statements(
    role: str, tables: Mapping[str, str], *, sequences: Iterable[str] = (), functions: Iterable[str] = ()
) -> list[str]:
    """Return the SQL that takes everything from ``role`` and then gives what is listed."""
    to = _quoted(role)
    made = [
        f"GRANT USAGE ON SCHEMA public TO {to}",
        *(f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {to}" for kind in ("TABLES", "SEQUENCES")),
    ]
    made += [f"GRANT {rights} ON {_quoted(table)} TO {to}" for table, rights in tables.items() if rights]
    made += [f"GRANT USAGE ON SEQUENCE {_quoted(sequence)} TO {to}" for sequence in sequences]
    made += [f"GRANT EXECUTE ON FUNCTION {function} TO {to}" for function in functions]
    return [*made, f"GRANT SELECT ON {_VERSION} TO {to}"]


def grant_rights(
    service: str, tables: Mapping[str, str], *, sequences: Iterable[str] = (), functions: Iterable[str] = ()
) -> None:
    """Give the app role of ``service`` these rights and no others; call it at the end of each migration.

    ``tables`` names **every** table and view of the schema with its rights as ``GRANT`` takes them, by column where
    only some may change (an empty text gives none)::

        grant_rights(
            "booking",
            {"booking": "SELECT, INSERT, UPDATE (status, version)", "line": "SELECT, INSERT"} | FACT_RIGHTS,
            sequences=("occupancy_lane",),
        )

    ``sequences`` get USAGE (identity columns need none), ``functions`` EXECUTE (whoever makes a function takes it from
    PUBLIC itself). Of ``alembic_version`` the role may
    only read. ``SELECT … FOR UPDATE`` needs UPDATE of at least one column. A later migration passes the whole mapping
    again. Without the role (one role for all, on a developer's own database) nothing is to be done.

    Raises :class:`RightsMissing` for a table that is not listed.
    """
    role, connection = app_role(service), op.get_bind()
    _check_complete(connection, tables)
    if connection.execute(_ROLE, {"role": role}).first() is None:
        _log.warning("app_role_missing", role=role)
        return
    for statement in statements(role, tables, sequences=sequences, functions=functions):
        op.execute(statement)


def _check_complete(connection: Connection, tables: Mapping[str, str]) -> None:
    there = set(connection.execute(_RELATIONS).scalars()) - {_VERSION}
    if forgotten := sorted(there - tables.keys()):
        raise RightsMissing(f"No rights are listed for {', '.join(forgotten)}.")
