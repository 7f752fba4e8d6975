"""Keeps what came of every contact in PostgreSQL and shows it."""
