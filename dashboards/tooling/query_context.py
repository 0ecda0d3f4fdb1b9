"""The query that a chart makes, worked out from its parameters.

A browser works it out for itself; reports, CSV downloads by address and our own tests use the stored one, which
Superset writes only when a person saves a chart by hand. This covers the kinds of chart that we have, and refuses
others.
"""

from __future__ import annotations

import json
from typing import Any

_SERIES = ("echarts_timeseries_line", "echarts_timeseries_bar")
_KINDS = (*_SERIES, "big_number_total", "pivot_table_v2", "table")


class UnknownChartKindError(ValueError):
    """A chart is of a kind whose query this module does not know."""


def query_context(params: dict[str, Any]) -> dict[str, Any]:
    """Build the query context of a chart.

    Args:
        params: The chart's parameters. `extra_form_data`, if present, holds the filter values that its dashboard starts
            with, and they are part of the query.

    Returns:
        The query context, its data source still 0: Superset's importer puts the dataset's number in.

    Raises:
        UnknownChartKindError: The kind of chart is not covered.
    """
    kind = params["viz_type"]
    if kind not in _KINDS:
        raise UnknownChartKindError(
            f"The query of a chart of kind {kind!r} is not known. Add it to {__name__}."
        )
    metrics = _metrics(params)
    query = {
        "filters": _filters(params),
        "extras": {"having": _having(params), "where": ""},
        "columns": _columns(params),
        "metrics": metrics,
        "orderby": _order(params, metrics),
        "row_limit": params.get("row_limit", 1_000),
        "order_desc": params.get("order_desc", True),
        "annotation_layers": [],
    }
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": [query],
        "form_data": params,
        "result_format": "json",
        "result_type": "full",
    }


def _metrics(params: dict[str, Any]) -> list[str] | None:
    """Names of metrics; None for a table of rows as they are, which adds up nothing."""
    if params.get("query_mode") == "raw":
        return None
    return list(params["metrics"]) if "metrics" in params else [params["metric"]]


def _filters(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The chart's own filters, and after them the values that its dashboard starts with."""
    own = [
        {"col": one["subject"], "op": one["operator"], "val": one["comparator"]}
        for one in params["adhoc_filters"]
        if one["clause"] == "WHERE"
    ]
    return own + list(params.get("extra_form_data", {}).get("filters", []))


def _having(params: dict[str, Any]) -> str:
    conditions = [one["sqlExpression"] for one in params["adhoc_filters"] if one["clause"] == "HAVING"]
    return " AND ".join(f"({condition})" for condition in conditions)


def _columns(params: dict[str, Any]) -> list[Any]:
    if params["viz_type"] == "pivot_table_v2":
        return [*params["groupbyColumns"], *params["groupbyRows"]]
    if params.get("query_mode") == "raw":
        return list(params["all_columns"])
    if params["viz_type"] not in _SERIES:
        return list(params.get("groupby", []))
    axis = {
        "columnType": "BASE_AXIS",
        "expressionType": "SQL",
        "isColumnReference": True,
        "label": params["x_axis"],
        "sqlExpression": params["x_axis"],
        "timeGrain": params.get("time_grain_sqla"),
    }
    return [axis, *params["groupby"]]


def _order(params: dict[str, Any], metrics: list[str] | None) -> list[list[Any]]:
    """What decides which rows are kept when there are more than the limit: the sort metric, or the first metric."""
    if metrics is None:
        return [json.loads(one) for one in params["order_by_cols"]]
    if params["viz_type"] == "big_number_total":
        return []
    return [[params.get("timeseries_limit_metric", metrics[0]), not params.get("order_desc", True)]]
