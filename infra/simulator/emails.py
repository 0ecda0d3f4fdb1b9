"""E-mails: threads of messages in and out, a backlog that a team works off, and requests made to CSMT.

A message is sent when it arrives, and again when it has been answered or passed on. Every address is at
example.com or example.org, which belong to nobody. Nothing here is the text of a message.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time, timedelta
from heapq import heappop, heappush
from random import Random

import msgspec

from infra.simulator.agents import AgentLog, Put
from infra.simulator.codes import draw_codes
from infra.simulator.demand import Demand
from infra.simulator.desks import Team
from infra.simulator.lines import Line
from infra.simulator.opening import HOUR, SECOND, instant
from infra.simulator.stamps import Stamp, any_style
from infra.simulator.volumes import CALLBACK_EMAILS, CALLS, EMAILS, arrivals

_encode = msgspec.json.Encoder().encode
_CSMT_MAILBOX = "csmt@example.org"
_GENERAL_MAILBOX = "enquiries@example.org"
_FOLLOWS_UP = 0.16
_LEFT_UNANSWERED = 0.02
_TO_CSMT = 0.05
_COMPLAINT = 0.012
_RECORDED = 0.55
"""Share of the complaints by e-mail that become a case."""


@dataclass(slots=True)
class _Message:
    """An inbound message as the mailbox knows it so far."""

    message_id: str
    thread_id: str
    mailbox: str
    line: Line
    line_shown: str | None
    from_address: str
    received_at: int
    is_complaint: bool
    stamp: Stamp
    is_callback_request: bool = False
    replied_at: int | None = None
    agent_id: str | None = None
    codes: tuple[str, ...] = ()
    transferred_at: int | None = None
    versions: int = 0
    emitted_at: int = 0


class Emails:
    """The mailboxes over all days.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(
        self,
        put: Put,
        seed: int,
        demand: Demand,
        log: AgentLog,
        calls_per_day: int,
        asks_for_callback: Callable[[int, str, str, Line], None],
        complains: Callable[[int, str, str, Line], None],
    ) -> None:
        """Set up the channel; the last two are told of (instant, channel, contact id, line)."""
        self.counts: Counter[str] = Counter()
        self._put = put
        self._seed = seed
        self._rng = Random(f"{seed} e-mails")
        self._demand = demand
        self._log = log
        self._customers = 40 + calls_per_day * 3
        self._people = [f"M{number:04d}" for number in range(1, 2 + round(calls_per_day * 84 / CALLS))]
        self._asks_for_callback = asks_for_callback
        self._complains = complains
        self._backlog: deque[_Message] = deque()
        self._expected: list[tuple[int, str, _Message]] = []
        self._tomorrow = 0

    def open_day(self, day: date) -> None:
        """Let the messages of a local day arrive, and the team work on weekdays from 8:00 to 18:00."""
        self._tomorrow = instant(day + timedelta(days=1))
        arriving = [
            (when, self._first(when, line))
            for when, line in arrivals(self._demand, day, EMAILS, [self._seed, 13], 0.25)
        ]
        while self._expected and self._expected[0][0] < self._tomorrow:
            when, _, message = heappop(self._expected)
            arriving.append((when, message))
        arriving.sort(key=lambda arrival: arrival[0])
        for when, message in arriving:
            self.counts["e-mails received"] += 1
            self._version(message, when)
            if message.is_complaint and self._rng.random() < _RECORDED:
                self._complains(when + 60 * SECOND, "email", message.message_id, message.line)
            self._backlog.append(message)
        for when, line in arrivals(self._demand, day, CALLBACK_EMAILS, [self._seed, 17], 0.0):
            self.request_callback(when, line)
        if day.weekday() < 5:
            self._work(day)

    def _work(self, day: date) -> None:
        closes = instant(day, time(18))
        team = Team("email", self._people, instant(day, time(8)), closes, self._log, self._rng)
        while self._backlog:
            message = self._backlog[0]
            starts = max(team.free_from(), message.received_at + 20 * SECOND)
            if starts >= closes:
                break
            self._backlog.popleft()
            if self._rng.random() < _LEFT_UNANSWERED:
                self.counts["e-mails left unanswered"] += 1
                continue
            person = team.take()
            ends = starts + int(min(self._rng.lognormvariate(5.5, 0.6), 2400) * SECOND)
            team.work(person, starts, ends, ends, noted=False)
            self._finish(message, ends, person[0])
        team.go_home()

    def _finish(self, message: _Message, now: int, agent_id: str) -> None:
        """Answer a message or pass it on to CSMT; some customers write again."""
        rng = self._rng
        message.agent_id, message.codes = agent_id, tuple(draw_codes(rng))
        chance = rng.random()
        if chance < _TO_CSMT:
            message.transferred_at = now
            self.counts["e-mails passed on to CSMT"] += 1
        else:
            message.replied_at = now
            self.counts["e-mails answered"] += 1
            self._reply(message, now)
            if rng.random() < _FOLLOWS_UP:
                self._expect_another(message, now)
        self._version(message, now)
        if chance > 0.985:
            message.codes = tuple(draw_codes(rng))
            self._version(message, now + int(min(rng.lognormvariate(2.5, 1.0), 200) * HOUR))

    def _first(self, when: int, line: Line) -> _Message:
        rng = self._rng
        chance = rng.random()
        address = f"customer{rng.randrange(self._customers)}@example.{'com' if chance < 0.9 else 'org'}"
        is_general = rng.random() < 0.1
        return _Message(
            message_id=f"E-{rng.getrandbits(64):016x}",
            thread_id=f"T-{rng.getrandbits(48):012x}",
            mailbox=_GENERAL_MAILBOX if is_general else f"{line.name.lower()}@example.org",
            line=line,
            line_shown=None if is_general else line.name,
            from_address=address if chance > 0.1 else f"{address.title()} ",
            received_at=when,
            is_complaint=rng.random() < _COMPLAINT,
            stamp=any_style(rng),
        )

    def _expect_another(self, message: _Message, now: int) -> None:
        when = now + int(min(self._rng.lognormvariate(2.3, 1.3), 300) * HOUR)
        # What is still to come today has been drawn already.
        another = self._first(when if when >= self._tomorrow else when + 24 * HOUR, message.line)
        another.thread_id, another.mailbox = message.thread_id, message.mailbox
        another.from_address, another.line_shown = message.from_address, message.line_shown
        heappush(self._expected, (another.received_at, another.message_id, another))

    def request_callback(self, when: int, line: Line) -> None:
        """Let an adviser who could not hand a caller over write to CSMT, which then calls back."""
        rng = self._rng
        message = self._first(when, line)
        message.mailbox, message.line_shown = _CSMT_MAILBOX, line.name
        message.from_address = f"adviser{rng.randrange(1, 400)}@example.org"
        message.is_complaint, message.is_callback_request = False, True
        self._version(message, when)
        self._asks_for_callback(when, "email", message.message_id, line)
        if rng.random() < 0.9:
            message.replied_at = when + rng.randrange(2, 60) * 60 * SECOND
            message.agent_id, message.codes = f"A9{rng.randrange(1, 40):04d}", tuple(draw_codes(rng))
            self._version(message, message.replied_at)

    # The record

    def _version(self, message: _Message, now: int) -> None:
        message.versions += 1
        emitted = max(now + self._rng.randrange(80_000, 4 * SECOND), message.emitted_at + 1000)
        message.emitted_at = emitted
        stamp = message.stamp
        replied, transferred = message.replied_at, message.transferred_at
        row = _encode(
            {
                "message_id": message.message_id,
                "record_version": message.versions,
                "emitted_at": stamp(emitted),
                "thread_id": message.thread_id,
                "direction": "inbound",
                "mailbox": message.mailbox,
                "line_of_business": message.line_shown,
                "from_address": message.from_address,
                "received_at": stamp(message.received_at),
                "replied_at": None if replied is None else stamp(replied),
                "agent_id": message.agent_id,
                "reason_codes": message.codes,
                "transferred_to": None if transferred is None else "csmt",
                "transferred_at": None if transferred is None else stamp(transferred),
                "is_complaint": message.is_complaint,
                "is_callback_request": message.is_callback_request,
            }
        )
        self._put(emitted, row)

    def _reply(self, message: _Message, now: int) -> None:
        """Write the outbound message that answers an inbound one."""
        rng, stamp = self._rng, message.stamp
        emitted = now + rng.randrange(80_000, 4 * SECOND)
        row = _encode(
            {
                "message_id": f"E-{rng.getrandbits(64):016x}",
                "record_version": 1,
                "emitted_at": stamp(emitted),
                "thread_id": message.thread_id,
                "direction": "outbound",
                "mailbox": message.mailbox,
                "line_of_business": message.line_shown,
                "from_address": message.mailbox,
                "received_at": stamp(now),
                "replied_at": None,
                "agent_id": message.agent_id,
                "reason_codes": [],
                "transferred_to": None,
                "transferred_at": None,
                "is_complaint": False,
                "is_callback_request": False,
            }
        )
        self._put(emitted, row)
