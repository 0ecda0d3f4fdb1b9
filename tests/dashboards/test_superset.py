"""Superset as it runs: every chart has figures, the figures are right, an import is repeatable, and roles hold."""

from __future__ import annotations

import shutil
import uuid

import psutil
import psycopg
import pytest
import yaml

from dashboards.tooling.bundle import ASSETS, kind, read_assets
from dashboards.tooling.deploy import DashboardImportError, deploy
from infra import superset
from infra.local import supervisor
from infra.local.superset_service import SupersetService
from infra.postgres import connect

pytestmark = pytest.mark.services

OURS = read_assets()
CHARTS = {asset["slice_name"]: asset for name, asset in OURS.items() if kind(name) == "charts"}

ONE_DAY = {"col": "grain", "op": "==", "val": "day"}
ONE_HOUR = {"col": "grain", "op": "==", "val": "hour"}
TOTAL = {"col": "line_of_business", "op": "==", "val": "ALL"}


@pytest.fixture(scope="module")
def chart_data(admin):
    """`chart_data(name)`: what a chart gives by its stored query."""
    numbers = {chart["slice_name"]: chart["id"] for chart in admin.list("chart")}
    assert set(numbers) == set(CHARTS)

    def get(name):
        answer = admin.client.get(f"/chart/{numbers[name]}/data/", params={"force": "true"})
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["result"]
        return result

    return get


def sql(shown, question, *values):
    with connect(shown.settings) as warehouse:
        return warehouse.execute(question, values).fetchone()


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_has_rows_and_every_figure_of_it_a_value(chart_data, name):
    result = chart_data(name)
    assert result["error"] is None
    assert result["rowcount"] > 0
    params = CHARTS[name]["params"]
    metrics = params.get("metrics") or [params["metric"]]
    for metric in metrics:
        assert any(row[metric] is not None for row in result["data"]), metric


def test_headline_figures_equal_a_count_of_the_calls_themselves(shown, chart_data):
    received, offered, answered, within_30, within_70, abandoned = sql(
        shown,
        """select count(*), count(*) filter (where is_offered), count(*) filter (where is_answered),
               count(*) filter (where is_answered and wait_seconds <= 30),
               count(*) filter (where is_answered and wait_seconds <= 70),
               count(*) filter (where outcome = 'abandoned_in_queue')
           from marts.fct_calls where not is_test""",
    )
    assert received > offered > answered > within_70 > within_30 > 0
    assert abandoned > 0
    expected = {
        "Calls received": received,
        "Calls offered": offered,
        "Calls answered": answered,
        "Grade of service, 30 seconds": within_30 / answered,
        "Grade of service, 70 seconds": within_70 / answered,
        "Abandon rate in queue": abandoned / offered,
    }
    for name, value in expected.items():
        (row,) = chart_data(name)["data"]
        assert list(row.values()) == [pytest.approx(value, abs=1e-12)], name


def test_charts_over_time_and_tables_agree_with_the_calls(shown, chart_data, days):
    received, abandoned, answered = sql(
        shown,
        """select count(*), count(*) filter (where outcome = 'abandoned_in_queue'), count(*) filter (where is_answered)
           from marts.fct_calls where not is_test""",
    )
    volumes = chart_data("Calls received, offered, answered and retained in the IVR")["data"]
    assert len(volumes) == len(days)
    assert sum(row["calls_received"] for row in volumes) == received
    buckets = chart_data("Time to abandon")["data"]
    assert sum(row["abandoned_calls"] for row in buckets) == abandoned
    by_line = {row["line_of_business"]: row for row in chart_data("Figures by line of business")["data"]}
    assert by_line.pop("ALL")["calls_received"] == received
    assert sum(row["calls_received"] for row in by_line.values()) == received
    formulas = chart_data("Service level by each published formula")["data"]
    (contract,) = [row for row in formulas if row["variant"] == "F2" and row["threshold_seconds"] == 30]
    assert contract["denominator"] == answered


