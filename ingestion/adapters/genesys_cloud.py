"""Conversation detail records of Genesys Cloud, put together into calls and call-backs.

It exists because Genesys Cloud writes no calls: it writes conversations, in which participants have sessions and
sessions have segments. It must not open a file, a connection or a setting, look at the clock, or know in which order
records arrived; and it must not replace callers' numbers, which the loader has done before it comes here.

Written after these pages of the vendor: "Conversation detail data model" and "Conversation detail query" of the
Genesys Cloud Developer Center, the SDK pages AnalyticsConversation, AnalyticsParticipant, AnalyticsSession and
AnalyticsConversationSegment, and "How is disconnect type calculated?" and "Disconnect reasons" of the Resource Center.

How a conversation becomes a call:

- It is a call received if a customer (or external) participant has an inbound voice session. Sessions of other media
  are not looked at, except `callback`.
- A leg is a queue visit, a run of segments of one queue in an `acd` session, and the agent who took it: the first
  whose session on that queue began after it. Only an `interact` or `hold` segment is an answer: an alert that was not
  taken, even with wrap-up behind it, is none, and the wait goes on. An agent reached in another way (a transfer
  between agents) is a leg of his own, queued when it began to ring.
- A queue visit that began while an agent spoke and ended before that agent left was a consultation, and is no leg.
- A transfer is warm after `consultTransfer` or if the next agent answered before the one before left, else cold.
- A segment without an end ends where the next segment of its session begins; the last one where the call ended; and if
  the call has not ended it is open. Only wrap-up stays open, since it goes on when the call is over.
- The call ended when all that the customer did on it ended; if that is not known, when the conversation did, which with
  a call-back in it can be much later.
- Wrap-up seconds are those of the wrap-up segments; else the metric tAcw; else 0 if the metric tHandle, which is
  given when handling is over, is there; else not known yet.
- Who hung up is read from the customer's own session: `peer` is the other side; `endpoint` and `client` the customer.
- A caller hanging up on an agent is `completed`, unless the participant attribute `leg_outcome` says `abandoned`.
- Before a queue the caller hanging up is `abandoned`, every other end `forced_disconnect`; the attribute
  `ivr_outcome` = `self_served` says that the caller had been served.

Participant attributes read, in any case: `is_test`, `language`, `ivr_outcome`, `ivr_path`, `reason_codes`,
`leg_outcome`, `callback_outcome`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import msgspec

from ingestion.adapters.assembled import (
    DIRECT_TO_AGENT,
    UNKNOWN_NUMBER,
    Assembled,
    Reader,
    SupportLineOf,
    event_id_of,
    hold_within,
    instant_text,
    is_true,
    language_of,
    listed,
    transfer_to,
)
from ingestion.adapters.objects import KEPT_OF_BAD_TEXT, MAX_OBJECT_BYTES, PlatformText, objects

MAX_PAGE_BYTES = 64 << 20

_ATTRIBUTES = (
    "is_test",
    "language",
    "ivr_outcome",
    "ivr_path",
    "reason_codes",
    "leg_outcome",
    "callback_outcome",
)
_CUSTOMERS = ("customer", "external")
_AGENTS = ("agent", "user")
_TALK = ("interact", "hold")
_TRANSFERS = ("transfer", "consulttransfer", "transferconsult", "conferencetransfer", "transferconference")
_CONSULTED = ("consulttransfer", "transferconsult", "conferencetransfer", "transferconference")
_BY_SYSTEM = (
    "system",
    "error",
    "timeout",
    "transportfailure",
    "other",
    "inactivity",
    "sessionexpired",
    "uncallable",
)
_BY_ITSELF = ("endpoint", "client", "remote")
_BUSY = (486, 600)
_NO_ANSWER = (408, 480, 487)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a session in one state."""

    kind: str
    start: datetime
    end: datetime | None
    queue: str | None
    disconnect: str | None
    wrap_up_code: str | None
    sip_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """What one participant did on one medium; its segments are in order of time."""

    session_id: str
    media: str
    direction: str | None
    ani: str | None
    dnis: str | None
    segments: tuple[Segment, ...]
    metrics: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Participant:
    """Someone or something that took part; its sessions are in order of time."""

    participant_id: str
    purpose: str
    user_id: str | None
    sessions: tuple[Session, ...]
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is needed of one version of one conversation, in an order that does not depend on that of the record."""

    conversation_id: str
    started_at: datetime
    ended_at: datetime | None
    direction: str | None
    participants: tuple[Participant, ...]
    clashes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of all that was read, so that a record sent again unchanged is the same version."""
        return blake2b(repr(self).encode(), digest_size=16).hexdigest()

    @property
    def updated_at(self) -> datetime:
        """The latest instant of which the record tells: conversations have no time of their last change."""
        instants = [self.started_at, self.ended_at]
        for _, _, segment in self.segments():
            instants += [segment.start, segment.end]
        return max(instant for instant in instants if instant is not None)

    def segments(self) -> Iterator[tuple[Participant, Session, Segment]]:
        """Every segment with the session and the participant it is of."""
        for participant in self.participants:
            for session in participant.sessions:
                for segment in session.segments:
                    yield participant, session, segment

    def sessions(self, purposes: Sequence[str], media: str) -> list[tuple[Participant, Session]]:
        """The sessions of a medium of the participants with a purpose, in order of time; those without segments not."""
        found = [
            (participant, session)
            for participant in self.participants
            if participant.purpose in purposes
            for session in participant.sessions
            if session.media == media and session.segments
        ]
        return sorted(found, key=lambda pair: (pair[1].segments[0].start, pair[1].session_id))


