"""Contact records of Amazon Connect, put together into calls and call-backs.

It exists because Amazon Connect writes no calls: it writes a record for every contact, a new contact for every
transfer, and every record again whenever something changes in it. It must not open a file, a connection or a
setting, look at the clock, or know in which order records arrived; and it must not replace callers' numbers, which the
loader has done before it comes here.

Written after these pages of the Amazon Connect Administrator Guide: "Contact records data model", "Events in the
contact record", "Queued callbacks in real-time metrics", "Example: Metrics for a queued callback" and "What counts
as a Failed Callback Attempt".

How contacts become a call:

- The contact without an InitialContactId, or whose InitialContactId is its own, opens a chain. INBOUND opens a call.
- A leg is a contact of that chain with a queue or an agent: the first one, and those that TRANSFER, QUEUE_TRANSFER or
  DISCONNECT made. What descends from a CALLBACK contact belongs to the call-back and is no leg.
- An agent's TRANSFER that ended before that agent left was a consultation or an attempt: the caller was never there,
  so it is no leg. A leg that a caller left unanswered for another queue ends as `flow_out`: no agent transferred it.
- A transfer is warm if the next agent answered before the one before left, else cold.
- Times come from timestamps alone, never from Queue.Duration, which for a call-back can include its initial delay.
- The caller hanging up on an agent is `completed`, because the platform cannot tell more. The contact attribute
  `leg_outcome` = `abandoned` says otherwise.
- Before a queue, CONTACT_FLOW_DISCONNECT and every end that the caller did not choose is `forced_disconnect`, and the
  caller hanging up is `abandoned`; the attribute `ivr_outcome` = `self_served` says that the caller had been served.

Attributes read, in any case: `is_test`, `language`, `ivr_outcome`, `ivr_path`, `reason_codes`, `leg_outcome`,
`callback_outcome`, `callback_initial_delay_seconds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from ingestion.adapters.assembled import (
    DIRECT_TO_AGENT,
    UNKNOWN_NUMBER,
    Assembled,
    PlatformRecordError,
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
from ingestion.adapters.objects import PlatformText, objects

_ATTRIBUTES = (
    "is_test",
    "language",
    "ivr_outcome",
    "ivr_path",
    "reason_codes",
    "leg_outcome",
    "callback_outcome",
    "callback_initial_delay_seconds",
)
_LEG_METHODS = ("TRANSFER", "QUEUE_TRANSFER", "DISCONNECT")
_HUNG_UP = "CUSTOMER_DISCONNECT"
_NORMAL_ENDS = (
    _HUNG_UP,
    "AGENT_DISCONNECT",
    "THIRD_PARTY_DISCONNECT",
    "CONTACT_FLOW_DISCONNECT",
    "BARGED",
    "TRANSFERRED",
)
_FAILED_DIALS = (
    "TELECOM_PROBLEM",
    "OUTBOUND_DESTINATION_ENDPOINT_ERROR",
    "OUTBOUND_RESOURCE_ERROR",
    "OUTBOUND_ATTEMPT_FAILED",
)


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """What is needed of one version of one contact record. Instants are in UTC; None is what the record leaves open."""

    contact_id: str
    initial_contact_id: str | None
    previous_contact_id: str | None
    next_contact_id: str | None
    method: str
    channel: str
    initiated_at: datetime
    connected_at: datetime | None
    disconnected_at: datetime | None
    disconnect_reason: str | None
    updated_at: datetime
    dialled_number: str | None
    caller_number: str | None
    queue: str | None
    enqueued_at: datetime | None
    dequeued_at: datetime | None
    agent_id: str | None
    answered_at: datetime | None
    hold_seconds: float
    wrap_seconds: float | None
    after_work_began_at: datetime | None
    transferred_out: bool
    transfer_completed_at: datetime | None
    scheduled_at: datetime | None
    answering_machine: str | None
    attributes: tuple[tuple[str, str], ...]
    clashes: tuple[str, ...]

    def attribute(self, name: str) -> str | None:
        """The value of an attribute that this adapter reads."""
        return dict(self.attributes).get(name)

    @property
    def digest(self) -> str:
        """Of all that was read, so that a record sent again unchanged is the same version."""
        return blake2b(repr(self).encode(), digest_size=16).hexdigest()


def records(chunks: Iterable[bytes]) -> Iterator[PlatformText]:
    """Cut what Amazon Data Firehose wrote into single contact records, with or without anything between them."""
    return objects(chunks)


def read(value: dict[str, Any]) -> ContactRecord:
    """Read one contact record. Names are compared as `Reader` says.

    Raises:
        PlatformRecordError: An identifier, the InitiationMethod or a timestamp that every record has is missing, or a
            value has another type than the vendor documents.
    """
    record = Reader(value)
    queue, agent = record.object("Queue"), record.object("Agent")
    attributes = record.attributes("Attributes", _ATTRIBUTES)
    fields: dict[str, Any] = {
        "contact_id": record.text("ContactId", required=True),
        "initial_contact_id": record.text("InitialContactId"),
        "previous_contact_id": record.text("PreviousContactId"),
        "next_contact_id": record.text("NextContactId"),
        "method": _code(record.text("InitiationMethod", required=True)),
        "channel": _code(record.text("Channel")) or "VOICE",
        "initiated_at": record.instant("InitiationTimestamp", required=True),
        "connected_at": record.instant("ConnectedToSystemTimestamp"),
        "disconnected_at": record.instant("DisconnectTimestamp"),
        "disconnect_reason": _code(record.text("DisconnectReason")),
        "updated_at": record.instant("LastUpdateTimestamp", required=True),
        "dialled_number": record.object("SystemEndpoint").text("Address"),
        "caller_number": record.object("CustomerEndpoint").text("Address"),
        "queue": queue.text("Name") or _last_of(queue.text("ARN"), "/queue/"),
        "enqueued_at": queue.instant("EnqueueTimestamp"),
        "dequeued_at": queue.instant("DequeueTimestamp"),
        "agent_id": agent.text("Username") or _last_of(agent.text("ARN"), "/agent/"),
        "answered_at": agent.instant("ConnectedToAgentTimestamp"),
        "hold_seconds": agent.number("CustomerHoldDuration") or 0.0,
        "wrap_seconds": _wrap_seconds(agent),
        "after_work_began_at": agent.instant("AfterContactWorkStartTimestamp"),
        "transferred_out": record.get("TransferredToEndpoint") is not None,
        "transfer_completed_at": record.instant("TransferCompletedTimestamp"),
        "scheduled_at": record.instant("ScheduledTimestamp"),
        "answering_machine": _code(record.text("AnsweringMachineDetectionStatus")),
        "attributes": tuple(sorted(attributes.items())),
    }
    return ContactRecord(**fields, clashes=tuple(sorted(record.clashes)))


def _code(text: str | None) -> str | None:
    return None if text is None else text.strip().upper()


def _last_of(arn: str | None, mark: str) -> str | None:
    """The end of an ARN, behind a mark such as `/queue/`."""
    return None if arn is None else arn.rpartition(mark)[2]


def _wrap_seconds(agent: Reader) -> float | None:
    """Seconds of after-contact work; None until it has ended."""
    began, ended = (agent.instant(f"AfterContactWork{end}Timestamp") for end in ("Start", "End"))
    seconds = agent.number("AfterContactWorkDuration")
    if began is not None and ended is None:
        return None
    if seconds is None and began is not None and ended is not None:
        if ended < began:
            raise PlatformRecordError(
                "times_out_of_order",
                "after-contact work ends before it begins",
                "Agent.AfterContactWorkEndTimestamp",
            )
        return (ended - began).total_seconds()
    return seconds


RECORD = ContactRecord
NOT_SEARCHED = frozenset(
    {
        "contact_id",
        "initial_contact_id",
        "previous_contact_id",
        "next_contact_id",
        "dialled_number",
        "caller_number",
    }
)


def without_numbers(
    record: ContactRecord, replace_number: Callable[[str | None], str | None]
) -> ContactRecord:
    """A contact record whose customer's number is replaced."""
    return replace(record, caller_number=replace_number(record.caller_number))


