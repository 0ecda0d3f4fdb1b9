"""Loading processes that are killed again and again, and that race: nothing lost, doubled or half visible.

    INGESTION_KILLS=1000 .venv/bin/python -m pytest tests/integration/test_ingestion_kills.py -k killed

kills a thousand times; without the variable it is 200. What must stand at the end is worked out in plain Python.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.postgres import connect
from infra.settings import Settings
from ingestion.adapters import ADAPTERS
from ingestion.ledger import FindingsSpill
from ingestion.platform_records import PlatformFile
from ingestion.run import ensure_raw_tables, ingest, pending_files
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
from tests.fixtures.loader import load

pytestmark = pytest.mark.services

KILLS = int(os.environ.get("INGESTION_KILLS", "200"))
SECONDS_FOR_A_KILL = 1.2
SEED = 20260302
VERSIONS, EVENTS, EXTRACTS = "email_message", "complaint", "wip_extract"
ROWS, APPLICATIONS = 120, 300

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.fixtures.loader"])


class World:
    """Three folders that files are sent to, round by round, and what the tables must hold of them, in plain Python."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.choose = random.Random(SEED)
        self.folders = {name: folder / name for name in (VERSIONS, EVENTS, EXTRACTS)}
        for each in self.folders.values():
            each.mkdir()
        self.round = 0
        self.messages: set[tuple[Any, ...]] = set()
        self.complaints: set[tuple[Any, ...]] = set()
        self.refused: Counter[str] = Counter()
        self.current: dict[str, str] = {}
        self.intervals: Counter[str] = Counter()

    @property
    def sources(self) -> list[tuple[str, str]]:
        return [(name, str(folder)) for name, folder in self.folders.items()]

    def send(self) -> None:
        """One more round: records that are new and records that were sent before, and one bad row in each file."""
        self.round += 1
        numbers = [self.choose.randrange(self.round * ROWS) for _ in range(ROWS)]
        messages = [(n, self.choose.randint(1, 2), self.choose.choice(["pal", "abi"])) for n in numbers]
        self._write(
            VERSIONS,
            [good(CONTRACTS[VERSIONS], n, record_version=v, mailbox=box) for n, v, box in messages],
            b"{oops\n",
        )
        self.messages |= {(f"message_id-{n}", version, box) for n, version, box in messages}
        complaints = [(n, self.choose.choice(["upheld", "rejected"])) for n in numbers]
        self._write(
            EVENTS, [good(CONTRACTS[EVENTS], n, outcome=outcome) for n, outcome in complaints], b"too,few\n"
        )
        self.complaints |= {(f"complaint_id-{n}", outcome) for n, outcome in complaints}
        first = self.choose.randrange(40)
        stages = {
            f"application_ref-{n}": self.choose.choice(["a", "b"]) for n in range(first, first + APPLICATIONS)
        }
        applications = [
            good(
                CONTRACTS[EXTRACTS], 0, application_ref=reference, stage=stage, surname=f"{stage}{self.round}"
            )
            for reference, stage in stages.items()
        ]
        self._write(EXTRACTS, applications, b"too,few\n")
        self.intervals.update(
            reference for reference, stage in stages.items() if self.current.get(reference) != stage
        )
        self.current = stages

    def _write(self, interface: str, records: list[dict[str, Any]], bad_row: bytes) -> None:
        name = name_of(CONTRACTS[interface], self.round)
        part = self.folders[interface] / f"{name}.part"
        part.write_bytes(file_of(CONTRACTS[interface], records) + bad_row)
        part.replace(part.with_name(name))
        self.refused[name] += 1

    def is_loaded(self) -> bool:
        [(loaded,)] = ask(self.settings, "select count(*) from ops.files where state = 'loaded'")
        return bool(loaded == len(self.folders) * self.round)

    def check_what_is_visible(self) -> int:
        """In one look: rows in raw and in quarantine belong to loaded files, all of them; and one extract is current.

        Returns:
            How many files are loaded.
        """
        with connect(self.settings) as connection:
            connection.execute("set transaction isolation level repeatable read")
            loaded = dict(
                connection.execute(
                    "select file_id, rows_loaded from ops.files where state = 'loaded'"
                ).fetchall()
            )
            in_raw: Counter[int] = Counter()
            for interface in self.folders:
                table = CONTRACTS[interface].raw_table
                in_raw.update(
                    dict(connection.execute(f"select _file_id, count(*) from {table} group by 1").fetchall())  # type: ignore[call-overload]
                )
            refused = dict(
                connection.execute("select file_id, count(*) from quarantine.rows group by 1").fetchall()
            )
            [current] = connection.execute(
                "select (select count(*) from serving.wip_current), (select count(distinct right(surname, -1)) "
                "from serving.wip_applicant), (select max(_file_id) from raw.wip_extract)"
            ).fetchall()
        assert in_raw == Counter({file_id: rows for file_id, rows in loaded.items() if rows})
        assert refused == dict.fromkeys(loaded, 1)
        if current[2] is not None:
            assert current[:2] == (APPLICATIONS, 1), "Who they are is told by one extract alone."
        return len(loaded)

    def check_the_end(self) -> None:
        """Everything that was sent is there once."""
        s = self.settings
        stored = ask(s, "select message_id, record_version, mailbox from raw.email_message")
        assert len(stored) == len(set(stored)) and set(stored) == self.messages
        stored = ask(s, "select complaint_id, outcome from raw.complaint")
        assert len(stored) == len(set(stored)) and set(stored) == self.complaints
        stored = ask(s, "select application_ref, stage from serving.wip_current")
        assert len(stored) == APPLICATIONS and dict(stored) == self.current
        [(intervals,)] = ask(s, "select count(*) from raw.wip_extract")
        assert intervals == self.intervals.total()
        assert Counter(dict(ask(s, "select file, count(*) from quarantine.rows group by 1"))) == self.refused
        assert broken_conservation(s) == []
        counts = ask(s, "select rows_read from ops.files where interface <> 'wip_extract'")
        assert set(counts) == {(ROWS + 1,)} and len(counts) == 2 * self.round
        assert list(s.spool.iterdir()) == [], "Nothing that was downloaded outlives its process."


