"""Files to raw: what every kind of file comes to in the tables, however it arrives and however often."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.postgres import connect
from infra.settings import Settings
from infra.sftp import sftp_location
from ingestion import ledger, lines, targets
from ingestion.connectors import SourceError
from ingestion.connectors.local import LocalFolder
from ingestion.contract import load_contract
from ingestion.run import (
    FileOutcome,
    ensure_raw_tables,
    ingest,
    load_file,
    new_batch,
    pending_files,
    tell_misnamed_files,
)
from tests.fixtures.interface_files import file_of, good, name_of
from tests.oracle.records import current_versions, read_file

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
REAL_CALLS = Path(__file__).parents[2].parent / "shared"
NUMBERS = itertools.count(1)


def call(call_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "record_version": 1,
        "emitted_at": "2026-03-02T09:10:00Z",
        "dialled_number": "+441632960001",
        "caller_number": "07700 900123",
        "received_at": "2026-03-02T09:00:00Z",
        "ivr_outcome": "self_served",
        "legs": [],
        **changes,
    }


def text(*records: dict[str, Any] | str) -> bytes:
    return b"".join(
        (record if isinstance(record, str) else json.dumps(record)).encode() + b"\n" for record in records
    )


def name(sequence: int | None = None, stamp: str = "20260302T100000Z", suffix: str = ".jsonl") -> str:
    return f"telephony_call_test_{stamp}_{sequence or next(NUMBERS):06d}{suffix}"


def put(folder: Path, file: str, content: bytes) -> Path:
    """A file that appears whole under its name, as a supplier's does, and has lain there for a while."""
    path = folder / file
    part = folder / f"{file}.part"
    part.write_bytes(content)
    part.replace(path)
    time.sleep(0.15)  # its time of change must be certain to be in the past
    return path


class Warehouse:
    """What a test asks of the tables."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with connect(self.settings) as connection:
            return connection.execute(query, values).fetchall()

    def file(self, file: str) -> dict[str, Any]:
        """The one ledger row of a name."""
        with connect(self.settings, row_factory=psycopg.rows.dict_row) as connection:
            [row] = connection.execute("select * from ops.files where name = %s", (file,)).fetchall()
            return row  # type: ignore[return-value]

    def counts(self) -> tuple[int, ...]:
        """Rows of raw, quarantine, and states of the ledger."""
        [found] = self.all(
            "select (select count(*) from raw.telephony_call), (select count(*) from quarantine.rows), "
            "(select count(*) from ops.files)"
        )
        return found

    def content(self) -> list[tuple[Any, ...]]:
        """What raw holds, but for where it came from first."""
        return self.all(
            "select call_id, record_version, _record_hash, _file_position, legs, _extra from raw.telephony_call "
            "order by 1, 2, 3"
        )


@pytest.fixture
def db(warehouse: Settings) -> Iterator[Warehouse]:
    """An empty warehouse."""
    ensure_raw_tables(warehouse)
    with connect(warehouse) as connection:
        connection.execute(
            "truncate raw.telephony_call, raw.text_message, quarantine.rows, ops.files, ops.unknown_fields cascade"
        )
    yield Warehouse(warehouse)
    with connect(warehouse) as connection:
        broken = connection.execute(
            "select name from ops.files where state in ('loaded', 'quarantined') "
            "and rows_read is distinct from rows_loaded + rows_unchanged + rows_quarantined"
        ).fetchall()
        lost = connection.execute(
            "select f.name from ops.files f where state = 'loaded' and rows_quarantined <> "
            "(select count(*) from quarantine.rows q where q.file_id = f.file_id)"
        ).fetchall()
        assert broken == lost == []


def run(db: Warehouse, source: Path | str | None, **settings: Any) -> Any:
    return ingest(db.settings.model_copy(update=settings), "telephony_call", source and str(source), now=NOW)


# ------------------------------------------------------------------------------------------------------ the rule


@pytest.mark.parametrize("first_known", [0, 3, 9, 25, 59])
def test_records_that_are_known_are_found_wherever_they_stand(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_known: int
) -> None:
    """The primary key says of most records whether they are known, and a look at raw of the others: all is as one."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", 2_000)  # some 7 records
    put(tmp_path, name(1), text(*(call(f"known-{n}") for n in range(3))))
    run(db, tmp_path)
    records = [call(f"c-{n}") for n in range(60)]
    again = [call(f"known-{n}") for n in range(3)]
    content = text(*records[:first_known], *again, *records[first_known:], records[5], records[40])
    contents, touched = [], []
    for looked_up in (1, 4, 10**6):
        monkeypatch.setattr(targets, "_LOOKED_UP_FIRST", looked_up)
        put(tmp_path, name(), content)
        assert "65 read = 60 loaded + 5 unchanged + 0 quarantined" in run(db, tmp_path).as_text()
        contents.append(
            db.all(
                "select call_id, _record_hash, _line_number, right(_file_position, 12) from raw.telephony_call "
                "order by 1"
            )
        )
        touched.append(db.all("select count(*) from ops.record_touches"))
        with connect(db.settings) as connection:
            connection.execute("delete from raw.telephony_call where call_id like 'c-%'")
    assert contents[0] == contents[1] == contents[2] and len(contents[0]) == 63
    assert touched[0] == touched[1] == touched[2]
    at_known = {row[0]: row[3][-3:] for row in contents[0]}
    assert at_known["known-0"] == f"{first_known + 1:03d}" and at_known["c-40"] == "065"