# -------------------------------------------------------------------------------------------------------------- texts


class _Page(msgspec.Struct):
    conversations: list[msgspec.Raw] | None = None
    conversationId: Any = None  # noqa: N815  # the vendor's name
    totalHits: Any = None  # noqa: N815
    cursor: Any = None


def records(chunks: Iterable[bytes]) -> Iterator[PlatformText]:
    """Cut a stream into single conversations: one to a line, or pages of the API in any layout.

    A page holds its conversations in the list `conversations`, and may hold none. In memory is one page, at most
    MAX_PAGE_BYTES. A page that is no JSON is one bad item, since its parts cannot be told apart.
    """
    number = 0
    for text in objects(chunks, MAX_PAGE_BYTES):
        for item in _conversations(text):
            number += 1
            yield replace(item, number=number)


def _conversations(text: PlatformText) -> Iterator[PlatformText]:
    if text.problem is not None:
        yield text
        return
    try:
        page = msgspec.json.decode(text.text, type=_Page)
    except (msgspec.MsgspecError, ValueError) as error:
        if isinstance(error, msgspec.ValidationError) or b'"conversations"' in text.text:
            yield _bad(text, "a page of conversations cannot be read as JSON, or holds no list of them")
        else:
            yield _small(text)  # whoever decodes it says what is wrong with it
        return
    if page.conversations is None:
        if page.conversationId is None and (page.totalHits is not None or page.cursor is not None):
            return  # a page that holds nothing
        yield _small(text)
        return
    position = 0
    line = text.line
    for raw in page.conversations:
        part = bytes(raw)
        found = text.text.index(part, position)
        line += text.text.count(b"\n", position, found)
        item = PlatformText(text.number, line, part)
        yield (
            _small(item)
            if part.startswith(b"{")
            else _bad(item, "a page holds something else than a conversation")
        )
        line += part.count(b"\n")
        position = found + len(part)


def _small(text: PlatformText) -> PlatformText:
    if len(text.text) <= MAX_OBJECT_BYTES:
        return text
    return _bad(text, f"an object is larger than {MAX_OBJECT_BYTES} bytes")


def _bad(text: PlatformText, problem: str) -> PlatformText:
    return replace(text, text=text.text[:KEPT_OF_BAD_TEXT], problem=problem)


# ------------------------------------------------------------------------------------------------------------ reading


def read(value: dict[str, Any]) -> Conversation:
    """Read one conversation. Names are compared as `Reader` says; the order of lists makes no difference.

    Raises:
        PlatformRecordError: An identifier or a start is missing, or a value has another type than the vendor
            documents.
    """
    record = Reader(value)
    fields: dict[str, Any] = {
        "conversation_id": record.text("conversationId", required=True),
        "started_at": record.instant("conversationStart", required=True),
        "ended_at": record.instant("conversationEnd"),
        "direction": _word(record.text("originatingDirection")),
        "participants": tuple(sorted(map(_participant, record.objects("participants")), key=repr)),
    }
    return Conversation(**fields, clashes=tuple(sorted(record.clashes)))


