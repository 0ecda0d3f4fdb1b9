"""Mutants of the metric SQL: each is one model or macro with one rule of it changed.

SQL alone is changed: what stands in Jinja (settings, loops, names of models) and in comments is left as it is.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.settings import CHECKOUT

PROJECT = CHECKOUT / "dbt"
MODELS = (
    *(
        f"models/marts/{folder}"
        for folder in (
            "core",
            "annex_b",
            "contacts",
            "email",
            "kpi",
            "text",
            "webchat",
            "wip",
            "workforce",
        )
    ),
    "models/intermediate",
)
MACROS = (
    "time",
    "call_measures",
    "callers",
    "backlog",
    "contacts",
    "periods",
    "kpis",
    "functions",
    "incremental",
    "totals",
    "volumes",
    "workforce",
)
EQUIVALENT = Path(__file__).with_name("equivalent.csv")

_NOT_SQL = re.compile(
    # The settings of a model end where a line does: a hook inside them may hold Jinja of its own.
    r"\{\{ config\(.*?\) \}\}(?=\s*\n)|\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|--[^\n]*|comment on [^;]*;",
    re.DOTALL,
)
_TEXT = re.compile(r"'(?:[^']|'')*'")
_INTERVAL = re.compile(r"interval '(\d+) ?[a-z]+'")
_FLIPPED = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "=": "<>", "<>": "="}
_RULES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("comparison", r"(?<![<>=!|\-])(?:<=|>=|<>|<|>|=)(?![<>=])", _FLIPPED),
    ("join", r"\binner join\b|\bleft join\b", {"inner join": "left join", "left join": "inner join"}),
    ("join", r"\bfull outer join\b", {"full outer join": "left join"}),
    ("and or", r"\b(?:and|or)\b", {"and": "or", "or": "and"}),
    (
        "extreme",
        r"\b(?:min|max|least|greatest)(?=\()",
        {"min": "max", "max": "min", "least": "greatest", "greatest": "least"},
    ),
    ("sum", r"\bsum(?=\()", {"sum": "count"}),
    ("null", r"\bis (?:not )?null\b", {"is null": "is not null", "is not null": "is null"}),
    ("union", r"\bunion(?! all)\b", {"union": "union all"}),
    ("not", r"(?<!is )\bnot (?!null)", {"not ": ""}),
)
_BOUNDARY = re.compile(r"(?<=[<>=*/,] )\d+\b(?!\.)")


@dataclass(frozen=True)
class Mutant:
    """One change of one file. `line` counts from 1; `path` is inside the dbt project."""

    path: str
    line: int
    start: int
    end: int
    rule: str
    after: str
    code: str

    def text(self) -> str:
        """The whole file with the change."""
        original = (PROJECT / self.path).read_text(encoding="utf-8")
        return original[: self.start] + self.after + original[self.end :]

    @property
    def change(self) -> str:
        """The change in one line."""
        original = (PROJECT / self.path).read_text(encoding="utf-8")
        return f"`{original[self.start : self.end].strip()}` becomes `{self.after.strip() or 'nothing'}`"

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.change} in `{self.code}`"


MACRO = re.compile(r"\{%-? macro (\w+)\(.*?\{%-? endmacro -?%\}", re.DOTALL)


def models_changed(mutant: Mutant) -> list[str]:
    """The models whose SQL the mutant may change: itself, or those that name the macro, directly or by another."""
    if mutant.path.startswith("models/"):
        return [Path(mutant.path).stem]
    macros = {
        (path.name, macro.span()): (macro[1], macro.group())
        for path in (PROJECT / "macros").glob("*.sql")
        for macro in MACRO.finditer(path.read_text(encoding="utf-8"))
    }
    named = {
        name
        for (file, (start, end)), (name, _) in macros.items()
        if file == Path(mutant.path).name and start <= mutant.start < end
    }
    assert named, mutant
    while more := {
        name for name, text in macros.values() if name not in named and _names_any(text, named)
    }:  # fmt: skip
        named |= more
    models = sorted((PROJECT / "models").rglob("*.sql"))
    return [path.stem for path in models if _names_any(path.read_text(encoding="utf-8"), named)]


def _names_any(text: str, names: set[str]) -> bool:
    return re.search(rf"\b(?:{'|'.join(sorted(names))})\(", text) is not None


def mutants() -> list[Mutant]:
    """Every mutant of the metric SQL, but for those listed as equivalent, in the order of files and places."""
    equivalent = known_equivalents()
    paths = [path for folder in MODELS for path in sorted((PROJECT / folder).rglob("*.sql"))]
    paths += [PROJECT / "macros" / f"{name}.sql" for name in MACROS]
    found = [mutant for path in paths for mutant in _of_file(path)]
    counted: Counter[tuple[str, str, str]] = Counter()
    kept = []
    for mutant in sorted(found, key=lambda mutant: (mutant.path, mutant.start)):
        said = (mutant.path, mutant.code, mutant.change)
        counted[said] += 1
        if not {(*said, ""), (*said, str(counted[said]))} & equivalent.keys():
            kept.append(mutant)
    return kept


def known_equivalents() -> dict[tuple[str, str, str, str], str]:
    """Changes that cannot change a figure, and the reason, by file, line of SQL, change and its number among the same.

    Without a number all the same ones are meant.
    """
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        return {
            (row["path"], row["code"], row["change"], row["number"]): row["reason"]
            for row in csv.DictReader(file)
        }


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", "\0", match.group())


def _of_file(path: Path) -> Iterator[Mutant]:
    text = path.read_text(encoding="utf-8")
    without_jinja = _NOT_SQL.sub(_blank, text)
    sql = _TEXT.sub(_blank, without_jinja)
    lines = text.splitlines()

    def mutant(start: int, end: int, rule: str, after: str) -> Mutant:
        line = text.count("\n", 0, start)
        return Mutant(str(path.relative_to(PROJECT)), line + 1, start, end, rule, after, lines[line].strip())

    for rule, pattern, changes in _RULES:
        for match in re.finditer(pattern, sql):
            if rule != "and or" or not _ends_between(sql, match.start()):
                yield mutant(match.start(), match.end(), rule, changes[match.group()])
    for match in _BOUNDARY.finditer(sql):
        line = lines[text.count("\n", 0, match.start())]
        is_default = re.search(r"(?:coalesce|nullif)\([^()]*(?:\([^()]*\))?[^()]*, $", sql[: match.start()])
        if not is_default and "group by" not in line and "order by" not in line:
            yield mutant(match.start(), match.end(), "boundary", str(int(match.group()) + 1))
    for match in _INTERVAL.finditer(without_jinja):
        yield mutant(match.start(1), match.end(1), "boundary", str(int(match[1]) + 1))
    for start, end in _conjuncts(text, sql):
        yield mutant(start, end, "conjunct", "true")


def _ends_between(sql: str, place: int) -> bool:
    """Whether the `and` at a place belongs to a `between`."""
    before = sql[:place]
    return before.rfind("between ") > max(before.rfind(" and "), before.rfind("\n\n"))


def _conjuncts(text: str, sql: str) -> Iterator[tuple[int, int]]:
    """The places of those conditions of a `where` that stand on one line."""
    keyword, place = "", 0
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        masked = sql[place : place + len(line)]
        found = re.match(r"\s*(where|on|when|and|or|select|from|group by|having)\b", masked)
        is_below = keyword == "where" and re.fullmatch(r"\s*where\s*", lines[number - 1] if number else "")
        if found and found[1] not in ("and", "or"):
            keyword = found[1]
        is_first = bool(found) and found is not None and found[1] == "where"
        if keyword == "where" and (is_below or is_first or (found and found[1] == "and")):
            begin = found.end() if found and not is_below else 0
            condition = line[begin:].strip()
            following = lines[number + 1] if number + 1 < len(lines) else ""
            goes_on = len(following) - len(following.lstrip()) > len(line) - len(line.lstrip())
            whole = condition.count("(") == condition.count(")") and not condition.endswith("(")
            if condition and whole and not goes_on and "{%" not in condition and " or " not in masked:
                condition = re.sub(r"\s*--.*", "", condition).removesuffix(";")
                start = place + line.index(condition, begin)
                yield start, start + len(condition)
        place += len(line)