@pytest.fixture
def db(warehouse: Settings) -> Settings:
    """An empty warehouse."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    return warehouse


@pytest.mark.timeout(max(900, KILLS * 2))
def test_killed_at_any_moment_nothing_is_lost_doubled_or_half_visible(db: Settings, tmp_path: Path) -> None:
    world = World(db, tmp_path)
    choose = random.Random(SEED)
    durations = []
    for sources in ([], world.sources, world.sources):  # the first one waits for imports
        started = time.monotonic()
        process = _forks.Process(target=load, args=(db, sources))
        process.start()
        process.join()
        durations.append(time.monotonic() - started)
        world.send()
    assert process.exitcode == 0
    duration = durations[-1]
    looks: list[int] = []
    problems: list[BaseException] = []
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            try:
                looks.append(world.check_what_is_visible())
            except BaseException as problem:
                problems.append(problem)
                return
            time.sleep(0.05)

    reader = threading.Thread(target=poll)
    reader.start()
    kills = interrupted = 0
    deadline = time.monotonic() + KILLS * SECONDS_FOR_A_KILL
    try:
        while kills < KILLS and time.monotonic() < deadline and not problems:
            process = _forks.Process(target=load, args=(db, world.sources))
            process.start()
            process.join(choose.random() * duration * 1.2)
            if process.is_alive():
                process.kill()
                process.join()
                kills += 1
            [(under_way,)] = ask(db, "select count(*) from ops.files where state = 'loading'")
            interrupted += bool(under_way)
            if world.is_loaded():
                world.send()
    finally:
        stop.set()
        reader.join()
    assert problems == []
    assert kills >= KILLS, f"Only {kills} kills in time: raise SECONDS_FOR_A_KILL."
    assert interrupted > kills / 10, "Kills came in the middle of files."
    assert len(looks) > kills / 4 and len(set(looks)) > 3, "The reader looked while files were loaded."
    until = time.monotonic() + 30
    while (
        not world.is_loaded() and time.monotonic() < until
    ):  # the server may still be ending the last session
        load(db, world.sources)
    world.check_what_is_visible()
    world.check_the_end()
    print(f"{kills} kills, {interrupted} within a file, {world.round} rounds, {len(looks)} looks")


# ----------------------------------------------------------------------------------------------------------- races


def race(settings: Settings, interface: str, folder: Path) -> None:
    """Two processes load one folder at one time, until nothing waits."""
    for _ in range(5):
        start = _forks.Barrier(2)
        workers = [
            _forks.Process(target=load, args=(settings, [(interface, str(folder))], start)) for _ in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        if not pending_files(settings, interface, str(folder)):
            return
    pytest.fail("Files are left.")


@pytest.mark.parametrize("interface", ["email_message", "telephony_call", "complaint", "agent_state"])
def test_two_workers_load_each_file_once(interface: str, db: Settings, tmp_path: Path) -> None:
    contract = CONTRACTS[interface]
    for number in range(1, 13):
        records = [good(contract, number * 100 + place) for place in range(60)] + [good(contract, 7)]
        (tmp_path / name_of(contract, number)).write_bytes(file_of(contract, records))
    race(db, interface, tmp_path)
    found = ledger(db, interface)
    assert [row["state"] for row in found.values()] == ["loaded"] * 12
    assert ask(db, f"select count(*), count(distinct _record_hash) from {contract.raw_table}") == [
        (12 * 60 + 1,) * 2
    ]
    assert sum(row["rows_loaded"] for row in found.values()) == 12 * 60 + 1
    assert ask(db, "select name from ops.files group by 1 having count(*) > 1") == []
    assert broken_conservation(db) == []


def test_of_extracts_that_two_workers_load_the_newest_is_current(db: Settings, tmp_path: Path) -> None:
    contract = CONTRACTS[EXTRACTS]
    for number in range(1, 9):
        records = [good(contract, place, stage=f"stage {number}") for place in range(200)]
        (tmp_path / name_of(contract, number)).write_bytes(file_of(contract, records))
    race(db, EXTRACTS, tmp_path)
    found = ledger(db, EXTRACTS)
    assert len(found) == 8
    # One that was overtaken is held; none is loaded behind a newer one.
    assert {(row["state"], row["rule"]) for row in found.values()} <= {
        ("loaded", None),
        ("quarantined", "extract_stale"),
    }
    assert ask(db, "select distinct stage from serving.wip_current") == [("stage 8",)]
    assert ask(db, "select count(*) from raw.wip_extract where _until_position <= _file_position") == [(0,)]
    assert broken_conservation(db) == []


def test_a_call_that_two_files_tell_of_at_one_time_is_put_together_from_both(
    db: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(__file__).parent.parent / "fixtures" / "platform_records" / "amazon_connect.json"
    records = [item.text for item in ADAPTERS["amazon_connect"].records([source.read_bytes()])]
    current = (
        "select distinct on (call_id) call_id, legs, ended_at, ivr_outcome from raw.telephony_call "
        "order by call_id, record_version desc"
    )
    for folder, parts in (("whole", [records]), ("halves", [records[::2], records[1::2]])):
        (tmp_path / folder).mkdir()
        for number, part in enumerate(parts, start=1):
            name = name_of(CONTRACTS["telephony_call"], number, sender="amazon_connect")
            (tmp_path / folder / name).write_bytes(b"\n".join(part))
    ingest(db, "telephony_call", str(tmp_path / "whole"), now=NOW)
    expected = ask(db, current)
    assert any(len(legs) > 1 for _, legs, _, _ in expected), "There is a call that several records tell of."
    empty(db)
    [first, second] = sorted((tmp_path / "halves").iterdir())
    assemble = PlatformFile.assemble
    others: list[threading.Thread] = []

    def assemble_beside_another(self: PlatformFile, findings: FindingsSpill) -> None:
        assemble(self, findings)  # nothing of it can be seen by others yet
        if not others:
            others.append(
                threading.Thread(target=ingest, args=(db, "telephony_call", str(second)), kwargs={"now": NOW})
            )
            others[0].start()
            time.sleep(1)

    monkeypatch.setattr(PlatformFile, "assemble", assemble_beside_another)
    ingest(db, "telephony_call", str(first), now=NOW)
    others[0].join()
    assert {row["state"] for row in ledger(db, "telephony_call").values()} == {"loaded"}
    assert ask(db, current) == expected
