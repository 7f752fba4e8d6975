"""What every program uses of its machine, for the boards of each."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import RATE, Looks, Query, Row, graph


def _used(title: str, says: str, unit: str, expr: str) -> model.Panel:
    return graph(title, says, unit, Query(expr, "{{pod}}"), looks=Looks(8, 7, least=0))


def processes(selector: str) -> Row:
    """The processor, memory and open files of a program's processes."""
    return Row(
        "Processes",
        [
            _used(
                "Processor",
                "Processors' time used, by pod. A program works in one thread: at 1 it is full.",
                "short",
                f"rate(process_cpu_seconds_total{{{selector}}}[{RATE}])",
            ),
            _used(
                "Memory",
                "Resident memory, by pod. A pod over its limit is killed, and its calls are lost.",
                "bytes",
                f"process_resident_memory_bytes{{{selector}}}",
            ),
            _used(
                "Open files",
                "Files and connections, by pod. Rising without end is a leak.",
                "short",
                f"process_open_fds{{{selector}}}",
            ),
        ],
    )
