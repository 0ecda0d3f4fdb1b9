"""The dashboards' files, without any service: dashboard -> chart -> dataset -> column of a dbt model."""

from __future__ import annotations

import json
import re
import uuid
from functools import cache

import pytest
import yaml
from sqlalchemy import make_url

from dashboards.tooling.bundle import MASK, AssetError, build_bundle, kind, read_assets
from dashboards.tooling.deploy import ACCESS
from dashboards.tooling.query_context import UnknownChartKindError, query_context
from infra.settings import CHECKOUT

WAREHOUSE = make_url("postgresql://contactbi_bi:hunter2@127.0.0.1:5432/warehouse")
ASSETS = read_assets()
KINDS = ("databases", "datasets", "charts", "dashboards")
OF_KIND = {one: {name: asset for name, asset in ASSETS.items() if kind(name) == one} for one in KINDS}
DATASETS = {asset["uuid"]: asset for asset in OF_KIND["datasets"].values()}
CHARTS = {asset["uuid"]: asset for asset in OF_KIND["charts"].values()}
DASHBOARDS = list(OF_KIND["dashboards"].values())

each_dataset = pytest.mark.parametrize(
    "dataset", DATASETS.values(), ids=lambda dataset: dataset["table_name"]
)
each_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda chart: chart["slice_name"])

SQL_WORDS = {
    *(
        "all",
        "and",
        "as",
        "at",
        "avg",
        "bool_and",
        "bool_or",
        "by",
        "case",
        "count",
        "distinct",
        "else",
        "end",
    ),
    *("epoch", "extract", "false", "filter", "from", "is", "lpad", "max", "min", "not", "null", "nullif"),
    *("numeric", "or", "sum", "then", "time", "true", "when", "where", "zone"),
}


