"""The DAGs parse, are the ones we expect, and keep the rules of this house."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.airflow.config import POOLS, environment
from infra.settings import CHECKOUT, Settings

DAGS = CHECKOUT / "dags"
EXPECTED = {"ingest_telephony", "transform_warehouse", "publish_feeds"}
HEADINGS = ["Purpose", "Schedule", "Inputs and outputs", "Steps", "On failure", "Owner"]


def describe(folder: Path, home: Path) -> dict[str, Any]:
    """Parse DAGs in a process of their own, configured as the service is. No service is needed."""
    settings = Settings(
        home=home, database_url="postgresql://nobody@127.0.0.1:1/none", airflow_secret_key="for this test"
    )
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("describe_dags.py"), folder],
        env={**os.environ, **environment(settings, port=1)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return describe(DAGS, tmp_path_factory.mktemp("airflow"))


@pytest.fixture(scope="module")
def dags(parsed) -> dict[str, Any]:
    assert parsed["dags"]
    return parsed["dags"]


def tasks_of(dags: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tasks = {f"{dag_id}.{name}": task for dag_id, dag in dags.items() for name, task in dag["tasks"].items()}
    assert len(tasks) >= len(EXPECTED)
    return tasks


def test_exactly_the_expected_dags_parse_without_errors(parsed):
    assert set(parsed["dags"]) == EXPECTED
    assert parsed["import_errors"] == {}


def test_parsing_reaches_out_to_nothing_and_imports_no_room(parsed):
    assert parsed["dags"]
    assert parsed["reached_out"] == []
    assert parsed["rooms"] == []


def test_one_dag_per_file_named_as_the_file_and_short(dags):
    files = {path.stem: path for path in DAGS.glob("*.py") if path.name != "__init__.py"}
    assert set(files) == EXPECTED
    for dag_id, dag in dags.items():
        assert Path(dag["file"]) == files[dag_id]
        assert len(files[dag_id].read_text(encoding="utf-8").splitlines()) < 120, dag_id


def test_every_dag_is_documented_under_the_fixed_headings(dags):
    for dag_id, dag in dags.items():
        sections = re.split(r"^## (.+)\n", dag["doc_md"], flags=re.MULTILINE)
        assert sections[0].strip(), f"{dag_id} has no first sentence"
        assert sections[1::2] == HEADINGS, dag_id
        assert all(text.strip() for text in sections[2::2]), f"{dag_id} has an empty section"
        assert all(f"`{task}`" in dag["doc_md"] for task in dag["tasks"]), f"{dag_id} leaves out a step"


def test_every_dag_runs_once_at_a_time_and_has_tags(dags):
    for dag_id, dag in dags.items():
        assert dag["max_active_runs"] == 1, dag_id
        assert dag["catchup"] is False, dag_id
        assert dag["tags"], dag_id


def test_every_task_has_an_owner_retries_with_growing_pauses_and_a_call_for_help(dags):
    for name, task in tasks_of(dags).items():
        assert task["owner"] == "contactbi", name
        assert task["retries"] >= 2, name
        assert task["backoff"] >= 2, name
        assert task["on_failure"] == ["dags.common.notify.task_failed"], name


def test_pools_in_use_are_the_pools_that_the_service_makes(dags):
    assert {task["pool"] for task in tasks_of(dags).values()} - {"default_pool"} == set(POOLS)


def test_files_are_loaded_one_task_each_and_a_bad_one_does_not_stop_the_gate(dags):
    tasks = dags["ingest_telephony"]["tasks"]
    assert tasks["load_file"]["mapped"]
    assert tasks["raw_gate"]["trigger_rule"] == "all_done_min_one_success"


def test_each_dag_wakes_the_next(dags):
    outlets = {dag_id: _outlets(dag) for dag_id, dag in dags.items()}
    assert dags["ingest_telephony"]["schedule"] == ["inbound.telephony_call"]
    assert dags["transform_warehouse"]["schedule"] == outlets["ingest_telephony"] == ["raw.telephony_call"]
    assert dags["publish_feeds"]["schedule"] == outlets["transform_warehouse"] == ["marts"]


def test_the_timetable_in_the_readme_is_what_the_code_does(dags):
    rows = re.findall(r"^\| `.*\|$", (DAGS / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    written = [
        [re.findall(r"[\w.]+(?=`)|\b\d+\b", cell) for cell in row.strip("|").split("|")] for row in rows
    ]
    assert len(written) == len(EXPECTED)
    assert written == [
        [
            [dag_id],
            dag["schedule"],
            _outlets(dag),
            sorted({task["pool"] for task in dag["tasks"].values()} - {"default_pool"}),
            [str(dag["max_active_runs"])],
        ]
        for dag_id, dag in sorted(dags.items())
    ]


def test_the_checks_see_a_dag_that_is_broken_or_reaches_out(tmp_path):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "broken.py").write_text("from airflow.sdk import dag\nimport a_module_that_is_not_there\n")
    (folder / "curious.py").write_text(
        "import socket\n"
        "from airflow.sdk import dag\n"
        "import ingestion\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\n"
        "@dag\n"
        "def curious(): ...\n"
        "curious()\n"
    )
    seen = describe(folder, tmp_path / "home")
    assert set(seen["dags"]) == {"curious"}
    assert [Path(file).name for file in seen["import_errors"]] == ["broken.py"]
    assert seen["reached_out"] == ["socket.connect"]
    assert seen["rooms"] == ["ingestion"]


def _outlets(dag: dict[str, Any]) -> list[str]:
    return sorted(outlet for task in dag["tasks"].values() for outlet in task["outlets"])