def _participant(record: Reader) -> Participant:
    fields: dict[str, Any] = {
        "participant_id": record.text("participantId") or "",
        "purpose": _word(record.text("purpose")) or "",
        "user_id": record.text("userId"),
        "sessions": tuple(sorted(map(_session, record.objects("sessions")), key=repr)),
        "attributes": tuple(sorted(record.attributes("attributes", _ATTRIBUTES).items())),
    }
    return Participant(**fields)


def _session(record: Reader) -> Session:
    segments = sorted(map(_segment, record.objects("segments")), key=lambda each: (each.start, repr(each)))
    bounded = [
        replace(segment, end=segment.end or following.start) for segment, following in pairwise(segments)
    ]
    metrics = {
        each.text("name") or "": each.number("value") or 0.0
        for each in record.objects("metrics")
        if _is_time(each)
    }
    fields: dict[str, Any] = {
        "session_id": record.text("sessionId") or "",
        "media": _word(record.text("mediaType")) or "",
        "direction": _word(record.text("direction")),
        "ani": _address(record.text("ani")),
        "dnis": _address(record.text("dnis")),
        "segments": (*bounded, *segments[-1:]),
        "metrics": tuple(sorted(metrics.items())),
    }
    return Session(**fields)


def _is_time(metric: Reader) -> bool:
    return metric.text("name") in ("tAcw", "tHandle")


def _segment(record: Reader) -> Segment:
    fields: dict[str, Any] = {
        "kind": _word(record.text("segmentType")) or "",
        "start": record.instant("segmentStart", required=True),
        "end": record.instant("segmentEnd"),
        "queue": record.text("queueId"),
        "disconnect": _word(record.text("disconnectType")),
        "wrap_up_code": record.text("wrapUpCode"),
        "sip_codes": record.numbers("sipResponseCodes"),
    }
    return Segment(**fields)


def _word(text: str | None) -> str | None:
    """A word of the vendor's, however written: `transfer.consult` and `TRANSFER_CONSULT` are one."""
    return None if text is None else "".join(filter(str.isalnum, text)).lower()


def _address(text: str | None) -> str | None:
    """The number in an address such as `tel:+441632960001` or `sip:+441632960001@edge.example`."""
    if text is None:
        return None
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("tel", "sip", "sips"):
        return rest.partition("@")[0].partition(";")[0] or None
    return text


RECORD = Conversation
NOT_SEARCHED = frozenset({"conversation_id", "participant_id", "session_id", "ani", "dnis"})


def without_numbers(record: Conversation, replace_number: Callable[[str | None], str | None]) -> Conversation:
    """A conversation whose customer's numbers are replaced: who rings us, and whom we ring."""

    def hidden(session: Session) -> Session:
        # Who rings us rings a number of ours; of a call that we make, either number may be the customer's.
        dnis = session.dnis if session.direction == "inbound" else replace_number(session.dnis)
        return replace(session, ani=replace_number(session.ani), dnis=dnis)

    participants = tuple(
        replace(participant, sessions=tuple(map(hidden, participant.sessions)))
        for participant in record.participants
    )
    return replace(record, participants=participants)


def call_id_of(record: Conversation) -> str:
    """The call that a record is of: its conversation."""
    return record.conversation_id


def newest(records: Iterable[Conversation]) -> list[Conversation]:
    """The current version of each conversation, by its identifier, whatever the order.

    Records have no time of their last change. The current one is that which tells of the latest instant; then one
    in which the conversation has ended; then one with more segments; then one with more that are ended, then more
    wrap-up codes; then the digest decides. So a code that was replaced by another, and nothing else, is a tie.
    """
    current: dict[str, Conversation] = {}
    for record in sorted(records, key=_age):
        current[record.conversation_id] = record
    return [current[conversation_id] for conversation_id in sorted(current)]


def _age(record: Conversation) -> tuple[datetime, bool, int, int, int, str]:
    segments = [segment for _, _, segment in record.segments()]
    return (
        record.updated_at,
        record.ended_at is not None,
        len(segments),
        sum(segment.end is not None for segment in segments),
        sum(segment.wrap_up_code is not None for segment in segments),
        record.digest,
    )