def call_id_of(record: ContactRecord) -> str:
    """The chain that a contact belongs to: InitialContactId, or its own ContactId if it is the first."""
    return record.initial_contact_id or record.contact_id


def newest(records: Iterable[ContactRecord]) -> list[ContactRecord]:
    """The current version of each contact, by ContactId: that of the newest LastUpdateTimestamp, whatever the order.

    Two versions of one LastUpdateTimestamp: one in which the contact has ended goes before one in which it has not,
    then one whose after-contact work is known, then one with more attributes; then the digest decides.
    """
    current: dict[str, ContactRecord] = {}
    for record in sorted(records, key=_age):
        current[record.contact_id] = record
    return [current[contact_id] for contact_id in sorted(current)]


def _age(record: ContactRecord) -> tuple[datetime, bool, bool, int, str]:
    return (
        record.updated_at,
        record.disconnected_at is not None,
        record.wrap_seconds is not None,
        len(record.attributes),
        record.digest,
    )


def callback_wait_seconds(record: ContactRecord) -> float | None:
    """How long a call-back waited in its queue for an agent, without the initial delay that was asked for.

    Queue.Duration is not used. The wait begins at the latest of: the enqueueing; the ScheduledTimestamp; and, where
    the attribute `callback_initial_delay_seconds` tells the delay, the creation of the call-back and that delay. So
    the delay is left out whether or not the platform enqueued the contact before it had passed. None if the
    contact has not left its queue.
    """
    ended = record.dequeued_at or record.answered_at
    begins = [instant for instant in (record.enqueued_at, record.scheduled_at) if instant is not None]
    with suppress(ValueError, OverflowError):  # no delay, or none that can be read
        delay = float(record.attribute("callback_initial_delay_seconds") or "nan")
        begins.append(record.initiated_at + timedelta(seconds=delay))
    if ended is None or not begins:
        return None
    return max(0.0, (ended - max(begins)).total_seconds())


