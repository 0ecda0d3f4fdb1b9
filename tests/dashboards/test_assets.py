"""The dashboards' files, without any service: dashboard -> chart -> dataset -> column of a dbt model."""

from __future__ import annotations

import csv
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

DATASET_COUNT = 24
FOR_CONTRACT_MANAGERS = {"inbound-calls", "kpis"}
SLUGS = FOR_CONTRACT_MANAGERS | {"kpi-explanation", "other-channels"}

each_dataset = pytest.mark.parametrize(
    "dataset", DATASETS.values(), ids=lambda dataset: dataset["table_name"]
)
each_chart = pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda chart: chart["slice_name"])

SQL_WORDS = set(
    re.findall(
        r"\w+",
        """all and as at avg bool_and bool_or by case coalesce count date distinct else end epoch extract false filter
        from is isodow lpad max min not null nullif numeric or sum text then time to_char translate trim_scale true
        when where zone""",
    )
)
PERSONAL = {
    "contact_id",
    "call_id",
    "item_id",
    "source_id",
    "customer_key",
    "caller_key",
    "agent_id",
    "conversation_id",
}


@cache
def models():
    """Columns of every dbt model, with their descriptions."""
    found = {}
    for path in (CHECKOUT / "dbt" / "models").glob("**/*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            found[model["name"]] = {
                column["name"]: column["description"] for column in model.get("columns", [])
            }
    return found


def columns_of(dataset):
    """Columns that a dataset may use: those of its mart, and the names that its own query gives to others."""
    return models()[dataset["table_name"]].keys() | set(re.findall(r" as (\w+)", dataset.get("sql", "")))


@cache
def built_datasets():
    """Datasets as the bundle has them."""
    return [
        yaml.safe_load(text) for name, text in build_bundle(WAREHOUSE).items() if kind(name) == "datasets"
    ]


def places(dashboard):
    """Where charts stand on a dashboard."""
    nodes = (node for node in dashboard["position"].values() if isinstance(node, dict))
    return [node["meta"] for node in nodes if node["type"] == "CHART"]


def filters_of(dashboard):
    return dashboard["metadata"]["native_filter_configuration"]


def datasets_behind(dashboard):
    """Datasets of a dashboard's charts and filters, which whoever sees the dashboard may query."""
    of_charts = {CHARTS[place["uuid"]]["dataset_uuid"] for place in places(dashboard)}
    of_filters = {
        target["datasetUuid"] for one in filters_of(dashboard) for target in filter(None, one["targets"])
    }
    return [DATASETS[one] for one in of_charts | of_filters]


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
        "datasets": DATASET_COUNT,
        "charts": len(CHARTS),
        "dashboards": len(SLUGS),
    }
    assert len(CHARTS) >= 53
    assert {dashboard["slug"] for dashboard in DASHBOARDS} == SLUGS


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
    columns = columns_of(dataset)
    assert len(columns) > 1
    assert dataset["description"]
    assert dataset["columns"]
    for column in dataset["columns"]:
        assert column["description"], column["column_name"]
        assert column["verbose_name"], column["column_name"]
        named = names_in(column["expression"]) if "expression" in column else {column["column_name"]}
        assert named, column["column_name"]
        assert named <= columns, column["column_name"]


@each_dataset
def test_a_query_of_a_dataset_reads_its_own_mart_alone(dataset):
    query = dataset.get("sql", f"select * from marts.{dataset['table_name']}")
    read = [table for table in re.findall(r"\bmarts\.(\w+)", query) if table != "figures_as_of"]
    assert read == [dataset["table_name"]]
    named = {name for table, name in re.findall(r"\b(\w+)\.(\w+)", query) if table == "contributions"}
    assert named <= models()[dataset["table_name"]].keys()


