"""The extract of work in progress: replaced at one instant, held when doubtful, in the clear for the CRM alone."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.local.supervisor import settings_environment
from infra.postgres import connect, warehouse_url
from infra.postgres.databases import CRM_ROLE, bi_url
from infra.settings import Settings
from ingestion.privacy import reference_key
from ingestion.quarantine import retry
from ingestion.run import IngestSummary, ensure_raw_tables, ingest
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

WIP = CONTRACTS["wip_extract"]
CURRENT = "select application_key, stage from raw.wip_extract where _until_position is null order by 1"


def application(number: int, stage: str = "examination", **changes: Any) -> dict[str, Any]:
    return good(WIP, number, stage=stage, surname=f"Canary{number}", **changes)


def extract(numbers: Sequence[int], stage: str = "examination") -> bytes:
    return file_of(WIP, [application(number, stage) for number in numbers])


def key(settings: Settings, number: int) -> str:
    found = reference_key(f"application_ref-{number}", settings.caller_hash_key.get_secret_value().encode())
    assert found is not None
    return found


@pytest.fixture
def db(warehouse: Settings) -> Iterator[Settings]:
    """An empty warehouse."""
    ensure_raw_tables(warehouse)
    empty(warehouse)
    yield warehouse
    assert broken_conservation(warehouse) == []
    # No application stands twice at one time, and who they are of is known of exactly those that are current.
    assert ask(
        warehouse,
        "select application_key from raw.wip_extract as a join raw.wip_extract as b using (application_key) "
        "where a._file_position < b._file_position and coalesce(a._until_position, '~') > b._file_position",
    ) == []  # fmt: skip
    assert ask(warehouse, "select * from raw.wip_extract where _until_position <= _file_position") == []
    assert ask(warehouse, "select application_key from serving.wip_applicant order by 1") == [
        (each,) for each, _ in ask(warehouse, CURRENT)
    ]


class Inbox:
    """A folder that extracts arrive in, each two hours after the one before unless it is said otherwise."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder

    def send(self, number: int, data: bytes, suffix: str = "", **settings: Any) -> IngestSummary:
        """Put a file and poll once."""
        path = self.folder / name_of(WIP, number, suffix)
        part = path.with_name(path.name + ".part")
        part.write_bytes(data)
        part.replace(path)
        time.sleep(0.15)  # its time of change must be certain to be in the past
        return self.poll(**settings)

    def poll(self, **settings: Any) -> IngestSummary:
        return ingest(self.settings.model_copy(update=settings), "wip_extract", str(self.folder), now=NOW)

    def rule(self, number: int, suffix: str = "") -> tuple[str, str | None]:
        row = ledger(self.settings, "wip_extract")[name_of(WIP, number, suffix)]
        return row["state"], row["rule"]

    def current(self) -> dict[str, str]:
        """Stage by key of the current extract, from the raw table; the view for the CRM says the same."""
        raw = ask(self.settings, CURRENT)
        assert raw == ask(self.settings, "select application_key, stage from serving.wip_current order by 1")
        return dict(raw)


@pytest.fixture
def inbox(db: Settings, tmp_path: Path) -> Inbox:
    return Inbox(db, tmp_path)


# ------------------------------------------------------------------------------------------------------- replaced


def test_a_reader_that_polls_never_sees_a_mixture(inbox: Inbox) -> None:
    """Ten extracts, each in a stage of its own and of a size of its own: every look sees one stage and its size."""
    sizes = {f"stage {number}": 1_500 + 40 * number for number in range(10)}
    inbox.send(0, extract(range(sizes["stage 0"]), "stage 0"))
    looks: list[tuple[str, list[tuple[Any, ...]]]] = []
    stop = threading.Event()

    def poll() -> None:
        with connect(inbox.settings, autocommit=True) as connection:
            while not stop.is_set():
                for source in ("serving.wip_current", "raw.wip_extract where _until_position is null"):
                    rows = connection.execute(f"select stage, count(*) from {source} group by 1").fetchall()
                    looks.append((source, rows))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for number in range(1, 10):
            size = sizes[f"stage {number}"]
            inbox.send(number, extract(range(number * 100, number * 100 + size), f"stage {number}"))
    finally:
        stop.set()
        reader.join()
    assert len({rows[0][0] for _, rows in looks}) > 5, "The reader looked while extracts were replaced."
    assert [look for look in looks if len(look[1]) != 1 or look[1][0][1] != sizes[look[1][0][0]]] == []


