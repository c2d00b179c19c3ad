"""One's own PostgreSQL behind TLS: libpq's spelling in an address holds for the engine, the pool and the migrations.

The server of the tests is built without TLS, so a relay speaks it, as a proxy before a database does.
"""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from regiohub_local import postgres
from regiohub_local.postgres import Urls
from regiohub_shared.clock import real_now
from regiohub_shared.db.database import Database
from regiohub_shared.db.migrate import run_migrations
from tests.service.shared.probe import app as probe
from tests.support.pg import Cluster

TLS_PLEASE = bytes.fromhex("0000000804d2162f")


def certificate(folder: Path, name: str) -> Path:
    """One that signs itself, valid for 127.0.0.1 alone; its key lies beside it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), real_now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    shown = folder / f"{name}.crt"
    shown.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    shown.with_suffix(".key").write_bytes(key.private_bytes(*form))
    return shown


async def pour(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    writer.close()


@pytest.fixture
async def behind(urls: Urls, tmp_path: Path) -> AsyncIterator[Urls]:
    """The probe's database where nobody gets in without TLS; the certificate is `server.crt` in `tmp_path`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown := certificate(tmp_path, "server"), shown.with_suffix(".key"))
    running: set[asyncio.Task[None]] = set()

    async def relay(reader: StreamReader, writer: StreamWriter) -> None:
        running.add(asyncio.current_task())  # type: ignore[arg-type]  # a handler is a task
        if await reader.read(8) == TLS_PLEASE:
            writer.write(b"S")
            with suppress(OSError):
                await writer.start_tls(context)
                inside, outside = await asyncio.open_connection("127.0.0.1", urlsplit(urls.app).port)
                await asyncio.gather(pour(reader, outside), pour(inside, writer))
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield Urls(app=there(urls.app, port), owner=there(urls.owner, port))
    server.close()
    await asyncio.gather(*running)


def there(url: str, port: int) -> str:
    who = urlsplit(url).netloc.rpartition("@")[0]
    return urlunsplit(urlsplit(url)._replace(netloc=f"{who}@127.0.0.1:{port}", query=""))


async def test_every_way_into_the_database_goes_by_its_addresss_tls(behind: Urls, tmp_path: Path) -> None:
    spelled = f"?sslmode=verify-full&sslrootcert={tmp_path / 'server.crt'}"
    await asyncio.to_thread(run_migrations, probe.MIGRATIONS, behind.owner + spelled)
    db = Database(behind.app + spelled)
    try:
        async with db.session() as session, db.transaction() as connection:
            assert await session.scalar(text("SELECT 1")) == await connection.fetchval("SELECT 1")
    finally:
        await db.close()


async def test_a_certificate_of_somebody_else_keeps_every_way_shut(behind: Urls, tmp_path: Path) -> None:
    db = Database(f"{behind.app}?sslmode=verify-full&sslrootcert={certificate(tmp_path, 'other')}")
    try:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            async with db.session() as session:
                await session.scalar(text("SELECT 1"))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            async with db.transaction():
                pass
    finally:
        await db.close()


async def test_the_embedded_server_is_met_without_tls_whatever_the_shell_says(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", "/nowhere/root.crt")
    words = {f"LOCAL_{role}_PASSWORD": "word" for role in ("OWNER", "APP")}
    urls = await postgres.provision(cluster.admin_url, "local", words, database="embedded_tls")
    db = Database(urls.app)
    try:
        async with db.session() as session, db.transaction() as connection:
            assert await session.scalar(text("SELECT 1")) == await connection.fetchval("SELECT 1")
    finally:
        await db.close()
        await postgres.drop(cluster.admin_url, "embedded_tls")
