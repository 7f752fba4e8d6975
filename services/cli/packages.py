"""Packages of Twilio Lookup as an option."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class PackageName(StrEnum):
    """As `services.contracts.packages.Package`, whose import would slow every command down."""

    BASIC = "basic"
    LINE_TYPE_INTELLIGENCE = "line_type_intelligence"
    CALLER_NAME = "caller_name"


Packages = Annotated[
    list[PackageName] | None,
    typer.Option(
        "--package", help="What to ask; again for more. All but basic cost money per number."
    ),
]


def joined(packages: list[PackageName] | None) -> str | None:
    """The packages as ingest takes them; None for its default."""
    return ",".join(packages) if packages else None
