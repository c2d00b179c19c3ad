"""How long each reader has been silent: a metric, since a reader at its hub is not asked by anybody."""

from prometheus_client import CollectorRegistry, Gauge

from regiohub_access.repo import places
from regiohub_shared import clock
from regiohub_shared.db.database import Database
from regiohub_shared.web.health import Read


def reader_gauge(db: Database, registry: CollectorRegistry) -> Read:
    """Register ``reader_silence_seconds``: since the last sync, or since the reader was set up if it never synced."""
    gauge = Gauge("reader_silence_seconds", "Since a reader's last sync", ("hub", "reader"), registry=registry)

    async def read() -> None:
        async with db.session() as session:
            readers = await places.list_all_readers(session)
        gauge.clear()  # a reader that is gone is not silent
        for reader in readers:
            silent = clock.now() - (reader.last_sync_at or reader.created_at)
            gauge.labels(reader.hub, reader.id).set(max(silent.total_seconds(), 0.0))

    return read
