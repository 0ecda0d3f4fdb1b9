"""What the ledger knows and is told: deliveries in ops.files, refused rows in quarantine.rows.

Every statement about those tables stands here. This module decides nothing about rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from psycopg import Connection

from ingestion.connectors import Connector
from ingestion.discover import FileName, WaitingFile
from ingestion.findings import FILE_RULES, Finding

_FILE_LOCK = 7_205_101  # with the hash of a file's name: one worker at a time on it


@dataclass(slots=True)
class Counts:
    """What became of the rows of a file. `read = loaded + unchanged + quarantined`.

    `calls_refused` are calls that were put together from records of a platform, which are rows, and broke a rule.
    """

    read: int = 0
    loaded: int = 0
    unchanged: int = 0
    quarantined: int = 0
    cards_redacted: int = 0
    calls_refused: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A row of ops.files."""

    file_id: int
    state: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that is refused for its name alone, and why in words."""

    file_id: int
    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Extract:
    """A full extract that is loaded: which file it is, its place among all, its name, and how many rows it has."""

    file_id: int
    position: str
    name: str
    rows: int


def current_extract(connection: Connection, interface: str) -> Extract | None:
    """The full extract that counts now, or None if none was ever loaded. One to be loaded again still counts."""
    row = connection.execute(
        "select file_stamp, file_sequence, file_id, name, rows_read - rows_quarantined from ops.files "
        "where interface = %s and (state = 'loaded' or (state <> 'quarantined' and rows_loaded + rows_unchanged > 0)) "
        "order by file_stamp desc nulls last, file_sequence desc nulls last, file_id desc limit 1",
        (interface,),
    ).fetchone()
    if row is None:
        return None
    stamp, sequence, file_id, name, rows = row
    return Extract(file_id, f"{FileName(name, None, stamp, sequence).position}_{file_id:012d}", name, rows)


def is_released(connection: Connection, file_id: int) -> bool:
    """Whether somebody has said that this extract is right although its size is not what was expected."""
    (released,) = _one(
        connection.execute("select is_released from ops.files where file_id = %s", (file_id,)).fetchone()
    )
    return bool(released)


def forget_earlier_attempt(connection: Connection, file_id: int) -> None:
    """A file is loaded again: what was refused of it is found anew, and the next build looks at it again.

    Part of the transaction that holds its rows.
    """
    forget_findings(connection, file_id)
    connection.execute("delete from ops.build_files where file_id = %s", (file_id,))


def forget_findings(connection: Connection, file_id: int) -> None:
    """What was refused of a file is written anew."""
    connection.execute("delete from quarantine.rows where file_id = %s", (file_id,))


def new_batch_id(connection: Connection) -> int:
    """A number that no batch had before."""
    return int(_one(connection.execute("select nextval('ops.batch_ids')").fetchone())[0])


@contextmanager
def file_lock(connection: Connection, interface: str, name: str) -> Iterator[bool]:
    """Hold a file for this worker until the end of the block, or yield False: another worker holds it.

    The lock belongs to the session, so a worker that dies lets go of it.
    """
    key = (_FILE_LOCK, f"{interface}/{name}")
    (held,) = _one(connection.execute("select pg_try_advisory_lock(%s, hashtext(%s))", key).fetchone())
    try:
        yield held
    finally:
        if held and not connection.closed:
            connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", key)


def known_fingerprints(
    connection: Connection, interface: str, files: Iterable[WaitingFile]
) -> set[tuple[str, str]]:
    """Names and fingerprints, among those given, whose bytes were read and dealt with before."""
    by_name = {file.shown: file.name for file in files}
    rows = connection.execute(
        "select name, fingerprint from ops.files where interface = %s and name = any(%s) "
        "and state in ('loaded', 'quarantined') and fingerprint is not null",
        (interface, list(by_name)),
    )
    return {(by_name[name], fingerprint) for name, fingerprint in rows}


def note_bad_name(
    connection: Connection, interface: str, connector: Connector, file: WaitingFile
) -> Refusal | None:
    """Record a file whose name follows no convention, once; None if another interface has recorded it."""
    name = file.shown
    meaning, advice = FILE_RULES["file_name"]
    error = f"{meaning} It was not read. {advice}"
    connection.execute(
        "with noted as (insert into ops.files (interface, name, source, size_bytes, state, rule, error, rows_read, "
        "rows_loaded, rows_unchanged, rows_quarantined, finished_at) "
        "select %(interface)s, %(name)s, %(source)s, %(size)s, 'quarantined', 'file_name', %(error)s, "
        "0, 0, 0, 0, now() where not exists (select from ops.files where name = %(name)s and rule = 'file_name') "
        "on conflict do nothing returning interface, file_id, name, rule, error) "
        "insert into quarantine.rows (interface, file_id, file, rule, message) table noted",
        {
            "interface": interface,
            "name": name,
            "source": connector.address,
            "size": file.size_bytes,
            "error": error,
        },
    )
    row = connection.execute(
        "select file_id from ops.files where interface = %s and name = %s and rule = 'file_name' order by 1 limit 1",
        (interface, name),
    ).fetchone()
    return Refusal(int(row[0]), name, error) if row else None


def tell_bad_names(connection: Connection, interface: str) -> list[Refusal]:
    """The files refused for their name alone that nobody was told of; they count as told from now on."""
    rows = connection.execute(
        "update ops.files set told_at = now() where interface = %s and rule = 'file_name' and told_at is null "
        "returning file_id, name, error",
        (interface,),
    )
    return [Refusal(*row) for row in rows]


def claim(connection: Connection, interface: str, name: FileName, source: str, size_bytes: int) -> int:
    """The row of the delivery that is under way for a name: one that was not finished or not read, or a new one.

    One that is to be tried again is not taken: whether these are its bytes is not known yet.
    """
    found = connection.execute(
        "update ops.files set last_polled_at = now(), source = %s, state = 'seen', rule = null, error = null, "
        "finished_at = null "
        "where interface = %s and name = %s "
        "and (state in ('seen', 'loading') and finished_at is null or rule = 'file_name') returning file_id",
        (source, interface, name.name),
    ).fetchone()
    if found is None:
        found = connection.execute(
            "insert into ops.files (interface, name, source, platform, file_stamp, file_sequence, size_bytes) "
            "values (%s, %s, %s, %s, %s, %s, %s) returning file_id",
            (interface, name.name, source, name.platform, name.stamp, name.sequence, size_bytes),
        ).fetchone()
    return int(_one(found)[0])


def number_of_delivery(connection: Connection, file_id: int) -> int:
    """Which delivery of its name this one is, from 1. It stays what it is, whatever arrives later."""
    (number,) = _one(
        connection.execute(
            "select count(*) from ops.files as its inner join ops.files as each "
            "on each.interface = its.interface and each.name = its.name and each.file_id <= its.file_id "
            "where its.file_id = %s",
            (file_id,),
        ).fetchone()
    )
    return int(number)


def same_bytes_before(connection: Connection, interface: str, name: str, sha256: str) -> Delivery | None:
    """The delivery of these bytes under this name that was finished, if only to be tried again."""
    found = connection.execute(
        "select file_id, state, rule from ops.files where interface = %s and name = %s and sha256 = %s "
        "and finished_at is not null",
        (interface, name, sha256),
    ).fetchone()
    return Delivery(*found) if found else None


def seen_again(connection: Connection, claimed: int, known: int, fingerprint: str | None) -> None:
    """The claimed delivery is one that was finished before: nothing changes but when it was looked at."""
    with connection.transaction():
        connection.execute(
            "delete from ops.files where file_id = %s and state in ('seen', 'loading')", (claimed,)
        )
        connection.execute(
            "update ops.files set fingerprint = %s, last_polled_at = now() where file_id = %s",
            (fingerprint, known),
        )


def late_digest(connection: Connection, file_id: int, message: str) -> str:
    """Record that a digest came after its file was loaded, and differs. The rows stay; the right digest ends it.

    Returns:
        The message with what it means and what to do.
    """
    error = (
        f"{message} It came after the file was loaded, and the rows stay. {FILE_RULES['digest_differs'][1]}"
    )
    with connection.transaction():
        connection.execute(
            "update ops.files set rule = 'digest_differs', error = %s where file_id = %s", (error, file_id)
        )
        connection.execute(
            "delete from quarantine.rows where file_id = %s and rule = 'digest_differs'", (file_id,)
        )
        connection.execute(
            "insert into quarantine.rows (interface, file_id, file, rule, message, batch_id) "
            "select interface, file_id, name, rule, error, batch_id from ops.files where file_id = %s",
            (file_id,),
        )
    return error


def reopen(connection: Connection, claimed: int) -> None:
    """The claimed delivery is one that was finished and is to be loaded after all: only that one stays."""
    connection.execute(
        "delete from ops.files where file_id = %s and state in ('seen', 'loading')", (claimed,)
    )


def retry(connection: Connection, file_ids: list[int], *, release: bool) -> None:
    """Forget that deliveries were dealt with: the next poll loads them again."""
    connection.execute(
        "update ops.files set state = 'seen', polls = 0, fingerprint = null, is_released = is_released or %s "
        "where file_id = any(%s)",
        (release, file_ids),
    )


def not_ready(connection: Connection, file_id: int, sha256: str, size_bytes: int, message: str) -> int:
    """Leave a delivery for the next poll.

    Returns:
        How many polls in a row found these bytes not ready.
    """
    found = connection.execute(
        "update ops.files set polls = case when sha256 = %(sha256)s then polls + 1 else 1 end, sha256 = %(sha256)s, "
        "size_bytes = %(size)s, state = 'seen', error = %(message)s, last_polled_at = now() "
        "where file_id = %(file_id)s returning polls",
        {"file_id": file_id, "sha256": sha256, "size": size_bytes, "message": message},
    ).fetchone()
    return int(_one(found)[0])


def loading(
    connection: Connection, file_id: int, batch_id: int, sha256: str, size_bytes: int, download_seconds: float
) -> None:
    """A delivery is about to be loaded."""
    connection.execute(
        "update ops.files set state = 'loading', batch_id = %s, sha256 = %s, size_bytes = %s, download_seconds = %s, "
        "started_at = now(), rule = null, error = null, fingerprint = null, "
        "polls = case when sha256 = %s then polls else 0 end where file_id = %s",
        (batch_id, sha256, size_bytes, download_seconds, sha256, file_id),
    )


def interrupted(connection: Connection, file_id: int, error: str) -> None:
    """Loading stopped for a reason that is not in the file: it will be tried again."""
    connection.execute(
        "update ops.files set state = 'seen', error = %s where file_id = %s and state = 'loading'",
        (error, file_id),
    )


def loaded(
    connection: Connection,
    file_id: int,
    counts: Counts,
    *,
    fingerprint: str | None,
    parse_seconds: float,
    load_seconds: float,
) -> None:
    """A delivery is loaded. Part of the transaction that holds its rows."""
    connection.execute(
        "update ops.files set state = 'loaded', rows_read = %s, rows_before = rows_before + coalesce(rows_loaded, 0), "
        "rows_loaded = %s, rows_unchanged = %s, rows_quarantined = %s, cards_redacted = %s, "
        "calls_refused = %s, fingerprint = %s, parse_seconds = %s, load_seconds = %s, "
        "finished_at = now() where file_id = %s",
        (
            counts.read,
            counts.loaded,
            counts.unchanged,
            counts.quarantined,
            counts.cards_redacted,
            counts.calls_refused,
            fingerprint,
            parse_seconds,
            load_seconds,
            file_id,
        ),
    )


def quarantined(
    connection: Connection,
    interface: str,
    file_id: int,
    batch_id: int,
    *,
    sha256: str,
    rule: str,
    message: str,
    rows_read: int,
    fingerprint: str | None,
) -> str:
    """A whole delivery is refused: a row of the ledger and a row of quarantine.rows without line number say so.

    Returns:
        The message with the advice of the rule.
    """
    error = f"{message} {FILE_RULES[rule][1]}"
    with connection.transaction():
        (name,) = _one(
            connection.execute(
                "update ops.files set state = 'quarantined', batch_id = %s, sha256 = %s, rule = %s, error = %s, "
                "rows_before = rows_before + coalesce(rows_loaded, 0), rows_read = %s, rows_loaded = 0, "
                "rows_unchanged = 0, rows_quarantined = %s, calls_refused = 0, fingerprint = %s, "
                "started_at = coalesce(started_at, now()), finished_at = now() where file_id = %s returning name",
                (batch_id, sha256, rule, error, rows_read, rows_read, fingerprint, file_id),
            ).fetchone()
        )
        connection.execute(
            "insert into quarantine.rows (interface, file_id, file, rule, message, batch_id) "
            "values (%s, %s, %s, %s, %s, %s)",
            (interface, file_id, name, rule, error, batch_id),
        )
    return error


class FindingsSpill:
    """Refused rows on disk until the file is done with, so that a file of nothing else costs no memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.last_line = 0
        self.rules: set[str] = set()

    def add(self, findings: Iterable[Finding]) -> None:
        """Keep some."""
        for each in findings:
            row = (each.line_number, each.field, each.rule, each.message, each.raw_text, each.call_id)
            self._file.write(json.dumps(row).encode() + b"\n")
            self.count += 1
            self.rules.add(each.rule)
            self.last_line = max(self.last_line, each.line_number)

    def write(self, connection: Connection, interface: str, file_id: int, name: str, batch_id: int) -> None:
        """Write them to quarantine.rows, as part of the transaction under way."""
        self._file.seek(0)
        with connection.cursor().copy(
            "copy quarantine.rows (interface, file_id, file, batch_id, line_number, field, rule, message, raw_text, "
            "call_id) from stdin"
        ) as copy:
            for line in self._file:
                copy.write_row((interface, file_id, name, batch_id, *json.loads(line)))


def note_unknown_fields(connection: Connection, interface: str, file_id: int, fields: Iterable[str]) -> None:
    """Report fields that the contract does not know, each once for ever."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.unknown_fields (interface, field, first_file_id) values (%s, %s, %s) "
            "on conflict do nothing",
            [(interface, name, file_id) for name in sorted(fields)],
        )


def _one(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise LookupError("the ledger has no such row")
    return row
