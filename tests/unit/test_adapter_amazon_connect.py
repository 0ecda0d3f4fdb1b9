"""Contact records to calls and call-backs: every trap of the platform, and that the order of arrival is no matter."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.adapters import amazon_connect as connect
from ingestion.adapters import objects as objects_module
from ingestion.adapters.amazon_connect import (
    ContactRecord,
    call_id_of,
    callback_wait_seconds,
    newest,
    read,
    records,
)
from ingestion.adapters.assembled import Assembled, PlatformRecordError, decode
from ingestion.adapters.objects import MAX_DEPTH, PlatformText, objects
from ingestion.contract import Contract, load_contract
from ingestion.lines import Chunk
from ingestion.parse import Parser

FIXTURES = Path(__file__).parents[1] / "fixtures" / "platform_records"
NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
CONTRACT = load_contract("telephony_call")
EVENTS = load_contract("callback_event")
ARN = "arn:aws:connect:eu-west-2:123456789012:instance/i-1"
LINES = {"PAL_GENERAL": "1st", "PAL_SECOND": "2nd", "CSMT_VOICE": "csmt"}


def at(time: str) -> str:
    return f"2026-03-02T{time}Z"


def contact(contact_id: str = "c-1", **changes: Any) -> dict[str, Any]:
    """An inbound contact that hung up in the IVR."""
    return {
        "AWSAccountId": "123456789012",
        "AWSContactTraceRecordFormatVersion": "2017-03-10",
        "Agent": None,
        "Attributes": {},
        "Channel": "VOICE",
        "ConnectedToSystemTimestamp": at("09:00:00"),
        "ContactId": contact_id,
        "CustomerEndpoint": {"Address": "+447700900123", "Type": "TELEPHONE_NUMBER"},
        "DisconnectReason": "CUSTOMER_DISCONNECT",
        "DisconnectTimestamp": at("09:00:30"),
        "InitialContactId": None,
        "InitiationMethod": "INBOUND",
        "InitiationTimestamp": at("09:00:00"),
        "LastUpdateTimestamp": at("09:10:00"),
        "NextContactId": None,
        "PreviousContactId": None,
        "Queue": None,
        "SystemEndpoint": {"Address": "+441632960001", "Type": "TELEPHONE_NUMBER"},
        "TransferCompletedTimestamp": None,
        "TransferredToEndpoint": None,
        **changes,
    }


def queue(
    name: str = "PAL_GENERAL", joined: str = "09:00:40", left: str | None = "09:01:05"
) -> dict[str, Any]:
    return {
        "ARN": f"{ARN}/queue/q-{name}",
        "Name": name,
        "EnqueueTimestamp": at(joined),
        "DequeueTimestamp": left and at(left),
        "Duration": 9999,
    }


def agent(name: str = "agent-0042", answered: str = "09:01:05", **changes: Any) -> dict[str, Any]:
    return {
        "ARN": f"{ARN}/agent/a-{name}",
        "Username": name,
        "ConnectedToAgentTimestamp": at(answered),
        "AfterContactWorkDuration": 60,
        "AfterContactWorkStartTimestamp": at("09:06:45"),
        "AfterContactWorkEndTimestamp": at("09:07:45"),
        "CustomerHoldDuration": 12,
        "NumberOfHolds": 1,
        "AgentInteractionDuration": 328,
        **changes,
    }


def answered(**changes: Any) -> dict[str, Any]:
    return contact(**{"Queue": queue(), "Agent": agent(), "DisconnectTimestamp": at("09:06:45"), **changes})


def following(contact_id: str = "c-2", method: str = "TRANSFER", **changes: Any) -> dict[str, Any]:
    defaults = {
        "InitiationMethod": method,
        "InitialContactId": "c-1",
        "PreviousContactId": "c-1",
        "InitiationTimestamp": at("09:06:00"),
        "Queue": queue("PAL_SECOND", "09:06:01", "09:06:50"),
        "Agent": agent("agent-0077", "09:06:50"),
        "DisconnectTimestamp": at("09:12:00"),
        "LastUpdateTimestamp": at("09:13:00"),
    }
    return contact(contact_id, **{**defaults, **changes})


def callback(contact_id: str = "k-1", **changes: Any) -> dict[str, Any]:
    """The vendor's example of a queued call-back, with an initial delay of 99 seconds."""
    defaults = {
        "InitiationMethod": "CALLBACK",
        "InitialContactId": "c-1",
        "PreviousContactId": "c-1",
        "InitiationTimestamp": at("09:37:00"),
        "Queue": queue("PAL_CALLBACK", "09:38:39", "09:39:00"),
        "Agent": agent("agent-0050", "09:39:00"),
        "ConnectedToSystemTimestamp": at("09:39:15"),
        "DisconnectTimestamp": at("09:45:00"),
        "LastUpdateTimestamp": at("09:50:00"),
        "SystemEndpoint": {"Address": "+441632960999", "Type": "TELEPHONE_NUMBER"},
    }
    return contact(contact_id, **{**defaults, **changes})


