"""How our dashboards look: panels, rows and queries, on Grafana's own model.

A panel's function takes what is peculiar to it; what all share (data source, legend,
colours, links to runbooks) stands here once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.alerts import runbook_url, runbooks_url, threshold

PROMETHEUS = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
POSTGRESQL = model.DataSourceRef(type_val="grafana-postgresql-datasource", uid="${postgresql}")
#: Of a panel that always has something to show.
NO_DATA = "No data: does Prometheus scrape the programs?"

#: From this value on (None: from the start) this colour.
Steps = Sequence[tuple[float | None, str]]
PLAIN: Steps = ((None, "blue"),)
#: A healthy system has none.
NONE_IS_GOOD: Steps = ((None, "green"), (1, "red"))
#: As far as one point of a rate looks back: some scrapes, at any zoom.
RATE = "$__rate_interval"
_WIDTH = 24


def bad_from(*levels: float) -> Steps:
    """Green below the first level, red from the last on, yellow between."""
    *middle, last = levels
    return ((None, "green"), *((level, "yellow") for level in middle), (last, "red"))


def good_from(warning: float, good: float) -> Steps:
    """Red below `warning`, yellow below `good`, then green."""
    return ((None, "red"), (warning, "yellow"), (good, "green"))


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression, and how its series are called."""

    expr: str
    legend: str = "__auto"

    def target(self, ref: str, *, instant: bool, as_table: bool) -> Dataquery:
        """Grafana's form of it: over the time range, or at its end only."""
        return prometheus.Dataquery(
            expr=self.expr,
            instant=instant,
            range_val=not instant,
            editor_mode=prometheus.QueryEditorMode.CODE,
            format_val=prometheus.PromQueryFormat.TABLE
            if as_table
            else prometheus.PromQueryFormat.TIME_SERIES,
            legend_format=self.legend,
            ref_id=ref,
            datasource=PROMETHEUS,
        )


def quantiles(metric: str, selector: str) -> list[Query]:
    """The median and the slowest hundredth of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket{{{selector}}}[{RATE}]))"
    return [
        Query(f"histogram_quantile({share}, {rate})", name)
        for share, name in ((0.5, "half within"), (0.99, "99 % within"))
    ]


def columns(*labels: str, value: str | None = None) -> list[model.DataTransformerConfig]:
    """These labels as columns, in this order; the value under its name, if it has one."""
    order = [*labels, "Value"]
    return [
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, "Value": value is None},
                "indexByName": {name: place for place, name in enumerate(order)},
                "renameByName": {} if value is None else {"Value": value},
            },
        )
    ]


class _SqlTarget(Dataquery):
    """What the PostgreSQL data source takes; Grafana's model has no type for it."""

    def __init__(self, sql: str, form: str, ref: str) -> None:
        self._fields = {
            "datasource": POSTGRESQL,
            "editorMode": "code",
            "format": form,
            "rawQuery": True,
            "rawSql": sql,
            "refId": ref,
        }

    def to_json(self) -> dict[str, object]:
        """Its fields, for the encoder."""
        return dict(self._fields)


@dataclass(frozen=True, slots=True)
class Sql:
    """One query of PostgreSQL; drawn over time, it has `time`, `metric` and `value`."""

    sql: str

    def target(self, ref: str, *, instant: bool, as_table: bool) -> Dataquery:
        """Grafana's form of it."""
        form = "table" if as_table or instant else "time_series"
        return _SqlTarget(self.sql.strip(), form, ref)


AnyQuery = Query | Sql


@dataclass(frozen=True, slots=True)
class Looks:
    """What a panel may have besides its title, description, unit and queries."""

    width: int
    height: int
    #: The alerts that watch what it shows; without any, it links to the list of runbooks.
    alerts: tuple[str, ...] = ()
    steps: Steps = PLAIN
    #: What it says without data; in a healthy system that is never left to guess.
    empty: str = NO_DATA
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    #: What stands in place of a value.
    words: Mapping[float, tuple[str, str]] | None = None


def watched(
    alert: str,
    width: int,
    height: int,
    *,
    most: float | None = None,
    decimals: int | None = None,
    empty: str = NO_DATA,
) -> Looks:
    """What is drawn from 0 on and watched by one alert: red from where it fires."""
    return Looks(
        width,
        height,
        alerts=(alert,),
        steps=bad_from(threshold(alert)),
        least=0,
        most=most,
        decimals=decimals,
        empty=empty,
    )


def figure(title: str, says: str, unit: str, *queries: AnyQuery, looks: Looks) -> model.Panel:
    """What holds now, in one figure with its colour.

    It asks for this instant: of what has gone away it shows nothing, rather than the last value.
    """
    shown = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.BACKGROUND,
        justify_mode=common.BigValueJustifyMode.AUTO,
        text_mode=common.BigValueTextMode.AUTO,
        reduce_options=_last(),
        orientation=common.VizOrientation.AUTO,
    )
    return _panel("stat", title, says, unit, queries, looks, shown, instant=True)


def bars(title: str, says: str, unit: str, *queries: AnyQuery, looks: Looks) -> model.Panel:
    """What holds now, in a bar for each series."""
    shown = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        value_mode=common.BarGaugeValueMode.COLOR,
        reduce_options=_last(),
        orientation=common.VizOrientation.HORIZONTAL,
    )
    return _panel("bargauge", title, says, unit, queries, looks, shown, instant=True)


