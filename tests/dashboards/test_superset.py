"""Superset as it runs: every chart has figures, the figures are right, an import is repeatable, and roles hold."""

from __future__ import annotations

import re
import shutil
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import psutil
import psycopg
import pytest
import yaml

from analysis.crosstab import MEASURES, crosstab
from analysis.crosstab import TOTAL as OF_ALL
from dashboards.tooling.bundle import ASSETS, kind, read_assets
from dashboards.tooling.deploy import DashboardImportError, deploy
from infra import superset
from infra.local import supervisor
from infra.local.superset_service import SupersetService
from infra.postgres import connect
from infra.settings import CHECKOUT

pytestmark = pytest.mark.services

OURS = read_assets()
CHARTS = {asset["slice_name"]: asset for name, asset in OURS.items() if kind(name) == "charts"}
DATASETS = {asset["table_name"]: asset for name, asset in OURS.items() if kind(name) == "datasets"}
DASHBOARDS = {asset["slug"]: asset for name, asset in OURS.items() if kind(name) == "dashboards"}

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
    figures = params.get("metrics") or params.get("all_columns") or [params["metric"]]
    for figure in figures:
        assert any(row[figure] is not None for row in result["data"]), figure


@pytest.mark.parametrize("table", DATASETS)
def test_every_column_and_every_metric_of_a_dataset_can_be_asked_for(admin, table):
    dataset = DATASETS[table]
    columns = [column["column_name"] for column in dataset["columns"]]
    metrics = [metric["metric_name"] for metric in dataset["metrics"]]
    question = admin.question(table, metrics, (), columns)
    question["queries"][0]["row_limit"] = 50
    answer = admin.client.post("/chart/data", json=question)
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["result"]
    assert result["error"] is None
    assert result["colnames"] == [*columns, *metrics]
    assert result["rowcount"] > 0 or table == "agent_occupancy"  # whose records the simulated days leave out


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


ONE_MONTH = {"col": "grain", "op": "==", "val": "month"}


def of_kpi(code, line="ALL"):
    return [
        ONE_MONTH,
        {"col": "kpi_code", "op": "==", "val": code},
        {"col": "line_of_business", "op": "==", "val": line},
    ]


def test_the_counts_of_kpis_are_those_of_their_results(shown, chart_data):
    counted = sql(
        shown,
        """select count(*) filter (where status = 'met'), count(*) filter (where status = 'missed'),
               count(*) filter (where status = 'critical'), count(*) filter (where status = 'no_data'),
               count(*) filter (where not is_final), sum(service_credit_points), count(*)
           from marts.kpi_results where grain = 'month' and line_of_business = 'ALL'""",
    )
    titles = ("Met", "Missed", "Critical misses", "No data", "Not final yet", "Service-credit points")
    shown_counts = [next(iter(chart_data(title)["data"][0].values())) for title in titles]
    assert shown_counts == list(counted[:-1])
    assert all(counted)
    by_period = chart_data("Results for each period")["data"]
    assert sum(row["results"] for row in by_period) == counted[-1]
    assert [row["period_date"] for row in by_period] == sorted(
        (row["period_date"] for row in by_period), reverse=True
    )


def test_the_tables_of_kpis_are_in_order_and_say_what_the_mart_says(shown, chart_data):
    rows = chart_data("KPI results")["data"]
    assert [(-row["period_date"], row["kpi_name"]) for row in rows] == sorted(
        (-row["period_date"], row["kpi_name"]) for row in rows
    )
    words = {"met": "Met", "missed": "Missed", "critical": "Critical miss", "no_data": "No data"}
    with connect(shown.settings) as warehouse:
        results = warehouse.execute(
            "select kpi_name, period_date::timestamp, status, value, unit, numerator, denominator, "
            "service_credit_points, consecutive_failures, first_reported_value, is_final "
            "from marts.kpi_results where grain = 'month' and line_of_business = 'ALL'"
        ).fetchall()

    def written(value, unit):
        if value is None:
            return None
        return f"{100 * value:.2f}%" if unit == "share" else f"{value:,.1f} s"

    expected = {
        (name, int(day.replace(tzinfo=UTC).timestamp()) * 1000): (
            words[status], written(value, unit), above, below, points, failures, written(first, unit),
            "Yes" if final else "Not yet",
        )
        for name, day, status, value, unit, above, below, points, failures, first, final in results
    }  # fmt: skip
    seen = {
        (row["kpi_name"], row["period_date"]): (
            row["status_in_words"], row["value_in_words"], row["numerator"], row["denominator"],
            row["service_credit_points"], row["consecutive_failures"], row["first_reported_in_words"],
            row["final_in_words"],
        )
        for row in rows
    }  # fmt: skip
    assert seen.keys() == expected.keys()
    for key, row in expected.items():
        numbers = [pytest.approx(float(one)) if isinstance(one, Decimal) else one for one in row]
        assert list(seen[key]) == numbers, key


