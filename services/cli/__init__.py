"""The command `bulk-lookup`."""

from services.cli.app import main

__all__ = ["main"]
