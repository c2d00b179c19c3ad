"""Alembic revisions, written by hand; ``python -m regiohub_access.migrations`` brings the database up to date."""
