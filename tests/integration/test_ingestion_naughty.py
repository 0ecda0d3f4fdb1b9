"""Every text field of every interface takes every text, to raw and back as it was sent, or refuses it and says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.settings import Settings
from ingestion import columnar
from ingestion.contract import Contract, Field
from ingestion.run import ensure_raw_tables, ingest
from tests.fixtures.interface_files import (
    CONTRACTS,
    CSV,
    JSONL,
    NOW,
    ask,
    broken_conservation,
    cells,
    empty,
    file_of,
    good,
    header,
    ledger,
    line,
    name_of,
)
from tests.fixtures.naughty_texts import NAUGHTY

pytestmark = pytest.mark.services


@pytest.fixture
def db(warehouse: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An empty warehouse; small files take the fast road too."""
    monkeypatch.setattr(columnar, "_TOO_FEW", 1)
    ensure_raw_tables(warehouse)
    empty(warehouse)
    yield warehouse
    assert broken_conservation(warehouse) == []


def free_text(field: Field) -> bool:
    return field.kind == "string" and not field.choices and field.treatment in (None, "identity")


def fitted(text: str, field: Field) -> str | None:
    """The text, cut to what the field takes; None if it is too short for it."""
    text = text[: field.maximum] if field.maximum else text
    return text if len(text) >= (field.minimum or 0) else None


def naughty(contract: Contract, number: int, text: str) -> dict[str, Any]:
    """A good record with the text in every text field, in lists and in objects of lists."""
    record = good(contract, number)
    for field in contract.fields:
        if free_text(field) and (value := fitted(text, field)) is not None:
            # A key is told apart by its number, where it has no version or instant beside it.
            alone = field.is_key and contract.key == (field.name,)
            record[field.name] = f"{number} {text}"[: field.maximum] if alone else value
        elif field.treatment == "reference":
            record[field.name] = f"{number} {text}"[:64]
        elif field.kind == "array" and field.items is not None and field.items.kind == "string":
            record[field.name] = [text, text]
        elif field.kind == "array" and field.items is not None:
            for item in record[field.name]:
                item |= {inner.name: text for inner in field.items.fields if free_text(inner)}
    if "record_version" in record:
        record["record_version"] = number
    if "snapshot_at" in record:
        record["snapshot_at"] = f"2026-03-02T10:{number // 60:02d}:{number % 60:02d}Z"
    return record


def text_columns(contract: Contract) -> list[str]:
    """Columns of raw, or of the view for the CRM, that hold what the text fields said."""
    hidden = {field.name for field in contract.fields if field.treatment == "not_kept"}
    return [
        field.name
        for field in contract.fields
        if field.name not in hidden
        and (
            free_text(field)
            or field.kind == "array"
            or (field.treatment == "reference" and contract.serving_view is not None)
        )
    ]


