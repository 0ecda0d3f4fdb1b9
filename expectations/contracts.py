"""What the contract of an interface promises, as far as a gate can look for it in the raw table.

The contract files in `ingestion/contracts/` are read as what they are, a public standard: this room knows no other
room. What a field becomes in the raw table is said there; a test holds both to the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from infra.settings import CHECKOUT

CONTRACTS = CHECKOUT / "ingestion" / "contracts"

_TYPES = {
    "string": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "date": "date",
    "array": "jsonb",
    "object": "jsonb",
}
_LEDGER_COLUMNS = {
    "_extra": "jsonb",
    "_record_hash": "uuid",
    "_file_position": "text",
    "_file_id": "bigint",
    "_line_number": "bigint",
    "_loaded_at": "timestamptz",
    "_batch_id": "bigint",
}


@dataclass(frozen=True)
class Rule:
    """A rule over one row: what must hold, and an SQL condition that is true of a row that breaks it."""

    sentence: str
    broken: str


@dataclass(frozen=True)
class Contract:
    """One interface as a gate sees it.

    Attributes:
        interface: Its name.
        raw_table: Its raw table, with the schema.
        is_extract: Whether each file is everything, and replaces the one before.
        serving_table: Table with the current extract in the clear, if there is one.
        freshness_minutes: Minutes after which data is late; None if nothing is promised.
        columns: Types of the columns of the raw table, by name.
        key: Columns that say which record a row is.
        never_null: Columns that always hold something.
        keyed: Columns of keyed hashes that stand beside a reason why they are missing.
        values: Conditions that are true of a value which the contract does not list.
        rules: The row rules of the contract that can be asked of the raw table.
    """

    interface: str
    raw_table: str
    is_extract: bool
    serving_table: str | None
    freshness_minutes: int | None
    columns: dict[str, str]
    key: tuple[str, ...]
    never_null: tuple[str, ...]
    keyed: tuple[str, ...]
    values: tuple[str, ...]
    rules: tuple[Rule, ...]


def interfaces() -> list[str]:
    """Names of the interfaces that have a contract, sorted."""
    return sorted(path.name.removesuffix(".odcs.yaml") for path in CONTRACTS.glob("*.odcs.yaml"))


@cache
def read_contract(interface: str) -> Contract:
    """Read the contract of an interface.

    Raises:
        FileNotFoundError: There is none.
    """
    document = yaml.safe_load(_path(interface).read_text(encoding="utf-8"))
    (schema,) = document["schema"]
    custom = _custom(document)
    promised = {each["property"]: each["value"] for each in document["slaProperties"]}
    is_extract = custom["recordKind"] == "snapshot"
    columns: dict[str, str] = {}
    key: list[str] = []
    never_null: list[str] = []
    keyed: list[str] = []
    values: list[str] = []
    for field in schema["properties"]:
        of_field = _custom(field)
        treatment = of_field.get("personalData")
        if treatment in ("identity", "not_kept"):
            continue
        name = of_field.get("keyColumn", field["name"])
        columns[name] = _TYPES["string" if treatment else field["logicalType"]]
        if treatment in ("telephone_number", "email_address"):
            columns[f"{name}_missing_reason"] = "text"
            keyed.append(name)
        if field.get("primaryKey"):
            key.append(name)
        if not of_field.get("nullable") and (field.get("required") or "default" in of_field):
            never_null.append(name)
        if not treatment:
            values += _not_listed(field)
    until = {"_until_position": "text"} if is_extract else {}
    return Contract(
        interface=interface,
        raw_table=schema["physicalName"],
        is_extract=is_extract,
        serving_table=custom.get("servingTable"),
        freshness_minutes=promised.get("freshness"),
        columns={**columns, **_LEDGER_COLUMNS, **until},
        key=tuple(key),
        never_null=tuple(never_null),
        keyed=tuple(keyed),
        values=tuple(values),
        rules=_rules(schema.get("quality", ()), columns),
    )


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _path(interface: str) -> Path:
    return CONTRACTS / f"{interface}.odcs.yaml"


def _custom(element: dict[str, Any]) -> dict[str, Any]:
    return {each["property"]: each["value"] for each in element.get("customProperties", ())}


def _not_listed(field: dict[str, Any]) -> list[str]:
    column = f"its.{field['name']}"
    conditions = []
    if field.get("enum"):
        listed = ", ".join(quoted(str(choice["value"])) for choice in field["enum"])
        conditions.append(f"{column} not in ({listed})")
    options = field.get("logicalTypeOptions", {})
    if field["logicalType"] == "integer" and options.get("minimum", 0) > -(2**31):
        conditions.append(f"{column} < {options.get('minimum', 0)}")
    if field["logicalType"] == "array":
        conditions.append(f"jsonb_typeof({column}) <> 'array'")
    return conditions


def _rules(quality: list[dict[str, Any]], columns: dict[str, str]) -> tuple[Rule, ...]:
    """The rules over columns of the table; those over what lies within a list were the loader's to look at.

    Rules of one name are one rule here.
    """
    by_name: dict[str, list[tuple[str, str]]] = {}
    for rule in quality:
        condition = _broken(rule["implementation"], columns)
        if condition:
            by_name.setdefault(rule["name"], []).append((rule["description"], condition))
    return tuple(
        Rule(" ".join(sentence for sentence, _ in each), " or ".join(f"({broken})" for _, broken in each))
        for each in by_name.values()
    )


def _broken(rule: dict[str, Any], columns: dict[str, str]) -> str | None:
    if "each" in rule:
        return None
    if "in_order" in rule:
        known = [name for name in rule["in_order"] if name in columns]
        return " or ".join(f"its.{a} > its.{b}" for a, b in combinations(known, 2)) or None
    if "when" not in rule:
        return None
    is_value = "is" in rule
    when = (
        f"its.{rule['when']} {'=' if is_value else '<>'} {quoted(str(rule['is' if is_value else 'is_not']))}"
    )
    name = rule.get("not_empty") or rule["empty"]
    nothing = "'[]'::jsonb" if columns[name] == "jsonb" else "''"
    is_empty = f"(its.{name} is null or its.{name}::{columns[name]} = {nothing})"
    return f"{when} and {'' if 'not_empty' in rule else 'not '}{is_empty}"
