"""What a program is told where it is deployed, held against what it can be told."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from unittest.mock import patch

from pydantic import BaseModel

from services.reference import PROGRAMS
from services.runtime.settings import DatabaseSettings, SettingsError, load_settings

#: Every program and what it can be told; `migrate` only where PostgreSQL is.
MODELS: dict[str, type[BaseModel]] = {**PROGRAMS, "migrate": DatabaseSettings}
#: What Secrets hold, of the form that the programs want.
_STAND_INS = {
    "DATABASE_URL": "postgresql://user:password@db:5432/bulk_lookup",
    "API_TOKENS": "somebody:a-token-of-some-length",
    "TWILIO_API_KEY": "SK" + 32 * "0",
    "TWILIO_ACCOUNT_SID": "AC" + 32 * "0",
}


def names_of(program: str) -> set[str]:
    """The variables a program reads; what a migration need not be told is left out."""
    names = {name.upper() for name in MODELS[program].model_fields}
    return names - {"DATABASE_POOL_SIZE"} if program == "migrate" else names


def not_read(program: str, environment: Collection[str]) -> list[str]:
    """Variables that the program does not know: misspelt, or another program's."""
    return [
        f"{program} does not read {name}" for name in sorted(set(environment) - names_of(program))
    ]


def not_decided(
    program: str, environment: Collection[str], left_alone: Collection[str]
) -> list[str]:
    """Settings that are neither set nor left at their default for a reason that is written."""
    return [
        f"nobody decided {name} of {program}"
        for name in sorted(names_of(program) - set(environment) - set(left_alone))
    ]


def left_for_nothing(
    told: Iterable[tuple[str, Collection[str]]], left_alone: Collection[str]
) -> list[str]:
    """Settings said to be left at their default that no program leaves so, at any place.

    Args:
        told: Each program with what it is told, wherever it is deployed.
        left_alone: The settings.
    """
    places = list(told)
    return [
        f"{name} is set everywhere, or is no setting"
        for name in sorted(left_alone)
        if not any(
            name in names_of(program) and name not in environment for program, environment in places
        )
    ]


def refused(program: str, environment: Mapping[str, str | None]) -> list[str]:
    """What the program would say of its settings at its start, and end.

    Args:
        program: Which one.
        environment: What it is told; None where a Secret has the value.
    """
    told = {
        name: _STAND_INS.get(name, "a-secret") if value is None else value
        for name, value in environment.items()
    }
    model: Any = PROGRAMS.get(program)
    if model is None:
        return []
    with patch.dict(os.environ, told, clear=True):
        try:
            load_settings(model)
        except SettingsError as error:
            return [str(error)]
    return []
