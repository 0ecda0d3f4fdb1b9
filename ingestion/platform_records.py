"""Files of a telephony platform: its records are kept, and calls and call-backs are put together from them.

The records of one call may come in several files and in any order. So every call that a file tells of is put together
again from all that is known of it, and becomes a new version of the canonical record. Customers' numbers are replaced
before anything is kept.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
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
from ingestion.privacy import KeyTokens, mask_plain, redact_cards_in
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
                    record, cards = self._cleaned(self._adapter.read(decode(item.text)))
                except PlatformRecordError as error:
                    refused = RowRefusedError(error.rule, error.detail, error.field)
                    findings.add([self._finding(refused, item.line, item.text)])
                    continue
                counts.cards_redacted += cards
                kept = msgspec.json.encode(record)
                digest = blake2b(kept, digest_size=16).hexdigest()
                rows.append((self._adapter.call_id_of(record), digest, kept.decode(), item.line))
            counts.loaded += self._keep(rows)
        counts.quarantined = findings.count

    def assemble(self, findings: FindingsSpill) -> None:
        """Put together every call that this file told something new of, and write it and its call-backs."""
        lines: dict[str, int] = dict(
            self._connection.execute(
                "select call_id, min(_line_number) from raw.platform_record where _file_id = %s group by call_id",
                (self._delivery.file_id,),
            ).fetchall()
        )
        calls = _Canonical(self._connection, "telephony_call", self._delivery, self._secret, self._now)
        events = _Canonical(self._connection, "callback_event", self._delivery, self._secret, self._now)
        for call_ids in _batches(sorted(lines), _CALLS_AT_ONCE):
            for call_id, assembled in self._assembled(call_ids):
                line = lines[call_id]
                if assembled.call is not None:
                    calls.add(assembled.call, line, call_id)
                for event in assembled.callback_events:
                    events.add(event, line, call_id)
                self._note(call_id, assembled.notes)
            for canonical in (calls, events):
                findings.add(canonical.write())

    def _keep(self, rows: list[tuple[str, str, str, int]]) -> int:
        """Keep records that are not known yet, and count them."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "insert into raw.platform_record values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
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
            )
            return cursor.rowcount

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

    def _cleaned(self, record: Any) -> tuple[Any, int]:
        """A record without customers' numbers and without card numbers, and how many of these there were."""
        plain = msgspec.to_builtins(self._adapter.without_numbers(record, self._without_number))
        cleaned, cards = _searched(plain, self._adapter.NOT_SEARCHED)
        return msgspec.convert(cleaned, self._adapter.RECORD), cards

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
        self._what = "the call" if interface == "telephony_call" else "an event of a call-back"
        self._parser = Parser(contract, secret, now, numbers_are_tokens=True)
        self._target: Target = open_target(connection, contract, delivery, None, None)
        self._records: list[tuple[bytes, int, str]] = []

    def add(self, record: dict[str, Any], line: int, call_id: str) -> None:
        """Take a record that the given line of the file led to."""
        self._records.append((json.dumps(record, ensure_ascii=False).encode(), line, call_id))

    def write(self) -> list[Finding]:
        """Write what was taken; give what was refused, at the lines of the file that led to it."""
        if not self._records:
            return []
        parsed = self._parser.parse(Chunk(0, b"\n".join(text for text, _, _ in self._records)))
        if parsed.rows:
            lines = [self._records[index][1] for index in parsed.rows.lines.to_pylist()]
            self._target.write(parsed.rows.numbered(lines))
        refused = [self._of_call(each, *self._records[each.line_number][1:]) for each in parsed.findings]
        self._records.clear()
        return refused

    def _of_call(self, finding: Finding, line: int, call_id: str) -> Finding:
        return replace(
            finding,
            line_number=line,
            message=f"The record was kept, but {self._what} that was put together from it is refused. "
            f"{finding.message}",
            raw_text=f"[{self._what}, hidden]",
            call_id=call_id,
        )


def _searched(value: Any, not_searched: frozenset[str]) -> tuple[Any, int]:
    """A JSON value without card numbers, but in the fields named, and how many there were.

    Of attributes, which may hold anything, e-mail addresses and telephone numbers go too.
    """
    if isinstance(value, dict):
        found = {
            name: (inner, 0) if name in not_searched else _searched(inner, not_searched)
            for name, inner in value.items()
        }
        cleaned = {name: inner for name, (inner, _) in found.items()}
        if "attributes" in cleaned:
            cleaned["attributes"] = [[name, mask_plain(text)] for name, text in cleaned["attributes"]]
        return cleaned, sum(cards for _, cards in found.values())
    if isinstance(value, list | tuple):
        each = [_searched(inner, not_searched) for inner in value]
        return [inner for inner, _ in each], sum(cards for _, cards in each)
    return redact_cards_in(value)


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
