"""Ingest beside a plain script and a plain server; see `__main__`."""
