"""Personal data that comes in, in good rows and bad, is found nowhere; every other text comes through."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from infra.postgres import connect
from infra.settings import Settings
from ingestion.privacy import caller_key
from ingestion.run import IngestSummary, ensure_raw_tables, ingest

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


NAUGHTY = [
    "undefined",
    "NULL",
    "\\N",
    "\\",
    "\\\\",
    "\\.",
    "'",
    '"',
    "''",
    "'; drop table raw.telephony_call; --",
    "${HOME}",
    "$1",
    "%s",
    "%(x)s",
    "{0}",
    "{{x}}",
    "<script>alert(1)</script>",
    "=1+1",
    "@SUM(1)",
    "-1",
    "+1",
    "\t",
    "\n",
    "\r\n",
    "\x01\x02\x1f\x7f",
    "\x80\x9f",
    "\u00a0\u2028\u2029\ufeff",
    "\u202eabc\u202c",
    "Ω≈ç√∫\u02dcµ≤≥÷",
    "田中さんにあげて下さい",
    "﷽",
    "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
    "👩‍👩‍👧‍👦",
    "\U0010ffff\uffff\ufdd0",
    "Ṱ̺̺̕o͞",
    "true",
    "0",
    "1e309",
    "NaN",
    "../../etc/passwd",
    "CON",
    "a" * 64,
    "İıſŉ",
    "\u0000"[:0] + " ",
    "  ",
    ",",
    ";",
    "|",
    "~!@#$%^&*()`",
]


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
