"""Where the rows of one file go.

Records and events are added to raw as they are parsed, each unless it is there. A full extract gathers in a staging
table, is compared with the one before, and replaces it at one instant. Everything happens in the transaction of the
file; nothing here begins or ends one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import Connection, Cursor, sql
from psycopg.errors import UniqueViolation

from ingestion.contract import Contract
from ingestion.findings import ROW_RULES, FileRefusedError, Finding
from ingestion.ledger import Extract
from ingestion.raw_rows import RawRows, Texts
from ingestion.raw_tables import serving_table_name, table_name

LOAD_LOCK = 7_205_102  # with the hash of an interface: one transaction at a time adds rows to its raw table

_LOOKED_UP_FIRST = 500
"""Records of a file that are looked up before the others are taken for new: a file that was sent again is full of known
ones, and every refusal of the primary key is a line in the log of the server."""

_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True)
class Delivery:
    """What the rows of a file carry of it. `position` places the file among all files of the interface."""

    position: str
    file_id: int
    batch_id: int
    loaded_at: datetime


class Target(Protocol):
    """Takes the rows of one file."""

    def write(self, rows: RawRows) -> int:
        """Take rows, and count those that raw did not hold before, as far as it is known yet."""

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
) -> Target:
    """Prepare what the rows of this interface go through.

    Args:
        connection: In the transaction of the file.
        contract: The interface.
        delivery: The file.
        before: Tells the current extract, for an interface of full extracts. It is asked when no other transaction can
            change it any more.
        max_change: By what share the number of rows may differ from it; None: by any.
    """
    if contract.record_kind == "snapshot" and before is not None:
        return _Extracts(connection, contract, delivery, before, max_change)
    return _Records(connection, contract, delivery)


class _Statements:
    """Statements about one interface and one file."""

    def __init__(self, connection: Connection, contract: Contract, delivery: Delivery) -> None:
        self.connection = connection
        types = {column.name: column.type for column in contract.record_columns}
        key = [sql.Identifier(name) for name in contract.key]
        serving = [sql.Identifier(column.name) for column in contract.serving_columns]
        self._names: dict[str, sql.Composable] = {
            "table": table_name(contract),
            "columns": _list(sql.Identifier(column.name) for column in contract.record_columns),
            "key": _list(key),
            "key_arrays": _list(
                sql.SQL("{}::{}[]").format(sql.Placeholder(name), sql.SQL(types[name]))
                for name in contract.key
            ),
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

    def run(self, statement: str, **values: object) -> Cursor[tuple[Any, ...]]:
        """Run a statement. It is planned for these values: what was best for an empty table is not for a full one."""
        return self.connection.execute(
            sql.SQL(statement).format(**self._names), {**self._values, **values}, prepare=False
        )

    def copy(self, statement: str, text: memoryview) -> None:
        """Put COPY text into a table."""
        with self.connection.cursor().copy(sql.SQL(statement).format(**self._names)) as copy:
            copy.write(text)

    def lock(self) -> None:
        """Wait until no other transaction adds rows to this raw table."""
        self.connection.execute(
            "select pg_advisory_xact_lock(%s, hashtext(%s))", (LOAD_LOCK, self._values["interface"])
        )


class _Records:
    """Records and events: each is added unless raw holds it, batch by batch.

    Most files tell of nothing that raw holds. So where the first records of a file are all new, the next are copied as
    if they were too: the primary key refuses them all if one is not, and then they are looked up after all.
    """

    def __init__(self, connection: Connection, contract: Contract, delivery: Delivery) -> None:
        self._connection = connection
        self._sql = _Statements(connection, contract, delivery)
        self._position = delivery.position
        self._of_file = f"{delivery.file_id}\t{delivery.batch_id}\t{delivery.loaded_at.isoformat()}"
        names = [column.name for column in contract.record_columns]
        self._key = [(name, names.index(name)) for name in contract.key]
        self._expects_new: bool | None = None

    def write(self, rows: RawRows) -> int:
        self._sql.lock()
        if self._expects_new is None:
            looked_up = self._add_looked_up(rows.slice(0, _LOOKED_UP_FIRST))
            self._expects_new = looked_up == min(len(rows), _LOOKED_UP_FIRST)
            return looked_up + self._add(rows.slice(_LOOKED_UP_FIRST))
        return self._add(rows)

    def finish(self) -> tuple[int, list[Finding]]:
        return 0, []

    def _add(self, rows: RawRows) -> int:
        if self._expects_new and not rows.repeat_a_hash:
            try:
                with self._connection.transaction():
                    self._copy(rows)
                return len(rows)
            except UniqueViolation:
                self._expects_new = False
        return self._add_looked_up(rows)

    def _add_looked_up(self, rows: RawRows) -> int:
        if not len(rows):
            return 0
        records, hashes = rows.records.to_pylist(), rows.hashes.to_pylist()
        arrays = self._arrays(records, hashes)
        known = {place - 1 for (place,) in self._sql.run(_KNOWN, **arrays)}
        new, again, seen = [], [], set()
        for place, digest in enumerate(hashes):
            # The hash is of the key too: no other record has it.
            if place in known or digest in seen:
                again.append(place)
            else:
                seen.add(digest)
                new.append(place)
        if new:
            self._copy(rows if len(new) == len(rows) else rows.take(new))
        if again:
            positions = _array(self._positions(rows.take(again)).to_pylist())
            arrays = self._arrays([records[place] for place in again], [hashes[place] for place in again])
            self._sql.run(_SEEN_AGAIN, positions=positions, **arrays)
        return len(new)

    def _copy(self, rows: RawRows) -> None:
        self._sql.copy(_ADD, rows.copy_text(self._positions(rows), self._of_file))

    def _positions(self, rows: RawRows) -> Texts:
        """The places of rows among all rows of the interface: texts that sort as their lines do."""
        padded = pc.utf8_lpad(pc.cast(rows.lines, pa.string()), width=12, padding="0")
        return pc.binary_join_element_wise(self._position, padded, "")

    def _arrays(self, records: list[str], hashes: list[str]) -> dict[str, str]:
        """The keys and hashes of records as arrays, in their order."""
        beyond = max(place for _, place in self._key) + 1
        cells = [record.split("\t", beyond) for record in records]
        arrays = {name: _array(_from_copy(each[place]) for each in cells) for name, place in self._key}
        return {**arrays, "hashes": _array(hashes)}


class _Extracts:
    """Full extracts: the rows are compared with the current extract when all are there."""

    def __init__(
        self,
        connection: Connection,
        contract: Contract,
        delivery: Delivery,
        before: Callable[[], Extract | None],
        max_change: float | None,
    ) -> None:
        self._sql = _Statements(connection, contract, delivery)
        self._position = delivery.position
        self._has_serving = contract.serving_table is not None
        self._before = before
        self._max_change = max_change
        self._rows = 0
        columns = _list(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))
            for column in (*contract.record_columns, *contract.serving_columns)
        )
        connection.execute(sql.SQL(_STAGING).format(columns=columns))

    def write(self, rows: RawRows) -> int:
        self._sql.copy("copy staging from stdin (encoding 'UTF8')", rows.copy_text())
        self._rows += len(rows)
        return 0

    def finish(self) -> tuple[int, list[Finding]]:
        self._sql.lock()
        self._sql.run("set local default_statistics_target = 10")  # how many rows there are is what matters
        self._sql.run("analyze staging ({key}, _record_hash)")
        repeated = self._take_repeated()
        self._hold_if_doubtful(self._rows - len(repeated))
        self._sql.run(_CLOSE)
        loaded = self._sql.run(_OPEN).rowcount
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
            Finding(line, None, "repeated_key", f"{meaning} {advice}", "")
            for (line,) in self._sql.run(_REPEATED)
        ]


def _list(names: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(names)


def _array(values: Iterable[str]) -> str:
    """Texts as the text of an array."""
    escaped = (value.replace("\\", r"\\").replace('"', r"\"") for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def _from_copy(cell: str) -> str:
    """The value of a cell of COPY text that is not null."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), cell) if "\\" in cell else cell


