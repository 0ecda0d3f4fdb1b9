"""One record: its types, its timestamps and the rules between its fields, all compiled from the contract.

A record that breaks a rule raises RowRefusedError with the first rule that it breaks. This module reads no bytes and
writes none: `parse` gives it JSON values.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from operator import attrgetter
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from ingestion.contract import Contract, ContractError, Field, RowRule
from ingestion.findings import RowRefusedError
from ingestion.privacy import mask

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=1)
LATEST_PROMISED = datetime(2199, 12, 30, tzinfo=UTC)

Record = Any
"""A struct with the fields of a contract; timestamps are texts such as 2026-03-02T09:00:40.500000Z, all in UTC."""

_Step = Callable[[Record], None]

_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<offset>Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_REST = re.compile(r"(:[0-5]\d)(?:\.(\d{1,6}))?Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EARLIEST_DATE, LATEST_DATE = date(1880, 1, 1), date(2199, 12, 31)
_REMEMBERED = 100_000
_TYPE_NAMES = {
    "string": "a text",
    "timestamp": "a timestamp in quotes",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date in quotes",
    "array": "a list",
    "object": "an object",
}


class RowReader:
    """Turns JSON objects into records, or refuses them."""

    def __init__(self, contract: Contract, now: datetime) -> None:
        """Compile the contract.

        Args:
            contract: The interface.
            now: Clock of the load: a timestamp more than a day later is refused.
        """
        self._fields = contract.fields
        # The cells of a row of CSV may have been shifted: any could be what another column hides.
        hides = any(field.is_hidden for field in contract.fields)
        self._show = _shape if contract.file_format == "csv" and hides else mask
        self._type = _record_type(contract)
        # A time that is promised may lie ahead; one that has happened may not.
        self._steps = [
            _timestamp_step([field for field in contract.fields if not field.may_lie_ahead], Instants(now)),
            _timestamp_step(
                [field for field in contract.fields if field.may_lie_ahead], Instants(LATEST_PROMISED)
            ),
            *map(_rule_step, contract.rules),
        ]
        self._steps += [_date_step(field.name) for field in contract.fields if field.kind == "date"]

    def read(self, value: dict[str, Any]) -> tuple[Record, dict[str, Any]]:
        """Check one JSON object.

        Args:
            value: The object. Fields that the contract does not know are taken out of it.

        Returns:
            Its record, absent fields filled in; and the fields that the contract does not know, by their path.

        Raises:
            RowRefusedError: It breaks a rule.
        """
        unknown: dict[str, Any] = {}
        try:
            record = msgspec.convert(value, self._type)
        except msgspec.ValidationError:
            _take_unknown(value, self._fields, "", unknown)
            _take_nulls(value, self._fields)
            try:
                record = msgspec.convert(value, self._type)
            except msgspec.ValidationError as error:
                raise _refusal(str(error), self._fields, value, self._show) from None
        for step in self._steps:
            step(record)
        return record, unknown


class Instants:
    """Timestamps as sent, and as kept: in UTC, with six decimals and `Z`, so that they compare as texts.

    Most timestamps are put together from two parts that were met before: a minute, and what follows it.
    """

    def __init__(self, now: datetime) -> None:
        """Start with nothing remembered; `now` is the clock of the load."""
        self.bounds = self._earliest, self._latest = (
            _kept(EARLIEST),
            _kept(now.astimezone(UTC) + LATEST_AHEAD),
        )
        self.minutes: dict[str, str] = {}
        self.rests = _Rests()

    def work_out(self, text: str) -> str:
        """A timestamp whose parts were not met before; its minute is remembered.

        Raises:
            RowRefusedError: It is none, or lies outside the range.
        """
        match = _TIMESTAMP.fullmatch(text)
        if match is None:
            raise RowRefusedError("timestamp_format", f"{mask(text)[:40]!r} is no timestamp")
        if match["offset"] is None:
            raise RowRefusedError("timestamp_without_offset", f"{text!r} has no offset")
        try:
            kept = _kept(datetime.fromisoformat(text).astimezone(UTC))
        except (ValueError, OverflowError):
            raise RowRefusedError("timestamp_format", f"{text!r} does not exist") from None
        if not self._earliest <= kept <= self._latest:
            raise RowRefusedError(
                "timestamp_out_of_range", f"{text!r} lies before 1990 or more than a day after the load"
            )
        minute = kept[:16]
        if self._earliest <= f"{minute}:00.000000Z" and f"{minute}:59.999999Z" <= self._latest:
            if len(self.minutes) >= _REMEMBERED:
                self.minutes.clear()
            self.minutes[minute] = minute
        return kept


class _Rests(dict[str, str]):
    """What may follow the minute of a timestamp in UTC, and how it is kept: `:40.5Z` as `:40.500000Z`."""

    def __missing__(self, rest: str) -> str:
        match = _REST.fullmatch(rest)
        if match is None:
            raise KeyError(rest)
        if len(self) >= _REMEMBERED:
            self.clear()
        kept = self[rest] = f"{match[1]}.{match[2] or '':0<6}Z"
        return kept


def _kept(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")[:26] + "Z"


# ---------------------------------------------------------------------------------------------------------------- types


@cache
def _record_type(contract: Contract) -> type[msgspec.Struct]:
    return _struct(contract.interface, contract.fields)


def _struct(name: str, fields: Iterable[Field]) -> type[msgspec.Struct]:
    members: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    names = {}
    for field in fields:
        # A word of Python's own cannot be the name of an attribute.
        attribute = f"{field.name}_" if keyword.iskeyword(field.name) else field.name
        names[attribute] = field.name
        default = () if field.required else (field.absent_value,)
        members.append((attribute, _type(field), *default))
    return msgspec.defstruct(name, members, rename=names, kw_only=True, forbid_unknown_fields=True, gc=False)


def _type(field: Field) -> Any:
    plain: Any
    match field.kind:
        case "string" if field.choices:
            plain = Literal[field.choices]
        case "string":
            plain = _bounded(str, min_length=field.minimum, max_length=field.maximum)
        case "timestamp" | "date":
            plain = str
        case "integer":
            plain = _bounded(int, ge=field.minimum, le=field.maximum)
        case "number":
            plain = _bounded(float, ge=field.minimum, le=field.maximum)
        case "boolean":
            plain = bool
        case "array":
            assert field.items is not None  # noqa: S101  # the contract was read
            plain = list[_type(field.items)]  # type: ignore[misc]
        case "object":
            plain = _struct(field.name, field.fields)
    return plain | None if field.nullable else plain


def _bounded(plain: type, **bounds: int | None) -> Any:
    given: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    return Annotated[plain, msgspec.Meta(**given)] if given else plain


def _take_unknown(value: Any, fields: Iterable[Field], path: str, unknown: dict[str, Any]) -> None:
    """Move the fields that are not in `fields` from a JSON object, and from objects within, to `unknown`."""
    if not isinstance(value, dict):
        return
    known = {field.name: field for field in fields}
    for name in [name for name in value if name not in known]:
        unknown[f"{path}{name}"] = value.pop(name)
    for name, inner in value.items():
        field = known[name]
        if field.kind == "object":
            _take_unknown(inner, field.fields, f"{path}{name}.", unknown)
        elif field.items is not None and isinstance(inner, list):
            for index, item in enumerate(inner):
                _take_unknown(item, field.items.fields, f"{path}{name}[{index}].", unknown)


def _take_nulls(value: Any, fields: Iterable[Field]) -> None:
    """Take out lists and whole numbers that are null and may be absent, so that they have the value of absent ones."""
    if not isinstance(value, dict):
        return
    for field in fields:
        inner = value.get(field.name)
        if field.kind in ("array", "integer") and not field.required and not field.nullable:
            if field.name in value and inner is None:
                del value[field.name]
        elif field.items is not None and isinstance(inner, list):
            for item in inner:
                _take_nulls(item, field.items.fields)


# ------------------------------------------------------------------------------------------------- what was wrong

_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_PROBLEMS = (
    (re.compile(r"Object missing required field `(?P<missing>.*)`"), "missing_field"),
    (re.compile(r"Expected `[^`]*`, got `(?P<got>.*)`"), "wrong_type"),
    (re.compile(r"Invalid enum value (?P<choice>.*)", re.DOTALL), "not_in_list"),
    (re.compile(r"Expected `str` of length .*"), "wrong_length"),
    (re.compile(r"Expected `(?:int|float)` .*"), "out_of_range"),
    (re.compile(r"Number out of range"), "not_finite"),
)
_GOT_NAMES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
}


def _refusal(
    message: str, fields: tuple[Field, ...], value: Any, show: Callable[[str], str]
) -> RowRefusedError:
    """What the decoder said, in the words of the contract."""
    parts = _PATH.fullmatch(message)
    what, path = (parts["what"], parts["path"] or "") if parts else (message, "")
    for pattern, rule in _PROBLEMS:
        match = pattern.fullmatch(what)
        if match is None:
            continue
        named = match.groupdict()
        if "missing" in named:
            path = f"{path}.{named['missing']}".lstrip(".")
            return RowRefusedError(rule, "the field is absent", path)
        field = _field_at(path, fields)
        if "got" in named:
            wanted = _TYPE_NAMES[field.kind] + (" or null" if field.nullable else "")
            got = _GOT_NAMES.get(named["got"], named["got"]) + _shown_at(path, fields, value, show)
            return RowRefusedError(rule, f"it is {got}, not {wanted}", path)
        if "choice" in named:
            return RowRefusedError(
                rule, f"{mask(named['choice'])[:60]} is not one of {', '.join(field.choices)}", path
            )
        bounds = [("at least", field.minimum), ("at most", field.maximum)]
        allowed = " and ".join(f"{word} {bound:,}" for word, bound in bounds if bound is not None)
        return RowRefusedError(
            rule,
            "it is beyond what a double holds" if rule == "not_finite" else f"allowed is {allowed}",
            path,
        )
    return RowRefusedError("wrong_type", what, path or None)


def _shape(text: str) -> str:
    """A text with every letter as x and every digit as 9."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", text))


