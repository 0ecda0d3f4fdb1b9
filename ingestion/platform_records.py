"""Files of a telephony platform: its records are kept, and calls and call-backs are put together from them.

The records of one call may come in several files and in any order. So every call that a file tells of is put together
again from all that is known of it, and becomes a new version of the canonical record. Customers' numbers are replaced
before anything is kept.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec
from psycopg import Connection

from infra.settings import CHECKOUT
from ingestion.adapters import ADAPTERS
from ingestion.adapters.assembled import Assembled, PlatformRecordError, decode
from ingestion.contract import load_contract
from ingestion.findings import Finding, RowRefusedError
from ingestion.ledger import Counts, FindingsSpill
from ingestion.lines import Chunk
from ingestion.parse import Parser, finding_of
from ingestion.privacy import KeyTokens
from ingestion.targets import LOAD_LOCK, Delivery, Target, open_target

_CALLS_AT_ONCE = 500
_RECORDS_AT_ONCE = 5_000
_REFERENCE = CHECKOUT / "dbt" / "seeds"


class PlatformFile:
    """The load of one file of a platform, in the transaction of that file."""

    def __init__(
        self, connection: Connection, platform: str, delivery: Delivery, secret: bytes, now: datetime
    ) -> None:
        """Prepare.

        Args:
            connection: In the transaction of the file.
            platform: One of ADAPTERS.
            delivery: The file.
            secret: Key of the HMAC that replaces customers' numbers.
            now: Clock of the load, aware.
        """
        self._connection = connection
        self._platform = platform
        self._adapter = ADAPTERS[platform]
        self._delivery = delivery
        self._tokens = KeyTokens(secret)
        self._secret = secret
        self._now = now
        self._lines: dict[str, int] = {}

    def load(self, blocks: Iterable[bytes], counts: Counts, findings: FindingsSpill) -> None:
        """Keep the records of the file, and put together again every call that they tell something new of."""
        # Two files may tell of one call. The later of two loads must see what the first one kept.
        self._connection.execute(
            "select pg_advisory_xact_lock(%s, hashtext('platform_record'))", (LOAD_LOCK,)
        )
        items = iter(self._adapter.records(blocks))
        while batch := list(islice(items, _RECORDS_AT_ONCE)):
            rows = []
            for item in batch:
                counts.read += 1
                try:
                    if item.problem is not None:
                        raise PlatformRecordError("invalid_json", item.problem)
                    record = self._adapter.read(decode(item.text))
                except PlatformRecordError as error:
                    refused = RowRefusedError(error.rule, error.detail, error.field)
                    findings.add([self._finding(refused, item.line, item.text)])
                    continue
                kept = msgspec.json.encode(self._adapter.without_numbers(record, self._without_number))
                digest = blake2b(kept, digest_size=16).hexdigest()
                rows.append((self._adapter.call_id_of(record), digest, kept.decode(), item.line))
            counts.loaded += self._keep(rows)
        counts.quarantined = findings.count

    def assemble(self) -> None:
        """Put together every call that this file told something new of, and write it and its call-backs."""
        calls = _Canonical(self._connection, "telephony_call", self._delivery, self._secret, self._now)
        events = _Canonical(self._connection, "callback_event", self._delivery, self._secret, self._now)
        for call_ids in _batches(sorted(self._lines), _CALLS_AT_ONCE):
            for call_id, assembled in self._assembled(call_ids):
                line = self._lines[call_id]
                if assembled.call is not None:
                    calls.add(assembled.call, line, call_id)
                for event in assembled.callback_events:
                    events.add(event, line, call_id)
                self._note(call_id, assembled.notes)
            for canonical in (calls, events):
                for call_id, problem in canonical.write():
                    self._note(call_id, [f"What was put together is refused: {problem}"])

    def _keep(self, rows: list[tuple[str, str, str, int]]) -> int:
        """Keep records that are not known yet, note which calls they are of, and count them."""
        loaded = 0
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "insert into raw.platform_record values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing "
                "returning call_id, _line_number",
                [
                    (
                        self._platform,
                        call_id,
                        digest,
                        record,
                        self._delivery.file_id,
                        line,
                        self._delivery.loaded_at,
                        self._delivery.batch_id,
                    )
                    for call_id, digest, record, line in rows
                ],
                returning=True,
            )
            while True:
                for call_id, line in cursor:
                    loaded += 1
                    self._lines.setdefault(call_id, line)
                if not cursor.nextset():
                    break
        return loaded

    def _assembled(self, call_ids: list[str]) -> Iterator[tuple[str, Assembled]]:
        chains: dict[str, list[Any]] = {}
        for call_id, record in self._connection.execute(
            "select call_id, record::text from raw.platform_record where platform = %s and call_id = any(%s)",
            (self._platform, call_ids),
        ):
            chains.setdefault(call_id, []).append(msgspec.json.decode(record, type=self._adapter.RECORD))
        for call_id, chain in chains.items():
            yield call_id, self._adapter.assemble(chain, support_line_of(self._now))

    def _note(self, call_id: str, notes: Iterable[str]) -> None:
        for note in notes:
            self._connection.execute(
                "insert into ops.platform_notes (file_id, platform, call_id, note) values (%s, %s, %s, %s) "
                "on conflict do nothing",
                (self._delivery.file_id, self._platform, call_id, note),
            )

    def _without_number(self, number: str | None) -> str | None:
        return number if number in _our_numbers() else self._tokens.token_of(number)

    def _finding(self, refused: RowRefusedError, line: int, text: bytes) -> Finding:
        # Nothing is known of where a platform writes what, so that of its text only the size is told.
        return finding_of(refused, line, f"[{len(text)} bytes of {self._platform}, hidden]")


class _Canonical:
    """Canonical records of one interface, on their way through its parser into its raw table."""

    def __init__(
        self, connection: Connection, interface: str, delivery: Delivery, secret: bytes, now: datetime
    ) -> None:
        contract = load_contract(interface)
        self._parser = Parser(contract, secret, now, numbers_are_tokens=True)
        self._target: Target = open_target(connection, contract, delivery, None, None)
        self._records: list[tuple[bytes, int, str]] = []

    def add(self, record: dict[str, Any], line: int, call_id: str) -> None:
        """Take a record that the given line of the file led to."""
        self._records.append((json.dumps(record, ensure_ascii=False).encode(), line, call_id))

    def write(self) -> list[tuple[str, str]]:
        """Write what was taken; give the calls of records that break a rule, and which."""
        if not self._records:
            return []
        parsed = self._parser.parse(Chunk(0, b"\n".join(text for text, _, _ in self._records)))
        if parsed.rows:
            lines = [self._records[index][1] for index in parsed.rows.lines.to_pylist()]
            self._target.write(parsed.rows.numbered(lines))
        refused = [(self._records[each.line_number][2], each.message) for each in parsed.findings]
        self._records.clear()
        return refused


def support_line_of(at: datetime) -> Callable[[str], str]:
    """The support line of a queue as the reference data has it at an instant; an empty text for one it has not."""
    day = at.astimezone(UTC).date().isoformat()
    lines = {
        queue: line for queue, line, since, until in _queues() if since <= day and (not until or day < until)
    }
    return lambda queue: lines.get(queue, "")


@cache
def _queues() -> list[tuple[str, str, str, str]]:
    names = ("queue", "support_line", "valid_from", "valid_to")
    return [(row[names[0]], row[names[1]], row[names[2]], row[names[3]]) for row in _reference("queues")]


@cache
def _our_numbers() -> frozenset[str]:
    return frozenset(row["dialled_number"] for row in _reference("dialled_numbers"))


def _reference(seed: str) -> list[dict[str, str]]:
    with (_REFERENCE / f"{seed}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _batches(values: list[str], size: int) -> Iterator[list[str]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]