# ----------------------------------------------------------------------------------------------------------- assembly


def assemble(chain: Sequence[Conversation], support_line_of: SupportLineOf) -> Assembled:
    """Put a call together from every version known of its conversation, in any order and however often each was sent.

    `record_version` is the number of distinct versions known, a version being the digest of what was read. Versions
    are never forgotten, so it does not depend on the order of arrival, and whenever anything more is known it is
    greater. `emitted_at` is the latest instant of which any version tells.

    Args:
        chain: All versions of one conversation, old ones too.
        support_line_of: The support line of a queue.

    Raises:
        ValueError: The records are of more than one conversation, or there is none.
    """
    if len({call_id_of(record) for record in chain}) != 1:
        raise ValueError("expected the records of one conversation")
    emitted_at = max(record.updated_at for record in chain)
    version = len({record.digest for record in chain})
    return _Call(newest(chain)[0], version, emitted_at, support_line_of).assembled()


@dataclass(slots=True)
class _Visit:
    """One leg in the making: a stay in a queue, the agent who took it, or both."""

    queue: str
    queued_at: datetime
    queue_left_at: datetime | None
    queue_end: str | None
    agent: Participant | None = None
    session: Session | None = None

    @property
    def answered_at(self) -> datetime | None:
        return None if self.session is None else _talk(self.session)[0].start


