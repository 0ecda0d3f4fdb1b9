"""The bell of inbound files rings for whole files that the ledger does not know, and nothing stops it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from infra.airflow.config import environment
from infra.local.supervisor import settings_environment
from infra.settings import Settings
from ingestion.contract import interfaces
from ingestion.run import ingest

pytestmark = pytest.mark.services

INTERFACES = interfaces()
PATIENCE_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@contextmanager
def watch(warehouse: Settings, folder: Path, *interfaces: str) -> Iterator[queue.Queue[str]]:
    """Lines that the program with the triggers prints, as they come."""
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("ring_for_files.py"), folder, *interfaces],
        env={
            **os.environ,
            **settings_environment(warehouse),
            **environment(warehouse, port=1),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        heard: queue.Queue[str] = queue.Queue()
        listener = threading.Thread(target=lambda: [heard.put(line.strip()) for line in process.stdout])
        listener.start()
        try:
            yield heard
            assert process.poll() is None, "The watch ended."
        finally:
            process.terminate()
            listener.join()


@pytest.fixture
def rings(warehouse: Settings, folder: Path) -> Iterator[Rings]:
    """The rings for telephony_call."""
    with watch(warehouse, folder, "telephony_call") as lines:
        yield Rings(lines)


class Rings:
    """Number of waiting files at each ring; -1 when it could not look."""

    def __init__(self, lines: queue.Queue[str]) -> None:
        self._lines = lines

    def get(self, timeout: float) -> int:
        while True:
            line = self._lines.get(timeout=timeout)
            if line.startswith("ring "):
                return json.loads(line.removeprefix("ring "))["files"]
            if "Could not look" in line:
                return -1


def next_ring(rings: Rings, files: int) -> None:
    """Wait for a ring that says so many files; rings that were on their way before are passed over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    heard = []
    while not heard or heard[-1] != files:
        assert time.monotonic() < deadline, f"Rings said {heard}, and none of them {files}."
        heard.append(rings.get(timeout=PATIENCE_SECONDS))


def drop(folder: Path, number: int, suffix: str = "") -> Path:
    path = folder / f"telephony_call_test_20260302T090000Z_{number:06}.jsonl{suffix}"
    draft = folder / f".{path.name}"
    draft.write_text(
        json.dumps(
            {
                "call_id": f"call-{number}",
                "record_version": 1,
                "emitted_at": "2026-03-02T09:10:00Z",
                "dialled_number": "+441632960001",
                "received_at": "2026-03-02T09:00:00Z",
                "ivr_outcome": "self_served",
                "legs": [],
            }
        )
        + "\n"
    )
    return draft.rename(path)


def test_it_rings_for_new_files_and_again_while_they_wait(warehouse, folder, rings):
    drop(folder, 1)
    assert rings.get(timeout=PATIENCE_SECONDS) == 1
    assert rings.get(timeout=PATIENCE_SECONDS) == 1  # nobody came: once more
    drop(folder, 2)
    next_ring(rings, 2)


def test_it_is_silent_for_loaded_and_unfinished_files_and_outlives_its_source(warehouse, folder, rings):
    drop(folder, 11)
    next_ring(rings, 1)
    time.sleep(0.3)  # bytes that may still change under one listing would be looked at once more
    ingest(warehouse, "telephony_call", str(folder))

    away = folder.rename(folder.with_name("away"))
    drop(away, 12, suffix=".part")
    drop(away, 13)
    drop(away, 14)
    next_ring(rings, -1)
    away.rename(folder)  # all at once: if it rang for 11 or 12 too, no ring would say two
    next_ring(rings, 2)


def test_ten_watches_look_once_and_ask_only_about_what_changed(warehouse, folder):
    """Nobody loads what is dropped here: asking is for the interface whose files wait, and for no other."""
    assert len(INTERFACES) == 10
    drop(folder, 21)
    with watch(warehouse, folder, *INTERFACES) as lines:
        heard: list[str] = []
        started = 0.0
        while heard.count("look") < 30:
            heard.append(lines.get(timeout=PATIENCE_SECONDS))
            started = started or time.monotonic()
        seconds = time.monotonic() - started
    assert seconds > 2.5, "30 looks, a tenth of a second apart, whoever watches"
    asked, rung = heard.count("ask"), [line for line in heard if line.startswith("ring ")]
    assert rung
    assert all(json.loads(line.removeprefix("ring "))["interface"] == "telephony_call" for line in rung)
    assert len(rung) <= asked <= 3 + seconds, "it asks at once, and again each second while a file waits"


def test_a_ledger_out_of_reach_does_not_end_the_watch(warehouse, folder):
    nowhere = warehouse.model_copy(update={"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")})
    drop(folder, 31)
    with watch(nowhere, folder, "telephony_call") as lines:
        heard: list[str] = []
        while heard.count("ask") < 2:
            heard.append(lines.get(timeout=PATIENCE_SECONDS))
    assert any("Could not ask for files of telephony_call" in line for line in heard)
    assert not any(line.startswith("ring ") for line in heard)
