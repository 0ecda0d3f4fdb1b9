"""A load that is killed at any moment leaves all of a file's rows or none, and the next run finishes the work."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.supervisor import settings_environment
from infra.postgres import connect
from infra.settings import Settings
from ingestion.run import ensure_raw_tables, ingest

pytestmark = pytest.mark.services

FILES, ROWS = 6, 1_500
SEED = 20260302
KILLS = 8

# The process says when it begins, so that the moment of the kill is counted from there and not from its imports.
PROGRAM = """
import sys
from infra.settings import load_settings
from ingestion.run import ingest
settings = load_settings()
print("begins", flush=True)
ingest(settings, "telephony_call", sys.argv[1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files whose rows are partly the same, with one bad row each."""
    folder = tmp_path_factory.mktemp("files")
    for number in range(1, FILES + 1):
        records = [
            {
                "call_id": f"c-{number}-{row}" if row % 10 else f"c-{row}",
                "record_version": 1,
                "emitted_at": "2026-03-02T09:10:00Z",
                "dialled_number": "+441632960001",
                "received_at": "2026-03-02T09:00:00Z",
                "ivr_outcome": "self_served",
                "ivr_path": ["MAIN"] * 20,
                "legs": [],
            }
            for row in range(ROWS)
        ]
        lines = [json.dumps(record) + "\n" for record in records]
        lines[77] = "{\n"
        (folder / f"telephony_call_test_20260302T100000Z_{number}.jsonl").write_text("".join(lines))
    time.sleep(0.2)
    return folder


@pytest.fixture
def process_environment(warehouse: Settings) -> dict[str, str]:
    return {**os.environ, **settings_environment(warehouse)}


@contextmanager
def started(folder: Path, environment: dict[str, str], home: Path) -> Iterator[subprocess.Popen[str]]:
    """A real loading process that has done its imports."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(folder)],
        env=environment,
        cwd=home,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        yield process


def whole_files(settings: Settings) -> int:
    """Files that are loaded; checks that rows belong to those alone, and all of them."""
    with connect(settings) as connection:
        connection.execute("set transaction isolation level repeatable read")
        loaded = dict(
            connection.execute("select file_id, rows_loaded from ops.files where state = 'loaded'").fetchall()
        )
        rows = dict(
            connection.execute("select _file_id, count(*) from raw.telephony_call group by 1").fetchall()
        )
        refused = dict(
            connection.execute("select file_id, count(*) from quarantine.rows group by 1").fetchall()
        )
    assert rows == {file_id: count for file_id, count in loaded.items() if count}
    assert refused == dict.fromkeys(loaded, 1)
    return len(loaded)


def test_killed_at_any_moment_and_run_again_every_row_is_there_once(
    warehouse: Settings, folder: Path, process_environment: dict[str, str]
) -> None:
    ensure_raw_tables(warehouse)
    started_at = time.monotonic()
    with started(folder, process_environment, warehouse.home) as process:
        process.wait()
    duration = time.monotonic() - started_at
    with connect(warehouse) as connection:
        content = "select call_id, _record_hash, _file_position from raw.telephony_call order by 1, 2"
        expected = connection.execute(content).fetchall()
    assert len(expected) > FILES * ROWS * 0.8
    choose = random.Random(SEED)
    kills = interrupted = 0
    seen = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            seen.append(whole_files(warehouse))
            time.sleep(0.05)

    with connect(warehouse) as connection:
        connection.execute(
            "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
        )
    reader = threading.Thread(target=poll)
    reader.start()
    try:
        while kills < KILLS:
            with started(folder, process_environment, warehouse.home) as process:
                time.sleep(choose.random() * duration / 4)
                process.send_signal(signal.SIGKILL)
            kills += 1
            if whole_files(warehouse) < FILES:
                interrupted += 1
            else:
                with connect(warehouse) as connection:  # all is loaded: begin again
                    stop.set()
                    reader.join()
                    connection.execute(
                        "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
                    )
                stop.clear()
                reader = threading.Thread(target=poll)
                reader.start()
        ingest(warehouse, "telephony_call", str(folder))
    finally:
        stop.set()
        reader.join()
    assert interrupted and len(seen) > KILLS
    assert whole_files(warehouse) == FILES
    with connect(warehouse) as connection:
        assert connection.execute(content).fetchall() == expected
    assert list(warehouse.spool.iterdir()) == [], "Nothing that was downloaded outlives its process."