def test_only_one_refusal_of_the_primary_key_is_asked_for(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 2_000)
    monkeypatch.setattr(targets, "_LOOKED_UP_FIRST", 2)
    known = [call(f"known-{n}") for n in range(40)]
    put(tmp_path, name(), text(*known))
    run(db, tmp_path)
    copies: list[str] = []
    copy: Callable[..., None] = targets._Statements.copy

    def count(self: Any, statement: str, rows: memoryview) -> None:
        copies.append(statement)
        copy(self, statement, rows)

    monkeypatch.setattr(targets._Statements, "copy", count)
    put(tmp_path, name(), text(call("new-1"), call("new-2"), *known))
    assert "42 read = 2 loaded + 40 unchanged" in run(db, tmp_path).as_text()
    assert len(copies) == 2  # of the new ones, and of those that were taken for new
    copies.clear()
    put(tmp_path, name(), text(*known, call("new-3")))
    assert "41 read = 1 loaded + 40 unchanged" in run(db, tmp_path).as_text()
    assert len(copies) == 1


def test_threads_change_nothing(db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 2_000)
    choose = random.Random(1)
    records: list[dict[str, Any] | str] = [call(f"c-{n}") for n in range(300)]
    for place in choose.sample(range(300), 30):
        records[place] = choose.choice(("{oops", call(f"y-{place}", legs=None), call(f"z-{place}")))
    found = []
    for threads in (1, 2, 5):
        path = put(tmp_path, name(), text(*records))
        summary = run(db, path, parse_threads=threads, max_bad_row_share=1)
        found.append(
            (
                summary.counts,
                db.all("select call_id, _record_hash, _line_number from raw.telephony_call order by 3"),
                db.all("select line_number, rule, message from quarantine.rows order by row_id"),
            )
        )
        with connect(db.settings) as connection:
            connection.execute("truncate raw.telephony_call, quarantine.rows, ops.files cascade")
    assert found[0] == found[1] == found[2] and found[0][0].read == 300 and found[0][2]


def test_a_file_is_loaded_once(db: Warehouse, tmp_path: Path) -> None:
    path = put(tmp_path, name(), text(call("c-1"), call("c-2"), "{oops"))
    summary = run(db, tmp_path, max_bad_row_share=0.5)
    assert "3 read = 2 loaded + 0 unchanged + 1 quarantined" in summary.as_text()
    row = db.file(path.name)
    assert row["state"] == "loaded"
    assert (row["rows_read"], row["rows_loaded"], row["rows_unchanged"], row["rows_quarantined"]) == (
        3,
        2,
        0,
        1,
    )
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row["platform"], row["file_sequence"]) == ("test", int(path.name[-12:-6]))
    assert row["file_stamp"] == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert db.all("select line_number, rule, batch_id from quarantine.rows") == [
        (3, "invalid_json", summary.batch_id)
    ]
    assert db.all("select distinct _file_id, _batch_id, _loaded_at from raw.telephony_call") == [
        (row["file_id"], summary.batch_id, NOW)
    ]
    before = db.counts(), db.content()
    again = run(db, tmp_path)
    assert "1 found = 0 loaded + 1 unchanged" in again.as_text() and again.batch_id is None
    os.utime(path, (1, 1))  # the listing no longer shows that it is known
    time.sleep(0.15)
    assert pending_files(db.settings, "telephony_call", str(tmp_path))
    assert "1 found = 0 loaded + 1 unchanged" in run(db, tmp_path).as_text()
    assert not pending_files(db.settings, "telephony_call", str(tmp_path))
    assert (db.counts(), db.content()) == before


def test_real_calls_load_to_the_row(db: Warehouse, tmp_path: Path) -> None:
    if not (REAL_CALLS / "tools" / "technion_to_calls.py").exists():
        pytest.skip("The real call log is not beside this checkout.")
    import subprocess
    import sys

    logs = sorted((REAL_CALLS / "data" / "technion").glob("*.gz"))
    converter = REAL_CALLS / "tools" / "technion_to_calls.py"
    subprocess.run([sys.executable, converter, *logs, "--out", tmp_path], check=True, capture_output=True)
    summary = run(db, tmp_path)
    assert "64,943 read = 64,885 loaded + 0 unchanged + 58 quarantined" in summary.as_text()
    assert db.all("select rule, count(*) from quarantine.rows group by 1") == [("times_out_of_order", 58)]