def test_what_changes_vanishes_and_comes_back_is_kept_as_intervals(inbox: Inbox) -> None:
    one, two, three = (key(inbox.settings, number) for number in (1, 2, 3))
    sent = [
        {1: "A", 2: "A", 3: "A", 4: "A"},
        {1: "B", 2: "A", 3: "A", 4: "A"},  # 1 changes
        {1: "A", 3: "A", 4: "A"},  # 1 is as it was, 2 vanishes
        {1: "A", 2: "A", 3: "A", 4: "A"},  # 2 comes back as it was
    ]
    for number, stages in enumerate(sent):
        applications = [application(n, stage) for n, stage in stages.items()]
        summary = inbox.send(number, file_of(WIP, applications), max_extract_change=1.0)
        assert inbox.current() == {key(inbox.settings, n): stage for n, stage in stages.items()}, (
            summary.as_text()
        )
    history = ask(
        inbox.settings,
        "select application_key, stage, substr(_file_position, 10, 4), substr(_until_position, 10, 4) "
        "from raw.wip_extract order by _file_position, _until_position",
    )
    assert [row[1:] for row in history if row[0] == one] == [
        ("A", "1000", "1001"),
        ("B", "1001", "1002"),
        ("A", "1002", None),
    ]
    assert [row[1:] for row in history if row[0] == two] == [("A", "1000", "1002"), ("A", "1003", None)]
    assert [row[1:] for row in history if row[0] == three] == [("A", "1000", None)]
    counts = [
        (row["rows_loaded"], row["rows_unchanged"]) for row in ledger(inbox.settings, "wip_extract").values()
    ]
    assert counts == [(4, 0), (1, 3), (1, 2), (1, 3)]


def test_who_somebody_is_follows_the_current_extract(inbox: Inbox) -> None:
    inbox.send(0, file_of(WIP, [application(1), application(2)]))
    changed = application(1) | {"surname": "Newname", "postcode": "AA1 1AA", "delivery_partner_ref": "DP-9"}
    inbox.send(1, file_of(WIP, [changed, application(2)]))
    assert ask(
        inbox.settings,
        "select application_ref, surname, postcode, delivery_partner_ref from serving.wip_current order by 1",
    ) == [
        ("application_ref-1", "Newname", "AA1 1AA", "DP-9"),
        ("application_ref-2", "Canary2", "ZZ1 1ZZ", "x"),
    ]
    [(rows,)] = ask(
        inbox.settings,
        "select count(*) from raw.wip_extract where application_key = %s",
        key(inbox.settings, 2),
    )
    assert rows == 1, "What did not change is not written again."


def test_a_correction_of_the_same_stamp_replaces_the_extract(inbox: Inbox) -> None:
    inbox.send(1, extract(range(10), "wrong"))
    assert inbox.send(1, extract(range(10), "right")).counts.loaded == 10
    assert set(inbox.current().values()) == {"right"}
    inbox.send(1, extract(range(10), "wrong"))  # the first bytes again: they were dealt with
    assert set(inbox.current().values()) == {"right"}


def test_a_key_that_stands_twice_in_an_extract_is_refused_the_second_time(inbox: Inbox) -> None:
    rows = [application(number) for number in range(40)]
    inbox.send(0, file_of(WIP, [*rows, application(3, "later"), application(7, "later")]))
    [row] = ledger(inbox.settings, "wip_extract").values()
    assert row["refused"] == [[42, "repeated_key"], [43, "repeated_key"]]
    assert (row["rows_read"], row["rows_loaded"], row["raw"]) == (42, 40, 40)
    assert set(inbox.current().values()) == {"examination"}


def test_keys_that_stand_twice_count_as_bad_rows(inbox: Inbox) -> None:
    inbox.send(0, extract(range(100), "before"))
    rows = [application(number) for number in range(100)]
    inbox.send(1, file_of(WIP, [*rows, *rows[:6]]))
    assert inbox.rule(1) == ("quarantined", "too_many_bad_rows")
    row = ledger(inbox.settings, "wip_extract")[name_of(WIP, 1)]
    assert len(row["refused"]) == 7 and row["rows_read"] == 106
    assert set(inbox.current().values()) == {"before"}


