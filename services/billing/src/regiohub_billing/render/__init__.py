"""Data in, bytes out: printable documents and files for the finance office."""