class _Call:
    """One conversation."""

    def __init__(
        self, record: Conversation, version: int, emitted_at: datetime, support_line_of: SupportLineOf
    ) -> None:
        self.record = record
        self.version = version
        self.emitted_at = emitted_at
        self.support_line_of = support_line_of
        self.notes: list[str] = []
        self.customers = [
            session for _, session in record.sessions(_CUSTOMERS, "voice") if session.direction == "inbound"
        ]
        self.over_at = self._over_at()

    def assembled(self) -> Assembled:
        for name in self.record.clashes:
            self._note(f"several names differ only in case from {name} and hold different values")
        call = self._call()
        events = self._callback_events()
        return Assembled(call, events, list(dict.fromkeys(self.notes)))

    def _note(self, finding: str) -> None:
        self.notes.append(f"Conversation {self.record.conversation_id}: {finding}.")

    def _attribute(self, name: str) -> str | None:
        """Of a conversation, an attribute is the customer's; else that of the first participant that has it."""
        for participant in sorted(self.record.participants, key=lambda each: each.purpose not in _CUSTOMERS):
            value = dict(participant.attributes).get(name)
            if value is not None:
                return value
        return None

    def _over_at(self) -> datetime | None:
        """When the call ended, as the module says; None while it has not."""
        ends = [segment.end for session in self.customers for segment in session.segments]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else self.record.ended_at

    def _call(self) -> dict[str, Any] | None:
        record = self.record
        if not self.customers or record.direction == "outbound":
            return None
        customer = self.customers[0]
        visits = self._visits()
        legs = [self._leg(number, visits) for number in range(1, len(visits) + 1)]
        if legs:
            outcome, left_ivr = "queued", legs[0]["queued_at"]
        else:
            found = self._ivr_outcome()
            if found is None:
                self._note("the caller is still in the IVR, so that no outcome can be given yet")
                return None
            outcome, left_ivr = found, instant_text(self.over_at)
        if customer.dnis is None:
            self._note("the customer's session has no dnis, so that the dialled number is not known")
        return {
            "call_id": record.conversation_id,
            "record_version": self.version,
            "emitted_at": instant_text(self.emitted_at),
            "is_test": is_true(self._attribute("is_test")),
            "dialled_number": customer.dnis or UNKNOWN_NUMBER,
            "caller_number": customer.ani,
            "language": language_of(self._attribute("language"), self.notes),
            "received_at": instant_text(record.started_at),
            "ivr_ended_at": left_ivr,
            "ivr_outcome": outcome,
            "ivr_path": listed(self._attribute("ivr_path")),
            "legs": legs,
            "ended_at": instant_text(self.over_at),
        }

    def _end_of(self, segment: Segment) -> datetime | None:
        """Where a segment of talk or of a queue ends, as the module says."""
        if segment.end is None and self.over_at is not None:
            self._note(f"a segment `{segment.kind}` has no segmentEnd and is taken to end with the call")
            return max(segment.start, self.over_at)
        return segment.end

    # ------------------------------------------------------------------------------------------------------- legs

    def _visits(self) -> list[_Visit]:
        """The legs, in order: queue visits with the agents who took them, and agents reached in another way."""
        visits = self._queue_visits()
        for agent, session in self.record.sessions(_AGENTS, "voice"):
            if session.direction == "outbound" or not _talk(session):
                continue  # dialled by the agent, or not taken
            rang_at = session.segments[0].start
            queue = next((each.queue for each in session.segments if each.queue is not None), None)
            waiting = [
                each
                for each in visits
                if each.session is None and each.queue == queue and each.queued_at <= _talk(session)[0].start
            ]
            if waiting:
                taken = max(waiting, key=lambda each: each.queued_at)
                taken.agent, taken.session = agent, session
                continue
            if queue is not None and all(each.queue != queue for each in visits):
                self._note("an agent took the call from a queue of which no visit is known")
            visits.append(_Visit(queue or DIRECT_TO_AGENT, rang_at, None, None, agent, session))
        visits.sort(key=lambda each: (each.queued_at, each.answered_at or each.queued_at, each.queue))
        return [each for each in visits if not self._was_consultation(each, visits)]

    def _queue_visits(self) -> list[_Visit]:
        visits: list[_Visit] = []
        for _, session in self.record.sessions(("acd",), "voice"):
            if session.direction == "outbound":
                continue
            run: list[Segment] = []
            for segment in [*session.segments, None]:
                if run and (segment is None or segment.queue != run[-1].queue):
                    if run[-1].queue is not None:
                        last = run[-1]
                        visits.append(
                            _Visit(last.queue or "", run[0].start, self._end_of(last), last.disconnect)
                        )
                    run = []
                if segment is not None:
                    run.append(segment)
        return visits

    def _left_at(self, visit: _Visit) -> datetime | None:
        if visit.session is None:
            return visit.queue_left_at
        return self._end_of(_talk(visit.session)[-1])

    def _was_consultation(self, visit: _Visit, visits: list[_Visit]) -> bool:
        left = self._left_at(visit)
        for other in visits:
            if other is visit or other.answered_at is None or not other.answered_at <= visit.queued_at:
                continue
            other_left = self._left_at(other)
            during = other_left is None or visit.queued_at < other_left
            if during and left is not None and (other_left is None or left < other_left):
                self._note("an agent consulted another one or a queue and came back, so that is no leg")
                return True
        return False

    def _leg(self, number: int, visits: list[_Visit]) -> dict[str, Any]:
        visit = visits[number - 1]
        following = visits[number] if number < len(visits) else None
        session, answered, left = visit.session, visit.answered_at, self._left_at(visit)
        reason = self._end_reason(visit, following, left)
        transferred = reason == "transferred"
        return {
            "leg_no": number,
            "queue": visit.queue,
            "queued_at": instant_text(visit.queued_at),
            "answered_at": instant_text(answered),
            "left_at": instant_text(left),
            "agent_id": self._agent_id(visit),
            "hold_seconds": self._hold_seconds(session, left) if session else 0.0,
            "wrap_seconds": _wrap_seconds(session) if session else None,
            "end_reason": reason,
            "transfer_to": self._transfer_to(following) if transferred else None,
            "transfer_mode": self._transfer_mode(visit, following, left) if transferred else None,
            "reason_codes": self._reason_codes(visit) if session else [],
        }

    @staticmethod
    def _agent_id(visit: _Visit) -> str | None:
        return None if visit.agent is None else visit.agent.user_id or visit.agent.participant_id or None

    def _hold_seconds(self, session: Session, left: datetime | None) -> float:
        talk = _talk(session)
        ends = [(segment, self._end_of(segment)) for segment in talk if segment.kind == "hold"]
        held = sum((end - segment.start).total_seconds() for segment, end in ends if end is not None)
        return hold_within(max(0.0, held), talk[0].start, left, self.notes)

    def _reason_codes(self, visit: _Visit) -> list[str]:
        """The wrap-up codes of the agent's session; else those that the attribute names."""
        session, agent = visit.session, visit.agent
        codes = [each.wrap_up_code for each in session.segments if each.wrap_up_code] if session else []
        if codes or agent is None:
            return list(dict.fromkeys(codes))
        return listed(dict(agent.attributes).get("reason_codes") or self._attribute("reason_codes"))

    def _end_reason(self, visit: _Visit, following: _Visit | None, left: datetime | None) -> str | None:
        if left is None:
            return None
        if visit.session is None:
            return self._end_unanswered(visit, following)
        how = _talk(visit.session)[-1].disconnect
        if following is not None or how in _TRANSFERS:
            if following is None:
                self._note("an agent transferred the call, and it is not known where it went")
            return "transferred"
        if how in _BY_SYSTEM:
            return "forced_disconnect"
        if how is None:
            self._note("an agent's part ended without a disconnectType, which is read as completed")
        said = dict(visit.agent.attributes).get("leg_outcome") if visit.agent else None
        abandoned = (said or self._attribute("leg_outcome") or "").casefold() == "abandoned"
        return "abandoned" if abandoned else "completed"

    def _end_unanswered(self, visit: _Visit, following: _Visit | None) -> str:
        if following is not None:
            return "flow_out"
        asked = self._requested_at()
        if asked is not None and visit.queued_at <= asked:
            return "callback_requested"
        if visit.queue_end in _TRANSFERS:
            return "flow_out"
        how = self._customer_end()
        if how in _BY_ITSELF or (how is None and visit.queue_end == "peer"):
            return "abandoned"
        if how is not None or visit.queue_end is not None:
            return "forced_disconnect"
        self._note("a wait ended without a disconnectType, which is read as a hang-up")
        return "abandoned"

    def _customer_end(self) -> str | None:
        """The disconnectType of the last thing the customer did."""
        segments = [segment for session in self.customers for segment in session.segments]
        last = max(segments, key=lambda each: (each.end or each.start, each.start))
        return last.disconnect

    def _transfer_to(self, following: _Visit | None) -> str:
        return transfer_to(following.queue if following else None, self.support_line_of)

    @staticmethod
    def _transfer_mode(visit: _Visit, following: _Visit | None, left: datetime | None) -> str:
        how = _talk(visit.session)[-1].disconnect if visit.session else None
        met = following is not None and following.answered_at is not None and left is not None
        spoke = met and following.answered_at <= left  # type: ignore[union-attr,operator]
        return "warm" if how in _CONSULTED or spoke else "cold"

    def _ivr_outcome(self) -> str | None:
        """How the IVR ended for a caller who reached no queue; None while it has not ended."""
        if self.over_at is None:
            return None
        if self._requested_at() is not None:
            self._note("a call-back was requested in the IVR, so the caller counts as self-served")
            return "self_served"
        how = self._customer_end()
        said = (self._attribute("ivr_outcome") or "").casefold()
        if said == "self_served" or (
            said in ("abandoned", "forced_disconnect") and how in (None, *_BY_ITSELF)
        ):
            return said
        if how is None:
            self._note("the IVR ended without a disconnectType, which is read as a hang-up")
        if how in _TRANSFERS:
            self._note("the IVR passed the call on to no queue: the caller counts as self-served")
            return "self_served"
        return "abandoned" if how is None or how in _BY_ITSELF else "forced_disconnect"

    # ------------------------------------------------------------------------------------------------- call-backs

    def _requested_at(self) -> datetime | None:
        """When a call-back was requested: the start of the first session of that medium."""
        sessions = self.record.sessions((*_CUSTOMERS, "acd"), "callback")
        return sessions[0][1].segments[0].start if sessions else None

    def _callback_events(self) -> list[dict[str, Any]]:
        """The events of the call-back of a conversation, which holds at most one.

        Each outbound voice session of the customer is an attempt, of which nothing is said before its outcome is
        known. The time at which the customer wishes to be called is in none of them, so it is no wait.
        """
        requested = self._requested_at()
        if requested is None:
            return []
        if is_true(self._attribute("is_test")):
            self._note("it is a test: its call-back gives no events")
            return []
        events = [self._event("requested", requested)]
        reached = False
        for _, session in self.record.sessions(_CUSTOMERS, "voice"):
            if session.direction != "outbound":
                continue
            outcome = _dial_outcome(session, over=self.record.ended_at is not None)
            if outcome is None:
                continue
            began = session.segments[0].start
            of = session.session_id or f"{self.record.conversation_id}:{instant_text(began)}"
            events.append(self._event("attempted", began, outcome, of=of))
            if outcome == "connected":
                reached = True
                at = next(each.start for each in session.segments if each.kind in _TALK)
                events.append(self._event("connected", at, agent_at=began, of=of))
        closing = self._closing()
        if closing is not None and not reached and self.record.ended_at is not None:
            events.append(self._event(closing, self.record.ended_at))
        return sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))

    def _closing(self) -> str | None:
        """How a call-back ended unfulfilled: as the attribute says, else as its wait in the queue ended."""
        said = (self._attribute("callback_outcome") or "").casefold()
        if said in ("cancelled", "expired"):
            return said
        waits = self.record.sessions(("acd",), "callback")
        if not waits or self.record.sessions(_AGENTS, "callback"):
            return None
        how = waits[-1][1].segments[-1].disconnect
        return "expired" if how in ("timeout", "system", "inactivity", "sessionexpired") else "cancelled"

    def _event(
        self,
        event: str,
        occurred_at: datetime,
        outcome: str | None = None,
        agent_at: datetime | None = None,
        of: str | None = None,
    ) -> dict[str, Any]:
        by_agent = event in ("attempted", "connected")
        agent, codes = self._agent_of_attempt(agent_at or occurred_at) if by_agent else (None, [])
        inbound = self.customers[0] if self.customers else None
        of_callback = self.record.sessions((*_CUSTOMERS, "acd"), "callback")[0][1]
        return {
            "event_id": event_id_of(of or self.record.conversation_id, event),
            "callback_id": self.record.conversation_id,
            "call_id": self.record.conversation_id if inbound else None,
            "channel": "voice",
            "dialled_number": (inbound.dnis if inbound else of_callback.dnis) or UNKNOWN_NUMBER,
            "event": event,
            "occurred_at": instant_text(occurred_at),
            "outcome": outcome,
            "agent_id": agent,
            "reason_codes": codes,
        }

    def _agent_of_attempt(self, began: datetime) -> tuple[str | None, list[str]]:
        """The agent whose part in the call-back began last before an attempt, and the codes he gave."""
        parts = [
            (agent, session)
            for media in ("callback", "voice")
            for agent, session in self.record.sessions(_AGENTS, media)
            if session.segments[0].start <= began and (media == "callback" or session.direction == "outbound")
        ]
        if not parts:
            return None, []
        agent, _ = max(parts, key=lambda part: (part[1].segments[0].start, part[1].session_id))
        own = [session for each, session in parts if each is agent]
        codes = [each.wrap_up_code for session in own for each in session.segments if each.wrap_up_code]
        return agent.user_id or agent.participant_id or None, list(dict.fromkeys(codes))


