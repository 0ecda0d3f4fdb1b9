"""What changed between two states of a contract, and whether its version says so.

A change is compatible when every file that satisfied the contract before still does, and breaking otherwise. This
module knows no table and no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Document = dict[str, Any]
"""A contract as `Contract.document` gives it."""


@dataclass(frozen=True)
class Change:
    """One difference, in words."""

    kind: Literal["breaking", "compatible"]
    what: str


@dataclass(frozen=True)
class Changes:
    """All differences between two states of a contract, and their versions."""

    before: str
    after: str
    table_changed: bool
    changes: tuple[Change, ...]


def changes_between(before: Document, after: Document) -> Changes:
    """Compare two states of one contract."""
    found = [
        *_fields(before["fields"], after["fields"], ""),
        *(
            Change("breaking", f"{name} was {before[name]} and is {after[name]}")
            for name in ("file_format", "record_kind")
            if before[name] != after[name]
        ),
        *_rules(before["rules"], after["rules"]),
    ]
    return Changes(
        before["version"], after["version"], before["raw_table"] != after["raw_table"], tuple(found)
    )


def refusal(changes: Changes) -> str | None:
    """Why a changed contract is refused, in a sentence that says what to do; None if its version is right."""
    old, new = _numbers(changes.before), _numbers(changes.after)
    breaking = [change.what for change in changes.changes if change.kind == "breaking"]
    compatible = [change.what for change in changes.changes if change.kind == "compatible"]
    if new < old:
        return f"version {changes.after} is older than {changes.before}, which this warehouse has."
    if breaking and (new[0] <= old[0] or not changes.table_changed):
        return (
            f"a breaking change ({'; '.join(breaking)}) needs a version of {old[0] + 1}.0.0 or later and a new "
            f"physicalName, because what was published never changes."
        )
    if compatible and new[:2] <= old[:2]:
        return (
            f"a change ({'; '.join(compatible)}) needs a version of {old[0]}.{old[1] + 1}.0 or later, not "
            f"{changes.after}."
        )
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _fields(before: list[Document], after: list[Document], path: str) -> Iterator[Change]:
    old = {field["name"]: field for field in before}
    new = {field["name"]: field for field in after}
    for name in old.keys() - new.keys():
        yield Change("breaking", f"field {path}{name} is gone")
    for name, field in new.items():
        if name not in old:
            kind: Literal["breaking", "compatible"] = "breaking" if field["required"] else "compatible"
            yield Change(kind, f"field {path}{name} is new" + (" and required" if field["required"] else ""))
        else:
            yield from _field(old[name], field, f"{path}{name}")


def _field(before: Document, after: Document, path: str) -> Iterator[Change]:
    for name in (
        name for name in before if name in after
    ):  # a later program may keep more of a contract, or less
        old, new = before[name], after[name]
        if old == new:
            continue
        if name == "fields":
            yield from _fields(old, new, f"{path}.")
        elif name == "items" and old and new:
            yield from _field(old, new, f"{path}[]")
        else:
            kind: Literal["breaking", "compatible"] = (
                "compatible" if _allows_more(name, old, new) else "breaking"
            )
            yield Change(kind, f"{name} of {path} was {old} and is {new}")


def _allows_more(name: str, old: Any, new: Any) -> bool:
    """Whether whatever satisfied the old value of a property satisfies the new one."""
    match name:
        case "required":
            return bool(old and not new)
        case "nullable":
            return bool(new and not old)
        case "choices":
            return not new or bool(old and set(new) >= set(old))
        case "minimum":
            return new is None or (old is not None and new <= old)
        case "maximum":
            return new is None or (old is not None and new >= old)
    return name == "is_identifier"  # it says what is kept, and nothing of what may be sent


def _rules(before: list[Document], after: list[Document]) -> Iterator[Change]:
    for rule in before:
        if rule not in after:
            yield Change("compatible", f"rule {rule['name']} {rule['implementation']} is gone")
    for rule in after:
        if rule not in before and not any(
            _follows(rule["implementation"], old["implementation"]) for old in before
        ):
            yield Change("breaking", f"rule {rule['name']} {rule['implementation']} is new")


def _follows(rule: Document, old: Document) -> bool:
    """Whether what keeps to an old rule keeps to this one: of times in order, some are in order too."""
    match rule, old:
        case {"in_order": list() as names, **rest}, {"in_order": list() as more, **others}:
            return rest == others and names == [name for name in more if name in names]
    return False
