"""Applications in hand, and the extracts of them that HM Passport Office sends: each is whole.

Every application goes through stages and then leaves; between two extracts most do not change. Their course is
taken from a few thousand courses drawn beforehand, so that a million applications take seconds. This module
must not know of calls: others ask it for a reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from heapq import heapify, heappop, heappush
from random import Random

from infra.simulator.opening import HOUR, local
from infra.simulator.stamps import LOCAL, ZULU, seconds
from infra.simulator.surnames import SURNAMES

WINDOW = 2 * HOUR
_DAY = 24 * HOUR
_COURSES = 3000
# (stage, median days in it, share of applications that go through it)
_STAGES = (
    ("received", 0.5, 1.0),
    ("awaiting_documents", 5.0, 0.35),
    ("examination", 4.0, 1.0),
    ("identity_check", 3.0, 0.25),
    ("referred", 6.0, 0.03),
    ("approved", 0.6, 1.0),
    ("printing", 1.0, 1.0),
    ("dispatched", 1.8, 1.0),
)
_SERVICES = {"standard": (1.0, 21), "fast_track": (0.25, 7), "premium": (0.12, 2)}
"""Service -> how long each stage takes beside the standard, and the days in which it is due."""
# (type, share, youngest and oldest age)
_TYPES = (
    ("adult_renewal", 46, 16, 85),
    ("adult_first", 12, 16, 60),
    ("child_first", 18, 0, 15),
    ("child_renewal", 14, 4, 15),
    ("replacement", 7, 0, 80),
    ("name_change", 3, 18, 70),
)
_TYPE_WEIGHTS = tuple(share for _, share, _, _ in _TYPES)
_COUNTRIES = ("ES", "FR", "US", "AU", "IE", "DE", "CA", "AE", "ZA", "NZ", "IN", "PK", "HK", "CY")
_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"

_Course = tuple[str, str, tuple[tuple[int, str], ...], int]
"""Service, owner at CSMT (Y or N), (offset, stage) in order, and the offset at which the application leaves."""


class _Application:
    """One application in hand."""

    __slots__ = (
        "course",
        "fixed",
        "number",
        "partner",
        "position",
        "received_at",
        "row",
        "scale",
        "stage",
        "zone",
    )

    def __init__(
        self, number: int, course: _Course, received_at: int, scale: float, fixed: str, zone: int
    ) -> None:
        self.number = number
        self.course = course
        self.received_at = received_at
        self.scale = scale
        self.fixed = fixed
        self.zone = zone
        self.stage = 0
        self.position = 0
        self.partner = ""
        self.row: bytes | None = None

    def entered(self, stage: int) -> int:
        """Give the instant at which it enters one of its stages; after the last, at which it leaves."""
        stages, leaves = self.course[2], self.course[3]
        offset = stages[stage][0] if stage < len(stages) else leaves
        return self.received_at + int(offset * self.scale)


class Applications:
    """Every application in hand, at the instant to which it was last moved.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(self, rng: Random, start: int, size: int) -> None:
        """Take in as many applications as are in hand at the start, each somewhere on its course."""
        self.counts: Counter[str] = Counter()
        self._rng = rng
        self._now = start
        self._number = 0
        self._first_day = local(start).date()
        self._in_hand: dict[int, _Application] = {}
        self._list: list[_Application] = []
        self._changes: list[tuple[int, int]] = []
        self._courses = [self._course() for _ in range(_COURSES)]
        lengths = [course[3] for course in self._courses]
        # Of those in hand at an instant the long ones are more, in proportion to their length.
        for course in rng.choices(self._courses, lengths, k=size):
            age = int(rng.random() * course[3])
            self._take_in(course, start - age, 1.0)
        heapify(self._changes)
        self._per_window = size * WINDOW / (sum(lengths) / len(lengths))

    def _course(self) -> _Course:
        rng = self._rng
        [service] = rng.choices(tuple(_SERVICES), (88, 9, 3))
        pace = _SERVICES[service][0]
        offset, stages = 0, []
        for stage, days, share in _STAGES:
            if rng.random() < share:
                stages.append((offset, stage))
                offset += int(min(days * pace * rng.lognormvariate(0, 0.6), 60) * _DAY)
        return service, "Y" if rng.random() < 0.012 else "N", tuple(stages), offset

    def _take_in(self, course: _Course, received_at: int, scale: float) -> None:
        rng = self._rng
        self._number += 1
        number = self._number
        zone = LOCAL if rng.random() < 0.2 else ZULU
        application = _Application(number, course, received_at, scale, self._person(number, course), zone)
        stages = len(course[2])
        while application.stage + 1 < stages and application.entered(application.stage + 1) <= self._now:
            application.stage += 1
        if application.stage >= stages - 2:
            application.partner = f"DP{rng.randrange(10**8):08d}"
        self._in_hand[number] = application
        application.position = len(self._list)
        self._list.append(application)
        self._changes.append((application.entered(application.stage + 1), number))

    def _person(self, number: int, course: _Course) -> str:
        """Write the part of a row that never changes, but for its last field."""
        rng = self._rng
        kind, _, youngest, oldest = rng.choices(_TYPES, _TYPE_WEIGHTS)[0]
        born = self._first_day - timedelta(days=rng.randrange(youngest * 365 + 20, (oldest + 1) * 365))
        abroad = rng.random() < 0.12
        postcode = (
            f"ZZ{rng.randrange(10**5):05d}"
            if abroad
            else f"ZZ{rng.randrange(1, 100)} {rng.randrange(10)}{rng.choice(_LETTERS)}{rng.choice(_LETTERS)}"
        )
        return ",".join(
            (
                reference(number),
                rng.choice(SURNAMES),
                born.isoformat(),
                postcode,
                kind,
                "online" if rng.random() < 0.87 else "paper",
                course[0],
                "INTL" if abroad else "UK",
                rng.choice(_COUNTRIES) if abroad else "GB",
            )
        )

    # Time

    def move_to(self, when: int) -> None:
        """Let everything happen by an instant: applications come in, go on and leave."""
        while self._now < when:
            until = min(when, (self._now // WINDOW + 1) * WINDOW)
            self._come_in(until)
            self._go_on(until)
            self._now = until

    def _come_in(self, until: int) -> None:
        rng = self._rng
        # Fewer at night; the mean over a day is what leaves.
        busy = 0.4 if 0 <= self._now % _DAY < 6 * HOUR else 1.2
        mean = self._per_window * busy * (until - self._now) / WINDOW
        expected = int(mean) + (rng.random() < mean % 1)
        span, before = until - self._now, self._now
        for moment in sorted(rng.randrange(span) for _ in range(expected)):
            self._now = before + moment
            self._take_in(rng.choice(self._courses), self._now, rng.uniform(0.85, 1.15))
            heappush(self._changes, self._changes.pop())
            self.counts["applications received"] += 1
        self._now = before

    def _go_on(self, until: int) -> None:
        changes = self._changes
        while changes and changes[0][0] <= until:
            _, number = heappop(changes)
            application = self._in_hand[number]
            application.stage += 1
            application.row = None
            stages = len(application.course[2])
            if application.stage >= stages:
                self._leave(application)
                continue
            if application.stage >= stages - 2 and not application.partner:
                application.partner = f"DP{self._rng.randrange(10**8):08d}"
            heappush(changes, (application.entered(application.stage + 1), number))

    def _leave(self, application: _Application) -> None:
        self.counts["applications done"] += 1
        del self._in_hand[application.number]
        last = self._list.pop()
        if last is not application:
            last.position = application.position
            self._list[last.position] = last

    # What others ask for

    def any_in_hand(self, rng: Random) -> str:
        """Give the reference of an application in hand, drawn by others' random numbers."""
        return reference(rng.choice(self._list).number) if self._list else self.not_yet_in_hand(rng)

    def not_yet_in_hand(self, rng: Random) -> str:
        """Give a reference that has been given out, and whose application has not come in."""
        return reference(500_000_000 + rng.randrange(10**8))

    def rows(self) -> Iterable[bytes]:
        """Give the row of every application in hand, as it stands."""
        for application in self._in_hand.values():
            if application.row is None:
                application.row = _row(application)
            yield application.row


def reference(number: int) -> str:
    """Write the reference of an application."""
    return f"APP{number:09d}"


def _row(application: _Application) -> bytes:
    service, csmt_owned, stages, _ = application.course
    zone = application.zone
    received = application.received_at
    entered = seconds(application.entered(application.stage), zone)
    # What waits for documents is not expected by any day.
    stage = stages[application.stage][1]
    due = "" if stage == "awaiting_documents" else seconds(received + _SERVICES[service][1] * _DAY, zone)
    return (
        f"{application.fixed},{seconds(received, zone)},{stage},{entered},{due},"
        f"{application.partner},{csmt_owned},{entered}"
    ).encode()


class Extracts:
    """Sends an extract every two hours, of which only the last few are kept.

    Attributes:
        counts: What happened to the applications, by plain-English name.
    """

    def __init__(
        self, write_whole: Callable[[int, Iterable[bytes]], None], applications: Applications, first: int
    ) -> None:
        """Send through `write_whole`; extracts before the instant `first` are left out."""
        self.counts = applications.counts
        self._write_whole = write_whole
        self._applications = applications
        self._first = first

    def take(self, now: int) -> None:
        """Move the applications to an instant and, if it is time, send them all."""
        self._applications.move_to(now)
        if now >= self._first:
            self._write_whole(now, self._applications.rows())
