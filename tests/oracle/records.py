"""Read telephony_call files by the rules of the interface, written by hand.

Exists so that what ingestion accepts and refuses can be compared with a second reading of the same rules. It
must not import the contract file, the parser, or anything else of the product.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

FILE_NAME = re.compile(
    r"(?P<interface>telephony_call)_(?P<platform>.+)_(?P<stamp>\d{8}T\d{6}Z)_(?P<sequence>\d+)\.jsonl(?P<gzip>\.gz)?"
)
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?:(:\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d)?)")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
GREATEST_VERSION = 2**63 - 1
GREATEST_LEG = 2**31 - 1
LARGEST_BAD_SHARE = Fraction(5, 100)

IVR_OUTCOMES = ("queued", "self_served", "abandoned", "forced_disconnect")
END_REASONS = ("completed", "abandoned", "transferred", "callback_requested", "flow_out", "forced_disconnect")
REQUIRED = object()


class Refused(Exception):
    """A row, or a whole file, that breaks a rule; the argument is the class of the rule."""


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a file says, and which delivery of this name it is: other bytes are another delivery."""

    name: str
    platform: str
    stamp: datetime
    sequence: int
    delivery: int = 1

    @property
    def position(self) -> tuple[datetime, int, int]:
        """Where the file stands among all files: the later one is the greater."""
        return self.stamp, self.sequence, self.delivery


@dataclass(frozen=True, slots=True)
class Leg:
    """One queue visit and its agent, as recorded. Seconds are exact."""

    leg_no: int
    queue: str
    queued_at: datetime
    answered_at: datetime | None
    left_at: datetime | None
    wrap_seconds: Fraction | None
    end_reason: str | None
    transfer_to: str | None
    transfer_mode: str | None
    reason_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one call that the interface accepts, and the place it was read from."""

    call_id: str
    record_version: int
    emitted_at: datetime
    is_test: bool
    dialled_number: str
    caller_number: str | None
    received_at: datetime
    ivr_outcome: str
    legs: tuple[Leg, ...]
    ended_at: datetime | None
    file: FileName
    line: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that the interface refuses: file name, line number from 1, class of the rule."""

    file: str
    line: int
    rule: str


@dataclass(slots=True)
class FileRead:
    """One file and what became of its rows. `whole` names the rule that refused all of it, if one did."""

    name: FileName
    rows: int = 0
    accepted: list[Record] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    whole: str | None = None


def read_folder(folder: Path, loaded_at: datetime, names: Iterable[str] | None = None) -> list[FileRead]:
    """Read every telephony_call file of a folder, or those of the given names.

    Args:
        folder: Where the files lie. `.part` files, dot files and digests are not data.
        loaded_at: Instant of loading: timestamps more than a day later are refused.
        names: Only these files.

    Returns:
        One entry per file, in the order of name positions.
    """
    wanted = None if names is None else set(names)
    found = [
        read_file(path, loaded_at)
        for path in sorted(folder.iterdir())
        if FILE_NAME.fullmatch(path.name) and (wanted is None or path.name in wanted)
    ]
    return sorted(found, key=lambda read: (read.name.position, read.name.name))


