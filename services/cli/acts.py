"""What a person does to an account or a job: stop it, let it go on."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import typer

from services.cli.output import Screen
from services.cli.session import Session

Act = Literal["stop", "resume"]
Why = Annotated[str, typer.Option(help="Shown to others beside the hold.")]


def carry_out(
    ctx: typer.Context, act: Act, kind: tuple[str, str], name: str, why: str, *, as_json: bool
) -> None:
    """Stop or resume one thing through results, and say what came of it.

    Args:
        ctx: Of the command.
        act: What to do.
        kind: Where the API has such things, and the command that lets one go on.
        name: Which one.
        why: Shown to others.
        as_json: Print the answer alone.
    """
    path, command = kind
    session: Session = ctx.obj
    screen = Screen(as_json=as_json)
    with session.results() as api:
        done = api.post(f"/v1/{path}/{quote(name, safe='')}/{act}", {"why": why})
    if as_json:
        screen.json(done)
    elif done["held"]:
        screen.line(f"{name} is stopped ({done['by']}).")
        screen.note(f"Let it go on with: bulk-lookup {command} resume {name} --why ...")
    else:
        screen.line(f"{name} goes on; cleared: {', '.join(done['causes'])}.")
