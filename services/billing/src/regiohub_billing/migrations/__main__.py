"""``python -m regiohub_billing.migrations``: bring the database to the newest schema."""

from pathlib import Path

from regiohub_billing.settings import Settings
from regiohub_shared.db.migrate import main

main(Path(__file__).parent, Settings().migrate_database_url)
