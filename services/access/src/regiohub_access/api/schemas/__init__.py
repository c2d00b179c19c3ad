"""Requests and responses, one module per kind."""
