"""Where the rows of one file go: into a staging table as they are parsed, and from there into raw.

Records and events are added, each unless it is there. A full extract is compared with the one before, and replaces it
at one instant. Everything happens in the transaction of the file; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from psycopg import Connection, sql

from ingestion.contract import Contract
from ingestion.findings import ROW_RULES, FileRefusedError, Finding
from ingestion.ledger import Extract
from ingestion.raw_tables import serving_table_name, table_name

LOAD_LOCK = 7_205_102  # with the hash of an interface: one transaction at a time adds rows to its raw table


@dataclass(frozen=True)
class Delivery:
    """What the rows of a file carry of it. `position` places the file among all files of the interface."""

    position: str
    file_id: int
    batch_id: int
    loaded_at: datetime


class Target(Protocol):
    """Takes the rows of one file."""

    def write(self, rows: list[str]) -> int:
        """Take rows as COPY text, and count those that raw did not hold before, as far as it is known yet."""

    def finish(self) -> tuple[int, list[Finding]]:
        """End the file: how many more rows raw did not hold before, and rows that are refused after all.

        Raises:
            FileRefusedError: The rows together are not what they should be.
        """


def open_target(
    connection: Connection,
    contract: Contract,
    delivery: Delivery,
    before: Callable[[], Extract | None] | None,
    max_change: float | None,
    staging: str = "staging",
) -> Target:
    """Make the staging table, and what the rows of this interface go through.

    Args:
        connection: In the transaction of the file.
        contract: The interface.
        delivery: The file.
        before: Tells the current extract, for an interface of full extracts. It is asked when no other transaction can
            change it any more.
        max_change: By what share the number of rows may differ from it; None: by any.
        staging: Name of the staging table; each target of a transaction has its own.
    """
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
        for column in (*contract.record_columns, *contract.serving_columns)
    )
    connection.execute(
        sql.SQL(
            "create temporary table {} ({}, _record_hash uuid, _line_number bigint) on commit drop"
        ).format(sql.Identifier(staging), columns)
    )
    if contract.record_kind == "snapshot" and before is not None:
        return _Extracts(connection, contract, delivery, staging, before, max_change)
    return _Records(connection, contract, delivery, staging)


class _Statements:
    """Statements about one interface and one file."""

    def __init__(self, connection: Connection, contract: Contract, delivery: Delivery, staging: str) -> None:
        self.connection = connection
        key = [sql.Identifier(name) for name in contract.key]
        serving = [sql.Identifier(column.name) for column in contract.serving_columns]
        self._names: dict[str, sql.Composable] = {
            "staging": sql.Identifier(staging),
            "table": table_name(contract),
            "columns": _list(sql.Identifier(column.name) for column in contract.record_columns),
            "key": _list(key),
            "raw_key": _list(sql.SQL("raw.{}").format(name) for name in key),
            "same_key": sql.SQL(" and ").join(sql.SQL("raw.{0} = seen.{0}").format(name) for name in key),
            "identity": key[0],
        }
        if contract.serving_table is not None:
            self._names |= {
                "serving": serving_table_name(contract),
                "serving_columns": _list(serving),
                "serving_seen": _list(sql.SQL("seen.{}").format(name) for name in serving),
                "serving_there": _list(sql.SQL("there.{}").format(name) for name in serving),
                "serving_set": _list(sql.SQL("{0} = excluded.{0}").format(name) for name in serving),
            }
        self._values = {
            "position": delivery.position,
            "file_id": delivery.file_id,
            "batch_id": delivery.batch_id,
            "loaded_at": delivery.loaded_at,
            "interface": contract.interface,
        }

    def run(self, statement: str) -> int:
        """Run a statement, and count the rows that it changed."""
        return self.connection.execute(sql.SQL(statement).format(**self._names), self._values).rowcount

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Run a query."""
        return self.connection.execute(sql.SQL(statement).format(**self._names), self._values).fetchall()

    def lock(self) -> None:
        """Wait until no other transaction adds rows to this raw table."""
        self.connection.execute(
            "select pg_advisory_xact_lock(%s, hashtext(%s))", (LOAD_LOCK, self._values["interface"])
        )

    def stage(self, rows: list[str]) -> None:
        """Put rows into the staging table."""
        with self.connection.cursor().copy(
            sql.SQL("copy {staging} from stdin").format(**self._names)
        ) as copy:
            copy.write("".join(rows))


class _Records:
    """Records and events: each is added unless raw holds it, batch by batch."""

    def __init__(self, connection: Connection, contract: Contract, delivery: Delivery, staging: str) -> None:
        self._sql = _Statements(connection, contract, delivery, staging)

    def write(self, rows: list[str]) -> int:
        self._sql.lock()
        self._sql.stage(rows)
        loaded = self._sql.run(_INSERT)
        if loaded < len(rows):
            self._sql.run(_SEEN_AGAIN)
        self._sql.run("truncate {staging}")
        return loaded

    def finish(self) -> tuple[int, list[Finding]]:
        return 0, []


