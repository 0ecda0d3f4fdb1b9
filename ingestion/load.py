"""One delivery from its source to the raw table, in one transaction: all of its rows or none.

The file is downloaded to an unnamed file, which the system removes whatever happens to this process. Its rows go
to raw in batches: while the database takes one batch, the next is parsed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from io import BytesIO
from itertools import islice
from typing import BinaryIO, Literal

import psycopg
from psycopg import Connection

from infra.settings import Settings
from ingestion import ledger
from ingestion.adapters import ADAPTERS
from ingestion.connectors import Connector
from ingestion.contract import Contract, load_contract
from ingestion.discover import DIGEST_SUFFIX, FileName, WaitingFile, look, shown_name
from ingestion.findings import FILE_RULES, FileNotReadyError, FileRefusedError
from ingestion.ledger import Counts, FindingsSpill
from ingestion.lines import blocks_of, chunks_of, other_format
from ingestion.parse import Parser
from ingestion.platform_records import PlatformFile
from ingestion.raw_rows import RawRows
from ingestion.raw_tables import ensure_raw_table
from ingestion.targets import Delivery, Target, open_target

CHUNKS_OF_A_BATCH = 2
"""Chunks (2 MiB or more each) whose rows are written at once, while the next are parsed."""

_REFUSALS_OF_DATABASE = (
    psycopg.DataError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.NotNullViolation,
)
"""What lies in the rows, so that trying again would not help."""

_HIDING_ROWS = {"invalid_csv", "unterminated_quote", "line_too_long"}

State = Literal["loaded", "known", "not_ready", "busy", "quarantined", "failed"]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    `state`: loaded; known (these bytes were dealt with before, nothing changed); not_ready (looked at again at
    the next poll); busy (another worker has it); quarantined (`rule` and `error` say why); failed (for a reason
    outside the file, in `error`; to be tried again).
    """

    name: str
    state: State
    file_id: int | None = None
    counts: Counts = field(default_factory=Counts)
    unknown_fields: tuple[str, ...] = ()
    rule: str | None = None
    error: str | None = None

    @property
    def rows_loaded(self) -> int:
        """Rows that raw did not hold before."""
        return self.counts.loaded


@dataclass(slots=True)
class _Spooled:
    """The bytes of a delivery in an unnamed file, and what was found on the way."""

    bytes: BinaryIO
    sha256: str
    size_bytes: int
    fingerprint: str | None
    seconds: float


@dataclass(slots=True)
class _Seconds:
    """Time spent on parsing and on writing, which go on side by side."""

    parse: float = 0.0
    load: float = 0.0


