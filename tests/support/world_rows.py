"""All rows of a database, remembered: to see that a refusal changed nothing, and to begin again after a change."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from regiohub_local.postgres import Urls
from tests.support.pg import Cluster

_COLUMNS = """
SELECT t.tablename, string_agg(quote_ident(c.column_name), ', ' ORDER BY c.ordinal_position) AS columns
FROM pg_tables t JOIN information_schema.columns c ON c.table_schema = 'public' AND c.table_name = t.tablename
WHERE t.schemaname = 'public' AND c.is_generated = 'NEVER' GROUP BY t.tablename ORDER BY 1
"""


class Rows:
    """One database as it was when it was frozen; works as superuser, beside the app's own connections."""

    def __init__(self, connection: asyncpg.Connection, columns: dict[str, str]) -> None:
        self._connection, self._columns = connection, columns
        self._marks: dict[str, str] = {}

    @classmethod
    async def freeze(cls, cluster: Cluster, urls: Urls) -> "Rows":
        """Keep a copy of every table in a schema of its own."""
        address = urlsplit(cluster.admin_url)._replace(path=urlsplit(urls.app).path)
        connection = await asyncpg.connect(urlunsplit(address))
        columns = dict(await connection.fetch(_COLUMNS))
        copies = (f'CREATE TABLE kept."{name}" AS TABLE public."{name}";' for name in columns)
        await connection.execute("CREATE SCHEMA kept;" + "".join(copies))
        found = cls(connection, columns)
        found._marks = await found._now()
        return found

    async def _now(self) -> dict[str, str]:
        each = (
            f"SELECT '{name}', count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) "
            f'FROM public."{name}" t'
            for name in self._columns
        )
        return dict(await self._connection.fetch(" UNION ALL ".join(each)))

    async def changed(self) -> list[str]:
        """Return the tables whose rows differ from what they were."""
        marks = await self._now()
        return [name for name, mark in self._marks.items() if marks[name] != mark]

    async def restore(self) -> list[str]:
        """Put every row back as it was (triggers and references look away); return which tables had changed."""
        names = await self.changed()
        steps = [f'DELETE FROM public."{name}";' for name in names]
        steps += [
            f'INSERT INTO public."{name}" ({self._columns[name]}) OVERRIDING SYSTEM VALUE '
            f'SELECT {self._columns[name]} FROM kept."{name}";'
            for name in names
        ]
        if names:
            await self._connection.execute(
                "BEGIN; SET LOCAL session_replication_role = replica;" + "".join(steps) + "COMMIT;"
            )
        return names

    async def close(self) -> None:
        await self._connection.close()
