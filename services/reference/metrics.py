"""The page of metrics."""

from __future__ import annotations

from services.reference.markdown import page, table
from services.runtime.metric_table import ALL
from services.runtime.metrics import TABLE


def metrics_page() -> str:
    """Every metric of every program."""
    # Those of every program come first, then in the table's order.
    together = sorted(dict.fromkeys(m.services for m in TABLE), key=lambda found: -len(found))
    groups = [
        ("every program" if services == ALL else ", ".join(services), services)
        for services in together
    ]
    parts = []
    for title, services in groups:
        rows = [
            (
                f"`{m.name}`",
                m.kind,
                ", ".join(f"`{label}`" for label in m.labels),
                m.help,
                m.remedy,
            )
            for m in TABLE
            if m.services == services
        ]
        parts += [
            f"## Of {title}",
            table(("Metric", "Kind", "Labels", "Meaning", "When it looks wrong"), rows),
        ]
    return page(
        "Metrics",
        "Every program answers `/metrics`, with its process's own metrics beside these. Labels "
        "are bounded: none is a number, a job or a request.",
        *parts,
    )
