"""The oracle's own reading of telephony_call files: each rule refuses what it names, and nothing else."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.records import (
    Refused,
    current_versions,
    file_name,
    missing_stretches,
    read_folder,
    record_of,
)

LOADED_AT = datetime(2025, 1, 2, tzinfo=UTC)
LEG = {"leg_no": 1, "queue": "Q", "queued_at": "2025-01-01T10:00:30Z", "answered_at": "2025-01-01T10:01:00Z"}
CALL = {
    "call_id": "C1",
    "record_version": 1,
    "emitted_at": "2025-01-01T11:00:00Z",
    "dialled_number": "+441632960001",
    "received_at": "2025-01-01T10:00:00Z",
    "ivr_outcome": "queued",
    "legs": [LEG],
}


def name(
    sequence: int = 1, stamp: str = "20250101T120000Z", platform: str = "a_b", suffix: str = ".jsonl"
) -> str:
    return f"telephony_call_{platform}_{stamp}_{sequence:05d}{suffix}"


def read_one(row: dict[str, Any] | bytes) -> Any:
    line = row if isinstance(row, bytes) else json.dumps(row).encode()
    return record_of(line, file_name(name()), 1, LOADED_AT)


def without(field: str) -> dict[str, Any]:
    return {key: value for key, value in CALL.items() if key != field}


def leg(**changes: Any) -> dict[str, Any]:
    return {**CALL, "legs": [{**LEG, **changes}]}


def write(folder: Path, file: str, *rows: dict[str, Any] | bytes) -> None:
    content = b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    (folder / file).write_bytes(gzip.compress(content) if file.endswith(".gz") else content)


def test_a_record_is_read_to_the_microsecond_and_offsets_are_instants() -> None:
    record = read_one({**CALL, "received_at": "2025-01-01T11:00:00.000001+01:00"})
    assert record.received_at == datetime(2025, 1, 1, 10, 0, 0, 1, tzinfo=UTC)
    assert record.is_test is False
    assert record.legs[0].answered_at == datetime(2025, 1, 1, 10, 1, tzinfo=UTC)


def test_seconds_are_exact() -> None:
    assert read_one(leg(wrap_seconds=0.1)).legs[0].wrap_seconds == Fraction(1, 10)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (b"{", "json"),
        (b"[]", "json"),
        (b'{"call_id": "C1", ' + json.dumps(CALL).encode()[1:], "json"),
        (b'"\xff"', "json"),
        (b"[" * 100_000, "json"),
        (json.dumps(leg(wrap_seconds=float("nan"))).encode(), "number"),
        (json.dumps(leg(hold_seconds=float("inf"))).encode(), "number"),
        (
            json.dumps(leg(hold_seconds=1)).replace('"hold_seconds": 1', '"hold_seconds": 1e999').encode(),
            "number",
        ),
        *[(without(field), "missing") for field in CALL],
        *[({**CALL, field: None}, "missing") for field in CALL],
        ({**CALL, "Call_id": "C1", "call_id": ""}, "range"),
        ({**CALL, "call_id": "x" * 65}, "range"),
        ({**CALL, "call_id": "a\x00b"}, "text"),
        ({**CALL, "dialled_number": "\ud800"}, "text"),
        ({**CALL, "call_id": 1}, "type"),
        ({**CALL, "record_version": 0}, "range"),
        ({**CALL, "record_version": 2**63}, "range"),
        ({**CALL, "record_version": "1"}, "type"),
        ({**CALL, "record_version": True}, "type"),
        ({**CALL, "record_version": 1.5}, "type"),
        ({**CALL, "is_test": 1}, "type"),
        ({**CALL, "caller_number": 447700900123}, "type"),
        ({**CALL, "language": "fr"}, "enum"),
        ({**CALL, "ivr_outcome": "Queued"}, "enum"),
        ({**CALL, "ivr_path": ["a", 1]}, "type"),
        ({**CALL, "legs": {}}, "type"),
        ({**CALL, "legs": ["x"]}, "type"),
        ({**CALL, "received_at": "2025-01-01T10:00:00"}, "timestamp"),
        ({**CALL, "received_at": "2025-01-01T10:00:00.1234567Z"}, "timestamp"),
        ({**CALL, "received_at": "2025-02-30T10:00:00Z"}, "timestamp"),
        ({**CALL, "received_at": 1735725600}, "type"),
        ({**CALL, "emitted_at": "1989-12-31T23:59:59.999999Z"}, "range"),
        ({**CALL, "ended_at": "2025-01-03T00:00:00.000001Z"}, "range"),
        (leg(leg_no=0), "range"),
        (leg(leg_no=2**31), "range"),
        ({**CALL, "legs": [LEG, LEG]}, "legs"),
        (leg(queue=None), "missing"),
        (leg(hold_seconds=-1), "range"),
        (leg(wrap_seconds=-0.001), "range"),
        (leg(wrap_seconds="1"), "type"),
        (leg(end_reason="gone"), "enum"),
        (leg(transfer_to="3rd_line"), "enum"),
        (leg(transfer_mode="luke"), "enum"),
        (leg(reason_codes="A"), "type"),
        ({**CALL, "ivr_ended_at": "2025-01-01T09:59:59.999999Z"}, "order"),
        (leg(queued_at="2025-01-01T09:59:59Z"), "order"),
        (leg(answered_at="2025-01-01T10:00:29Z"), "order"),
        (leg(left_at="2025-01-01T10:00:59Z"), "order"),
        (leg(answered_at=None, left_at="2025-01-01T10:00:29Z"), "order"),
        ({**CALL, "legs": []}, "legs"),
        ({**CALL, "ivr_outcome": "abandoned"}, "legs"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused_by_that_rule(row: dict[str, Any] | bytes, rule: str) -> None:
    with pytest.raises(Refused, match=f"^{rule}$"):
        read_one(row)


@pytest.mark.parametrize(
    "row",
    [
        {**CALL, "unknown": {"kept": True}},
        {**CALL, "call_id": "x" * 64},
        {**CALL, "ended_at": "2025-01-03T00:00:00Z"},
        {**CALL, "emitted_at": "1990-01-01T00:00:00Z"},
        {**CALL, "received_at": "2025-01-01T10:00:30Z", "ivr_ended_at": "2025-01-01T10:00:30Z"},
        leg(queued_at="2025-01-01T10:01:00Z", left_at="2025-01-01T10:01:00Z"),
        leg(answered_at=None, left_at=None, end_reason=None, wrap_seconds=None, agent_id=None),
        {**CALL, "ivr_outcome": "self_served", "legs": []},
    ],
)
def test_a_row_at_the_edge_of_a_rule_is_accepted(row: dict[str, Any]) -> None:
    assert read_one(row).line == 1


def test_every_row_is_accepted_or_refused_with_its_line_number(tmp_path: Path) -> None:
    rows: list[dict[str, Any] | bytes] = [{**CALL, "call_id": f"C{number}"} for number in range(40)]
    rows[6] = b"not json"
    write(tmp_path, name(suffix=".jsonl.gz"), *rows)
    write(tmp_path, name() + ".part", b"not read")
    write(tmp_path, "." + name(), b"not read")
    (read,) = read_folder(tmp_path, LOADED_AT)
    assert (read.rows, len(read.accepted), read.whole) == (40, 39, None)
    assert [(rejection.line, rejection.rule) for rejection in read.rejected] == [(7, "json")]


def test_more_than_five_in_a_hundred_bad_rows_refuse_the_whole_file(tmp_path: Path) -> None:
    write(tmp_path, name(1), *[CALL] * 19, b"x")
    write(tmp_path, name(2), *[CALL] * 18, b"x")
    borderline, worse = read_folder(tmp_path, LOADED_AT)
    assert (borderline.whole, len(borderline.accepted)) == (None, 19)
    assert (worse.whole, len(worse.accepted), len(worse.rejected)) == ("bad rows", 0, 19)


def test_a_file_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    write(tmp_path, name(1, suffix=".jsonl.gz"), CALL)
    cut = tmp_path / name(1, suffix=".jsonl.gz")
    cut.write_bytes(cut.read_bytes()[:-4])
    write(tmp_path, name(2), CALL)
    (tmp_path / (name(2) + ".sha256")).write_text("0" * 64)
    write(tmp_path, name(3), CALL)
    digest = hashlib.sha256((tmp_path / name(3)).read_bytes()).hexdigest()
    (tmp_path / (name(3) + ".sha256")).write_text(f"{digest}  {name(3)}\n")
    write(tmp_path, name(4))
    assert [read.whole for read in read_folder(tmp_path, LOADED_AT)] == ["gzip", "digest", None, "empty"]


def test_the_current_version_is_the_greatest_then_the_later_emitted_then_the_later_file(
    tmp_path: Path,
) -> None:
    later = "2025-01-01T11:00:01Z"
    write(tmp_path, name(1), {**CALL, "record_version": 2, "language": "cy"}, {**CALL, "call_id": "C2"})
    write(tmp_path, name(2), {**CALL, "record_version": 2, "emitted_at": later}, {**CALL, "call_id": "C2"})
    write(
        tmp_path, name(3), {**CALL, "record_version": 2}, {**CALL, "record_version": 1, "emitted_at": later}
    )
    forwards = current_versions(read_folder(tmp_path, LOADED_AT))
    backwards = current_versions(reversed(read_folder(tmp_path, LOADED_AT)))
    assert [(record.call_id, record.file.sequence) for record in forwards] == [("C1", 2), ("C2", 2)]
    assert forwards == backwards


def test_a_missing_sequence_number_leaves_a_stretch_between_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, name(1, "20250101T000000Z"), CALL)
    write(tmp_path, name(2, "20250101T010000Z"), b"refused whole")
    write(tmp_path, name(3, "20250101T020000Z"), CALL)
    write(tmp_path, name(4, "20250101T030000Z"), CALL)
    write(tmp_path, name(9, "20250101T040000Z"), CALL)
    write(tmp_path, name(20, "20250101T050000Z", platform="other"), CALL)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)
    assert missing_stretches(read_folder(tmp_path, LOADED_AT)) == [
        (start, start + 2 * hour),
        (start + 3 * hour, start + 4 * hour),
    ]
