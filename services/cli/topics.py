"""`bulk-lookup topics`: the topic table beside what is on Kafka, and more partitions."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.exits import NOT_OK, OK
from services.cli.output import AsJson, Column, Screen

topics = typer.Typer(help="Show the topics, and give them more partitions.")

#: As many as KAFKA_PARTITIONS may say.
_MOST = 1000
Partitions = Annotated[
    int, typer.Argument(metavar="N", min=1, max=_MOST, help="Partitions of each of these topics.")
]


@topics.callback(invoke_without_command=True)
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the topic table beside what is on Kafka; exit code 1 when it differs."""
    if ctx.invoked_subcommand is not None:
        return
    from services.cli import topic_report  # noqa: PLC0415 - slow, and only here

    screen = Screen(as_json=as_json)
    report = asyncio.run(topic_report.read())
    if as_json:
        for line in report.lines:
            screen.json(line.as_json())
    else:
        screen.table(
            [
                Column("Topic"),
                Column("Partitions", number=True),
                Column("On Kafka", number=True),
                Column("Keeps"),
                Column("Written by"),
                Column("Read by"),
                Column("State", wraps=True),
            ],
            [line.cells() for line in report.lines],
        )
    for problem in report.problems:
        screen.note(problem, "red")
    for remark in report.remarks:
        screen.note(remark)
    raise typer.Exit(NOT_OK if report.problems else OK)


@topics.command()
def resize(number: Partitions, as_json: AsJson = False) -> None:
    """Give all aligned topics N partitions, once nothing is on its way and no program runs."""
    from services.cli import resize as resizing  # noqa: PLC0415 - slow, and only here

    screen = Screen(as_json=as_json)
    grown = asyncio.run(resizing.resize(number))
    if as_json:
        screen.json({"partitions": number, "grown": grown})
        return
    for topic, before in grown.items():
        screen.line(f"{topic}: {before} -> {number}")
    if not grown:
        screen.line(f"They all have {number} partitions already.")
    screen.note(f"Set KAFKA_PARTITIONS={number} as well, and start the programs.")