@each_dataset
def test_every_metric_is_described_and_made_of_columns_of_its_mart(dataset):
    columns = columns_of(dataset)
    assert dataset["metrics"]
    for metric in dataset["metrics"]:
        name = metric["metric_name"]
        assert metric["description"], name
        assert metric["verbose_name"], name
        assert names_in(metric["expression"]) or "COUNT(*)" in metric["expression"], name
        assert names_in(metric["expression"]) <= columns, name
        assert not re.search(r"avg\s*\(", metric["expression"], re.IGNORECASE), f"{name} averages averages"


@each_dataset
def test_no_sum_adds_up_what_cannot_be_added(dataset):
    """Neither ratios nor extremes; and states, or people, not over several periods."""
    added = {
        (column, metric["expression"])
        for metric in dataset["metrics"]
        for column in re.findall(r"SUM\((\w+)\)", metric["expression"])
    }
    assert added or dataset["table_name"] == "kpi_restatements"
    never = re.compile(
        r"_rate$|^gos_|_(min|max|avg)_|^wait_(min|max|avg)_|^aht_|^service_level$|value$|_share$|^target$|^threshold$"
    )
    of_one_period = re.compile(r"_at_period_end$|^agents$|callers$")
    assert [column for column, _ in added if never.search(column)] == []
    for column, expression in added:
        if of_one_period.search(column):
            guard = "MIN(period_start) = MAX(period_start)"
            assert guard in expression or guard in dataset["figures_only_when"], column


@each_dataset
def test_columns_that_are_counted_are_offered_as_metrics_only(dataset):
    counted = {
        name
        for metric in dataset["metrics"]
        for name in re.findall(r"(?:SUM|MIN|MAX)\((\w+)\)", metric["expression"])
    }
    offered = {column["column_name"] for column in dataset["columns"]}
    to_sort_by = {"period_start", "hour_of_day", "reason_code", "snapshot_at", "extracted_at", "age_hours"}
    assert counted & offered <= to_sort_by


def single_columns(dataset):
    """Columns of which the rows at hand must have one value, or nothing is counted."""
    return re.findall(r"(?:^|AND )MIN\((\w+)\) = MAX\(\1\)", dataset.get("figures_only_when", ""))


@each_dataset
def test_every_metric_is_guarded_against_counting_twice(dataset):
    (built,) = [one for one in built_datasets() if one["uuid"] == dataset["uuid"]]
    assert "figures_only_when" not in built
    assert len(built["metrics"]) == len(dataset["metrics"])
    columns = {column["column_name"]: column.get("expression") for column in dataset["columns"]}
    if dataset["table_name"] == "fct_contacts":  # one row for each contact, and no total among them
        assert "figures_only_when" not in dataset
        assert not {"grain", "period_start"} & columns.keys()
        assert built["metrics"][0]["expression"] == "COUNT(*)"
        return
    condition = dataset["figures_only_when"]
    repeated = {
        "grain",
        "variant",
        "threshold_seconds",
        "x_days",
        "percentile",
        "snapshot_at",
        "extract_position",
    }
    for single in repeated & columns.keys():
        assert single in single_columns(dataset), single
    totals = {
        column: re.search(r"\b(ALL|all) for ", words)
        for column, words in models()[dataset["table_name"]].items()
        if column in ("line", "line_of_business", "channel")
    }
    values = {column: found.group(1) for column, found in totals.items() if found}
    if "'ALL'" in dataset.get("sql", ""):
        values["line_of_business"] = "ALL"
    assert values or dataset["table_name"] == "wip_snapshot"
    for column, value in values.items():
        apart = f"(MIN({column}) = MAX({column}) OR NOT BOOL_OR({column} = '{value}'))"
        assert apart in condition or column in single_columns(dataset), column
    assert all(metric["expression"].startswith(f"CASE WHEN {condition} THEN ") for metric in built["metrics"])


