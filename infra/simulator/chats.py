"""Web chats: who asks for one, who takes it, what is typed, and the record in all its versions.

A version holds only what has happened by the instant at which it is emitted. Texts are made of a few phrases;
the card numbers in some are those that card schemes publish for tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import msgspec

from infra.simulator.agents import AgentLog, Put
from infra.simulator.codes import draw_codes
from infra.simulator.demand import Demand
from infra.simulator.desks import Team
from infra.simulator.lines import LINES, Line
from infra.simulator.opening import HOUR, SECOND, Calendar
from infra.simulator.stamps import Stamp, any_style
from infra.simulator.volumes import CHATS, arrivals

_encode = msgspec.json.Encoder().encode
_PAGES = ("/track", "/apply", "/renew", "/fees", "/photo", "/documents", "/contact", "/urgent")
_ASKED = (
    "Hello, I applied five weeks ago and have heard nothing.",
    "Can you tell me where my application is?",
    "Which documents do I need for a first child passport?",
    "My photo was rejected and I do not know why.",
    "I travel in two weeks, can it be made faster?",
    "Ydych chi'n siarad Cymraeg?",
    "I have a reference that starts with APP.",
    "Has the fee changed?",
    "Who can confirm my identity?",
    "OK",
    "Thank you, that helps \U0001f642",
    "It says “awaiting documents”, but I sent them.",
)
_ANSWERED = (
    "Good morning, how can I help?",
    "Let me look that up for you.",
    "It is being examined; you need do nothing.",
    "Please send the original, not a copy.",
    "I have noted that on your application.",
    "Is there anything else I can help with?",
    "You can pay the difference by telephone.",
    "Thank you for waiting.",
)
TEST_CARDS = (
    "4111 1111 1111 1111",
    "4111111111111111",
    "5555-5555-5555-4444",
    "5105 1051 0510 5100",
    "378282246310005",
    "6011 1111 1111 1117",
    "4222222222222",
)
"""Numbers that pass the check of a card number and belong to no account."""
_WITH_CARD = 0.006
_WORK_SECONDS = 450
_SPARE = 1.35
_CALLBACK = 0.015
_COMPLAINT = 0.002


@dataclass(slots=True)
class _Chat:
    """A chat with everything that will happen in it; instants are in microseconds."""

    chat_id: str
    customer_id: str | None
    line: str | None
    language: str
    entry_page: str
    started_at: int
    stamp: Stamp
    is_sparse: bool
    queued_at: int | None = None
    accepted_at: int | None = None
    first_response_at: int | None = None
    ended_at: int = 0
    end_reason: str = ""
    transfer_to: str | None = None
    agent_id: str | None = None
    codes: list[str] = field(default_factory=list)
    messages: list[tuple[int, str, str]] = field(default_factory=list)


class Chats:
    """The chats of every day.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(
        self,
        put: Put,
        seed: int,
        calendar: Calendar,
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
        self._rng = Random(f"{seed} chats")
        self._calendar = calendar
        self._demand = demand
        self._log = log
        self._customers = 40 + calls_per_day * 3
        self._asks_for_callback = asks_for_callback
        self._complains = complains

    def open_day(self, day: date) -> None:
        """Let the chats of a local day happen; they keep the hours of PAL."""
        hours = self._calendar.hours(LINES[0].name, day)
        if hours is None:
            return
        rng = self._rng
        asking = arrivals(self._demand, day, CHATS, [self._seed, 11], 0.0)
        needed = 2 + int(len(asking) * _WORK_SECONDS * SECOND * _SPARE / (hours.closes - hours.opens))
        people = [f"W{number:04d}" for number in range(1, needed + 1)]
        team = Team("webchat", people, hours.opens, hours.closes, self._log, rng)
        for when, line in asking:
            self._happen(when, line, team, hours.opens <= when < hours.closes)
        team.go_home()

    def _happen(self, when: int, line: Line, team: Team, is_open: bool) -> None:
        rng = self._rng
        chat = _Chat(
            chat_id=f"W-{rng.getrandbits(64):016x}",
            customer_id=self._customer(),
            line=None if rng.random() < 0.04 else line.name,
            language="cy" if rng.random() < 0.02 else "en",
            entry_page=rng.choice(_PAGES),
            started_at=when,
            stamp=any_style(rng),
            is_sparse=rng.random() < 0.09,
        )
        self.counts["chats"] += 1
        asked = when + rng.randrange(2 * SECOND, 30 * SECOND)
        chat.messages.append((asked, "customer", rng.choice(_ASKED)))
        if not is_open:
            chat.ended_at, chat.end_reason = asked + SECOND, "forced_disconnect"
            self._send(chat, asked + SECOND)
            return
        chat.queued_at = queued = asked + rng.randrange(SECOND)
        accepted = max(team.free_from(), queued) + rng.randrange(SECOND, 4 * SECOND)
        patience = int(min(rng.lognormvariate(5.6, 0.9), 3600) * SECOND)
        if accepted - queued > patience:
            chat.ended_at, chat.end_reason = queued + patience, "abandoned_in_queue"
            self._send(chat, chat.ended_at)
            return
        person = team.take()
        chat.accepted_at, chat.agent_id = accepted, person[0]
        self._talk(chat)
        wrapped = chat.ended_at + rng.randrange(5 * SECOND, 90 * SECOND)
        team.work(person, accepted, chat.ended_at, wrapped)
        self._send(chat, wrapped)
        if rng.random() < _CALLBACK:
            self._asks_for_callback(chat.ended_at, "webchat", chat.chat_id, line)
        if rng.random() < _COMPLAINT:
            self._complains(wrapped, "webchat", chat.chat_id, line)

    def _customer(self) -> str | None:
        rng = self._rng
        chance = rng.random()
        if chance < 0.2:
            return None
        address = f"customer{rng.randrange(self._customers)}@example.{'com' if chance < 0.9 else 'org'}"
        return address if chance < 0.8 else f" {address.title()}" if chance > 0.97 else address.upper()

    def _talk(self, chat: _Chat) -> None:
        """Draw what is typed and how the chat ends."""
        rng = self._rng
        assert chat.accepted_at is not None  # noqa: S101  # only accepted chats are talked in
        now = chat.accepted_at + rng.randrange(4 * SECOND, 50 * SECOND)
        chat.first_response_at = now
        chat.messages.append((now, "agent", _ANSWERED[0]))
        for number in range(rng.randrange(1, 7)):
            now += rng.randrange(8 * SECOND, 90 * SECOND)
            chat.messages.append((now, "customer", rng.choice(_ASKED)))
            if number and rng.random() < 0.1:
                continue
            now += rng.randrange(8 * SECOND, 90 * SECOND)
            chat.messages.append((now, "agent", rng.choice(_ANSWERED)))
        if rng.random() < _WITH_CARD:
            self.counts["chats with a card number"] += 1
            now += rng.randrange(8 * SECOND, 60 * SECOND)
            text = f"My card is {rng.choice(TEST_CARDS)}, expires 12/29."
            chat.messages.append((now, "customer", text))
        reasons = ("completed", "abandoned_in_chat", "transferred", "idle", "forced_disconnect")
        [chat.end_reason] = rng.choices(reasons, (84, 7, 4, 4, 1))
        if chat.end_reason == "transferred":
            chat.transfer_to = rng.choice(("csmt", "2nd_line"))
        chat.ended_at = now + (
            600 * SECOND if chat.end_reason == "idle" else rng.randrange(SECOND, 40 * SECOND)
        )
        chat.codes = draw_codes(rng)

    # The record

    def _send(self, chat: _Chat, wrapped: int) -> None:
        """Send the versions of a chat: at times one while it is open, one at its end, one after wrap-up."""
        rng = self._rng
        self.counts[f"chats {chat.end_reason.replace('_', ' ')}"] += 1
        version = 1
        if rng.random() < 0.06:
            version += self._write(chat, version, rng.randint(chat.started_at, chat.ended_at - 1), None)
        ended = chat.ended_at + rng.randrange(80_000, 2 * SECOND)
        is_held = wrapped > chat.ended_at and rng.random() < 0.2
        if not is_held:
            version += self._write(chat, version, ended, [])
        if wrapped > chat.ended_at:
            emitted = max(wrapped, ended) + rng.randrange(80_000, 2 * SECOND)
            version += self._write(chat, version, emitted, chat.codes)
            if rng.random() < 0.02:
                later = emitted + int(min(rng.lognormvariate(2.2, 1.2), 200) * HOUR)
                self._write(chat, version, later, draw_codes(rng))

    def _write(self, chat: _Chat, version: int, emitted: int, codes: list[str] | None) -> bool:
        """Write a version as it is known at an instant; without codes, while the chat is open."""
        stamp = chat.stamp

        def known(when: int | None) -> str | None:
            return None if when is None or when > emitted else stamp(when)

        messages = chat.messages
        if codes is None:
            messages = [message for message in messages if message[0] <= emitted]
        is_over = codes is not None
        is_accepted = chat.accepted_at is not None and chat.accepted_at <= emitted
        from_customer = sum(author == "customer" for _, author, _ in messages)
        record: dict[str, Any] = {
            "chat_id": chat.chat_id,
            "record_version": version,
            "emitted_at": stamp(emitted),
            "customer_id": chat.customer_id,
            "line_of_business": chat.line,
            "language": chat.language,
            "entry_page": chat.entry_page,
            "started_at": stamp(chat.started_at),
            "queued_at": known(chat.queued_at),
            "accepted_at": known(chat.accepted_at),
            "first_response_at": known(chat.first_response_at),
            "ended_at": stamp(chat.ended_at) if is_over else None,
            "end_reason": chat.end_reason if is_over else None,
            "transfer_to": chat.transfer_to if is_over else None,
            "agent_id": chat.agent_id if is_accepted else None,
            "reason_codes": codes or [],
            "messages_customer": from_customer,
            "messages_agent": len(messages) - from_customer,
            "transcript": [
                {"at": stamp(when), "from": author, "text": text} for when, author, text in messages
            ],
        }
        if chat.is_sparse:
            record = {name: value for name, value in record.items() if value is not None}
        self._put(emitted, _encode(record))
        return True