def test_no_choice_of_filters_counts_a_call_twice(shown, admin):
    (received,) = sql(shown, "select count(*) from marts.fct_calls where not is_test")
    apart = {"col": "line_of_business", "op": "!=", "val": "ALL"}
    ask = {
        "nothing": [],
        "all lines of one grain": [ONE_DAY],
        "every grain of the total": [TOTAL],
        "the total": [ONE_DAY, TOTAL],
        "the lines without their total": [ONE_DAY, apart],
    }
    figures = {name: admin.ask("annex_b_calls", ["calls_received"], chosen) for name, chosen in ask.items()}
    assert {name: rows[0]["calls_received"] for name, rows in figures.items()} == {
        "nothing": None,
        "all lines of one grain": None,
        "every grain of the total": None,
        "the total": received,
        "the lines without their total": received,
    }
    assert admin.ask("service_level_variants", ["service_level"], [ONE_DAY, TOTAL]) == [
        {"service_level": None}
    ]


def test_an_instant_is_cut_into_uk_days(shown, admin):
    """Hours added up by Superset into days, over the night of the clock change, are the days of the mart."""
    by_day = {
        "columnType": "BASE_AXIS",
        "expressionType": "SQL",
        "label": "day",
        "sqlExpression": "period_start",
        "timeGrain": "P1D",
        "isColumnReference": True,
    }
    rows = admin.ask("annex_b_calls", ["calls_received", "periods"], [ONE_HOUR, TOTAL], [by_day])
    with connect(shown.settings) as warehouse:
        days = warehouse.execute(
            "select calls_received from marts.annex_b_calls where grain = 'day' and line_of_business = 'ALL' "
            "order by period_start"
        ).fetchall()
    rows.sort(key=lambda row: row["day"])
    assert [row["calls_received"] for row in rows] == [day for (day,) in days]
    # The first day is whole only from its first call on; of the others one has 23 hours.
    assert sorted(row["periods"] for row in rows[1:]) == [23, *[24] * (len(days) - 2)]


DATE_COLUMNS = [
    (dataset, column)
    for dataset in ("annex_b_calls", "annex_b_time_to_abandon", "annex_b_call_types")
    for column in ("period_start", "period_start_local")
] + [("annex_b_calls", "period_date")]


@pytest.mark.parametrize(("dataset", "column"), DATE_COLUMNS)
def test_a_date_filter_takes_whole_uk_days(shown, admin, dataset, column):
    metric = {
        "annex_b_calls": ("calls_received", "not is_test"),
        "annex_b_time_to_abandon": ("abandoned_calls", "not is_test and outcome = 'abandoned_in_queue'"),
        "annex_b_call_types": ("calls_primary", "not is_test and is_answered and legs_count > 0"),
    }[dataset]
    chosen = [ONE_DAY, TOTAL, {"col": column, "op": "TEMPORAL_RANGE", "val": "2026-03-29 : 2026-03-31"}]
    (row,) = admin.ask(dataset, [metric[0]], chosen)
    question = f"select count(*) from marts.fct_calls where {metric[1]} and received_date between %s and %s"
    (expected,) = sql(shown, question, "2026-03-29", "2026-03-30")
    assert expected > 0
    if dataset == "annex_b_call_types":  # a call still in its last leg has no type yet
        assert 0 < row[metric[0]] <= expected
    else:
        assert row[metric[0]] == expected


def test_an_import_reports_what_it_did(shown):
    result = shown.first_import
    assert result.imported == {"databases": 1, "datasets": 4, "charts": len(CHARTS), "dashboards": 1}
    assert result.removed == []
    assert result.connection == {"user": "contactbi_bi", "timezone": "Europe/London", "read_only": "on"}
    assert "contactbi_bi" in result.as_text()