_STAGING = "create temporary table staging ({columns}, _record_hash uuid, _line_number bigint) on commit drop"

# Each record is looked up by itself, through the primary key, however many there are.
_KNOWN = """
select seen.place
from unnest({key_arrays}, %(hashes)s::uuid[]) with ordinality as seen ({key}, _record_hash, place)
cross join lateral (
    select from {table} as raw where {same_key} and raw._record_hash = seen._record_hash limit 1
) as known
"""

_ADD = """
copy {table} ({columns}, _record_hash, _line_number, _file_position, _file_id, _batch_id, _loaded_at)
from stdin (encoding 'UTF8')
"""

# The place of a record is that of its last appearance in the latest file. Where that moves it past another
# record of the same version, the current version may change although no row was added: the next build must look
# at it again.
_SEEN_AGAIN = """
with seen as (
    select {key}, _record_hash, max(_file_position collate "C") as _file_position
    from unnest({key_arrays}, %(hashes)s::uuid[], %(positions)s::text[])
        as sent ({key}, _record_hash, _file_position)
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
    select {identity}, min(_line_number) as first_line from staging group by {identity} having count(*) > 1
),
taken as (
    delete from staging as seen using repeated
    where seen.{identity} = repeated.{identity} and seen._line_number > repeated.first_line
    returning seen._line_number
)
select _line_number from taken order by _line_number
"""

# The hash is of the key too: rows with one hash are of one key.
_CLOSE = """
update {table} as raw set _until_position = %(position)s
where
    raw._until_position is null
    and not exists (select from staging as seen where seen._record_hash = raw._record_hash)
"""

_OPEN = """
insert into {table} ({columns}, _record_hash, _line_number, _file_position, _file_id, _batch_id, _loaded_at)
select {columns}, _record_hash, _line_number, %(position)s, %(file_id)s, %(batch_id)s, %(loaded_at)s
from staging as seen
where not exists (
    select from {table} as raw where raw._record_hash = seen._record_hash and raw._until_position is null
)
"""

_SERVE_NO_MORE = """
delete from {serving} as there
where not exists (select from staging as seen where seen.{identity} = there.{identity})
"""

_SERVE = """
insert into {serving} ({identity}, {serving_columns})
select seen.{identity}, {serving_seen}
from staging as seen
where not exists (
    select from {serving} as there
    where there.{identity} = seen.{identity} and ({serving_there}) is not distinct from ({serving_seen})
)
on conflict ({identity}) do update set {serving_set}
"""
