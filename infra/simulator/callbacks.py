"""Call-backs: asked for in a queue, in a chat or by e-mail, tried by a few agents who do nothing else.

Each is a little story on the agenda, so that a customer who rings again can still put an end to it. It must not
make anybody ring: who rings is the floor's affair.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from functools import partial
from random import Random

import msgspec

from infra.simulator.agenda import Agenda
from infra.simulator.agents import AVAILABLE, BREAK, IN_CALL, OFFLINE, WRAP_UP, AgentLog, Put
from infra.simulator.calls import Call, Leg
from infra.simulator.codes import draw_codes
from infra.simulator.lines import LINES, Line
from infra.simulator.opening import HOUR, SECOND, Calendar, local
from infra.simulator.stamps import LOCAL, ZULU, Stamp, any_style, micros, millis

_encode = msgspec.json.Encoder().encode
_LINES_SERVED = json.dumps([line.name for line in LINES])
_MOST_ATTEMPTS = 4
_LONGEST_DAYS = 5
_OUTCOMES = ("connected", "no_answer", "busy", "failed")
_OUTCOME_WEIGHTS = (62, 27, 7, 4)
_MINUTE = 60 * SECOND


class _Callback:
    """One call-back that is not over yet."""

    __slots__ = (
        "attempts", "call_id", "callback_id", "channel", "dialled_number", "is_over", "line", "number", "requested_at",
    )  # fmt: skip

    def __init__(self, callback_id: str, call_id: str | None, channel: str, line: Line, now: int) -> None:
        self.callback_id = callback_id
        self.call_id = call_id
        self.channel = channel
        self.line = line
        self.dialled_number = line.dialled_number
        self.number: str | None = None
        self.attempts = 0
        self.is_over = False
        self.requested_at = now


class Callbacks:
    """Every call-back, and the agents who make them.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(
        self, put: Put, rng: Random, calendar: Calendar, agenda: Agenda, log: AgentLog, calls_per_day: int
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._put = put
        self._rng = rng
        self._calendar = calendar
        self._agenda = agenda
        self._log = log
        self._staff = [f"B{number:04d}" for number in range(1, 3 + calls_per_day // 2_500)]
        self._free: list[str] = []
        self._by_number: dict[str, _Callback] = {}

    def open_day(self, day: date) -> None:
        """Let the agents who call back log in and out; they work as long as PAL is open."""
        hours = self._calendar.hours(LINES[0].name, day)
        if hours is not None:
            for agent_id in self._staff:
                self._agenda.at(hours.opens, partial(self._log_in, agent_id))
                lunch = hours.opens + 4 * HOUR + self._rng.randrange(120) * _MINUTE
                self._agenda.at(lunch, partial(self._lunch, agent_id))
                self._agenda.at(hours.closes, partial(self._log_out, agent_id))

    # What others tell

    def asked_in_queue(self, now: int, call: Call, leg: Leg) -> None:
        """A caller left the queue for a call-back."""
        callback = _Callback(f"CB-{self._rng.getrandbits(48):012x}", call.call_id, "voice", call.line, now)
        callback.dialled_number = call.dialled_number
        callback.number = call.customer.number
        self._by_number[call.customer.number] = callback
        self._request(now, callback, millis if not call.is_precise else micros)

    def asked_elsewhere(self, now: int, channel: str, contact_id: str, line: Line) -> None:
        """Somebody asked in a chat or by e-mail; the contact's id is in that of the call-back."""
        self._agenda.at(now, partial(self._register, _Callback(f"CB-{contact_id}", None, channel, line, now)))

    def _register(self, callback: _Callback, now: int) -> None:
        self._request(now, callback, micros)

    def rang(self, now: int, call: Call) -> None:
        """Somebody rings: a customer who was to be called back sometimes needs it no more."""
        callback = self._by_number.pop(call.customer.number, None)
        if callback is not None and not callback.is_over:
            self.counts["call-backs whose customer rang again"] += 1
            if self._rng.random() < 0.6:
                self._agenda.at(now + self._rng.randrange(60, 900) * SECOND, partial(self._cancel, callback))

    # The story

    def _request(self, now: int, callback: _Callback, precision: Stamp) -> None:
        self.counts[f"call-backs asked for by {callback.channel}"] += 1
        self._write(now, callback, "requested", precision=precision)
        if self._rng.random() < 0.03:  # nobody ever gets to it
            self._agenda.at(now + _LONGEST_DAYS * 24 * HOUR, partial(self._expire, callback))
            return
        if self._rng.random() < 0.04:
            self._agenda.at(now + self._rng.randrange(5, 300) * _MINUTE, partial(self._cancel, callback))
        wait = int(self._rng.lognormvariate(0.7, 0.9) * HOUR)
        self._agenda.at(now + min(wait, 30 * HOUR), partial(self._attempt, callback))

    def _attempt(self, callback: _Callback, now: int) -> None:
        if callback.is_over:
            return
        if now - callback.requested_at > _LONGEST_DAYS * 24 * HOUR:
            self._expire(callback, now)
            return
        hours = self._calendar.hours(callback.line.name, local(now).date())
        if hours is None or not hours.opens <= now < hours.closes - 10 * _MINUTE:
            # Nobody calls outside the hours of the line: look again in an hour and a bit.
            self._agenda.at(now + HOUR + self._rng.randrange(600) * SECOND, partial(self._attempt, callback))
            return
        if not self._free:
            self._agenda.at(now + self._rng.randrange(60, 600) * SECOND, partial(self._attempt, callback))
            return
        agent_id = self._free.pop(0)
        callback.attempts += 1
        [outcome] = self._rng.choices(_OUTCOMES, _OUTCOME_WEIGHTS)
        if outcome == "connected":
            self._reach(now, callback, agent_id)
            return
        self._write(now, callback, "attempted", outcome, agent_id)
        self._agenda.at(now + self._rng.randrange(20, 60) * SECOND, partial(self._release, agent_id, False))
        if callback.attempts >= _MOST_ATTEMPTS:
            self._agenda.at(now + HOUR, partial(self._expire, callback))
        else:
            self._agenda.at(now + self._rng.randrange(15, 240) * _MINUTE, partial(self._attempt, callback))

    def _reach(self, now: int, callback: _Callback, agent_id: str) -> None:
        """Reach the customer; now and then the platform writes only one of the two events."""
        callback.is_over = True
        chance = self._rng.random()
        connected = now + self._rng.randrange(3, 20) * SECOND + self._rng.randrange(SECOND)
        if chance > 0.03:
            self._write(now, callback, "attempted", "connected", agent_id)
        if chance < 0.97:
            self._agenda.at(connected, partial(self._connect, callback, agent_id))
        else:
            self.counts["call-backs connected without a further event"] += 1
        self._agenda.at(connected, partial(self._talk, agent_id))

    def _connect(self, callback: _Callback, agent_id: str, now: int) -> None:
        self.counts["call-backs connected"] += 1
        codes = draw_codes(self._rng)
        self._write(now, callback, "connected", None, agent_id, codes)

    def _cancel(self, callback: _Callback, now: int) -> None:
        self._close(callback, now, "cancelled")

    def _expire(self, callback: _Callback, now: int) -> None:
        self._close(callback, now, "expired")

    def _close(self, callback: _Callback, now: int, event: str) -> None:
        if not callback.is_over:
            callback.is_over = True
            self.counts[f"call-backs {event}"] += 1
            self._write(now, callback, event)

    def _write(
        self,
        now: int,
        callback: _Callback,
        event: str,
        outcome: str | None = None,
        agent_id: str | None = None,
        codes: list[str] | None = None,
        precision: Stamp | None = None,
    ) -> None:
        stamp: str
        if precision in (micros, millis):
            stamp = (micros if precision is micros else millis)(
                now, LOCAL if self._rng.random() < 0.2 else ZULU
            )
        else:
            stamp = any_style(self._rng)(now)
        row = _encode(
            {
                "event_id": f"{self._rng.getrandbits(96):024x}",
                "callback_id": callback.callback_id,
                "call_id": callback.call_id,
                "channel": callback.channel,
                "dialled_number": callback.dialled_number,
                "event": event,
                "occurred_at": stamp,
                "outcome": outcome,
                "agent_id": agent_id,
                "reason_codes": codes or [],
            }
        )
        self._put(now, row)

    # The agents who call back

    def _log_in(self, agent_id: str, now: int) -> None:
        self._free.append(agent_id)
        self._log.note(now, agent_id, _LINES_SERVED, AVAILABLE)

    def _lunch(self, agent_id: str, now: int) -> None:
        if agent_id in self._free:
            self._free.remove(agent_id)
            self._log.note(now, agent_id, _LINES_SERVED, BREAK)
            self._agenda.at(now + 40 * _MINUTE, partial(self._release, agent_id, True))

    def _log_out(self, agent_id: str, now: int) -> None:
        if agent_id in self._free:
            self._free.remove(agent_id)
            self._log.note(now, agent_id, _LINES_SERVED, OFFLINE)
        else:
            self._agenda.at(now + 5 * _MINUTE, partial(self._log_out, agent_id))

    def _talk(self, agent_id: str, now: int) -> None:
        self._log.note(now, agent_id, _LINES_SERVED, IN_CALL)
        talk = int(min(self._rng.lognormvariate(5.4, 0.6), 3600) * SECOND)
        self._agenda.at(now + talk, partial(self._wrap, agent_id))

    def _wrap(self, agent_id: str, now: int) -> None:
        self._log.note(now, agent_id, _LINES_SERVED, WRAP_UP)
        self._agenda.at(now + self._rng.randrange(15, 120) * SECOND, partial(self._release, agent_id, True))

    def _release(self, agent_id: str, is_change: bool, now: int) -> None:
        """Let an agent be free again; after a try that reached nobody the state has not changed."""
        self._free.append(agent_id)
        if is_change:
            self._log.note(now, agent_id, _LINES_SERVED, AVAILABLE)
