"""Figures of channels, agents and contacts over the night the clocks go back, in whatever order the files arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from infra.settings import Settings
from ingestion.raw_tables import ensure_raw_tables
from tests.integration.test_channels_equal_oracle import KEYS, Centre, World

pytestmark = pytest.mark.services

START = datetime(2026, 10, 23, 6, tzinfo=UTC)
"""The third night after it has 25 hours."""


def test_files_of_autumn_in_any_order_equal_the_oracle(
    warehouse: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ensure_raw_tables(warehouse)
    centre = Centre(warehouse, tmp_path_factory.mktemp("inbox"))
    world = World(20261025, START)
    files = sorted(world.files(tmp_path_factory.mktemp("sent")), reverse=True)
    latest_first = [path for sequence in (3, 2, 1) for path in files if f"_{sequence:06}." in path.name]
    assert sorted(latest_first) == sorted(files)
    for some, as_of in (
        (latest_first[:10], START + timedelta(hours=43, minutes=30)),
        (latest_first[10:], START + timedelta(hours=80, microseconds=1)),
    ):
        centre.arrive(some)
        centre.build(as_of)
        counted = centre.compare(as_of)
    assert set(counted) == set(KEYS)
    assert all(counted.values()), counted