def support_line_of(name: str) -> str:
    return LINES.get(name, "")


def assemble(*values: dict[str, Any]) -> Assembled:
    """Assemble, and see that the row rules of the contract accept the call."""
    assembled = connect.assemble([read(value) for value in values], support_line_of)
    if assembled.call is not None:
        assert_accepted(assembled.call)
    if assembled.callback_events:
        assert_accepted(*assembled.callback_events, contract=EVENTS)
    return assembled


def assert_accepted(*calls: dict[str, Any], contract: Contract = CONTRACT) -> None:
    data = b"\n".join(json.dumps(each).encode() for each in calls)
    parsed = Parser(contract, b"a secret of this test", NOW).parse(Chunk(1, data))
    assert parsed.findings == [] and parsed.unknown_fields == set() and len(parsed.rows) == len(calls)


def call_of(*values: dict[str, Any]) -> dict[str, Any]:
    call = assemble(*values).call
    assert call is not None
    return call


def legs_of(*values: dict[str, Any]) -> list[dict[str, Any]]:
    legs: list[dict[str, Any]] = call_of(*values)["legs"]
    return legs


# ----------------------------------------------------------------------------------------------- cutting the stream


def cut(data: bytes, *, chunk: int = 1 << 20, max_bytes: int = 1 << 20) -> list[PlatformText]:
    return list(objects((data[start : start + chunk] for start in range(0, len(data), chunk)), max_bytes))


AWKWARD: list[dict[str, Any]] = [
    {"a": 'a brace } and a quote " and a \\', "b": {"c": [{}, {"d": "}{"}]}},
    {"é": "ŵ 𝄞 Ysgrifennydd", "n": "line\nend", "e": []},
    {},
]


@pytest.mark.parametrize("between", ["", "\n", " ", "\r\n\r\n", "\n\t "])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_objects_are_found_with_or_without_anything_between(between: str, ascii_only: bool) -> None:
    data = between.join(json.dumps(each, ensure_ascii=ascii_only) for each in AWKWARD).encode()
    found = cut(data)
    assert [json.loads(item.text) for item in found] == AWKWARD
    assert [item.number for item in found] == [1, 2, 3]
    step = between.count("\n")
    assert [item.line for item in found] == [1, 1 + step, 1 + 2 * step]


def test_where_chunks_end_makes_no_difference() -> None:
    data = "".join(json.dumps(each, ensure_ascii=False) for each in AWKWARD).encode()
    data = b"\xef\xbb\xbf" + data + b"\nbad\n" + data + b'{"cut": "off'
    whole = cut(data)
    assert len(whole) == 8
    for size in range(1, len(data)):
        assert cut(data, chunk=size) == whole
    for border in range(len(data)):
        assert list(objects([data[:border], b"", data[border:]])) == whole


def test_printed_over_many_lines() -> None:
    data = "\n".join(json.dumps(each, indent=2) for each in AWKWARD).encode()
    assert [json.loads(item.text) for item in cut(data)] == AWKWARD


@pytest.mark.parametrize(
    ("damaged", "texts", "problem"),
    [
        (b'{"a":1}rubbish{"b":2}\n{"c":3}', [b'{"a":1}', b'rubbish{"b":2}', b'{"c":3}'], "between objects"),
        (b'{"a":"not closed}\n{"c":3}', [b'{"a":"not closed}', b'{"c":3}'], "not closed"),
        (b'{"a":{"b":1}\n{"c":3}', [b'{"a":{"b":1}', b'{"c":3}'], "does not end before"),
        (b'{"a":\n{"c":3}\n{"d":4}', [b'{"a":', b'{"c":3}', b'{"d":4}'], "does not end before"),
        (b'{"a":1,\n{"c":3}', [b'{"a":1,', b'{"c":3}'], "does not end before"),
        (b'{"a":[1}\n{"c":3}', [b'{"a":[1}', b'{"c":3}'], "do not match"),
        (b'{"a":1\n', [b'{"a":1'], "cut off"),
        (b'{"a":"\\', [b'{"a":"\\'], "cut off"),
        (b'{"a":\n{"b":1}\n', [b'{"a":', b'{"b":1}'], "cut off"),
        (b"\xef\xbb", [b"\xef\xbb"], "between objects"),
        (b"<html>\n", [b"<html>"], "between objects"),
    ],
)
def test_damaged_text_is_an_item_and_the_next_line_is_read(
    damaged: bytes, texts: list[bytes], problem: str
) -> None:
    found = cut(damaged)
    assert [item.text for item in found] == texts
    [bad] = [item for item in found if item.problem]
    assert problem in (bad.problem or "")
    assert [item.number for item in found] == list(range(1, len(texts) + 1))
    lines = damaged.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert all(item.text.split(b"\n")[0] in lines[item.line - 1] for item in found)
    for size in range(1, len(damaged)):
        assert cut(damaged, chunk=size) == found


