"""The gates on real raw rows and real figures.

They open for sound data, each check closes one for a reason planted in the data, and they open again once that is put
right.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from delivery.feeds.publish import publish
from delivery.feeds.release import ReleaseRefusedError
from expectations.checks import Check, run_checks
from expectations.gates import GateResult, check
from expectations.raw import raw_checks
from expectations.release import release_checks
from infra.postgres import connect, warehouse_url
from infra.s3 import s3_client
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.run import ensure_raw_tables, ingest
from transformation.build import build

pytestmark = pytest.mark.services


def run(settings: Settings, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on the warehouse in one transaction; the rows of the last one."""
    with connect(settings) as connection:
        for statement in statements:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def built(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse into which two batches were loaded and from which the marts were built."""
    settings = warehouse.model_copy(update={"s3_bucket": "test-of-the-gates"})
    s3_client(settings).create_bucket(
        Bucket=settings.s3_bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
    )
    for day in (10, 11):
        folder = tmp_path_factory.mktemp("in")
        options = {"days": 1, "seed": day, "calls_per_day": 600, "last_day": date(2026, 3, day)}
        simulate(folder, bad_row_share=0.02, interfaces=["telephony_call"], **options)
        ingest(settings, "telephony_call", str(folder), console=Console(file=io.StringIO()))
    ensure_raw_tables(settings)
    result = build(settings, as_of=datetime(2026, 3, 12, 6, tzinfo=UTC), report=lambda line: None)
    assert result.succeeded, result.as_text()
    return settings


@pytest.fixture(scope="module")
def passed(built: Settings) -> list[GateResult]:
    """The gates on sound data: run once, before any damage."""
    return check(built)


@pytest.fixture
def kept(built: Settings, passed: list[GateResult]) -> Iterator[Settings]:
    """The warehouse; whatever a test does to raw rows, figures and ledgers is undone afterwards."""
    with keeping(built):
        yield built


KEPT_WHOLE = ("raw.telephony_call", "quarantine.rows", "marts.annex_b_calls", "ops.gate_results")
KEPT_COLUMNS = {"ops.builds": ("build_id", "as_of"), "ops.files": ("file_id", "rows_read")}
"""Other ledgers refer to these: only a column of them is put back."""


@contextmanager
def keeping(settings: Settings) -> Iterator[None]:
    indexes = run(
        settings, "select indexdef from pg_indexes where schemaname = 'marts' and tablename = 'annex_b_calls'"
    )
    ((constraint,),) = run(
        settings, "select pg_get_constraintdef(oid) from pg_constraint where conname = 'files_conserve_rows'"
    )
    copies = {table: f"kept.{table.replace('.', '_')}" for table in (*KEPT_WHOLE, *KEPT_COLUMNS)}
    run(
        settings,
        "create schema kept",
        *(f"create table {copies[table]} as table {table}" for table in copies),
    )
    try:
        yield
    finally:
        for table in KEPT_WHOLE:
            identity = "overriding system value" if table in ("quarantine.rows", "ops.gate_results") else ""
            run(settings, f"truncate {table}", f"insert into {table} {identity} table {copies[table]}")
        for table, (key, column) in KEPT_COLUMNS.items():
            same = f"kept.{key} = now.{key}"
            run(
                settings,
                f"update {table} as now set {column} = kept.{column} from {copies[table]} as kept where {same}",
            )
        run(
            settings,
            "drop schema kept cascade",
            *(definition.replace("INDEX ", "INDEX IF NOT EXISTS ", 1) for (definition,) in indexes),
            "alter table ops.files drop constraint if exists files_conserve_rows",
            f"alter table ops.files add constraint files_conserve_rows {constraint}",
        )


def failures(result: GateResult) -> set[str]:
    """The sentences of the checks that closed a gate."""
    checks = raw_checks("telephony_call") if result.gate == "raw" else release_checks(1)
    broken = {finding.message for finding in result.findings if finding.severity == "failure"}
    return {
        check.sentence for check in checks if any(message.startswith(check.sentence) for message in broken)
    }


def details(result: GateResult, sentence: str) -> str:
    """What a result says of one check."""
    (finding,) = (each for each in result.findings if each.message.startswith(sentence))
    return "\n".join(finding.details)


def all_that_close(checks: list[Check]) -> set[str]:
    sentences = {check.sentence for check in checks if check.severity == "failure"}
    assert len(sentences) > 5
    return sentences


def test_sound_data_passes_both_gates(built: Settings, passed: list[GateResult]) -> None:
    raw, release = passed
    assert raw.success, raw.as_text()
    assert release.success, release.as_text()
    assert "2 batches of telephony_call with" in raw.as_text()
    recorded = run(
        built, "select gate, batch_id, build_id, success from ops.gate_results order by result_id limit 3"
    )
    assert recorded == [("raw", 1, None, True), ("raw", 2, None, True), ("release", None, 1, True)]
    (again,) = check(built, "raw")
    assert again.subject == "no batch is waiting"


def test_the_data_docs_are_there_and_hold_no_secret(built: Settings, passed: list[GateResult]) -> None:
    secrets = [
        getattr(built, name).get_secret_value()
        for name in ("postgres_password", "s3_secret_key", "caller_hash_key")
    ]
    assert all(secrets)
    for result in passed:
        assert result.docs is not None
        assert str(result.docs) in result.as_text()
        pages = list(result.docs.parent.rglob("*.html"))
        suites = {
            check.aspect
            for check in (raw_checks("telephony_call") if result.gate == "raw" else release_checks(1))
        }
        assert len([page for page in pages if "validations" in page.parts]) == len(suites) == 5
        for page in pages:
            text = page.read_text(encoding="utf-8")
            assert not any(secret in text for secret in secrets), page


def test_no_telemetry_leaves(
    built: Settings, passed: list[GateResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python code that would call home looks a name up or connects a socket; libpq does neither through Python."""
    called: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: called.append(arguments) or [])
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: called.append(address))
    findings = run_checks(
        "quiet",
        [Check("volume", "It holds.", "select '' as detail from batch where false")],
        warehouse_url(built),
        "select 1 as a",
        tmp_path,
    )
    assert findings == []
    assert called == []


