"""One small world for all mutants: every channel, calls at the moments easily miscounted, and what the oracle says.

The world is built twice without a mutant - once in increments, once in full - and compared with the oracle row for row.
After that a fingerprint of the compared columns stands for the oracle's rows, so that a mutant is judged in a moment.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as drawing
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from rich.console import Console

from infra.postgres import connect, warehouse_url
from infra.settings import Settings
from ingestion.raw_tables import ensure_raw_tables
from ingestion.run import ingest
from tests.e2e.test_marts_equal_oracle import assert_marts_equal_oracle
from tests.integration.test_channels_equal_oracle import KEYS as KEYS_OF_CHANNELS
from tests.integration.test_channels_equal_oracle import Centre
from tests.integration.test_channels_equal_oracle import World as Outside
from tests.integration.test_contacts_equal_oracle import (
    CODES,
    FUNCTIONS,
    KEYS,
    NOT_OF_THE_ORACLE,
    START,
    House,
)
from tests.integration.test_kpis import LEFT_TO_OTHER_TESTS
from tests.oracle.annex_b import KEY_OF, AnnexB
from tests.oracle.backlog import Backlog
from tests.oracle.compare import assert_equal_rows
from tests.oracle.histories import File, deliveries
from tests.oracle.kpis import KEY, OF_CALLS, kpi_results
from tests.oracle.records import FileName, Refused, read_folder, record_of
from tests.oracle.reference import from_seeds

FIRST_LOOK = START + timedelta(hours=27)
AS_OF = datetime(2026, 4, 8, 23, tzinfo=UTC)
"""To the instant 8 days after the end of March: the KPIs of that month are settled now."""
STARTS = (START + timedelta(hours=16), AS_OF - timedelta(hours=3))
"""Calls are drawn about the night on which the clocks go forward, and about the instant that one looks from."""
REACH = ((1, 3, 7), (14, 28))
COMPARED = (*KEYS, *KEYS_OF_CHANNELS, *KEY_OF, "kpi_results")
OF_NO_CONTEST = {*NOT_OF_THE_ORACLE, "formula"}


@dataclass(frozen=True)
class World:
    """The embedded server's settings and, by table, the fingerprint of what the oracle expects at AS_OF."""

    settings: Settings
    instants: Sequence[datetime]
    expected: dict[str, Any]
    digest: str

    def of(self, database: str, home: Path | None = None) -> Settings:
        """Settings of one database, with a folder for what dbt writes."""
        return of_database(self.settings, database, home)


def of_database(settings: Settings, database: str, home: Path | None = None) -> Settings:
    address = warehouse_url(settings).set(database=database).render_as_string(hide_password=False)
    values = settings.model_dump() | {"database_url": SecretStr(address), "home": home or settings.home}
    return Settings.model_construct(**values)


def clone(settings: Settings, database: str, template: str) -> None:
    """Put a copy of one database in the place of another."""
    admin = warehouse_url(settings).set(username="postgres", database="postgres")
    with psycopg.connect(admin.render_as_string(hide_password=False), autocommit=True) as server:
        server.execute(SQL("drop database if exists {} with (force)").format(Identifier(database)))
        server.execute(
            SQL("create database {} template {} strategy file_copy owner contactbi").format(
                Identifier(database), Identifier(template)
            )
        )


def make_it_forgetful(settings: Settings) -> None:
    """Let the server write nothing for good: it is thrown away, and copies of databases are all that it does."""
    admin = warehouse_url(settings).set(username="postgres", database="postgres")
    with psycopg.connect(admin.render_as_string(hide_password=False), autocommit=True) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            server.execute(SQL("alter system set {} = off").format(Identifier(setting)))
        server.execute("select pg_reload_conf()")


def make_world(settings: Settings, folder: Path) -> World:
    """Make the databases `before` (built once, new files waiting) and `after` (built in full, equal to the oracle)."""
    inbox, sent = folder / "inbox", folder / "sent"
    inbox.mkdir(parents=True)
    sent.mkdir()
    make_it_forgetful(settings)
    clone(settings, "after", "warehouse")
    house = House(of_database(settings, "after"), inbox)
    ensure_raw_tables(house.settings)
    outside = Outside(20260328)
    files, extracts = outside.files(sent), outside.extracts(sent)
    house.refused |= outside.refused
    outside.random.shuffle(files)
    files = [path for path in files if "queue_snapshot" not in path.name]
    calls = [path for number, start in enumerate(STARTS) for path in _drawn(number, start, sent)]
    random.Random(7).shuffle(calls)
    _arrive(house, [*files[::2], *extracts[:3], *calls[::2]])
    house.build(FIRST_LOOK)
    _arrive(house, [*files[1::2], *extracts[3:], *calls[1::2]])
    clone(settings, "before", "after")
    house.build(AS_OF)
    _assert_equals_oracle(house)
    secret = settings.caller_hash_key.get_secret_value().encode()
    moments = Backlog(inbox, house.arrived, secret, AS_OF, house.refused).moments()
    chosen = random.Random(1).sample(moments, min(len(moments), 150))
    instants = [*(at - timedelta(microseconds=each) for at in chosen for each in (0, 1)), AS_OF]
    incremental = fingerprints(house.settings, instants)
    house.build(AS_OF, full_refresh=True)
    expected = fingerprints(house.settings, instants)
    assert expected == incremental
    assert set(expected) == {*COMPARED, *FUNCTIONS}
    ((digest,),) = (row.values() for row in house.rows("select distinct inputs_digest from ops.builds"))
    return World(settings, instants, expected, digest)


