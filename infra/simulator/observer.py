"""What the floor lets others see: the moments of calls and agents, as they happen.

The other interfaces are written from these moments, so that they agree with the calls. An observer must not
change what it is shown, and must not draw from the floor's random numbers: the calls of a seed stay the same,
watched or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from infra.simulator.calls import Call, Leg
from infra.simulator.roster import Agent


class Observer:
    """Is told of each moment, in order of time; this one ignores them all."""

    __slots__ = ()

    def day_opened(self, day: date, agents: Sequence[Agent]) -> None:
        """A local day begins, and these agents will work on it."""

    def rang(self, now: int, call: Call) -> None:
        """A call was presented to the menu."""

    def entered(self, now: int, call: Call, leg: Leg) -> None:
        """A caller entered a queue."""

    def assigned(self, now: int, agent: Agent) -> None:
        """An agent's telephone rings."""

    def connected(self, now: int, call: Call, leg: Leg, agent: Agent) -> None:
        """An agent answered."""

    def hung_up(self, now: int, call: Call, leg: Leg, agent: Agent, is_wrapping: bool) -> None:
        """A leg with an agent is over; its end and any transfer are known, its codes may not be."""

    def wrapped(self, now: int, call: Call, leg: Leg) -> None:
        """The wrap-up of a leg is over, and its codes are known."""

    def freed(self, now: int, agent: Agent) -> None:
        """An agent logged in, finished a wrap-up or came back from a break."""

    def left(self, now: int, call: Call, leg: Leg) -> None:
        """A caller whom no agent reached left a queue; the leg says how."""

    def ended(self, now: int, call: Call) -> None:
        """A call is over."""