def stored(settings: Settings, contract: Contract, columns: list[str]) -> list[dict[str, Any]]:
    source = contract.serving_view or contract.raw_table
    names = ", ".join(f'"{name}"' for name in columns)
    rows = ask(settings, f"select {names} from {source}")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def same(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def as_kept(contract: Contract, record: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """What must come back. An empty cell of CSV is null; timestamps in lists come back in the form that is kept."""
    kept = {}
    for name in columns:
        value = record.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = [
                item | {name: float(item[name]) for name in item if name.endswith("_seconds")}
                for item in value
            ]
            text = json.dumps(value).replace('"2026-03-02T09:00:00Z"', '"2026-03-02T09:00:00.000000Z"')
            value = json.loads(text)
        kept[name] = None if contract.file_format == "csv" and value == "" else value
    return kept


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("interface", CONTRACTS)
def test_every_text_comes_back_as_it_was_sent(
    interface: str, ascii_only: bool, db: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    columns = text_columns(contract)
    assert columns, "There is a text to send."
    records = [naughty(contract, number, text) for number, text in enumerate(NAUGHTY, start=1)]
    (tmp_path / name_of(contract, 1)).write_bytes(file_of(contract, records, ascii_only=ascii_only))
    summary = ingest(db, interface, str(tmp_path), now=NOW)
    assert (summary.counts.loaded, summary.counts.quarantined) == (len(NAUGHTY), 0), summary.as_text()
    sent = [as_kept(contract, record, columns) for record in records]
    assert sorted(map(same, stored(db, contract, columns))) == sorted(map(same, sent))


@pytest.mark.parametrize("interface", JSONL)
def test_every_text_comes_back_from_fields_that_nobody_knows(
    interface: str, db: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    extras = [{f"x {text}": {text: [text, {text: text}]}} for text in NAUGHTY]
    records = [good(contract, number, **extra) for number, extra in enumerate(extras, start=1)]
    (tmp_path / name_of(contract, 1)).write_bytes(file_of(contract, records))
    assert ingest(db, interface, str(tmp_path), now=NOW).counts.loaded == len(NAUGHTY)
    found = [extra for (extra,) in ask(db, f"select _extra from {contract.raw_table}")]
    assert sorted(map(same, found)) == sorted(map(same, extras))
    reported = {name for (name,) in ask(db, "select field from ops.unknown_fields")}
    assert reported == {f"x {text}"[:200] for text in NAUGHTY}


@pytest.mark.parametrize("interface", CSV)
def test_every_text_comes_back_from_columns_that_nobody_knows(
    interface: str, db: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    lines = [header(contract)[0] + b',unknown,"a, ""b"""']
    lines += [
        line(contract, good(contract, number)) + b"," + cells([text, "x"])
        for number, text in enumerate(NAUGHTY, start=1)
    ]
    (tmp_path / name_of(contract, 1)).write_bytes(b"".join(each + b"\n" for each in lines))
    assert ingest(db, interface, str(tmp_path), now=NOW).counts.loaded == len(NAUGHTY)
    found = [extra for (extra,) in ask(db, f"select _extra from {contract.raw_table}")]
    if contract.serving_view is not None:  # where people are named, a text that nobody knows may be a name
        assert same(found[0]) == same({"unknown": "[masked]", 'a, "b"': "[masked]"}) and len(found) == len(
            NAUGHTY
        )
    else:
        sent = [{"unknown": text, 'a, "b"': "x"} for text in NAUGHTY]
        assert sorted(map(same, found)) == sorted(map(same, sent))


TOO_MUCH = {
    "\x00": "invalid_text",
    "a\x00b": "invalid_text",
    "\ud800": "invalid_text",
    "a\udfff": "invalid_text",
}


@pytest.mark.parametrize("interface", CONTRACTS)
def test_what_no_database_stores_is_refused_in_every_text_field(
    interface: str, db: Settings, tmp_path: Path
) -> None:
    contract = CONTRACTS[interface]
    fields = [field for field in contract.fields if field.kind == "string" and not field.choices]
    assert fields
    records, rules = [], []
    for field in fields:
        for text, rule in TOO_MUCH.items():
            value = fitted(text.ljust(field.minimum or 0, "x"), field)
            records.append(good(contract, len(records), **{field.name: value}))
            # Half of a surrogate pair cannot be written in the bytes of a CSV file.
            half = contract.file_format == "csv" and "\x00" not in text
            rules.append("not_utf8" if half else rule)
        if field.maximum:
            records.append(good(contract, len(records), **{field.name: "é" * (field.maximum + 1)}))
            rules.append("wrong_length")
    lines = [line(contract, record) for record in records]
    data = b"".join(each + b"\n" for each in [*header(contract), *lines])
    (tmp_path / name_of(contract, 1)).write_bytes(data)
    ingest(db.model_copy(update={"max_bad_row_share": 1.0}), interface, str(tmp_path), now=NOW)
    [row] = ledger(db, interface).values()
    assert row["state"] == "loaded"
    assert [rule for _, rule in row["refused"]] == rules
    assert row["raw"] == 0
