"""The page as an analyst sees it, in a real browser: no chart fails, nothing leaves this machine, filters work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dashboards.tooling.bundle import kind, read_assets
from infra.postgres import connect

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/lib/chromium/chromium")  # not the wrapper script, which does not end when it is told to
CHARTS = {asset["slice_name"] for name, asset in read_assets().items() if kind(name) == "charts"}
PATIENCE = 90_000  # milliseconds, on a busy machine

pytestmark = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not installed at {CHROMIUM}"),
]


@dataclass
class Page:
    """A page, and what its browser asked for."""

    page: sync_api.Page
    address: str
    answers: list[dict] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)

    def watch(self) -> None:
        """Note every request for data, and every request to another host."""
        self.page.on("response", self._on_response)
        self.page.on("request", self._on_request)
        self.page.on(
            "requestfailed", lambda request: self.stopped.update({request.url: request.failure or ""})
        )

    def _on_response(self, response: sync_api.Response) -> None:
        if "/api/v1/chart/data" in response.url:
            self.answers.append({"status": response.status, "results": response.json().get("result", [])})

    def _on_request(self, request: sync_api.Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def after(self, number: int, action: Callable[[], object]) -> None:
        """Do something, and wait for this many answers with data and for the page to be at rest."""
        wanted = len(self.answers) + number
        action()
        for _ in range(PATIENCE // 250):
            if len(self.answers) >= wanted:
                break
            self.page.wait_for_timeout(250)
        assert len(self.answers) >= wanted, f"{len(self.answers)} answers of {wanted}"
        self.page.wait_for_load_state("networkidle")

    def headline(self, name: str) -> int:
        """The whole number that a headline chart shows."""
        text = self.card(name).locator(".header-line").inner_text()
        return int(text.replace(",", ""))

    def card(self, name: str) -> sync_api.Locator:
        """A chart on the dashboard, title and all."""
        title = re.compile(f"^{re.escape(name)}$")
        return (
            self.page.locator(".dashboard-component-chart-holder")
            .filter(has=self.page.get_by_text(title))
            .first
        )

    def open(self, name: str) -> sync_api.Locator:
        """Open a filter's list; returns its options."""
        filter_id = "NATIVE_FILTER-" + name.lower().replace(" ", "-")
        box = self.page.locator(f"#{filter_id}")
        self.page.locator(".ant-select", has=box).click()
        options = self.page.locator(f".ant-select-dropdown:has(#{filter_id}_list) .ant-select-item-option")
        options.first.wait_for()
        return options

    def choose(self, name: str, value: str) -> None:
        """Choose a value of a filter and press Apply filters."""
        self.open(name).get_by_text(value, exact=True).click()
        self.page.get_by_role("button", name="Apply filters").click()


@pytest.fixture(scope="module")
def opened(shown):
    """The dashboard, just opened by the administrator."""
    password = shown.settings.superset_password.get_secret_value()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 4300}, locale="en-GB")
        page.set_default_timeout(PATIENCE)
        seen = Page(page, shown.address)
        seen.watch()
        page.goto(f"{shown.address}/login/")
        page.locator("[data-test=username-input]").fill("admin")
        page.locator("[data-test=password-input]").fill(password)
        page.locator("[data-test=login-button]").click()
        page.wait_for_url("**/superset/welcome/**")
        # Beside the charts, two filters ask for the values that they offer.
        seen.after(len(CHARTS) + 2, lambda: page.goto(f"{shown.address}/superset/dashboard/inbound-calls/"))
        yield seen
        browser.close()


def received_on(shown, line):
    with connect(shown.settings) as warehouse:
        question = "select count(*) from marts.fct_calls where not is_test and line_of_business like %s"
        (number,) = warehouse.execute(question, (line,)).fetchone()
    return number


def test_every_chart_is_drawn_without_an_error(shown, opened, tmp_path):
    opened.page.screenshot(path=tmp_path / "inbound-calls.png")
    assert [answer for answer in opened.answers if answer["status"] != 200] == []
    results = [result for answer in opened.answers for result in answer["results"]]
    assert len(results) >= len(CHARTS) + 2
    assert [result["error"] for result in results if result["error"] or not result["rowcount"]] == []
    for name in CHARTS:
        assert opened.card(name).is_visible(), name
    for complaint in (
        "Unexpected error",
        "Data error",
        "No results were returned",
        "There is no chart definition",
    ):
        assert opened.page.get_by_text(complaint).count() == 0, complaint
    assert opened.headline("Calls received") == received_on(shown, "%") > 0
    assert opened.page.locator("html").get_attribute("lang") == "en-GB"


def test_nothing_leaves_this_machine(opened):
    """Superset's front end has a counting pixel of its makers built in; the content security policy stops it."""
    assert opened.answers
    assert {url.split("/")[2] for url in opened.outside} <= {"apachesuperset.gateway.scarf.sh"}
    for url in opened.outside:
        assert opened.stopped.get(url) == "csp", url


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