@cache
def models():
    """Columns of every dbt model, with their descriptions."""
    found = {}
    for path in (CHECKOUT / "dbt" / "models").glob("**/*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            found[model["name"]] = {column["name"] for column in model.get("columns", [])}
    return found


def places(dashboard):
    """Where charts stand on a dashboard."""
    nodes = (node for node in dashboard["position"].values() if isinstance(node, dict))
    return [node["meta"] for node in nodes if node["type"] == "CHART"]


def filters_of(dashboard):
    return dashboard["metadata"]["native_filter_configuration"]


def names_in(sql):
    """Identifiers of an SQL expression: what is neither a string, a number, a type nor a word of SQL."""
    bare = re.sub(r"'[^']*'", "", sql)
    return {
        word for word in re.findall(r"[a-z_][a-z0-9_]*", bare, re.IGNORECASE) if word.lower() not in SQL_WORDS
    }


def values_inside(asset):
    if isinstance(asset, dict):
        for key, value in asset.items():
            yield key, value
            yield from values_inside(value)
    elif isinstance(asset, list):
        for value in asset:
            yield from values_inside(value)


def test_there_are_assets_of_each_kind_and_no_other():
    assert {kind(name) for name in ASSETS} == set(KINDS)
    assert {name: len(OF_KIND[name]) for name in KINDS} == {
        "databases": 1,
        "datasets": 4,
        "charts": len(CHARTS),
        "dashboards": 1,
    }
    assert len(CHARTS) >= 15


def test_every_uuid_is_one_and_stands_once():
    uuids = [asset["uuid"] for asset in ASSETS.values()]
    assert [str(uuid.UUID(one)) for one in uuids] == uuids
    assert len(set(uuids)) == len(uuids)


def test_every_dataset_is_on_our_database():
    (database,) = OF_KIND["databases"].values()
    assert {dataset["database_uuid"] for dataset in DATASETS.values()} == {database["uuid"]}


def test_no_file_holds_a_password_or_a_numeric_id():
    keys = {key for name, asset in ASSETS.items() for key, _ in values_inside(asset)}
    assert keys
    ids = {"id", "slice_id", "datasource", "datasource_id", "datasetId", "database_id", "dashboard_id"}
    forbidden = ids | {"password"}
    # In a dashboard `id` names a node or a filter and is text; chartId is a placeholder within the file.
    numeric = [
        (name, key, value)
        for name, asset in ASSETS.items()
        for key, value in values_inside(asset)
        if key in forbidden and not (kind(name) == "dashboards" and key == "id" and isinstance(value, str))
    ]
    assert numeric == []
    (database,) = OF_KIND["databases"].values()
    assert database["sqlalchemy_uri"] == "postgresql+psycopg2://"


@each_dataset
def test_every_dataset_column_is_a_described_column_of_its_mart(dataset):
    columns = models()[dataset["table_name"]]
    assert columns
    assert dataset["description"]
    assert dataset["columns"]
    for column in dataset["columns"]:
        assert column["description"], column["column_name"]
        assert column["verbose_name"], column["column_name"]
        named = names_in(column["expression"]) if "expression" in column else {column["column_name"]}
        assert named, column["column_name"]
        assert named <= columns, column["column_name"]


@each_dataset
def test_every_metric_is_described_and_made_of_columns_of_its_mart(dataset):
    columns = models()[dataset["table_name"]]
    assert dataset["metrics"]
    for metric in dataset["metrics"]:
        name = metric["metric_name"]
        assert metric["description"], name
        assert metric["verbose_name"], name
        assert names_in(metric["expression"]), name
        assert names_in(metric["expression"]) <= columns, name
        assert not re.search(r"avg\s*\(", metric["expression"], re.IGNORECASE), f"{name} averages averages"


@each_dataset
def test_no_sum_adds_up_what_cannot_be_added(dataset):
    added = {
        column
        for metric in dataset["metrics"]
        for column in re.findall(r"SUM\((\w+)\)", metric["expression"])
    }
    assert added
    not_additive = re.compile(r"_rate$|^gos_|_(min|max|avg)_|^wait_(min|max|avg)_|^aht_|^service_level$")
    assert [column for column in added if not_additive.search(column)] == []


@each_dataset
def test_columns_that_are_counted_are_offered_as_metrics_only(dataset):
    counted = {
        name
        for metric in dataset["metrics"]
        for name in re.findall(r"(?:SUM|MIN|MAX)\((\w+)\)", metric["expression"])
    }
    offered = {column["column_name"] for column in dataset["columns"]}
    to_sort_by = {"period_start", "hour_of_day", "reason_code"}
    assert counted & offered <= to_sort_by


@each_dataset
def test_every_metric_is_guarded_against_counting_twice(dataset):
    condition = dataset["figures_only_when"]
    columns = {column["column_name"]: column.get("expression") for column in dataset["columns"]}
    line = columns["line_of_business"] or "line_of_business"
    for single in {"grain", "variant", "threshold_seconds"} & columns.keys():
        assert f"MIN({single}) = MAX({single})" in condition
    assert f"(MIN({line}) = MAX({line}) OR NOT BOOL_OR({line} = 'ALL'))" in condition
    (built,) = [
        yaml.safe_load(text)
        for name, text in build_bundle(WAREHOUSE).items()
        if kind(name) == "datasets" and yaml.safe_load(text)["uuid"] == dataset["uuid"]
    ]
    assert "figures_only_when" not in built
    assert len(built["metrics"]) == len(dataset["metrics"])
    assert all(metric["expression"].startswith(f"CASE WHEN {condition} THEN ") for metric in built["metrics"])


@each_chart
def test_every_chart_is_described_and_uses_only_what_its_dataset_has(chart):
    assert chart["description"]
    assert chart["slice_name"]
    params = chart["params"]
    assert params["viz_type"] == chart["viz_type"]
    dataset = DATASETS[chart["dataset_uuid"]]
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    (query,) = query_context(params)["queries"]
    assert query["metrics"]
    assert set(query["metrics"]) <= metrics
    used = {column if isinstance(column, str) else column["sqlExpression"] for column in query["columns"]}
    assert used <= columns
    assert {one["col"] for one in query["filters"]} <= columns
    assert {by for by, _ in query["orderby"]} <= metrics
    assert set(params.get("column_config", {})) <= metrics | columns
    assert params.get("x_axis_sort", query["metrics"][0]) in metrics
    assert names_in(query["extras"]["having"]) <= models()[dataset["table_name"]]


@each_chart
def test_every_chart_follows_the_date_filter(chart):
    ranges = [one for one in chart["params"]["adhoc_filters"] if one.get("operator") == "TEMPORAL_RANGE"]
    assert [one["comparator"] for one in ranges] == ["No filter"]


@each_chart
def test_every_chart_shows_one_grain_and_one_line_or_lines_apart(chart):
    """By its own filter or by a filter of its dashboard that cannot be empty: never by both, never by none."""
    (dashboard,) = [one for one in DASHBOARDS if chart["uuid"] in {place["uuid"] for place in places(one)}]
    (place,) = [place for place in places(dashboard) if place["uuid"] == chart["uuid"]]
    own = {
        one["subject"]: one["comparator"]
        for one in chart["params"]["adhoc_filters"]
        if one["clause"] == "WHERE"
    }
    for column in ("grain", "line_of_business"):
        (choice,) = [
            one for one in filters_of(dashboard) if one["targets"][0].get("column", {}).get("name") == column
        ]
        controls = choice["controlValues"]
        assert controls["enableEmptyFilter"]
        assert not controls["multiSelect"]
        assert len(choice["defaultDataMask"]["filterState"]["value"]) == 1
        by_dashboard = place["chartId"] not in choice["scope"]["excluded"]
        apart = column == "line_of_business" and column in chart["params"].get("groupby", [])
        assert [column in own, by_dashboard, apart].count(True) == 1, column
    for column in {"variant", "threshold_seconds"} & {
        column["column_name"] for column in DATASETS[chart["dataset_uuid"]]["columns"]
    }:
        shown = chart["params"]["groupbyRows"] + chart["params"]["groupbyColumns"]
        assert column in own or column in shown


def test_every_chart_stands_on_a_dashboard_and_every_place_has_its_chart():
    placed = [place["uuid"] for dashboard in DASHBOARDS for place in places(dashboard)]
    assert sorted(placed) == sorted(CHARTS)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["slug"])