def test_each_check_of_the_raw_gate_closes_it(kept: Settings) -> None:
    calls = run(
        kept, "select distinct call_id from raw.telephony_call where _batch_id = 2 and ivr_outcome = 'queued'"
    )
    first, second, third, fourth, fifth, sixth, seventh = (f"'{call_id}'" for (call_id,) in calls[:7])
    (victim,) = run(
        kept, f"select call_id, _line_number from raw.telephony_call where call_id = {first} limit 1"
    )
    run(
        kept,
        "delete from ops.gate_results where gate = 'raw'",
        "alter table raw.telephony_call rename column _extra to _extras",
        "alter table ops.files drop constraint files_conserve_rows",
        "update ops.files set rows_read = rows_read + 1 where file_id = (select max(file_id) from ops.files)",
        f"update raw.telephony_call set dialled_number = '' where call_id = {first}",
        f"update raw.telephony_call set caller_key = null, caller_key_missing_reason = null where call_id = {second}",
        f"update raw.telephony_call set language = 'fr' where call_id = {third}",
        f"update raw.telephony_call set legs = '[]' where call_id = {fourth}",
        f"delete from raw.telephony_call where call_id = {fifth}",
        "update raw.telephony_call set ivr_ended_at = received_at - interval '1 second' "
        f"where call_id = {sixth}",
        f"update raw.telephony_call set ivr_outcome = 'self_served' where call_id = {seventh}",
        "update raw.telephony_call set ended_at = received_at + interval '2 days' where _batch_id = 2",
        "update raw.telephony_call set dialled_number = '+441632960099' where _batch_id = 2 and _line_number % 10 < 7 "
        "and dialled_number <> ''",
        "delete from quarantine.rows where batch_id = 2",
    )
    try:
        (result,) = check(kept, "raw")
    finally:
        run(kept, "alter table raw.telephony_call rename column _extras to _extra")
    assert failures(result) == all_that_close(raw_checks("telephony_call"))
    assert "FAILED" in result.as_text()
    assert "_extra should be jsonb and is missing" in result.as_text()
    said = details(result, "Fields that every call must have are there.")
    assert f"{victim[0]} (line {victim[1]})" in said
    assert "telephony_call_sim_" in said
    assert "+441632960099 has" in details(result, "Every dialled number belongs to a line of business.")


def test_only_the_batch_with_the_fault_fails(kept: Settings) -> None:
    run(
        kept,
        "delete from ops.gate_results where gate = 'raw'",
        "delete from raw.telephony_call where ctid = (select ctid from raw.telephony_call where _batch_id = 2 limit 1)",
    )
    (result,) = check(kept, "raw")
    assert failures(result) == {"The raw table holds as many rows of each file as were loaded from it."}
    assert run(kept, "select batch_id, success from ops.gate_results where gate = 'raw' order by 1") == [
        (1, True),
        (2, False),
    ]
    (again,) = check(kept, "raw")
    assert again.subject.startswith("1 batch of telephony_call with"), (
        "a batch that failed is looked at again, one that passed is not"
    )


