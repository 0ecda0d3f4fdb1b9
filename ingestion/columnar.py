"""The fast road: many plain rows at once, column by column, with exactly the outcome of the row-by-row road.

It takes only rows of which it is certain. Whatever it does not know for sure to be right, or has no column-wise way of
writing, it leaves to `parse`, which decides and words every refusal. So it can be slow to help, and never wrong; a
property test holds the two roads together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from ingestion.contract import Contract, Field, RowRule
from ingestion.lines import Lines
from ingestion.raw_rows import NO_ROWS, RawRows, buffer_of
from ingestion.rows import EARLIEST_DATE, LATEST_DATE, LATEST_PROMISED, Instants, is_date

Values = Any
"""An Arrow array: its stubs know too little of compute functions."""

_TIMESTAMP = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?"
    r"(Z|[+-](0\d|1[0-4]):[0-5]\d)$"
)
_INSTANT = pa.timestamp("us", "UTC")
_KEPT_LENGTH = 27
_USUAL_LENGTH = 24
_ENDS = {20: ".000000Z", 24: "000Z"}
"""What replaces the `Z` of a timestamp of whole seconds, or of milliseconds, by the length of the text."""
_DATE_LENGTH = 10
_DATES = EARLIEST_DATE.isoformat(), LATEST_DATE.isoformat()
_COMMA = ord(",")
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
    """So many rows that are looked at together: `certain` says of each whether nothing was found so far."""

    certain: Values
    count: int

    def keep(self, condition: Values) -> None:
        """Rows without the condition, or for which it is unknown, are left to the other road."""
        self.certain = pc.and_(self.certain, pc.fill_null(condition, False))


class ColumnReader:
    """Reads plain rows of the files of one interface."""

    def __init__(
        self, contract: Contract, keys: Mapping[str, Callable[[Values], Values]], instants: Instants
    ) -> None:
        """Compile the contract.

        Args:
            contract: The interface.
            keys: For each field that is replaced by its key, the function that writes its values as COPY text, null
                where one is refused.
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

    def read_json(self, lines: Lines, indexes: Any) -> tuple[Any, RawRows]:
        """Rows for lines that begin and end with a brace, plain UTF-8 without a backslash.

        Args:
            lines: The lines of a chunk.
            indexes: Which of them to read.

        Returns:
            The indexes of the lines that are certain, and their rows; the other road must decide on the others.
        """
        done, rows = [np.zeros(0, dtype=np.int64)], []
        todo = [indexes]
        attempts = 0
        while todo:
            indexes = todo.pop()
            attempts += 1
            if attempts > _MOST_ATTEMPTS or len(indexes) < _TOO_FEW:
                continue
            text = lines.text_of(indexes)
            try:
                table = self._table(text)
            except pa.ArrowInvalid as error:
                bad = _ROW.search(str(error))
                if bad:
                    todo.append(np.delete(indexes, int(bad[1])))
                else:
                    half = len(indexes) // 2
                    todo += [indexes[:half], indexes[half:]]
                continue
            if table.num_rows == len(indexes):
                columns = {field.name: table.column(field.name) for field in self._contract.fields}
                known = _without(_unexpected(table.schema, self._schema), lines, indexes)
                certain, found = self._rows(columns, lines.first_line + indexes, known, text)
                done.append(indexes[certain])
                rows.append(found)
        return np.concatenate(done), RawRows.joined(rows)

    def read_csv(self, names: Sequence[str], lines: Lines, indexes: Any) -> tuple[Any, RawRows]:
        """Rows for lines of CSV, plain UTF-8 without a quote, a backslash or a control character.

        Args:
            names: The header; all of its columns are known.
            lines: The lines of a chunk.
            indexes: Which of them to read; none is blank.

        Returns:
            As `read_json`.
        """
        table = _cells(names, lines.text_of(indexes))
        if table is None:
            indexes = indexes[_commas(lines)[indexes] == len(names) - 1]
            table = _cells(names, lines.text_of(indexes)) if len(indexes) else None
        if table is None:
            return indexes[:0], NO_ROWS
        columns: dict[str, Values] = {}
        certain = pa.array(np.ones(len(indexes), dtype=bool))
        for field in self._contract.fields:
            if field.name not in names:
                columns[field.name] = pa.nulls(len(indexes), _arrow_type(field))
                continue
            cell = table.column(field.name).combine_chunks()
            columns[field.name], bad = _from_text(pc.if_else(pc.equal(cell, ""), None, cell), field)
            certain = pc.and_not(certain, bad) if bad is not None else certain
        chosen, rows = self._rows(columns, lines.first_line + indexes, certain, b"")
        return indexes[chosen], rows

    def _table(self, text: bytes) -> pa.Table:
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=self._schema),
        )
        return table.combine_chunks()

    def _rows(
        self, columns: dict[str, Values], numbers: Any, certain: Values | None, text: bytes
    ) -> tuple[Any, RawRows]:
        """Which rows of typed columns are certain, and those rows.

        Args:
            columns: The fields by their names.
            numbers: The line of each row.
            certain: What is known of the rows before; None if all may be good.
            text: The lines where `null` may be told from what is absent; empty for a CSV.
        """
        columns = {
            name: column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            for name, column in columns.items()
        }
        count = len(numbers)
        batch = _Batch(pa.array(np.ones(count, dtype=bool)) if certain is None else certain, count)
        typed = {
            field.name: self._checked(columns[field.name], field, batch, None, text)
            for field in self._contract.fields
        }
        for rule in self._rules:
            rule(typed, batch)
        written = {field.name: self._written(typed[field.name], field, batch) for field in self._kept}
        records = pc.binary_join_element_wise(*written.values(), _NULL, "\t")
        served = [_plain(typed[field.name], field) for field in self._serving]
        behind = pc.binary_join_element_wise(*served, "\t") if served else None
        batch.keep(records.is_valid())
        lines = pa.array(numbers, pa.int64())
        if pc.all(batch.certain).as_py():
            return np.arange(count), RawRows.of(records, behind, lines)
        chosen = batch.certain
        rows = RawRows.of(records.filter(chosen), behind and behind.filter(chosen), lines.filter(chosen))
        return np.flatnonzero(chosen.to_numpy(zero_copy_only=False)), rows

    # Checks. `owner` gives the row of each item, for what stands in a list.

    def _checked(
        self, values: Values, field: Field, batch: _Batch, owner: Values | None, text: bytes
    ) -> Values:
        """The values of a field brought into the form in which they are kept; rows with a bad one are let go."""

        def keep(condition: Values | None) -> None:
            if condition is None:
                return
            if owner is None:
                batch.keep(condition)
            else:
                good = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
                rows = np.ones(batch.count, dtype=bool)
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
            keep = np.ones(batch.count, dtype=bool)
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
        if not field.key_column:
            return _plain(values, field)
        written = self._keys[field.name](values)
        batch.keep(written.is_valid())
        return written


