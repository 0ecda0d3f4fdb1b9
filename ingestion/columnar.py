"""The fast road: many plain rows at once, column by column, with exactly the outcome of the row-by-row road.

It takes only rows of which it is certain. Whatever it does not know for sure to be right, or has no column-wise way of
writing, it leaves to `parse`, which decides and words every refusal. So it can be slow to help, and never wrong; a
property test holds the two roads together.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ingestion.contract import Contract, Field, RowRule
from ingestion.findings import RowRefusedError
from ingestion.rows import LATEST_PROMISED, Instants, is_date

Values = Any
"""An Arrow array: its stubs know too little of compute functions."""

_TIMESTAMP = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
    r"(Z|[+-](0\d|1[0-4]):[0-5]\d)$"
)
_INSTANT = pa.timestamp("us", "UTC")
_KEPT_LENGTH = 27
_ENDS = {20: ".000000Z", 24: "000Z"}
"""What replaces the `Z` of a timestamp of whole seconds, or of milliseconds, by the length of the text."""
_WHOLE = r"^-?\d{1,18}$"
_ROW = re.compile(r"in row (\d+)$")
_TOO_FEW = 64
_MOST_ATTEMPTS = 12
_NULL = r"\N"
_encode = msgspec.json.Encoder().encode


class _NotPlainError(Exception):
    """A contract or a file has something that the fast road does not know."""


@dataclass(slots=True)
class _Batch:
    """Rows that are looked at together: `certain` says of each whether nothing was found so far."""

    certain: Values
    lines: list[bytes]

    def keep(self, condition: Values) -> None:
        """Rows without the condition, or for which it is unknown, are left to the other road."""
        self.certain = pc.and_(self.certain, pc.fill_null(condition, False))


class ColumnReader:
    """Reads plain rows of the files of one interface."""

    def __init__(
        self, contract: Contract, keys: dict[str, Callable[[str | None], str]], instants: Instants
    ) -> None:
        """Compile the contract.

        Args:
            contract: The interface.
            keys: For each field that is replaced by its key, the function that writes it as COPY text.
            instants: The range that timestamps must lie in.
        """
        self._contract = contract
        self._keys = keys
        self._earliest, self._latest = instants.bounds
        self._latest_promised = Instants(LATEST_PROMISED).bounds[1]
        self._schema = pa.schema([(field.name, _arrow_type(field)) for field in contract.fields])
        self._rules = [_rule(rule) for rule in contract.rules]
        self._kept = [field for field in contract.fields if field.treatment not in ("identity", "not_kept")]
        self._serving = [column.field for column in contract.serving_columns if column.field]

    def read_json(self, lines: list[bytes]) -> list[str | None]:
        """Rows for lines that hold one JSON object each, plain UTF-8 without a backslash.

        Returns:
            For each line its row as COPY text without the line number, or None if the other road must decide.
        """
        texts: list[str | None] = [None] * len(lines)
        # Arrow reads objects wherever lines end, and a line of `null` makes it end the process. Of lines that begin and
        # end like this, each holds whole objects only.
        whole = (b"}", b"}\r")
        todo = [[i for i, line in enumerate(lines) if line.startswith(b"{") and line.endswith(whole)]]
        attempts = 0
        while todo:
            indexes = todo.pop()
            attempts += 1
            if attempts > _MOST_ATTEMPTS or len(indexes) < _TOO_FEW:
                continue
            part = [lines[index] for index in indexes]
            try:
                table = self._table(part)
            except pa.ArrowInvalid as error:
                bad = _ROW.search(str(error))
                if bad:
                    todo.append([*indexes[: int(bad[1])], *indexes[int(bad[1]) + 1 :]])
                else:
                    half = len(indexes) // 2
                    todo += [indexes[:half], indexes[half:]]
                continue
            if table is not None:
                columns = {field.name: table.column(field.name) for field in self._contract.fields}
                known = _without(_unexpected(table.schema, self._schema), part)
                for index, text in zip(indexes, self._rows(columns, part, known), strict=True):
                    texts[index] = text
        return texts

    def read_csv(self, names: Sequence[str], lines: list[bytes]) -> list[str | None]:
        """Rows for lines of CSV, plain UTF-8 without a quote, a backslash or a control character.

        Args:
            names: The header; all of its columns are known.
            lines: The rows.

        Returns:
            As `read_json`.
        """
        try:
            cells = pc.split_pattern(pa.array(lines, pa.binary()).cast(pa.string()), ",")
        except pa.ArrowInvalid:  # not UTF-8
            return [None] * len(lines)
        right = pc.equal(pc.list_value_length(cells), len(names)).to_numpy(zero_copy_only=False)
        chosen = np.flatnonzero(right)
        flat = cells.take(pa.array(chosen)).flatten()
        columns: dict[str, Values] = {}
        part = [lines[index] for index in chosen]
        places = np.arange(len(part)) * len(names)
        wrong = pa.array(np.zeros(len(part), dtype=bool))
        for place, name in enumerate(names):
            cell = flat.take(pa.array(places + place))
            field = next(field for field in self._contract.fields if field.name == name)
            columns[name], bad = _from_text(pc.if_else(pc.equal(cell, ""), None, cell), field)
            wrong = pc.or_(wrong, bad)
        for field in self._contract.fields:
            if field.name not in columns:
                columns[field.name] = pa.nulls(len(part), _arrow_type(field))
        texts: list[str | None] = [None] * len(lines)
        for index, text in zip(chosen, self._rows(columns, part, pc.invert(wrong), csv=True), strict=True):
            texts[index] = text
        return texts

    def _table(self, lines: list[bytes]) -> pa.Table | None:
        text = b"\n".join(lines)
        table = pyarrow.json.read_json(
            io.BytesIO(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=self._schema),
        )
        return table.combine_chunks() if table.num_rows == len(lines) else None

    def _rows(
        self,
        columns: dict[str, Values],
        lines: list[bytes],
        certain: Values | None = None,
        *,
        csv: bool = False,
    ) -> list[str | None]:
        """Rows for typed columns, and None where anything is not certain."""
        columns = {
            name: column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            for name, column in columns.items()
        }
        batch = _Batch(pa.array(np.ones(len(lines), dtype=bool)) if certain is None else certain, lines)
        text = b"" if csv else b"\n".join(lines)
        typed = {
            field.name: self._checked(columns[field.name], field, batch, None, text)
            for field in self._contract.fields
        }
        for rule in self._rules:
            rule(typed, batch)
        written = {field.name: self._written(typed[field.name], field, batch) for field in self._kept}
        raw = pc.binary_join_element_wise(*written.values(), _NULL, "\t")
        served = [_plain(typed[field.name], field) for field in self._serving]
        behind = pc.binary_join_element_wise(*served, "\t") if served else None
        certain_ = batch.certain.to_pylist()
        rows: list[str | None] = []
        rest = behind.to_pylist() if behind is not None else [None] * len(lines)
        for is_certain, row, serving in zip(certain_, raw.to_pylist(), rest, strict=True):
            if not is_certain or row is None:
                rows.append(None)
                continue
            digest = blake2b(row.encode(), digest_size=16).hexdigest()
            rows.append(f"{row}\t{digest}" if serving is None else f"{row}\t{serving}\t{digest}")
        return rows

    # Checks. `owner` gives the row of each item, for what stands in a list.

    def _checked(
        self, values: Values, field: Field, batch: _Batch, owner: Values | None, text: bytes
    ) -> Values:
        """The values of a field brought into the form in which they are kept; rows with a bad one are let go."""

        def keep(condition: Values) -> None:
            if owner is None:
                batch.keep(condition)
            else:
                good = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
                rows = np.ones(len(batch.lines), dtype=bool)
                rows[owner[~good]] = False
                batch.keep(pa.array(rows))

        if values.null_count and not (field.nullable and not field.required):
            if field.required or not self._is_absent(field, values, text):
                keep(values.is_valid())
            if not field.required and field.absent_value is not None and not values.type.equals(pa.null()):
                filling = pa.scalar(field.absent_value, values.type)
                values = pc.if_else(values.is_valid(), values, filling)
        match field.kind:
            case "timestamp":
                values = _canonical(values, keep)
                latest = self._latest_promised if field.may_lie_ahead else self._latest
                keep(_within(values, self._earliest, latest))
            case "date":
                keep(_are_dates(values))
            case "string" if field.choices:
                keep(_or_null(values, pc.is_in(values, pa.array(field.choices))))
            case "string":
                keep(_within(pc.utf8_length(values), field.minimum, field.maximum))
            case "integer":
                keep(_within(values, field.minimum, field.maximum))
            case "number":
                keep(_or_null(values, pc.is_finite(values)))
                keep(_within(values, field.minimum, field.maximum))
            case "array":
                values = self._checked_list(values, field, batch, text)
        return values

    def _checked_list(self, values: Values, field: Field, batch: _Batch, text: bytes) -> Values:
        items = values.flatten()
        owner = pc.list_parent_indices(values).to_numpy(zero_copy_only=False)
        inner = field.items
        if inner is None:
            raise _NotPlainError(field.name)
        if inner.kind == "object":
            keep = np.ones(len(batch.lines), dtype=bool)
            keep[owner[~items.is_valid().to_numpy(zero_copy_only=False)]] = False
            batch.keep(pa.array(keep))
            children = [
                self._checked(items.field(each.name), each, batch, owner, text) for each in inner.fields
            ]
            items = pa.StructArray.from_arrays(children, names=[each.name for each in inner.fields])
        else:
            items = self._checked(items, inner, batch, owner, text)
        offsets = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=len(values)))))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)

    def _is_absent(self, field: Field, values: Values, text: bytes) -> bool:
        """Whether no null of a column was sent as `null`: a field may be left out and yet not be null."""
        return re.search(rb'"' + field.name.encode() + rb'"\s*:\s*null', text) is None

    # Text for COPY

    def _written(self, values: Values, field: Field, batch: _Batch) -> Values:
        if field.key_column:
            return self._keyed(values, field, batch)
        return _plain(values, field)

    def _keyed(self, values: Values, field: Field, batch: _Batch) -> Values:
        """What replaces the values, worked out once for each distinct one."""
        coded = pc.dictionary_encode(values, null_encoding="encode")
        write = self._keys[field.name]
        texts: list[str | None] = []
        for value in coded.dictionary.to_pylist():
            try:
                texts.append(write(value))
            except RowRefusedError:
                texts.append(None)
        written = pa.array(texts, pa.string()).take(coded.indices)
        batch.keep(written.is_valid())
        return written


def _unexpected(found: pa.Schema | pa.DataType, expected: pa.Schema | pa.DataType) -> set[str]:
    """Names of fields that were found and are not in the contract, at any depth."""
    names: set[str] = set()
    known = {field.name: field.type for field in expected}
    for field in found:
        if field.name not in known:
            names.add(field.name)
            continue
        inner, wanted = field.type, known[field.name]
        if pa.types.is_list(inner):
            inner, wanted = inner.value_type, wanted.value_type
        if pa.types.is_struct(inner):
            names |= _unexpected(inner, wanted)
    return names


def _without(names: set[str], lines: list[bytes]) -> Values:
    """Which lines have none of some fields, as far as their text alone can tell: no name is escaped in a plain line."""
    quoted = [f'"{name}"'.encode() for name in names]
    return pa.array([not any(name in line for name in quoted) for line in lines], pa.bool_())


def _or_null(values: Values, condition: Values) -> Values:
    return pc.or_kleene(pc.invert(values.is_valid()), condition)


def _arrow_type(field: Field) -> pa.DataType:
    match field.kind:
        case "string" | "timestamp" | "date":
            return pa.string()
        case "integer":
            return pa.int64()
        case "number":
            return pa.float64()
        case "boolean":
            return pa.bool_()
        case "array" if field.items is not None:
            return pa.list_(_arrow_type(field.items))
        case "object" if field.fields:
            return pa.struct([(each.name, _arrow_type(each)) for each in field.fields])
    raise _NotPlainError(field.name)


def _from_text(values: Values, field: Field) -> tuple[Values, Values]:
    """Cells of a CSV column as typed values, and which of them are of another type."""
    none = pa.array(np.zeros(len(values), dtype=bool))
    match field.kind:
        case "string" | "timestamp" | "date":
            return values, none
        case "integer":
            fits = pc.fill_null(pc.match_substring_regex(values, _WHOLE), True)
            return pc.cast(pc.if_else(fits, values, None), pa.int64()), pc.invert(fits)
        case "boolean":
            fits = pc.or_kleene(pc.invert(values.is_valid()), pc.is_in(values, pa.array(["true", "false"])))
            return pc.if_else(values.is_valid(), pc.equal(values, "true"), None), pc.invert(fits)
    raise _NotPlainError(field.name)


def _are_dates(values: Values) -> Values:
    """Which are dates, or null. Each distinct one is looked at by itself."""
    coded = pc.dictionary_encode(values)
    right = pa.array([is_date(value) for value in coded.dictionary.to_pylist()], pa.bool_())
    return pc.fill_null(right.take(coded.indices), True)


def _within(values: Values, least: Any, most: Any) -> Values:
    """Which lie within bounds that may be None, or are null."""
    fits = pc.if_else(values.is_valid(), True, True)
    if least is not None:
        fits = pc.and_(fits, pc.fill_null(pc.greater_equal(values, least), True))
    if most is not None:
        fits = pc.and_(fits, pc.fill_null(pc.less_equal(values, most), True))
    return fits


# ------------------------------------------------------------------------------------------------------------- text


def _plain(values: Values, field: Field) -> Values:
    """Values as COPY text; where there is none, what stands for null."""
    return pc.fill_null(_text(values, field), _NULL)


def _text(values: Values, field: Field) -> Values:
    match field.kind:
        case "boolean":
            return pc.if_else(values, "t", "f")
        case "number":
            return _by_distinct(values, str)
        case "integer":
            return pc.cast(values, pa.string())
        case "array":
            return _json_list(values, field)
    return values


def _canonical(values: Values, keep: Callable[[Values], None]) -> Values:
    """Timestamps as they are kept, in UTC with six decimals and `Z`, so that they compare as texts."""
    fits = pc.fill_null(pc.match_substring_regex(values, _TIMESTAMP), True)
    keep(fits)
    values = pc.if_else(fits, values, None)
    digits = pc.binary_length(values)
    in_utc = pc.ends_with(values, "Z")
    kept = values
    for length, end in _ENDS.items():
        such = pc.equal(digits, length)
        if pc.any(such).as_py():
            kept = pc.if_else(such, pc.binary_replace_slice(values, length - 1, length, end), kept)
    known = pc.is_in(digits, pa.array([*_ENDS, _KEPT_LENGTH], digits.type))
    other = pc.fill_null(pc.invert(pc.and_(in_utc, known)), False)
    if pc.any(other).as_py():
        kept = pc.replace_with_mask(kept, other, _worked_out(values.filter(other)))
    days = pc.dictionary_encode(pc.utf8_slice_codeunits(kept, 0, 10))
    exist = pa.array([is_date(day) for day in days.dictionary.to_pylist()], pa.bool_()).take(days.indices)
    keep(pc.and_(pc.fill_null(exist, True), pc.equal(kept.is_valid(), values.is_valid())))
    return kept


def _worked_out(values: Values) -> Values:
    """Timestamps of other forms as they are kept; null for a day that does not exist."""
    try:
        instants = pc.cast(values, _INSTANT)
    except pa.ArrowInvalid:
        kept = []
        for value in values:
            try:
                kept.append(value.cast(_INSTANT).as_py())
            except pa.ArrowInvalid:
                kept.append(None)
        instants = pa.array(kept, _INSTANT)
    return pc.utf8_replace_slice(pc.cast(instants, pa.string()), 10, 11, "T")


def _by_distinct(values: Values, write: Callable[[Any], str]) -> Values:
    coded = pc.dictionary_encode(values)
    texts = [write(value) for value in coded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(coded.indices)


def _json(values: Values, field: Field) -> Values:
    """Values as JSON text; strings hold nothing that JSON escapes."""
    match field.kind:
        case "array":
            text = _json_list(values, field)
        case "integer":
            text = pc.cast(values, pa.string())
        case "boolean":
            text = pc.if_else(values, "true", "false")
        case "number":
            text = _by_distinct(values, lambda value: _encode(value).decode())
        case "object":
            parts: list[Any] = []
            for number, each in enumerate(field.fields):
                parts += [f'{"," if number else "{"}"{each.name}":', _json(values.field(each.name), each)]
            text = pc.binary_join_element_wise(*parts, "}", "")
        case _:
            text = pc.binary_join_element_wise('"', values, '"', "")
    return pc.fill_null(text, "null")


def _json_list(values: Values, field: Field) -> Values:
    if field.items is None:
        raise _NotPlainError(field.name)
    items = _json(values.flatten(), field.items)
    joined = pc.binary_join(pa.ListArray.from_arrays(values.offsets, items), ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


# ------------------------------------------------------------------------------------------------------------ rules

_Rule = Callable[[dict[str, Values], _Batch], None]


def _rule(rule: RowRule) -> _Rule:
    match rule.implementation:
        case {"in_order": [str() as one, str() as other], **rest} if "[]." in other and not rest:
            items, inner = other.split("[].")
            return lambda columns, batch: _no_item_before(columns, batch, one, items, inner)
        case {"in_order": list() as names, "each": str() as items}:
            return lambda columns, batch: _each_in_order(columns, batch, names, items)
        case {"in_order": list() as names}:
            return lambda columns, batch: batch.keep(_in_order([columns[name] for name in names]))
        case {"each": str() as items, "unique": str() as name}:
            return lambda columns, batch: _unique(columns, batch, items, name)
        case {"when": str() as name, "is": value, "not_empty": str() as filled}:
            return lambda columns, batch: batch.keep(
                pc.or_(pc.fill_null(pc.not_equal(columns[name], value), True), _filled(columns[filled]))
            )
        case {"when": str() as name, "is_not": value, "empty": str() as filled}:
            return lambda columns, batch: batch.keep(
                pc.or_(
                    pc.fill_null(pc.equal(columns[name], value), False), pc.invert(_filled(columns[filled]))
                )
            )
    raise _NotPlainError(rule.name)


def _in_order(columns: list[Values]) -> Values:
    good: Values = None
    for place, later in enumerate(columns):
        for earlier in columns[:place]:
            pair = pc.fill_null(pc.less_equal(earlier, later), True)
            good = pair if good is None else pc.and_(good, pair)
    return good


def _of_rows(batch: _Batch, owner: Any, good: Values) -> Values:
    rows = np.ones(len(batch.lines), dtype=bool)
    rows[owner[~good.to_numpy(zero_copy_only=False)]] = False
    return pa.array(rows)


def _each_in_order(columns: dict[str, Values], batch: _Batch, names: list[str], items: str) -> None:
    held = columns[items].flatten()
    owner = pc.list_parent_indices(columns[items]).to_numpy(zero_copy_only=False)
    batch.keep(_of_rows(batch, owner, _in_order([held.field(name) for name in names])))


def _no_item_before(columns: dict[str, Values], batch: _Batch, one: str, items: str, inner: str) -> None:
    owner = pc.list_parent_indices(columns[items])
    first = columns[one].take(owner)
    good = pc.fill_null(pc.less_equal(first, columns[items].flatten().field(inner)), True)
    batch.keep(_of_rows(batch, owner.to_numpy(zero_copy_only=False), good))


def _unique(columns: dict[str, Values], batch: _Batch, items: str, name: str) -> None:
    owner = pc.list_parent_indices(columns[items]).to_numpy(zero_copy_only=False)
    values = columns[items].flatten().field(name).to_numpy(zero_copy_only=False)
    order = np.lexsort((values, owner))
    same = (np.diff(owner[order]) == 0) & (values[order][1:] == values[order][:-1])
    good = np.ones(len(owner), dtype=bool)
    good[order[1:][same]] = False
    batch.keep(_of_rows(batch, owner, pa.array(good)))


def _filled(values: Values) -> Values:
    if pa.types.is_list(values.type):
        return pc.greater(pc.list_value_length(values), 0)
    if pa.types.is_string(values.type):
        return pc.fill_null(pc.not_equal(values, ""), False)
    return values.is_valid()