def test_a_name_that_was_sent_again_with_other_bytes_is_a_new_delivery(db: Warehouse, tmp_path: Path) -> None:
    file = name()
    put(tmp_path, file, text(call("c-1"), call("c-2")))
    run(db, tmp_path)
    put(tmp_path, file, text(call("c-1"), call("c-2", record_version=2), call("c-3")))
    assert "3 read = 2 loaded + 1 unchanged + 0 quarantined" in run(db, tmp_path).as_text()
    assert db.all("select state, rows_loaded from ops.files order by file_id") == [
        ("loaded", 2),
        ("loaded", 2),
    ]
    assert db.all("select call_id, record_version from raw.telephony_call order by 1, 2") == [
        ("c-1", 1),
        ("c-2", 1),
        ("c-2", 2),
        ("c-3", 1),
    ]


@pytest.mark.parametrize("line", ["same", "earlier", "later"])
def test_a_correction_under_the_same_name_wins_wherever_its_rows_stand(
    db: Warehouse, tmp_path: Path, line: str
) -> None:
    """Many calls, because a digest would decide half of them rightly by chance."""
    wrong = [call(f"c-{n}", language="cy") for n in range(20)]
    right = [call(f"c-{n}", dialled_number="+441632960002") for n in range(20)]
    more = [call(f"other-{n}") for n in range(20)]
    first, second = {
        "same": (wrong, right),
        "earlier": ([*more, *wrong], right),
        "later": (wrong, [*more, *right]),
    }[line]
    file = name(7)
    for number, records in enumerate((first, second), start=1):
        folder = tmp_path / str(number)
        folder.mkdir()
        put(folder, file, text(*records))
        run(db, folder)
    expected = current_versions(
        read_file(tmp_path / str(number) / file, NOW, delivery=number) for number in (1, 2)
    )
    counts = (
        "select distinct on (call_id) call_id, dialled_number from raw.telephony_call "
        "order by call_id, record_version desc, emitted_at desc, _file_position desc, _record_hash desc"
    )
    found = sorted(db.all(counts))
    assert found == [(record.call_id, record.dialled_number) for record in expected]
    assert {number for call_id, number in found if call_id.startswith("c-")} == {"+441632960002"}

    put(tmp_path, name(8), text(*wrong))
    run(db, tmp_path)
    assert {number for call_id, number in db.all(counts) if call_id.startswith("c-")} == {"+441632960001"}, (
        "A later name goes before a later delivery of an earlier one."
    )
    (tmp_path / "3").mkdir()
    put(tmp_path / "3", file, text(*right, *right))
    run(db, tmp_path / "3")
    assert {number for call_id, number in db.all(counts) if call_id.startswith("c-")} == {"+441632960001"}


@pytest.mark.parametrize("moved", [-5, 0, 5])
def test_a_correction_of_events_under_the_same_name_wins(db: Warehouse, tmp_path: Path, moved: int) -> None:
    contract = load_contract("text_message")
    fill = [good(contract, 100 + n) for n in range(5)]
    for delivery, template in enumerate(("WRONG", "RIGHT", "WRONG AGAIN", "RIGHT"), start=1):
        events = [good(contract, n, template_code=template) for n in range(10)]
        stands_later = (moved < 0) if template != "RIGHT" else (moved > 0)
        folder = tmp_path / str(delivery)
        folder.mkdir()
        data = file_of(contract, [*(fill if stands_later else []), *events, good(contract, 200 + delivery)])
        put(folder, name_of(contract, 1), data)
        ingest(db.settings, "text_message", str(folder), now=NOW)
        assert set(
            db.all(
                "select template_code from (select distinct on (message_id) message_id, template_code "
                "from raw.text_message order by message_id, _file_position desc, _record_hash desc) as counts "
                "where message_id ~ '-[0-9]$'"
            )
        ) == {(template,)}


@pytest.mark.parametrize("change", ["renamed", "packed again", "in another platform's name"])
def test_the_same_records_in_another_file_change_nothing(db: Warehouse, tmp_path: Path, change: str) -> None:
    content = text(*(call(f"c-{n}") for n in range(50)))
    put(tmp_path, name(1, suffix=".jsonl.gz"), gzip.compress(content, 1))
    run(db, tmp_path)
    before = [row[:3] for row in db.content()]
    other = {
        "renamed": name(2, suffix=".jsonl.gz"),
        "packed again": name(1, suffix=".jsonl.gz"),
        "in another platform's name": name(2).replace("test", "other_platform-2"),
    }[change]
    put(tmp_path, other, content if other.endswith("l") else gzip.compress(content, 9))
    assert "50 read = 0 loaded + 50 unchanged + 0 quarantined" in run(db, tmp_path).as_text()
    assert [row[:3] for row in db.content()] == before


def test_a_record_twice_in_a_file_is_loaded_once(db: Warehouse, tmp_path: Path) -> None:
    put(
        tmp_path,
        name(7),
        text(call("c-1"), call("c-2"), call("c-1"), call("c-1", language="cy"), call("c-1")),
    )
    assert "5 read = 3 loaded + 2 unchanged + 0 quarantined" in run(db, tmp_path).as_text()
    found = db.all(
        "select call_id, language, _line_number, _file_position from raw.telephony_call order by 1, 2"
    )
    position = "20260302T100000Z_000000000007_00000000000"
    assert found == [
        ("c-1", "cy", 4, position + "4"),
        ("c-1", "en", 1, position + "5"),
        ("c-2", "en", 2, position + "2"),
    ]


