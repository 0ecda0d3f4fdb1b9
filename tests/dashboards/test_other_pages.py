"""The other dashboards in a real browser: contract managers see the KPIs, analysts the calls behind them."""

from __future__ import annotations

import pytest

from infra.postgres import connect
from tests.dashboards.browser import assert_drawn, assert_nothing_left, charts_of, needs_chromium, opened_by

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def kpis(shown, visitor, chromium):
    """The dashboard of KPIs, opened by a contract manager."""
    visitor("Contract Manager")
    with opened_by(
        chromium, shown.address, "contract_manager", "secret-of-contract_manager", "kpis", 6200
    ) as seen:
        yield seen


@pytest.fixture(scope="module")
def explanation(shown, visitor, chromium):
    """The explanation, opened by an analyst."""
    visitor("Analyst")
    with opened_by(chromium, shown.address, "analyst", "secret-of-analyst", "kpi-explanation", 3000) as seen:
        yield seen


def judged(shown, line, status, grain="month"):
    with connect(shown.settings) as warehouse:
        question = "select count(*) from marts.kpi_results where grain = %s and line_of_business = %s and status = %s"
        (number,) = warehouse.execute(question, (grain, line, status)).fetchone()
    return number


def test_a_contract_manager_sees_every_chart_of_the_kpis(shown, kpis, tmp_path):
    kpis.page.screenshot(path=tmp_path / "kpis.png")
    assert_drawn(kpis, "kpis")
    assert_nothing_left(kpis)
    for title, status in {
        "Met": "met",
        "Missed": "missed",
        "Critical misses": "critical",
        "No data": "no_data",
    }.items():
        assert kpis.headline(title) == judged(shown, "ALL", status) > 0
    results = kpis.card("KPI results").inner_text()
    for words in ("Critical miss", "Not yet", "Calls answered within 30 seconds", "82.00%"):
        assert words in results


def test_the_kpi_filter_changes_its_chart_and_table_alone(kpis):
    kpis.after(2, lambda: kpis.choose("KPI", "AHT"))
    kpis.shows("The chosen KPI, period by period", "420.0 s")
    assert "Calls answered within 30 seconds" in kpis.card("KPI results").inner_text()


def test_the_length_of_period_changes_every_count(shown, kpis):
    kpis.after(len(charts_of("kpis")), lambda: kpis.choose("Length of period", "day"))
    expected = judged(shown, "ALL", "met", "day")
    assert expected > judged(shown, "ALL", "met")
    kpis.shows("Met", f"{expected:,}")
    assert kpis.headline("Met") == expected


def test_an_analyst_sees_the_calls_behind_a_kpi(shown, explanation, tmp_path):
    explanation.page.screenshot(path=tmp_path / "kpi-explanation.png")
    assert_drawn(explanation, "kpi-explanation")
    assert_nothing_left(explanation)
    with connect(shown.settings) as warehouse:
        above, below = warehouse.execute(
            "select count(*) filter (where wait_seconds <= 30), count(*) from marts.fct_calls "
            "where is_answered and not is_test"
        ).fetchone()
    assert (
        explanation.headline("Above the line, added up"),
        explanation.headline("Below the line, added up"),
    ) == (above, below)
    assert "telephony_call_sim_" in explanation.card("The calls behind the figure").inner_text()


def test_another_kpi_has_other_items_behind_it(explanation):
    explanation.after(len(charts_of("kpi-explanation")), lambda: explanation.choose("KPI", "WEBCHAT_60S"))
    explanation.shows("The calls behind the figure", "webchat_session_sim_")
    items = explanation.card("The calls behind the figure").inner_text()
    assert "telephony_call_sim_" not in items


def test_an_analyst_sees_the_other_channels(shown, visitor, chromium, tmp_path):
    visitor("Analyst")
    slug = "other-channels"
    with opened_by(chromium, shown.address, "analyst", "secret-of-analyst", slug, 4600) as channels:
        channels.page.screenshot(path=tmp_path / f"{slug}.png")
        assert_drawn(channels, slug)
        assert_nothing_left(channels)
        sent = channels.headline("Texts sent to customers")
        assert sent > 0
        # What waits now does not follow the length of period: eight charts and tables over time do.
        channels.after(8, lambda: channels.choose("Length of period", "month"))
        assert channels.headline("Texts sent to customers") == sent
