"""The raw gate of every interface: open for sound data, and closed by each of its checks for a reason planted there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from rich.console import Console

from expectations.contracts import interfaces, read_contract
from expectations.gates import GateResult, check
from expectations.raw import raw_checks
from expectations.suites import SUITES
from infra.postgres import connect
from infra.settings import Settings
from infra.simulator import simulate
from ingestion.contract import interfaces as interfaces_of_the_loader
from ingestion.contract import load_contract
from ingestion.run import ensure_raw_tables, ingest

pytestmark = pytest.mark.services

MOST = "hashtext(_record_hash::text) % 10 <> 0"
"""Nine rows in ten."""

DAMAGE: dict[str, list[str]] = {
    "agent_state": [
        "update raw.agent_state set state = 'offline', line_of_business = '[]'",
        f"update raw.agent_state set line_of_business = '[\"NONE\"]' where not {MOST}",
        "update raw.agent_state set state = 'asleep' where {nth}",
        "update raw.agent_state set event_id = '' where {nth}",
    ],
    "callback_event": [
        f"update raw.callback_event set dialled_number = '+441632960099' where {MOST}",
        "update raw.callback_event set event = 'attempted', outcome = 'failed'",
        "update raw.callback_event set event = 'attempted', outcome = null where {nth}",
        "update raw.callback_event set event = 'requested', outcome = 'busy' where {nth}",
        "update raw.callback_event set channel = 'fax' where {nth}",
        "update raw.callback_event set callback_id = '' where {nth}",
    ],
    "complaint": [
        f"update raw.complaint set resolved_at = received_at + interval '3 years', line_of_business = 'X' where {MOST}",
        "update raw.complaint set resolved_at = received_at - interval '1 day' where {nth}",
        "update raw.complaint set complaint_id = '' where {nth}",
    ],
    "email_message": [
        "update raw.email_message set line_of_business = 'X', transferred_to = 'csmt', transferred_at = null "
        f"where {MOST}",
        f"update raw.email_message set replied_at = received_at + interval '2 years' where {MOST}",
        "update raw.email_message set replied_at = received_at - interval '1 day' where {nth}",
        "update raw.email_message set customer_key = null, customer_key_missing_reason = null where {nth}",
        "update raw.email_message set direction = 'sideways' where {nth}",
        "update raw.email_message set mailbox = '' where {nth}",
    ],
    "payment_confirmation": [
        f"update raw.payment_confirmation set amount_pence = 0, currency = 'EUR' where {MOST}",
        "update raw.payment_confirmation set status = '' where {nth}",
    ],
    "queue_snapshot": [
        "update raw.queue_snapshot set agents_staffed = 0, agents_in_call = 1, contacts_waiting = 1, "
        f"oldest_waiting_since = null where {MOST}",
        "update raw.queue_snapshot set contacts_waiting = 1, oldest_waiting_since = snapshot_at - interval '1 day' "
        f"where not {MOST}",
        f"update raw.queue_snapshot set queue = 'X' || queue where {MOST}",
        "update raw.queue_snapshot set oldest_waiting_since = snapshot_at + interval '1 hour' where {nth}",
        "update raw.queue_snapshot set contacts_waiting = -1 where {nth}",
        "update raw.queue_snapshot set queue = '' where {nth}",
    ],
    "text_message": [
        "update raw.text_message set status = 'failed', delivered_at = sent_at + interval '8 days' "
        "where direction = 'outbound'",
        "update raw.text_message set delivered_at = sent_at - interval '1 day' where {nth}",
        "update raw.text_message set caller_key = null, caller_key_missing_reason = null where {nth}",
        "update raw.text_message set direction = 'sideways' where {nth}",
        "update raw.text_message set message_id = '' where {nth}",
    ],
    "webchat_session": [
        "update raw.webchat_session set line_of_business = 'X', ended_at = started_at + interval '1 day', "
        f"end_reason = null, messages_customer = 0, messages_agent = 0 where {MOST}",
        f"update raw.webchat_session set end_reason = 'completed' where hashtext(chat_id) % 2 = 0 and {MOST}",
        "update raw.webchat_session set messages_customer = 0, messages_agent = 0 where end_reason = 'completed'",
        "update raw.webchat_session set queued_at = started_at - interval '1 day' where {nth}",
        "update raw.webchat_session set customer_key = null, customer_key_missing_reason = null where {nth}",
        "update raw.webchat_session set language = 'fr' where {nth}",
        "update raw.webchat_session set chat_id = '' where {nth}",
    ],
    "wip_extract": [
        "update raw.wip_extract set last_updated_at = stage_entered_at - interval '1 day', country = 'FR' "
        f"where {MOST}",
        "update raw.wip_extract set region = 'UK'",
        "update raw.wip_extract set stage_entered_at = received_at - interval '1 day' where {nth}",
        "update raw.wip_extract set stage = '' where {nth}",
        "update raw.wip_extract set channel = 'pigeon' where {nth}",
        "delete from serving.wip_applicant where ctid = (select ctid from serving.wip_applicant limit 1)",
    ],
}
"""By interface: what is done to sound rows. `{nth}` is one row, another one each time."""


def run(settings: Settings, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on the warehouse in one transaction; the rows of the last one."""
    with connect(settings) as connection:
        for statement in statements:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def loaded(warehouse: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse with a simulated day of every interface but telephony, which test_gates.py looks at."""
    folder = tmp_path_factory.mktemp("in")
    simulate(
        folder,
        days=1,
        seed=3,
        calls_per_day=600,
        last_day=date(2026, 3, 10),
        bad_row_share=0.002,
        interfaces=list(DAMAGE),
        wip_applications=400,
        wip_extracts=2,
    )
    (folder / "a_name_of_no_kind.jsonl").write_text("{}\n")
    ensure_raw_tables(warehouse)
    for interface in DAMAGE:
        ingest(warehouse, interface, str(folder), console=Console(file=io.StringIO()))
    return warehouse


@pytest.fixture(scope="module")
def passed(loaded: Settings) -> list[GateResult]:
    """The gates on sound data: run once, before any damage."""
    return check(loaded, "raw")


@contextmanager
def undone(settings: Settings, interface: str) -> Iterator[None]:
    """Whatever is done to the rows of an interface is undone afterwards."""
    contract = read_contract(interface)
    tables = {contract.raw_table: "", "quarantine.rows": "overriding system value"}
    if contract.serving_table:
        tables[contract.serving_table] = ""
    copies = {table: f"kept.{table.replace('.', '_')}" for table in tables}
    run(
        settings,
        "create schema kept",
        *(f"create table {copies[table]} as table {table}" for table in tables),
        "create table kept.files as table ops.files",
    )
    ((constraint,),) = run(
        settings, "select pg_get_constraintdef(oid) from pg_constraint where conname = 'files_conserve_rows'"
    )
    try:
        yield
    finally:
        run(
            settings,
            f"alter table {contract.raw_table} rename column _extras to _extra",
            *(
                statement
                for table, identity in tables.items()
                for statement in (
                    f"truncate {table}",
                    f"insert into {table} {identity} table {copies[table]}",
                )
            ),
            "update ops.files as now set rows_read = kept.rows_read, rows_loaded = kept.rows_loaded, "
            "rows_quarantined = kept.rows_quarantined from kept.files as kept where kept.file_id = now.file_id",
            "drop schema kept cascade",
            f"alter table ops.files add constraint files_conserve_rows {constraint}",
        )


def fill(settings: Settings, interface: str) -> None:
    """Add sound rows to a file until shares of its batch say something."""
    contract = read_contract(interface)
    table, key = contract.raw_table, contract.key[0]
    ((rows, file_id),) = run(settings, f"select count(*), max(_file_id) from {table}")
    more = max(0, 400 - rows)  # half of them must still be enough, whichever half the keyed digests pick
    if more:
        assert contract.columns[key] == "text"
        run(
            settings,
            f"insert into {table} select made.* from (select * from {table} limit 1) as its, "
            f"generate_series(1, {more}) as n, jsonb_populate_record(null::{table}, to_jsonb(its) || "
            f"jsonb_build_object('{key}', 'more-' || n, '_record_hash', md5(n::text)::uuid, '_file_id', {file_id}, "
            "'_line_number', 1000 + n)) as made",
            f"update ops.files set rows_read = rows_read + {more}, rows_loaded = rows_loaded + {more} "
            f"where file_id = {file_id}",
        )


def test_every_interface_has_a_suite_and_the_gate_knows_the_columns_that_the_loader_makes():
    assert interfaces() == interfaces_of_the_loader() == sorted([*DAMAGE, "telephony_call"])
    assert [path.stem for path in sorted(SUITES.glob("*.yaml"))] == interfaces()
    for interface in interfaces():
        ours, theirs = read_contract(interface), load_contract(interface)
        assert ours.columns == {column.name: column.type for column in theirs.columns}, interface
        assert ours.key == theirs.key, interface
        assert ours.raw_table == theirs.raw_table, interface
        assert ours.serving_table == theirs.serving_table, interface
        assert ours.freshness_minutes == theirs.freshness_minutes, interface
        assert set(ours.never_null) <= {column.name for column in theirs.columns if column.not_null}, (
            interface
        )
        sentences = [each.sentence for each in raw_checks(interface)]
        assert len(set(sentences)) == len(sentences) > 10, interface


def test_sound_data_of_every_interface_passes(loaded, passed):
    assert [result.interface for result in passed] == sorted(DAMAGE)
    for result in passed:
        assert result.success, result.as_text()
        assert result.docs is not None
        assert result.docs.exists(), result.interface
    told = {finding.message.split(" Not so")[0] for result in passed for finding in result.findings}
    assert told <= {"A file is loaded within 150 minutes of the time in its name."}, told
    (again,) = check(loaded, "raw")
    assert again.subject == "no batch is waiting"


@pytest.mark.parametrize("interface", sorted(DAMAGE))
def test_each_check_of_an_interface_closes_its_gate(loaded, passed, interface):
    contract = read_contract(interface)
    table = contract.raw_table
    with undone(loaded, interface):
        fill(loaded, interface)
        newest = f"(select max(_file_id) from {table})"
        run(
            loaded,
            "delete from ops.gate_results where batch_id in "
            f"(select batch_id from ops.files where interface = '{interface}')",
            f"alter table {table} rename column _extra to _extras",
            "alter table ops.files drop constraint files_conserve_rows",
            f"delete from {table} where ctid = (select max(ctid) from {table})",
            "update ops.files set rows_read = rows_read + 2, rows_quarantined = rows_quarantined + 1 "
            f"where file_id = {newest}",
            *(
                statement.replace(
                    "{nth}",
                    f"ctid = (select ctid from {table} order by _record_hash offset {number} limit 1)",
                )
                for number, statement in enumerate(DAMAGE[interface])
            ),
        )
        results = check(loaded, "raw")
    assert [result.interface for result in results] == [interface], "the gates of the others were not run"
    (result,) = results
    assert not result.success
    closing = [each for each in raw_checks(interface) if each.severity == "failure"]
    assert len(closing) > 5
    broken = {finding.message for finding in result.findings if finding.severity == "failure"}
    unbroken = [each.sentence for each in closing if not any(m.startswith(each.sentence) for m in broken)]
    assert unbroken == []
    assert not any("could not be checked" in message for message in broken), result.as_text()
    empty = next(each for each in result.findings if each.message.startswith("Fields that every"))
    assert f"{interface}_" in empty.details[0]
    assert "(line " in empty.details[0]
    assert interface in result.as_text()
    (result,) = check(loaded, "raw")
    assert result.success, result.as_text()


def test_the_gate_of_one_interface_alone(loaded, passed):
    (result,) = check(loaded, "raw", "complaint")
    assert result.subject == "no batch is waiting"
    with pytest.raises(ValueError, match="There is no interface 'fax'"):
        check(loaded, "raw", "fax")