def _shown_at(path: str, fields: tuple[Field, ...], value: Any, show: Callable[[str], str]) -> str:
    """The value at a path, masked, as an addition to a message; nothing of one that is hidden or not simple."""
    parts = re.findall(r"[^.\[\]]+", path)
    if not parts or next(field for field in fields if field.name == parts[0]).is_hidden:
        return ""
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return f", {show(repr(value))[:60]}"
    return ""


def _field_at(path: str, fields: tuple[Field, ...]) -> Field:
    """The field at a path such as `legs[0].reason_codes[1]`."""
    found: Field | None = None
    for part in re.findall(r"[^.\[\]]+", path):
        if found is not None and found.items is not None and part.isdigit():
            found = found.items
        else:
            found = next(field for field in (found.fields if found else fields) if field.name == part)
    if found is None:
        raise ContractError(f"no field at {path!r}")
    return found


# ---------------------------------------------------------------------------------------------------------- steps


def _timestamp_step(fields: Iterable[Field], instants: Instants) -> _Step:
    """Bring every timestamp of a record, and of the objects in its lists, into the form that is kept."""
    fields = tuple(fields)
    names = [field.name for field in fields if field.kind == "timestamp"]
    lists = [
        (field.name, [inner.name for inner in field.items.fields if inner.kind == "timestamp"])
        for field in fields
        if field.items is not None and field.items.kind == "object"
    ]

    minutes, rests = instants.minutes, instants.rests

    def keep(holder: Record, names: list[str]) -> None:
        name = ""
        try:
            for name in names:  # named in the error
                value = getattr(holder, name)
                if value is not None:
                    try:
                        kept = minutes[value[:16]] + rests[value[16:]]
                    except KeyError:
                        kept = instants.work_out(value)
                    setattr(holder, name, kept)
        except RowRefusedError as refused:
            refused.field = name
            raise

    def step(record: Record) -> None:
        keep(record, names)
        for list_name, inner_names in lists:
            for index, item in enumerate(getattr(record, list_name)):
                try:
                    keep(item, inner_names)
                except RowRefusedError as refused:
                    refused.field = f"{list_name}[{index}].{refused.field}"
                    raise

    return step