def test_an_import_again_sets_right_what_was_changed_and_removes_what_is_gone(
    shown, admin, make_settings, tmp_path
):
    wrong = make_settings(shown.settings.home, bi_password="not-the-password")
    with pytest.raises(DashboardImportError, match=r"(?s)warehouse cannot be read.*contactbi_bi") as refused:
        deploy(wrong)
    assert "not-the-password" not in str(refused.value)
    before = {one["id"]: one["slice_name"] for one in admin.list("chart")}
    database = admin.list("database")[0]["id"]

    # One chart more in the checkout, a chart and a role changed by hand, and a chart that somebody made for themselves.
    more = tmp_path / "assets"
    shutil.copytree(ASSETS, more)
    extra = yaml.safe_load((more / "charts" / "call_types.yaml").read_text(encoding="utf-8"))
    extra |= {"uuid": str(uuid.uuid4()), "slice_name": "A chart of yesterday"}
    (more / "charts" / "extra.yaml").write_text(yaml.safe_dump(extra), encoding="utf-8")
    assert deploy(shown.settings, more).imported["charts"] == len(CHARTS) + 1
    changed = next(iter(before))
    admin.client.put(f"/chart/{changed}", json={"slice_name": "Renamed by hand"}).raise_for_status()
    (dataset,) = [one["id"] for one in admin.list("dataset") if one["table_name"] == "annex_b_calls"]
    own = {"slice_name": "My own", "datasource_id": dataset, "datasource_type": "table", "params": "{}"}
    made = admin.client.post("/chart/", json=own)
    assert made.status_code == 201, made.text
    (analyst,) = [one["id"] for one in admin.list("security/roles") if one["name"] == "Analyst"]
    (gamma,) = [one["id"] for one in admin.list("security/roles") if one["name"] == "Gamma"]
    rights = admin.client.get(f"/security/roles/{analyst}/permissions/").json()["result"]
    foreign = admin.client.get(f"/security/roles/{gamma}/permissions/").json()["result"]
    wide = {"permission_view_menu_ids": [one["id"] for one in rights + foreign]}
    admin.client.post(f"/security/roles/{analyst}/permissions", json=wide).raise_for_status()

    result = deploy(shown.settings)

    assert result.removed == ["A chart of yesterday"]
    mine = made.json()["id"]
    assert {one["id"]: one["slice_name"] for one in admin.list("chart")} == before | {mine: "My own"}
    assert [one["id"] for one in admin.list("database")] == [database]
    assert len(admin.list("dataset")) == 4
    assert len(admin.list("dashboard")) == 1
    after = admin.client.get(f"/security/roles/{analyst}/permissions/").json()["result"]
    assert {one["id"] for one in after} == {one["id"] for one in rights}
    admin.client.delete(f"/chart/{mine}").raise_for_status()


def test_an_asset_that_superset_refuses_is_named(shown, tmp_path):
    broken = tmp_path / "assets"
    shutil.copytree(ASSETS, broken)
    path = broken / "charts" / "call_types.yaml"
    asset = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(asset | {"colour": "blue"}), encoding="utf-8")
    with pytest.raises(DashboardImportError, match=r"charts/call_types\.yaml.*colour"):
        deploy(shown.settings, broken)


def test_preparing_again_costs_nothing_and_a_new_password_is_set(shown, make_settings):
    assert superset.prepare(shown.settings) is False
    address = superset.metadata_url(shown.settings, "superset").render_as_string(hide_password=False)
    with psycopg.connect(address) as metadata:
        (mark,) = metadata.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = 'superset'"
        ).fetchone()
    assert shown.settings.superset_password.get_secret_value() not in mark


