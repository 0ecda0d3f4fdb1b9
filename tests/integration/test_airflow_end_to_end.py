"""From a file on the SFTP server to a figure in the marts and a row on S3, by Airflow alone."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from delivery.feeds.catalogue import CALLS
from infra import local
from infra.local.airflow_service import AirflowService
from infra.postgres import connect
from infra.s3 import s3_storage_options
from infra.settings import Settings
from infra.sftp import connect_sftp, sftp_location
from ingestion import quarantine
from ingestion.run import ingest

pytestmark = pytest.mark.services

SERVICES = ["postgres", "sftp", "s3", "airflow"]
PATIENCE_SECONDS = 240
MORNING = (datetime.now(UTC) - timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)


@dataclass
class Instance:
    """The product, up, and what a test does to it and asks of it."""

    settings: Settings

    def deliver(
        self, number: int, content: bytes, interface: str = "telephony_call", kind: str = "jsonl"
    ) -> str:
        """Put a file on the SFTP server as a supplier does: under a `.part` name, then renamed."""
        name = f"{interface}_test_{MORNING:%Y%m%dT%H%M%SZ}_{number:06}.{kind}"
        location = sftp_location(self.settings)
        with connect_sftp(self.settings, location) as session:
            path = f"{location.folder.rstrip('/')}/{name}"
            with session.open(f"{path}.part", "wb") as file:
                file.write(content)
            session.posix_rename(f"{path}.part", path)
        return name

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(self.settings) as connection:
            return connection.execute(statement, parameters).fetchall()

    def api(self, path: str) -> dict[str, Any]:
        """Ask Airflow's API as `admin`."""
        (state,) = self.states("airflow")
        return AirflowService(self.settings).call_api(state.port, "GET", f"/api/v2{path}")

    def states(self, *names: str) -> list[local.ServiceStatus]:
        return [state for state in local.status(self.settings) if state.name in names]

    def processes(self) -> list[psutil.Process]:
        """Every process of the Airflow service, tasks included."""
        record = json.loads((self.settings.run / "airflow.json").read_text(encoding="utf-8"))
        leaders = {process["pid"] for process in record["processes"]}
        return [process for process in psutil.process_iter() if _session(process) in leaders]


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # ended, and waiting for its parent to notice
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def product(make_settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    settings = make_settings(tmp_path_factory.mktemp("home"))
    try:
        local.up(settings, SERVICES, report=print)
        yield Instance(settings)
    finally:
        local.down(settings, SERVICES, report=print)


def wait_for(what: str, look: Callable[[], Any]) -> Any:
    """Look until there is something; what there is not yet (no table, no row) counts as nothing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(psycopg.errors.UndefinedTable, TableNotFoundError):
            if found := look():
                return found
        assert time.monotonic() < deadline, f"Waited {PATIENCE_SECONDS} s for {what}."
        time.sleep(0.25)


def call(
    number: int, line: int = 1, wait: float | None = None, answered: bool = True, **fields: Any
) -> dict[str, Any]:
    """A call of yesterday morning that waited `wait` seconds, or was served by the IVR."""

    def at(seconds: float) -> str:
        return (MORNING + timedelta(minutes=number, seconds=seconds)).isoformat()

    legs = []
    if wait is not None:
        left = wait + 120 if answered else wait
        legs = [
            {
                "leg_no": 1,
                "queue": "PAL_GENERAL",
                "queued_at": at(30),
                "answered_at": at(30 + wait) if answered else None,
                "left_at": at(30 + left),
                "agent_id": "A1" if answered else None,
                "hold_seconds": 0,
                "wrap_seconds": 10 if answered else None,
                "end_reason": "completed" if answered else "abandoned",
                "transfer_to": None,
                "transfer_mode": None,
                "reason_codes": [],
            }
        ]
    return {
        "call_id": f"call-{number}",
        "record_version": 1,
        "emitted_at": at(600),
        "dialled_number": f"+44163296000{line}",
        "caller_number": f"+4477009000{number:02}",
        "received_at": at(0),
        "ivr_ended_at": at(30),
        "ivr_outcome": "queued" if legs else "self_served",
        "ivr_path": ["main"],
        "legs": legs,
        "ended_at": at(400),
        **fields,
    }


def lines(*calls: dict[str, Any]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in calls).encode()


def figures(product: Instance, day: datetime) -> dict[str, tuple[Any, ...]]:
    rows = product.query(
        "select line_of_business, calls_received, calls_offered, calls_answered, answered_within_30s, "
        "abandoned_in_queue, excluded_test_calls from marts.annex_b_calls where grain = 'day' "
        "and period_date = (%s at time zone 'Europe/London')::date",
        day,
    )
    return {line: tuple(measures) for line, *measures in rows}


def published_calls(product: Instance) -> dict[str, int]:
    """Rows per call in the raw feed on S3."""
    table = DeltaTable(
        f"s3://{product.settings.s3_bucket}/{CALLS.name}",
        storage_options=s3_storage_options(product.settings),
    )
    ids = table.to_pyarrow_table(columns=["call_id"]).column("call_id").to_pylist()
    return {call_id: ids.count(call_id) for call_id in ids}


def test_a_file_becomes_a_figure_and_a_published_row(product):
    product.deliver(
        1,
        lines(
            call(1, wait=10),
            call(2, wait=50),
            call(3, line=2, wait=40, answered=False),
            call(4),
            call(5, wait=5, is_test=True),
        ),
    )
    wait_for("the first figures", lambda: figures(product, MORNING).get("ALL") == (4, 3, 2, 1, 1, 1))
    assert figures(product, MORNING)["PAL"] == (3, 2, 2, 1, 0, 1)
    assert figures(product, MORNING)["ABI"] == (1, 1, 0, 0, 1, 0)
    wait_for("the first feed", lambda: len(published_calls(product)) == 5)
    assert set(published_calls(product).values()) == {1}


def test_a_bad_file_fails_alone_and_the_next_one_adds_to_the_figures(product):
    bad = product.deliver(2, b"<!DOCTYPE html><html><body>Service unavailable</body></html>\n")
    good = product.deliver(3, lines(call(6, wait=20), call(7, line=2, wait=1)))

    wait_for("the second figures", lambda: figures(product, MORNING).get("ALL") == (6, 5, 4, 3, 1, 1))
    wait_for("the second feed", lambda: len(published_calls(product)) == 7)
    assert set(published_calls(product).values()) == {1}

    def state_of(file: str) -> str | None:
        return dict(product.query("select name, state from ops.files")).get(file)

    wait_for("the bad file's quarantine", lambda: state_of(bad) == "quarantined")
    assert state_of(good) == "loaded"

    def tasks_by_file() -> dict[str, set[str]]:
        tasks = product.api("/dags/ingest_telephony/dagRuns/~/taskInstances?limit=100")["task_instances"]
        files = [task for task in tasks if task["task_id"] == "load_file"]
        return {name: {t["state"] for t in files if t["rendered_map_index"] == name} for name in (bad, good)}

    wait_for("the bad file's task", lambda: tasks_by_file() == {bad: {"failed"}, good: {"success"}})
    alerts = (product.settings.logs / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [(json.loads(line)["task"], json.loads(line)["attempt"]) for line in alerts] == [("load_file", 1)]


def extract(applications: int) -> bytes:
    """A whole extract of work in progress."""
    header = (
        "application_ref,surname,date_of_birth,postcode,application_type,channel,service,region,country,received_at,"
        "stage,stage_entered_at,expected_by,delivery_partner_ref,csmt_owned,last_updated_at"
    )
    at = f"{MORNING:%Y-%m-%dT%H:%M:%SZ}"
    rows = [
        f"PEX{number:07},Example,1980-02-29,ZZ1 1ZZ,renewal,online,standard,UK,GB,{at},examination,{at},,,N,{at}"
        for number in range(applications)
    ]
    return "\n".join([header, *rows, ""]).encode()


def test_a_text_and_an_extract_are_loaded_and_a_doubtful_extract_is_held(product):
    text = {
        "message_id": "m-1",
        "direction": "outbound",
        "to_or_from": "+447700900001",
        "sent_at": MORNING.isoformat(),
        "status": "delivered",
    }
    product.deliver(1, lines(text), "text_message")
    product.deliver(1, extract(20), "wip_extract", "csv")
    wait_for("the text", lambda: product.query("select 1 from raw.text_message"))
    wait_for("the extract", lambda: product.query("select count(*) from serving.wip_current") == [(20,)])

    held = product.deliver(2, extract(5), "wip_extract", "csv")

    def alert_of_held() -> dict[str, Any] | None:
        alerts = map(json.loads, (product.settings.logs / "alerts.jsonl").read_text("utf-8").splitlines())
        return next((alert for alert in alerts if alert.get("file") == held), None)

    alert = wait_for("the alert", alert_of_held)
    assert (alert["event"], alert["dag"], alert["task"]) == ("file_quarantined", "ingest_wip", "load_file")
    assert alert["rule"] == "extract_size"
    assert "quarantine retry" in alert["advice"]
    assert product.query("select count(*) from serving.wip_current") == [(20,)]

    quarantine.retry(product.settings, held, release=True)
    ingest(product.settings, "wip_extract")
    assert product.query("select count(*) from serving.wip_current") == [(5,)]
    product.deliver(3, lines({**text, "message_id": "m-2"}), "text_message")
    wait_for("the text after it", lambda: product.query("select count(*) from raw.text_message") == [(2,)])
    wait_for("every file in a build that passed both gates", lambda: product.query(ALL_RELEASED) == [(True,)])


ALL_RELEASED = """
select bool_and(
    exists (
        select from ops.gate_results as raw
        where raw.gate = 'raw' and raw.success and raw.batch_id = files.batch_id and raw.checked_at >= files.finished_at
    )
    and exists (
        select from ops.build_files as taken
        join ops.gate_results as release on release.build_id >= taken.build_id
        where taken.file_id = files.file_id and release.gate = 'release' and release.success
    )
)
from ops.files as files
where state = 'loaded'
"""


def test_every_socket_of_airflow_listens_on_the_loopback_alone(product):
    sockets = []
    for process in product.processes():
        with suppress(psutil.NoSuchProcess):  # a task that has ended since
            sockets += [
                each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN
            ]
    assert sockets
    assert set(sockets) == {"127.0.0.1"}


def test_airflow_works_on_after_its_scheduler_was_killed(product):
    record = json.loads((product.settings.run / "airflow.json").read_text(encoding="utf-8"))
    scheduler = {process["name"]: process["pid"] for process in record["processes"]}["airflow-scheduler"]
    os.kill(scheduler, signal.SIGKILL)
    wait_for("the loss to show", lambda: product.states("airflow")[0].state == "unhealthy")

    product.deliver(4, lines(call(8, wait=60)))
    local.up(product.settings, ["airflow"], report=print)
    wait_for("the third figures", lambda: figures(product, MORNING).get("ALL") == (7, 6, 5, 3, 1, 1))
    wait_for("the third feed", lambda: len(published_calls(product)) == 8)


def test_airflow_stops_and_leaves_no_process(product):
    before = product.processes()
    assert before
    local.down(product.settings, ["airflow"], report=print)
    assert [process for process in before if _lives(process)] == []
