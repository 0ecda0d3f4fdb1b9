"""Everything that comes in beside the calls, put together: who tells whom, and which files are written.

It watches the floor and keeps the clock of all that follows from it. It is the one place that knows every
interface; what an interface does is in its own module. Whichever interfaces are asked for, all of them happen,
so that the files of one do not depend on which others are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random

from infra.simulator import interfaces
from infra.simulator.agenda import Agenda
from infra.simulator.agents import AgentLog, FloorAgents
from infra.simulator.callbacks import Callbacks
from infra.simulator.calls import Call, Leg
from infra.simulator.cases import Complaints, Payments
from infra.simulator.chats import Chats
from infra.simulator.deliveries import Delivery, Press
from infra.simulator.demand import Demand
from infra.simulator.emails import Emails
from infra.simulator.interfaces import INTERFACES
from infra.simulator.lines import CSMT
from infra.simulator.observer import Observer
from infra.simulator.opening import SECOND, Calendar, instant
from infra.simulator.roster import Agent
from infra.simulator.snapshots import Snapshots
from infra.simulator.texts import Texts
from infra.simulator.wip import WINDOW, Applications, Extracts


class Channels(Observer):
    """All inbound interfaces but the calls, over all days.

    Attributes:
        deliveries: What is sent, by interface.
    """

    def __init__(
        self,
        out: Path,
        *,
        seed: int,
        first_day: date,
        last_day: date,
        calls_per_day: int,
        bad_row_share: float,
        wanted: Collection[str],
        demand: Demand,
        calendar: Calendar,
        wip_applications: int,
        wip_extracts: int,
        snapshot_seconds: int,
    ) -> None:
        """Set everything up; see `infra.simulator.simulate` for what the arguments mean."""
        self._end = instant(last_day + timedelta(days=1))
        self._agenda = Agenda()
        self._press = Press()
        start = instant(first_day)
        days = [first_day + timedelta(days=number) for number in range((last_day - first_day).days + 2)]
        daily = [instant(day) for day in days[1:]]
        even_hours = range((start // WINDOW + 1) * WINDOW, self._end + 1, WINDOW)
        two_hourly = sorted({*even_hours, self._end})
        self.deliveries = {
            name: Delivery(
                interface,
                self._press if name in wanted else None,
                out,
                seed,
                daily if interface.is_daily else [] if interface.is_snapshot else two_hourly,
                bad_row_share,
            )
            for name, interface in INTERFACES.items()
        }
        put = {name: delivery.put for name, delivery in self.deliveries.items()}

        def chance(of: str) -> Random:
            return Random(f"{seed} {of}")

        applications = Applications(chance("applications"), start, wip_applications)
        write_whole = self.deliveries[interfaces.WIP_EXTRACT.name].write_whole
        kept = even_hours[max(0, len(even_hours) - wip_extracts) :]
        self._extracts = Extracts(write_whole, applications, kept[0] if kept else self._end + 1)
        for when in even_hours:
            self._agenda.at(when, self._extracts.take)

        log = AgentLog(put[interfaces.AGENT_STATE.name], chance("agent states"))
        self._agents = FloorAgents(log, self._agenda, chance("agents of the floor"))
        self._snapshots = Snapshots(
            put[interfaces.QUEUE_SNAPSHOT.name],
            chance("snapshots"),
            calendar,
            self._agents,
            snapshot_seconds,
            start,
        )
        self._callbacks = Callbacks(
            put[interfaces.CALLBACK_EVENT.name],
            chance("call-backs"),
            calendar,
            self._agenda,
            log,
            calls_per_day,
        )
        self._texts = Texts(put[interfaces.TEXT_MESSAGE.name], chance("texts"), self._agenda)
        self._complaints = Complaints(put[interfaces.COMPLAINT.name], chance("complaints"), self._agenda)
        self._payments = Payments(put[interfaces.PAYMENT_CONFIRMATION.name], chance("payments"), applications)
        asks, complains = self._callbacks.asked_elsewhere, self._complaints.receive
        self._chats = Chats(
            put[interfaces.WEBCHAT_SESSION.name],
            seed,
            calendar,
            demand,
            log,
            calls_per_day,
            asks,
            complains,
        )
        self._emails = Emails(
            put[interfaces.EMAIL_MESSAGE.name], seed, demand, log, calls_per_day, asks, complains
        )
        self._handovers = chance("handovers")
        for day in days[:-1]:
            self._agenda.at(instant(day), partial(self._open_day, day))

    # Time

    def _open_day(self, day: date, _now: int) -> None:
        self._snapshots.open_day(day)
        self._callbacks.open_day(day)
        self._chats.open_day(day)
        self._emails.open_day(day)

    def _advance(self, now: int) -> None:
        """Let everything happen that is due by an instant; a snapshot of that very instant comes after it."""
        snapshots, agenda = self._snapshots, self._agenda
        while snapshots.next < now:
            tick = snapshots.next
            agenda.run_through(tick)
            # At midnight the next snapshot is put off until the first queue opens.
            if snapshots.next == tick:
                snapshots.take()
        agenda.run_through(now)

    def close_files(self, cut_off: int) -> None:
        """Let everything happen that is due by an instant, and write the files that are closed by it."""
        self._advance(cut_off)
        for delivery in self.deliveries.values():
            delivery.close_until(cut_off)

    def finish(self) -> None:
        """Write the last files, and wait until every file is on disk.

        Raises:
            OSError: A file could not be written.
        """
        self.close_files(self._end)
        self._press.finish()

    def traffic(self) -> Counter[str]:
        """Say what happened, by plain-English name."""
        parts = (self._callbacks, self._chats, self._emails, self._texts, self._complaints, self._payments)
        return sum((part.counts for part in parts), Counter(self._extracts.counts))

    # What the floor lets be seen

    def day_opened(self, day: date, agents: Sequence[Agent]) -> None:  # noqa: D102
        self._agents.expect(agents)

    def rang(self, now: int, call: Call) -> None:  # noqa: D102
        self._advance(now)
        self._callbacks.rang(now, call)

    def entered(self, now: int, call: Call, leg: Leg) -> None:  # noqa: D102
        self._advance(now)
        self._snapshots.entered(leg)

    def assigned(self, now: int, agent: Agent) -> None:  # noqa: D102
        self._advance(now)
        self._agents.assigned(agent)

    def connected(self, now: int, call: Call, leg: Leg, agent: Agent) -> None:  # noqa: D102
        self._advance(now)
        self._snapshots.gone(leg)
        self._agents.connected(now, agent)

    def hung_up(self, now: int, call: Call, leg: Leg, agent: Agent, is_wrapping: bool) -> None:  # noqa: D102
        self._advance(now)
        self._agents.hung_up(now, leg, agent, is_wrapping)

    def wrapped(self, now: int, call: Call, leg: Leg) -> None:  # noqa: D102
        self._advance(now)
        self._complaints.wrapped(now, call)
        self._payments.wrapped(now, call, leg)

    def freed(self, now: int, agent: Agent) -> None:  # noqa: D102
        self._advance(now)
        self._agents.freed(now, agent)

    def left(self, now: int, call: Call, leg: Leg) -> None:  # noqa: D102
        self._advance(now)
        self._snapshots.gone(leg)
        if leg.end_reason == "callback_requested":
            self._callbacks.asked_in_queue(now, call, leg)
        elif leg.queue == CSMT and leg.number > 1:
            # Nobody at CSMT took the caller over: the adviser writes, and CSMT calls back.
            when = now + self._handovers.randrange(60, 900) * SECOND
            self._emails.request_callback(when, call.line)

    def ended(self, now: int, call: Call) -> None:  # noqa: D102
        self._advance(now)
        self._texts.ended(now, call)
