"""The contact centre at work: an event simulation of menus, first-in first-out queues, agents and callers.

Events lie on one heap in order of time. A call holds only what has happened to it, so that a record written
at any instant says what the platform could know then. This module writes no record itself: it hands a call to
`send` whenever the platform would send it.

A warm transfer is introduced during the first agent's talk; its caller then waits in the next queue like any
other.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from heapq import heappop, heappush
from math import exp, log
from random import Random
from typing import Any

from infra.simulator.calls import Call, Leg
from infra.simulator.customers import Customer, Customers
from infra.simulator.lines import (
    CSMT,
    LINES,
    MENUS_IN_QUEUE,
    MENUS_SELF_SERVED,
    REASON_CODES,
    TEST_NUMBER,
    TEST_SHARE,
    UNKNOWN_CODES,
    UNMAPPED_NUMBER,
    UNMAPPED_SHARE,
    Line,
    line_of,
)
from infra.simulator.observer import Observer
from infra.simulator.opening import HOUR, SECOND, Calendar, Hours, local
from infra.simulator.roster import GRACE, Agent

RING_SECONDS = 4
"""An agent connects within this time of being given a call."""
_MOST_LEGS = 6
_CODES = list(REASON_CODES)
_CODE_WEIGHTS = [weight for _, _, weight in REASON_CODES.values()]


@dataclass(slots=True)
class _Queue:
    """A queue: who waits, in order of entry, and which agents are idle, longest first."""

    waiting: deque[tuple[Call, Leg]] = field(default_factory=deque)
    idle: deque[Agent] = field(default_factory=deque)
    length: int = 0


class Floor:
    """All lines over all days, on one clock."""

    def __init__(
        self,
        seed: int,
        calendar: Calendar,
        customers: Customers,
        send: Callable[[Call, int], None],
        observer: Observer | None = None,
    ) -> None:
        """Set up an empty floor.

        Args:
            seed: The same seed and arrivals give the same calls.
            calendar: Opening hours.
            customers: Who calls.
            send: Called with a call and the instant whenever the platform sends a record of it.
            observer: Told of what happens, as it happens.
        """
        self.counts: Counter[str] = Counter()
        self.in_progress = 0
        self._rng = Random(f"{seed} floor")
        self._customers = customers
        self._send = send
        self._observer = observer or Observer()
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._scheduled = 0
        names = [name for line in LINES for name in (line.general_queue, line.second_queue)]
        self._queues = {name: _Queue() for name in [*names, CSMT]}
        self._calendar = calendar
        # Local days begin on a whole hour, so an hour has one opening.
        self._hours_at: Callable[[str, int], Hours | None] = cache(
            lambda line, hour: calendar.hours(line, local(hour * HOUR).date())
        )

    # The clock

    def open_day(self, day: date, agents: Iterable[Agent]) -> None:
        """Announce a local day: agents log in as their shifts start, and queues are cleared after closing."""
        agents = list(agents)
        self._observer.day_opened(day, agents)
        for agent in agents:
            self._at(agent.starts, self._free, agent)
        for name in self._queues:
            hours = self._calendar.hours(line_of(name), day)
            if hours is not None:
                self._at(hours.closes + GRACE, self._clear, name)

    def arrive(self, when: int, line: Line) -> None:
        """Let somebody ring a line, after everything that happens before."""
        self.run_until(when)
        customer, returning = self._customers.next_caller(line)
        self.counts["returning callers"] += returning
        self._ring(when, customer, line)

    def run_until(self, when: int) -> None:
        """Let everything happen that is due before an instant."""
        events = self._events
        while events and events[0][0] < when:
            at, _, action, arguments = heappop(events)
            action(at, *arguments)

    def _at(self, when: int, action: Callable[..., None], *arguments: object) -> None:
        # The running number keeps events of one instant in the order in which they were scheduled.
        self._scheduled += 1
        heappush(self._events, (when, self._scheduled, action, arguments))

    # Chance

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share

    def _lasts(self, median_seconds: float, sigma: float, longest_seconds: float) -> int:
        """Draw a log-normal duration in microseconds."""
        return int(min(exp(self._rng.gauss(log(median_seconds), sigma)), longest_seconds) * SECOND)

    def _between(self, low_seconds: float, high_seconds: float) -> int:
        return int(self._rng.uniform(low_seconds, high_seconds) * SECOND)

    # The menu

    def _ring(self, now: int, customer: Customer, line: Line) -> None:
        bits = self._rng.getrandbits(128)
        is_test = self._happens(TEST_SHARE)
        shown, withheld = (TEST_NUMBER, False) if is_test else self._customers.as_shown(customer)
        dialled = line.dialled_number
        if line is LINES[0] and self._happens(UNMAPPED_SHARE / line.share):
            dialled = UNMAPPED_NUMBER
        language = customer.language if line.name != "PVS" else "en"
        text = f"{bits:032x}"
        call = Call(
            call_id=f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}",
            line=line,
            customer=customer,
            dialled_number=dialled,
            caller_number=shown,
            language=language,
            received_at=now,
            is_test=is_test,
            is_precise=bits % 10 < 7,
            is_sparse=bits % 11 == 0,
            ivr_path=["welcome"] if line.name == "PVS" else ["welcome", "language"],
        )
        self.in_progress += 1
        self._observer.rang(now, call)
        self.counts["calls"] += 1
        self.counts["test calls"] += is_test
        self.counts["calls without a number"] += withheld
        self.counts["Welsh calls"] += language == "cy"
        self.counts["calls to an unmapped number"] += dialled == UNMAPPED_NUMBER
        if not self._is_open(line.name, now):
            self._hear_closed(now, call)
            return
        chance = self._rng.random()
        if chance < line.self_served:
            call.ivr_path += self._rng.choice(MENUS_SELF_SERVED)
            self._end_in_menu(now + self._lasts(85, 0.5, 900), call, "self_served")
        elif chance < line.self_served + 0.05:
            self._end_in_menu(now + self._lasts(18, 0.9, 600), call, "abandoned")
        elif chance < line.self_served + 0.053:
            self._end_in_menu(now + self._lasts(12, 0.7, 120), call, "forced_disconnect")
        else:
            call.ivr_path += self._rng.choice(MENUS_IN_QUEUE)
            self._at(now + self._lasts(42, 0.45, 240), self._leave_menu, call)

    def _is_open(self, line: str, now: int) -> bool:
        hours = self._hours_at(line, now // HOUR)
        return hours is not None and hours.opens <= now < hours.closes

    def _hear_closed(self, now: int, call: Call) -> None:
        """Play the message that the line is closed; some hang up, and few use the menu that it offers."""
        call.ivr_path.append("closed")
        chance = self._rng.random()
        if chance < 0.70:
            self._end_in_menu(now + 21 * SECOND + self._between(0, 2), call, "forced_disconnect")
        elif chance < 0.92:
            self._end_in_menu(now + self._between(1, 20), call, "abandoned")
        else:
            call.ivr_path += ["application_status", "status_given"]
            self._end_in_menu(now + self._lasts(80, 0.4, 600), call, "self_served")

    def _end_in_menu(self, when: int, call: Call, outcome: str) -> None:
        self._at(when, self._ended_in_menu, call, outcome)

    def _ended_in_menu(self, now: int, call: Call, outcome: str) -> None:
        call.ivr_outcome, call.ivr_ended_at = outcome, now
        self.counts[f"menu {outcome}"] += 1
        self._end(now, call)

    def _leave_menu(self, now: int, call: Call) -> None:
        """Pass the caller to the queue, unless the line has closed meanwhile or the queue is full."""
        queue = self._queues[call.line.general_queue]
        full = queue.length >= 40 + 1500 * call.line.share
        if full or not self._is_open(call.line.name, now):
            call.ivr_path.append("lines_busy" if full else "closed")
            self._end_in_menu(now + self._between(12, 15), call, "forced_disconnect")
            if full and self._happens(0.3):
                self._ring_again(now, call)
            return
        if not self._happens(0.01):  # one node of the platform forgets to write it
            call.ivr_ended_at = now
        self.counts["calls queued"] += 1
        if self._happens(0.02):
            self._at(now + self._between(5, 240), self._send_open, call)
        self._enter(now, call, call.line.general_queue)

    # The queue

    def _enter(self, now: int, call: Call, name: str) -> None:
        leg = Leg(len(call.legs) + 1, name, now)
        call.legs.append(leg)
        self._observer.entered(now, call, leg)
        queue = self._queues[name]
        if leg.number == 1 and self._happens(0.014):
            # Gives up during the announcement, before any agent is looked for.
            self._at(now + self._lasts(3, 0.8, 30), self._leave, call, leg, "abandoned")
            queue.length += 1
            return
        agent = self._idle_agent(now, queue)
        if agent is not None:
            leg.is_waiting = False
            self._answer(now, call, leg, agent)
            return
        queue.waiting.append((call, leg))
        queue.length += 1
        patience, reason = self._lasts(420 if leg.number == 1 else 700, 1.0, 3600), "abandoned"
        other, chance = patience, self._rng.random()
        if leg.number == 1 and chance < 0.10:
            other, reason = self._between(120, 240), "callback_requested"
        elif leg.number == 1 and chance < 0.13:
            other, reason = self._between(180, 480), "flow_out"
        elif chance < 0.134:
            other, reason = self._between(5, 240), "forced_disconnect"
        self._at(
            now + min(patience, other), self._leave, call, leg, reason if other < patience else "abandoned"
        )

    def _idle_agent(self, now: int, queue: _Queue) -> Agent | None:
        """Take the agent who has been idle longest; those found to be on a break or gone leave the list."""
        while queue.idle:
            agent = queue.idle.popleft()
            back = agent.available_from(now)
            if back == now:
                return agent
            if back is not None:
                self._at(back, self._free, agent)
        return None

    def _free(self, now: int, agent: Agent) -> None:
        """Let a free agent go home, take a break, take the caller who has waited longest, or be idle."""
        agent.free_since = now
        self._observer.freed(now, agent)
        back = agent.available_from(now)
        if back is None:
            return
        if back > now:
            self._at(back, self._free, agent)
            return
        queue = self._queues[agent.queue]
        while queue.waiting:
            call, leg = queue.waiting.popleft()
            if leg.is_waiting:
                leg.is_waiting = False
                queue.length -= 1
                self._answer(now, call, leg, agent)
                return
        queue.idle.append(agent)

    def _leave(self, now: int, call: Call, leg: Leg, reason: str) -> None:
        """End the wait of a caller whom no agent has reached."""
        if not leg.is_waiting:
            return
        leg.is_waiting = False
        self._queues[leg.queue].length -= 1
        leg.left_at, leg.end_reason = now, reason
        self._observer.left(now, call, leg)
        if reason == "flow_out":
            other = LINES[1] if call.line is LINES[0] else LINES[0]
            if self._happens(0.5) and self._is_open(other.name, now):
                self.counts["flowed out to another queue"] += 1
                self._enter(now, call, other.general_queue)
                return
        if not any(earlier.answered_at for earlier in call.legs):
            self.counts[f"queue {reason}"] += 1
            if not call.is_test and self._happens(
                {"abandoned": 0.4, "forced_disconnect": 0.6}.get(reason, 0)
            ):
                self._ring_again(now, call)
        else:
            self.counts[f"transfer {reason}"] += 1
        self._end(now, call)

    def _ring_again(self, now: int, call: Call) -> None:
        when = now + self._lasts(240, 1.2, 10 * 3600)
        if self._is_open(call.line.name, when):
            self._at(when, self._redial, call.customer, call.line)

    def _redial(self, now: int, customer: Customer, line: Line) -> None:
        self.counts["redials"] += 1
        self._ring(now, customer, line)

    def _clear(self, now: int, name: str) -> None:
        """Disconnect whoever still waits when the last agents have left."""
        queue = self._queues[name]
        waiting = list(queue.waiting)
        queue.waiting.clear()
        queue.idle.clear()
        for call, leg in waiting:
            self._leave(now, call, leg, "forced_disconnect")

    # The agent

    def _answer(self, now: int, call: Call, leg: Leg, agent: Agent) -> None:
        self._observer.assigned(now, agent)
        # One in eight is connected at once, without ringing.
        self._at(
            now + max(0, self._between(-RING_SECONDS / 7, RING_SECONDS)), self._connect, call, leg, agent
        )

    def _connect(self, now: int, call: Call, leg: Leg, agent: Agent) -> None:
        if not any(earlier.answered_at for earlier in call.legs):
            self.counts["calls answered"] += 1
        leg.answered_at, leg.agent_id = now, agent.agent_id
        self._observer.connected(now, call, leg, agent)
        hangs_up = self._happens(0.016)
        if call.is_test:
            talk = self._lasts(30, 0.3, 120)
        else:
            level = {call.line.second_queue: 1.5, CSMT: 2.4}.get(leg.queue, 1.0)
            talk = self._lasts(call.line.talk_seconds * level, 0.6, 3600)
        if hangs_up:
            talk = int(talk * self._rng.uniform(0.05, 0.8))
        self._at(now + talk, self._hang_up, call, leg, agent, hangs_up)

    def _hang_up(self, now: int, call: Call, leg: Leg, agent: Agent, hangs_up: bool) -> None:
        """End a leg with an agent, and pass the caller on or end the call."""
        leg.left_at = now
        talk = (now - (leg.answered_at or now)) / SECOND
        held = self._happens(0.16)
        leg.hold_seconds = self._seconds(call, talk * self._rng.uniform(0.05, 0.5)) if held else 0
        wrap = self._seconds(call, 0 if self._happens(0.08) else self._lasts(38, 0.8, 900) / SECOND)
        queue = None if hangs_up else self._onward(now, call, leg)
        leg.end_reason = "abandoned" if hangs_up else "transferred" if leg.transfer_to else "completed"
        self.counts["abandoned with an agent"] += hangs_up
        is_lost = self._happens(0.003)
        self._observer.hung_up(now, call, leg, agent, is_lost or wrap > 0)
        if is_lost:
            # The agent's desktop fails: wrap-up is never heard of again.
            self._at(now + self._between(60, 300), self._free, agent)
        elif wrap == 0:
            self._code(leg)
            leg.wrap_seconds = wrap
            self._observer.wrapped(now, call, leg)
            self._at(now, self._free, agent)
        else:
            call.is_held = queue is None and self._happens(0.25)
            self._at(now + int(wrap * SECOND), self._finish, call, leg, agent, wrap)
        if queue is None:
            self._end(now, call)
        else:
            self._enter(now, call, queue)

    def _onward(self, now: int, call: Call, leg: Leg) -> str | None:
        """Decide whether the agent transfers the caller, note it on the leg, and give the next queue."""
        if call.is_test or len(call.legs) >= _MOST_LEGS:
            return None
        line = call.line
        choices: list[tuple[str, str | None, float]]
        if leg.queue == CSMT:
            choices = [("other", None, 0.02)]
        elif leg.queue.endswith("_2ND"):
            # Back to where the caller came from: a loop, and rare.
            choices = [("csmt", CSMT, 0.05), ("other", line.general_queue, 0.015)]
        else:
            second = ("2nd_line", line.second_queue, line.to_2nd_line)
            choices = [second, ("csmt", CSMT, 0.01), ("other", None, 0.004)]
        chance = self._rng.random()
        for target, queue, share in choices:  # noqa: B007  # the one chosen is used below
            chance -= share
            if chance < 0:
                break
        else:
            return None
        if queue is not None and not self._is_open(line_of(queue), now):
            return None
        leg.transfer_to, leg.transfer_mode = target, "warm" if self._happens(0.45) else "cold"
        self.counts[f"transfers to {target}, {leg.transfer_mode}"] += 1
        return queue

    def _finish(self, now: int, call: Call, leg: Leg, agent: Agent, wrap: float) -> None:
        """End the wrap-up of a leg; the platform sends the call again when it is over."""
        self._code(leg)
        leg.wrap_seconds = wrap
        self._observer.wrapped(now, call, leg)
        if call.ended_at is not None:
            self._send(call, now)
        if leg.end_reason == "completed" and self._happens(0.015):
            self._at(now + self._lasts(16 * 3600, 1.2, 12 * 86400), self._correct, call, leg)
        self._free(now, agent)

    def _code(self, leg: Leg) -> None:
        chance = self._rng.random()
        if chance < 0.025:
            return
        leg.reason_codes = list(
            dict.fromkeys(self._rng.choices(_CODES, _CODE_WEIGHTS, k=2 if chance > 0.84 else 1))
        )
        if chance < 0.027:
            leg.reason_codes = [self._rng.choice(UNKNOWN_CODES)]

    def _seconds(self, call: Call, seconds: float) -> float:
        """Round a duration as the platform node does: to tenths, or to whole seconds."""
        return round(seconds, 1) if call.is_precise else int(seconds)

    # The record

    def _end(self, now: int, call: Call) -> None:
        call.ended_at = now
        self.in_progress -= 1
        self._observer.ended(now, call)
        if not call.is_held:
            self._send(call, now)

    def _send_open(self, now: int, call: Call) -> None:
        if call.ended_at is None:
            self.counts["records of open calls"] += 1
            self._send(call, now)

    def _correct(self, now: int, call: Call, leg: Leg) -> None:
        """Correct the codes of a leg, hours or days later."""
        wrong = leg.reason_codes
        while leg.reason_codes == wrong:
            leg.reason_codes = self._rng.choices(_CODES, _CODE_WEIGHTS)
        self.counts["corrected codes"] += 1
        self._send(call, now)
