"""How instants are written: to milliseconds or microseconds, in UTC with `Z` or in local time with its offset.

It knows no interface. It must not look at a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from random import Random

from infra.simulator.opening import HOUR, SECOND, local

Stamp = Callable[[int], str]
_MINUTES = [f"{second // 60:02d}:{second % 60:02d}." for second in range(3600)]
_WHOLE = [text.replace(".", "") for text in _MINUTES]
ZULU, LOCAL = 0, 1


@cache
def _hour(hour: int, zone: int) -> tuple[str, str]:
    """Give what stands before the minutes and after the fraction in a timestamp of an hour."""
    if zone == ZULU:
        return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:"), "Z"
    at = local(hour * HOUR)
    return at.strftime("%Y-%m-%dT%H:"), at.isoformat()[-6:]


def micros(when: int, zone: int = ZULU) -> str:
    """Write an instant to the microsecond."""
    before, after = _hour(when // HOUR, zone)
    seconds, fraction = divmod(when % HOUR, SECOND)
    return f"{before}{_MINUTES[seconds]}{fraction:06d}{after}"


def millis(when: int, zone: int = ZULU) -> str:
    """Write an instant to the millisecond; what is finer is cut off."""
    before, after = _hour(when // HOUR, zone)
    seconds, fraction = divmod(when % HOUR, SECOND)
    return f"{before}{_MINUTES[seconds]}{fraction // 1000:03d}{after}"


def seconds(when: int, zone: int = ZULU) -> str:
    """Write an instant to the second; what is finer is cut off."""
    before, after = _hour(when // HOUR, zone)
    return f"{before}{_WHOLE[when % HOUR // SECOND]}{after}"


def _local_micros(when: int) -> str:
    return micros(when, LOCAL)


def _local_millis(when: int) -> str:
    return millis(when, LOCAL)


def any_style(rng: Random) -> Stamp:
    """Draw how one row writes its instants: a fifth in local time, a third to the millisecond."""
    chance = rng.random()
    if chance < 0.2:
        return _local_millis if chance < 0.07 else _local_micros
    return millis if chance < 0.45 else micros


def exact_style(rng: Random) -> Stamp:
    """Draw how one row writes its instants, always to the microsecond: a fifth in local time."""
    return _local_micros if rng.random() < 0.2 else micros


def filename(when: int) -> str:
    """Write an instant as it stands in the name of a file."""
    return datetime.fromtimestamp(when // SECOND, UTC).strftime("%Y%m%dT%H%M%SZ")
