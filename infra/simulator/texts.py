"""Text messages: mostly a status sent after a call, few without one, and few that customers send back.

One row per message, written when its fate is known. Numbers are those of the callers, who are all fictitious.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random

import msgspec

from infra.simulator.agenda import Agenda
from infra.simulator.agents import Put
from infra.simulator.calls import Call
from infra.simulator.codes import draw_codes
from infra.simulator.customers import spell
from infra.simulator.opening import HOUR, SECOND
from infra.simulator.stamps import any_style
from infra.simulator.volumes import CALLS, TEXTS

_encode = msgspec.json.Encoder().encode
_TEMPLATES = ("STATUS_UPDATE", "LINK_TO_APPLY", "DOCUMENTS_NEEDED", "APPOINTMENT", "SURVEY")
_WEIGHTS = (50, 20, 12, 8, 10)
_ANSWERED = 0.04
_AFTER_CALLS = 0.95 * TEXTS / CALLS / 0.945
"""Share of the calls with a known number that a text follows."""
_ALONE = 0.05


class Texts:
    """Every text message.

    Attributes:
        counts: What happened, by plain-English name.
    """

    def __init__(self, put: Put, rng: Random, agenda: Agenda) -> None:
        self.counts: Counter[str] = Counter()
        self._put = put
        self._rng = rng
        self._agenda = agenda

    def ended(self, now: int, call: Call) -> None:
        """A call is over; a text may follow in some minutes."""
        rng = self._rng
        if call.is_test or call.caller_number in (None, "anonymous") or rng.random() >= _AFTER_CALLS:
            return
        when = now + rng.randrange(20, 900) * SECOND
        self._agenda.at(when, partial(self._send, call.customer.number, call.call_id))
        if rng.random() < _ALONE:
            later = now + rng.randrange(2 * HOUR, 60 * HOUR)
            self._agenda.at(later, partial(self._send, call.customer.number, None))

    def _send(self, number: str, call_id: str | None, now: int) -> None:
        rng = self._rng
        chance = rng.random()
        status = "delivered" if chance < 0.965 else "failed" if chance < 0.99 else "sent"
        takes = rng.randrange(SECOND, 40 * SECOND)
        delivered = now + takes if status == "delivered" else None
        [template] = rng.choices(_TEMPLATES, _WEIGHTS)
        self.counts[f"texts {status}"] += 1
        shown = spell(number, rng.random() * 0.76)
        self._write("outbound", template, shown, now, delivered, now + takes, status, call_id, [])
        if delivered is not None and rng.random() < _ANSWERED:
            self._agenda.at(
                delivered + rng.randrange(20, 7200) * SECOND, partial(self._answer, number, call_id)
            )

    def _answer(self, number: str, call_id: str | None, now: int) -> None:
        self.counts["texts from customers"] += 1
        arrived = now + self._rng.randrange(SECOND, 9 * SECOND)
        related = call_id if self._rng.random() < 0.7 else None
        codes = draw_codes(self._rng)
        self._write("inbound", None, number, now, arrived, arrived, "received", related, codes)

    def _write(
        self,
        direction: str,
        template: str | None,
        number: str,
        sent: int,
        delivered: int | None,
        known: int,
        status: str,
        call_id: str | None,
        codes: list[str],
    ) -> None:
        stamp = any_style(self._rng)
        row = _encode(
            {
                "message_id": f"S-{self._rng.getrandbits(64):016x}",
                "direction": direction,
                "template_code": template,
                "to_or_from": number,
                "sent_at": stamp(sent),
                "delivered_at": None if delivered is None else stamp(delivered),
                "status": status,
                "related_call_id": call_id,
                "reason_codes": codes,
            }
        )
        self._put(known, row)
