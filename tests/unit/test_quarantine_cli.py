"""The command line for what was refused: listed, shown without personal data, and given another try."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from ingestion.quarantine import files, refused, refused_rows, retry
from ingestion.run import ensure_raw_tables, ingest
from tests.fixtures.interface_files import (
    CONTRACTS,
    NOW,
    ask,
    broken_conservation,
    empty,
    file_of,
    good,
    ledger,
    name_of,
)

pytestmark = pytest.mark.services

Cli = Callable[..., subprocess.CompletedProcess[str]]
TEXTS = CONTRACTS["text_message"]
ROWS = 40


@pytest.fixture
def db(warehouse: Settings) -> Iterator[Settings]:
    """An empty warehouse."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    yield warehouse
    assert broken_conservation(warehouse) == []


def messages(*bad: dict[str, Any], first: int = 0) -> bytes:
    records = [good(TEXTS, first + number) for number in range(ROWS)]
    records += [good(TEXTS, first + ROWS + number, **changes) for number, changes in enumerate(bad)]
    return file_of(TEXTS, records)


def put(folder: Path, number: int, data: bytes) -> str:
    name = name_of(TEXTS, number)
    part = folder / f"{name}.part"
    part.write_bytes(data)
    part.replace(folder / name)
    time.sleep(0.15)  # its time of change must be certain to be in the past
    return name


def load(settings: Settings, folder: Path, **changes: Any) -> Any:
    return ingest(settings.model_copy(update=changes), "text_message", str(folder), now=NOW)


BAD = {"direction": "sideways", "to_or_from": "07700 900123", "unknown": "canary.one@example.com"}


def test_what_was_refused_is_listed_and_shown_without_personal_data(
    db: Settings, run_cli: Cli, tmp_path: Path
) -> None:
    assert run_cli(db, "quarantine", "list").stdout == "Nothing is in quarantine.\n"
    few = put(tmp_path, 1, messages(BAD))
    many = put(tmp_path, 2, messages(*[BAD] * 10, first=100))
    fine = put(tmp_path, 3, messages(first=200))
    load(db, tmp_path)
    listed = run_cli(db, "quarantine", "list").stdout
    rows = [line.replace("│", " ").split() for line in listed.splitlines() if "text_message_" in line]
    assert [row[2:] for row in rows] == [
        [many, "not_in_list", "10", "41"],
        [many, "too_many_bad_rows", "1", "whole", "file"],
        [few, "not_in_list", "1", "41"],
    ]  # fmt: skip
    assert run_cli(db, "quarantine", "list", "complaint").stdout == "Nothing is in quarantine.\n"
    assert "contactbi quarantine show FILE" in listed
    shown = run_cli(db, "quarantine", "show", few).stdout
    assert shown.startswith("Line 41: not_in_list. direction: 'sideways' is not one of inbound, outbound.")
    assert "Send a value of the list." in shown and '"to_or_from": "[masked]"' in shown
    assert "900123" not in shown and "canary" not in shown
    whole = run_cli(db, "quarantine", "show", many, "--limit", "3").stdout
    assert whole.startswith("The whole file: too_many_bad_rows. 10 of 50 rows break a rule, more than 5.0%")
    assert whole.count("Line 4") == 2
    number = str(ledger(db, "text_message")[few]["file_id"])
    assert run_cli(db, "quarantine", "show", number).stdout == shown
    assert run_cli(db, "quarantine", "show", fine).stdout == "Nothing of this file is in quarantine.\n"


def test_the_ledger_is_listed_the_newest_first(db: Settings, run_cli: Cli, tmp_path: Path) -> None:
    names = [
        put(tmp_path, number, messages(*bad, first=number * 100))
        for number, bad in enumerate([(), [BAD], [BAD] * 9])
    ]
    (tmp_path / "odd.txt").write_text("x")
    load(db, tmp_path)

    def listed(*arguments: str) -> list[list[str]]:
        text = run_cli(db, "files", *arguments).stdout
        return [line.replace("│", " ").split() for line in text.splitlines() if "text_message" in line]

    assert [row[1:] for row in listed()] == [
        ["text_message", names[2], "quarantined", "49", "0", "0", "49", "too_many_bad_rows"],
        ["text_message", names[1], "loaded", "41", "40", "0", "1"],
        ["text_message", names[0], "loaded", "40", "40", "0", "0"],
        ["text_message", "odd.txt", "quarantined", "0", "0", "0", "0", "file_name"],
    ]  # fmt: skip
    assert [row[2] for row in listed("text_message", "--state", "loaded")] == [names[1], names[0]]
    assert len(listed("--limit", "1")) == 1
    assert listed("complaint") == []


