"""A program's connections to PostgreSQL, for the boards of each."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import Query, graph, watched


def pool(selector: str, width: int, height: int) -> model.Panel:
    """Connections in use, as a share of the most that a process opens."""
    return graph(
        "PostgreSQL connections used",
        "Connections in use, of DATABASE_POOL_SIZE, by pod. All used for long: statements are slow,"
        " or the pool is too small.",
        "percentunit",
        Query(
            f'sum by (pod) (lookup_database_pool_connections{{{selector},state="used"}})'
            f" / sum by (pod) (lookup_database_pool_connections_max{{{selector}}})",
            "{{pod}}",
        ),
        looks=watched("LookupDatabasePoolSaturated", width, height, most=1),
    )
