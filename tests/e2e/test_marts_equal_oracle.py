"""Files go in, marts come out, and every row of every grain is what the oracle counts from the same files.

On real calls, on simulated traffic that arrives late and in the wrong order, and on drawn histories at the moments that
are easily miscounted.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, assume, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier
from rich.console import Console

from infra.postgres import connect, warehouse_url
from infra.settings import Settings
from infra.sftp import connect_sftp, sftp_location
from infra.simulator import simulate
from ingestion.run import ingest
from tests.oracle.annex_b import GRAINS_OF, KEY_OF, AnnexB
from tests.oracle.backlog import Backlog
from tests.oracle.compare import assert_equal_rows
from tests.oracle.histories import HOURS, NIGHTS, File, deliveries
from tests.oracle.records import FileRead, read_folder
from tests.oracle.reference import from_seeds
from transformation.build import build

pytestmark = pytest.mark.services

SHARED = Path(__file__).resolve().parents[3] / "shared"
NOT_OF_THE_ORACLE = {"_build_id", "formula"}
STATED_TWICE = (*GRAINS_OF, "fct_calls", "fct_call_legs")


@dataclass
class Road:
    """A warehouse of one test's own, a folder of the SFTP server that its files arrive in, and a copy of them."""

    settings: Settings
    inbox: Path
    arrived: set[str] = field(default_factory=set)

    def arrive(self, files: Sequence[Path]) -> None:
        """Let files arrive over SFTP, with their digests, and load them from there."""
        folder = sftp_location(self.settings).folder
        with connect_sftp(self.settings) as server:
            for path in files:
                for each in (path.with_name(f"{path.name}.sha256"), path):
                    if each.exists():
                        shutil.copy(each, self.inbox / each.name)
                        server.put(str(each), f"{folder}/{each.name}.part")
                        server.posix_rename(f"{folder}/{each.name}.part", f"{folder}/{each.name}")
                self.arrived.add(path.name)
        ingest(self.settings, "telephony_call", console=Console(quiet=True))

    def build(self, as_of: datetime, *, full_refresh: bool = False) -> None:
        """Build the marts as of an instant; every dbt test must pass."""
        result = build(self.settings, as_of=as_of, full_refresh=full_refresh, report=lambda line: None)
        assert result.succeeded, result.as_text()

    def rows(self, statement: Any, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query."""
        with connect(self.settings, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()  # type: ignore[return-value]

    def read(self) -> list[FileRead]:
        """The oracle's reading of the files that have arrived."""
        return read_folder(self.inbox, datetime.now(UTC), self.arrived)

    def keep(self) -> None:
        """Keep the marts as they stand, to be compared after they are built anew."""
        with connect(self.settings) as connection:
            connection.execute("create schema if not exists kept")
            for table in STATED_TWICE:
                name = Identifier(table)
                connection.execute(SQL("create table kept.{} as table marts.{}").format(name, name))


@pytest.fixture
def new_road(
    instance: Settings,
    make_settings: Callable[..., Settings],
    superuser_url: Callable[..., str],
    tmp_path: Path,
) -> Callable[[], AbstractContextManager[Road]]:
    """A road that begins at an empty warehouse and is taken up afterwards."""

    @contextmanager
    def one() -> Iterator[Road]:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(superuser_url(instance), autocommit=True) as server:
            server.execute(
                SQL("create database {} template pristine owner contactbi").format(Identifier(name))
            )
            address = warehouse_url(instance).set(database=name).render_as_string(hide_password=False)
            inbox = tmp_path / name
            inbox.mkdir()
            (instance.home / "sftp" / "outbox" / name).mkdir()
            folder = str(sftp_location(instance)).rstrip("/") + f"/{name}"
            yield Road(make_settings(instance.home, database_url=address, sftp_url=folder), inbox)
            server.execute(SQL("drop database {} with (force)").format(Identifier(name)))

    return one


def assert_ledger_equals_oracle(road: Road, reads: Sequence[FileRead]) -> None:
    """Each file was taken or refused as the oracle says, and so was each of its rows."""
    ledger = road.rows("select name, state, rows_read, rows_quarantined from ops.files")
    assert {row["name"]: row["state"] for row in ledger} == {
        read.name.name: "quarantined" if read.whole else "loaded" for read in reads
    }
    loaded = [read for read in reads if not read.whole]
    assert loaded
    assert {
        row["name"]: (row["rows_read"], row["rows_quarantined"]) for row in ledger if row["state"] == "loaded"
    } == {read.name.name: (read.rows, len(read.rejected)) for read in loaded}
    refused = road.rows(
        "select refused.file, refused.line_number from quarantine.rows as refused "
        "inner join ops.files as files on files.file_id = refused.file_id where files.state = 'loaded'"
    )
    assert sorted((row["file"], row["line_number"]) for row in refused) == sorted(
        (rejection.file, rejection.line) for read in loaded for rejection in read.rejected
    )


def assert_marts_equal_oracle(road: Road, figures: AnnexB) -> None:
    """Every row of every grain of every table, both ways."""
    for table, grains in GRAINS_OF.items():
        name = Identifier(table)
        assert {
            row["grain"] for row in road.rows(SQL("select distinct grain from marts.{}").format(name))
        } <= set(grains)
        for grain in grains:
            expected = list(getattr(figures, table)(grain))
            actual = [
                {column: value for column, value in row.items() if column not in NOT_OF_THE_ORACLE}
                for row in road.rows(SQL("select * from marts.{} where grain = %s").format(name), [grain])
            ]
            if table == "annex_b_call_types" and not expected:
                assert actual == []  # the one table that has rows only where there is something to count
            else:
                assert_equal_rows(expected, actual, KEY_OF[table])


def assert_marts_equal_kept(road: Road) -> None:
    """Built anew, the marts hold row for row what they held, but for the number of the build."""
    keys = {**KEY_OF, "fct_calls": ("call_id",), "fct_call_legs": ("call_id", "leg_no")}
    for table in STATED_TWICE:
        kept, built = (
            [
                {column: value for column, value in row.items() if column != "_build_id"}
                for row in road.rows(SQL("select * from {}").format(Identifier(schema, table)))
            ]
            for schema in ("kept", "marts")
        )
        if kept or built or table != "annex_b_call_types":
            assert_equal_rows(kept, built, keys[table])


def assert_contacts_and_queues_equal_oracle(road: Road, reads: Sequence[FileRead], as_of: datetime) -> None:
    """Every call as a contact, and who waited in which queue in the middle of some busy days."""
    secret = road.settings.caller_hash_key.get_secret_value().encode()
    refused = {(each.file, each.line) for read in reads for each in read.rejected}
    oracle = Backlog(road.inbox, road.arrived, secret, as_of, refused)
    places = ("_build_id", "_file_id", "_line_number")
    contacts = [
        {column: value for column, value in row.items() if column not in places}
        for row in road.rows("select * from marts.fct_contacts")
    ]
    assert_equal_rows(oracle.fct_contacts(), contacts, ("contact_id",))
    waiting = 0
    for day in (5, 13, 24):
        instant = datetime(1999, 1, day, 10, 30, tzinfo=UTC)
        expected, found = (
            list(oracle.queue_at(instant)),
            road.rows("select * from marts.queue_at(%s)", [instant]),
        )
        waiting += len(expected)
        assert not (expected or found) or assert_equal_rows(expected, found, ("queue", "line"))
    assert waiting


def test_the_real_calls_of_two_months(
    new_road: Callable[[], AbstractContextManager[Road]], tmp_path: Path
) -> None:
    logs = sorted((SHARED / "data" / "technion").glob("*.gz"))
    converter = SHARED / "tools" / "technion_to_calls.py"
    if not logs or not converter.exists():
        pytest.skip("the real calls are not beside this checkout (../shared/data/technion)")
    sent = tmp_path / "sent"
    subprocess.run([sys.executable, converter, *logs, "--out", sent], check=True, capture_output=True)
    as_of = datetime(1999, 3, 1, tzinfo=UTC)
    with new_road() as road:
        road.arrive(sorted(sent.iterdir()))
        road.build(as_of)
        reads = road.read()
        assert_ledger_equals_oracle(road, reads)
        (total,) = road.rows(
            "select sum(rows_read)::int as read, sum(rows_loaded)::int as loaded, "
            "sum(rows_quarantined)::int as quarantined from ops.files"
        )
        assert total == {"read": 64_943, "loaded": 64_885, "quarantined": 58}
        assert_marts_equal_oracle(road, AnnexB(reads, from_seeds(), as_of))
        assert_contacts_and_queues_equal_oracle(road, reads, as_of)
        january = "grain = 'month' and period_date = '1999-01-01' and line = 'ALL'"
        assert road.rows(
            "select callers, repeat_callers, repeat_calls, calls_with_number from marts.annex_b_repeat_callers "
            f"where {january}"
        ) == [
            {"callers": 3_919, "repeat_callers": 2_004, "repeat_calls": 11_277, "calls_with_number": 13_192}
        ]
        assert road.rows(
            "select resolved, answered_with_number, immature from marts.annex_b_first_call_resolution "
            f"where {january} and x_days = 7"
        ) == [{"resolved": 4_357, "answered_with_number": 11_460, "immature": 0}]


def a_call(call_id: str, version: int, received_at: datetime) -> bytes:
    """A call that is abandoned in the queue after 7 seconds."""
    queued_at, left_at = received_at + timedelta(seconds=10), received_at + timedelta(seconds=17)
    leg = {
        "leg_no": 1,
        "queue": "PAL_GENERAL",
        "queued_at": f"{queued_at:%FT%TZ}",
        "left_at": f"{left_at:%FT%TZ}",
    }
    return json.dumps(
        {
            "call_id": call_id,
            "record_version": version,
            "emitted_at": f"{left_at:%FT%TZ}",
            "dialled_number": "+441632960001",
            "received_at": f"{received_at:%FT%TZ}",
            "ivr_outcome": "queued",
            "legs": [{**leg, "end_reason": "abandoned"}],
            "ended_at": f"{left_at:%FT%TZ}",
        }
    ).encode()


def test_simulated_traffic_in_the_wrong_order_twice_and_corrected(
    new_road: Callable[[], AbstractContextManager[Road]], tmp_path: Path
) -> None:
    """Five days about the night on which the clocks go forward, in three increments with a build after each.

    Beside them three calls of another platform before all others, of which the first is corrected to another day and
    the second to a time after `as_of`: the spine must then begin later.
    """
    sent = tmp_path / "sent"
    last_day = date(2025, 3, 31)
    simulate(
        sent,
        days=5,
        seed=20250330,
        calls_per_day=800,
        last_day=last_day,
        bad_row_share=0.02,
        interfaces=["telephony_call"],
    )
    files = sorted(path for path in sent.iterdir() if path.suffix != ".sha256")
    random.Random(5).shuffle(files)
    assert len(files) > 20

    first = datetime(2025, 3, 25, 10, 5, tzinfo=UTC)
    end = datetime(2025, 3, 31, 23, tzinfo=UTC)
    other = tmp_path / "other"
    other.mkdir()

    def correction(sequence: int, *lines: bytes) -> Path:
        return File(f"telephony_call_other_20250401T0{sequence}0000Z_{sequence:05d}.jsonl", lines).write(
            other
        )

    early = [
        a_call(call_id, 1, first + timedelta(minutes=15 * number)) for number, call_id in enumerate("ABC")
    ]
    third = len(files) // 3
    steps = [
        ([*files[:third], correction(1, *early)], end - timedelta(days=2, minutes=7)),
        (
            [*files[third : 2 * third], correction(2, a_call("A", 2, first + timedelta(days=3)))],
            end - timedelta(days=1),
        ),
        ([*files[2 * third :], correction(3, a_call("B", 2, end))], end),
    ]
    with new_road() as road:
        for arriving, as_of in steps:
            road.arrive(arriving)
            road.build(as_of)
            assert_marts_equal_oracle(road, AnnexB(road.read(), from_seeds(), as_of))
        reads = road.read()
        assert any(read.rejected for read in reads)
        assert_ledger_equals_oracle(road, reads)

        for path in road.inbox.iterdir():
            path.touch()  # sent again, the same bytes under the same name
        road.arrive([])
        road.build(end)
        road.keep()
        road.build(end, full_refresh=True)
        assert_marts_equal_kept(road)
        assert_marts_equal_oracle(road, AnnexB(reads, from_seeds(), end))


def increments(data: st.DataObject, start: datetime) -> list[list[File]]:
    """A history at one of the moments easily miscounted, in the increments that it arrives in."""
    files = data.draw(deliveries(start, ["PASSPORT", "OTHER"]))
    lines = [line for file in files for line in file.lines]
    # The first that is drawn is the simplest there is, in which nobody is answered: it says too little for its builds.
    assume(len(files) > 1 and 4 * sum(b"answered_at" in line for line in lines) > len(lines))
    order = data.draw(st.permutations(files))
    cut = data.draw(st.integers(1, len(order) - 1))
    return [order[:cut], order[cut:]]


@pytest.mark.parametrize("night", NIGHTS)
@example_settings(
    max_examples=1,
    deadline=None,
    phases=[
        Phase.reuse,
        Phase.generate,
    ],  # each example takes builds: a smaller one is not worth a hundred of them
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(data=st.data())
def test_drawn_histories_in_increments_and_in_full(
    night: str,
    data: st.DataObject,
    new_road: Callable[[], AbstractContextManager[Road]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    start = NIGHTS[night]
    arriving = increments(data, start)
    sent = tmp_path_factory.mktemp("sent")
    with new_road() as road:
        for hours, increment in zip((2, HOURS - 1), arriving, strict=True):
            road.arrive([file.write(sent) for file in increment])
            as_of = start + timedelta(hours=hours)
            road.build(as_of)
            assert_marts_equal_oracle(road, AnnexB(road.read(), from_seeds(), as_of))
        assert_ledger_equals_oracle(road, road.read())
        road.keep()
        road.build(as_of, full_refresh=True)
        assert_marts_equal_kept(road)