def test_an_object_has_a_greatest_size_and_depth() -> None:
    small, large = b'{"a":"12345"}', b'{"a":"123456"}'
    for size in range(1, 40):
        found = cut(small + large + b"\n" + small, chunk=size, max_bytes=len(small))
        assert [(item.text, bool(item.problem)) for item in found] == [
            (small, False),
            (large, True),
            (small, False),
        ]
    deep = b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)
    assert [bool(item.problem) for item in cut(deep + b"\n" + small)] == [True, False]


def test_memory_does_not_grow_with_the_stream() -> None:
    def endless() -> Iterable[bytes]:
        for _ in range(2_000):
            yield b'{"a":"' + b"x" * 1_000

    splitter = objects_module._Splitter(10_000)
    for piece in endless():
        assert list(splitter.feed(piece)) == []  # one text that never ends
        assert len(splitter.held) <= 10_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(json_objects, max_size=5),
    between=st.sampled_from(["", "\n", "\r\n", "  "]),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20),
)
def test_any_objects_in_any_chunks(
    values: list[Any], between: str, indent: int | None, ascii_only: bool, sizes: list[int]
) -> None:
    text = between.join(json.dumps(each, ensure_ascii=ascii_only, indent=indent) for each in values)
    data = text.encode("utf-8", "surrogatepass")
    chunks, start = [], 0
    while start < len(data):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[start : start + size])
        start += size
    found = list(records(chunks))
    assert [item.problem for item in found] == [None] * len(values)
    assert [json.loads(item.text) for item in found] == values


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([b'{"a":', b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b",", b":1", b"x", b"\n{"])
    ),
    size=st.integers(1, 7),
    max_bytes=st.integers(1, 20),
)
@example(pieces=[b"{", b"\n{", b"\n{", b'"', b"\n{", b"}"], size=1, max_bytes=20)
def test_any_bytes_are_cut_alike_in_any_chunks_and_nothing_is_lost(
    pieces: list[bytes], size: int, max_bytes: int
) -> None:
    data = b"".join(pieces)
    found = cut(data, max_bytes=max_bytes)
    assert cut(data, chunk=size, max_bytes=max_bytes) == found
    assert [item.number for item in found] == list(range(1, len(found) + 1))
    assert b"".join(b"".join(item.text.split()) for item in found) == b"".join(data.split())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b'{"a":\xff}', "not_utf8"),
        (b'{"a":x}', "invalid_json"),
        (b'{"a":NaN}', "not_finite"),
        (b"[1]", "not_an_object"),
        (b'{"a":1,"a":2}', "repeated_field"),
        (b'{"a":"\\u0000"}', "invalid_text"),
        (b'{"a":"\\ud800"}', "invalid_text"),
    ],
)
def test_text_that_is_no_object_is_refused(text: bytes, rule: str) -> None:
    with pytest.raises(PlatformRecordError) as refused:
        decode(text)
    assert refused.value.rule == rule


# ------------------------------------------------------------------------------------------------- reading a record