def _talk(session: Session) -> list[Segment]:
    """The segments in which an agent was connected to the caller."""
    return [segment for segment in session.segments if segment.kind in _TALK]


def _wrap_seconds(session: Session) -> float | None:
    """Seconds of wrap-up, as the module says; None while they are not known."""
    wraps = [segment for segment in session.segments if segment.kind == "wrapup"]
    metrics = dict(session.metrics)
    if wraps and all(segment.end is not None for segment in wraps):
        spans = [
            (segment.end - segment.start).total_seconds() for segment in wraps if segment.end is not None
        ]
        return max(0.0, sum(spans))
    if "tAcw" in metrics:
        return metrics["tAcw"] / 1000
    return 0.0 if "tHandle" in metrics and not wraps else None


def _dial_outcome(session: Session, *, over: bool) -> str | None:
    """What became of dialling the customer; None while it is not known."""
    if any(segment.kind in _TALK for segment in session.segments):
        return "connected"
    last = session.segments[-1]
    if last.end is None and not over:
        return None
    codes = {code for segment in session.segments for code in segment.sip_codes if code >= 400}
    if codes & set(_BUSY):
        return "busy"
    if codes & set(_NO_ANSWER) or (
        not codes and last.disconnect not in ("error", "transportfailure", "uncallable")
    ):
        return "no_answer"
    return "failed"
