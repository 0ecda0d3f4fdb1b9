"""The page as an analyst sees it, in a real browser: no chart fails, nothing leaves this machine, filters work."""

from __future__ import annotations

import pytest

from infra.postgres import connect
from tests.dashboards.browser import assert_drawn, assert_nothing_left, charts_of, needs_chromium, opened_by

pytestmark = needs_chromium
CHARTS = charts_of("inbound-calls")


@pytest.fixture(scope="module")
def opened(shown, chromium):
    """The dashboard, just opened by the administrator."""
    password = shown.settings.superset_password.get_secret_value()
    with opened_by(chromium, shown.address, "admin", password, "inbound-calls", 4300) as seen:
        yield seen


def received_on(shown, line):
    with connect(shown.settings) as warehouse:
        question = "select count(*) from marts.fct_calls where not is_test and line_of_business like %s"
        (number,) = warehouse.execute(question, (line,)).fetchone()
    return number


def test_every_chart_is_drawn_without_an_error(shown, opened, tmp_path):
    opened.page.screenshot(path=tmp_path / "inbound-calls.png")
    assert_drawn(opened, "inbound-calls")
    assert opened.headline("Calls received") == received_on(shown, "%") > 0


def test_nothing_leaves_this_machine(opened):
    assert_nothing_left(opened)


def test_the_line_filter_changes_the_figures(shown, opened):
    before = opened.headline("Calls received")
    # Every chart but the table that shows all lines.
    opened.after(len(CHARTS) - 1, lambda: opened.choose("Line of business", "ABI"))
    figure = received_on(shown, "ABI")
    assert 0 < figure < before
    assert opened.headline("Calls received") == figure


def test_the_length_of_period_is_in_order_and_changes_charts_over_time_alone(opened):
    options = opened.open("Length of period").all_inner_texts()
    opened.page.keyboard.press("Escape")
    assert options == [
        "day",
        "15min",
        "30min",
        "hour",
        "week",
        "month",
        "quarter",
        "year",
    ]  # the chosen one first
    received = opened.headline("Calls received")
    # Three charts over time and the table of periods.
    opened.after(4, lambda: opened.choose("Length of period", "week"))
    rows = [result["rowcount"] for answer in opened.answers[-4:] for result in answer["results"]]
    assert rows == [2, 2, 2, 2]  # the simulated days lie in two weeks
    assert opened.headline("Calls received") == received
