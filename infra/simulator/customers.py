"""Who calls: people with one number each, some of whom come back, and the ways in which a number is written.

No number here can reach anybody. British ones come from the ranges that Ofcom keeps for drama and from the
area code 01632, which belongs to no place; those from abroad from the ranges that their regulators keep for
fiction.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from infra.simulator.lines import ABROAD_SHARE, RETURNING_SHARE, WELSH_SHARE, WITHHELD_SHARE, Line

# (prefix in E.164, digits that follow)
BRITISH_RANGES = (
    # 01632 960 is left to the numbers that are dialled.
    *((f"+441632{digit}", 5) for digit in "2345678"),
    ("+447700900", 3),
    *((f"+441{area}4960", 3) for area in ("13", "14", "15", "16", "17", "18", "21", "31", "41", "51", "61")),
    ("+441914980", 3),
    ("+442079460", 3),
)
FOREIGN_RANGES = (
    *(
        (f"+1{area}55501", 2)
        for area in ("202", "212", "305", "312", "415", "503", "617", "702", "713", "808")
    ),
    ("+3532091", 5),
    *((f"+61{area}5550", 4) for area in "2378"),
    *((f"+33{block}", 4) for block in ("19900", "26191", "35301", "46571", "53649")),
)


class _Numbers:
    """The numbers of some ranges, handed out in a scattered order, and again when all have been."""

    def __init__(self, ranges: tuple[tuple[str, int], ...], rng: Random) -> None:
        self._ranges = ranges
        self._total = sum(10**digits for _, digits in ranges)
        # A step that shares no factor with the total visits every number once before any twice.
        self._step = next(
            step for step in range(self._total * 5 // 13, self._total) if _coprime(step, self._total)
        )
        self._next = rng.randrange(self._total)

    def take(self) -> str:
        self._next = (self._next + self._step) % self._total
        position = self._next
        for prefix, digits in self._ranges:
            if position < 10**digits:
                return f"{prefix}{position:0{digits}d}"
            position -= 10**digits
        raise AssertionError("a position lies within the total of the ranges")


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who calls: a number in E.164 and the language of their calls (`en` or `cy`)."""

    number: str
    language: str


class Customers:
    """Everybody who may call, with a memory of who called which line in the last fortnight."""

    def __init__(self, rng: Random, calls_per_day: int) -> None:
        self._rng = rng
        self._british = _Numbers(BRITISH_RANGES, rng)
        self._foreign = _Numbers(FOREIGN_RANGES, rng)
        self._recent: dict[str, list[Customer]] = {}
        self._calls_per_day = calls_per_day

    def next_caller(self, line: Line) -> tuple[Customer, bool]:
        """Draw the next caller of a line, and say whether they have called it before."""
        recent = self._recent.setdefault(line.name, [])
        daily = self._calls_per_day * line.share + 1
        returning = False
        if self._rng.random() < RETURNING_SHARE:
            # Most people who come back do so within days: half within two.
            ago = int(self._rng.expovariate(1 / (2.9 * daily))) + int(daily / 50) + 1
            returning = ago <= len(recent)
        customer = recent[-ago] if returning else self._new(line)
        recent.append(customer)
        if len(recent) > 30 * daily:
            del recent[: int(15 * daily)]
        return customer, returning

    def _new(self, line: Line) -> Customer:
        abroad = self._rng.random() < ABROAD_SHARE
        welsh = not abroad and line.name != "PVS" and self._rng.random() < WELSH_SHARE
        return Customer((self._foreign if abroad else self._british).take(), "cy" if welsh else "en")

    def as_shown(self, customer: Customer) -> tuple[str | None, bool]:
        """Write the customer's number as the platform shows it for a call, and say whether it is withheld."""
        chance = self._rng.random()
        if chance < WITHHELD_SHARE:
            return (None if chance < 0.6 * WITHHELD_SHARE else "anonymous"), True
        return spell(customer.number, self._rng.random()), False


def spell(number: str, chance: float) -> str:
    """Write an E.164 number in one of the usual ways, chosen by a value from 0 to 1."""
    if chance < 0.72:
        return number
    if not number.startswith("+44"):
        return f"00{number[1:]}" if chance < 0.9 else f"{number[:3]} {number[3:]}"
    national, rest = number[3:7], number[7:]
    if chance < 0.82:
        return f"0{national}{rest}"
    if chance < 0.90:
        return f"0{national} {rest}"
    if chance < 0.96:
        return f"0044 {national} {rest}"
    return f"tel:+44-{national}-{rest}"