def test_the_layout_holds_together(dashboard):
    position = dashboard["position"]
    numbers = [place["chartId"] for place in places(dashboard)]
    assert numbers
    assert len(set(numbers)) == len(numbers)
    for place in places(dashboard):
        assert place["sliceName"] == CHARTS[place["uuid"]]["slice_name"]
    nodes = {name: node for name, node in position.items() if isinstance(node, dict)}
    for name, node in nodes.items():
        assert node["id"] == name
        for child in node.get("children", []):
            assert nodes[child]["parents"] == [*node.get("parents", []), name]
        if node["type"] == "ROW":
            assert sum(nodes[child]["meta"]["width"] for child in node["children"]) <= 12
    reached = {child for node in nodes.values() for child in node.get("children", [])}
    assert reached == nodes.keys() - {"ROOT_ID", "HEADER_ID"}
    texts = " ".join(node["meta"]["code"] for node in nodes.values() if node["type"] == "MARKDOWN")
    assert "docs/metrics.md" in texts
    assert "`annex_b_calls`" in texts


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["slug"])
def test_filters_are_on_columns_that_exist_and_leave_out_charts_that_exist(dashboard):
    choices = filters_of(dashboard)
    assert [one["name"] for one in choices] == ["Dates", "Length of period", "Line of business"]
    numbers = {place["chartId"] for place in places(dashboard)}
    for choice in choices:
        assert choice["description"]
        assert set(choice["scope"]["excluded"]) <= numbers
        for target in choice["targets"]:
            if not target:
                continue
            dataset = DATASETS[target["datasetUuid"]]
            assert target["column"]["name"] in {column["column_name"] for column in dataset["columns"]}
            assert choice.get("sortMetric") in {
                None,
                *(metric["metric_name"] for metric in dataset["metrics"]),
            }


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["slug"])
def test_a_filter_reaches_only_charts_whose_dataset_has_its_column(dashboard):
    """Superset leaves a filter out of a query, without a word, when the dataset lacks the column."""
    checked = 0
    for choice in filters_of(dashboard):
        for target in filter(None, choice["targets"]):
            for place in places(dashboard):
                if place["chartId"] not in choice["scope"]["excluded"]:
                    dataset = DATASETS[CHARTS[place["uuid"]]["dataset_uuid"]]
                    assert target["column"]["name"] in {
                        column["column_name"] for column in dataset["columns"]
                    }
                    checked += 1
    assert checked > len(CHARTS)


