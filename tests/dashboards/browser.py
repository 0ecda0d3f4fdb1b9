"""A dashboard in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dashboards.tooling.bundle import kind, read_assets

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = Path("/usr/lib/chromium/chromium")  # not the wrapper script, which does not end when it is told to
PATIENCE = 90_000  # milliseconds, on a busy machine

needs_chromium = [
    pytest.mark.services,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not installed at {CHROMIUM}"),
]

_DASHBOARDS = {asset["slug"]: asset for name, asset in read_assets().items() if kind(name) == "dashboards"}


def charts_of(slug: str) -> set[str]:
    """Titles of the charts on a dashboard."""
    nodes = [node for node in _DASHBOARDS[slug]["position"].values() if isinstance(node, dict)]
    return {node["meta"]["sliceName"] for node in nodes if node["type"] == "CHART"}


def lists_of(slug: str) -> int:
    """How many filters of a dashboard ask for the values that they offer."""
    choices = _DASHBOARDS[slug]["metadata"]["native_filter_configuration"]
    return sum(one["filterType"] == "filter_select" for one in choices)


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

    def shows(self, name: str, text: str) -> None:
        """Wait until a chart shows this text: it is drawn a moment after its data are there."""
        self.card(name).get_by_text(text).first.wait_for()

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


@contextmanager
def opened_by(
    chromium: sync_api.Browser, address: str, username: str, password: str, slug: str, height: int
) -> Iterator[Page]:
    """The dashboard, just opened by somebody, in a window high enough for the whole of it."""
    page = chromium.new_page(viewport={"width": 1500, "height": height}, locale="en-GB")
    page.set_default_timeout(PATIENCE)
    seen = Page(page, address)
    seen.watch()
    page.goto(f"{address}/login/")
    page.locator("[data-test=username-input]").fill(username)
    page.locator("[data-test=password-input]").fill(password)
    page.locator("[data-test=login-button]").click()
    page.wait_for_url(f"{address}/superset/welcome/**")
    seen.after(
        len(charts_of(slug)) + lists_of(slug),
        lambda: page.goto(f"{address}/superset/dashboard/{slug}/"),
    )
    yield seen
    page.context.close()


def assert_drawn(seen: Page, slug: str) -> None:
    """Every chart of the dashboard is there, has rows, and says nothing of an error."""
    assert [answer for answer in seen.answers if answer["status"] != 200] == []
    results = [result for answer in seen.answers for result in answer["results"]]
    assert len(results) >= len(charts_of(slug)) + lists_of(slug)
    assert [result["error"] for result in results if result["error"] or not result["rowcount"]] == []
    for name in charts_of(slug):
        assert seen.card(name).is_visible(), name
    for complaint in (
        "Unexpected error",
        "Data error",
        "No results were returned",
        "There is no chart definition",
    ):
        assert seen.page.get_by_text(complaint).count() == 0, complaint
    assert seen.page.locator("html").get_attribute("lang") == "en-GB"


def assert_nothing_left(seen: Page) -> None:
    """Superset's front end has a counting pixel of its makers built in; the content security policy stops it."""
    assert seen.answers
    assert {url.split("/")[2] for url in seen.outside} <= {"apachesuperset.gateway.scarf.sh"}
    for url in seen.outside:
        assert seen.stopped.get(url) == "csp", url
