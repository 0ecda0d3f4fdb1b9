"""Every contact of every channel, and every extract of the work in progress, computed from the source files alone.

Exists so that `fct_contacts`, `fct_contact_reasons` and `wip_snapshot` can be compared row for row with a second
computation of the same definitions. It reads JSON and CSV with the standard library, and is told which rows are
refused; that the right ones are is tested where they are loaded.
"""

from __future__ import annotations

import csv
import gzip
import hmac
import io
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import holidays
import phonenumbers

from tests.oracle.calls import call_of
from tests.oracle.periods import LONDON, period_start
from tests.oracle.records import FileName, record_of, stretches_between
from tests.oracle.reference import SEEDS, UNMAPPED, Reference, from_seeds

Row = dict[str, Any]
UNCODED = "UNCODED"
LINES = ("PAL", "ABI", "DSLR", "PVS")
CHANNELS = ("voice", "webchat", "email", "text", "callback")
LATER_THAN_ANY = datetime(9999, 1, 1, tzinfo=UTC)
VOICE_OUTCOMES = {
    "self_served": "ivr_self_served",
    "abandoned": "ivr_abandoned",
    "forced_disconnect": "forced_disconnect",
}
QUEUE_OUTCOMES = {
    "answered": "answered",
    "abandoned": "abandoned_in_queue",
    "flow_out": "queue_flow_out",
    "forced_disconnect": "forced_disconnect_in_queue",
    "open": "open",
}
FAILED_TEXTS = ("failed", "undelivered", "undeliverable", "rejected", "expired")
BANK_HOLIDAYS = holidays.country_holidays("GB", subdiv="ENG")
BANDS = ((0, 7), (7, 14), (14, 21), (21, 42), (42, 70), (70, None))


@dataclass(frozen=True)
class Sent:
    """One row as it was sent, and where. Rows compare by where they stand."""

    row: Row
    file: FileName
    line: int

    @property
    def place(self) -> tuple[Any, ...]:
        """Place among all rows of the interface: the later one is the greater."""
        return (*self.file.position, self.line)