def test_the_same_extract_renamed_changes_nothing_but_is_the_current_one(inbox: Inbox) -> None:
    inbox.send(0, extract(range(10)))
    summary = inbox.send(5, extract(range(10)))
    assert (summary.counts.loaded, summary.counts.unchanged) == (0, 10)
    inbox.send(3, extract(range(10), "between"))
    assert inbox.rule(3) == ("quarantined", "extract_stale"), (
        "Older than the second, though that brought nothing new."
    )


# ----------------------------------------------------------------------------------------------------------- held


HELD = [
    ("no byte", lambda: b"", "", "empty_file"),
    ("a header alone", lambda: extract([]), "", "empty_file"),
    ("cut within a row", lambda: extract(range(95), "new")[:-9], "", "cut_off"),
    ("cut within a packed row", lambda: gzip.compress(extract(range(95), "new"))[:-9], ".gz", "cut_off"),
    ("cut behind a row", lambda: b"\n".join(extract(range(100), "new").split(b"\n")[:60]), "", "extract_size"),
    ("31 % fewer", lambda: extract(range(69), "new"), "", "extract_size"),
    ("31 % more", lambda: extract(range(131), "new"), "", "extract_size"),
    ("a quote that swallows rows", lambda: extract(range(100), "new") + b'"PEX\n', "", "extract_bad_rows"),
    ("cut in quotes", lambda: extract(range(100), "new") + b'PEX,"Smith\n', "", "extract_bad_rows"),
    ("a web page", lambda: b"<html>\n</html>\n", "", "wrong_header"),
    ("six bad rows", lambda: extract(range(100), "new").replace(b"online", b"phone", 6), "", "too_many_bad_rows"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "suffix", "rule"), [each[1:] for each in HELD], ids=[each[0] for each in HELD]
)
def test_a_doubtful_extract_is_held_and_the_current_one_stays(
    make: Callable[[], bytes], suffix: str, rule: str, inbox: Inbox
) -> None:
    inbox.send(0, extract(range(100), "old"))
    before = ask(inbox.settings, "select * from raw.wip_extract order by 1, 2")
    inbox.send(1, make(), suffix)
    for _ in range(2):
        inbox.poll()
    assert inbox.rule(1, suffix) == ("quarantined", rule)
    assert ask(inbox.settings, "select * from raw.wip_extract order by 1, 2") == before
    assert set(inbox.current().values()) == {"old"} and len(before) == 100
    assert inbox.send(2, extract(range(100), "newer")).counts.loaded == 100, "The next whole one loads."


@pytest.mark.parametrize("rows", [70, 130])
def test_thirty_per_cent_is_allowed(rows: int, inbox: Inbox) -> None:
    inbox.send(0, extract(range(100)))
    inbox.send(1, extract(range(rows), "new"))
    assert inbox.rule(1) == ("loaded", None) and len(inbox.current()) == rows


def test_an_extract_that_is_older_than_the_current_one_is_held(inbox: Inbox) -> None:
    inbox.send(5, extract(range(10), "newer"))
    summary = inbox.send(4, extract(range(10), "older"))
    assert inbox.rule(4) == ("quarantined", "extract_stale")
    assert name_of(WIP, 5) in summary.as_text()
    assert set(inbox.current().values()) == {"newer"}


def test_an_extract_of_an_unexpected_size_loads_when_it_is_released(inbox: Inbox) -> None:
    inbox.send(0, extract(range(100), "old"))
    inbox.send(1, extract(range(50), "half"))
    assert inbox.rule(1) == ("quarantined", "extract_size")
    retry(inbox.settings, name_of(WIP, 1))
    inbox.poll()
    assert inbox.rule(1) == ("quarantined", "extract_size"), "To try again is not to release."
    [again] = retry(inbox.settings, name_of(WIP, 1), release=True)
    assert again.name == name_of(WIP, 1)
    assert inbox.poll().counts.loaded == 50
    assert inbox.rule(1) == ("loaded", None) and set(inbox.current().values()) == {"half"}
    assert inbox.send(2, extract(range(52), "next")).counts.loaded == 52, (
        "It is what the next one is measured by."
    )