def assemble(chain: Sequence[ContactRecord], support_line_of: SupportLineOf) -> Assembled:
    """Put a call together from every record known of its chain, in any order and however often each was sent.

    `record_version` is the number of distinct versions known of the chain, a version being a ContactId, its
    LastUpdateTimestamp and the digest of what was read. Versions are never forgotten, so it does not depend on the
    order of arrival, and whenever anything more is known it is greater. `emitted_at` is the greatest
    LastUpdateTimestamp. Both grow also by what leaves the call itself as it was.

    Args:
        chain: All versions of all contacts of one chain, old ones too.
        support_line_of: The support line of a queue.

    Raises:
        ValueError: The records are of more than one chain, or there is none.
    """
    call_ids = {call_id_of(record) for record in chain}
    if len(call_ids) != 1:
        raise ValueError(f"expected the records of one chain, got {len(call_ids)}")
    return _Chain(call_ids.pop(), chain, support_line_of).assembled()


class _Chain:
    """The contacts of one chain, each in its newest version."""

    def __init__(
        self, call_id: str, versions: Sequence[ContactRecord], support_line_of: SupportLineOf
    ) -> None:
        self.call_id = call_id
        self.version = len({(each.contact_id, each.updated_at, each.digest) for each in versions})
        self.emitted_at = max(each.updated_at for each in versions)
        self.support_line_of = support_line_of
        self.contacts = {each.contact_id: each for each in newest(versions)}
        self.opener = self.contacts.get(call_id)
        self.notes: list[str] = []

    def assembled(self) -> Assembled:
        for contact in self.contacts.values():
            for name in contact.clashes:
                self._note(
                    contact, f"several names differ only in case from {name} and hold different values"
                )
        call = self._call()
        events = self._callback_events()
        return Assembled(call, events, list(dict.fromkeys(self.notes)))

    def _note(self, contact: ContactRecord, finding: str) -> None:
        self.notes.append(f"Contact {contact.contact_id}: {finding}.")

    def _call(self) -> dict[str, Any] | None:
        opener = self.opener
        if opener is None:
            self.notes.append(f"The contact {self.call_id} that opens the chain is not known yet.")
            return None
        if opener.channel != "VOICE" or opener.method != "INBOUND":
            return None
        members = self._members(opener)
        legs = self._legs(members)
        if legs:
            outcome, left_ivr = "queued", legs[0]["queued_at"]
        else:
            found = self._ivr_outcome(opener)
            if found is None:
                self._note(opener, "the caller is still in the IVR, so that no outcome can be given yet")
                return None
            outcome, left_ivr = found, instant_text(opener.disconnected_at)
        if opener.dialled_number is None:
            self._note(opener, "it has no SystemEndpoint.Address, so that the dialled number is not known")
        return {
            "call_id": self.call_id,
            "record_version": self.version,
            "emitted_at": instant_text(self.emitted_at),
            "is_test": self._is_test(),
            "dialled_number": opener.dialled_number or UNKNOWN_NUMBER,
            "caller_number": opener.caller_number,
            "language": language_of(self._attribute("language", members), self.notes),
            "received_at": instant_text(opener.initiated_at),
            "ivr_ended_at": left_ivr,
            "ivr_outcome": outcome,
            "ivr_path": listed(self._attribute("ivr_path", members)),
            "legs": legs,
            "ended_at": instant_text(self._ended_at(members)),
        }

    def _is_test(self) -> bool:
        return any(is_true(contact.attribute("is_test")) for contact in self.contacts.values())

    @staticmethod
    def _attribute(name: str, members: list[ContactRecord]) -> str | None:
        """Of a call, an attribute is that of its first contact that has it."""
        return next((value for each in members if (value := each.attribute(name)) is not None), None)

    def _members(self, opener: ContactRecord) -> list[ContactRecord]:
        """The contacts in which the caller was: the first one and those that became legs, in order of time."""
        others = [
            each
            for each in self.contacts.values()
            if each is not opener
            and each.method in _LEG_METHODS
            and each.channel == "VOICE"
            and self._origin(each) != "CALLBACK"
        ]
        for each in others:
            if each.previous_contact_id is not None and each.previous_contact_id not in self.contacts:
                self._note(each, f"it follows the contact {each.previous_contact_id}, which is not known yet")
        members = [opener, *sorted(others, key=lambda each: (_began(each), each.contact_id))]
        return [each for each in members if not self._was_consultation(each, members)]

    def _origin(self, contact: ContactRecord) -> str:
        """The InitiationMethod of the CALLBACK or first contact that a contact descends from, as far as is known."""
        seen = set()
        while contact.method in _LEG_METHODS and contact.contact_id not in seen:
            seen.add(contact.contact_id)
            previous = self.contacts.get(contact.previous_contact_id or self.call_id)
            if previous is None:
                return ""
            contact = previous
        return contact.method

    def _parent(self, contact: ContactRecord, members: list[ContactRecord]) -> ContactRecord | None:
        """The contact that a transfer came from; where the record does not name it, the one before it in time."""
        named = self.contacts.get(contact.previous_contact_id or "")
        if named is not None:
            return named
        named = next((each for each in members if each.next_contact_id == contact.contact_id), None)
        if named is not None or contact is self.opener:
            return named
        place = members.index(contact)
        return members[place - 1] if place else None

    def _was_consultation(self, contact: ContactRecord, members: list[ContactRecord]) -> bool:
        if contact.method != "TRANSFER" or contact.disconnected_at is None:
            return False
        parent = self._parent(contact, members)
        if parent is None or parent.answered_at is None:
            return False
        returned = parent.disconnected_at is None or contact.disconnected_at < parent.disconnected_at
        if returned:
            self._note(
                contact, "it ended before the agent who began it left, so it is a consultation and no leg"
            )
        return returned

    def _legs(self, members: list[ContactRecord]) -> list[dict[str, Any]]:
        queued = [each for each in members if _is_queued(each)]
        legs = []
        for number, contact in enumerate(queued, start=1):
            following = [
                each
                for each in members
                if each is not contact
                and self._parent(each, members) is contact
                and (each.method != "DISCONNECT" or _is_queued(each))
            ]
            legs.append(self._leg(number, contact, following[-1] if following else None))
        return legs

    def _leg(self, number: int, contact: ContactRecord, following: ContactRecord | None) -> dict[str, Any]:
        answered = contact.answered_at
        reason = self._end_reason(contact, following)
        left = contact.disconnected_at
        if answered is None and reason in ("flow_out", "callback_requested"):
            left = contact.dequeued_at or left or (_began(following) if following else None)
        transferred = reason == "transferred"
        if contact.queue is None:
            self._note(contact, f"it has no queue: the queue of the leg is {DIRECT_TO_AGENT}")
        return {
            "leg_no": number,
            "queue": contact.queue or DIRECT_TO_AGENT,
            "queued_at": instant_text(_began(contact)),
            "answered_at": instant_text(answered),
            "left_at": instant_text(left),
            "agent_id": contact.agent_id if answered else None,
            "hold_seconds": hold_within(contact.hold_seconds, answered, left, self.notes)
            if answered
            else 0.0,
            "wrap_seconds": contact.wrap_seconds if answered else None,
            "end_reason": reason,
            "transfer_to": self._transfer_to(following) if transferred else None,
            "transfer_mode": self._transfer_mode(contact, following) if transferred else None,
            "reason_codes": listed(contact.attribute("reason_codes")) if answered else [],
        }

    def _end_reason(self, contact: ContactRecord, following: ContactRecord | None) -> str | None:
        if contact.disconnected_at is None and (following is None or contact.answered_at is not None):
            return None
        if contact.answered_at is None:
            return self._end_unanswered(contact, following)
        if following is not None or contact.transferred_out:
            return "transferred"
        if contact.disconnect_reason is None:
            self._note(contact, "it ended without a DisconnectReason, which is read as completed")
        elif contact.disconnect_reason not in _NORMAL_ENDS:
            return "forced_disconnect"
        asked = (contact.attribute("leg_outcome") or "").casefold()
        return "abandoned" if asked == "abandoned" else "completed"

    def _end_unanswered(self, contact: ContactRecord, following: ContactRecord | None) -> str:
        if following is not None or contact.transferred_out:
            return "flow_out"
        if any(self._asked_in(each) == contact.contact_id for each in self._first_callbacks()):
            return "callback_requested"
        if contact.disconnect_reason is None:
            self._note(
                contact, "it ended in the queue without a DisconnectReason, which is read as a hang-up"
            )
        return "abandoned" if contact.disconnect_reason in (None, _HUNG_UP) else "forced_disconnect"

    def _transfer_to(self, following: ContactRecord | None) -> str:
        return transfer_to(following.queue if following else None, self.support_line_of)

    @staticmethod
    def _transfer_mode(contact: ContactRecord, following: ContactRecord | None) -> str:
        """Warm if the two who speak next were connected before the agent left."""
        connected = following.answered_at if following else contact.transfer_completed_at
        left = contact.disconnected_at
        if following is None and contact.after_work_began_at is not None:
            left = (
                contact.after_work_began_at
            )  # the contact goes on outside of Amazon Connect, the agent left before
        return "warm" if connected is not None and left is not None and connected <= left else "cold"

    def _ivr_outcome(self, opener: ContactRecord) -> str | None:
        """How the IVR ended for a caller who reached no queue; None while it has not ended."""
        if opener.disconnected_at is None:
            return None
        if any(self._asked_in(each) == opener.contact_id for each in self._first_callbacks()):
            self._note(opener, "a call-back was requested in the IVR, so the caller counts as self-served")
            return "self_served"
        said = (opener.attribute("ivr_outcome") or "").casefold()
        if said in ("self_served", "abandoned", "forced_disconnect") and (
            said == "self_served" or opener.disconnect_reason in (None, _HUNG_UP)
        ):
            return said
        if said == "queued":
            self._note(opener, "the attribute `ivr_outcome` says queued, but there is no queue")
        if opener.transferred_out:
            self._note(
                opener, "the IVR passed the call out of Amazon Connect: the caller counts as self-served"
            )
            return "self_served"
        if opener.disconnect_reason is None:
            self._note(opener, "it ended in the IVR without a DisconnectReason, which is read as a hang-up")
        return "abandoned" if opener.disconnect_reason in (None, _HUNG_UP) else "forced_disconnect"

    def _ended_at(self, members: list[ContactRecord]) -> datetime | None:
        """When the last of the contacts ended; None while one is open or is known to be followed by another."""
        ends = [each.disconnected_at for each in members]
        last = members[-1]
        if last.next_contact_id is not None and last.next_contact_id not in self.contacts:
            self._note(last, f"the contact {last.next_contact_id} that follows it is not known yet")
            return None
        known = [end for end in ends if end is not None]
        return max(known) if len(known) == len(ends) else None

    # ------------------------------------------------------------------------------------------------- call-backs

    def _callbacks(self) -> list[ContactRecord]:
        return sorted(
            (each for each in self.contacts.values() if each.method == "CALLBACK"),
            key=lambda each: (each.initiated_at, each.contact_id),
        )

    def _first_callbacks(self) -> list[ContactRecord]:
        return [each for each in self._callbacks() if self._root(each) is each]

    def _asked_in(self, callback: ContactRecord) -> str:
        """The contact in which a call-back was requested; by default the one that opened the chain."""
        return callback.previous_contact_id or self.call_id

    def _root(self, callback: ContactRecord) -> ContactRecord | None:
        """The first attempt at the same call-back: itself, or what it retries. None while that is not known."""
        seen = set()
        while callback.contact_id not in seen and callback.contact_id != self.call_id:
            seen.add(callback.contact_id)
            previous_id = self._asked_in(callback)
            previous = self.contacts.get(previous_id)
            if previous is None:
                return callback if previous_id == self.call_id else None
            if previous.method != "CALLBACK":
                return callback
            callback = previous
        return callback

    def _callback_events(self) -> list[dict[str, Any]]:
        """The events of every call-back of the chain.

        They wait until all that they say is known for good: the line that was dialled, which call-back it is, and the
        outcome of an attempt. Each attempt is a contact of its own.
        """
        events: list[dict[str, Any]] = []
        callbacks = self._callbacks()
        if not callbacks:
            return events
        if self._is_test():
            self.notes.append("The chain is a test: its call-backs give no events.")
            return events
        if self.opener is None:
            self.notes.append("The call-backs of the chain wait for the contact that opens it.")
            return events
        for contact in callbacks:
            root = self._root(contact)
            if root is None:
                self._note(
                    contact, "it follows a contact that is not known yet, so its call-back events wait"
                )
                continue
            events += self._events_of(contact, root)
        return sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))

    def _events_of(self, contact: ContactRecord, root: ContactRecord) -> Iterator[dict[str, Any]]:
        if contact is root:
            yield self._event(contact, root, "requested", contact.initiated_at)
        dialled = contact.dequeued_at or contact.answered_at
        if contact.answered_at is not None and dialled is not None:
            outcome = _dial_outcome(contact)
            if outcome is not None:
                yield self._event(contact, root, "attempted", dialled, outcome)
            if outcome == "connected" and contact.connected_at is not None:
                yield self._event(contact, root, "connected", contact.connected_at)
        closing = _callback_closing(contact)
        retried = any(self._asked_in(each) == contact.contact_id for each in self._callbacks())
        if closing is not None and contact.disconnected_at is not None and not retried:
            yield self._event(contact, root, closing, contact.disconnected_at)

    def _event(
        self,
        contact: ContactRecord,
        root: ContactRecord,
        event: str,
        occurred_at: datetime,
        outcome: str | None = None,
    ) -> dict[str, Any]:
        opener = self.opener
        is_call = opener is not None and opener.method == "INBOUND"
        by_agent = event in ("attempted", "connected")
        return {
            "event_id": event_id_of(contact.contact_id, event),
            "callback_id": root.contact_id,
            "call_id": self.call_id if is_call else None,
            "channel": "voice",
            "dialled_number": (opener.dialled_number if opener else None) or UNKNOWN_NUMBER,
            "event": event,
            "occurred_at": instant_text(occurred_at),
            "outcome": outcome,
            "agent_id": contact.agent_id if by_agent else None,
            "reason_codes": listed(contact.attribute("reason_codes")) if by_agent else [],
        }


