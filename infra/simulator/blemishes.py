"""Bad rows of the interfaces other than the calls: kinds that follow from what an interface says of its fields.

One description of an interface gives all its kinds, so that no interface has a list of its own to forget.
It must break nothing but the row it is given.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from infra.simulator.damage import Damage
from infra.simulator.interfaces import Interface

Record = dict[str, Any]
Change = Callable[[Record], None]
_CSV_SPECIAL = frozenset(',"\r\n')


def cells(values: list[str]) -> str:
    """Write one row of a CSV file, without its end, as RFC 4180 asks."""
    return ",".join(
        '"' + value.replace('"', '""') + '"' if _CSV_SPECIAL.intersection(value) else value
        for value in values
    )


def _naive(stamp: str) -> str:
    return stamp.removesuffix("Z") if stamp.endswith("Z") else stamp[:-6]


def _kinds(interface: Interface) -> dict[str, Change | None]:
    """Give the kinds of an interface: how each changes a record, or None where it damages the text."""

    def to(field: str, value: object) -> Change:
        return lambda record: record.update({field: value})

    def without(field: str) -> Change:
        return lambda record: record.update({field: ""}) if interface.is_csv else record.pop(field)

    def naive(field: str) -> Change:
        return lambda record: record.update({field: _naive(record[field])})

    kinds: dict[str, Change | None] = (
        {"too few cells": None, "too many cells": None}
        if interface.is_csv
        else {"invalid JSON": None, "not an object": None}
    )
    for field in interface.required:
        kinds[f"{field} missing"] = without(field)
    for field in interface.timestamps:
        kinds[f"{field} without offset"] = naive(field)
        kinds[f"{field} on an impossible date"] = to(field, "2026-02-30T10:00:00.000Z")
        kinds[f"{field} in words"] = to(field, "yesterday")
        kinds[f"{field} before 1990"] = to(field, "1970-01-01T00:00:00.000Z")
        kinds[f"{field} in the far future"] = to(field, "2999-12-31T23:59:59.999Z")
    for field in interface.dates:
        kinds[f"{field} on an impossible date"] = to(field, "1985-02-30")
    for field in interface.numbers:
        kinds[f"{field} in words"] = to(field, "twelve")
    for field in interface.flags:
        kinds[f"{field} in words"] = to(field, "perhaps")
    for field in interface.lists:
        kinds[f"{field} no list"] = to(field, "OTHER")
    for field in interface.choices:
        kinds[f"{field} unknown"] = to(field, "unheard_of")
    if "record_version" in interface.numbers:
        kinds["version zero"] = to("record_version", 0)
    if not interface.is_csv:
        kinds["number in a text field"] = to(interface.required[0], 17)
        kinds["null in a required field"] = to(interface.required[0], None)
    return kinds


class Blemishes(Damage):
    """Bad rows of one interface."""

    def __init__(self, interface: Interface, rng: Random) -> None:
        self._interface = interface
        self._changes = _kinds(interface)
        names = list(self._changes)
        # Interfaces with few rows begin elsewhere with each seed, so that no kind is always left out.
        first = rng.randrange(len(names))
        super().__init__(rng, names[first:] + names[:first])

    def _damage(self, kind: str, row: bytes) -> bytes | None:
        text = row.decode()
        record = self._read(text)
        change = self._changes[kind]
        if change is None:
            return self._damage_text(kind, text, record)
        if any(field not in record for field in self._interface.required):
            return None
        change(record)
        if self._interface.is_csv:
            return cells(list(record.values())).encode()
        return msgspec.json.encode(record)

    def _read(self, text: str) -> Record:
        if self._interface.is_csv:
            return dict(zip(self._interface.fields, next(csv.reader([text])), strict=True))
        record: Record = msgspec.json.decode(text)
        return record

    def _damage_text(self, kind: str, text: str, record: Record) -> bytes:
        if kind == "not an object":
            return msgspec.json.encode(list(record)[:3])
        if kind == "invalid JSON":
            return text.encode()[: self._rng.randint(20, len(text.encode()) - 2)]
        values = list(record.values())
        return cells(values[:-2] if kind == "too few cells" else [*values, "", "?"]).encode()