def test_a_released_extract_that_was_overtaken_is_stale(inbox: Inbox) -> None:
    inbox.send(0, extract(range(100), "old"))
    inbox.send(1, extract(range(50), "half"))
    inbox.send(2, extract(range(100), "newer"))
    retry(inbox.settings, name_of(WIP, 1), release=True)
    inbox.poll()
    assert inbox.rule(1) == ("quarantined", "extract_stale")
    assert set(inbox.current().values()) == {"newer"}


def test_a_loaded_extract_that_was_overtaken_is_not_tried_again(inbox: Inbox) -> None:
    inbox.send(0, extract(range(40), "old").replace(b"online", b"phone", 1))
    inbox.send(1, extract(range(40), "newer"))
    before = inbox.current()
    with pytest.raises(
        ValueError, match=f"{name_of(WIP, 1)} is the current extract now: an older one cannot be"
    ):
        retry(inbox.settings, name_of(WIP, 0))
    assert inbox.poll().files("known") == 2
    assert inbox.rule(0) == ("loaded", None) and inbox.current() == before


def test_the_current_extract_stays_current_while_it_waits_to_be_tried_again(inbox: Inbox) -> None:
    inbox.send(0, extract(range(40), "old"))
    inbox.send(5, extract(range(40), "now").replace(b"online", b"phone", 1))
    [again] = retry(inbox.settings, name_of(WIP, 5))
    assert again.rows_quarantined == 1
    (inbox.folder / name_of(WIP, 5)).unlink()
    inbox.send(3, extract(range(40), "between"))
    assert inbox.rule(3) == ("quarantined", "extract_stale")
    assert set(inbox.current().values()) == {"now"}


def test_the_current_extract_tried_again_is_still_itself(inbox: Inbox) -> None:
    inbox.send(0, extract(range(40), "now").replace(b"online", b"phone", 1))
    before = inbox.current()
    retry(inbox.settings, name_of(WIP, 0))
    assert inbox.poll().counts.unchanged == 39
    assert inbox.rule(0) == ("loaded", None) and inbox.current() == before


# --------------------------------------------------------------------------------------------------------- rights


def crm_url(settings: Settings) -> str:
    address = warehouse_url(settings).set(
        username=CRM_ROLE, password=settings.crm_password.get_secret_value()
    )
    return address.render_as_string(hide_password=False)


def relations(settings: Settings) -> list[str]:
    found = ask(
        settings,
        "select format('%%I.%%I', n.nspname, c.relname) from pg_class as c "
        "join pg_namespace as n on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'p') "
        "and n.nspname = any(%s) order by 1",
        ["raw", "ops", "quarantine", "serving", "marts"],
    )
    return [name for (name,) in found]


def readable(url: str, names: list[str]) -> list[str]:
    allowed = []
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            try:
                connection.execute(f"select * from {name} limit 1")
                allowed.append(name)
            except psycopg.errors.InsufficientPrivilege:
                pass
    return allowed


