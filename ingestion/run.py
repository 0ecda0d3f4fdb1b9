"""Loading the files of an interface: all at once for the command line, or step by step for a scheduler.

    for waiting in pending_files(settings, interface):
        load_file(settings, interface, waiting.name, batch_id)

Steps may run side by side and be repeated at any time. What a file holds is not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context

from psycopg import Connection, Error
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from infra.postgres import connect
from infra.settings import Settings
from ingestion import ledger
from ingestion.connectors import Connector, SourceError, open_source
from ingestion.contract import Contract, interfaces, load_contract
from ingestion.discover import (
    FileName,
    WaitingFile,
    is_of_other_interface,
    is_passed_over,
    look,
    parse_name,
    shown_name,
    waiting_files,
)
from ingestion.ledger import Counts
from ingestion.load import FileOutcome, State, load_delivery
from ingestion.privacy import mask
from ingestion.raw_tables import ensure_raw_table, ensure_raw_tables

__all__ = [
    "FileOutcome",
    "IngestSummary",
    "ensure_raw_tables",
    "ingest",
    "ingest_all",
    "load_file",
    "new_batch",
    "pending_files",
    "tell_misnamed_files",
]

_FEW_FILES = 20
_SIDE_BY_SIDE = 2

_STATES: dict[State, str] = {
    "loaded": "loaded",
    "known": "unchanged",
    "not_ready": "not ready",
    "busy": "with another worker",
    "quarantined": "quarantined",
    "failed": "failed",
}


@dataclass(frozen=True)
class IngestSummary:
    """What one call of `ingest` did. `batch_id` is None if no file waited."""

    interface: str
    source: str
    batch_id: int | None
    files_found: int
    outcomes: tuple[FileOutcome, ...]

    @property
    def counts(self) -> Counts:
        """Rows of all files together."""
        total = Counts()
        for outcome in self.outcomes:
            total.read += outcome.counts.read
            total.loaded += outcome.counts.loaded
            total.unchanged += outcome.counts.unchanged
            total.quarantined += outcome.counts.quarantined
            total.cards_redacted += outcome.counts.cards_redacted
            total.calls_refused += outcome.counts.calls_refused
        return total

    def files(self, state: State) -> int:
        """How many files came to a state. Those that the listing alone showed to be known count as `known`."""
        reached = sum(outcome.state == state for outcome in self.outcomes)
        return reached + (self.files_found - len(self.outcomes) if state == "known" else 0)

    def as_text(self) -> str:
        """The summary in plain English, for a terminal or a log."""
        counts = self.counts
        shown = [state for state in _STATES if state not in ("busy", "failed") or self.files(state)]
        lines = [
            f"{self.interface} from {self.source}",
            f"  Files: {self.files_found:,} found = "
            + " + ".join(f"{self.files(state):,} {_STATES[state]}" for state in shown),
            f"  Rows:  {counts.read:,} read = {counts.loaded:,} loaded + {counts.unchanged:,} unchanged + "
            f"{counts.quarantined:,} quarantined",
        ]
        for outcome in self.outcomes:
            if outcome.error:
                rule = f" ({outcome.rule})" if outcome.rule else ""
                lines.append(f"  {outcome.name}: {_STATES[outcome.state]}{rule}. {outcome.error}")
        if unknown := sorted({name for outcome in self.outcomes for name in outcome.unknown_fields}):
            lines.append(f"  Fields that the contract does not know, kept in _extra: {', '.join(unknown)}")
        if counts.cards_redacted:
            lines.append(f"  Card numbers removed: {counts.cards_redacted:,}")
        if counts.calls_refused:
            lines.append(f"  Calls put together from the rows, and refused: {counts.calls_refused:,}")
        if counts.quarantined or counts.calls_refused or self.files("quarantined"):
            where = "" if self.batch_id is None else f", where batch_id = {self.batch_id}"
            lines.append(f"  Which rows, and why: the table quarantine.rows{where}")
        if self.files("failed"):
            lines.append("  Failed files are untouched: ingest again when the cause is mended.")
        return "\n".join(lines)


def pending_files(settings: Settings, interface: str, source: str | None = None) -> list[WaitingFile]:
    """The files of an interface that wait to be loaded, the oldest by name first.

    Files that were dealt with before are known by their listing and left out; names that follow no convention get their
    row in the ledger. No file is read.

    Args:
        settings: The instance.
        interface: Such as `telephony_call`.
        source: Folder or file, `s3://...` or `sftp://...`; None for the SFTP server of the settings.

    Raises:
        ingestion.contract.ContractError: There is no such interface.
        ingestion.connectors.SourceError: There is no such source.
    """
    with _open(settings, interface, source) as session:
        return session.pending().waiting


def tell_misnamed_files(settings: Settings, interface: str) -> list[FileOutcome]:
    """The files of `pending_files` that were refused for their name alone, each told once."""
    with connect(settings, autocommit=True) as connection:
        return [_misnamed(each) for each in ledger.tell_bad_names(connection, interface)]


def new_batch(settings: Settings) -> int:
    """A batch id that was never given before."""
    with connect(settings, autocommit=True) as connection:
        return ledger.new_batch_id(connection)


def load_file(
    settings: Settings,
    interface: str,
    name: str,
    batch_id: int,
    source: str | None = None,
    now: datetime | None = None,
) -> FileOutcome:
    """Load one file by its name in the source. Safe side by side with itself, and to repeat.

    Args:
        settings: The instance.
        interface: Such as `telephony_call`.
        name: Name of the file in the folder of the source.
        batch_id: Of `new_batch`.
        source: As for `pending_files`.
        now: Clock of the load, aware; timestamps more than a day later are refused. None: the present.

    Returns:
        What became of it. A file that is refused is an outcome, not an error.

    Raises:
        OSError: The file is gone or did not come whole.
        psycopg.Error: The database is out of reach or gave up; nothing of the file was loaded.
    """
    with _open(settings, interface, source) as session:
        return session.load(settings, name, batch_id, now)


def ingest(
    settings: Settings,
    interface: str,
    source: str | None = None,
    console: Console | None = None,
    now: datetime | None = None,
) -> IngestSummary:
    """Load every file that waits. A file that fails does not stop the next.

    Args:
        settings: The instance.
        interface: Such as `telephony_call`.
        source: As for `pending_files`.
        console: Where progress is shown: a bar on a terminal, else a line for each file.
        now: As for `load_file`.

    Raises:
        ingestion.contract.ContractError: There is no such interface.
        ingestion.connectors.SourceError: There is no such source.
    """
    with ExitStack() as stack:
        session = stack.enter_context(_open(settings, interface, source))
        found = session.pending()
        address = session.connector.address
        outcomes = list(found.misnamed)
        if not found.waiting:
            return IngestSummary(interface, address, None, found.files, tuple(outcomes))
        batch_id = ledger.new_batch_id(session.connection)
        for waiting in _with_progress(found.waiting, console):
            try:
                if session.is_broken:
                    stack.close()
                    session = stack.enter_context(_open(settings, interface, source))
                outcome = session.load(settings, waiting.name, batch_id, now)
            except Exception as error:
                session.is_broken = True
                outcome = FileOutcome(waiting.shown, "failed", error=_explain(error))
            outcomes.append(outcome)
            if console is not None and not console.is_terminal:
                _report(console, outcomes, len(found.misnamed) + len(found.waiting))
    return IngestSummary(interface, address, batch_id, found.files, tuple(outcomes))


def ingest_all(settings: Settings) -> Iterator[IngestSummary]:
    """Load every file that waits on the SFTP server: two interfaces at once, each in a process of its own.

    The processes print their progress as lines. The interface with the largest files goes first, so that none is left
    alone at the end; the summaries come in that order.

    Raises:
        As `ingest`; a process that was killed raises concurrent.futures.process.BrokenProcessPool.
    """
    # Spawned, because a copy of this process would hold its threads' locks for ever.
    with ProcessPoolExecutor(_SIDE_BY_SIDE, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(_ingest_with_lines, settings), _largest_first(settings))


def _largest_first(settings: Settings) -> list[str]:
    with open_source(settings, None) as (connector, _):
        listing = connector.list()
    contracts = [load_contract(interface) for interface in interfaces()]
    sizes = {
        contract.interface: sum(file.size_bytes for file in listing if parse_name(contract, file.name))
        for contract in contracts
    }
    return sorted(sizes, key=lambda interface: sizes[interface], reverse=True)


def _ingest_with_lines(settings: Settings, interface: str) -> IngestSummary:
    return ingest(settings, interface, console=Console(force_terminal=False))


@dataclass(frozen=True)
class _Pending:
    """The files that wait, those refused for their name, and how many of the interface were found in all."""

    waiting: list[WaitingFile]
    misnamed: list[FileOutcome]
    files: int


@dataclass
class _Session:
    """A connection to the warehouse and one to the source."""

    connection: Connection
    connector: Connector
    contract: Contract
    only: str | None
    is_broken: bool = False

    def pending(self) -> _Pending:
        """List the source and ask the ledger."""
        interface = self.contract.interface
        misnamed: list[FileOutcome] = []
        if self.only is not None:
            alone = look(self.connector, self.only)
            files = [alone] if alone else []
        else:
            listing = waiting_files(self.connector.list())
            files = [file for file in listing if not is_of_other_interface(self.contract, file.name)]
            for file in files:
                if parse_name(self.contract, file.name) is None:
                    noted = ledger.note_bad_name(self.connection, interface, self.connector, file)
                    misnamed += [_misnamed(noted)] if noted else []
            files = [file for file in files if parse_name(self.contract, file.name)]
        known = ledger.known_fingerprints(self.connection, interface, files)
        waiting = [file for file in files if (file.name, file.fingerprint) not in known]
        waiting.sort(key=lambda file: (self._name(file.name).position, file.name))
        return _Pending(waiting, misnamed, len(files) + len(misnamed))

    def load(self, settings: Settings, name: str, batch_id: int, now: datetime | None) -> FileOutcome:
        """Load one file."""
        clock = now or datetime.now(UTC)
        return load_delivery(
            settings, self.connection, self.connector, self.contract, self._name(name), batch_id, clock
        )

    def _name(self, name: str) -> FileName:
        # A file whose path was given by hand is loaded whatever its name, and stands before all others.
        return parse_name(self.contract, name) or FileName(name, None, None, None)


@contextmanager
def _open(settings: Settings, interface: str, source: str | None) -> Iterator[_Session]:
    contract = load_contract(interface)
    if not settings.caller_hash_key.get_secret_value():
        raise SourceError("CONTACTBI_CALLER_HASH_KEY is empty: callers could be told from their keys.")
    with open_source(settings, source) as (connector, only), connect(settings, autocommit=True) as connection:
        if only is not None and is_passed_over(only):
            raise SourceError(
                f"{shown_name(only)} is not read: a dot file or `.part` is not whole yet, and a `.sha256` is no data. "
                "Name the whole file."
            )
        # All of them, because a build reads the tables of every interface.
        for each in interfaces():
            ensure_raw_table(connection, load_contract(each))
        yield _Session(connection, connector, contract, only)


def _with_progress(files: list[WaitingFile], console: Console | None) -> Iterator[WaitingFile]:
    if console is None or not console.is_terminal:
        yield from files
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Loading files", total=len(files))
        for file in files:
            yield file
            progress.advance(task)


def _report(console: Console, outcomes: list[FileOutcome], files: int) -> None:
    """Progress for a log: each file if there are few or if something is odd about it, else one of many."""
    outcome = outcomes[-1]
    is_odd = outcome.state not in ("loaded", "known")
    if files <= _FEW_FILES or is_odd or len(outcomes) % (files // _FEW_FILES + 1) == 0:
        line = f"{len(outcomes):,} of {files:,}  {_line(outcome)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _line(outcome: FileOutcome) -> str:
    counts = outcome.counts
    text = f"{outcome.name}: {_STATES[outcome.state]}"
    if outcome.state == "loaded":
        text += f", {counts.read:,} rows read = {counts.loaded:,} loaded + {counts.unchanged:,} unchanged"
        text += f" + {counts.quarantined:,} quarantined"
    return text


def _misnamed(refusal: ledger.Refusal) -> FileOutcome:
    return FileOutcome(refusal.name, "quarantined", refusal.file_id, rule="file_name", error=refusal.error)


def _explain(error: Exception) -> str:
    """An error in words that hold no personal data: a database's own message may show the row it met."""
    if isinstance(error, Error):
        return f"The database gave up ({type(error).__name__}, code {error.sqlstate})."
    return mask(f"{type(error).__name__}: {error}")