def _cells(names: Sequence[str], text: bytes) -> pa.Table | None:
    """The cells of lines that hold no quote; None if not all have as many as the header, or something is not UTF-8."""
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(text),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(text) + 1, column_names=names
            ),
            parse_options=pyarrow.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid:
        return None


def _commas(lines: Lines) -> Any:
    """How many commas each line has."""
    commas = np.append(lines.bytes == _COMMA, False)  # an empty line at the end has a place in it too
    return np.add.reduceat(commas, lines.starts, dtype=np.int64)


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


def _without(names: set[str], lines: Lines, indexes: Any) -> Values | None:
    """Which lines have none of some fields, as far as their text alone can tell: no name is escaped in a plain line."""
    if not names:
        return None
    quoted = [f'"{name}"'.encode() for name in names]
    texts = (lines[index] for index in indexes.tolist())
    return pa.array([not any(name in text for name in quoted) for text in texts], pa.bool_())


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


def _from_text(values: Values, field: Field) -> tuple[Values, Values | None]:
    """Cells of a CSV column as typed values, and which of them are of another type; None if none can be."""
    match field.kind:
        case "string" | "timestamp" | "date":
            return values, None
        case "integer":
            fits = pc.fill_null(pc.match_substring_regex(values, _WHOLE), True)
            return pc.cast(pc.if_else(fits, values, None), pa.int64()), pc.invert(fits)
        case "boolean":
            fits = pc.or_kleene(pc.invert(values.is_valid()), pc.is_in(values, pa.array(["true", "false"])))
            return pc.if_else(values.is_valid(), pc.equal(values, "true"), None), pc.invert(fits)
    raise _NotPlainError(field.name)


def _are_dates(values: Values) -> Values:
    """Which are dates, or null."""
    there = values.drop_null() if values.null_count else values
    if len(there) and pc.min_max(pc.binary_length(there)).as_py() == {
        "min": _DATE_LENGTH,
        "max": _DATE_LENGTH,
    }:
        try:
            pc.cast(there, pa.date32())  # of texts of this length it takes dates alone
            return pc.fill_null(_within(values, *_DATES), True)
        except pa.ArrowInvalid:
            pass
    # Each distinct one is looked at by itself.
    coded = pc.dictionary_encode(values)
    right = pa.array([is_date(value) for value in coded.dictionary.to_pylist()], pa.bool_())
    return pc.fill_null(right.take(coded.indices), True)


def _within(values: Values, least: Any, most: Any) -> Values | None:
    """Which lie within bounds that may be None, or are null. None: all do."""
    fits: Values | None = None
    if least is not None:
        fits = pc.fill_null(pc.greater_equal(values, least), True)
    if most is not None:
        below = pc.fill_null(pc.less_equal(values, most), True)
        fits = below if fits is None else pc.and_(fits, below)
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
    usual = _of_usual_form(values)
    if usual is not None:
        return usual
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


def _of_usual_form(values: Values) -> Values | None:
    """Timestamps as they are kept, if every one has milliseconds and `Z` and exists; else None."""
    there = values.drop_null() if values.null_count else values
    lengths = pc.min_max(pc.binary_length(there)).as_py()
    if not len(there) or lengths != {"min": _USUAL_LENGTH, "max": _USUAL_LENGTH}:
        return None
    marks = np.frombuffer(buffer_of(there), dtype=np.uint8).reshape(-1, _USUAL_LENGTH)[:, [10, 23]]
    if not (marks == (ord("T"), ord("Z"))).all():
        return None
    try:
        pc.cast(there, _INSTANT)  # of texts with these marks it takes those alone that the pattern describes
    except pa.ArrowInvalid:
        return None
    return pc.binary_replace_slice(values, _USUAL_LENGTH - 1, _USUAL_LENGTH, _ENDS[_USUAL_LENGTH])


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
    rows = np.ones(batch.count, dtype=bool)
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
