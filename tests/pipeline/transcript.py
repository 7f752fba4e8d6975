"""A page that is a transcript of a terminal: its commands, and what is seen after each.

On the page a command begins with `$ `, and goes on in the next line after a backslash. What
follows is the screen, line by line, however wide. The answer to a question stands behind it, as
it does on the screen.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.pipeline.harness import GUARD_SECONDS

_ROWS, _COLUMNS = 24, 80
#: As the command's questions end, before the answer.
_QUESTION = r"(?:commas|\[y/N\]): "
_TOKEN = re.compile(r"\x1b\[(?P<count>[0-9;?]*)(?P<act>[A-Za-z])|[\r\n]|[^\x1b\r\n]+")
#: What is never the same twice. Ids of jobs and requests are: they follow from the file.
_VARIES = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b\d+ (s|min)( \d+ s)? ago", "A MOMENT ago"),
    (r"\b\d+\.\d/s", "RATE/s"),
    (r"(\"rate_per_second\": )[\d.]+", r"\1RATE"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "RANDOM-UUID"),
)


def commands_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a page's console blocks, each with the lines that follow it."""
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, screen = re.sub(r"\\\n", "", part).partition("\n")
            yield command, screen.splitlines()


def type_in(
    command: str, expected: list[str], directory: Path, environ: Mapping[str, str]
) -> list[str]:
    """Type a command into a terminal, and what the page answers to its questions; gives the screen."""
    answers = [
        found[1]
        for line in expected
        if (found := re.search(rf"{_QUESTION}(.+)$", line)) is not None
    ]
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        with os.fdopen(its, "r+b", buffering=0) as side:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=directory,
                env={**environ, "TERM": "xterm"},
                stdin=side,
                stdout=side,
                stderr=side,
                start_new_session=True,
            )
        with process:
            try:
                said = ""
                for part in _parts(terminal.fileno()):
                    said += part
                    if answers and re.search(rf"{_QUESTION}$", said):
                        terminal.write(f"{answers.pop(0)}\n".encode())
            finally:
                process.kill()
    return screen_of(said)


def _parts(terminal: int) -> Iterator[str]:
    """What comes, until the other side is closed."""
    deadline = time.monotonic() + GUARD_SECONDS
    decoder = codecs.getincrementaldecoder("utf-8")()
    # Linux ends a terminal of which nobody has the other side with an error.
    with suppress(OSError):
        while True:
            ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
            assert ready, f"the command has not ended after {GUARD_SECONDS:.0f} s"
            yield decoder.decode(os.read(terminal, 65_536))


def screen_of(said: str) -> list[str]:
    """The lines that are seen when all is said, without empty ones at the end."""
    lines, row, column = [""], 0, 0
    for token in _TOKEN.finditer(said):
        match token["act"], token[0]:
            case None, "\r":
                column = 0
            case None, "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case None, text:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + text + line[column + len(text) :]
                column += len(text)
            case "A", _:
                row -= int(token["count"] or 1)
            case "K", _:
                lines[row] = "" if token["count"] == "2" else lines[row][:column]
            case (("m" | "h" | "l"), _):
                pass
            case act, _:
                raise AssertionError(f"the screen does not know {act!r}")
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def same(lines: list[str]) -> list[str]:
    """The lines with one word for all that is never the same twice."""
    text = "\n".join(line.rstrip() for line in lines)
    for varies, word in _VARIES:
        text = re.sub(varies, word, text)
    return text.splitlines()