@pytest.mark.parametrize(
    ("changes", "rule", "field"),
    [
        ({"ContactId": None}, "missing_field", "ContactId"),
        ({"ContactId": 7}, "wrong_type", "ContactId"),
        ({"InitiationMethod": ""}, "missing_field", "InitiationMethod"),
        ({"InitiationTimestamp": None}, "missing_field", "InitiationTimestamp"),
        ({"LastUpdateTimestamp": None}, "missing_field", "LastUpdateTimestamp"),
        ({"LastUpdateTimestamp": "yesterday"}, "timestamp_format", "LastUpdateTimestamp"),
        ({"LastUpdateTimestamp": "2026-02-30T00:00:00Z"}, "timestamp_format", "LastUpdateTimestamp"),
        ({"LastUpdateTimestamp": "2026-03-02T09:00:00"}, "timestamp_without_offset", "LastUpdateTimestamp"),
        ({"Queue": "PAL"}, "wrong_type", "Queue"),
        ({"Agent": agent(CustomerHoldDuration=-1)}, "out_of_range", "Agent.CustomerHoldDuration"),
        ({"Agent": agent(CustomerHoldDuration=True)}, "wrong_type", "Agent.CustomerHoldDuration"),
        ({"Attributes": {"language": ["en"]}}, "wrong_type", "Attributes.language"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(changes: dict[str, Any], rule: str, field: str) -> None:
    with pytest.raises(PlatformRecordError) as refused:
        read(contact(**changes))
    assert (refused.value.rule, refused.value.field) == (rule, field)


def test_names_may_differ_in_case() -> None:
    lowered = {
        name.lower(): value
        for name, value in answered(Attributes={"Is_Test": "TRUE", "LANGUAGE": "cy"}).items()
    }
    call = call_of(lowered)
    assert call["is_test"] is True and call["language"] == "cy" and call["legs"][0]["queue"] == "PAL_GENERAL"


def test_names_that_differ_only_in_case_are_decided_alike_in_any_order() -> None:
    pairs = [("LANGUAGE", "en"), ("Language", "cy"), ("languagE", "")]
    for order in (pairs, pairs[::-1]):
        assembled = assemble(contact(Attributes=dict(order)))
        assert assembled.call is not None and assembled.call["language"] == "en"
        assert any("differ only in case" in note for note in assembled.notes)
    exact = contact(Attributes={"LANGUAGE": "en", "language": "cy"})
    assert call_of(exact)["language"] == "cy"
    empty = contact(Attributes={"LANGUAGE": "cy", "language": ""})
    assert call_of(empty)["language"] == "cy"


def test_the_newest_update_wins_in_any_order_and_ties_are_decided() -> None:
    first = read(answered(Attributes={"reason_codes": "STATUS"}))
    second = read(answered(Attributes={"reason_codes": "PAYMENT"}, LastUpdateTimestamp=at("09:20:00")))
    tie = read(answered(Attributes={"reason_codes": "OTHER"}, LastUpdateTimestamp=at("09:20:00")))
    assert newest([first, second]) == newest([second, first, second]) == [second]
    assert newest([second, tie]) == newest([tie, second])
    assert call_id_of(first) == "c-1" and call_id_of(read(following())) == "c-1"


# ------------------------------------------------------------------------------------------------------------- calls


def test_an_answered_call() -> None:
    assembled = assemble(
        answered(Attributes={"reason_codes": "STATUS,PAYMENT", "ivr_path": '["MAIN","STATUS"]'})
    )
    assert assembled.notes == [] and assembled.callback_events == []
    assert assembled.call == {
        "call_id": "c-1",
        "record_version": 1,
        "emitted_at": "2026-03-02T09:10:00.000000Z",
        "is_test": False,
        "dialled_number": "+441632960001",
        "caller_number": "+447700900123",
        "language": "en",
        "received_at": "2026-03-02T09:00:00.000000Z",
        "ivr_ended_at": "2026-03-02T09:00:40.000000Z",
        "ivr_outcome": "queued",
        "ivr_path": ["MAIN", "STATUS"],
        "legs": [
            {
                "leg_no": 1,
                "queue": "PAL_GENERAL",
                "queued_at": "2026-03-02T09:00:40.000000Z",
                "answered_at": "2026-03-02T09:01:05.000000Z",
                "left_at": "2026-03-02T09:06:45.000000Z",
                "agent_id": "agent-0042",
                "hold_seconds": 12.0,
                "wrap_seconds": 60.0,
                "end_reason": "completed",
                "transfer_to": None,
                "transfer_mode": None,
                "reason_codes": ["STATUS", "PAYMENT"],
            }
        ],
        "ended_at": "2026-03-02T09:06:45.000000Z",
    }


@pytest.mark.parametrize(
    ("reason", "attribute", "outcome"),
    [
        ("CUSTOMER_DISCONNECT", None, "abandoned"),
        ("CUSTOMER_DISCONNECT", "self_served", "self_served"),
        ("CUSTOMER_DISCONNECT", "SELF_SERVED", "self_served"),
        ("CUSTOMER_DISCONNECT", "queued", "abandoned"),
        ("CONTACT_FLOW_DISCONNECT", None, "forced_disconnect"),
        ("CONTACT_FLOW_DISCONNECT", "abandoned", "forced_disconnect"),
        ("CONTACT_FLOW_DISCONNECT", "self_served", "self_served"),
        ("TELECOM_PROBLEM", None, "forced_disconnect"),
        (None, None, "abandoned"),
    ],
)
def test_how_the_ivr_ended(reason: str | None, attribute: str | None, outcome: str) -> None:
    call = call_of(contact(DisconnectReason=reason, Attributes={"ivr_outcome": attribute}))
    assert (call["ivr_outcome"], call["legs"]) == (outcome, [])
    assert call["ivr_ended_at"] == call["ended_at"] == "2026-03-02T09:00:30.000000Z"


def test_a_caller_still_in_the_ivr_is_no_call_yet() -> None:
    assembled = assemble(contact(DisconnectTimestamp=None, DisconnectReason=None))
    assert assembled.call is None and "still in the IVR" in assembled.notes[0]


@pytest.mark.parametrize(
    ("reason", "end_reason"),
    [
        ("CUSTOMER_DISCONNECT", "abandoned"),
        ("CONTACT_FLOW_DISCONNECT", "forced_disconnect"),
        ("TELECOM_PROBLEM", "forced_disconnect"),
        (None, "abandoned"),
    ],
)
def test_how_a_wait_ended(reason: str | None, end_reason: str) -> None:
    [leg] = legs_of(
        contact(Queue=queue(left=None), DisconnectReason=reason, DisconnectTimestamp=at("09:02:00"))
    )
    assert leg["end_reason"] == end_reason
    assert (leg["answered_at"], leg["agent_id"], leg["wrap_seconds"]) == (None, None, None)
    assert leg["left_at"] == "2026-03-02T09:02:00.000000Z"


@pytest.mark.parametrize(
    ("reason", "attribute", "end_reason"),
    [
        ("CUSTOMER_DISCONNECT", None, "completed"),
        ("CUSTOMER_DISCONNECT", "abandoned", "abandoned"),
        ("AGENT_DISCONNECT", None, "completed"),
        ("TELECOM_PROBLEM", None, "forced_disconnect"),
        (None, None, "completed"),
    ],
)
def test_how_an_answered_leg_ended(reason: str | None, attribute: str | None, end_reason: str) -> None:
    [leg] = legs_of(answered(DisconnectReason=reason, Attributes={"leg_outcome": attribute}))
    assert leg["end_reason"] == end_reason


def test_an_open_call() -> None:
    waiting = call_of(contact(Queue=queue(left=None), DisconnectTimestamp=None, DisconnectReason=None))
    assert waiting["ended_at"] is None
    assert (waiting["legs"][0]["left_at"], waiting["legs"][0]["end_reason"]) == (None, None)
    [talking] = legs_of(answered(DisconnectTimestamp=None, DisconnectReason=None))
    assert talking["answered_at"] and talking["left_at"] is None and talking["end_reason"] is None


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"AfterContactWorkEndTimestamp": None, "AfterContactWorkDuration": 0}, None),
        ({"AfterContactWorkStartTimestamp": None, "AfterContactWorkEndTimestamp": None}, 60.0),
        ({"AfterContactWorkDuration": None}, 60.0),
        (
            {
                "AfterContactWorkStartTimestamp": None,
                "AfterContactWorkEndTimestamp": None,
                "AfterContactWorkDuration": None,
            },
            None,
        ),
    ],
)
def test_after_contact_work_is_null_until_it_ended(changes: dict[str, Any], seconds: float | None) -> None:
    [leg] = legs_of(answered(Agent=agent(**changes)))
    assert leg["wrap_seconds"] == seconds