def fingerprints(settings: Settings, instants: Sequence[datetime]) -> dict[str, Any]:
    """Of each table and function: the number of its rows and a sum over all that the oracle says of them.

    The text of a function names the database that it was made in: in a copy it is left out until it is made anew.
    """
    found: dict[str, Any] = {}
    with connect(settings) as connection:
        for table in COMPARED:
            columns = connection.execute(
                "select column_name from information_schema.columns "
                "where table_schema = 'marts' and table_name = %s order by ordinal_position",
                (table,),
            ).fetchall()
            left = OF_NO_CONTEST | (LEFT_TO_OTHER_TESTS if table == "kpi_results" else set())
            query = SQL("select {} from marts.{} {}").format(
                SQL(", ").join(Identifier(name) for (name,) in columns if name not in left),
                Identifier(table),
                SQL("where kpi_code = any(%s)" if table == "kpi_results" else ""),
            )
            found[table] = sum_of(connection, query, [list(OF_CALLS)] if table == "kpi_results" else [])
        made_here = connection.execute(
            "select proname from pg_proc where proname = any(%s) and position(current_database() in prosrc) > 0",
            (list(FUNCTIONS),),
        ).fetchall()
        for (function,) in made_here:
            query = SQL("select * from unnest(%s::timestamptz[]) as at cross join lateral marts.{}(at)")
            found[function] = sum_of(connection, query.format(Identifier(function)), [list(instants)])
    assert all(rows for rows, _ in found.values()), found
    return found


def sum_of(connection: psycopg.Connection, query: Any, parameters: Sequence[Any] = ()) -> Any:
    """The number of rows of a query, and a sum over all that they say."""
    return connection.execute(
        SQL("select count(*), sum(hashtextextended(told::text, 0)) from ({}) as told").format(query),
        parameters,
    ).fetchone()


def _assert_equals_oracle(house: House) -> None:
    """Every mart that the oracle knows, row for row."""
    centre = Centre(house.settings, house.inbox, house.arrived, house.refused)
    counted = house.compare(AS_OF) | centre.compare(AS_OF)
    assert all(counted.values()), counted
    names = [name for name in house.arrived if name.startswith("telephony_call_")]
    figures = AnnexB(read_folder(house.inbox, datetime.now(UTC), names), from_seeds(), AS_OF)
    assert_marts_equal_oracle(house, figures)  # type: ignore[arg-type]
    results = house.rows("select * from marts.kpi_results where kpi_code = any(%s)", [list(OF_CALLS)])
    assert_equal_rows(
        kpi_results(figures),
        [{name: value for name, value in row.items() if name not in LEFT_TO_OTHER_TESTS} for row in results],
        KEY,
    )


def _arrive(house: House, files: Sequence[Path]) -> None:
    for path in files:
        shutil.copy(path, house.inbox / path.name)
        house.arrived.append(path.name)
    for interface in sorted({path.name.rsplit("_", 3)[0] for path in files}):
        ingest(house.settings, interface, str(house.inbox), console=Console(quiet=True))
    assert house.rows("select name, state from ops.files where state <> 'loaded'") == []
    refused = {(row["file"], row["line_number"]) for row in house.rows("select * from quarantine.rows")}
    assert refused == {(name, line) for name, line in house.refused if name in house.arrived}


def _drawn(number: int, start: datetime, folder: Path) -> list[Path]:
    """A drawn history of calls without bad rows, under names of its own; always the same."""
    drawn: list[list[File]] = []

    @seed(number)
    @drawing(
        max_examples=6,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(deliveries(start, CODES, calls=45, reach=REACH[number]))
    def draw(files: list[File]) -> None:
        drawn.append(files)

    draw()
    written = []
    for file in max(drawn, key=lambda files: sum(len(file.lines) for file in files)):
        name = file.name.replace("_sim_", f"_drawn{number}_").removesuffix(".gz")
        lines = [line.replace(b'"call_id": "', b'"call_id": "%d-' % number) for line in file.lines]
        written.append(File(name, tuple(line for line in lines if _is_good(line))).write(folder))
    return written


def _is_good(line: bytes) -> bool:
    try:
        record_of(line, FileName("", "", AS_OF, 1), 1, datetime.now(UTC))
    except Refused:
        return False
    return True
