"""What was refused, for people: listed, shown, and given another try.

Refused rows and files stay where they are until they load. This module reads the ledger and says what to do; loading
is the work of `run`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from infra.postgres import connect
from infra.settings import Settings
from ingestion import ledger
from ingestion.contract import load_contract


@dataclass(frozen=True)
class LedgerFile:
    """A row of ops.files, as people ask for it. Times are UTC."""

    file_id: int
    interface: str
    name: str
    state: str
    first_seen_at: datetime
    rows_read: int | None
    rows_loaded: int | None
    rows_unchanged: int | None
    rows_quarantined: int | None
    rule: str | None
    error: str | None
    calls_refused: int

    @property
    def is_refused(self) -> bool:
        """Whether it has anything in quarantine."""
        return self.state == "quarantined" or bool(self.rows_quarantined or self.calls_refused)


@dataclass(frozen=True)
class Refused:
    """How often one rule was broken in one file. `line_number` is the first, None if the whole file is refused."""

    file_id: int
    interface: str
    file: str
    rule: str
    rows: int
    line_number: int | None
    message: str


@dataclass(frozen=True)
class RefusedRow:
    """One refused row, personal data masked; `line_number` is None for the whole file."""

    line_number: int | None
    field: str | None
    rule: str
    message: str
    raw_text: str | None


def files(
    settings: Settings, interface: str | None = None, state: str | None = None, limit: int = 50
) -> list[LedgerFile]:
    """Files in the ledger, the newest first.

    Args:
        settings: The instance.
        interface: Only of this one.
        state: Only in this state: seen, loading, loaded or quarantined.
        limit: At most so many.
    """
    with connect(settings) as connection:
        rows = connection.execute(
            "select file_id, interface, name, state, first_seen_at at time zone 'UTC', rows_read, rows_loaded, "
            "rows_unchanged, rows_quarantined, rule, error, calls_refused from ops.files "
            "where (%(interface)s::text is null or interface = %(interface)s) "
            "and (%(state)s::text is null or state = %(state)s) order by file_id desc limit %(limit)s",
            {"interface": interface, "state": state, "limit": limit},
        )
        return [LedgerFile(*row) for row in rows]


def refused(settings: Settings, interface: str | None = None, limit: int = 50) -> list[Refused]:
    """What is in quarantine, by file and rule, the newest file first."""
    with connect(settings) as connection:
        rows = connection.execute(
            "select file_id, interface, file, rule, count(*), min(line_number), min(message) "
            "from quarantine.rows where %(interface)s::text is null or interface = %(interface)s "
            "group by file_id, interface, file, rule order by file_id desc, count(*) desc limit %(limit)s",
            {"interface": interface, "limit": limit},
        )
        return [Refused(*row) for row in rows]


def refused_rows(settings: Settings, file: str, limit: int = 20) -> list[RefusedRow]:
    """Rows of one file that are in quarantine, in their order.

    Args:
        settings: The instance.
        file: Its name, or its number in the ledger.
        limit: At most so many.

    Raises:
        ValueError: The ledger knows no such file.
    """
    with connect(settings) as connection:
        found = _find(settings, file)
        rows = connection.execute(
            "select line_number, field, rule, message, raw_text from quarantine.rows where file_id = any(%s) "
            "order by file_id, line_number nulls first limit %s",
            ([each.file_id for each in found], limit),
        )
        return [RefusedRow(*row) for row in rows]


def retry(settings: Settings, file: str, *, release: bool = False) -> list[LedgerFile]:
    """Let a file be loaded again as if it had just arrived: its bytes must still be at the source.

    What is in quarantine stays there until the file has loaded, and what raw holds of it is not doubled.

    Args:
        settings: The instance.
        file: Its name, or its number in the ledger.
        release: For a full extract: its number of rows is right although it differs much from the one before.

    Returns:
        The deliveries that the next ingest looks at again.

    Raises:
        ValueError: The ledger knows no such file, it has nothing in quarantine, or it is an extract whose time is over.
    """
    again = [each for each in _find(settings, file) if each.is_refused]
    if not again:
        raise ValueError(f"{file} has nothing in quarantine.")
    with connect(settings) as connection:
        overtaken = {each.file_id: newer for each in again if (newer := _overtaken_by(connection, each))}
        again = [each for each in again if each.file_id not in overtaken]
        if not again:
            raise ValueError(
                f"{file} was loaded and {min(overtaken.values())} is the current extract now: an older one cannot be "
                "loaded again, because an extract replaces the one before it. What was loaded of it stays."
            )
        ledger.retry(connection, [each.file_id for each in again], release=release)
    return again


def _overtaken_by(connection: Connection, file: LedgerFile) -> str | None:
    """The current extract, if the file is one that was loaded before it: tried again, it would be held as stale."""
    if file.state == "quarantined" or load_contract(file.interface).record_kind != "snapshot":
        return None
    current = ledger.current_extract(connection, file.interface)
    return current.name if current is not None and current.file_id != file.file_id else None


def _find(settings: Settings, file: str) -> list[LedgerFile]:
    with connect(settings) as connection:
        rows = connection.execute(
            "select file_id, interface, name, state, first_seen_at at time zone 'UTC', rows_read, rows_loaded, "
            "rows_unchanged, rows_quarantined, rule, error, calls_refused from ops.files "
            "where name = %(file)s or file_id::text = %(file)s order by file_id",
            {"file": file},
        )
        found = [LedgerFile(*row) for row in rows]
    if not found:
        raise ValueError(f"The ledger knows no file {file!r}. `contactbi files` lists what it knows.")
    return found
