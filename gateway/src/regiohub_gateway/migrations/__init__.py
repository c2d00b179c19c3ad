"""Alembic revisions; ``python -m regiohub_gateway.migrations`` brings the database up to date."""