def is_date(text: str) -> bool:
    """Whether a text is a date as the contracts mean it, within living memory and what is to come."""
    try:
        return _DATE.fullmatch(text) is not None and EARLIEST_DATE <= date.fromisoformat(text) <= LATEST_DATE
    except ValueError:
        return False


def _date_step(name: str) -> _Step:
    def step(record: Record) -> None:
        value = getattr(record, name)
        if value is not None and not is_date(value):
            raise RowRefusedError("date_format", f"{mask(value)[:40]!r} is no date", name)

    return step


def _rule_step(rule: RowRule) -> _Step:
    """Compile one row rule of the contract.

    Raises:
        ContractError: The rule is of no known form.
    """
    match rule.implementation:
        case {"in_order": [str() as one, str() as other], **rest} if "[]." in other and not rest:
            return _no_item_before(rule, one, *other.split("[]."))
        case {"in_order": list() as names, "each": str() as items}:
            return _in_order(rule, names, items)
        case {"in_order": list() as names}:
            return _in_order(rule, names, None)
        case {"each": str() as items, "unique": str() as name}:
            return _unique(rule, items, name)
        case {"when": str() as name, "is": value, "not_empty": str() as items}:
            return _filled(rule, items, attrgetter(name), lambda is_: is_ == value, filled=True)
        case {"when": str() as name, "is_not": value, "empty": str() as items}:
            return _filled(rule, items, attrgetter(name), lambda is_: is_ != value, filled=False)
    raise ContractError(f"rule {rule.name} is of no known form: {rule.implementation}")