def test_restatements_name_what_changed_and_the_files_that_came_late(chart_data):
    figures = {row["kpi_code"]: row for row in chart_data("Restated KPIs")["data"]}
    files = {
        row["kpi_code"]: row["files"].split(", ")
        for row in chart_data("Files behind each restatement")["data"]
    }
    assert figures["GOS_30"]["value_difference"] == pytest.approx(
        figures["GOS_30"]["current_value"] - figures["GOS_30"]["reported_value"]
    )
    assert "WEBCHAT_60S" not in figures  # no file of chats came late
    for code, row in figures.items():
        assert row["cause_in_words"] == "Later records"
        assert len(files[code]) == row["caused_by_files_count"] > 0
        assert all("telephony_call_sim_20260330T1" in name for name in files[code])


def test_the_items_behind_each_kpi_add_up_to_it_on_each_line(shown, admin):
    with connect(shown.settings) as warehouse:
        results = warehouse.execute(
            "select kpi_code, line_of_business, period_date, numerator, denominator "
            "from marts.kpi_results where grain = 'month' and denominator is not null"
        ).fetchall()
    assert {code for code, *_ in results} >= {"GOS_30", "REPEAT_CALLS", "WIP_FRESHNESS", "EMAILS_48H", "AHT"}
    assert len(results) > 100
    for month in {month for _, _, month, *_ in results}:
        following = date(month.year, month.month + 1, 1)
        dates = {"col": "counted_at", "op": "TEMPORAL_RANGE", "val": f"{month} : {following}"}
        rows = admin.ask(
            "kpi_contributions",
            ["numerator", "denominator"],
            [ONE_MONTH, dates],
            ["kpi_code", "line_of_business"],
        )
        added = {
            (row["kpi_code"], row["line_of_business"]): (row["numerator"], row["denominator"]) for row in rows
        }
        for code, line, of_month, numerator, denominator in results:
            if of_month == month:
                seen = added.get((code, line), (0, 0))
                assert seen == (pytest.approx(float(numerator)), pytest.approx(float(denominator))), (
                    code,
                    line,
                )


def test_no_choice_of_filters_mixes_kpis_or_counts_an_item_twice(admin):
    month, code, line = of_kpi("GOS_30")
    lines_apart = {"col": "line_of_business", "op": "!=", "val": "ALL"}

    def asked(*chosen):
        (row,) = admin.ask("kpi_contributions", ["denominator"], chosen)
        return row["denominator"]

    whole = asked(month, code, line)
    assert whole > 0
    assert asked(month, code, lines_apart) == whole
    assert [asked(), asked(month, line), asked(code, line), asked(month, code)] == [None] * 4
    assert admin.ask("kpi_results", ["value_in_words", "value_plotted"], [month, line]) == [
        {"value_in_words": None, "value_plotted": None}
    ]


def test_what_waits_now_is_counted_from_the_contacts_themselves(shown, chart_data):
    waiting = """select count(*) from marts.fct_contacts cross join marts.figures_as_of
                 where channel = %s and direction = %s and queued_at <= as_of
                   and (ended_at is null or ended_at > as_of)"""
    for title, figure, *of in (
        ("Call-backs waiting now, by age", "callbacks", "callback", "outbound"),
        ("E-mails waiting now, by age", "emails", "email", "inbound"),
    ):
        rows = chart_data(title)["data"]
        (expected,) = sql(shown, waiting, *of)
        assert sum(row[figure] for row in rows) == expected > 0
        assert [row["age"] for row in rows] == sorted(row["age"] for row in rows)


def test_the_volumes_of_other_channels_are_those_of_the_contacts(shown, chart_data):
    question = "select count(*) from marts.fct_contacts where channel = %s and direction = %s"
    for title, *of in (
        ("Call-backs asked for", "callback", "outbound"),
        ("E-mails received", "email", "inbound"),
        ("Webchats started", "webchat", "inbound"),
        ("Texts sent to customers", "text", "outbound"),
    ):
        ((figure,),) = [row.values() for row in chart_data(title)["data"]]
        (expected,) = sql(shown, question, *of)
        assert figure == expected > 0, title


