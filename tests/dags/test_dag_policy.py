"""The DAGs parse, are the ones we expect, and keep the rules of this house."""

from __future__ import annotations

import ast
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
from ingestion.contract import interfaces

DAGS = CHECKOUT / "dags"
INTERFACES = ast.literal_eval(
    re.findall(
        r"^INTERFACES = (\(.+?^\))", (DAGS / "common" / "assets.py").read_text(), re.MULTILINE | re.DOTALL
    )[0]
)
INGEST = {
    "ingest_agent_states": "agent_state",
    "ingest_callbacks": "callback_event",
    "ingest_complaints": "complaint",
    "ingest_email": "email_message",
    "ingest_payments": "payment_confirmation",
    "ingest_queue_snapshots": "queue_snapshot",
    "ingest_telephony": "telephony_call",
    "ingest_text": "text_message",
    "ingest_webchat": "webchat_session",
    "ingest_wip": "wip_extract",
}
EXPECTED = {*INGEST, "transform_warehouse", "publish_feeds", "watch_freshness"}
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


def test_every_interface_has_exactly_one_ingest_dag(dags):
    assert interfaces()
    assert sorted(INGEST.values()) == sorted(INTERFACES) == interfaces()
    for dag_id, interface in INGEST.items():
        dag = dags[dag_id]
        assert dag["assets"] == [f"inbound.{interface}"], dag_id
        assert dag["watches"] == [interface], dag_id
        assert _outlets(dag) == [f"raw.{interface}"], dag_id
        assert set(dag["tasks"]) == {"list_files", "load_file", "raw_gate"}, dag_id
        assert f"`raw.{interface}`" in dag["doc_md"], dag_id


def test_the_docs_of_the_ingest_dags_are_their_own(dags):
    firsts = {dags[dag_id]["doc_md"].splitlines()[0] for dag_id in INGEST}
    purposes = {
        dags[dag_id]["doc_md"].partition("## Purpose\n")[2].partition("\n## ")[0] for dag_id in INGEST
    }
    assert len(firsts) == len(purposes) == len(INGEST)


def test_files_are_loaded_one_task_each_and_a_bad_one_does_not_stop_the_gate(dags):
    for dag_id in INGEST:
        tasks = dags[dag_id]["tasks"]
        assert tasks["load_file"]["mapped"], dag_id
        assert tasks["raw_gate"]["trigger_rule"] == "all_done_min_one_success", dag_id


def test_extracts_are_loaded_one_after_another_and_do_not_hold_up_the_other_files(dags):
    pools = {interface: dags[dag_id]["tasks"]["load_file"]["pool"] for dag_id, interface in INGEST.items()}
    assert POOLS[pools.pop("wip_extract")][0] == 1
    assert set(pools.values()) == {"inbound_files"}


def test_only_the_extract_and_the_watch_run_by_the_clock_and_by_that_of_london(dags):
    assert {dag_id: dag["clock"] for dag_id, dag in dags.items() if dag["clock"]} == {
        "ingest_wip": ["5 */2 * * *", "Europe/London"],
        "watch_freshness": ["*/15 * * * *", "Europe/London"],
    }


def test_each_dag_wakes_the_next(dags):
    transform = dags["transform_warehouse"]
    assert transform["assets"] == sorted(name for dag_id in INGEST for name in _outlets(dags[dag_id]))
    assert transform["any_asset"]
    assert dags["publish_feeds"]["assets"] == _outlets(transform) == ["marts"]


def test_the_timetable_in_the_readme_is_what_the_code_does(dags):
    timetable = (DAGS / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = re.findall(r"^\| `.*\|$", timetable, flags=re.MULTILINE)
    written = [
        [re.findall(r"`([^`]+)`|\b(\d+)\b", cell) for cell in row.strip("|").split("|")] for row in rows
    ]
    assert len(written) == len(EXPECTED)
    assert [[["".join(token) for token in cell] for cell in row] for row in written] == [
        [
            [dag_id],
            [*dag["assets"], *dag["clock"][:1]],
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