class _HashingWriter:
    """Writes to a file, and works out the digest of what it wrote."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()

    def write(self, data: bytes, /) -> int:
        self.digest.update(data)
        return self._file.write(data)


def load_delivery(
    settings: Settings,
    connection: Connection,
    connector: Connector,
    contract: Contract,
    name: FileName,
    batch_id: int,
    now: datetime,
) -> FileOutcome:
    """Load one file, if its bytes are whole and were not dealt with before.

    Args:
        settings: The instance.
        connection: To the warehouse, in autocommit; the raw table exists.
        connector: Where the file lies.
        contract: Its interface.
        name: Which it is.
        batch_id: Batch that this load is part of.
        now: Clock of the load, aware.

    Raises:
        OSError: The file is gone or did not come whole.
        psycopg.Error: The database is out of reach or gave up; nothing of the file was loaded.
    """
    shown = shown_name(name.name)
    with ledger.file_lock(connection, contract.interface, shown) as held:
        if not held:
            return FileOutcome(shown, "busy")
        waiting = look(connector, name.name)
        if waiting is None:
            raise FileNotFoundError(f"{shown} is no longer in {connector.address}")
        stored_as = FileName(shown, name.platform, name.stamp, name.sequence)
        file_id = ledger.claim(
            connection, contract.interface, stored_as, connector.address, waiting.size_bytes
        )
        with _spooled(settings, connector, waiting) as spooled:
            load = _Load(settings, connection, contract, stored_as, batch_id, now, file_id, spooled)
            return load.run(_digest_problem(connector, waiting, spooled))


@contextmanager
def _spooled(settings: Settings, connector: Connector, waiting: WaitingFile) -> Iterator[_Spooled]:
    """Download a file, working out its digest on the way."""
    settings.spool.mkdir(parents=True, exist_ok=True)
    started, started_at = time.perf_counter(), time.time()
    with tempfile.TemporaryFile(dir=settings.spool) as file:
        writer = _HashingWriter(file)
        connector.fetch(waiting.name, writer)
        # A fingerprint stands for bytes only if they could not change under it while they were read.
        stood_still = started_at > waiting.settles_at and look(connector, waiting.name) == waiting
        yield _Spooled(
            bytes=file,
            sha256=writer.digest.hexdigest(),
            size_bytes=file.tell(),
            fingerprint=waiting.fingerprint if stood_still else None,
            seconds=time.perf_counter() - started,
        )


def _digest_problem(connector: Connector, waiting: WaitingFile, spooled: _Spooled) -> str | None:
    """What is wrong between a file and the digest beside it; None if all is well or there is none."""
    if not waiting.has_digest:
        return None
    beside = BytesIO()
    connector.fetch(waiting.name + DIGEST_SUFFIX, beside)
    first = beside.getvalue()[:200].decode("ascii", errors="replace").split()[:1]
    if first and first[0].lower() == spooled.sha256:
        return None
    return f"The SHA-256 of the bytes is {spooled.sha256}, and {DIGEST_SUFFIX} says another."


class _Load:
    """The load of one delivery whose bytes are here."""

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        contract: Contract,
        name: FileName,
        batch_id: int,
        now: datetime,
        file_id: int,
        spooled: _Spooled,
    ) -> None:
        self.settings = settings
        self.connection = connection
        self.contract = contract
        self.name = name
        self.batch_id = batch_id
        self.now = now
        self.file_id = file_id
        self.spooled = spooled

    def run(self, digest_problem: str | None) -> FileOutcome:
        """Load the rows, or record why not."""
        known = ledger.same_bytes_before(
            self.connection, self.contract.interface, self.name.name, self.spooled.sha256
        )
        if known is not None:
            finished = known.state in ("loaded", "quarantined")
            if finished and (known.rule != "digest_differs" or digest_problem):
                ledger.seen_again(self.connection, self.file_id, known.file_id, self.spooled.fingerprint)
                rule = error = None
                if digest_problem and known.state == "loaded":
                    rule = "digest_differs"
                    error = ledger.late_digest(self.connection, known.file_id, digest_problem)
                return FileOutcome(self.name.name, "known", known.file_id, rule=rule, error=error)
            # Somebody asked for another try, or the digest file was wrong and is corrected: load them after all.
            ledger.reopen(self.connection, self.file_id)
            self.file_id = known.file_id
        try:
            if digest_problem:
                raise FileNotReadyError("digest_differs", digest_problem)
            return self._load()
        except FileNotReadyError as problem:
            polls = ledger.not_ready(
                self.connection, self.file_id, self.spooled.sha256, self.spooled.size_bytes, problem.message
            )
            if polls < self.settings.polls_before_quarantine:
                return FileOutcome(
                    self.name.name, "not_ready", self.file_id, rule=problem.rule, error=problem.message
                )
            return self._quarantine(problem)
        except FileRefusedError as problem:
            return self._quarantine(problem)
        except _REFUSALS_OF_DATABASE as problem:
            # The message may show the row: only its code may be repeated.
            return self._quarantine(
                FileRefusedError(
                    "refused_by_database", f"The database refused a row with code {problem.sqlstate}."
                )
            )
        except Exception as problem:
            if not self.connection.closed:
                ledger.interrupted(self.connection, self.file_id, type(problem).__name__)
            raise

    def _load(self) -> FileOutcome:
        counts = Counts()
        unknown: set[str] = set()
        ledger.loading(
            self.connection,
            self.file_id,
            self.batch_id,
            self.spooled.sha256,
            self.spooled.size_bytes,
            self.spooled.seconds,
        )
        with tempfile.TemporaryFile(dir=self.settings.spool) as spill_file:
            findings = FindingsSpill(spill_file)
            try:
                with self.connection.transaction():
                    ledger.forget_earlier_attempt(self.connection, self.file_id)
                    read = self._read_platform if self._is_of_platform else self._read_and_write
                    seconds = read(counts, unknown, findings)
                    self._write_findings(findings)
                    ledger.note_unknown_fields(
                        self.connection, self.contract.interface, self.file_id, unknown
                    )
                    ledger.loaded(
                        self.connection,
                        self.file_id,
                        counts,
                        fingerprint=self.spooled.fingerprint,
                        parse_seconds=seconds.parse,
                        load_seconds=seconds.load,
                    )
            except _TooManyBadRowsError as problem:
                return self._quarantine(problem, counts.read, findings)
        return FileOutcome(self.name.name, "loaded", self.file_id, counts, tuple(sorted(unknown)))

    def _read_and_write(self, counts: Counts, unknown: set[str], findings: FindingsSpill) -> _Seconds:
        """Parse the file, and write each batch of its rows while the next one is parsed."""
        seconds = _Seconds()
        parser = Parser(self.contract, self.settings.caller_hash_key.get_secret_value().encode(), self.now)
        chunks = parser.parse_all(
            chunks_of(self.spooled.bytes, packed=self.name.is_packed), self.settings.parse_threads
        )
        target = self._target()
        with ThreadPoolExecutor(1) as writer:
            under_way: Future[int] | None = None
            unended_line: int | None = None
            at_end = False
            while not at_end:
                batch = list(islice(chunks, CHUNKS_OF_A_BATCH))
                at_end = len(batch) < CHUNKS_OF_A_BATCH
                unended_line = next((chunk.first_line for chunk, _ in batch if chunk.unended), unended_line)
                rows: list[RawRows] = []
                for parsed in (*(parsed for _, parsed in batch), *((parser.finish(),) if at_end else ())):
                    rows.append(parsed.rows)
                    seconds.parse += parsed.seconds
                    findings.add(parsed.findings)
                    unknown |= parsed.unknown_fields
                    counts.read += parsed.read
                    counts.cards_redacted += parsed.cards_redacted
                if under_way is not None:
                    counts.loaded += under_way.result()
                under_way = writer.submit(_write, target, rows, seconds) if any(rows) else None
            if under_way is not None:
                counts.loaded += under_way.result()
        counts.quarantined = findings.count
        self._refuse_if_cut_off(unended_line, findings)
        self._refuse_if_rows_may_be_missing(findings)
        self._refuse_if_too_bad(counts)
        started = time.perf_counter()
        more, refused = target.finish()
        seconds.load += time.perf_counter() - started
        findings.add(refused)
        counts.loaded += more
        counts.quarantined = findings.count
        self._refuse_if_too_bad(counts)
        counts.unchanged = counts.read - counts.quarantined - counts.loaded
        return seconds

    @property
    def _is_of_platform(self) -> bool:
        return self.contract.interface == "telephony_call" and self.name.platform in ADAPTERS

    def _read_platform(self, counts: Counts, unknown: set[str], findings: FindingsSpill) -> _Seconds:
        """Keep the records of a telephony platform, and put the calls together that they tell of."""
        started = time.perf_counter()
        ensure_raw_table(self.connection, load_contract("callback_event"))
        file = PlatformFile(
            self.connection,
            self.name.platform or "",
            Delivery(self._position(), self.file_id, self.batch_id, self.now),
            self.settings.caller_hash_key.get_secret_value().encode(),
            self.now,
        )
        file.load(blocks_of(self.spooled.bytes, packed=self.name.is_packed), counts, findings)
        self._refuse_if_too_bad(counts)
        counts.unchanged = counts.read - counts.quarantined - counts.loaded
        parsed = time.perf_counter()
        file.assemble(findings)
        counts.calls_refused = findings.count - counts.quarantined
        return _Seconds(parsed - started, time.perf_counter() - parsed)

    def _position(self) -> str:
        """What the place of each row begins with: that of the file by its name, then which delivery of the name it is.

        The first delivery has no number, and sorts before `r`. So the place of another name is never touched.
        """
        number = ledger.number_of_delivery(self.connection, self.file_id)
        return f"{self.name.position}_" + (f"r{number:06d}_" if number > 1 else "")

    def _target(self) -> Target:
        is_extract = self.contract.record_kind == "snapshot"
        position = f"{self.name.position}_{self.file_id:012d}" if is_extract else self._position()
        return open_target(
            self.connection,
            self.contract,
            Delivery(position, self.file_id, self.batch_id, self.now),
            partial(ledger.current_extract, self.connection, self.contract.interface) if is_extract else None,
            None if ledger.is_released(self.connection, self.file_id) else self.settings.max_extract_change,
        )

    def _refuse_if_cut_off(self, unended_line: int | None, findings: FindingsSpill) -> None:
        """A full extract that ends in the middle of a row is not whole: whatever stood behind it would be lost."""
        if (
            self.contract.record_kind == "snapshot"
            and unended_line is not None
            and findings.last_line == unended_line
        ):
            raise FileNotReadyError("cut_off", f"The last row, line {unended_line}, is not whole.")

    def _refuse_if_rows_may_be_missing(self, findings: FindingsSpill) -> None:
        """What is one bad row to us may have been many, and an application that is not in an extract is finished."""
        if self.contract.record_kind == "snapshot" and findings.rules & _HIDING_ROWS:
            raise _TooManyBadRowsError("extract_bad_rows", FILE_RULES["extract_bad_rows"][0])

    def _refuse_if_too_bad(self, counts: Counts) -> None:
        if counts.read == 0:
            raise FileRefusedError("empty_file", "The file holds no row.")
        if counts.quarantined == counts.read:
            other = other_format(self.spooled.bytes, packed=self.name.is_packed)
            if other is not None:
                raise _TooManyBadRowsError("not_json_lines", other)
        if counts.quarantined > self.settings.max_bad_row_share * counts.read:
            raise _TooManyBadRowsError(
                "too_many_bad_rows",
                f"{counts.quarantined} of {counts.read} rows break a rule, more than "
                f"{self.settings.max_bad_row_share:.1%}: none is loaded.",
            )

    def _write_findings(self, findings: FindingsSpill) -> None:
        if findings.count:
            findings.write(
                self.connection, self.contract.interface, self.file_id, self.name.name, self.batch_id
            )

    def _quarantine(
        self, problem: FileRefusedError, rows_read: int = 0, findings: FindingsSpill | None = None
    ) -> FileOutcome:
        with self.connection.transaction():
            ledger.forget_findings(self.connection, self.file_id)
            error = ledger.quarantined(
                self.connection,
                self.contract.interface,
                self.file_id,
                self.batch_id,
                sha256=self.spooled.sha256,
                rule=problem.rule,
                message=problem.message,
                rows_read=rows_read,
                fingerprint=self.spooled.fingerprint,
            )
            if findings is not None:
                self._write_findings(findings)
        counts = Counts(read=rows_read, quarantined=rows_read)
        return FileOutcome(
            self.name.name, "quarantined", self.file_id, counts, rule=problem.rule, error=error
        )


class _TooManyBadRowsError(FileRefusedError):
    """Too many rows of a file are bad; what was wrong with each is kept."""


def _write(target: Target, rows: list[RawRows], seconds: _Seconds) -> int:
    """Put rows into raw, and count the new ones."""
    started = time.perf_counter()
    loaded = target.write(RawRows.joined(rows))
    seconds.load += time.perf_counter() - started
    return loaded
