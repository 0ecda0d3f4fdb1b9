"""Complaints, and confirmations of payments: what other teams keep, and send as a table once a day.

Both follow from contacts that happened, and carry their ids. No card data is ever in a payment.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

from infra.simulator.agenda import Agenda
from infra.simulator.agents import Put
from infra.simulator.blemishes import cells
from infra.simulator.calls import Call, Leg
from infra.simulator.lines import CSMT, Line
from infra.simulator.opening import HOUR, SECOND
from infra.simulator.stamps import Stamp, any_style
from infra.simulator.volumes import CALLS, PAYMENTS
from infra.simulator.wip import Applications

_CATEGORIES = ("DELAY", "SERVICE", "CONDUCT", "FEES", "PRODUCT")
_CATEGORY_WEIGHTS = (50, 25, 8, 9, 8)
_OUTCOMES = ("upheld", "partly_upheld", "not_upheld", "withdrawn")
_BY_VOICE = 0.00115
"""Share of the calls wrapped up that lead to a complaint."""

_FEES = (9_450, 6_150, 17_800, 12_600, 22_200, 3_100)
_FEE_WEIGHTS = (30, 20, 18, 10, 8, 14)
_REASONS = (
    "Upgrade to Fast Track",
    "Fee difference, change of name",
    "Fee not taken online",
    "Replacement, lost or stolen",
    'Courier, marked "signed for"',
    "",
)
_PAID = PAYMENTS / CALLS / 0.79
"""Share of the calls wrapped up in which a payment is taken."""


class _Complaint:
    """A complaint as the team knows it so far."""

    __slots__ = (
        "category", "channel", "complaint_id", "contact_id", "escalated_at", "line", "outcome", "received_at",
        "resolved_at", "stamp", "summary",
    )  # fmt: skip

    def __init__(self, now: int, channel: str, contact_id: str, line: Line, rng: Random) -> None:
        self.complaint_id = f"C-{rng.getrandbits(48):012x}"
        self.received_at = now
        self.channel = channel
        self.contact_id = contact_id
        self.line = line.name
        [self.category] = rng.choices(_CATEGORIES, _CATEGORY_WEIGHTS)
        self.summary = f"{self.category}-{rng.randrange(1, 6):02d}"
        self.escalated_at: int | None = None
        self.resolved_at: int | None = None
        self.outcome = ""
        self.stamp: Stamp = any_style(rng)


class Complaints:
    """Every complaint; its row is sent when it is received, escalated and resolved.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(self, put: Put, rng: Random, agenda: Agenda) -> None:
        self.counts: Counter[str] = Counter()
        self._put = put
        self._rng = rng
        self._agenda = agenda

    def wrapped(self, now: int, call: Call) -> None:
        """A leg of a call was wrapped up; its caller may have complained."""
        if not call.is_test and self._rng.random() < _BY_VOICE:
            self.receive(now, "voice", call.call_id, call.line)

    def receive(self, when: int, channel: str, contact_id: str, line: Line) -> None:
        """Take up a complaint made in a contact."""
        rng = self._rng
        complaint = _Complaint(when, channel, contact_id, line, rng)
        self.counts[f"complaints by {channel}"] += 1
        self._agenda.at(when, partial(self._send, complaint))
        if rng.random() < 0.2:
            self._agenda.at(when + rng.randrange(HOUR, 72 * HOUR), partial(self._escalate, complaint))
        resolved = when + int(min(rng.lognormvariate(4.6, 0.8), 900) * HOUR)
        self._agenda.at(resolved, partial(self._resolve, complaint))

    def _escalate(self, complaint: _Complaint, now: int) -> None:
        if complaint.resolved_at is None:
            complaint.escalated_at = now
            self.counts["complaints escalated to CSMT"] += 1
            self._send(complaint, now)

    def _resolve(self, complaint: _Complaint, now: int) -> None:
        complaint.resolved_at = now
        complaint.outcome = self._rng.choices(_OUTCOMES, (30, 25, 40, 5))[0]
        self.counts["complaints resolved"] += 1
        self._send(complaint, now)

    def _send(self, complaint: _Complaint, now: int) -> None:
        stamp = complaint.stamp
        values = [
            complaint.complaint_id,
            stamp(complaint.received_at),
            complaint.channel,
            complaint.contact_id,
            complaint.line,
            complaint.category,
            complaint.summary,
            "" if complaint.escalated_at is None else stamp(complaint.escalated_at),
            "" if complaint.resolved_at is None else stamp(complaint.resolved_at),
            complaint.outcome,
        ]
        self._put(now, cells(values).encode())


class Payments:
    """Every payment taken in a call.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(self, put: Put, rng: Random, applications: Applications) -> None:
        self.counts: Counter[str] = Counter()
        self._put = put
        self._rng = rng
        self._applications = applications

    def wrapped(self, now: int, call: Call, leg: Leg) -> None:
        """A leg of a call was wrapped up; a payment may have been taken in it."""
        rng = self._rng
        if call.is_test or leg.queue == CSMT or rng.random() >= _PAID:
            return
        if leg.answered_at is None or leg.left_at is None or leg.left_at - leg.answered_at < 20 * SECOND:
            return
        taken = leg.answered_at + int((leg.left_at - leg.answered_at) * rng.uniform(0.3, 0.95))
        chance = rng.random()
        status = "taken" if chance < 0.93 else "declined" if chance < 0.985 else "refunded"
        # Some pay for an application that has not come in yet.
        in_hand = rng.random() < 0.92
        reference = (
            self._applications.any_in_hand(rng) if in_hand else self._applications.not_yet_in_hand(rng)
        )
        self.counts[f"payments {status}"] += 1
        values = [
            f"P{rng.getrandbits(48):012x}",
            any_style(rng)(taken),
            str(rng.choices(_FEES, _FEE_WEIGHTS)[0]),
            "GBP",
            "card" if rng.random() < 0.97 else "voucher",
            status,
            reference,
            call.call_id,
            rng.choice(_REASONS),
        ]
        self._put(now, cells(values).encode())