def test_the_crm_reads_the_work_in_progress_in_the_clear_and_nothing_else(inbox: Inbox) -> None:
    inbox.send(0, extract(range(3)))
    names = relations(inbox.settings)
    assert {"raw.wip_extract", "ops.files", "quarantine.rows", "raw.telephony_call"} < set(names)
    assert readable(crm_url(inbox.settings), names) == ["serving.wip_applicant", "serving.wip_current"]
    with psycopg.connect(crm_url(inbox.settings), autocommit=True) as crm:
        rows = crm.execute(
            "select application_ref, surname, stage from serving.wip_current order by 1"
        ).fetchall()
        assert rows == [(f"application_ref-{n}", f"Canary{n}", "examination") for n in range(3)]
        for statement in (
            "delete from serving.wip_applicant",
            "update serving.wip_applicant set surname = 'x'",
            "insert into serving.wip_applicant (application_key) values ('x')",
            "truncate serving.wip_applicant",
            "drop view serving.wip_current",
            "create table serving.mine (x int)",
            "create table public.mine (x int)",
        ):
            crm.execute("set default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                crm.execute(statement)  # type: ignore[call-overload]


def test_dashboards_cannot_read_who_somebody_is(inbox: Inbox) -> None:
    inbox.send(0, extract(range(3)))
    names = [name for name in relations(inbox.settings) if not name.startswith("marts.")]
    assert "serving.wip_current" in names
    assert readable(bi_url(inbox.settings).render_as_string(hide_password=False), names) == []


def test_only_the_serving_schema_knows_who_an_application_is_of(inbox: Inbox) -> None:
    clear = {
        "surname": "Zzcanary",
        "postcode": "QX9 9XQ",
        "application_ref": "PEXCANARY1",
        "delivery_partner_ref": "DPCANARY",
    }
    clear["date_of_birth"] = "1931-07-19"
    inbox.send(0, file_of(WIP, [application(n) for n in range(60)] + [application(99) | clear]))
    inbox.send(
        1,
        file_of(WIP, [application(n) for n in range(60)] + [application(99) | clear | {"channel": "pigeon"}]),
    )
    assert inbox.rule(1) == ("loaded", None)
    with connect(inbox.settings) as connection:
        for name in relations(inbox.settings):
            text = str(connection.execute(f"select t::text from {name} as t").fetchall())  # type: ignore[call-overload]
            if not name.startswith("serving."):
                assert [value for value in clear.values() if value in text] == [], name
    assert ask(inbox.settings, "select field, rule from quarantine.rows") == [("channel", "not_in_list")]
    [(found,)] = ask(
        inbox.settings, "select count(*) from serving.wip_current where application_ref = 'PEXCANARY1'"
    )
    assert found == 0, "The application whose row was refused is not in the current extract."


# --------------------------------------------------------------------------------------------------------- killed


PROGRAM = """
import sys
from infra.settings import load_settings
from ingestion.run import ingest
settings = load_settings()
print("begins", flush=True)
ingest(settings, "wip_extract", sys.argv[1])
"""


@contextmanager
def loading(folder: Path, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A real process that has done its imports and begins to load."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(folder)],
        env={**os.environ, **settings_environment(settings)},
        cwd=settings.home,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        yield process


def test_a_load_that_is_killed_leaves_the_old_extract_whole(inbox: Inbox) -> None:
    choose = random.Random(20260302)
    inbox.send(0, extract(range(20_000), "old"))
    before = inbox.current()
    (inbox.folder / name_of(WIP, 1)).write_bytes(extract(range(2_000, 22_000), "new"))
    time.sleep(0.15)
    killed = 0
    for _ in range(6):
        with loading(inbox.folder, inbox.settings) as process:
            time.sleep(0.05 + choose.random() * 0.6)
            process.send_signal(signal.SIGKILL)
        state, _ = (
            inbox.rule(1) if name_of(WIP, 1) in ledger(inbox.settings, "wip_extract") else ("none", None)
        )
        if state == "loaded":
            break
        killed += 1
        assert inbox.current() == before
    assert killed, "At least one kill came before the end."
    inbox.poll()  # all may have been killed before the file had a row in the ledger
    deadline = time.monotonic() + 30
    while (
        inbox.rule(1)[0] != "loaded" and time.monotonic() < deadline
    ):  # the server may still be ending the last one
        inbox.poll()
    assert inbox.current() == {key(inbox.settings, n): "new" for n in range(2_000, 22_000)}


# ----------------------------------------------------------------------------------------------------------- race


def test_of_two_extracts_that_race_the_newer_one_wins(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older one has been read, but has not been compared yet, when the newer one is loaded: it is held as stale."""
    from ingestion import targets

    inbox.send(0, extract(range(50), "old"))
    older, newer = inbox.folder / "older", inbox.folder / "newer"
    for folder, number in ((older, 1), (newer, 2)):
        folder.mkdir()
        (folder / name_of(WIP, number)).write_bytes(extract(range(50), folder.name))
    finish = targets._Extracts.finish
    overtaken = []

    def finish_late(self: Any) -> Any:
        if not overtaken:
            overtaken.append(True)
            assert ingest(inbox.settings, "wip_extract", str(newer), now=NOW).counts.loaded == 50
        return finish(self)

    monkeypatch.setattr(targets._Extracts, "finish", finish_late)
    ingest(inbox.settings, "wip_extract", str(older), now=NOW)
    assert inbox.rule(1) == ("quarantined", "extract_stale") and inbox.rule(2) == ("loaded", None)
    assert set(inbox.current().values()) == {"newer"}