def test_hold_lies_within_talk() -> None:
    [leg] = legs_of(answered(Agent=agent(CustomerHoldDuration=341)))
    assert leg["hold_seconds"] == 340.0
    assembled = assemble(answered(Agent=agent(CustomerHoldDuration=900)))
    assert assembled.call is not None and assembled.call["legs"][0]["hold_seconds"] == 340.0
    assert any("longer on hold" in note for note in assembled.notes)


@pytest.mark.parametrize(
    ("next_queue", "to"),
    [("PAL_SECOND", "2nd_line"), ("CSMT_VOICE", "csmt"), ("PAL_GENERAL", "other"), ("NEVER_SEEN", "other")],
)
@pytest.mark.parametrize(("connected", "mode"), [("09:06:30", "warm"), ("09:06:50", "cold")])
def test_a_transfer_by_an_agent(next_queue: str, to: str, connected: str, mode: str) -> None:
    first, second = legs_of(
        following(Queue=queue(next_queue, "09:06:01", connected), Agent=agent("agent-0077", connected)),
        answered(NextContactId="c-2", DisconnectReason="AGENT_DISCONNECT"),
    )
    assert (first["end_reason"], first["transfer_to"], first["transfer_mode"]) == ("transferred", to, mode)
    assert (second["leg_no"], second["agent_id"], second["end_reason"]) == (2, "agent-0077", "completed")
    assert second["transfer_to"] is None and second["transfer_mode"] is None