CROSSTABS = [
    ("outcome", "outcome", "channel", "channel", "contacts"),
    ("weekday", "weekday", "hour", "hour_of_day", "answered_share"),
    ("reason", "reason", "line", "line_of_business", "handle_avg_seconds"),
    ("day", "received_date", "opening_hours", "opening_hours", "wait_avg_seconds"),
    ("channel", "channel", "language", "language_known", "contacts_per_customer"),
    ("customer_known", "customer_known", "direction", "direction", "customers"),
    ("week", "week", "transfer_mode", "warm_or_cold", "transferred_share"),
    ("month", "month", "complaint", "complaint", "complaints"),
    ("transferred_to", "passed_on_to", "channel", "channel", "transferred"),
    ("agent", "agent", "channel", "channel", "handle_seconds"),
    ("line", "line_of_business", "channel", "channel", "wait_max_seconds"),
    ("hour", "hour_of_day", "line", "line_of_business", "answered"),
]


@pytest.mark.parametrize(("down", "row_column", "across", "column_column", "measure"), CROSSTABS)
def test_an_analyst_counts_contacts_by_any_two_dimensions(
    shown, visitor, down, row_column, across, column_column, measure
):
    """As docs/how-to/crosstab.md says; the same as the command gives."""
    rows = visitor("Analyst").ask("fct_contacts", [measure], (), [row_column, column_column])

    def value(column, one):
        return (
            datetime.fromtimestamp(one / 1000, UTC).date().isoformat() if column == "received_date" else one
        )

    seen = {
        (value(row_column, row[row_column]), value(column_column, row[column_column])): row[measure]
        for row in rows
    }
    table = crosstab(shown.settings, down, across, measure)
    expected = {cell: number for cell, number in table.cells.items() if OF_ALL not in cell}
    assert len(expected) > 1
    assert seen.keys() == expected.keys()
    for cell, number in expected.items():
        assert seen[cell] == (None if number is None else pytest.approx(float(number))), cell


def test_the_guide_to_crosstabs_names_what_the_dataset_has():
    guide = (CHECKOUT / "docs" / "how-to" / "crosstab.md").read_text(encoding="utf-8")
    dataset = DATASETS["fct_contacts"]
    (row,) = [part for part in guide.split("\n\n") if part.startswith("**Dimensions in Superset**")]
    names = {column["verbose_name"] for column in dataset["columns"]}
    assert set(re.findall(r"\*([^*]+)\*", " ".join(row.split()).split(":", 1)[1])) == names - {"Contact"}
    assert {one for *_, one in CROSSTABS} == {metric["metric_name"] for metric in dataset["metrics"]}
    assert set(MEASURES) == {metric["metric_name"] for metric in dataset["metrics"]}


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
    assert result.imported == {
        "databases": 1,
        "datasets": len(DATASETS),
        "charts": len(CHARTS),
        "dashboards": len(DASHBOARDS),
    }
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
    assert {one["table_name"] for one in admin.list("dataset")} == set(DATASETS)
    assert {one["slug"] for one in admin.list("dashboard")} == set(DASHBOARDS)
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


def test_what_the_login_page_logs_late_logs_nobody_out(shown):
    answer = httpx.post(f"{shown.address}/superset/log/?explode=events", data={"events": "[]"}, timeout=60)
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (204, None)


def test_an_analyst_explores_the_marts_and_changes_nothing(shown, visitor):
    analyst = visitor("Analyst")
    assert {one["slug"] for one in analyst.list("dashboard")} == set(DASHBOARDS)
    assert {one["slice_name"] for one in analyst.list("chart")} == set(CHARTS)
    assert {one["table_name"] for one in analyst.list("dataset")} == set(DATASETS)
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
    (dashboard, *_) = analyst.list("dashboard")
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


FOR_CONTRACT_MANAGERS = {"inbound-calls", "kpis"}


def placed_on(slug):
    nodes = [node for node in DASHBOARDS[slug]["position"].values() if isinstance(node, dict)]
    return {node["meta"]["sliceName"] for node in nodes if node["type"] == "CHART"}


