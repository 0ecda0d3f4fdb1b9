"""A call as the platform knows it so far: facts are filled in when they happen, never ahead of time."""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.simulator.customers import Customer
from infra.simulator.lines import Line


@dataclass(slots=True)
class Leg:
    """One visit to a queue and the time with the agent who answered. Instants are in microseconds."""

    number: int
    queue: str
    queued_at: int
    is_waiting: bool = True
    answered_at: int | None = None
    left_at: int | None = None
    agent_id: str | None = None
    hold_seconds: float = 0  # the interface allows no null here
    wrap_seconds: float | None = None
    end_reason: str | None = None
    transfer_to: str | None = None
    transfer_mode: str | None = None
    reason_codes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Call:
    """One caller's journey. Instants are in microseconds.

    Attributes:
        is_precise: The platform node that serves the call writes microseconds, not milliseconds.
        is_sparse: It leaves out fields that hold their default or null.
        is_held: The record of the call's end is held back until wrap-up is done.
        versions: How many versions of the record have been written so far.
        emitted_at: When the last of them was.
    """

    call_id: str
    line: Line
    customer: Customer
    dialled_number: str
    caller_number: str | None
    language: str
    received_at: int
    is_test: bool
    is_precise: bool
    is_sparse: bool
    ivr_path: list[str]
    ivr_outcome: str = "queued"
    ivr_ended_at: int | None = None
    ended_at: int | None = None
    legs: list[Leg] = field(default_factory=list)
    is_held: bool = False
    versions: int = 0
    emitted_at: int = 0
