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
        "--package",
        metavar="PACKAGE",
        help="What to ask: line_type_intelligence or caller_name, which cost money per number; "
        "again for more. basic, which is free, without.",
    ),
]


def joined(packages: list[PackageName] | None) -> str | None:
    """The packages as ingest takes them; None for its default."""
    return ",".join(packages) if packages else None