def as_part_of(question, dashboard, chart):
    """As a dashboard itself asks for the figure of a chart: naming the chart and the dashboard."""
    return question | {"form_data": {"dashboardId": dashboard, "slice_id": chart}}


def test_a_contract_manager_sees_their_dashboards_and_nothing_else(admin, visitor):
    manager = visitor("Contract Manager")
    dashboards = {one["slug"]: one["id"] for one in manager.list("dashboard")}
    assert dashboards.keys() == FOR_CONTRACT_MANAGERS
    numbers = {one["slice_name"]: one["id"] for one in admin.list("chart")}
    for slug, dashboard in dashboards.items():
        charts = manager.client.get(f"/dashboard/{dashboard}/charts")
        assert charts.status_code == 200
        assert {one["slice_name"] for one in charts.json()["result"]} == placed_on(slug)

    allowed = [
        ("inbound-calls", "Calls received", "annex_b_calls", "calls_received", [ONE_DAY, TOTAL]),
        ("kpis", "Met", "kpi_results", "results_met", [ONE_MONTH, TOTAL]),
        ("kpis", "Restated KPIs", "kpi_restatements", "restatements", [ONE_MONTH, TOTAL]),
    ]
    for slug, chart, table, metric, chosen in allowed:
        question = admin.question(table, [metric], chosen)
        seen = manager.client.post("/chart/data", json=as_part_of(question, dashboards[slug], numbers[chart]))
        assert seen.status_code == 200, seen.text
        assert seen.json()["result"][0]["data"][0][metric] > 0
        assert manager.client.post("/chart/data", json=question).status_code == 403, "a query of their own"

    order = {"database_id": admin.list("database")[0]["id"], "sql": "select 1", "runAsync": False}
    attempts = {
        "datasets": manager.client.get("/dataset/"),
        "databases": manager.client.get("/database/"),
        "SQL Lab": manager.client.post("/sqllab/execute/", json=order),
        "a new dashboard": manager.client.post("/dashboard/", json={"dashboard_title": "Mine"}),
        "users": manager.client.get("/security/users/"),
    }
    assert {name: answer.status_code for name, answer in attempts.items()} == dict.fromkeys(attempts, 403)
    assert manager.list("chart") == []


@pytest.mark.parametrize(
    ("table", "metric", "chosen"),
    [("kpi_contributions", "items", of_kpi("GOS_30")), ("fct_contacts", "contacts", [])],
)
def test_a_contract_manager_sees_no_single_contact_in_any_way(admin, visitor, table, metric, chosen):
    manager = visitor("Contract Manager")
    dashboards = {one["slug"]: one["id"] for one in admin.list("dashboard")}
    charts = {one["slice_name"]: one["id"] for one in admin.list("chart")}
    hidden = dashboards["kpi-explanation"]
    for slug in DASHBOARDS.keys() - FOR_CONTRACT_MANAGERS:
        assert manager.client.get(f"/dashboard/{dashboards[slug]}").status_code in (403, 404)
        assert manager.client.get(f"/dashboard/{dashboards[slug]}/charts").status_code in (403, 404)
        for chart in placed_on(slug):
            assert manager.client.get(f"/chart/{charts[chart]}/data/").status_code in (403, 404), chart

    question = admin.question(table, [metric], chosen)
    pretended = {
        "a query of their own": question,
        "as a chart of the KPIs": as_part_of(question, dashboards["kpis"], charts["Met"]),
        "as a chart of the explanation": as_part_of(question, hidden, charts["Above the line, added up"]),
        "its chart, as if on the KPIs": as_part_of(
            question, dashboards["kpis"], charts["Above the line, added up"]
        ),
    }
    answers = {name: manager.client.post("/chart/data", json=asked) for name, asked in pretended.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 403)
    # The same questions are in order for an analyst, so that it is the role that stops them.
    analyst = visitor("Analyst")
    for name, asked in pretended.items():
        answer = analyst.client.post("/chart/data", json=asked)
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["result"][0]["data"][0][metric] > 0


def test_somebody_without_a_role_of_ours_sees_nothing(admin, shown, visitor):
    newcomer = visitor("Public")
    dashboards = admin.list("dashboard")
    assert len(dashboards) == len(DASHBOARDS)
    for dashboard in dashboards:
        assert newcomer.client.get(f"/dashboard/{dashboard['id']}").status_code in (403, 404)
    assert newcomer.client.get("/dataset/").status_code == 403
