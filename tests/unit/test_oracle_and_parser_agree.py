"""Two readings of one interface refuse the same rows: the oracle's by hand, the parser's from the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.contract import load_contract
from ingestion.lines import Chunk
from ingestion.parse import Parser
from tests.oracle.histories import NIGHTS, records
from tests.oracle.records import Refused, file_name, record_of

LOADED_AT = datetime(2026, 1, 1, tzinfo=UTC)
FILE = file_name("telephony_call_sim_20250101T000000Z_00001.jsonl")
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1,
        0.5,
        2**31,
        2**63,
        "",
        "x" * 65,
        "queued",
        "abandoned",
        "cy",
        "anonymous",
        "a\x00b",
        "\ud800",
        "2025-03-30T01:30:00",
        "2025-03-30T01:30:00Z",
        "2025-03-30T01:30:00.123456+01:00",
        "2025-03-30T01:30:00.1234567Z",
        "2025-02-29T01:30:00Z",
        "2025-03-30 01:30:00Z",
        "2025-03-30T24:00:00Z",
        "2025-03-30T01:30:60Z",
        "2025-03-30T01:30:00+24:00",
        "1989-12-31T23:59:59.999999Z",
        "2026-01-02T00:00:00.000001Z",
        [],
        {},
        ["a"],
        [1],
        [{}],
        float("nan"),
        float("inf"),
    ]
)
FIELDS = [field.name for field in load_contract("telephony_call").fields]
LEG_FIELDS = [
    "leg_no",
    "queue",
    "queued_at",
    "answered_at",
    "left_at",
    "agent_id",
    "hold_seconds",
    "wrap_seconds",
    "end_reason",
    "transfer_to",
    "transfer_mode",
    "reason_codes",
]


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A good record, with up to three of its fields changed or lost."""
    record = draw(records("C1", NIGHTS["clocks go forward"], ["A"]))
    for _ in range(draw(st.integers(0, 3))):
        legs = record.get("legs")
        in_leg = isinstance(legs, list) and legs and isinstance(legs[0], dict) and draw(st.booleans())
        holder: dict[str, Any] = draw(st.sampled_from(legs)) if in_leg else record
        if not isinstance(holder, dict):
            continue
        name = draw(st.sampled_from(LEG_FIELDS if in_leg else [*FIELDS, "unknown"]))
        if draw(st.integers(0, 3)):
            holder[name] = draw(VALUES)
        else:
            holder.pop(name, None)
    return record


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(row=rows())
def test_a_row_is_refused_by_both_or_by_neither(row: dict[str, Any]) -> None:
    line = json.dumps(row).encode()
    try:
        record_of(line, FILE, 1, LOADED_AT)
        by_oracle = None
    except Refused as refused:
        by_oracle = str(refused)
    parsed = Parser(load_contract("telephony_call"), b"secret", LOADED_AT).parse(Chunk(1, line))
    by_parser = [finding.rule for finding in parsed.findings]
    assert (by_oracle is None) == (not by_parser), (by_oracle, by_parser)