def _began(contact: ContactRecord) -> datetime:
    """When a contact joined its queue; without a queue, when it began."""
    return contact.enqueued_at or contact.initiated_at


def _is_queued(contact: ContactRecord) -> bool:
    return contact.enqueued_at is not None or contact.answered_at is not None


def _dial_outcome(contact: ContactRecord) -> str | None:
    """What became of dialling the customer; None while it is not known.

    For a CALLBACK contact ConnectedToSystemTimestamp is when the customer's side answered, an answering machine too.
    """
    if contact.connected_at is not None:
        return "connected"
    if contact.disconnected_at is None:
        return None
    if contact.answering_machine == "SIT_TONE_BUSY":
        return "busy"
    failed = contact.disconnect_reason in _FAILED_DIALS or (contact.answering_machine or "").startswith(
        "SIT_"
    )
    return "failed" if failed else "no_answer"


def _callback_closing(contact: ContactRecord) -> str | None:
    """How a call-back ended unfulfilled, as far as a record tells.

    A contact that ended before any agent took it was cancelled, or expired if the platform says so. After an
    attempt only the attribute `callback_outcome` can tell, as the number of retries left is in no record.
    """
    said = (contact.attribute("callback_outcome") or "").casefold()
    if said in ("cancelled", "expired") and contact.connected_at is None:
        return said
    if (
        contact.answered_at is not None
        or contact.connected_at is not None
        or contact.next_contact_id is not None
    ):
        return None
    return "expired" if contact.disconnect_reason == "EXPIRED" else "cancelled"
