"""Data that does not come is found by the clock, and only where the contract promises it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from expectations.freshness import Freshness, freshness
from infra.postgres import connect
from infra.settings import Settings

pytestmark = pytest.mark.services

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PROMISED = timedelta(minutes=150)


@pytest.fixture
def ledger(warehouse: Settings) -> Settings:
    with connect(warehouse) as connection:
        connection.execute("delete from ops.files")
    return warehouse


def add(settings: Settings, interface: str, state: str, at: datetime) -> None:
    """A file that was finished at an instant."""
    with connect(settings) as connection:
        connection.execute(
            "insert into ops.files (source, interface, name, sha256, state, rule, error, rows_read, rows_loaded, "
            "rows_unchanged, rows_quarantined, first_seen_at, finished_at) values ('a folder', %(interface)s, "
            "%(name)s, %(name)s, %(state)s, case %(state)s when 'quarantined' then 'extract_size' end, "
            "case %(state)s when 'quarantined' then 'It is held.' end, 1, 1, 0, 0, %(at)s, %(at)s)",
            {"interface": interface, "name": f"{interface}_{state}_{at:%H%M}", "state": state, "at": at},
        )


def wip(settings: Settings, now: datetime = NOON) -> Freshness:
    """The only interface that promises anything."""
    (only,) = freshness(settings, now)
    assert only.interface == "wip_extract"
    assert only.promised == PROMISED
    return only


def test_a_warehouse_that_is_not_in_use_is_not_late(ledger):
    assert not wip(ledger).is_late
    assert wip(ledger).as_text() == "wip_extract: in time, never loaded; promised every 2 h 30 min."


def test_it_is_late_once_more_time_has_passed_than_is_promised(ledger):
    add(ledger, "wip_extract", "loaded", NOON - timedelta(days=1))
    add(ledger, "wip_extract", "loaded", NOON - PROMISED)
    assert not wip(ledger).is_late
    late = wip(ledger, NOON + timedelta(seconds=1))
    assert late.is_late
    assert late.as_text().startswith("wip_extract: LATE, last loaded 2026-03-10 09:30 UTC, 2 h 30 min ago;")


def test_other_interfaces_and_held_extracts_do_not_count_as_loaded(ledger):
    add(ledger, "wip_extract", "loaded", NOON - timedelta(hours=3))
    add(ledger, "telephony_call", "loaded", NOON)
    add(ledger, "wip_extract", "quarantined", NOON - timedelta(hours=1))
    late = wip(ledger)
    assert late.is_late
    assert "Since then wip_extract_quarantined_1100 (extract_size) came and was not loaded." in late.as_text()
    add(ledger, "wip_extract", "loaded", NOON)
    assert not wip(ledger).is_late
    assert wip(ledger).held is None


def test_one_that_never_came_is_late_from_the_first_file_of_any_interface_on(ledger):
    add(ledger, "telephony_call", "loaded", NOON - timedelta(hours=3))
    assert wip(ledger).is_late
    assert "never loaded" in wip(ledger).as_text()
    assert not wip(ledger, NOON - timedelta(hours=1)).is_late


def test_any_offset_will_do(ledger):
    add(ledger, "wip_extract", "loaded", NOON - timedelta(hours=2))
    assert not wip(ledger, NOON.astimezone()).is_late