def test_where_lines_do_not_add_up_to_their_total_one_must_be_chosen():
    """A caller of two lines, and an agent of two lines, is one in ALL; percentiles add up to nothing."""
    single = {one["table_name"]: single_columns(one) for one in DATASETS.values()}
    assert {"line", "period_start"} <= set(single["annex_b_repeat_callers"])
    assert {"line", "period_start"} <= set(single["time_to_abandon_percentiles"])
    assert "line_of_business" in single["agent_occupancy"]
    assert "kpi_code" in single["kpi_contributions"]


@pytest.mark.parametrize("table", ["kpi_results", "kpi_restatements"])
def test_a_kpi_has_a_figure_for_one_period_and_line_alone(table):
    (dataset,) = [one for one in DATASETS.values() if one["table_name"] == table]
    counts = re.compile(r"^COUNT\(\*\)|^SUM\(service_credit_points\)$")
    to_sort_by = {"newest_first", "latest_period", "shortest_period"}
    figures = [
        metric["expression"]
        for metric in dataset["metrics"]
        if metric["metric_name"] not in to_sort_by and not counts.search(metric["expression"])
    ]
    assert len(figures) >= 10
    assert all(figure.startswith("CASE WHEN COUNT(*) = 1 THEN ") for figure in figures)


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
    shown = query["metrics"] or query["columns"]
    assert shown
    assert set(shown) <= (metrics if query["metrics"] else columns)
    used = {column if isinstance(column, str) else column["sqlExpression"] for column in query["columns"]}
    assert used <= columns
    assert {one["col"] for one in query["filters"]} <= columns
    assert {by for by, _ in query["orderby"]} <= (metrics if query["metrics"] else columns)
    assert set(params.get("column_config", {})) <= metrics | columns
    if "x_axis_sort" in params:
        assert params["x_axis_sort"] in metrics
    assert names_in(query["extras"]["having"]) <= columns_of(dataset)


@each_chart
def test_every_chart_follows_the_date_filter(chart):
    ranges = [one for one in chart["params"]["adhoc_filters"] if one.get("operator") == "TEMPORAL_RANGE"]
    assert [one["comparator"] for one in ranges] == ["No filter"]
    times = {
        column["column_name"]
        for column in DATASETS[chart["dataset_uuid"]]["columns"]
        if column.get("is_dttm")
    }
    assert {one["subject"] for one in ranges} <= times


@each_chart
def test_every_chart_shows_one_grain_and_one_line_or_lines_apart(chart):
    """By its own filter or by a filter of its dashboard that cannot be empty: never by both."""
    (dashboard,) = [one for one in DASHBOARDS if chart["uuid"] in {place["uuid"] for place in places(one)}]
    (place,) = [place for place in places(dashboard) if place["uuid"] == chart["uuid"]]
    params = chart["params"]
    own = {one["subject"] for one in params["adhoc_filters"] if one["clause"] == "WHERE"}
    by_dashboard = set()
    for choice in filters_of(dashboard):
        column = choice["targets"][0].get("column", {}).get("name")
        controls = choice["controlValues"]
        if column in ("grain", "line_of_business") or not controls.get("multiSelect", True):
            assert controls["enableEmptyFilter"]
            assert not controls["multiSelect"]
            assert len(choice["defaultDataMask"]["filterState"]["value"]) == 1
            if place["chartId"] not in choice["scope"]["excluded"]:
                by_dashboard.add(column)
    assert not own & by_dashboard
    apart = {column for key in ("groupby", "groupbyRows", "groupbyColumns") for column in params.get(key, [])}
    assert "line_of_business" in own | by_dashboard | apart
    dataset = DATASETS[chart["dataset_uuid"]]
    one_hour = {"snapshot_at"} if "is_latest" in own else set()
    for column in set(single_columns(dataset)) - {"line"}:
        assert column in own | by_dashboard | apart | one_hour, column
    assert "grain" in own | by_dashboard or one_hour
    if params["viz_type"] != "big_number_total" and dataset["table_name"].startswith("kpi_re"):
        assert {"kpi_code", "kpi_name"} & (by_dashboard | apart) or params["metrics"][0] == "results"
        assert {"period_date", params.get("x_axis")} & (apart | {"period_start_local"})


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
    for dataset in datasets_behind(dashboard):
        assert f"`{dataset['table_name']}`" in texts


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["slug"])
def test_filters_are_on_columns_that_exist_and_leave_out_charts_that_exist(dashboard):
    choices = filters_of(dashboard)
    names = [one["name"] for one in choices]
    assert names[0] == "Dates"
    assert {"Length of period", "Line of business"} < set(names)
    assert len(set(names)) == len(names)
    ids = [f"NATIVE_FILTER-{name.lower().replace(' ', '-')}" for name in names]
    assert [one["id"] for one in choices] == ids
    numbers = {place["chartId"] for place in places(dashboard)}
    for choice in choices:
        assert choice["description"]
        assert set(choice["scope"]["excluded"]) < numbers
        assert set(choice["cascadeParentIds"]) < set(ids)
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
    assert checked > len(places(dashboard))


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
        assert values.get("is_latest") or values["grain"] in (["day"], ["month"], "day", "hour"), chart[
            "slice_name"
        ]
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


