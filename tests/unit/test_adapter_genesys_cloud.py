"""Conversations to calls and call-backs: every trap of the platform, and that order makes no difference."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.adapters import genesys_cloud as genesys
from ingestion.adapters.assembled import Assembled, PlatformRecordError, decode
from ingestion.adapters.genesys_cloud import Conversation, call_id_of, newest, read, records
from ingestion.contract import load_contract
from ingestion.lines import Chunk
from ingestion.parse import Parser

FIXTURES = Path(__file__).parents[1] / "fixtures" / "platform_records"
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
CONTRACT = load_contract("telephony_call")
EVENTS = load_contract("callback_event")
LINES = {"q-first": "1st", "q-second": "2nd", "q-csmt": "csmt"}


def at(time: str) -> str:
    return f"2026-03-02T{time}.000Z"


def segment(kind: str, start: str, end: str | None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"segmentType": kind, "segmentStart": at(start), "conference": False}
    return found | ({"segmentEnd": at(end)} if end else {}) | more


def session(name: str, *segments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "sessionId": name,
        "mediaType": "voice",
        "direction": "inbound",
        "ani": "tel:+447700900123",
        "dnis": "tel:+441632960001",
        "segments": list(segments),
        **more,
    }


def participant(purpose: str, *sessions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "participantId": f"p-{sessions[0]['sessionId']}",
        "purpose": purpose,
        "sessions": list(sessions),
        **more,
    }


def customer(
    start: str = "09:00:00", end: str | None = "09:06:45", how: str | None = "endpoint", **more: Any
) -> dict[str, Any]:
    last = {"disconnectType": how} if how else {}
    return participant("customer", session("s-customer", segment("interact", start, end, **last)), **more)


def ivr(end: str | None = "09:00:40", how: str = "transfer") -> dict[str, Any]:
    return participant("ivr", session("s-ivr", segment("ivr", "09:00:00", end, disconnectType=how)))


def acd(
    queue: str = "q-first",
    start: str = "09:00:40",
    end: str | None = "09:01:05",
    how: str | None = "transfer",
) -> dict[str, Any]:
    last = {"disconnectType": how} if how else {}
    return participant(
        "acd", session(f"s-acd-{start}", segment("interact", start, end, queueId=queue, **last))
    )


def agent(
    user: str = "agent-0042",
    queue: str | None = "q-first",
    rang: str = "09:01:00",
    took: str = "09:01:05",
    left: str | None = "09:06:45",
    how: str | None = "peer",
    wrap: str | None = "09:07:45",
    codes: tuple[str, ...] = ("w-status",),
    **more: Any,
) -> dict[str, Any]:
    of = {"queueId": queue} if queue else {}
    last = {"disconnectType": how} if how else {}
    segments = [segment("alert", rang, took, **of), segment("interact", took, left, **of, **last)]
    if wrap and left:
        segments += [segment("wrapup", left, wrap, wrapUpCode=code, **of) for code in codes[:1]]
        segments += [segment("wrapup", wrap, wrap, wrapUpCode=code, **of) for code in codes[1:]]
    return participant("agent", session(f"s-{user}", *segments), userId=user, **more)


def alert_only(user: str = "agent-0001") -> dict[str, Any]:
    """An agent who did not take the call, but was put into wrap-up all the same, as the platform does."""
    rang = segment("alert", "09:00:41", "09:00:49", queueId="q-first", disconnectType="client")
    wrap = segment("wrapup", "09:00:49", "09:01:49", queueId="q-first", wrapUpCode="w-none")
    return participant("agent", session(f"s-{user}", rang, wrap), userId=user)


def conversation(*participants: dict[str, Any], end: str | None = "09:06:46", **more: Any) -> dict[str, Any]:
    return {
        "conversationId": "g-1",
        "conversationStart": at("09:00:00"),
        **({"conversationEnd": at(end)} if end else {}),
        "originatingDirection": "inbound",
        "divisionIds": ["d-1"],
        "participants": list(participants),
        **more,
    }


def answered(**more: Any) -> dict[str, Any]:
    return conversation(customer(), ivr(), acd(), agent(**more))


def assemble(*values: dict[str, Any]) -> Assembled:
    """Assemble, and see that the row rules of the contract accept the call."""
    assembled = genesys.assemble([read(value) for value in values], lambda queue: LINES.get(queue, ""))
    if assembled.call is not None:
        line = json.dumps(assembled.call).encode()
        parsed = Parser(CONTRACT, b"a secret of this test", NOW).parse(Chunk(1, line))
        assert parsed.findings == [] and parsed.unknown_fields == set() and len(parsed.rows) == 1
    for event in assembled.callback_events:
        parsed = Parser(EVENTS, b"a secret of this test", NOW).parse(Chunk(1, json.dumps(event).encode()))
        assert parsed.findings == [] and parsed.unknown_fields == set() and len(parsed.rows) == 1
    return assembled


def call_of(*values: dict[str, Any]) -> dict[str, Any]:
    call = assemble(*values).call
    assert call is not None
    return call


def legs_of(*values: dict[str, Any]) -> list[dict[str, Any]]:
    legs: list[dict[str, Any]] = call_of(*values)["legs"]
    return legs


# ----------------------------------------------------------------------------------------------- cutting the stream


CONVERSATIONS = [{"conversationId": f"g-{number}", "note": '}{ " \\ ŵ'} for number in range(3)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\n".join(map(json.dumps, CONVERSATIONS)), [1, 2, 3]),
        (json.dumps({"conversations": CONVERSATIONS, "totalHits": 3}), [1, 1, 1]),
        (json.dumps({"totalHits": 3, "conversations": CONVERSATIONS}, indent=2), [4, 8, 12]),
        (
            "\n".join(json.dumps({"conversations": [each]}, ensure_ascii=False) for each in CONVERSATIONS),
            [1, 2, 3],
        ),
        ('{"totalHits": 0}\n' + json.dumps({"conversations": CONVERSATIONS}), [2, 2, 2]),
        ('{"conversations": [], "cursor": "x"}\n' + "\n".join(map(json.dumps, CONVERSATIONS)), [2, 3, 4]),
    ],
)
def test_lines_and_pages_in_any_chunks(text: str, lines: list[int]) -> None:
    data = text.encode()
    whole = list(records([data]))
    assert [json.loads(item.text) for item in whole] == CONVERSATIONS
    assert [(item.number, item.line, item.problem) for item in whole] == [
        (number, line, None) for number, line in enumerate(lines, start=1)
    ]
    for size in (1, 2, 3, 7, 50):
        assert list(records(data[start : start + size] for start in range(0, len(data), size))) == whole


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (b'{"conversations": 5}', ["a page of conversations cannot be read"]),
        (b'{"conversations": [{"a": x}]}', ["a page of conversations cannot be read"]),
        (b'{"conversations": [7, {}]}', ["something else than a conversation", None]),
        (b'rubbish\n{"conversationId": "g-1"}', ["text stands between objects", None]),
        (b'{"conversationId": x}', [None]),
    ],
)
def test_what_is_no_page_and_no_conversation(text: bytes, problems: list[str | None]) -> None:
    found = list(records([text]))
    assert [bool(item.problem) for item in found] == [bool(problem) for problem in problems]
    assert all(
        problem in (item.problem or "") for item, problem in zip(found, problems, strict=True) if problem
    )


@pytest.mark.parametrize(
    ("changes", "rule", "field"),
    [
        ({"conversationId": None}, "missing_field", "conversationId"),
        ({"conversationStart": None}, "missing_field", "conversationStart"),
        ({"conversationStart": 7}, "wrong_type", "conversationStart"),
        ({"conversationEnd": "2026-03-02T09:00:00"}, "timestamp_without_offset", "conversationEnd"),
        ({"participants": {}}, "wrong_type", "participants"),
        (
            {"participants": [{"sessions": [{"segments": [{"segmentType": "hold"}]}]}]},
            "missing_field",
            "participants[0].sessions[0].segments[0].segmentStart",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(changes: dict[str, Any], rule: str, field: str) -> None:
    with pytest.raises(PlatformRecordError) as refused:
        read(conversation(**changes))
    assert (refused.value.rule, refused.value.field) == (rule, field)


# ------------------------------------------------------------------------------------------------------------- calls


def test_an_answered_call() -> None:
    assembled = assemble(answered(codes=("w-status", "w-payment")))
    assert assembled.notes == [] and assembled.callback_events == []
    assert assembled.call == {
        "call_id": "g-1",
        "record_version": 1,
        "emitted_at": "2026-03-02T09:07:45.000000Z",
        "is_test": False,
        "dialled_number": "+441632960001",
        "caller_number": "+447700900123",
        "language": "en",
        "received_at": "2026-03-02T09:00:00.000000Z",
        "ivr_ended_at": "2026-03-02T09:00:40.000000Z",
        "ivr_outcome": "queued",
        "ivr_path": [],
        "legs": [
            {
                "leg_no": 1,
                "queue": "q-first",
                "queued_at": "2026-03-02T09:00:40.000000Z",
                "answered_at": "2026-03-02T09:01:05.000000Z",
                "left_at": "2026-03-02T09:06:45.000000Z",
                "agent_id": "agent-0042",
                "hold_seconds": 0.0,
                "wrap_seconds": 60.0,
                "end_reason": "completed",
                "transfer_to": None,
                "transfer_mode": None,
                "reason_codes": ["w-status", "w-payment"],
            }
        ],
        "ended_at": "2026-03-02T09:06:45.000000Z",
    }


def test_an_alert_that_was_not_taken_does_not_stop_the_wait() -> None:
    [leg] = legs_of(conversation(customer(), ivr(), alert_only(), acd(), agent()))
    assert (leg["agent_id"], leg["answered_at"]) == ("agent-0042", "2026-03-02T09:01:05.000000Z")
    [gave_up] = legs_of(
        conversation(customer(end="09:02:00"), ivr(), alert_only(), acd(end="09:02:00", how="peer"))
    )
    assert (gave_up["end_reason"], gave_up["answered_at"], gave_up["agent_id"]) == ("abandoned", None, None)
    assert gave_up["reason_codes"] == [] and gave_up["wrap_seconds"] is None


@pytest.mark.parametrize(
    ("how", "attribute", "outcome"),
    [
        ("endpoint", None, "abandoned"),
        ("client", None, "abandoned"),
        ("endpoint", "self_served", "self_served"),
        ("peer", None, "forced_disconnect"),
        ("peer", "self_served", "self_served"),
        ("system", "abandoned", "forced_disconnect"),
        ("transport.failure", None, "forced_disconnect"),
        ("transfer", None, "self_served"),
        (None, None, "abandoned"),
    ],
)
def test_how_the_ivr_ended(how: str | None, attribute: str | None, outcome: str) -> None:
    call = call_of(
        conversation(
            customer(end="09:00:20", how=how, attributes={"IVR_outcome": attribute}), ivr(end="09:00:20")
        )
    )
    assert (call["ivr_outcome"], call["legs"]) == (outcome, [])
    assert call["ivr_ended_at"] == call["ended_at"] == "2026-03-02T09:00:20.000000Z"


def test_a_caller_still_in_the_ivr_is_no_call_yet() -> None:
    assembled = assemble(conversation(customer(end=None, how=None), ivr(end=None), end=None))
    assert assembled.call is None and "still in the IVR" in assembled.notes[0]


@pytest.mark.parametrize(
    ("customer_end", "queue_end", "end_reason"),
    [
        ("endpoint", "peer", "abandoned"),
        ("peer", "system", "forced_disconnect"),
        ("peer", "transfer", "flow_out"),
        (None, "peer", "abandoned"),
        (None, "error", "forced_disconnect"),
        (None, None, "abandoned"),
    ],
)
def test_how_a_wait_ended(customer_end: str | None, queue_end: str | None, end_reason: str) -> None:
    [leg] = legs_of(
        conversation(customer(end="09:02:00", how=customer_end), acd(end="09:02:00", how=queue_end))
    )
    assert (leg["end_reason"], leg["left_at"]) == (end_reason, "2026-03-02T09:02:00.000000Z")


@pytest.mark.parametrize(
    ("how", "attribute", "end_reason"),
    [
        ("peer", None, "completed"),
        ("peer", "Abandoned", "abandoned"),
        ("client", None, "completed"),
        ("error", None, "forced_disconnect"),
        (None, None, "completed"),
    ],
)
def test_how_an_answered_leg_ended(how: str | None, attribute: str | None, end_reason: str) -> None:
    [leg] = legs_of(answered(how=how, attributes={"leg_outcome": attribute}))
    assert leg["end_reason"] == end_reason


def test_a_segment_without_an_end() -> None:
    open_call = conversation(customer(end=None, how=None), acd(), agent(left=None, how=None), end=None)
    call = call_of(open_call)
    assert call["ended_at"] is None
    assert (call["legs"][0]["left_at"], call["legs"][0]["end_reason"]) == (None, None)
    over = assemble(conversation(customer(how="endpoint"), acd(), agent(left=None, how=None)))
    assert over.call is not None
    assert over.call["legs"][0]["left_at"] == "2026-03-02T09:06:45.000000Z"
    assert any("no segmentEnd" in note for note in over.notes)
    by_next = answered()
    del by_next["participants"][3]["sessions"][0]["segments"][1]["segmentEnd"]
    assert legs_of(by_next) == legs_of(answered())
    waiting = legs_of(conversation(customer(end=None, how=None), acd(end=None, how=None), end=None))
    assert (waiting[0]["left_at"], waiting[0]["end_reason"]) == (None, None)


def test_wrap_up() -> None:
    def wrap(value: dict[str, Any]) -> Any:
        return legs_of(value)[0]["wrap_seconds"]

    assert wrap(answered(wrap=None)) is None
    going_on = answered()
    del going_on["participants"][3]["sessions"][0]["segments"][2]["segmentEnd"]
    assert wrap(going_on) is None
    by_metric = answered(wrap=None)
    by_metric["participants"][3]["sessions"][0]["metrics"] = [
        {"name": "tAcw", "value": 4500},
        {"name": "nError"},
    ]
    assert wrap(by_metric) == 4.5
    none_given = answered(wrap=None)
    none_given["participants"][3]["sessions"][0]["metrics"] = [{"name": "tHandle", "value": 340000}]
    assert wrap(none_given) == 0.0


def test_hold_lies_within_talk() -> None:
    parts = [
        segment("interact", "09:01:05", "09:02:00", queueId="q-first"),
        segment("hold", "09:02:00", None, queueId="q-first"),
        segment("interact", "09:02:30", "09:05:00", queueId="q-first"),
        segment("hold", "09:05:00", "09:06:45", queueId="q-first", disconnectType="peer"),
    ]
    held = participant("agent", session("s-agent", *parts[::-1]), userId="agent-0042")
    [leg] = legs_of(conversation(customer(), acd(), held))
    assert leg["hold_seconds"] == 135.0
    assert (leg["answered_at"][11:19], leg["left_at"][11:19]) == ("09:01:05", "09:06:45")


SECOND = acd("q-second", "09:06:40", "09:06:50")


@pytest.mark.parametrize(
    ("queue", "to"), [("q-second", "2nd_line"), ("q-csmt", "csmt"), ("q-first", "other"), ("q-new", "other")]
)
@pytest.mark.parametrize(
    ("how", "took", "mode"),
    [
        ("transfer", "09:06:50", "cold"),
        ("consultTransfer", "09:06:50", "warm"),
        ("transfer", "09:06:44", "warm"),
    ],
)
def test_a_transfer_to_a_queue(queue: str, to: str, how: str, took: str, mode: str) -> None:
    first, second = legs_of(
        conversation(
            agent("agent-0077", queue, "09:06:42", took, "09:12:00", wrap="09:13:00"),
            acd(queue, "09:06:40", took),
            agent(how=how),
            acd(),
            customer(end="09:12:00"),
            end="09:12:00",
        )
    )
    assert (first["end_reason"], first["transfer_to"], first["transfer_mode"]) == ("transferred", to, mode)
    assert (second["queue"], second["agent_id"], second["end_reason"]) == (queue, "agent-0077", "completed")


def test_a_transfer_to_an_agent_who_has_no_queue_visit_of_his_own() -> None:
    colleague = agent("agent-0077", "q-first", "09:06:40", "09:06:50", "09:12:00")
    first, second = legs_of(conversation(customer(end="09:12:00"), acd(), agent(how="transfer"), colleague))
    assert (first["transfer_to"], second["queue"], second["queued_at"][11:19]) == (
        "other",
        "q-first",
        "09:06:40",
    )
    person = agent("agent-0077", None, "09:06:40", "09:06:50", "09:12:00")
    legs = legs_of(conversation(customer(end="09:12:00"), acd(), agent(how="transfer"), person))
    assert legs[1]["queue"] == "DIRECT_TO_AGENT"


def test_a_transfer_that_leads_nowhere_known() -> None:
    assembled = assemble(answered(how="transfer"))
    assert assembled.call is not None
    [leg] = assembled.call["legs"]
    assert (leg["end_reason"], leg["transfer_to"], leg["transfer_mode"]) == ("transferred", "other", "cold")
    assert any("not known where" in note for note in assembled.notes)


def test_a_caller_who_gave_up_while_transferred() -> None:
    waiting = acd("q-csmt", "09:06:44", "09:08:00", "peer")
    first, second = legs_of(conversation(customer(end="09:08:00"), acd(), agent(how="transfer"), waiting))
    assert (first["transfer_to"], first["transfer_mode"]) == ("csmt", "cold")
    assert (second["end_reason"], second["answered_at"]) == ("abandoned", None)


def test_a_consultation_is_no_leg() -> None:
    consulted = agent("agent-0077", "q-second", "09:03:05", "09:03:10", "09:04:00", how="client")
    assembled = assemble(
        conversation(customer(), acd(), agent(), acd("q-second", "09:03:00", "09:03:10"), consulted)
    )
    assert assembled.call is not None
    [leg] = assembled.call["legs"]
    assert leg["end_reason"] == "completed" and any("consulted" in note for note in assembled.notes)


def test_moving_from_queue_to_queue_is_no_transfer() -> None:
    moved = acd("q-first", "09:00:40", "09:00:55")
    first, second = legs_of(
        conversation(customer(), moved, acd("q-second", "09:00:55"), agent(queue="q-second"))
    )
    assert (first["end_reason"], first["transfer_to"]) == ("flow_out", None)
    assert second["end_reason"] == "completed"
    one_session = participant(
        "acd",
        session(
            "s-acd",
            segment("interact", "09:00:55", "09:01:05", queueId="q-second"),
            segment("interact", "09:00:40", "09:00:55", queueId="q-first"),
        ),
    )
    assert [
        leg["queue"] for leg in legs_of(conversation(customer(), one_session, agent(queue="q-second")))
    ] == [
        "q-first",
        "q-second",
    ]


def test_numbers_and_attributes() -> None:
    value = conversation(
        customer(attributes={"Language": "cy", "IS_TEST": "true", "ivr_path": "MAIN;FEES"}), acd()
    )
    value["participants"][0]["sessions"][0] |= {
        "ani": "sip:anonymous@edge.example",
        "dnis": "sip:+441632960001@edge",
    }
    call = call_of(value)
    assert (call["caller_number"], call["dialled_number"]) == ("anonymous", "+441632960001")
    assert (call["language"], call["is_test"], call["ivr_path"]) == ("cy", True, ["MAIN", "FEES"])
    coded = answered(codes=(), attributes={"reason_codes": "STATUS"}, wrap=None)
    assert legs_of(coded)[0]["reason_codes"] == ["STATUS"]


@pytest.mark.parametrize("changes", [{"originatingDirection": "outbound"}, {"participants": []}])
def test_what_is_no_call_received(changes: dict[str, Any]) -> None:
    assert assemble(answered() | changes) == Assembled()
    chat = answered()
    for each in chat["participants"]:
        each["sessions"][0]["mediaType"] = "message"
    assert assemble(chat) == Assembled()


def test_records_of_two_conversations_are_refused() -> None:
    with pytest.raises(ValueError, match="one conversation"):
        assemble(answered(), answered() | {"conversationId": "g-2"})


def test_the_newest_version_wins_in_any_order() -> None:
    early, late = answered(wrap=None), answered()
    assert newest([read(early), read(late)]) == newest([read(late), read(early), read(early)]) == [read(late)]
    call = call_of(late, early, early)
    assert (call["record_version"], call["emitted_at"][11:19]) == (2, "09:07:45")
    assert call["legs"][0]["wrap_seconds"] == 60.0
    coded, uncoded = answered(), answered()
    del uncoded["participants"][3]["sessions"][0]["segments"][2]["wrapUpCode"]
    assert newest([read(coded), read(uncoded)]) == [read(coded)]


# ---------------------------------------------------------------------------------------------------------- call-backs


def requested_in_queue(*more: dict[str, Any], end: str | None = "10:20:00") -> dict[str, Any]:
    asked = session("s-cb", segment("interact", "09:02:00", "10:00:00"), mediaType="callback", dnis=None)
    caller = customer(end="09:02:05")
    caller["sessions"].append(asked)
    wait = participant(
        "acd",
        session(
            "s-acd-cb",
            segment("interact", "09:02:00", "10:00:00", queueId="q-first", disconnectType="timeout"),
            mediaType="callback",
        ),
    )
    return conversation(caller, acd(end="09:02:00", how="transfer"), wait, *more, end=end)


def dialled(name: str, start: str, *segments: dict[str, Any]) -> dict[str, Any]:
    return participant("customer", session(name, *segments, direction="outbound"))


CALLING = participant(
    "agent",
    session(
        "s-agent-cb",
        segment("alert", "10:00:00", "10:00:05", queueId="q-first"),
        segment("interact", "10:00:05", "10:15:00", queueId="q-first"),
        segment("wrapup", "10:15:00", "10:16:00", queueId="q-first", wrapUpCode="w-status"),
        mediaType="callback",
    ),
    session("s-agent-out", segment("interact", "10:05:00", "10:15:00"), direction="outbound"),
    userId="agent-0050",
)


def test_a_call_back_in_the_conversation_of_its_call() -> None:
    missed = dialled("s-1", "10:01:00", segment("dialing", "10:01:00", "10:01:30", disconnectType="timeout"))
    reached = dialled(
        "s-2",
        "10:05:00",
        segment("dialing", "10:05:00", "10:05:10"),
        segment("interact", "10:05:10", "10:15:00", disconnectType="endpoint"),
    )
    assembled = assemble(requested_in_queue(CALLING, missed, reached))
    assert assembled.call is not None
    [leg] = assembled.call["legs"]
    assert (leg["end_reason"], leg["answered_at"]) == ("callback_requested", None)
    assert assembled.call["ended_at"] == "2026-03-02T09:02:05.000000Z"
    events = assembled.callback_events
    assert [(e["event_id"], e["occurred_at"][11:19], e["outcome"]) for e in events] == [
        ("g-1:requested", "09:02:00", None),
        ("s-1:attempted", "10:01:00", "no_answer"),
        ("s-2:attempted", "10:05:00", "connected"),
        ("s-2:connected", "10:05:10", None),
    ]
    assert {e["callback_id"] for e in events} == {e["call_id"] for e in events} == {"g-1"}
    assert {e["dialled_number"] for e in events} == {"+441632960001"}
    assert [e["agent_id"] for e in events] == [None, "agent-0050", "agent-0050", "agent-0050"]
    assert events[3]["reason_codes"] == ["w-status"]


@pytest.mark.parametrize(
    ("code", "how", "outcome"),
    [(486, "peer", "busy"), (480, "peer", "no_answer"), (404, "error", "failed"), (None, "error", "failed")],
)
def test_an_attempt_that_reached_nobody(code: int | None, how: str, outcome: str) -> None:
    codes = {"sipResponseCodes": [code]} if code else {}
    missed = dialled(
        "s-1", "10:01:00", segment("dialing", "10:01:00", "10:01:30", disconnectType=how, **codes)
    )
    events = assemble(requested_in_queue(CALLING, missed)).callback_events
    assert [(e["event"], e["outcome"]) for e in events] == [("requested", None), ("attempted", outcome)]


def test_a_call_back_that_was_never_tried() -> None:
    assert [e["event"] for e in assemble(requested_in_queue()).callback_events] == ["requested", "expired"]
    assert [e["event"] for e in assemble(requested_in_queue(end=None)).callback_events] == ["requested"]
    cancelled = requested_in_queue()
    cancelled["participants"][0]["attributes"] = {"callback_outcome": "cancelled"}
    assert [e["event"] for e in assemble(cancelled).callback_events] == ["requested", "cancelled"]
    test = requested_in_queue()
    test["participants"][0]["attributes"] = {"is_test": "true"}
    assert assemble(test).callback_events == []


# ------------------------------------------------------------------------------------------------ order of arrival


def by_conversation(versions: list[Conversation]) -> dict[str, Assembled]:
    chains: dict[str, list[Conversation]] = {}
    for version in versions:
        chains.setdefault(call_id_of(version), []).append(version)
    return {
        call_id: genesys.assemble(chain, lambda queue: LINES.get(queue, ""))
        for call_id, chain in sorted(chains.items())
    }


def from_fixture() -> list[dict[str, Any]]:
    return [decode(item.text) for item in records([(FIXTURES / "genesys_cloud.jsonl").read_bytes()])]


def test_the_fixture_gives_calls_that_the_contract_accepts() -> None:
    assembled = by_conversation([read(value) for value in from_fixture()])
    calls = {call_id: each.call for call_id, each in assembled.items()}
    lines = b"\n".join(json.dumps(call).encode() for call in calls.values() if call)
    parsed = Parser(CONTRACT, b"a secret of this test", NOW).parse(Chunk(1, lines))
    assert parsed.findings == [] and len(parsed.rows) == 3
    assert calls["gen-0004"] is None
    assert [len((calls[f"gen-000{number}"] or {})["legs"]) for number in (1, 2, 3)] == [2, 0, 1]


def shuffled(value: Any, chooser: random.Random) -> Any:
    """The same record with every list of objects and every object in another order."""
    if isinstance(value, dict):
        names = list(value)
        chooser.shuffle(names)
        return {name: shuffled(value[name], chooser) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, chooser) for item in value]
        if items and isinstance(items[0], dict):
            chooser.shuffle(items)
        return items
    return value


@settings(max_examples=60, deadline=None)
@given(chooser=st.randoms(use_true_random=False), as_page=st.booleans(), size=st.integers(1, 5_000))
def test_any_order_duplication_and_chunking_gives_the_same_calls(
    chooser: random.Random, as_page: bool, size: int
) -> None:
    values = [*from_fixture(), requested_in_queue(CALLING), answered(wrap=None), answered()]
    expected = by_conversation([read(value) for value in values])
    doubled = [*copy.deepcopy(values), *chooser.choices(values, k=3)]
    chooser.shuffle(doubled)
    again = [shuffled(value, chooser) for value in doubled]
    text = json.dumps({"conversations": again}, indent=1) if as_page else "\n".join(map(json.dumps, again))
    data = text.encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(records(chunks))
    assert [item.number for item in found] == list(range(1, len(again) + 1))
    assert by_conversation([read(decode(item.text)) for item in found]) == expected