def test_the_bundle_has_the_address_and_no_password():
    bundle = build_bundle(WAREHOUSE)
    (database,) = [yaml.safe_load(text) for name, text in bundle.items() if kind(name) == "databases"]
    assert database["sqlalchemy_uri"] == f"postgresql+psycopg2://contactbi_bi:{MASK}@127.0.0.1:5432/warehouse"
    assert "hunter2" not in "".join(bundle.values())
    options = database["extra"]["engine_params"]["connect_args"]["options"]
    assert "timezone=Europe/London" in options
    assert "default_transaction_read_only=on" in options
    assert "statement_timeout=" in options


def test_the_bundle_gives_every_chart_the_query_that_its_dashboard_starts_with():
    charts = [
        yaml.safe_load(text) for name, text in build_bundle(WAREHOUSE).items() if kind(name) == "charts"
    ]
    assert len(charts) == len(CHARTS)
    for chart in charts:
        (query,) = json.loads(chart["query_context"])["queries"]
        values = {one["col"]: one["val"] for one in query["filters"]}
        assert values["grain"] in (["day"], "day", "hour"), chart["slice_name"]
        assert values.get("line_of_business", ["ALL"]) == ["ALL"], chart["slice_name"]
        assert chart["is_managed_externally"]


def test_access_names_dashboards_and_databases_that_exist():
    access = yaml.safe_load(ACCESS.read_text(encoding="utf-8"))
    assert set(access["roles"]) == {"Analyst", "Contract Manager"}
    assert set(access["dashboards"]) == {dashboard["slug"] for dashboard in DASHBOARDS}
    databases = {database["database_name"] for database in OF_KIND["databases"].values()}
    for role in access["roles"].values():
        assert set(role["may"]) <= set(access["permissions"])
        assert {place["database"] for place in role["reads"]} <= databases
    for names in access["dashboards"].values():
        assert names
        assert set(names) <= set(access["roles"])
    changing = {"can_write", "can_delete", "can_edit", "can_add", "can_put", "can_post"}
    own_work = {"TabStateView", "SavedQuery"}  # an analyst's own tabs and queries in SQL Lab
    state_of_a_page = re.compile(r"Permalink|FilterState|FormData")
    pairs = [tuple(pair) for pairs in access["permissions"].values() for pair in pairs]
    assert pairs
    assert [
        pair
        for pair in pairs
        if pair[0] in changing and pair[1] not in own_work and not state_of_a_page.search(pair[1])
    ] == []


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "broken.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(AssetError, match=r"charts/broken\.yaml must be a mapping"):
        read_assets(tmp_path)


def test_a_folder_without_assets_is_refused(tmp_path):
    with pytest.raises(AssetError, match="no assets"):
        read_assets(tmp_path)


def test_a_kind_of_chart_that_we_do_not_know_is_refused():
    with pytest.raises(UnknownChartKindError, match="'sunburst_v2'"):
        query_context({"viz_type": "sunburst_v2", "metrics": ["calls_received"], "adhoc_filters": []})
