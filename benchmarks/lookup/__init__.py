"""Lookup beside a plain consumer; see `__main__`."""