def test_a_key_of_odd_characters_is_known_again(db: Warehouse, tmp_path: Path) -> None:
    keys = ["a\\b", "a\tb", "a\nb\r", 'a"b', "a{b},c", "a\\", r"a\n", "NULL", r"\N", " a ", "ä\U0001f4de"]
    records = [call(key) for key in keys]
    put(tmp_path, name(), text(*records, *records))
    put(tmp_path, name(), text(*records, call("another")))
    first, second = (outcome.counts for outcome in run(db, tmp_path).outcomes)
    assert (first.loaded, first.unchanged) == (len(records), len(records))
    assert (second.loaded, second.unchanged) == (1, len(records))
    assert {row[0] for row in db.all("select call_id from raw.telephony_call")} == {*keys, "another"}


def test_any_order_and_any_repeats_give_one_content(db: Warehouse, tmp_path: Path) -> None:
    choose = random.Random(20260302)
    files = {}
    for number in range(1, 7):
        records = [
            call(
                f"c-{choose.randint(1, 12)}",
                record_version=choose.randint(1, 2),
                language=choose.choice(["en", "cy"]),
            )
            for _ in range(15)
        ]
        files[name(number, stamp=f"2026030{choose.randint(1, 3)}T100000Z")] = text(*records)
    contents, touched = [], 0
    for turn in range(5):
        with connect(db.settings) as connection:
            connection.execute(
                "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
            )
        order = (
            list(files)
            if turn == 0
            else choose.sample(list(files), len(files)) + choose.choices(list(files), k=3)
        )
        for place, file in enumerate(order):
            folder = tmp_path / f"{turn}-{place}"
            folder.mkdir()
            (folder / file).write_bytes(files[file])
            run(db, folder)
        contents.append(db.content())
        touched += len(db.all("select * from ops.record_touches"))
    assert len(contents[0]) > 20
    assert all(content == contents[0] for content in contents)
    assert touched


def test_seeing_a_record_again_touches_it_only_if_it_has_a_rival(db: Warehouse, tmp_path: Path) -> None:
    first = put(tmp_path, name(1), text(call("alone"), call("rivals")))
    put(tmp_path, name(2), text(call("rivals", language="cy")))
    run(db, tmp_path)
    assert db.all("select * from ops.record_touches") == []
    put(tmp_path, name(3), first.read_bytes())
    run(db, tmp_path)
    third = db.file(name(3))["file_id"]
    assert db.all("select file_id, interface, record_key from ops.record_touches") == [
        (third, "telephony_call", "rivals")
    ]
    put(tmp_path, name(1, stamp="20200101T000000Z"), first.read_bytes())
    run(db, tmp_path)
    assert len(db.all("select * from ops.record_touches")) == 1, "An older file moves nothing."
    assert db.all("select call_id, language, _file_position from raw.telephony_call order by 3") == [
        ("rivals", "cy", "20260302T100000Z_000000000002_000000000001"),
        ("alone", "en", "20260302T100000Z_000000000003_000000000001"),
        ("rivals", "en", "20260302T100000Z_000000000003_000000000002"),
    ]


# -------------------------------------------------------------------------------------------------- damaged files


def test_invalid_json_on_line_7_is_one_row(db: Warehouse, tmp_path: Path) -> None:
    records: list[Any] = [call(f"c-{n}") for n in range(1, 31)]
    records[6] = '{"call_id": "c-7", "caller_number": "07700 900123"'
    path = put(tmp_path, name(), text(*records))
    assert "30 read = 29 loaded + 0 unchanged + 1 quarantined" in run(db, tmp_path).as_text()
    [(interface, file, line, rule, message, raw)] = db.all(
        "select interface, file, line_number, rule, message, raw_text from quarantine.rows"
    )
    assert (interface, file, line, rule) == ("telephony_call", path.name, 7, "invalid_json")
    assert "Write one whole JSON object to a line." in message
    assert raw == '{"call_id": "c-7", "caller_number": "[masked]"'


def test_a_string_in_a_number_is_a_row_error(db: Warehouse, tmp_path: Path) -> None:
    leg = {"leg_no": 1, "queue": "Q", "queued_at": "2026-03-02T09:00:00Z", "hold_seconds": "5"}
    put(tmp_path, name(), text(call("c-1"), call("c-2", ivr_outcome="queued", legs=[leg])))
    run(db, tmp_path, max_bad_row_share=0.5)
    assert db.all("select field, rule from quarantine.rows") == [("legs[0].hold_seconds", "wrong_type")]


def test_an_unknown_field_is_kept_and_reported_once(db: Warehouse, tmp_path: Path) -> None:
    put(tmp_path, name(), text(call("c-1", mood="good"), call("c-2", mood="bad"), call("c-3")))
    assert "kept in _extra: mood" in run(db, tmp_path).as_text()
    put(tmp_path, name(), text(call("c-4", mood="fair")))
    run(db, tmp_path)
    assert db.all("select call_id, _extra from raw.telephony_call order by 1") == [
        ("c-1", {"mood": "good"}),
        ("c-2", {"mood": "bad"}),
        ("c-3", None),
        ("c-4", {"mood": "fair"}),
    ]
    assert db.all("select interface, field from ops.unknown_fields") == [("telephony_call", "mood")]


