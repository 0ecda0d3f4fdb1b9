"""The fast road and the row-by-row road have one outcome, for every interface, on good rows and on damaged ones."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from ingestion import columnar, lines
from ingestion.contract import Contract, Field, interfaces, load_contract
from ingestion.lines import Chunk, Lines
from ingestion.parse import Parsed, Parser
from ingestion.privacy import CardWatch

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    " ",
    "x",
    0,
    -1,
    1.5,
    1e300,
    2**63,
    -(2**63),
    True,
    [],
    {},
    ["a", None],
    [1],
    "é",
    "a\tb",
    'a"b',
    "a\\b",
    "\x7f",
    "N",
    "null",
    "2026-02-30T10:00:00Z",
    "2026-03-01T10:00:00",
    "2026-03-01T24:00:00Z",
    "2026-03-01T10:00:00.1234567Z",
    "1989-12-31T23:59:59Z",
    "2026-11-25T12:00:00.000001Z",
    "2026-03-29T01:30:00+01:00",
    "2026-03-29 01:30:00Z",
    "2026-03-01T10:00:60Z",
    "4111111111111111",
    "2026-03-01T10:00:00+14:59",
    "2026-03-01T10:00:00-15:00",
    "+44 7700 900123",
    "anonymous",
    "a@b",
    "A@Example.COM ",
    "2025-02-29",
    "1879-01-01",
)


def value_of(field: Field, choose: Random, at: datetime) -> Any:
    if field.nullable and choose.random() < 0.3:
        return None
    match field.kind:
        case "timestamp":
            zone = choose.choice(("Z", "+01:00", "-05:30"))
            return (
                f"{at:%Y-%m-%dT%H:%M:%S}{choose.choice(('', '.5', '.250', f'.{at.microsecond:06d}'))}{zone}"
            )
        case "date":
            return f"{choose.randint(1930, 2010)}-{choose.randint(1, 12):02d}-{choose.randint(1, 28):02d}"
        case "integer":
            return choose.randint(max(field.minimum or 0, -5), 9)
        case "number":
            return choose.choice((0, 1, 20, 0.1, 33.3, 1e-7, 1e16, 123456.789))
        case "boolean":
            return choose.random() < 0.5
        case "array" if field.items is not None and field.items.kind == "object":
            count = choose.choice((0, 1, 1, 2, 3))
            return [record_of(field.items.fields, choose, at, number) for number in range(1, count + 1)]
        case "array":
            return [f"code-{choose.randint(1, 5)}" for _ in range(choose.randint(0, 3))]
    if field.choices:
        return choose.choice(field.choices)
    if field.treatment == "telephone_number":
        return choose.choice(("07700 900123", "+447700900124", "anonymous", "", "12"))
    if field.treatment == "email_address":
        return choose.choice(("a@example.com", "B@Example.com ", "nobody", ""))
    return f"{field.name[:8]}{choose.randint(1, 400):03d}"[: field.maximum or 30]


def record_of(fields: tuple[Field, ...], choose: Random, at: datetime, number: int) -> dict[str, Any]:
    record = {}
    for field in fields:
        at += timedelta(seconds=choose.randint(0, 90), microseconds=choose.randint(0, 999_999))
        value = number if field.name == "leg_no" else value_of(field, choose, at)
        if field.required or choose.random() < 0.9:
            record[field.name] = value
    return record


def records(contract: Contract, seed: int, count: int, odd: float) -> list[dict[str, Any]]:
    choose = Random(seed)
    made = []
    for _ in range(count):
        record = record_of(contract.fields, choose, datetime(2026, 3, choose.randint(1, 30), 8), 1)
        if choose.random() < odd:
            name = choose.choice([*record, "unknown"])
            if isinstance(record.get(name), list) and record[name] and isinstance(record[name][0], dict):
                item = choose.choice(record[name])
                item[choose.choice([*item, "unknown"])] = choose.choice(ODD_VALUES)
            else:
                record[name] = choose.choice(ODD_VALUES)
        if choose.random() < odd / 3:
            record.pop(choose.choice(list(record)))
        made.append(record)
    return made


def as_file(contract: Contract, made: list[dict[str, Any]], choose: Random) -> bytes:
    if contract.file_format == "jsonl":
        spaced = choose.choice(((", ", ": "), (",", ":")))
        return "\n".join(
            json.dumps(each, ensure_ascii=False, separators=spaced, allow_nan=True) for each in made
        ).encode()
    names = [field.name for field in contract.fields]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    for each in made:
        cells = ["" if each.get(name) is None else str(each[name]) for name in names]
        writer.writerow(cells[:-1] if choose.random() < 0.01 else cells)
    return text.getvalue().encode()


def outcome(contract: Contract, data: bytes, *, columnwise: bool) -> tuple[Any, ...]:
    parser = Parser(contract, b"a key for tests", NOW, columnwise=columnwise)
    parts: list[Parsed] = [parser.parse(Chunk(1, data)), parser.finish()]
    return (
        sorted(row for part in parts for row in part.rows.texts()),
        sorted((found for part in parts for found in part.findings), key=lambda found: found.line_number),
        sum(part.read for part in parts),
        set().union(*(part.unknown_fields for part in parts)),
        sum(part.cards_redacted for part in parts),
    )


@pytest.mark.parametrize("interface", interfaces())
@pytest.mark.parametrize("odd", [0, 0.02, 0.5])
def test_both_roads_have_one_outcome(interface: str, odd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "_TOO_FEW", 1)
    monkeypatch.setattr(columnar, "_MOST_ATTEMPTS", 10_000)
    contract = load_contract(interface)
    for seed in range(2):
        data = as_file(contract, records(contract, seed, 250, odd), Random(seed))
        fast, slow = (outcome(contract, data, columnwise=columnwise) for columnwise in (True, False))
        for name, one, other in zip(
            ("rows", "findings", "read", "unknown", "cards"), fast, slow, strict=True
        ):
            assert one == other, name
        assert slow[2] == 250 and len(slow[0]) + len(slow[1]) == 250
        assert slow[0] and (slow[1] or not odd), "rows of both kinds are needed to say anything"


@pytest.mark.parametrize("interface", interfaces())
def test_plain_rows_take_the_fast_road(interface: str, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = load_contract(interface)
    data = as_file(contract, records(contract, 1, 500, 0), Random(1))
    parser = Parser(contract, b"a key for tests", NOW)
    seen: list[int] = []
    read = parser._columnwise
    monkeypatch.setattr(
        parser, "_columnwise", lambda *given: seen.append(len((found := read(*given))[1])) or found
    )
    rows = parser.parse(Chunk(1, data)).rows
    assert rows and seen[0] >= 0.85 * len(rows)


@pytest.mark.parametrize(
    "interface", [name for name in interfaces() if load_contract(name).file_format == "jsonl"]
)
def test_an_unknown_field_sends_its_row_alone_to_the_other_road(interface: str) -> None:
    contract = load_contract(interface)
    made = records(contract, 1, 300, 0)
    plain, _ = Parser(contract, b"a key for tests", NOW)._columnwise(*_chunk_of(contract, made))
    chosen = plain[len(plain) // 2]
    made[chosen]["never_heard_of"] = {"trunk": [1, None, {"deep": {}}]}
    found, rows = Parser(contract, b"a key for tests", NOW)._columnwise(*_chunk_of(contract, made))
    assert len(plain) > 20 and [*found] == [index for index in plain if index != chosen]
    assert rows.lines.to_pylist() == [index + 1 for index in found]


@pytest.mark.parametrize("interface", interfaces())
def test_many_threads_have_the_outcome_of_one(interface: str) -> None:
    contract = load_contract(interface)
    data = as_file(contract, records(contract, 1, 900, 0.05), Random(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", 8_000)
        chunks = list(lines.chunks_of(io.BytesIO(data), packed=False))
    assert len(chunks) > 5
    outcomes = []
    for threads in (1, 2, 5):
        parser = Parser(contract, b"a key for tests", NOW)
        parts = [*parser.parse_all(chunks, threads), (None, parser.finish())]
        outcomes.append(
            [
                (chunk, part.rows.texts(), part.findings, part.read, part.unknown_fields, part.cards_redacted)
                for chunk, part in parts
            ]
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [chunk for chunk, *_ in outcomes[0]] == [*chunks, None]


def test_chunks_are_read_no_further_ahead_than_there_are_threads() -> None:
    contract = load_contract("telephony_call")
    data = as_file(contract, records(contract, 1, 20, 0), Random(1))
    read: list[int] = []
    chunks = (read.append(number) or Chunk(number, data) for number in range(1, 21))  # type: ignore[func-returns-value]
    parsed = Parser(contract, b"a key for tests", NOW).parse_all(chunks, 3)
    for number, (chunk, _) in enumerate(parsed, start=1):
        assert chunk.first_line == number and len(read) <= number + 3


def test_a_chunk_that_cannot_be_parsed_ends_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    contract = load_contract("telephony_call")
    data = as_file(contract, records(contract, 1, 20, 0), Random(1))
    parser = Parser(contract, b"a key for tests", NOW)
    parse = parser.parse

    def fail_at_the_fourth(chunk: Chunk) -> Parsed:
        if chunk.first_line == 4:
            raise MemoryError
        return parse(chunk)

    monkeypatch.setattr(parser, "parse", fail_at_the_fourth)
    found = []
    with pytest.raises(MemoryError):
        for chunk, _ in parser.parse_all((Chunk(number, data) for number in range(1, 9)), 2):
            found.append(chunk.first_line)
    assert found == [1, 2, 3]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("parse")]


def test_a_file_of_one_chunk_starts_one_thread() -> None:
    contract = load_contract("telephony_call")
    data = as_file(contract, records(contract, 1, 20, 0), Random(1))
    parsed = Parser(contract, b"a key for tests", NOW).parse_all([Chunk(1, data)], 8)
    next(parsed)
    assert sum(thread.name.startswith("parse") for thread in threading.enumerate()) == 1
    assert list(parsed) == []


def _chunk_of(contract: Contract, made: list[dict[str, Any]]) -> tuple[Lines, CardWatch]:
    found = Lines(as_file(contract, made, Random(1)))
    return found, CardWatch(found)
