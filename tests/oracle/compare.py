"""Compare rows that the oracle expects with rows that a mart holds, and say exactly where they differ.

No tolerance: a stored decimal must be the expected fraction, rounded once at its own last digit, and hold at
least `DIGITS` digits after the point unless it is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

DIGITS = 12
SHOWN = 20


def assert_equal_rows(
    expected: Iterable[Mapping[str, Any]], actual: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> int:
    """Assert that both sides hold the same rows, in whatever order, and that there are rows at all.

    Args:
        expected: Rows of the oracle.
        actual: Rows of the mart, with the same columns.
        key: Columns that name a row.

    Returns:
        The number of rows compared.

    Raises:
        AssertionError: Names the key, the column and both values of the first differences.
    """
    wanted, doubled = _by_key(expected, key)
    found, doubled_found = _by_key(actual, key)
    assert wanted, "nothing to compare: the oracle expects no row"
    problems = [f"the oracle has two rows {name}" for name in doubled]
    problems += [f"the mart has two rows {name}" for name in doubled_found]
    problems += [f"{name}: missing from the mart" for name in wanted if name not in found]
    problems += [f"{name}: in the mart, not expected" for name in found if name not in wanted]
    for name, row in wanted.items():
        other = found.get(name)
        if other is None:
            continue
        if row.keys() != other.keys():
            problems.append(f"{name}: columns differ: {sorted(row.keys() ^ other.keys())}")
            continue
        problems += [
            f"{name} {column}: expected {_shown(value)}, found {_shown(other[column])}"
            for column, value in row.items()
            if not same(value, other[column])
        ]
    shown = "\n".join(problems[:SHOWN])
    assert not problems, f"{len(problems)} differences in {len(wanted)} rows (key: {', '.join(key)})\n{shown}"
    return len(wanted)


def same(expected: Any, actual: Any) -> bool:
    """Whether a stored value is the expected one. A number is never equal to a truth value or to text."""
    if type(expected) is type(actual):
        return bool(expected == actual)
    if isinstance(expected, bool) or isinstance(actual, bool) or not isinstance(expected, int | Fraction):
        return False
    if not isinstance(actual, int | Fraction | Decimal):
        return False
    if expected == actual:
        return True
    if not isinstance(actual, Decimal):
        return False
    exponent = actual.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent <= -DIGITS and abs(Fraction(actual) - expected) * 2 <= Fraction(10) ** exponent


def _by_key(
    rows: Iterable[Mapping[str, Any]], key: Sequence[str]
) -> tuple[dict[tuple[Any, ...], Mapping[str, Any]], list[tuple[Any, ...]]]:
    named: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    doubled = []
    for row in rows:
        name = tuple(row[column] for column in key)
        if name in named:
            doubled.append(name)
        named[name] = row
    return named, doubled


def _shown(value: Any) -> str:
    return (
        f"{value} (about {float(value):.9g})"
        if isinstance(value, Fraction) and value.denominator > 1
        else str(value)
    )
