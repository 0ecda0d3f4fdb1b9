"""An instance whose Superset shows simulated contacts and reported KPIs, and people who log in to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from dashboards.tooling.deploy import DeployResult, deploy
from delivery.kpis.freeze import freeze
from expectations.gates import check
from infra import local
from infra.postgres import connect
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.run import ingest
from transformation.build import build

LAST_DAY = date(2026, 4, 1)  # the days hold the Sunday on which the clocks go forward
DAYS = 6
AS_OF = datetime(2026, 4, 1, 23, tzinfo=UTC)  # London midnight after the last day
CHANNELS = ("webchat_session", "email_message", "text_message", "callback_event", "complaint", "wip_extract")
LATE = "*_20260330T1[0-4]*"  # names of files of calls that come after March was reported


@dataclass
class Shown:
    """An instance with Superset up and the dashboards imported once."""

    settings: Settings
    address: str
    first_import: DeployResult


class Visitor:
    """Somebody logged in to Superset's API."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.client = httpx.Client(base_url=f"{address}/api/v1", timeout=60)
        self._login = {"username": username, "password": password, "provider": "db"}
        self._log_in()
        token = self.client.get("/security/csrf_token/")
        if token.is_success:  # who may do nothing gets no token either
            self.client.headers["X-CSRFToken"] = token.json()["result"]
        self.client.headers["Referer"] = address
        self.client.event_hooks["request"].append(self._stay_logged_in)

    def _log_in(self) -> None:
        address = f"{self.client.base_url}security/login"
        answer = httpx.post(address, json=self._login, timeout=60)
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self._since = time.monotonic()

    def _stay_logged_in(self, request: httpx.Request) -> None:
        """Superset forgets somebody after 15 minutes, and a busy machine takes longer for all tests."""
        if time.monotonic() - self._since > 600:
            self._log_in()
            request.headers["Authorization"] = self.client.headers["Authorization"]

    def list(self, kind: str) -> list[dict]:
        """All items of a kind that this person may see."""
        answer = self.client.get(f"/{kind}/", params={"q": "(page_size:100)"})
        answer.raise_for_status()
        return answer.json()["result"]

    def ask(self, dataset: str, metrics: list, filters: list = (), columns: list = ()) -> list[dict]:
        """Query a dataset as Explore does; returns the rows."""
        answer = self.client.post("/chart/data", json=self.question(dataset, metrics, filters, columns))
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["result"]
        assert result["error"] is None
        return result["data"]

    def question(self, dataset: str, metrics: list, filters: list = (), columns: list = ()) -> dict:
        """What Explore sends."""
        (number,) = [one["id"] for one in self.list("dataset") if one["table_name"] == dataset]
        query = {"metrics": metrics, "filters": list(filters), "columns": list(columns), "row_limit": 10_000}
        return {"datasource": {"id": number, "type": "table"}, "queries": [query], "result_type": "full"}


@pytest.fixture(scope="session")
def shown(tmp_path_factory, make_settings):
    home = tmp_path_factory.mktemp("dashboards")
    settings = make_settings(home)
    try:
        local.up(settings, ["superset"], report=print)
        fill(settings, home / "simulated", home / "late")
        yield Shown(settings, local.url(settings, "superset"), deploy(settings))
    finally:
        local.down(settings, None, report=print)


def fill(settings: Settings, files: Path, late: Path) -> None:
    """Six days of every channel. March is reported before some files of calls have come: it is then restated."""
    simulate(
        files,
        days=DAYS,
        seed=11,
        calls_per_day=400,
        last_day=LAST_DAY,
        bad_row_share=0,
        interfaces=["telephony_call", *CHANNELS],
        wip_applications=200,
        wip_extracts=20,
    )
    _hold_back(files, late)
    for interface in ("telephony_call", *CHANNELS):
        ingest(settings, interface, str(files), console=Console(quiet=True))
    _build(settings)
    check(settings, None)
    assert freeze(settings, "pack").first
    ingest(settings, "telephony_call", str(late), console=Console(quiet=True))
    _build(settings)


def _hold_back(files: Path, late: Path) -> None:
    """Put the late files aside, numbered last: where a number is missing, March would wait for it to be reported."""
    late.mkdir()
    held_back = {path.name for path in files.glob(f"telephony_call{LATE}")}
    assert held_back
    calls = (path for path in files.glob("telephony_call_*") if path.suffix != ".sha256")
    for number, path in enumerate(sorted(calls, key=lambda path: (path.name in held_back, path.name)), 1):
        stem, _, rest = path.name.rpartition("_")
        numbered = f"{stem}_{number:06d}.{rest.partition('.')[2]}"
        folder = late if path.name in held_back else files
        for beside in ("", ".sha256"):
            sent = path.with_name(path.name + beside)
            if sent.exists():
                sent.rename(folder / (numbered + beside))


def _build(settings: Settings) -> None:
    """Build, as if each file had been loaded half a minute after it was sent."""
    with connect(settings) as warehouse:
        warehouse.execute("update ops.files set finished_at = file_stamp + interval '30 seconds'")
    result = build(settings, as_of=AS_OF, report=print)
    assert result.succeeded, result.as_text()


@pytest.fixture(scope="session")
def admin(shown):
    return Visitor(shown.address, "admin", shown.settings.superset_password.get_secret_value())


@pytest.fixture(scope="session")
def visitor(shown, admin):
    """`visitor("Analyst")`: somebody with that role, who has just logged in."""

    @cache
    def person(role: str) -> tuple[str, str]:
        (number,) = [one["id"] for one in admin.list("security/roles") if one["name"] == role]
        name = role.lower().replace(" ", "_")
        described = {
            "username": name,
            "first_name": name,
            "last_name": "of a test",
            "email": f"{name}@example.com",
            "active": True,
            "password": f"secret-of-{name}",
            "roles": [number],
        }
        answer = admin.client.post("/security/users/", json=described)
        assert answer.status_code == 201, answer.text
        return name, f"secret-of-{name}"

    return lambda role: Visitor(shown.address, *person(role))


@pytest.fixture(scope="session")
def chromium():
    """One browser for every page: Playwright runs once in a process."""
    from tests.dashboards.browser import CHROMIUM, sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def days():
    """The simulated local days, first to last."""
    return [LAST_DAY - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
