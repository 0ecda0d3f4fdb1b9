"""Figures of channels, agents and contacts over nights on which clocks or years change, whatever the order of files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.test_channels_equal_oracle import KEYS, Centre, World
from tests.integration.test_contacts_equal_oracle import House

pytestmark = pytest.mark.services

STARTS = {
    "the clocks go back": datetime(2026, 10, 23, 6, tzinfo=UTC),
    "the year ends": datetime(2025, 12, 30, 6, tzinfo=UTC),
}
"""The second or third night after each is the one."""


@pytest.mark.parametrize("night", STARTS)
def test_files_in_any_order_equal_the_oracle(
    night: str,
    new_house: Callable[[], AbstractContextManager[House]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    start = STARTS[night]
    world = World(20261025, start)
    files = sorted(world.files(tmp_path_factory.mktemp("sent")), reverse=True)
    latest_first = [path for sequence in (3, 2, 1) for path in files if f"_{sequence:06}." in path.name]
    assert sorted(latest_first) == sorted(files)
    with new_house() as house:
        centre = Centre(house.settings, house.inbox, refused=world.refused)
        for some, as_of in (
            (latest_first[:10], start + timedelta(hours=43, minutes=30)),
            (latest_first[10:], start + timedelta(hours=80, microseconds=1)),
        ):
            centre.arrive(some)
            centre.build(as_of)
            counted = centre.compare(as_of)
    assert set(counted) == set(KEYS)
    assert all(counted.values()), counted