class Contacts:
    """All figures from the files of a folder, as they stood at `as_of`."""

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        secret: bytes,
        as_of: datetime,
        refused: Collection[tuple[str, int]] = (),
    ) -> None:
        """Read the files of the given names.

        Args:
            folder: Where they lie.
            names: Those that have arrived.
            secret: Key of the hashes that stand for numbers and addresses.
            as_of: What happens later has not happened.
            refused: Rows that break a rule, by the name of their file and their line: they are not read.
        """
        self._folder = folder
        self._names = sorted(names)
        self._secret = secret
        self._as_of = as_of
        self._refused = refused
        self._reference: Reference = from_seeds()
        self._agreed = _agreed_codes()

    # ------------------------------------------------------------------------------------------------- contacts

    def fct_contacts(self) -> Iterator[Row]:
        """Every contact that began before `as_of`."""
        complained_of = {
            (channel, sent.row["contact_id"])
            for sent in self._latest("complaint", "complaint_id")
            if sent.row["contact_id"] and _instant(sent.row["received_at"]) < self._as_of
            for channel in ([sent.row["channel"]] if sent.row["channel"] in CHANNELS else CHANNELS)
        }
        for channel, contacts in (
            ("voice", self._voice()),
            ("webchat", self._webchat()),
            ("email", self._email()),
            ("text", self._text()),
            ("callback", self._callback()),
        ):
            for contact in contacts:
                if contact["received_at"] >= self._as_of:
                    continue
                received_at = contact["received_at"]
                yield {
                    "contact_id": f"{channel}:{contact['source_id']}",
                    "channel": channel,
                    "received_date": received_at.astimezone(LONDON).date(),
                    "interval_start": period_start("15min", received_at),
                    "is_in_opening_hours": is_open(contact["line_of_business"], received_at),
                    "is_answered": contact["answered_at"] is not None,
                    "has_complaint": (channel, contact["source_id"]) in complained_of,
                    **contact,
                }

    def fct_contact_reasons(self) -> Iterator[Row]:
        """Every code of every contact."""
        for contact in self.fct_contacts():
            codes = {
                code: place for place, code in reversed(list(enumerate(contact["reason_codes"], start=1)))
            }
            if contact["primary_reason_code"] == UNCODED:
                codes[UNCODED] = 0
            for code, position in codes.items():
                yield {
                    **{
                        name: contact[name]
                        for name in ("contact_id", "channel", "line_of_business", "is_test")
                    },
                    "received_date": contact["received_date"],
                    "is_in_opening_hours": contact["is_in_opening_hours"],
                    "position": position,
                    "reason_code": code,
                    "is_primary": code == contact["primary_reason_code"],
                    "is_agreed": any(
                        first <= contact["received_date"] < end
                        for channel in (contact["channel"], "all")
                        for first, end in self._agreed.get((code, channel), ())
                    ),
                }

    def _voice(self) -> Iterator[Row]:
        for sent in self._newest("telephony_call", "call_id"):
            row = sent.row
            call = call_of(
                record_of(json.dumps(row).encode(), sent.file, sent.line, LATER_THAN_ANY - timedelta(days=2)),
                self._reference,
                self._as_of,
            )
            legs = sorted(row["legs"], key=lambda leg: leg["leg_no"])
            ended_at = _maybe(row.get("ended_at"))
            answers = [
                (at, leg["leg_no"], leg.get("agent_id"))
                for leg in legs
                if (at := self._happened(leg.get("answered_at")))
            ]
            transfers = [
                leg
                for leg in legs
                if leg.get("end_reason") == "transferred"
                and ((_maybe(leg.get("left_at")) or ended_at or self._as_of) <= self._as_of)
            ]
            events = [_instant(row["received_at"]), ended_at]
            for leg in legs:
                events += [_maybe(leg.get("answered_at")), _maybe(leg.get("left_at"))]
            key, missing = self._number_key(row.get("caller_number"))
            yield {
                "source_id": row["call_id"],
                "direction": "inbound",
                "line_of_business": call.line,
                "language": row.get("language", "en"),
                "customer_key": key,
                "customer_key_missing_reason": missing,
                "is_test": call.is_test,
                "received_at": call.received_at,
                "queued_at": min((_instant(leg["queued_at"]) for leg in legs), default=None),
                "answered_at": min(answers)[0] if answers else None,
                "ended_at": self._happened(row.get("ended_at")),
                "wait_seconds": None if call.wait is None else Fraction(call.wait, 1_000_000),
                "handle_seconds": sum(call.handle, Fraction(0)) / 1_000_000 if call.is_handled else None,
                "outcome": VOICE_OUTCOMES.get(call.ivr_outcome) or QUEUE_OUTCOMES[str(call.outcome)],
                "agent_id": min(answers)[2] if answers else None,
                "is_transferred": bool(transfers),
                "transferred_to": transfers[-1].get("transfer_to") if transfers else None,
                "transfer_mode": transfers[-1].get("transfer_mode") if transfers else None,
                "primary_reason_code": call.primary_code,
                "reason_codes": _once(code for leg in legs for code in leg.get("reason_codes", ())),
                "related_contact_id": None,
                "conversation_id": None,
                "is_complaint": None,
                "record_version": row["record_version"],
                "emitted_at": _instant(row["emitted_at"]),
                "last_event_at": max(event for event in events if event),
            }

    def _webchat(self) -> Iterator[Row]:
        for sent in self._newest("webchat_session", "chat_id"):
            row = sent.row
            queued, accepted, ended = (
                self._happened(row.get(name)) for name in ("queued_at", "accepted_at", "ended_at")
            )
            is_over = not row.get("ended_at") or ended is not None
            reason = row.get("end_reason") if is_over else None
            outcome = reason or ("unknown" if ended else "open")
            waited_until = accepted or (ended if reason == "abandoned_in_queue" else None)
            codes = row.get("reason_codes", [])
            key, missing = self._address_key(row.get("customer_id"))
            times = ("started_at", "queued_at", "accepted_at", "first_response_at", "ended_at")
            yield {
                "source_id": row["chat_id"],
                "direction": "inbound",
                "line_of_business": _line(row.get("line_of_business")),
                "language": row.get("language", "en"),
                "customer_key": key,
                "customer_key_missing_reason": missing,
                "is_test": False,
                "received_at": _instant(row["started_at"]),
                "queued_at": queued,
                "answered_at": accepted,
                "ended_at": ended,
                "wait_seconds": _seconds(queued, waited_until),
                "handle_seconds": _seconds(accepted, ended),
                "outcome": outcome,
                "agent_id": row.get("agent_id") if accepted or not row.get("accepted_at") else None,
                "is_transferred": reason == "transferred",
                "transferred_to": row.get("transfer_to") if reason == "transferred" else None,
                "transfer_mode": None,
                "primary_reason_code": codes[0] if codes else UNCODED if accepted else None,
                "reason_codes": codes,
                "related_contact_id": None,
                "conversation_id": None,
                "is_complaint": None,
                "record_version": row["record_version"],
                "emitted_at": _instant(row["emitted_at"]),
                "last_event_at": max(at for at in (_maybe(row.get(name)) for name in times) if at),
            }

    def _email(self) -> Iterator[Row]:
        for sent in self._newest("email_message", "message_id"):
            row = sent.row
            inbound = row["direction"] == "inbound"
            received_at = _instant(row["received_at"])
            replied, transferred = (
                self._happened(row.get("replied_at")),
                self._happened(row.get("transferred_at")),
            )
            passed_on = bool(transferred or (row.get("transferred_to") and not row.get("transferred_at")))
            key, missing = self._address_key(row.get("from_address")) if inbound else (None, "outbound")
            codes = row.get("reason_codes", [])
            ends = [at for at in (replied, transferred) if at]
            answer = "replied" if replied else "transferred" if passed_on else "open"
            times = ("received_at", "replied_at", "transferred_at")
            yield {
                "source_id": row["message_id"],
                "direction": row["direction"],
                "line_of_business": _line(row.get("line_of_business")),
                "language": None,
                "customer_key": key,
                "customer_key_missing_reason": missing,
                "is_test": False,
                "received_at": received_at,
                "queued_at": received_at if inbound else None,
                "answered_at": replied if inbound else None,
                "ended_at": (min(ends) if ends else None) if inbound else received_at,
                "wait_seconds": _seconds(received_at, replied) if inbound else None,
                "handle_seconds": None,
                "outcome": answer if inbound else "sent",
                "agent_id": row.get("agent_id") if replied or not row.get("replied_at") else None,
                "is_transferred": passed_on,
                "transferred_to": row.get("transferred_to") if passed_on else None,
                "transfer_mode": None,
                "primary_reason_code": codes[0] if codes else UNCODED if inbound and replied else None,
                "reason_codes": codes,
                "related_contact_id": None,
                "conversation_id": row["thread_id"],
                "is_complaint": row.get("is_complaint", False),
                "record_version": row["record_version"],
                "emitted_at": _instant(row["emitted_at"]),
                "last_event_at": max(at for at in (_maybe(row.get(name)) for name in times) if at),
            }

    def _text(self) -> Iterator[Row]:
        for sent in self._latest("text_message", "message_id"):
            row = sent.row
            sent_at, recorded = _instant(row["sent_at"]), _maybe(row.get("delivered_at"))
            delivered, status = self._happened(row.get("delivered_at")), row["status"].lower()
            if row["direction"] == "inbound":
                outcome = "received"
            elif delivered or (not recorded and status == "delivered"):
                outcome = "delivered"
            else:
                outcome = "failed" if not recorded and status in FAILED_TEXTS else "sent"
            key, missing = self._number_key(row.get("to_or_from"))
            codes = row.get("reason_codes", [])
            related = row.get("related_call_id")
            yield {
                **_nothing_known(),
                "source_id": row["message_id"],
                "direction": row["direction"],
                "customer_key": key,
                "customer_key_missing_reason": missing,
                "received_at": sent_at,
                "ended_at": delivered and max(sent_at, delivered),
                "outcome": outcome,
                "primary_reason_code": codes[0] if codes else None,
                "reason_codes": codes,
                "related_contact_id": None if related is None else f"voice:{related}",
                "last_event_at": max(sent_at, recorded or sent_at),
            }

    def _callback(self) -> Iterator[Row]:
        events: dict[str, list[Row]] = defaultdict(list)
        for sent in self._latest("callback_event", "event_id"):
            events[sent.row["callback_id"]].append(sent.row)
        for callback_id, recorded in events.items():
            happened = sorted(
                (row for row in recorded if _instant(row["occurred_at"]) <= self._as_of),
                key=lambda row: (_instant(row["occurred_at"]), row["event_id"]),
            )
            if not happened:
                continue
            first = min(happened, key=lambda row: row["event"] != "requested")  # the earliest among equals
            in_order = [first, *(row for row in happened if row["event"] == "requested" and row is not first)]
            in_order += [row for row in happened if row["event"] != "requested" and row is not first]
            requested_at = _instant(first["occurred_at"]) if first["event"] == "requested" else None
            reached = [
                row for row in happened if row["event"] == "connected" or row.get("outcome") == "connected"
            ]
            ends = [(row, "connected" if row in reached else row["event"]) for row in happened]
            ends = [(row, how) for row, how in ends if how in ("connected", "cancelled", "expired")]
            end = min(
                ends,
                key=lambda each: (
                    _instant(each[0]["occurred_at"]),
                    ("connected", "cancelled", "expired").index(each[1]),
                ),
                default=None,
            )
            reacher = min(
                reached,
                key=lambda row: (_instant(row["occurred_at"]), row["event"] != "connected"),
                default=None,
            )
            connected_at = _instant(reacher["occurred_at"]) if reacher else None
            codes = _once(code for row in happened for code in row.get("reason_codes", ()))
            calls = [row["call_id"] for row in in_order if row.get("call_id") is not None]
            received_at = _instant(first["occurred_at"])
            yield {
                **_nothing_known(),
                "source_id": callback_id,
                "direction": "outbound",
                "line_of_business": self._reference.line(
                    first["dialled_number"], received_at.astimezone(LONDON).date()
                ),
                "customer_key_missing_reason": "not_sent",
                "received_at": received_at,
                "queued_at": requested_at,
                "answered_at": connected_at,
                "ended_at": _instant(end[0]["occurred_at"]) if end else None,
                "wait_seconds": _seconds(requested_at, connected_at),
                "outcome": end[1] if end else "open",
                "agent_id": reacher.get("agent_id") if reacher else None,
                "primary_reason_code": codes[0] if codes else UNCODED if reacher else None,
                "reason_codes": codes,
                "related_contact_id": f"voice:{calls[0]}" if calls else None,
                "last_event_at": max(_instant(row["occurred_at"]) for row in recorded),
            }

    # ---------------------------------------------------------------------------------------- work in progress

    def wip_snapshot(self) -> Iterator[Row]:
        """Every group of every extract that was made before `as_of`; `file` is its name."""
        for name, rows in self._files("wip_extract"):
            if name.stamp >= self._as_of:
                continue
            groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
            for sent in rows:
                row = sent.row
                groups[row["stage"], row["service"], row["channel"], row["region"]].append(row)
            for (stage, service, channel, region), group in groups.items():
                expected = [_maybe(row["expected_by"]) for row in group]
                figures: Row = {}
                for prefix, column in (("age", "received_at"), ("stage_age", "stage_entered_at")):
                    ages = sorted(_known(_seconds(_instant(row[column]), name.stamp)) for row in group)
                    figures[f"{prefix}_seconds_sum"] = sum(ages, Fraction(0))
                    figures[f"{prefix}_seconds_min"] = ages[0]
                    figures[f"{prefix}_seconds_median"] = ages[(len(ages) - 1) // 2]
                    figures[f"{prefix}_seconds_max"] = ages[-1]
                    figures[f"{prefix}_days_avg"] = sum(ages, Fraction(0)) / len(ages) / 86_400
                    for low, high in BANDS:
                        label = f"from_{low}_days" if high is None else f"{low}_to_{high}_days"
                        figures[f"{prefix}_{label}"] = sum(
                            (low == 0 or age >= low * 86_400) and (high is None or age < high * 86_400)
                            for age in ages
                        )
                yield {
                    "file": name.name,
                    "extracted_at": name.stamp,
                    "stage": stage,
                    "service": service,
                    "channel": channel,
                    "region": region,
                    "applications": len(group),
                    **figures,
                    "overdue": sum(at is not None and at < name.stamp for at in expected),
                    "without_expected_by": expected.count(None),
                    "csmt_owned": sum(row["csmt_owned"] == "Y" for row in group),
                }

    # ---------------------------------------------------------------------------------------------- the files

    def _files(self, interface: str) -> Iterator[tuple[FileName, list[Sent]]]:
        for name in self._names:
            if not name.startswith(f"{interface}_"):
                continue
            stem, suffix = name.split(".", 1)
            platform, stamp, sequence = stem.removeprefix(f"{interface}_").rsplit("_", 2)
            at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            file = FileName(name, platform, at, int(sequence))
            content = (self._folder / name).read_bytes()
            text = (gzip.decompress(content) if suffix.endswith(".gz") else content).decode("utf-8-sig")
            if suffix.startswith("csv"):
                # The first line names the columns.
                rows = dict(enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2))
            else:
                lines = enumerate(text.split("\n"), start=1)
                rows = {n: json.loads(line) for n, line in lines if line and (name, n) not in self._refused}
            yield (
                file,
                [
                    Sent(row, file, number)
                    for number, row in rows.items()
                    if (name, number) not in self._refused
                ],
            )

    def _missing(self, *interfaces: str) -> list[tuple[datetime, datetime]]:
        """Stretches that began before `as_of` of which a file is known to be missing, of any of some interfaces."""
        return [
            (after, until)
            for interface in interfaces
            for after, until in stretches_between(name for name, _ in self._files(interface))
            if after < self._as_of
        ]

    def _first_call(self) -> list[datetime]:
        """When the first call was received; nothing when there is none before `as_of`."""
        calls = (_instant(sent.row["received_at"]) for sent in self._newest("telephony_call", "call_id"))
        return [min(before)] if (before := [at for at in calls if at < self._as_of]) else []

    def _latest(self, interface: str, key: str) -> list[Sent]:
        """Of each key the row that was sent last."""
        return self._greatest(interface, key, lambda sent: sent.place)

    def _newest(self, interface: str, key: str) -> list[Sent]:
        """Of each key the greatest version: then the later emitted, then the one that was sent last."""
        return self._greatest(
            interface,
            key,
            lambda sent: (sent.row["record_version"], _instant(sent.row["emitted_at"]), sent.place),
        )

    def _greatest(self, interface: str, key: str, rank: Callable[[Sent], tuple[Any, ...]]) -> list[Sent]:
        found: dict[str, Sent] = {}
        for _, rows in self._files(interface):
            for sent in rows:
                rival = found.get(sent.row[key])
                if rival is None or rank(sent) > rank(rival):
                    found[sent.row[key]] = sent
        return list(found.values())

    def _happened(self, text: str | None) -> datetime | None:
        at = _maybe(text)
        return at if at is not None and at <= self._as_of else None

    # --------------------------------------------------------------------------------------------------- keys

    def _number_key(self, number: str | None) -> tuple[str | None, str | None]:
        if number is None:
            return None, "withheld"
        if not number.strip():
            return None, "empty"
        if number.strip().lower() == "anonymous":
            return None, "anonymous"
        try:
            parsed = phonenumbers.parse(number, "GB")
        except phonenumbers.NumberParseException:
            return None, "unparseable"
        if not phonenumbers.is_possible_number(parsed):
            return None, "unparseable"
        return self._hash(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)), None

    def _address_key(self, address: str | None) -> tuple[str | None, str | None]:
        if address is None:
            return None, "withheld"
        plain = address.strip().lower()
        return (self._hash(plain), None) if "@" in plain else (None, "unparseable")

    def _hash(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()


def is_open(line: str, instant: datetime) -> bool:
    """Whether a line is open at an instant: the hours of the contract, and bank holidays from the library."""
    local = instant.astimezone(LONDON)
    hours: tuple[time, time] | None = (time(8), time(20))
    if local.date() in BANK_HOLIDAYS or local.weekday() > 4:
        hours = (time(9), time(17, 30))
    if line == "PVS":
        hours = (time(9), time(13) if local.weekday() == 5 else time(17))
        if local.date() in BANK_HOLIDAYS or local.weekday() == 6:
            hours = None
    return hours is not None and hours[0] <= local.time() < hours[1]


def _agreed_codes() -> dict[tuple[str, str], list[tuple[date, date]]]:
    agreed: dict[tuple[str, str], list[tuple[date, date]]] = defaultdict(list)
    with (SEEDS / "reason_codes.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            end = date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max
            agreed[row["reason_code"], row["channel"]].append((date.fromisoformat(row["valid_from"]), end))
    return agreed


def _nothing_known() -> Row:
    """What texts and call-backs never tell."""
    return {
        "line_of_business": UNMAPPED,
        "language": None,
        "customer_key": None,
        "is_test": False,
        "queued_at": None,
        "answered_at": None,
        "wait_seconds": None,
        "handle_seconds": None,
        "agent_id": None,
        "is_transferred": False,
        "transferred_to": None,
        "transfer_mode": None,
        "conversation_id": None,
        "is_complaint": None,
        "record_version": None,
        "emitted_at": None,
    }


def _line(sent: str | None) -> str:
    return sent if sent in LINES else UNMAPPED


def _once(codes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(codes))


def _seconds(start: datetime | None, end: datetime | None) -> Fraction | None:
    if start is None or end is None:
        return None
    return Fraction((end - start) // timedelta(microseconds=1), 1_000_000)


def _maybe(text: str | None) -> datetime | None:
    return _instant(text) if text else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _known(value: Fraction | None) -> Fraction:
    assert value is not None
    return value