def test_every_socket_of_superset_listens_on_the_loopback_alone(shown):
    status = supervisor.status(SupersetService(shown.settings))
    assert status.state == "running"
    family = [psutil.Process(status.pid), *psutil.Process(status.pid).children(recursive=True)]
    listening = [
        one.laddr for process in family for one in process.net_connections() if one.status == "LISTEN"
    ]
    assert listening
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_an_analyst_explores_the_marts_and_changes_nothing(shown, visitor):
    analyst = visitor("Analyst")
    assert [one["slug"] for one in analyst.list("dashboard")] == ["inbound-calls"]
    assert {one["slice_name"] for one in analyst.list("chart")} == set(CHARTS)
    assert len(analyst.list("dataset")) == 4
    (row,) = analyst.ask("annex_b_calls", ["calls_received"], [ONE_DAY, TOTAL])
    assert row["calls_received"] > 0

    (database,) = analyst.list("database")

    def run(statement):
        order = {"database_id": database["id"], "sql": statement, "schema": "marts", "runAsync": False}
        return analyst.client.post("/sqllab/execute/", json=order)

    allowed = run("select count(*) as calls from marts.fct_calls")
    assert allowed.status_code == 200, allowed.text
    assert allowed.json()["data"][0]["calls"] > 0
    refused = [
        "delete from marts.fct_calls",
        "create table marts.mine as select 1 as a",
        "select * from raw.telephony_call",
        "select * from ops.files",
    ]
    for statement in refused:
        assert run(statement).status_code >= 400, statement

    (chart, *_) = analyst.list("chart")
    (dashboard,) = analyst.list("dashboard")
    dataset = analyst.list("dataset")[0]
    attempts = {
        "change a chart": analyst.client.put(f"/chart/{chart['id']}", json={"slice_name": "Mine"}),
        "remove a chart": analyst.client.delete(f"/chart/{chart['id']}"),
        "make a chart": analyst.client.post(
            "/chart/", json={"slice_name": "Mine", "datasource_id": dataset["id"], "datasource_type": "table"}
        ),
        "change a dashboard": analyst.client.put(
            f"/dashboard/{dashboard['id']}", json={"dashboard_title": "Mine"}
        ),
        "make a dashboard": analyst.client.post("/dashboard/", json={"dashboard_title": "Mine"}),
        "change a dataset": analyst.client.put(f"/dataset/{dataset['id']}", json={"description": "Mine"}),
        "change the database": analyst.client.put(f"/database/{database['id']}", json={"allow_dml": True}),
        "see users": analyst.client.get("/security/users/"),
    }
    assert {name: answer.status_code for name, answer in attempts.items()} == dict.fromkeys(attempts, 403)


def test_a_contract_manager_sees_the_dashboard_and_nothing_else(admin, visitor):
    manager = visitor("Contract Manager")
    (dashboard,) = manager.list("dashboard")
    assert dashboard["slug"] == "inbound-calls"
    charts = manager.client.get(f"/dashboard/{dashboard['id']}/charts")
    assert charts.status_code == 200
    assert len(charts.json()["result"]) == len(CHARTS)

    # As the dashboard itself asks for the figure of a chart: naming the chart and the dashboard.
    (chart,) = [one["id"] for one in admin.list("chart") if one["slice_name"] == "Calls received"]
    question = admin.question("annex_b_calls", ["calls_received"], [ONE_DAY, TOTAL])
    of_chart = question | {"form_data": {"dashboardId": dashboard["id"], "slice_id": chart}}
    seen = manager.client.post("/chart/data", json=of_chart)
    assert seen.status_code == 200, seen.text
    assert seen.json()["result"][0]["data"][0]["calls_received"] > 0

    order = {"database_id": admin.list("database")[0]["id"], "sql": "select 1", "runAsync": False}
    attempts = {
        "datasets": manager.client.get("/dataset/"),
        "databases": manager.client.get("/database/"),
        "SQL Lab": manager.client.post("/sqllab/execute/", json=order),
        "a query of their own": manager.client.post("/chart/data", json=question),
        "a new dashboard": manager.client.post("/dashboard/", json={"dashboard_title": "Mine"}),
        "users": manager.client.get("/security/users/"),
    }
    assert {name: answer.status_code for name, answer in attempts.items()} == dict.fromkeys(attempts, 403)
    assert manager.list("chart") == []


def test_somebody_without_a_role_of_ours_sees_nothing(admin, shown, visitor):
    (dashboard,) = admin.list("dashboard")
    newcomer = visitor("Public")
    assert newcomer.client.get(f"/dashboard/{dashboard['id']}").status_code in (403, 404)
    assert newcomer.client.get("/dataset/").status_code == 403