def test_contract_managers_see_no_dataset_with_a_single_contact():
    """Superset lets whoever sees a dashboard ask for any column of its datasets."""
    access = yaml.safe_load(ACCESS.read_text(encoding="utf-8"))["dashboards"]
    theirs = [dashboard for dashboard in DASHBOARDS if "Contract Manager" in access[dashboard["slug"]]]
    assert {dashboard["slug"] for dashboard in theirs} == FOR_CONTRACT_MANAGERS
    seen = {dataset["table_name"] for dashboard in theirs for dataset in datasets_behind(dashboard)}
    assert "kpi_results" in seen
    assert [table for table in seen if PERSONAL & models()[table].keys()] == []
    for_analysts = {
        table for table in ("kpi_contributions", "fct_contacts") if PERSONAL & models()[table].keys()
    }
    assert for_analysts == {"kpi_contributions", "fct_contacts"}


def test_the_kpi_dashboard_gives_the_definitions_in_force():
    (dashboard,) = [one for one in DASHBOARDS if one["slug"] == "kpis"]
    text = dashboard["position"]["MARKDOWN-definitions"]["meta"]["code"]
    shown = [
        tuple(cell.strip() for cell in line.split("|")[1:-1])
        for line in text.splitlines()
        if "`" in line and line[0] == "|"
    ]
    with (CHECKOUT / "dbt" / "seeds" / "kpis.csv").open(encoding="utf-8") as seed:
        in_force = [
            (kpi["name"], f"`{kpi['kpi_code']}`", kpi["numerator"], kpi["denominator"], kpi["counted_by"])
            for kpi in csv.DictReader(seed)
            if not kpi["valid_to"]
        ]
    assert len(in_force) >= 13
    assert shown == in_force


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "broken.yaml").write_text("- a\n", encoding="utf-8")
    with pytest.raises(AssetError, match=r"charts/broken\.yaml must be a mapping"):
        read_assets(tmp_path)


def test_a_folder_without_assets_is_refused(tmp_path):
    with pytest.raises(AssetError, match="no assets"):
        read_assets(tmp_path)


def test_a_table_of_single_rows_adds_up_nothing():
    params = {
        "viz_type": "table",
        "query_mode": "raw",
        "all_columns": ["item_id", "counted_at"],
        "order_by_cols": ['["counted_at", true]'],
        "adhoc_filters": [],
        "row_limit": 10,
    }
    (query,) = query_context(params)["queries"]
    assert query["metrics"] is None
    assert query["columns"] == ["item_id", "counted_at"]
    assert query["orderby"] == [["counted_at", True]]
    assert query["row_limit"] == 10


def test_a_kind_of_chart_that_we_do_not_know_is_refused():
    with pytest.raises(UnknownChartKindError, match="'sunburst_v2'"):
        query_context({"viz_type": "sunburst_v2", "metrics": ["calls_received"], "adhoc_filters": []})
