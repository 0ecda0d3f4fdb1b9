"""The bell of inbound files rings for whole files that the ledger does not know, and nothing stops it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.airflow.config import environment
from infra.local.supervisor import settings_environment
from infra.settings import Settings
from ingestion.run import ingest

pytestmark = pytest.mark.services

PATIENCE_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def rings(warehouse: Settings, folder: Path) -> Iterator[queue.Queue[int]]:
    """Number of waiting files at each ring, as they come; -1 when it could not look."""
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("ring_for_files.py"), folder],
        env={**os.environ, **settings_environment(warehouse), **environment(warehouse, port=1)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        heard: queue.Queue[int] = queue.Queue()

        def listen() -> None:
            for line in process.stdout:
                if line.startswith("ring "):
                    heard.put(json.loads(line.removeprefix("ring "))["files"])
                elif "Could not look" in line:
                    heard.put(-1)

        listener = threading.Thread(target=listen)
        listener.start()
        yield heard
        assert process.poll() is None, "The watch ended."
        process.terminate()
        listener.join()


def next_ring(rings: queue.Queue[int], files: int) -> None:
    """Wait for a ring that says so many files; rings that were on their way before are passed over."""
    while rings.get(timeout=PATIENCE_SECONDS) != files:
        pass


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
    ingest(warehouse, "telephony_call", str(folder))

    away = folder.rename(folder.with_name("away"))
    drop(away, 12, suffix=".part")
    drop(away, 13)
    drop(away, 14)
    next_ring(rings, -1)
    away.rename(folder)  # all at once: if it rang for 11 or 12 too, no ring would say two
    next_ring(rings, 2)