def test_a_warning_is_told_and_closes_nothing(kept: Settings) -> None:
    run(
        kept,
        "delete from ops.gate_results where gate = 'raw'",
        "update raw.telephony_call set dialled_number = '+441632960088' "
        "where ctid = (select ctid from raw.telephony_call limit 1)",
    )
    (result,) = check(kept, "raw")
    assert result.success
    assert "Warning (distribution): Every dialled number belongs to a line of business." in result.as_text()
    assert "+441632960088 has 1 calls" in result.as_text()
    ((recorded,),) = run(
        kept, "select sum(jsonb_array_length(findings)) from ops.gate_results where gate = 'raw'"
    )
    assert recorded >= 1


def test_each_check_of_the_release_gate_closes_it(kept: Settings) -> None:
    row = "grain = 'day' and line_of_business = '{}' and period_date = '2026-03-10'"
    run(
        kept,
        "delete from ops.gate_results where gate = 'raw'",
        "alter view feeds.feed_calls_v1 rename column extra to extras",
        f"update marts.annex_b_calls set calls_received = calls_received + 1 where {row.format('ALL')}",
        f"update marts.annex_b_calls set gos_30 = 1.5 where {row.format('ABI')}",
        f"update marts.annex_b_calls set wait_avg_seconds = wait_max_seconds + 1 where {row.format('PAL')}",
        *(
            f'drop index marts."{name}"'
            for (name,) in run(
                kept,
                "select indexname from pg_indexes where tablename = 'annex_b_calls' and indexdef like '%UNIQUE%'",
            )
        ),
        f"insert into marts.annex_b_calls select * from marts.annex_b_calls where {row.format('PVS')}",
        f"update marts.annex_b_calls set is_complete = null where {row.format('UNMAPPED')}",
        "update ops.builds set as_of = '2026-03-01'",
    )
    try:
        (result,) = check(kept, "release")
    finally:
        run(kept, "alter view feeds.feed_calls_v1 rename column extras to extra")
    assert failures(result) == all_that_close(release_checks(1)) - {"There are figures if there are calls."}
    assert "feed_calls_v1.extra should be text and is missing" in result.as_text()
    assert details(result, "Averages lie").endswith("day from 2026-03-10 00:00, line PAL")
    assert "day from 2026-03-10 00:00, line PVS has 2 rows" in result.as_text()


def test_an_empty_feed_of_figures_does_not_leave(kept: Settings) -> None:
    run(kept, "truncate marts.annex_b_calls")
    (result,) = check(kept, "release")
    assert "There are figures if there are calls." in failures(result)


def test_publication_is_refused_until_the_fault_is_put_right(kept: Settings) -> None:
    fault = "calls_offered = calls_offered {} 1 where grain = 'hour' and line_of_business = 'PAL'"
    run(kept, f"update marts.annex_b_calls set {fault.format('+')}")
    (result,) = check(kept, "release")
    assert not result.success
    rows = details(result, "Calls received, retained and offered")
    assert len(rows.splitlines()) <= 20
    assert "hour from 2026-03-10" in rows
    with pytest.raises(ReleaseRefusedError, match="Calls received, retained and offered are the sums"):
        publish(kept, report=lambda line: None)

    run(kept, f"update marts.annex_b_calls set {fault.format('-')}")
    (result,) = check(kept, "release")
    assert result.success, result.as_text()
    published = publish(kept, report=lambda line: None)
    (there,) = run(
        kept,
        "select (select count(*) from feeds.feed_calls_v1), (select count(*) from feeds.feed_call_legs_v1), "
        "(select count(*) from feeds.feed_annex_b_calls_v1)",
    )
    assert tuple(feed.rows for feed in published) == there
    assert min(there) > 0


def test_a_check_that_cannot_be_made_closes_the_gate(built: Settings, tmp_path: Path) -> None:
    checks = [
        Check("volume", "This holds.", "select '' as detail from batch where false"),
        Check("volume", "This cannot be asked.", "select detail from there_is_no_such_table"),
    ]
    (finding,) = run_checks("odd", checks, warehouse_url(built), "select 1 as a", tmp_path)
    assert finding.severity == "failure"
    assert finding.message == "This cannot be asked. This could not be checked."
    assert "there_is_no_such_table" in finding.details[0]


def test_before_the_first_build_there_is_nothing_to_release(instance: Settings, kept: Settings) -> None:
    with connect(kept) as connection:
        connection.execute("update ops.builds set state = 'failed'")
    try:
        (result,) = check(kept, "release")
    finally:
        run(kept, "update ops.builds set state = 'succeeded'")
    assert not result.success
    assert "No build has succeeded yet" in result.as_text()


def test_a_gate_that_is_not_there(built: Settings) -> None:
    with pytest.raises(ValueError, match="The gates are raw and release"):
        check(built, "outer")
