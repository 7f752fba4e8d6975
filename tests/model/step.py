"""One step of the model."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.world import World


class Step(NamedTuple):
    """What happens, and the world after it."""

    label: str
    world: World
    #: It need never happen: a fault, or a person's act. A run ends where nothing else can.
    fault: bool = False