def graph(
    title: str,
    says: str,
    unit: str,
    *queries: AnyQuery,
    looks: Looks,
    stacked: bool = False,
    in_bars: bool = False,
) -> model.Panel:
    """Lines over time (or bars), with the newest and the largest value in the legend."""
    shown = timeseries.Options(
        legend=common.VizLegendOptions(
            display_mode=common.LegendDisplayMode.TABLE,
            placement=common.LegendPlacement.BOTTOM,
            show_legend=True,
            calcs=["lastNotNull", "max"],
        ),
        tooltip=common.VizTooltipOptions(
            mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING
        ),
    )
    lines = timeseries.FieldConfig(
        draw_style=common.GraphDrawStyle.BARS if in_bars else common.GraphDrawStyle.LINE,
        line_width=1,
        fill_opacity=60 if stacked else 10,
        show_points=common.VisibilityMode.NEVER,
        # A gap is a gap: a program that is away draws no line.
        span_nulls=False,
        stacking=common.StackingConfig(
            mode=common.StackingMode.NORMAL if stacked else common.StackingMode.NONE, group="A"
        ),
        thresholds_style=common.GraphThresholdsStyleConfig(
            mode=common.GraphThresholdsStyleMode.OFF
            if len(looks.steps) == 1
            else common.GraphThresholdsStyleMode.DASHED
        ),
    )
    return _panel("timeseries", title, says, unit, queries, looks, shown, custom=lines)


def rows_of(
    title: str,
    says: str,
    unit: str,
    *queries: AnyQuery,
    looks: Looks,
    cells: Mapping[str, Mapping[str, Any]] | None = None,
    shape: Sequence[model.DataTransformerConfig] = (),
) -> model.Panel:
    """A table; `cells` gives the cells of a column their own unit, width or colours."""
    shown = table.Options(show_header=True, cell_height=common.TableCellHeight.SM)
    made = _panel(
        "table",
        title,
        says,
        unit,
        queries,
        looks,
        shown,
        custom=common.TableFieldOptions(
            align=common.FieldTextAlignment.AUTO, filterable=False, inspect=False
        ),
        instant=True,
        as_table=True,
    )
    made.transformations = list(shape) or None
    assert made.field_config is not None  # noqa: S101 - made above
    made.field_config.overrides = [
        model.DashboardFieldConfigSourceOverrides(
            matcher=model.MatcherConfig(id_val="byName", options=name),
            properties=[
                model.DynamicConfigValue(id_val=key, value=value) for key, value in its.items()
            ],
        )
        for name, its in (cells or {}).items()
    ]
    return made


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions(calcs=["lastNotNull"], fields="", values=False)


def _panel(
    kind: str,
    title: str,
    says: str,
    unit: str,
    queries: Sequence[AnyQuery],
    looks: Looks,
    shown: object,
    *,
    custom: object = None,
    instant: bool = False,
    as_table: bool = False,
) -> model.Panel:
    coloured = len(looks.steps) > 1 or kind in {"stat", "bargauge"}
    return model.Panel(
        type_val=kind,
        id_val=_id(title),
        title=title,
        description=says,
        datasource=POSTGRESQL if isinstance(queries[0], Sql) else PROMETHEUS,
        grid_pos=model.GridPos(h=looks.height, w=looks.width),
        links=[_runbook(alert) for alert in looks.alerts] or [_link("Runbooks", runbooks_url())],
        targets=[
            query.target(chr(ord("A") + number), instant=instant, as_table=as_table)
            for number, query in enumerate(queries)
        ],
        options=shown,
        field_config=model.FieldConfigSource(
            defaults=model.FieldConfig(
                unit=unit,
                decimals=looks.decimals,
                min_val=looks.least,
                max_val=looks.most,
                mappings=_mappings(looks.words or {}),
                thresholds=model.ThresholdsConfig(
                    mode=model.ThresholdsMode.ABSOLUTE,
                    steps=[model.Threshold(value=at, color=color) for at, color in looks.steps],
                ),
                color=model.FieldColor(
                    mode=model.FieldColorModeId.THRESHOLDS
                    if coloured and kind != "timeseries"
                    else model.FieldColorModeId.PALETTE_CLASSIC
                ),
                no_value=looks.empty,
                custom=custom,
            ),
            overrides=[],
        ),
    )


def _id(title: str) -> int:
    """A panel's id, which links to it keep: it goes with the title, not with the place."""
    return zlib.crc32(title.encode()) % 1_000_000 + 1


def _runbook(alert: str) -> model.DashboardLink:
    return _link(f"Runbook: {alert}", runbook_url(alert))


def _link(title: str, url: str) -> model.DashboardLink:
    return model.DashboardLink(
        title=title,
        type_val=model.DashboardLinkType.LINK,
        icon="doc",
        tooltip="What it means, and what to do",
        url=url,
        target_blank=True,
    )


def _mappings(words: Mapping[float, tuple[str, str]]) -> list[model.ValueMapping]:
    if not words:
        return []
    named = {
        f"{value:g}": model.ValueMappingResult(text=text, color=color, index=number)
        for number, (value, (text, color)) in enumerate(words.items())
    }
    return [model.ValueMap(options=named)]


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and what stands below it."""

    title: str
    panels: Sequence[model.Panel]


def arrange(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    """Place the panels of each row from left to right, line by line."""
    placed: list[model.Panel | model.RowPanel] = []
    y = 0
    for row in rows:
        place = model.GridPos(h=1, w=_WIDTH, x=0, y=y)
        placed.append(
            model.RowPanel(title=row.title, id_val=_id(f"row {row.title}"), grid_pos=place)
        )
        x, y, deepest = 0, y + 1, 0
        for panel in row.panels:
            position = panel.grid_pos or model.GridPos()
            if x + position.w > _WIDTH:
                x, y, deepest = 0, y + deepest, 0
            position.x, position.y = x, y
            x, deepest = x + position.w, max(deepest, position.h)
            placed.append(panel)
        y += deepest
    return placed
