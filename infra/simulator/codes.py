"""Which wrap codes are picked in other channels than voice. It draws from whatever random numbers it is given."""

from __future__ import annotations

from random import Random

from infra.simulator.lines import REASON_CODES, UNKNOWN_CODES

_CODES = tuple(REASON_CODES)
_WEIGHTS = tuple(weight for _, _, weight in REASON_CODES.values())
_CUMULATED = tuple(sum(_WEIGHTS[: position + 1]) for position in range(len(_WEIGHTS)))


def draw_codes(rng: Random) -> list[str]:
    """Draw the codes of a contact: mostly one, at times two or none, rarely one that is not agreed."""
    chance = rng.random()
    if chance < 0.02:
        return []
    if chance < 0.022:
        return [rng.choice(UNKNOWN_CODES)]
    return list(dict.fromkeys(rng.choices(_CODES, cum_weights=_CUMULATED, k=2 if chance > 0.86 else 1)))
