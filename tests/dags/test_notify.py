"""A task that fails for good leaves one line where people look, without what the error said."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import ClassVar

from dags.common.notify import task_failed


def context(map_index: int) -> dict:
    ti = SimpleNamespace(
        dag_id="ingest_telephony",
        task_id="load_file",
        run_id="asset_triggered__1",
        map_index=map_index,
        try_number=5,
        log_url="http://127.0.0.1:1/log",
    )
    return {"ti": ti, "exception": ValueError("+447700900123 is not a number")}


def test_each_failure_is_one_line_without_the_text_of_the_error(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTACTBI_HOME", str(tmp_path))
    task_failed(context(0))
    task_failed(context(1))
    text = (tmp_path / "logs" / "alerts.jsonl").read_text(encoding="utf-8")
    alerts = [json.loads(line) for line in text.splitlines()]
    assert [alert["map_index"] for alert in alerts] == [0, 1]
    assert {(alert["dag"], alert["task"], alert["attempt"], alert["error"]) for alert in alerts} == {
        ("ingest_telephony", "load_file", 5, "ValueError")
    }
    assert all(alert["log"] == "http://127.0.0.1:1/log" for alert in alerts)
    assert "447700" not in text


def test_a_failure_that_is_fit_to_be_told_says_what_a_person_needs(tmp_path, monkeypatch):
    class HeldError(Exception):
        alert: ClassVar = {"event": "file_quarantined", "file": "wip_extract_a.csv", "rule": "extract_size"}

    monkeypatch.setenv("CONTACTBI_HOME", str(tmp_path))
    task_failed({**context(0), "exception": HeldError("+447700900123")})
    text = (tmp_path / "logs" / "alerts.jsonl").read_text(encoding="utf-8")
    alert = json.loads(text)
    assert (alert["event"], alert["file"], alert["rule"]) == (
        "file_quarantined",
        "wip_extract_a.csv",
        "extract_size",
    )
    assert (alert["dag"], alert["error"]) == ("ingest_telephony", "HeldError")
    assert "447700" not in text