def _in_order(rule: RowRule, names: list[str], items: str | None) -> _Step:
    values = attrgetter(*names)

    def is_in_order(holder: Record) -> bool:
        present = [value for value in values(holder) if value is not None]
        return present == sorted(present)

    def refuse(holder: Record, path: str) -> NoReturn:
        present = [
            (name, value) for name, value in zip(names, values(holder), strict=True) if value is not None
        ]
        for (before_name, before), (name, value) in pairwise(present):
            if value < before:
                raise RowRefusedError(
                    rule.name, f"{value} is before {before_name}, {before}", f"{path}{name}"
                )
        raise AssertionError("called for what is in order")

    def each(record: Record) -> None:
        for index, item in enumerate(getattr(record, items or "")):
            if not is_in_order(item):
                refuse(item, f"{items}[{index}].")

    def whole(record: Record) -> None:
        if not is_in_order(record):
            refuse(record, "")

    return each if items else whole


def _no_item_before(rule: RowRule, name: str, items: str, inner: str) -> _Step:
    def step(record: Record) -> None:
        first = getattr(record, name)
        for index, item in enumerate(getattr(record, items)):
            value = getattr(item, inner)
            if first is not None and value is not None and value < first:
                raise RowRefusedError(
                    rule.name, f"{value} is before {name}, {first}", f"{items}[{index}].{inner}"
                )

    return step


def _unique(rule: RowRule, items: str, name: str) -> _Step:
    def step(record: Record) -> None:
        held = getattr(record, items)
        if len(held) > 1 and len({getattr(item, name) for item in held}) < len(held):
            raise RowRefusedError(rule.name, rule.description, f"{items}[].{name}")

    return step


def _filled(
    rule: RowRule, items: str, value: Callable[[Record], Any], applies: Callable[[Any], bool], *, filled: bool
) -> _Step:
    def step(record: Record) -> None:
        if bool(getattr(record, items)) != filled and applies(value(record)):
            raise RowRefusedError(rule.name, rule.description, items)

    return step