def file_name(text: str, delivery: int = 1) -> FileName:
    """Take a file name apart. Raises ValueError when it is not the name of a telephony_call file."""
    match = FILE_NAME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not the name of a telephony_call file")
    stamp = datetime.strptime(match["stamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return FileName(text, match["platform"], stamp, int(match["sequence"]), delivery)


def read_file(path: Path, loaded_at: datetime, delivery: int = 1) -> FileRead:
    """Read one file. Rows accepted and refused together are all of its rows, always."""
    read = FileRead(file_name(path.name, delivery))
    try:
        content = _content(path)
    except Refused as refused:
        read.whole = str(refused)
        return read
    for number, line in enumerate(_lines(content), start=1):
        if not line.strip():
            continue  # an empty line is no row
        read.rows += 1
        try:
            read.accepted.append(record_of(line, read.name, number, loaded_at))
        except Refused as refused:
            read.rejected.append(Rejection(path.name, number, str(refused)))
    if read.rows == 0:
        read.whole = "empty"
    elif Fraction(len(read.rejected), read.rows) > LARGEST_BAD_SHARE:
        read.whole = "bad rows"
        read.rejected += [Rejection(path.name, record.line, "bad rows") for record in read.accepted]
        read.accepted = []
    assert read.rows == len(read.accepted) + len(read.rejected)
    return read


def current_versions(reads: Iterable[FileRead]) -> list[Record]:
    """The version of each call that counts: greatest version, then later emitted, then later file.

    A file is later by its stamp, then its sequence, then as a later delivery of its name. Within one file,
    and where none of this tells files apart, the later line wins. The order in which files are given is no matter.
    """
    current: dict[str, Record] = {}
    for read in reads:
        for record in read.accepted:
            rival = current.get(record.call_id)
            if rival is None or _rank(record) > _rank(rival):
                current[record.call_id] = record
    return [current[call_id] for call_id in sorted(current)]


def _rank(record: Record) -> tuple[int, datetime, tuple[datetime, int, int], int]:
    return record.record_version, record.emitted_at, record.file.position, record.line


def missing_stretches(reads: Iterable[FileRead]) -> list[tuple[datetime, datetime]]:
    """Stretches for which a file is known to be missing, as (after this instant, up to and with this one).

    A file is missing when its sequence number is not there although a smaller and a greater one of its
    platform are; a file that was refused whole is not there. The stretch lies between the stamps of the
    neighbours, whichever was written first.
    """
    return stretches_between(read.name for read in reads if read.whole is None)


def stretches_between(names: Iterable[FileName]) -> list[tuple[datetime, datetime]]:
    """The same of the files of one interface that are there, each platform numbering its own."""
    stamps: dict[str, dict[int, datetime]] = {}
    for name in names:
        known = stamps.setdefault(name.platform, {})
        known[name.sequence] = min(name.stamp, known.get(name.sequence, name.stamp))
    stretches = []
    for by_sequence in stamps.values():
        there = sorted(by_sequence)
        for before, after in pairwise(there):
            if after > before + 1:
                one, other = by_sequence[before], by_sequence[after]
                stretches.append((min(one, other), max(one, other)))
    return sorted(stretches)


def is_complete(begins: datetime, ends: datetime, missing: Iterable[tuple[datetime, datetime]]) -> bool:
    """Whether no file is missing that would tell of the time from `begins` up to `ends`."""
    return not any(begins <= until and ends > after for after, until in missing)


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked. Raises Refused when its digest differs or its gzip does not end well."""
    content = path.read_bytes()
    digest = path.with_name(path.name + ".sha256")
    if digest.exists() and digest.read_text(encoding="ascii").split()[:1] != [
        hashlib.sha256(content).hexdigest()
    ]:
        raise Refused("digest")
    if path.name.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, ValueError) as error:
            raise Refused("gzip") from error
    return content


def _lines(content: bytes) -> list[bytes]:
    """The lines of a file. Only a line feed ends one: a string may hold any other separator."""
    return content.removeprefix(b"\xef\xbb\xbf").split(b"\n")


def record_of(line: bytes, file: FileName, number: int, loaded_at: datetime) -> Record:
    """One line as a record. Raises Refused with the class of the first rule that it breaks."""
    row = _object(line)
    latest = loaded_at + timedelta(days=1)

    def instant(holder: Mapping[str, Any], name: str, default: Any = None) -> Any:
        value = holder.get(name, default)
        if value is REQUIRED or (value is None and default is REQUIRED):
            raise Refused("missing")
        return None if value is None else _instant(value, latest)

    received_at = instant(row, "received_at", REQUIRED)
    ivr_ended_at = instant(row, "ivr_ended_at")
    legs = _list(row, "legs", REQUIRED)
    record = Record(
        call_id=_text(row, "call_id", longest=64),
        record_version=_integer(row, "record_version", GREATEST_VERSION),
        emitted_at=instant(row, "emitted_at", REQUIRED),
        is_test=_boolean(row, "is_test"),
        dialled_number=_text(row, "dialled_number"),
        caller_number=_text_or_none(row, "caller_number"),
        received_at=received_at,
        ivr_outcome=_choice(row, "ivr_outcome", IVR_OUTCOMES, REQUIRED),
        legs=tuple(_leg(leg, instant) for leg in legs),
        ended_at=instant(row, "ended_at"),
        file=file,
        line=number,
    )
    _choice(row, "language", ("en", "cy"), "en")
    _texts(row, "ivr_path")
    if ivr_ended_at is not None and ivr_ended_at < received_at:
        raise Refused("order")
    if any(leg.queued_at < received_at for leg in record.legs):
        raise Refused("order")
    for leg in record.legs:
        steps = [step for step in (leg.queued_at, leg.answered_at, leg.left_at) if step is not None]
        if steps != sorted(steps):
            raise Refused("order")
    if (record.ivr_outcome == "queued") != bool(record.legs):
        raise Refused("legs")
    if len({leg.leg_no for leg in record.legs}) < len(record.legs):
        raise Refused("legs")  # a number that two legs share names neither
    return record


def _leg(leg: Any, instant: Any) -> Leg:
    if not isinstance(leg, dict):
        raise Refused("type")
    _number(leg, "hold_seconds", 0)
    _text_or_none(leg, "agent_id")
    return Leg(
        leg_no=_integer(leg, "leg_no", GREATEST_LEG),
        queue=_text(leg, "queue"),
        queued_at=instant(leg, "queued_at", REQUIRED),
        answered_at=instant(leg, "answered_at"),
        left_at=instant(leg, "left_at"),
        wrap_seconds=_number(leg, "wrap_seconds", None),
        end_reason=_choice(leg, "end_reason", END_REASONS, None),
        transfer_to=_choice(leg, "transfer_to", ("2nd_line", "csmt", "other"), None),
        transfer_mode=_choice(leg, "transfer_mode", ("warm", "cold"), None),
        reason_codes=tuple(_texts(leg, "reason_codes")),
    )


def _object(line: bytes) -> dict[str, Any]:
    """A line as a JSON object whose every string can be stored. Numbers with a point stay exact."""

    def not_finite(constant: str) -> Any:
        raise Refused("number")

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise Refused("json")  # which of two values is meant, nobody can say
        return dict(pairs)

    try:
        row = json.loads(
            line.decode("utf-8"), parse_float=Decimal, parse_constant=not_finite, object_pairs_hook=each_once
        )
    except (ValueError, RecursionError) as error:
        raise Refused("json") from error
    if not isinstance(row, dict):
        raise Refused("json")
    _storable(row)
    return row


def _storable(value: Any) -> None:
    """Refuse NUL and half of a surrogate pair anywhere: no database column can hold them as text."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise Refused("text")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _storable(name)
            _storable(inner)
    elif isinstance(value, list):
        for inner in value:
            _storable(inner)


def _instant(value: Any, latest: datetime) -> datetime:
    if not isinstance(value, str):
        raise Refused("type")
    match = INSTANT.fullmatch(value)
    if match is None:
        raise Refused("timestamp")
    clock, seconds, fraction, offset = match.groups()
    hours, minutes = (offset[:3], offset[3:].removeprefix(":") or "00") if offset != "Z" else ("+00", "00")
    try:
        moment = datetime.fromisoformat(f"{clock}{seconds or ':00'}{hours}:{minutes}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused("timestamp") from error
    moment += timedelta(microseconds=int((fraction or "").ljust(6, "0")))
    if not EARLIEST <= moment <= latest:
        raise Refused("range")
    return moment


def _take(holder: Mapping[str, Any], name: str, default: Any) -> Any:
    value = holder.get(name, default)
    if value is REQUIRED or (value is None and default is REQUIRED):
        raise Refused("missing")
    return value


def _text(holder: Mapping[str, Any], name: str, longest: int | None = None) -> str:
    value = _take(holder, name, REQUIRED)
    if not isinstance(value, str):
        raise Refused("type")
    if longest is not None and not 1 <= len(value) <= longest:
        raise Refused("range")
    return value


def _text_or_none(holder: Mapping[str, Any], name: str) -> str | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused("type")
    return value


def _choice(holder: Mapping[str, Any], name: str, choices: tuple[str, ...], default: Any) -> Any:
    value = _take(holder, name, default)
    if value is None and default is None:
        return None
    if not isinstance(value, str):
        raise Refused("type")
    if value not in choices:
        raise Refused("enum")
    return value


def _boolean(holder: Mapping[str, Any], name: str) -> bool:
    value = holder.get(name, False)
    if not isinstance(value, bool):
        raise Refused("type")
    return value


def _integer(holder: Mapping[str, Any], name: str, greatest: int) -> int:
    value = _take(holder, name, REQUIRED)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("type")
    if not 1 <= value <= greatest:
        raise Refused("range")
    return value


def _number(holder: Mapping[str, Any], name: str, default: int | None) -> Fraction | None:
    """A number of seconds, exact. Null is allowed where null is the default."""
    value = holder.get(name, default)
    if value is None and default is None:
        return None
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise Refused("type")
    if value < 0:
        raise Refused("range")
    if (isinstance(value, Decimal) and value.adjusted() > 307) or value > 10**308:
        raise Refused("number")  # beyond what a double holds: not a finite number to any reader of the file
    return Fraction(value)


def _list(holder: Mapping[str, Any], name: str, default: Any) -> list[Any]:
    value = _take(holder, name, default)
    if not isinstance(value, list):
        raise Refused("type")
    return value


def _texts(holder: Mapping[str, Any], name: str) -> list[str]:
    values = [] if holder.get(name) is None else _list(holder, name, [])
    if not all(isinstance(value, str) for value in values):
        raise Refused("type")
    return values