def test_the_call_ends_with_its_last_leg() -> None:
    assert call_of(answered(), following())["ended_at"] == "2026-03-02T09:12:00.000000Z"
    assert call_of(answered(), following(DisconnectTimestamp=None))["ended_at"] is None


def test_a_caller_who_gave_up_while_transferred() -> None:
    first, second = legs_of(answered(), following(Agent=None, Queue=queue("CSMT_VOICE", "09:06:01", None)))
    assert (first["end_reason"], first["transfer_to"], first["transfer_mode"]) == (
        "transferred",
        "csmt",
        "cold",
    )
    assert (second["end_reason"], second["answered_at"]) == ("abandoned", None)


def test_moving_from_queue_to_queue_is_no_transfer() -> None:
    waiting = contact(Queue=queue(left="09:03:00"), DisconnectReason=None, DisconnectTimestamp=at("09:03:01"))
    first, second = legs_of(following(method="QUEUE_TRANSFER"), waiting)
    assert (first["end_reason"], first["left_at"]) == ("flow_out", "2026-03-02T09:03:00.000000Z")
    assert first["transfer_to"] is None
    assert second["end_reason"] == "completed"


def test_a_consultation_is_no_leg() -> None:
    assembled = assemble(
        answered(), following(DisconnectTimestamp=at("09:06:30"), Agent=agent("agent-9", "09:06:10"))
    )
    assert assembled.call is not None
    [leg] = assembled.call["legs"]
    assert leg["end_reason"] == "completed" and assembled.call["ended_at"] == "2026-03-02T09:06:45.000000Z"
    assert any("consultation" in note for note in assembled.notes)


def test_a_chain_of_three_in_which_one_is_not_known_yet() -> None:
    third = following(
        "c-3",
        PreviousContactId="c-2",
        InitiationTimestamp=at("09:11:00"),
        Queue=queue("CSMT_VOICE", "09:12:00", "09:12:30"),
        Agent=agent("agent-0099", "09:12:30"),
        DisconnectTimestamp=at("09:20:00"),
    )
    whole = legs_of(third, following(), answered())
    assert [leg["transfer_to"] for leg in whole] == ["2nd_line", "csmt", None]
    without = assemble(third, answered())
    assert without.call is not None and len(without.call["legs"]) == 2
    assert any("not known yet" in note for note in without.notes)
    alone = assemble(third, following())
    assert alone.call is None and "not known yet" in alone.notes[0]
    ahead = assemble(answered(NextContactId="c-2"))
    assert ahead.call is not None and ahead.call["ended_at"] is None
    assert any("follows it is not known yet" in note for note in ahead.notes)


def test_a_transfer_out_of_the_platform() -> None:
    out = {"Address": "+441632960500", "Type": "TELEPHONE_NUMBER"}
    for work_began, mode in (("09:06:45", "warm"), ("09:05:00", "cold")):
        [leg] = legs_of(
            answered(
                TransferredToEndpoint=out,
                TransferCompletedTimestamp=at("09:06:00"),
                Agent=agent(AfterContactWorkStartTimestamp=at(work_began)),
            )
        )
        assert (leg["end_reason"], leg["transfer_to"], leg["transfer_mode"]) == ("transferred", "other", mode)


def test_an_agent_reached_without_a_queue_name() -> None:
    personal = {**queue(), "Name": None, "ARN": f"{ARN}/queue/agent/a-7"}
    assert legs_of(answered(Queue=personal))[0]["queue"] == "agent/a-7"
    assembled = assemble(answered(Queue=None))
    assert assembled.call is not None and assembled.call["legs"][0]["queue"] == "DIRECT_TO_AGENT"
    assert any("no queue" in note for note in assembled.notes)


def test_a_withheld_number_and_a_number_not_given() -> None:
    call = call_of(contact(CustomerEndpoint=None, SystemEndpoint=None))
    assert call["caller_number"] is None and call["dialled_number"] == "unknown"


@pytest.mark.parametrize("language", ["cy", "cy-GB", "CY_gb", "Welsh"])
def test_welsh(language: str) -> None:
    assert call_of(contact(Attributes={"language": language}))["language"] == "cy"
    assembled = assemble(contact(Attributes={"language": "fr"}))
    assert assembled.call is not None and assembled.call["language"] == "en" and len(assembled.notes) == 1


@pytest.mark.parametrize(
    "changes",
    [{"InitiationMethod": "OUTBOUND"}, {"InitiationMethod": "API"}, {"Channel": "CHAT"}, {"Channel": "TASK"}],
)
def test_what_is_no_call_received(changes: dict[str, Any]) -> None:
    assert assemble(contact(**changes)) == Assembled()


