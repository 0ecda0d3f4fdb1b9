"""What agents are doing: the states of everybody who works, and how many of each queue are in which.

Voice agents are followed through what the floor lets be seen. The floor finds out late that an idle agent has
gone on a break or home; here it happens when it is due, by the same rules. This module must not decide
anything about a call.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from infra.simulator.agenda import Agenda
from infra.simulator.calls import Leg
from infra.simulator.lines import CSMT, LINES
from infra.simulator.opening import SECOND
from infra.simulator.roster import Agent
from infra.simulator.stamps import LOCAL, ZULU, micros

AVAILABLE, IN_CALL, WRAP_UP, HOLD = "available", "in_call", "wrap_up", "hold"
BREAK, TRAINING, OFFLINE = "break", "training", "offline"

_IN_TRAINING = 0.04
_TRAINING_SECONDS = 1800
_LEAST_HOLD = 2

Put = Callable[[int, bytes], None]


def lines_served(queue: str) -> list[str]:
    """Give the lines of business whose callers an agent of a queue serves; the 3rd line serves all."""
    return [line.name for line in LINES] if queue == CSMT else [queue.partition("_")[0]]


class AgentLog:
    """Writes a row whenever somebody's state changes."""

    def __init__(self, put: Put, rng: Random) -> None:
        self._put = put
        self._rng = rng

    def note(
        self,
        since: int,
        agent_id: str,
        lines: str,
        state: str,
        channel: str = "voice",
        known_at: int | None = None,
    ) -> None:
        """Write that somebody has been in a state since an instant.

        Args:
            since: When it began.
            agent_id: Who.
            lines: The lines of business that they serve, as a JSON list.
            state: The state.
            channel: Their channel.
            known_at: When the platform got to know of it. Default: at once.
        """
        rng = self._rng
        stamp = micros(since, LOCAL if rng.random() < 0.2 else ZULU)
        self._put(
            known_at or since,
            f'{{"event_id":"{rng.getrandbits(96):024x}","agent_id":"{agent_id}","line_of_business":{lines},'
            f'"state":"{state}","since":"{stamp}","channel":"{channel}"}}'.encode(),
        )


class _Followed:
    """One agent during one shift, as followed here."""

    __slots__ = ("breaks", "is_ringing", "lines", "queue", "since", "state", "turn")

    def __init__(self, agent: Agent) -> None:
        self.queue = agent.queue
        self.lines = json.dumps(lines_served(agent.queue))
        self.breaks = list(agent.breaks)
        self.state = OFFLINE
        self.since = 0
        self.is_ringing = False
        # Plans made before the latest turn of events are void.
        self.turn = 0


class FloorAgents:
    """Follows the agents of the floor.

    Attributes:
        counts: By queue, how many agents are in each state now; agents on hold are in a call.
    """

    def __init__(self, log: AgentLog, agenda: Agenda, rng: Random) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._log = log
        self._agenda = agenda
        self._rng = rng
        self._followed: dict[Agent, _Followed] = {}

    def expect(self, agents: Sequence[Agent]) -> None:
        """Take up the agents of a day; those who have gone home are forgotten by themselves."""
        for agent in agents:
            followed = self._followed[agent] = _Followed(agent)
            if self._rng.random() < _IN_TRAINING:
                before = agent.starts - _TRAINING_SECONDS * SECOND
                self._agenda.at(before, partial(self._train, agent, followed))

    def _train(self, agent: Agent, followed: _Followed, now: int) -> None:
        self._change(now, agent, followed, TRAINING)

    def assigned(self, agent: Agent) -> None:
        """An agent's telephone rings: no break begins before the call is over."""
        followed = self._followed[agent]
        followed.turn += 1
        followed.is_ringing = True

    def connected(self, now: int, agent: Agent) -> None:
        """An agent answered."""
        followed = self._followed[agent]
        followed.is_ringing = False
        self._change(now, agent, followed, IN_CALL)

    def hung_up(self, now: int, leg: Leg, agent: Agent, is_wrapping: bool) -> None:
        """A call is over for an agent; only now does the platform tell of any hold in it."""
        followed = self._followed[agent]
        held = int(leg.hold_seconds * SECOND)
        if held >= _LEAST_HOLD * SECOND and leg.answered_at is not None:
            since = leg.answered_at + 1 + int((now - leg.answered_at - held - 2) * self._rng.random())
            if leg.answered_at < since and since + held < now:
                self._log.note(since, agent.agent_id, followed.lines, HOLD, known_at=now)
                self._log.note(since + held, agent.agent_id, followed.lines, IN_CALL, known_at=now)
        if is_wrapping:
            self._change(now, agent, followed, WRAP_UP)

    def freed(self, now: int, agent: Agent) -> None:
        """An agent logged in or is done with a call; one who was idle or on a break is already seen to."""
        followed = self._followed[agent]
        if followed.state not in (AVAILABLE, BREAK):
            followed.turn += 1
            self._idle(now, agent, followed)

    def _idle(self, now: int, agent: Agent, followed: _Followed) -> None:
        """Let an agent with nothing to do go home, take a break, or be available until either is due."""
        if followed.breaks and followed.breaks[0][0] <= now:
            back = now + followed.breaks.pop(0)[1]
            if back >= agent.ends:
                self._change(now, agent, followed, OFFLINE)
            else:
                self._change(now, agent, followed, BREAK)
                self._plan(back, agent, followed)
        elif now >= agent.ends:
            self._change(now, agent, followed, OFFLINE)
        else:
            self._change(now, agent, followed, AVAILABLE)
            self._plan(min([agent.ends, *(due for due, _ in followed.breaks[:1])]), agent, followed)

    def _plan(self, when: int, agent: Agent, followed: _Followed) -> None:
        self._agenda.at(when, partial(self._due, agent, followed, followed.turn))

    def _due(self, agent: Agent, followed: _Followed, turn: int, now: int) -> None:
        if followed.turn == turn:
            self._idle(now, agent, followed)

    def _change(self, now: int, agent: Agent, followed: _Followed, state: str) -> None:
        if state == followed.state:
            return
        counts = self.counts.setdefault(followed.queue, Counter())
        counts[followed.state] -= 1
        counts[state] += 1
        followed.state = state
        followed.since = now
        if state == OFFLINE:
            del self._followed[agent]
        if state == AVAILABLE:
            # Whoever takes the next caller in the same instant has not been available.
            self._agenda.at(now + 1, partial(self._note_available, agent, followed))
        else:
            self._log.note(now, agent.agent_id, followed.lines, state)

    def _note_available(self, agent: Agent, followed: _Followed, now: int) -> None:
        if followed.state == AVAILABLE and followed.since == now - 1:
            self._log.note(now - 1, agent.agent_id, followed.lines, AVAILABLE)