def test_what_the_ledger_does_not_know_or_did_not_refuse_cannot_be_tried_again(
    db: Settings, run_cli: Cli, tmp_path: Path
) -> None:
    name = put(tmp_path, 1, messages())
    load(db, tmp_path)
    unknown = "The ledger knows no file 'nothing.jsonl'. `contactbi files` lists what it knows."
    for arguments, said in [
        (("show", "nothing.jsonl"), unknown),
        (("retry", "nothing.jsonl"), unknown),
        (("retry", name), f"{name} has nothing in quarantine."),
    ]:  # fmt: skip
        done = run_cli(db, "quarantine", *arguments, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == said + "\n", "One message, no traceback."


def test_a_corrected_file_loads_without_ceremony(db: Settings, run_cli: Cli, tmp_path: Path) -> None:
    name = put(tmp_path, 1, messages(*[BAD] * 10))
    load(db, tmp_path)
    put(tmp_path, 1, messages())
    assert f"{ROWS} loaded" in run_cli(db, "ingest", "text_message", str(tmp_path)).stdout
    assert ask(db, "select name, state, rows_loaded from ops.files order by file_id") == [
        (name, "quarantined", 0),
        (name, "loaded", ROWS),
    ]


def test_the_same_bytes_load_when_the_cause_is_gone_and_somebody_says_so(
    db: Settings, run_cli: Cli, tmp_path: Path
) -> None:
    name = put(tmp_path, 1, messages(*[BAD] * 10))
    load(db, tmp_path)
    assert load(db, tmp_path, max_bad_row_share=1.0).files("known") == 1, "Nobody has said so yet."
    said = run_cli(db, "quarantine", "retry", name).stdout
    assert said == f"{name} will be loaded again by `contactbi ingest text_message` or Airflow.\n"
    assert len(refused_rows(db, name)) == 11, "What is in quarantine stays there until the file has loaded."
    assert load(db, tmp_path, max_bad_row_share=1.0).counts.loaded == ROWS
    [row] = ledger(db, "text_message").values()
    assert (row["state"], row["rule"], row["raw"], len(row["refused"])) == ("loaded", None, ROWS, 10)


def test_a_try_that_fails_again_is_told_once(db: Settings, tmp_path: Path) -> None:
    name = put(tmp_path, 1, messages(*[BAD] * 10))
    load(db, tmp_path)
    for _ in range(2):
        retry(db, name)
        load(db, tmp_path)
        [row] = ledger(db, "text_message").values()
        assert (row["state"], row["rule"], len(row["refused"])) == ("quarantined", "too_many_bad_rows", 11)
    assert [each.rows for each in refused(db)] == [10, 1]


def test_a_loaded_file_that_is_tried_again_keeps_its_rows_and_finds_its_bad_ones_anew(
    db: Settings, tmp_path: Path
) -> None:
    name = put(tmp_path, 1, messages({"sent_at": "2026-03-04T13:00:00Z", "delivered_at": None}, BAD))
    load(db, tmp_path)
    before = ask(db, "select * from raw.text_message order by 1")
    assert [row.rule for row in refused_rows(db, name)] == ["timestamp_out_of_range", "not_in_list"]
    retry(db, name)
    summary = ingest(db, "text_message", str(tmp_path), now=NOW + timedelta(days=1))
    assert (summary.counts.loaded, summary.counts.unchanged, summary.counts.quarantined) == (1, ROWS, 1)
    after = ask(db, "select * from raw.text_message order by 1")
    assert [row for row in after if row in before] == before and len(after) == ROWS + 1
    assert [row.rule for row in refused_rows(db, name)] == ["not_in_list"]
    assert [each.state for each in files(db)] == ["loaded"]


def test_two_deliveries_of_one_name_are_both_tried_again_and_the_one_that_lies_there_loads(
    db: Settings, tmp_path: Path
) -> None:
    name = put(tmp_path, 1, messages(*[BAD] * 10))
    load(db, tmp_path)
    put(tmp_path, 1, messages(*[BAD] * 9))
    load(db, tmp_path)
    assert len(retry(db, name)) == 2
    for _ in range(2):
        summary = load(db, tmp_path, max_bad_row_share=1.0)
        assert not summary.files("failed"), summary.as_text()
    assert ask(db, "select state, rows_read from ops.files order by file_id") == [
        ("seen", ROWS + 10),
        ("loaded", ROWS + 9),
    ]


def test_a_corrected_file_does_not_take_the_place_of_the_one_to_be_tried_again(
    db: Settings, tmp_path: Path
) -> None:
    name = put(tmp_path, 1, messages(BAD))
    load(db, tmp_path)
    retry(db, name)
    put(tmp_path, 1, messages({}))
    for _ in range(2):
        summary = load(db, tmp_path)
        assert not summary.files("failed"), summary.as_text()
    assert ask(db, "select rows_loaded, (select count(*) from raw.text_message as r where r._file_id = f.file_id) "
        "from ops.files as f order by file_id") == [
        (ROWS, ROWS),
        (1, 1),
    ]  # fmt: skip
