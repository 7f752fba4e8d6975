"""Writes the reference pages and the published contracts from the code.

So they cannot say anything else. `python -m services.reference` writes docs/reference, and
refuses if a contract were broken that others rely on; with `--check` it writes nothing and
fails if a file is not what the code says.
"""

from services.reference.messages import RECORDS
from services.reference.settings import PROGRAMS
from services.reference.writing import DIRECTORY, files, main

__all__ = ["DIRECTORY", "PROGRAMS", "RECORDS", "files", "main"]
