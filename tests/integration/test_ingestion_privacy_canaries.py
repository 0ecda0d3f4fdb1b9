"""Personal data that comes in, in good rows and bad, is found nowhere; every other text comes through."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from infra.postgres import connect
from infra.settings import Settings
from ingestion.contract import Contract
from ingestion.privacy import caller_key
from ingestion.quarantine import files as list_files
from ingestion.quarantine import refused, refused_rows
from ingestion.run import IngestSummary, ensure_raw_tables, ingest
from tests.fixtures.interface_files import AT, CONTRACTS, NOW, empty, good, header, ledger, line, name_of
from tests.fixtures.naughty_texts import NAUGHTY

pytestmark = pytest.mark.services

NUMBERS = ["07700 900123", "+447700900456", "00447700900789", "+12025550143"]
CANARIES = [
    *("900123", "900456", "900789", "5550143"),
    *("canary.one", "canary.two", "canary.three"),
    *("4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"),
    "Canary Smith",
]
CARDS = ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"]


def call(call_id: str, **changes: object) -> dict[str, object]:
    return {
        "call_id": call_id,
        "record_version": 1,
        "emitted_at": "2026-03-02T09:10:00Z",
        "dialled_number": "+441632960001",
        "caller_number": NUMBERS[0],
        "received_at": "2026-03-02T09:00:00Z",
        "ivr_outcome": "self_served",
        "legs": [],
        **changes,
    }


def load(settings: Settings, folder: Path, lines: list[str], **changes: object) -> tuple[IngestSummary, str]:
    """Load one file; returns also all that was printed."""
    path = folder / f"telephony_call_test_20260302T100000Z_{time.monotonic_ns() % 10**12}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    console = Console(record=True, width=10_000, file=(folder / "console.txt").open("w"))
    summary = ingest(settings.model_copy(update=changes), "telephony_call", str(path), console=console)
    return summary, console.export_text() + summary.as_text() + repr(summary)


def everything_stored(settings: Settings) -> str:
    """Every value of every table of the database, as text."""
    with connect(settings) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'"
        ).fetchall()
        assert ("raw", "telephony_call") in tables and ("quarantine", "rows") in tables
        texts = []
        for schema, table in tables:
            name = psycopg.sql.Identifier(schema, table)
            rows = connection.execute(psycopg.sql.SQL("select t::text from {} t").format(name)).fetchall()
            texts += [f"{schema}.{table}: {text}" for (text,) in rows]
    return "\n".join(texts)


@pytest.fixture
def db(warehouse: Settings) -> Settings:
    ensure_raw_tables(warehouse)
    with connect(warehouse) as connection:
        connection.execute(
            "truncate raw.telephony_call, quarantine.rows, ops.files, ops.unknown_fields cascade"
        )
    return warehouse


def test_personal_data_is_found_nowhere(db: Settings, tmp_path: Path) -> None:
    good = [call(f"number-{n}", caller_number=number) for n, number in enumerate(NUMBERS)]
    good += [call(f"path-{n}", ivr_path=[f"paid with {card}."]) for n, card in enumerate(CARDS)]
    good += [call(f"extra-{n}", note={"card": card}) for n, card in enumerate(CARDS)]
    good += [
        call(
            "unknown-1", ani=NUMBERS[0], mail="canary.one@example.com", n={"deep": [NUMBERS[1], 447700900789]}
        ),
        call("unknown-2", **{NUMBERS[0]: "canary.two@example.com", "canary.three@example.com": 1}),
        call("unparseable", caller_number="Canary Smith"),
    ]
    bad: list[object] = [
        *(call(f"bad-number-{n}", caller_number=number, language="xx") for n, number in enumerate(NUMBERS)),
        *(call(f"bad-card-{n}", ivr_path=[card], language=card) for n, card in enumerate(CARDS)),
        call("bad-time", received_at=NUMBERS[0]),
        call("bad-mail", language="canary.one@example.com", caller_number="Canary Smith"),
        call("bad-type", caller_number=447700900123),
        call("bad-list", caller_number=["Canary Smith", NUMBERS[0]]),
        json.dumps(call("cut"))[:-1] + ', "mail": "canary.two@example.com"',
        f"ring {NUMBERS[0]}, {NUMBERS[2]} or canary.three@example.com, card {CARDS[1]}",
        json.dumps(call("twice"))[:-1] + f', "{NUMBERS[0]}": 1, "{NUMBERS[0]}": 2}}',
        json.dumps(call("escaped", language="xx"))
        .replace("07700", "\\u00307700")
        .replace("900123", "90012\\u0033"),
    ]
    lines = [line if isinstance(line, str) else json.dumps(line) for line in [*good, *bad]]
    summary, printed = load(db, tmp_path, lines, max_bad_row_share=1.0)
    assert (summary.counts.loaded, summary.counts.quarantined) == (len(good), len(bad)), summary.as_text()
    _, printed_too = load(db, tmp_path, [*lines, "{"], max_bad_row_share=0.0)  # the whole file refused
    assert "too_many_bad_rows" in printed_too
    stored = everything_stored(db)
    key, _ = caller_key(NUMBERS[0], db.caller_hash_key.get_secret_value().encode())
    assert key is not None and key in stored and "bad-number-0" in stored, "The look was in the right place."
    found = [canary for canary in CANARIES if canary in stored or canary in printed + printed_too]
    assert found == []
    assert summary.counts.cards_redacted == 2 * len(CARDS)


def test_personal_data_in_an_odd_file_name_is_masked(db: Settings, tmp_path: Path) -> None:
    (tmp_path / "calls of 07700 900123 canary.one@example.com.jsonl").write_text("{")
    summary = ingest(db, "telephony_call", str(tmp_path))
    stored = everything_stored(db)
    assert "calls of [number masked]" in stored
    assert not any(canary in stored + summary.as_text() for canary in CANARIES)


def test_every_other_text_comes_through_byte_for_byte(db: Settings, tmp_path: Path) -> None:
    leg = {"leg_no": 1, "queued_at": "2026-03-02T09:01:00Z"}
    records = [
        call(
            text[:64],
            record_version=number,
            dialled_number=text,
            caller_number=None,
            ivr_path=[text],
            ivr_outcome="queued",
            legs=[leg | {"queue": text, "agent_id": text, "reason_codes": [text, text]}],
            **{f"x {text}": {text: [text]}},
        )
        for number, text in enumerate(NAUGHTY, 1)
    ]
    for ascii_only in (True, False):
        lines = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
        summary, _ = load(db, tmp_path, lines)
        assert (summary.counts.read, summary.counts.quarantined) == (len(NAUGHTY), 0)
    assert summary.counts.unchanged == len(NAUGHTY), "Escaped or not, a text is the same."
    with connect(db) as connection:
        stored = connection.execute(
            "select call_id, dialled_number, ivr_path, legs, _extra from raw.telephony_call order by record_version"
        ).fetchall()
    assert len(stored) == len(NAUGHTY)
    for text, (call_id, dialled_number, ivr_path, [kept_leg], extra) in zip(NAUGHTY, stored, strict=True):
        assert (call_id, dialled_number, ivr_path) == (text[:64], text, [text])
        assert (kept_leg["queue"], kept_leg["agent_id"], kept_leg["reason_codes"]) == (
            text,
            text,
            [text, text],
        )
        assert extra == {f"x {text}": {text: [text]}}


# ---------------------------------------------------------------------------------------------- every interface

# Written in every way. Of a text field that holds no personal data by its contract (an agent, a queue, a code), a good
# row keeps numbers and addresses as they were sent: nobody can know. Of such a field that is declared public, a refused
# row shows them too. Card numbers stay nowhere but in the key of a record, because records would merge without it.
SPOKEN = [
    *NUMBERS,
    "(07700) 900-123",
    "07700\t900123",
    "07700\u00a0900123",
    "07700\u202f900123",
    "07700\u200b900123",
    "077 009 001 23 or 07700.900.456",
    "x" * 55 + "canary.one@example.com",
    "Canary.Two@Example.COM",
    "<canary.three@example.com>",
]
CARD_SPELLINGS = [
    *CARDS,
    "4111 1111 1111 1111 12/28",
    "4111 - 1111 - 1111 - 1111",
    "4111   1111   1111   1111",
    "4111\t1111\t1111\t1111",
    "4111\u00a01111\u00a01111\u00a01111",
    "4111\u20131111\u20131111\u20131111",
    "4111\u200b1111\u200b1111\u200b1111",
    "\uff14111111111111111",
    "4222222222222",
    "6304000000000000000",
    "call me, 4111 1111 1111 1111",
]
IDENTITY = {"surname": "Zzcanary", "postcode": "QX9 9XQ", "date_of_birth": "1931-07-19"}
REFERENCES = {"application_ref": "PEXCANARY9", "delivery_partner_ref": "DPCANARY"}
EVERYWHERE = [
    *CANARIES,
    *("Canary.Two", "canary.", "900-123", "009 001"),
    *(
        "1111 1111",
        "1111 - 1111",
        "1111   1111",
        "1111\t1111",
        "1111\\t1111",
        "11111111",
        "1111\u00a01111",
        "1111\u200b1111",
        "1111\u20131111",
        "4222222222222",
        "6304000000000000000",
    ),
    *IDENTITY.values(),
    *REFERENCES.values(),
]


def hidden_values(contract: Contract) -> dict[str, list[str]]:
    """What to put into the fields that the contract says are personal."""
    found = {}
    for field in contract.fields:
        if field.treatment in ("telephone_number", "email_address"):
            found[field.name] = [*SPOKEN, "Canary Smith", REFERENCES["application_ref"]]
        elif field.name in IDENTITY | REFERENCES:
            found[field.name] = [(IDENTITY | REFERENCES)[field.name]]
    return found


def transcript(text: str) -> list[dict[str, str]]:
    return [{"at": AT, "from": text, "text": text, text: text}]


def good_rows(contract: Contract) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    for name, values in hidden_values(contract).items():
        changes += [{name: value} for value in values]
    for field in contract.fields:
        if (
            field.kind == "string"
            and not field.choices
            and not field.is_key
            and not field.maximum
            and not field.treatment
        ):
            changes += [{field.name: value} for value in CARD_SPELLINGS]
        if field.kind == "array" and field.items is not None and field.items.kind == "string":
            changes += [{field.name: [value, value]} for value in CARD_SPELLINGS]
        if field.treatment == "not_kept":
            changes += [
                {field.name: transcript(value)} for value in (*SPOKEN, *CARD_SPELLINGS, "Zzcanary, QX9 9XQ")
            ]
    if contract.file_format == "jsonl":
        spoken = [*SPOKEN, *CARD_SPELLINGS]
        changes += [{"unknown": value} for value in spoken]
        changes += [{"unknown": {value: [{value: value}]}} for value in spoken]
        changes += [{value: value} for value in spoken]
        changes += [
            {"unknown": value}
            for value in (447700900123, 447700900123.0, 4111111111111111, 4111111111111111.0)
        ]
    return [good(contract, number, **change) for number, change in enumerate(changes)]


def bad_rows(contract: Contract) -> list[bytes]:
    """Rows that are refused, with something personal in each field, and texts that are no rows."""
    hidden = hidden_values(contract)
    at = next(field.name for field in contract.fields if field.kind == "timestamp" and field.required)
    rows = []
    number = itertools.count(100_000)
    for field in contract.fields:
        values = hidden.get(
            field.name, CARD_SPELLINGS if field.is_public or field.is_key else [*SPOKEN, *CARD_SPELLINGS]
        )
        for value in values:
            broken = {} if field.name == at else {at: "never"}
            rows.append(good(contract, next(number), **{**broken, field.name: value}))
            rows.append(good(contract, next(number), **{**broken, field.name: [value, {value: value}]}))
    lines = [line(contract, row) for row in rows] + [line(contract, row, ascii_only=False) for row in rows]
    full = line(contract, good(contract, 1, **{name: values[0] for name, values in hidden.items()}))
    spoken = "; ".join([*SPOKEN, *CARD_SPELLINGS])
    lines += [full[: len(full) * part // 10] for part in range(2, 10)]
    lines += [
        f"ring {spoken}".encode(),
        spoken.encode("utf-16-le").replace(b"\n", b""),
        spoken.encode("cp1252", "ignore"),
    ]
    if contract.file_format == "csv":
        cells_ = full.split(b",")
        lines += [b",".join([b"x", *cells_[:place], *cells_[place + 1 :]]) for place in range(1, len(cells_))]
        lines += [b",".join([*cells_[place:], *cells_[:place]]) for place in range(1, len(cells_))]
        lines += [
            full + b",more",
            full.replace(b",", b";"),
            full + b'"',
            b'"' + full,
            full.replace(b",", b"\t"),
        ]
        if contract.interface == "wip_extract":
            lines = [
                each for each in lines if b'"' not in each
            ]  # for a quote the whole extract is held: see below
    else:
        lines += [full + full, b"[" + full + b"]", full.replace(b'"', b"'") if not hidden else full[:-1]]
        lines += [
            json.dumps(good(contract, 1, **{value: 1}))[:-1].encode()
            + b", "
            + json.dumps(value).encode()
            + b": 2}"
            for value in SPOKEN
        ]
    return lines


# Hashes, and times to the nanosecond: among so many digits are any six.
_NOISE = re.compile(
    r"[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+/\d{19}/\d{19}/\d+|(?<=:\d\d)\.\d{6}|/tmp/\S+"
)


def without_noise(text: str) -> str:
    assert _NOISE.search(text)
    return _NOISE.sub("#", text)


def outside_serving(settings: Settings) -> str:
    return "\n".join(
        text for text in everything_stored(settings).split("\n") if not text.startswith("serving.")
    )


@pytest.mark.parametrize("interface", CONTRACTS)
def test_personal_data_of_every_interface_is_found_nowhere(
    interface: str, warehouse: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    ensure_raw_tables(warehouse)
    empty(warehouse)
    contract = CONTRACTS[interface]
    rows = [line(contract, row) for row in good_rows(contract)]
    rows = rows or [line(contract, good(contract, 1))]
    bad = bad_rows(contract)
    relaxed = warehouse.model_copy(update={"max_bad_row_share": 1.0, "max_extract_change": 1e9})
    printed = ""
    files = [
        (relaxed, [*rows, *bad]),
        (warehouse.model_copy(update={"max_bad_row_share": 0.0}), [*rows, *bad, b'"']),
    ]
    for number, (settings, lines) in enumerate(files, start=1):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = b"\n".join([*header(contract), *lines, b""])
        (folder / name_of(contract, number)).write_bytes(data)
        console = Console(record=True, width=10_000, file=(tmp_path / f"console-{number}.txt").open("w"))
        summary = ingest(settings, interface, str(folder), console=console, now=NOW)
        printed += console.export_text() + summary.as_text() + repr(summary)
        for each in list_files(warehouse, limit=10):
            printed += repr(each) + repr(refused(warehouse)) + repr(refused_rows(warehouse, each.name, 10**6))
    whole, none = ledger(warehouse, interface).values()
    assert whole["state"] == "loaded" and whole["rows_quarantined"] > 30, whole
    # Payments and applications stand twice in what was sent: good rows have one reference for many keys, or one key.
    assert whole["rows_loaded"] + whole["rows_unchanged"] + len(
        [1 for _, rule in whole["refused"] if rule == "repeated_key"]
    ) >= len(rows)  # fmt: skip
    assert none["state"] == "quarantined"
    texts = {"stored": without_noise(outside_serving(warehouse)), "printed": printed, "logged": caplog.text}
    assert "[masked]" in texts["stored"] or "[number masked]" in texts["stored"], (
        "The look was in the right place."
    )
    leaks = {
        (canary, _around(text, canary)) for text in texts.values() for canary in EVERYWHERE if canary in text
    }
    assert leaks == set()


def _around(text: str, canary: str) -> str:
    at = text.index(canary)
    return text[max(at - 150, 0) : at + 60]


@pytest.mark.parametrize("interface", CONTRACTS)
def test_personal_data_in_names_of_files_is_found_nowhere(
    interface: str, warehouse: Settings, tmp_path: Path
) -> None:
    ensure_raw_tables(warehouse)
    empty(warehouse)
    spoken = [value for value in [*SPOKEN, *CARD_SPELLINGS] if "/" not in value]
    for number, value in enumerate(spoken):
        (tmp_path / f"{interface} {number} {value}.{CONTRACTS[interface].file_format}").write_bytes(b"{")
    for path in tmp_path.iterdir():
        ingest(warehouse, interface, str(path), now=NOW)  # named by hand it is read, whatever its name
    summary = ingest(warehouse, interface, str(tmp_path), now=NOW)
    stored = without_noise(everything_stored(warehouse))
    assert "[number masked]" in stored and "[e-mail masked]" in stored and "[card number removed]" in stored
    assert [canary for canary in EVERYWHERE if canary in stored + summary.as_text()] == []