def test_records_of_two_chains_are_refused() -> None:
    with pytest.raises(ValueError, match="one chain"):
        assemble(contact("c-1"), contact("c-2"))
    with pytest.raises(ValueError, match="one chain"):
        assemble()


def test_an_update_is_a_new_version_and_a_redelivery_is_not() -> None:
    early = answered(Agent=agent(AfterContactWorkEndTimestamp=None))
    late = answered(LastUpdateTimestamp=at("09:20:00"), Attributes={"reason_codes": "STATUS"})
    assert call_of(early) == call_of(early, early)
    call = call_of(late, early)
    assert (call["record_version"], call["emitted_at"]) == (2, "2026-03-02T09:20:00.000000Z")
    assert call["legs"][0]["wrap_seconds"] == 60.0 and call["legs"][0]["reason_codes"] == ["STATUS"]


# ---------------------------------------------------------------------------------------------------------- call-backs


WAITED = contact(Queue=queue(joined="09:35:00", left="09:37:00"), DisconnectTimestamp=at("09:37:10"))


def events_of(*values: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(e["event"], e["occurred_at"][11:19], e["outcome"]) for e in assemble(*values).callback_events]


def test_a_call_back_is_no_call_and_no_leg() -> None:
    assembled = assemble(callback(Attributes={"reason_codes": "STATUS"}), WAITED)
    assert assembled.call is not None
    [leg] = assembled.call["legs"]
    assert (leg["end_reason"], leg["left_at"]) == ("callback_requested", "2026-03-02T09:37:00.000000Z")
    assert assembled.call["ended_at"] == "2026-03-02T09:37:10.000000Z"
    requested, attempted, connected = assembled.callback_events
    assert requested == {
        "event_id": "k-1:requested",
        "callback_id": "k-1",
        "call_id": "c-1",
        "channel": "voice",
        "dialled_number": "+441632960001",
        "event": "requested",
        "occurred_at": "2026-03-02T09:37:00.000000Z",
        "outcome": None,
        "agent_id": None,
        "reason_codes": [],
    }
    assert (attempted["event"], attempted["outcome"], attempted["occurred_at"][11:19]) == (
        "attempted",
        "connected",
        "09:39:00",
    )
    assert (connected["event"], connected["occurred_at"][11:19]) == ("connected", "09:39:15")
    assert connected["agent_id"] == "agent-0050" and connected["reason_codes"] == ["STATUS"]


def test_the_wait_of_a_call_back_leaves_its_initial_delay_out() -> None:
    def wait(**changes: Any) -> float | None:
        return callback_wait_seconds(read(callback(**changes)))

    at_once = queue("PAL_CALLBACK", "09:37:00", "09:39:00")
    assert wait() == 21.0
    assert wait(Queue=at_once) == 120.0
    assert wait(Queue=at_once, Attributes={"callback_initial_delay_seconds": "99"}) == 21.0
    assert wait(Queue=at_once, Attributes={"callback_initial_delay_seconds": "soon"}) == 120.0
    assert wait(Queue=at_once, ScheduledTimestamp=at("09:38:50")) == 10.0
    assert wait(Queue=None, Agent=None) is None


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"DisconnectReason": "OTHER"}, "no_answer"),
        ({"DisconnectReason": "TELECOM_PROBLEM"}, "failed"),
        ({"AnsweringMachineDetectionStatus": "SIT_TONE_BUSY"}, "busy"),
        ({"AnsweringMachineDetectionStatus": "SIT_TONE_INVALID_NUMBER"}, "failed"),
    ],
)
def test_an_attempt_that_reached_nobody(changes: dict[str, Any], outcome: str) -> None:
    missed = callback(ConnectedToSystemTimestamp=None, **changes)
    assert events_of(WAITED, missed) == [("requested", "09:37:00", None), ("attempted", "09:39:00", outcome)]
    ringing = callback(ConnectedToSystemTimestamp=None, DisconnectTimestamp=None, DisconnectReason=None)
    assert events_of(WAITED, ringing) == [("requested", "09:37:00", None)]


