"""Booking's migration job."""

from pathlib import Path

from regiohub_booking.settings import Settings
from regiohub_shared.db.migrate import main

if __name__ == "__main__":
    main(Path(__file__).parent, Settings().migrate_database_url)  # from the environment
