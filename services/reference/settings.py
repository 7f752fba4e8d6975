"""The page of settings: one table per class of them, since programs share most."""

from __future__ import annotations

import inspect

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.ingest.settings import IngestSettings
from services.lookup.scheduler import SchedulerSettings
from services.lookup.settings import LookupSettings
from services.reference.markdown import page, table
from services.reference.values import default_of, kind_of
from services.results.settings import ResultsSettings
from services.runtime.settings import ProgramSettings

#: The programs, and what each can be told.
PROGRAMS: dict[str, type[ProgramSettings]] = {
    "ingest": IngestSettings,
    "lookup": LookupSettings,
    "scheduler": SchedulerSettings,
    "results": ResultsSettings,
}


def settings_page() -> str:
    """Every setting of every program."""
    readers: dict[type[BaseModel], list[str]] = {}
    for program, model in PROGRAMS.items():
        for part in reversed(model.__mro__):
            if issubclass(part, BaseModel) and _own_fields(part):
                readers.setdefault(part, []).append(program)
    parts = []
    for part, programs in sorted(readers.items(), key=lambda item: -len(item[1])):
        properties = part.model_json_schema(mode="validation")
        rows = [
            (
                f"`{name.upper()}`",
                kind_of(properties["properties"][name], properties.get("$defs", {})),
                default_of(field),
                field.description or "",
            )
            for name, field in _own_fields(part).items()
        ]
        read_by = "every program" if len(programs) == len(PROGRAMS) else ", ".join(programs)
        parts += [
            f"## {_title(part)}",
            f"Read by {read_by}.",
            table(("Setting", "Value", "Default", "Meaning"), rows),
        ]
    return page(
        "Settings",
        "Read once from the environment when a program starts; an empty one counts as not set. "
        "All that are wrong are reported at once, and the program exits with code 78. A duration "
        "is a number with its unit: `250ms`, `15s`, `5m`, `2h`, `30d`. Of a secret and its "
        "`…_FILE` the file wins.",
        *parts,
    )


def _title(model: type[BaseModel]) -> str:
    """What a class of settings is about, from its docstring."""
    first = inspect.cleandoc(model.__doc__ or "").splitlines()[0]
    return first.partition(";")[0].removesuffix(".")


def _own_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    own = inspect.get_annotations(model)
    return {name: field for name, field in model.model_fields.items() if name in own}