def test_a_second_attempt_is_the_same_call_back() -> None:
    missed = callback(ConnectedToSystemTimestamp=None, DisconnectReason="OTHER")
    again = callback(
        "k-2",
        PreviousContactId="k-1",
        InitiationTimestamp=at("10:00:00"),
        Queue=queue("PAL_CALLBACK", "10:10:00", "10:12:00"),
        Agent=agent("agent-0051", "10:12:00"),
        ConnectedToSystemTimestamp=at("10:12:20"),
        DisconnectTimestamp=at("10:20:00"),
    )
    assembled = assemble(again, missed, WAITED)
    assert {event["callback_id"] for event in assembled.callback_events} == {"k-1"}
    assert [event["event_id"] for event in assembled.callback_events] == [
        "k-1:requested",
        "k-1:attempted",
        "k-2:attempted",
        "k-2:connected",
    ]
    early = assemble(again, WAITED)
    assert early.callback_events == [] and any("events wait" in note for note in early.notes)
    assert assemble(missed, again).callback_events == []


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"DisconnectReason": "EXPIRED"}, "expired"),
        ({"DisconnectReason": "OTHER"}, "cancelled"),
        ({"DisconnectReason": "OTHER", "Attributes": {"callback_outcome": "Expired"}}, "expired"),
    ],
)
def test_a_call_back_that_was_never_tried(changes: dict[str, Any], event: str) -> None:
    never = callback(
        Agent=None, Queue=queue("PAL_CALLBACK", "09:38:39", None), ConnectedToSystemTimestamp=None, **changes
    )
    assert events_of(WAITED, never) == [("requested", "09:37:00", None), (event, "09:45:00", None)]
    retried = callback("k-2", PreviousContactId="k-1", InitiationTimestamp=at("09:45:01"))
    assert event not in [found for found, _, _ in events_of(WAITED, never, retried)]


def test_a_call_back_asked_for_in_the_ivr_and_one_in_a_test() -> None:
    call = call_of(contact(DisconnectReason="CONTACT_FLOW_DISCONNECT"), callback())
    assert call["ivr_outcome"] == "self_served"
    test = assemble(contact(Attributes={"is_test": "true"}), callback())
    assert test.call is not None and test.call["is_test"] is True and test.callback_events == []


def test_an_identifier_that_would_be_too_long_is_hashed() -> None:
    long = callback("k" * 60)
    ids = [event["event_id"] for event in assemble(WAITED, long).callback_events]
    assert len(set(ids)) == 3 and all(len(each) == 64 for each in ids)
    assert ids == [event["event_id"] for event in assemble(long, WAITED).callback_events]


def test_a_transfer_of_a_call_back_is_no_leg_of_the_call() -> None:
    assert len(legs_of(WAITED, callback(), following("c-9", PreviousContactId="k-1"))) == 1


# ------------------------------------------------------------------------------------------------ order of arrival


def from_fixture() -> list[dict[str, Any]]:
    data = (FIXTURES / "amazon_connect.json").read_bytes()
    found = list(records([data]))
    assert [item.problem for item in found] == [None] * len(found)
    return [decode(item.text) for item in found]


def by_chain(read_records: Iterable[ContactRecord]) -> dict[str, Assembled]:
    chains: dict[str, list[ContactRecord]] = {}
    for record in read_records:
        chains.setdefault(call_id_of(record), []).append(record)
    return {call_id: connect.assemble(chain, support_line_of) for call_id, chain in sorted(chains.items())}


def test_the_fixture_gives_calls_that_the_contract_accepts() -> None:
    assembled = by_chain(map(read, from_fixture()))
    calls = [each.call for each in assembled.values() if each.call is not None]
    assert_accepted(*calls)
    assert [(call["call_id"], call["ivr_outcome"], len(call["legs"])) for call in calls] == [
        ("conn-0001", "queued", 1),
        ("conn-0002", "queued", 3),
        ("conn-0003", "forced_disconnect", 0),
        ("conn-0004", "queued", 1),
    ]
    assert [event["event"] for event in assembled["conn-0004"].callback_events] == [
        "requested",
        "attempted",
        "attempted",
        "connected",
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_order_duplication_and_chunking_gives_the_same_calls(data: st.DataObject) -> None:
    values = from_fixture()
    expected = by_chain(map(read, values))
    doubled = values + data.draw(st.lists(st.sampled_from(values), max_size=5))
    shuffled = data.draw(st.permutations(doubled))
    between = data.draw(st.sampled_from(["", "\n"]))
    stream = between.join(json.dumps(each) for each in shuffled).encode()
    size = data.draw(st.integers(1, len(stream)))
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert by_chain(read(decode(item.text)) for item in records(chunks)) == expected


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whenever_more_is_known_the_version_is_greater(data: st.DataObject) -> None:
    values = [answered(), following(), answered(LastUpdateTimestamp=at("09:30:00")), callback(), WAITED]
    versions = []
    order = data.draw(st.permutations(values))
    for count in range(1, len(order) + 1):
        call = assemble(*order[:count]).call
        versions += [call["record_version"]] if call else []
    assert versions == sorted(set(versions)) and versions[-1] == len(values)
