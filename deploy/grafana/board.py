"""What every dashboard has: variables, annotations, links, time range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import POSTGRESQL, PROMETHEUS, Row, arrange

TAG = "lookup"
#: Every program of one installation, which is a namespace; the names of the scrape jobs are ours.
ALL = 'job=~"bulk-lookup-.+",namespace="$namespace"'
INGEST = 'job="bulk-lookup-ingest",namespace="$namespace"'
LOOKUP = 'job="bulk-lookup-lookup",namespace="$namespace"'
SCHEDULER = 'job="bulk-lookup-scheduler",namespace="$namespace"'
RESULTS = 'job="bulk-lookup-results",namespace="$namespace"'
#: Of recording rules, which belong to no job.
OF_RULES = 'namespace="$namespace"'
#: Of alerts, some of which have no namespace: what is gone has no labels.
RULES = 'namespace=~"$namespace|"'
#: Our alerts, among others that a Prometheus may have.
OUR_ALERTS = 'alertname=~"(Ingest|Lookup|Twilio|Results).+"'


class _Annotation(model.AnnotationQuery):
    """With the fields of the Prometheus data source, which Grafana's model leaves to it."""

    def __init__(self, name: str, expr: str, colour: str, title: str, text: str) -> None:
        super().__init__(
            name=name, datasource=PROMETHEUS, enable=True, icon_color=colour, expr=expr
        )
        self._own = {
            "step": "60s",
            "titleFormat": title,
            "textFormat": text,
            "tagKeys": "",
            "useValueForTime": False,
        }

    def to_json(self) -> dict[str, object]:
        """Its fields, for the encoder."""
        return super().to_json() | self._own


def _annotations() -> list[model.AnnotationQuery]:
    releases = f"lookup_build_info{{{ALL}}}"
    by = "group by (namespace, service, version, revision)"
    return [
        _Annotation(
            "Releases",
            # Where a release runs that did not a minute ago: one point each, at its start.
            f"{by} ({releases}) unless {by} ({releases} offset 1m)",
            "blue",
            "{{service}} {{version}}",
            "{{namespace}}: revision {{revision}}",
        ),
        _Annotation(
            "Alerts",
            "group by (alertname, severity, namespace)"
            f' (ALERTS{{alertstate="firing",{OUR_ALERTS},{RULES}}})',
            "red",
            "{{alertname}}",
            "{{severity}} {{namespace}}",
        ),
    ]


def of_label(label: str, metric: str, selector: str) -> model.VariableModel:
    """A variable with the values that a label of a metric has, all of them at first."""
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=label,
        label=label.capitalize(),
        datasource=PROMETHEUS,
        query=f"label_values({metric}{{{selector}}}, {label})",
        current=model.VariableOption(selected=True, text="All", value="$__all"),
        multi=True,
        include_all=True,
        # Also what has no such label.
        all_value=".*",
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.ALPHABETICAL_ASC,
        regex="",
    )


def _namespace() -> model.VariableModel:
    """One installation: figures of two would add up to nothing."""
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name="namespace",
        label="Namespace",
        datasource=PROMETHEUS,
        query="label_values(lookup_build_info, namespace)",
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.ALPHABETICAL_ASC,
        regex="",
    )


def _source(name: str, label: str, kind: str) -> model.VariableModel:
    return model.VariableModel(
        type_val=model.VariableType.DATASOURCE,
        name=name,
        label=label,
        query=kind,
        regex="",
    )


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: its file is called after its `uid`."""

    uid: str
    title: str
    says: str
    rows: Sequence[Row]
    variables: Sequence[model.VariableModel] = ()
    since: str = "now-3h"
    refresh: str = "30s"
    postgresql: bool = False

    def build(self) -> model.Dashboard:
        """Grafana's form of it."""
        sources = [_source("datasource", "Prometheus", "prometheus")]
        if self.postgresql:
            sources.append(_source("postgresql", "PostgreSQL", str(POSTGRESQL.type_val)))
        return model.Dashboard(
            uid=self.uid,
            title=self.title,
            description=self.says,
            tags=[TAG],
            timezone="browser",
            editable=False,
            graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
            time=model.DashboardDashboardTime(from_val=self.since, to="now"),
            timepicker=model.TimePickerConfig(),
            refresh=self.refresh,
            panels=arrange(self.rows),
            templating=model.DashboardDashboardTemplating(
                list_val=[*sources, _namespace(), *self.variables]
            ),
            annotations=model.AnnotationContainer(list_val=_annotations()),
            links=[
                model.DashboardLink(
                    title="Bulk Lookup",
                    type_val=model.DashboardLinkType.DASHBOARDS,
                    icon="external link",
                    tooltip="The other dashboards",
                    tags=[TAG],
                    as_dropdown=False,
                    include_vars=True,
                    keep_time=True,
                )
            ],
        )