class _Extracts:
    """Full extracts: the rows are compared with the current extract when all are there."""

    def __init__(
        self,
        connection: Connection,
        contract: Contract,
        delivery: Delivery,
        staging: str,
        before: Callable[[], Extract | None],
        max_change: float | None,
    ) -> None:
        self._sql = _Statements(connection, contract, delivery, staging)
        self._position = delivery.position
        self._has_serving = contract.serving_table is not None
        self._before = before
        self._max_change = max_change
        self._rows = 0

    def write(self, rows: list[str]) -> int:
        self._sql.stage(rows)
        self._rows += len(rows)
        return 0

    def finish(self) -> tuple[int, list[Finding]]:
        self._sql.lock()
        self._sql.run("analyze {staging}")
        repeated = self._take_repeated()
        self._hold_if_doubtful(self._rows - len(repeated))
        self._sql.run(_CLOSE)
        loaded = self._sql.run(_OPEN)
        if self._has_serving:
            self._sql.run(_SERVE_NO_MORE)
            self._sql.run(_SERVE)
        return loaded, repeated

    def _hold_if_doubtful(self, rows: int) -> None:
        before = self._before()
        if before is None:
            return
        if self._position < before.position:
            raise FileRefusedError(
                "extract_stale", f"The extract is older than the current one, {before.name}."
            )
        if self._max_change is not None and abs(rows - before.rows) > self._max_change * before.rows:
            raise FileRefusedError(
                "extract_size",
                f"The extract has {rows:,} rows and the current one, {before.name}, {before.rows:,}: they differ by "
                f"more than {self._max_change:.0%}.",
            )

    def _take_repeated(self) -> list[Finding]:
        """Take out rows whose key stood in an earlier one."""
        meaning, advice = ROW_RULES["repeated_key"]
        return [
            Finding(int(str(line)), None, "repeated_key", f"{meaning} {advice}", "")
            for (line,) in self._sql.rows(_REPEATED)
        ]


def _list(names: Iterator[sql.Composable] | list[sql.Identifier] | Iterator[sql.Identifier]) -> sql.Composed:
    return sql.SQL(", ").join(names)


_INSERT = """
insert into {table} ({columns}, _record_hash, _line_number, _file_position, _file_id, _batch_id, _loaded_at)
select
    {columns}, _record_hash, _line_number,
    %(position)s || lpad(_line_number::text, 12, '0'), %(file_id)s, %(batch_id)s, %(loaded_at)s
from {staging}
on conflict do nothing
"""

# The place of a record is that of its last appearance in the latest file. Where that moves it past another
# record of the same version, the current version may change although no row was added: the next build must look
# at it again.
_SEEN_AGAIN = """
with seen as (
    select {key}, _record_hash, %(position)s || lpad(max(_line_number)::text, 12, '0') as _file_position
    from {staging}
    group by {key}, _record_hash
),
moved as (
    update {table} as raw
    set _file_position = seen._file_position
    from seen
    where {same_key} and raw._record_hash = seen._record_hash and raw._file_position < seen._file_position
    returning {raw_key}, raw._record_hash
)
insert into ops.record_touches (file_id, interface, record_key)
select distinct %(file_id)s::bigint, %(interface)s, seen.{identity}::text
from moved as seen
where exists (select from {table} as raw where {same_key} and raw._record_hash <> seen._record_hash)
on conflict do nothing
"""

_REPEATED = """
with repeated as (
    select {identity}, min(_line_number) as first_line from {staging} group by {identity} having count(*) > 1
),
taken as (
    delete from {staging} as seen using repeated
    where seen.{identity} = repeated.{identity} and seen._line_number > repeated.first_line
    returning seen._line_number
)
select _line_number from taken order by _line_number
"""

_CLOSE = """
update {table} as raw set _until_position = %(position)s
where
    raw._until_position is null
    and not exists (
        select from {staging} as seen where {same_key} and seen._record_hash = raw._record_hash
    )
"""

_OPEN = """
insert into {table} ({columns}, _record_hash, _line_number, _file_position, _file_id, _batch_id, _loaded_at)
select {columns}, _record_hash, _line_number, %(position)s, %(file_id)s, %(batch_id)s, %(loaded_at)s
from {staging} as seen
where not exists (select from {table} as raw where {same_key} and raw._until_position is null)
"""

_SERVE_NO_MORE = """
delete from {serving} as there
where not exists (select from {staging} as seen where seen.{identity} = there.{identity})
"""

_SERVE = """
insert into {serving} ({identity}, {serving_columns})
select seen.{identity}, {serving_seen}
from {staging} as seen
where not exists (
    select from {serving} as there
    where there.{identity} = seen.{identity} and ({serving_there}) is not distinct from ({serving_seen})
)
on conflict ({identity}) do update set {serving_set}
"""
