"""What every adapter gives back, and how the fields of a platform's record are read.

It exists so that the adapters differ only in what their platforms mean. It must not know any platform, open anything
or look at the clock.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NoReturn

DIRECT_TO_AGENT = "DIRECT_TO_AGENT"
"""Queue of a leg that reached an agent without any queue."""

UNKNOWN_NUMBER = "unknown"
"""Dialled number of a call for which the platform gives none: its line is UNMAPPED, and it is counted."""

MAX_ID = 64
"""Greatest length of an identifier in the contracts."""

SupportLineOf = Callable[[str], str]
"""The support line of a queue: `1st`, `2nd`, `csmt`, or an empty text where it is not known."""

_TRANSFER_TO = {"2nd": "2nd_line", "csmt": "csmt"}
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?P<offset>Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_LANGUAGES = {"english": "en", "saesneg": "en", "welsh": "cy", "cymraeg": "cy"}
_TRUE = ("true", "1", "yes", "y")


class PlatformRecordError(Exception):
    """A platform's record cannot be read: the rule it breaks, the field, and in `detail` what is wrong.

    `detail` may hold personal data, as that of RowRefusedError may.
    """

    def __init__(self, rule: str, detail: str, field: str | None = None) -> None:
        super().__init__(rule)
        self.rule = rule
        self.detail = detail
        self.field = field


@dataclass(frozen=True, slots=True)
class Assembled:
    """A call put together from all that is known of it.

    Attributes:
        call: The canonical `telephony_call` record; None if nothing known so far is a call received.
        callback_events: Canonical `callback_event` records. The same facts give the same `event_id` every time.
        notes: Findings about the data, in plain English, without personal data.
    """

    call: dict[str, Any] | None = None
    callback_events: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decode(text: bytes) -> dict[str, Any]:
    """Read the text of one object.

    Raises:
        PlatformRecordError: It is no JSON object that a database can keep, or an object in it holds a name twice.
    """
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unrepeated, parse_constant=_not_finite)
    except UnicodeDecodeError as error:
        raise PlatformRecordError("not_utf8", f"byte {error.start + 1} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise PlatformRecordError("invalid_json", f"at character {error.pos + 1}: {error.msg}") from None
    except RecursionError:
        raise PlatformRecordError("invalid_json", "it is nested too deeply") from None
    except ValueError:
        raise PlatformRecordError("not_finite", "a number has too many digits") from None
    if not isinstance(value, dict):
        raise PlatformRecordError("not_an_object", "it is JSON, but no object")
    if b"\\u" in text and not _can_be_stored(value):
        raise PlatformRecordError("invalid_text", "a text holds a NUL character or half of a surrogate pair")
    return value


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise PlatformRecordError("repeated_field", "the name stands twice in one object", repeated[:64])
    return value


def _not_finite(constant: str) -> NoReturn:
    raise PlatformRecordError("not_finite", f"a number is {constant}")


def _can_be_stored(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return "\\u0000" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


class Reader:
    """One object of a platform's record, read field by field.

    Names are compared without regard to case. Where several names of an object differ only in case, one that has a
    value goes before one that has none (null or an empty text), then the spelling asked for before any other, then
    the first in the order of code points: which one was written first makes no difference. `clashes` names those
    whose values differ.
    """

    def __init__(self, value: dict[str, Any], path: str = "", clashes: set[str] | None = None) -> None:
        """Wrap an object that lies at `path` in its record, such as `Queue.`."""
        self._value = value
        self._path = path
        self.clashes: set[str] = set() if clashes is None else clashes
        self._names: dict[str, list[str]] = {}
        for name in sorted(value):
            self._names.setdefault(name.casefold(), []).append(name)

    def get(self, name: str) -> Any:
        """The value of a name, or None if it is absent, null or an empty text."""
        names = self._names.get(name.casefold(), [])
        filled = [each for each in names if self._value[each] not in (None, "")]
        if not filled:
            return None
        if any(self._value[each] != self._value[filled[0]] for each in filled[1:]):
            self.clashes.add(f"{self._path}{name}")
        return self._value[name if name in filled else filled[0]]

    def required(self, name: str) -> Any:
        """The value of a name.

        Raises:
            PlatformRecordError: There is none.
        """
        value = self.get(name)
        if value is None:
            raise PlatformRecordError("missing_field", "a required field is absent or empty", self._at(name))
        return value

    def text(self, name: str, *, required: bool = False) -> str | None:
        """A text. Raises PlatformRecordError if it is another type, or absent though required."""
        value = self.required(name) if required else self.get(name)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong_type(name, "a text")

    def instant(self, name: str, *, required: bool = False) -> datetime | None:
        """An instant in UTC. Raises PlatformRecordError as `text` does, and if it is no timestamp with an offset."""
        text = self.text(name, required=required)
        if text is None:
            return None
        match = _TIMESTAMP.fullmatch(text)
        if match is None:
            raise PlatformRecordError("timestamp_format", f"{text!r} is no timestamp", self._at(name))
        if match["offset"] is None:
            raise PlatformRecordError("timestamp_without_offset", f"{text!r} has no offset", self._at(name))
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise PlatformRecordError(
                "timestamp_format", f"{text!r} does not exist", self._at(name)
            ) from None

    def number(self, name: str) -> float | None:
        """A number from zero up. Raises PlatformRecordError if it is something else."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong_type(name, "a number")
        if value < 0:
            raise PlatformRecordError("out_of_range", "a number is below zero", self._at(name))
        return float(value)

    def object(self, name: str) -> Reader:
        """An object within, empty if it is absent. Raises PlatformRecordError if it is something else."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong_type(name, "an object")
        return Reader(value or {}, f"{self._path}{name}.", self.clashes)

    def objects(self, name: str) -> list[Reader]:
        """A list of objects, empty if it is absent. Raises PlatformRecordError if it is something else."""
        value = self.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong_type(name, "a list of objects")
        return [
            Reader(item, f"{self._path}{name}[{index}].", self.clashes) for index, item in enumerate(value)
        ]

    def numbers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers, empty if it is absent. Raises PlatformRecordError if it is something else."""
        value = self.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self._wrong_type(name, "a list of whole numbers")
        return tuple(value)

    def attributes(self, name: str, wanted: Iterable[str]) -> dict[str, str]:
        """Of an object of attributes, those that are wanted and have a value, as texts."""
        inner = self.object(name)
        found: dict[str, str] = {}
        for key in wanted:
            value = inner.get(key)
            if isinstance(value, bool | int | float):
                value = json.dumps(value)
            if value is not None and not isinstance(value, str):
                raise inner._wrong_type(key, "a text")
            if value is not None and value.strip():
                found[key] = value.strip()
        return found

    def _at(self, name: str) -> str:
        return f"{self._path}{name}"

    def _wrong_type(self, name: str, expected: str) -> PlatformRecordError:
        got = type(self.get(name)).__name__
        return PlatformRecordError("wrong_type", f"expected {expected}, got {got}", self._at(name))