def test_a_web_page_is_refused_as_such(db: Warehouse, tmp_path: Path) -> None:
    path = put(tmp_path, name(), b"<!DOCTYPE html>\n<html>\n<body>404</body>\n</html>\n")
    summary = run(db, tmp_path)
    row = db.file(path.name)
    assert (row["state"], row["rule"], row["rows_read"], row["rows_quarantined"]) == (
        "quarantined",
        "not_json_lines",
        4,
        4,
    )
    assert "web page" in row["error"] and "web page" in summary.as_text()
    assert db.all("select line_number from quarantine.rows order by 1 nulls last") == [
        (1,),
        (2,),
        (3,),
        (4,),
        (None,),
    ]


@pytest.mark.parametrize("content", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused_and_says_so(db: Warehouse, tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, name(), content)
    run(db, tmp_path)
    row = db.file(path.name)
    assert (row["state"], row["rule"], row["rows_read"]) == ("quarantined", "empty_file", 0)
    assert db.all("select file, line_number, rule from quarantine.rows") == [(path.name, None, "empty_file")]
    put(tmp_path, path.name, text(call("c-1")))
    assert "1 loaded" in run(db, tmp_path).as_text(), "A corrected file loads without ceremony."


def test_a_byte_order_mark_is_accepted(db: Warehouse, tmp_path: Path) -> None:
    put(tmp_path, name(), b"\xef\xbb\xbf" + text(call("c-1")).replace(b"\n", b"\r\n"))
    assert "1 read = 1 loaded" in run(db, tmp_path).as_text()


def test_utf16_is_refused(db: Warehouse, tmp_path: Path) -> None:
    path = put(tmp_path, name(), text(call("c-1")).decode().encode("utf-16"))
    run(db, tmp_path)
    assert db.file(path.name)["rule"] == "wrong_encoding"


def test_more_bad_rows_than_allowed_refuse_the_file(db: Warehouse, tmp_path: Path) -> None:
    good: list[Any] = [call(f"c-{n}") for n in range(95)]
    just = put(tmp_path, name(), text(*good, *["{"] * 5))
    over = put(tmp_path, name(), text(*good, *["{"] * 6))
    run(db, tmp_path)
    assert (db.file(just.name)["state"], db.file(just.name)["rows_loaded"]) == ("loaded", 95)
    row = db.file(over.name)
    assert (row["state"], row["rule"], row["rows_read"], row["rows_loaded"]) == (
        "quarantined",
        "too_many_bad_rows",
        101,
        0,
    )
    assert db.all("select count(*), count(line_number) from quarantine.rows where file = %s", over.name) == [
        (7, 6)
    ]
    assert db.all("select count(*) from raw.telephony_call where _file_id = %s", row["file_id"]) == [(0,)]


def test_a_bad_file_does_not_stop_the_next(db: Warehouse, tmp_path: Path) -> None:
    for file, content in [
        (name(1), b"oops\n"),
        (name(2, suffix=".jsonl.gz"), b"oops"),
        (name(3), text(call("c-1"))),
    ]:
        put(tmp_path, file, content)
    summary = run(db, tmp_path)
    assert [outcome.state for outcome in summary.outcomes] == ["quarantined", "not_ready", "loaded"]


def test_a_cut_off_gzip_waits_and_is_refused_at_the_third_poll(db: Warehouse, tmp_path: Path) -> None:
    whole = gzip.compress(text(*(call(f"c-{n}") for n in range(1_000))))
    path = put(tmp_path, name(suffix=".jsonl.gz"), whole[: len(whole) // 2])
    for poll in (1, 2):
        assert "1 not ready" in run(db, tmp_path).as_text()
        assert (db.file(path.name)["state"], db.file(path.name)["polls"]) == ("seen", poll)
        assert db.counts()[0] == 0
    put(tmp_path, path.name, whole[: len(whole) * 3 // 4])
    assert "1 not ready" in run(db, tmp_path).as_text()
    assert db.file(path.name)["polls"] == 1, "Bytes that grow get their polls anew."
    run(db, tmp_path)
    run(db, tmp_path)
    assert (db.file(path.name)["state"], db.file(path.name)["rule"]) == ("quarantined", "cut_off")
    assert not pending_files(db.settings, "telephony_call", str(tmp_path))
    put(tmp_path, path.name, whole)
    assert "1,000 loaded" in run(db, tmp_path).as_text()
    assert db.all("select state, sha256 is not null from ops.files order by file_id") == [
        ("quarantined", True),
        ("loaded", True),
    ]


def test_a_file_that_becomes_whole_in_time_loads_in_its_first_ledger_row(
    db: Warehouse, tmp_path: Path
) -> None:
    whole = gzip.compress(text(call("c-1")))
    path = put(tmp_path, name(suffix=".jsonl.gz"), whole[:-4])
    run(db, tmp_path)
    put(tmp_path, path.name, whole)
    run(db, tmp_path)
    assert (db.file(path.name)["state"], db.file(path.name)["error"]) == ("loaded", None)


def test_upload_that_grows_into_a_known_file_leaves_no_second_row(db: Warehouse, tmp_path: Path) -> None:
    whole = gzip.compress(text(call("c-1")))
    path = put(tmp_path, name(suffix=".jsonl.gz"), whole)
    run(db, tmp_path)
    put(tmp_path, path.name, whole[:-4])
    assert "1 not ready" in run(db, tmp_path).as_text()
    put(tmp_path, path.name, whole)
    assert "1 unchanged" in run(db, tmp_path).as_text()
    assert db.file(path.name)["state"] == "loaded"


def test_a_wrong_digest_waits_and_is_refused_at_the_third_poll(db: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / name()
    (tmp_path / f"{path.name}.sha256").write_text("0" * 64 + f"  {path.name}\n")
    put(tmp_path, path.name, text(call("c-1")))
    for state in ("seen", "seen", "quarantined"):
        run(db, tmp_path)
        assert (db.file(path.name)["state"], db.counts()[0]) == (state, 0)
    assert db.file(path.name)["rule"] == "digest_differs"
    assert not pending_files(db.settings, "telephony_call", str(tmp_path))
    (tmp_path / f"{path.name}.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest().upper())
    assert "1 loaded" in run(db, tmp_path).as_text(), "The digest was wrong and is corrected: the bytes load."
    assert (db.file(path.name)["state"], db.file(path.name)["rule"]) == ("loaded", None)


def test_a_digest_that_comes_late_and_differs_is_told_and_the_rows_stay(
    db: Warehouse, tmp_path: Path
) -> None:
    path = put(tmp_path, name(), text(call("c-1")))
    run(db, tmp_path)
    digest = put(tmp_path, f"{path.name}.sha256", b"0" * 64)
    [outcome] = run(db, tmp_path).outcomes
    assert (outcome.state, outcome.rule) == ("known", "digest_differs")
    assert "the rows stay" in (outcome.error or "")
    row = db.file(path.name)
    assert (row["state"], row["rule"], row["rows_loaded"]) == ("loaded", "digest_differs", 1)
    assert db.all("select line_number, rule, message from quarantine.rows") == [
        (None, "digest_differs", outcome.error)
    ]
    assert run(db, tmp_path).outcomes == (), "It is told once."
    put(tmp_path, digest.name, hashlib.sha256(path.read_bytes()).hexdigest().encode())
    assert run(db, tmp_path).counts.unchanged == 1
    assert (db.file(path.name)["state"], db.file(path.name)["rule"]) == ("loaded", None)
    assert db.counts() == (1, 0, 1)


@pytest.mark.parametrize("content", ["", "garbage", "\u0660" * 64])
def test_a_digest_file_without_a_digest_is_not_ready(db: Warehouse, tmp_path: Path, content: str) -> None:
    path = put(tmp_path, name(), text(call("c-1")))
    (tmp_path / f"{path.name}.sha256").write_text(content)
    assert "1 not ready" in run(db, tmp_path).as_text()


def test_100_megabytes_load(db: Warehouse, tmp_path: Path) -> None:
    padding = "x" * 100_000
    path = tmp_path / name()
    with path.open("wb") as file:
        for number in range(1_050):
            file.write(text(call(f"c-{number}", ivr_path=[padding])))
    assert path.stat().st_size > 100 << 20
    assert "1,050 read = 1,050 loaded" in run(db, tmp_path).as_text()


def test_a_line_without_end_is_one_bad_row(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 20)
    put(tmp_path, name(), text(call("c-1")) + b"x" * (5 << 20) + b"\n" + text(call("c-2")))
    assert (
        "3 read = 2 loaded + 0 unchanged + 1 quarantined"
        in run(db, tmp_path, max_bad_row_share=0.5).as_text()
    )
    assert db.all("select line_number, rule, length(raw_text) < 5000 from quarantine.rows") == [
        (2, "line_too_long", True)
    ]


def test_a_gzip_bomb_is_refused(db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "RATIO_COUNTS_FROM_BYTES", 1 << 20)
    path = put(tmp_path, name(suffix=".jsonl.gz"), gzip.compress(b"\n" * (8 << 20)))
    run(db, tmp_path)
    assert db.file(path.name)["rule"] == "unpacked_too_large"


def test_what_the_database_refuses_is_quarantined_without_showing_it(db: Warehouse, tmp_path: Path) -> None:
    with connect(db.settings) as connection:
        connection.execute("alter table raw.telephony_call alter call_id type varchar(3)")
    try:
        path = put(tmp_path, name(), text(call("07700 900123")))
        summary = run(db, tmp_path)
        assert (db.file(path.name)["state"], db.file(path.name)["rule"]) == (
            "quarantined",
            "refused_by_database",
        )
        assert "22001" in summary.as_text() and "900123" not in summary.as_text()
    finally:
        with connect(db.settings) as connection:
            connection.execute("alter table raw.telephony_call alter call_id type text")


# ------------------------------------------------------------------------------------------------------- names


def test_parts_dot_files_digests_and_other_interfaces_are_passed_over(db: Warehouse, tmp_path: Path) -> None:
    for file in (
        name() + ".part",
        "." + name(),
        name() + ".sha256",
        "agent_state_x_20260302T100000Z_1.jsonl",
    ):
        (tmp_path / file).write_bytes(b"x")
    (tmp_path / name()).mkdir()
    assert run(db, tmp_path).files_found == 0
    assert db.counts() == (0, 0, 0)


@pytest.mark.parametrize(
    "file",
    [
        "calls.jsonl",
        "telephony_call_x_20261302T100000Z_1.jsonl",
        "telephony_call_x_20260302T100000Z_1.csv",
        "telephony_call_x_20260302T100000Z.jsonl",
        "telephony_call_x_20260302T100000Z_1.jsonl.zip",
        "telephony_call__20260302T100000Z_1.jsonl",
        "telephony_call_\u202elnosj.x",
        "new\nline\t\\N.jsonl",
        "'; drop table ops.files; --",
    ],
)
def test_a_name_outside_the_convention_is_recorded_once_and_not_read(
    db: Warehouse, tmp_path: Path, file: str
) -> None:
    (tmp_path / file).write_bytes(text(call("c-1")))
    for _ in range(2):
        said = run(db, tmp_path).as_text()
        assert "Files: 1 found = 0 loaded + 0 unchanged + 0 not ready + 1 quarantined" in said
        assert f"{file}: quarantined (file_name). The name is not" in said
    row = db.file(file)
    [refused] = db.all("select file_id, file, line_number, rule, message, batch_id from quarantine.rows")
    assert refused == (row["file_id"], file, None, "file_name", row["error"], None)
    assert [each.name for each in tell_misnamed_files(db.settings, "telephony_call")] == [file]
    assert tell_misnamed_files(db.settings, "telephony_call") == [], "Each is told once."
    assert (row["state"], row["rule"], row["rows_read"]) == ("quarantined", "file_name", 0)
    assert db.counts()[0] == 0
    assert "1 loaded" in run(db, tmp_path / file).as_text(), "Named by hand it is loaded whatever its name."
    assert db.all("select * from quarantine.rows") == []
    assert db.all("select _file_position from raw.telephony_call") == [
        ("00000000T000000Z_000000000000_000000000001",)
    ]


def test_a_name_that_is_no_text_is_recorded(db: Warehouse, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"calls\xff-07700900123.jsonl")).write_bytes(b"x")
    run(db, tmp_path)
    assert db.all("select name from ops.files") == [("calls\\udcff-[number masked].jsonl",)]


def test_a_source_that_is_not_there_is_refused(db: Warehouse, tmp_path: Path) -> None:
    for source in (str(tmp_path / "nowhere"), "ftp://example.com/x", "s3://", "s3://no-such-bucket/"):
        with pytest.raises(SourceError):
            run(db, source)


def test_a_folder_that_the_server_has_not_is_refused_by_its_address(db: Warehouse) -> None:
    address = f"{sftp_location(db.settings)}missing"
    with pytest.raises(SourceError, match=r"sftp://contactbi@.*/missing can not be read"):
        run(db, address)


@pytest.mark.parametrize("file", [".hidden.jsonl", f"{name(1)}.part", f"{name(1)}.sha256"])
def test_what_is_no_data_is_not_read_although_it_is_named(db: Warehouse, tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(text(call("c-1")))
    with pytest.raises(SourceError, match="is not read"):
        run(db, tmp_path / file)
    assert db.counts() == (0, 0, 0)


# ------------------------------------------------------------------------------------------ workers side by side


def test_two_workers_on_one_folder_load_each_record_once(db: Warehouse, tmp_path: Path) -> None:
    for number in range(1, 9):
        records = [call(f"c-{number}-{n}") for n in range(100)] + [call(f"shared-{n}") for n in range(50)]
        (tmp_path / name(number)).write_bytes(text(*records))
    batches = [new_batch(db.settings) for _ in range(3)]
    outcomes: list[FileOutcome] = []
    start = threading.Barrier(3)

    def work(batch: int) -> None:
        start.wait()
        for file in pending_files(db.settings, "telephony_call", str(tmp_path)):
            outcomes.append(load_file(db.settings, "telephony_call", file.name, batch, str(tmp_path), NOW))

    workers = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {outcome.state for outcome in outcomes} <= {"loaded", "known", "busy"}
    assert sum(outcome.state == "loaded" for outcome in outcomes) == 8
    assert sum(outcome.counts.loaded for outcome in outcomes) == 850
    assert db.counts() == (850, 0, 8)


def test_a_file_that_another_worker_holds_is_left_to_it(db: Warehouse, tmp_path: Path) -> None:
    path = put(tmp_path, name(), text(call("c-1")))
    with (
        connect(db.settings, autocommit=True) as other,
        ledger.file_lock(other, "telephony_call", path.name) as held,
    ):
        assert held
        assert load_file(db.settings, "telephony_call", path.name, 1, str(tmp_path), NOW).state == "busy"
    assert load_file(db.settings, "telephony_call", path.name, 1, str(tmp_path), NOW).state == "loaded"


def test_a_file_that_changes_while_it_is_read_is_read_again(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, name(), text(call("c-1")))
    fetch: Callable[..., None] = LocalFolder.fetch

    def fetch_and_change(self: LocalFolder, file: str, into: Any) -> None:
        fetch(self, file, into)
        (tmp_path / "draft").write_bytes(text(call("c-2")))
        (tmp_path / "draft").replace(path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "fetch", fetch_and_change)
        run(db, tmp_path)
    run(db, tmp_path)
    assert db.all("select call_id from raw.telephony_call order by 1") == [("c-1",), ("c-2",)]


def test_bytes_that_change_within_one_tick_are_not_taken_for_known(db: Warehouse, tmp_path: Path) -> None:
    """The listing of a file that was just written is not trusted: the same size and time may stand for other bytes."""
    path = tmp_path / name()
    for sort in ("c-1", "c-2"):
        path.write_bytes(text(call(sort)))
        os.utime(path, ns=(1, 1))
        run(db, tmp_path)
    assert db.all("select call_id from raw.telephony_call order by 1") == [("c-1",), ("c-2",)]


def test_a_failure_outside_the_file_leaves_it_to_the_next_run(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (put(tmp_path, name(n), text(call(f"c-{n}"))) for n in (1, 2))
    fetch: Callable[..., None] = LocalFolder.fetch

    def fail_once(self: LocalFolder, file: str, into: Any) -> None:
        if file == first.name:
            raise OSError("gone for 07700 900123")
        fetch(self, file, into)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFolder, "fetch", fail_once)
        summary = run(db, tmp_path)
    assert [outcome.state for outcome in summary.outcomes] == ["failed", "loaded"]
    assert "900123" not in summary.as_text() and "1 failed" in summary.as_text()
    assert "1 loaded" in run(db, tmp_path).as_text()
    assert second.exists() and db.counts() == (2, 0, 2)


def test_a_connection_that_ends_during_the_load_leaves_nothing_behind(
    db: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        put(tmp_path, name(number), text(*(call(f"c-{number}-{n}") for n in range(20))))
    write: Callable[..., None] = ledger.loaded
    ended = []

    def end_connection(connection: psycopg.Connection, *values: Any, **named: Any) -> None:
        if not ended:
            ended.append(connection.info.backend_pid)
            with connect(db.settings) as other:
                other.execute("select pg_terminate_backend(%s)", ended)
        write(connection, *values, **named)

    monkeypatch.setattr(ledger, "loaded", end_connection)
    summary = run(db, tmp_path)
    assert [outcome.state for outcome in summary.outcomes] == ["failed", "loaded"]
    assert db.counts()[0] == 20 and db.file(name(1))["state"] == "loading"
    assert "1 loaded" in run(db, tmp_path).as_text()
    assert db.counts()[0] == 40


# ----------------------------------------------------------------------------------------------- same everywhere


def test_local_folder_sftp_and_s3_give_the_same(db: Warehouse, instance: Settings, tmp_path: Path) -> None:
    from infra.s3 import s3_client

    records = text(*(call(f"c-{n}") for n in range(20)))
    files = {
        name(1): records,
        name(2, suffix=".jsonl.gz"): gzip.compress(records),
        name(3): b"{",
        "odd.txt": b"x",
    }
    files[f"{name(1)}.sha256"] = hashlib.sha256(records).hexdigest().encode()
    folder = f"ingestion-{next(NUMBERS)}"
    inbox = instance.home / "sftp" / "outbox" / folder
    inbox.mkdir(parents=True)
    shutil.chown(inbox, inbox.parent.stat().st_uid, inbox.parent.stat().st_gid)
    client = s3_client(instance)
    client.create_bucket(Bucket=folder, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
        (inbox / file).write_bytes(content)
        client.put_object(Bucket=folder, Key=f"calls/{file}", Body=content)
    client.put_object(Bucket=folder, Key=f"calls/deeper/{name(9)}", Body=records)
    time.sleep(2.1)  # SFTP shows whole seconds: only then the listing is trusted
    from infra.sftp import sftp_location

    sftp = f"{str(sftp_location(instance)).rstrip('/')}/{folder}"
    ledger_rows = []
    for source in (str(tmp_path), sftp, f"s3://{folder}/calls"):
        with connect(db.settings) as connection:
            connection.execute(
                "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
            )
        summary = run(db, source)
        assert "20 loaded + 20 unchanged" in summary.as_text(), summary.as_text()
        assert not pending_files(db.settings, "telephony_call", source)
        one = run(db, f"{source}/{name(1)}")
        assert (one.files_found, one.files("known")) == (1, 1)
        ledger_rows.append(
            (
                db.all(
                    "select name, state, rule, sha256, rows_read, rows_loaded from ops.files order by file_id"
                ),
                db.content(),
            )
        )
    assert len(ledger_rows[0][0]) == 4
    assert ledger_rows[0] == ledger_rows[1] == ledger_rows[2]
