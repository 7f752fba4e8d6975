"""Turns the bytes of an upload into a table of text cells, whatever program wrote them."""