def instant_text(instant: datetime | None) -> str | None:
    """An instant as the contracts write it."""
    return (
        None
        if instant is None
        else f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat('T', 'microseconds')}Z"
    )


def event_id_of(platform_id: str, event: str) -> str:
    """The identifier of a call-back event: that of the platform's own object and the event, hashed if too long."""
    plain = f"{platform_id}:{event}"
    return plain if len(plain) <= MAX_ID else blake2b(plain.encode(), digest_size=MAX_ID // 2).hexdigest()


def listed(text: str | None) -> list[str]:
    """The parts of an attribute that holds a list: a JSON list of texts, or texts between commas, semicolons or bars.

    Each stands once, in the order of its first appearance.
    """
    if not text:
        return []
    parts: Sequence[Any] = re.split(r"[,;|]", text)
    if text.startswith("["):
        try:
            parts = json.loads(text)
        except ValueError:
            parts = re.split(r"[,;|]", text.strip("[]"))
    return list(dict.fromkeys(part.strip() for part in parts if isinstance(part, str) and part.strip()))


def is_true(text: str | None) -> bool:
    """Whether an attribute says yes."""
    return text is not None and text.casefold() in _TRUE


def language_of(text: str | None, notes: list[str]) -> str:
    """The language an attribute names: `cy`, `cy-GB` or `Welsh`. English, with a note, if it is not understood."""
    if text is None:
        return "en"
    plain = text.casefold()
    language = _LANGUAGES.get(plain, re.split(r"[-_]", plain)[0])
    if language not in ("en", "cy"):
        notes.append("The attribute `language` names neither English nor Welsh: the call counts as English.")
        return "en"
    return language


def transfer_to(queue: str | None, support_line_of: SupportLineOf) -> str:
    """Where a transfer to a queue leads, in the words of the contract; `other` where the support line is not known."""
    return "other" if queue is None else _TRANSFER_TO.get(support_line_of(queue), "other")


def hold_within(seconds: float, answered: datetime | None, left: datetime | None, notes: list[str]) -> float:
    """The seconds on hold, at most those between answer and end: platforms round hold and talk separately."""
    if answered is None or left is None or left < answered:
        return seconds
    talk = (left - answered).total_seconds()
    if seconds > talk + 1:
        notes.append(
            "A leg was longer on hold than with its agent: the hold is cut to the time with the agent."
        )
    return min(seconds, talk)
