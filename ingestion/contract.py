"""The contract of an interface, read from its Open Data Contract Standard file and checked once.

Everything that knows the fields of an interface asks here: the parser, the raw table, the row rules and the interface
control document. This module reads no data file and knows no interface by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, cast, get_args

from open_data_contract_standard.model import (
    CustomProperty,
    Description,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)

CONTRACTS = Path(__file__).parent / "contracts"

Kind = Literal["string", "integer", "number", "boolean", "timestamp", "date", "array", "object"]
RawType = Literal["text", "bigint", "double precision", "boolean", "timestamptz", "date", "jsonb"]
FileFormat = Literal["jsonl", "csv"]
RecordKind = Literal["versions", "events", "snapshot"]
Treatment = Literal["telephone_number", "email_address", "reference", "identity", "not_kept"]
"""What is done with personal data; contracts/README.md says it for each."""

KEYED: tuple[Treatment, ...] = ("telephone_number", "email_address", "reference")
"""Treatments that replace a value by its keyed hash."""

_RAW_TYPES: dict[Kind, RawType] = {
    "string": "text",
    "integer": "bigint",
    "number": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "date": "date",
    "array": "jsonb",
    "object": "jsonb",
}

MISSING: Any = object()
"""The default of a field that has none."""


class ContractError(ValueError):
    """A contract file is absent, or says what this program cannot do; the message names the file and the place."""


@dataclass(frozen=True)
class Field:
    """One field of a record, or one item of a list.

    `minimum` and `maximum` bound a number, or the length in characters of a string. `is_identifier`: it names a record,
    of this or of another interface, as a key does.
    """

    name: str
    kind: Kind
    required: bool
    nullable: bool
    default: Any
    is_key: bool
    minimum: int | None
    maximum: int | None
    choices: tuple[str, ...]
    treatment: Treatment | None
    key_column: str | None
    is_public: bool
    may_lie_ahead: bool
    indexed: bool
    description: str
    example: Any
    items: Field | None = None
    fields: tuple[Field, ...] = ()
    is_identifier: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether the value is never shown where it stands, in whatever text."""
        return self.treatment is not None

    @property
    def absent_value(self) -> Any:
        """Value of the field where a record leaves it out."""
        return None if self.default is MISSING else self.default


@dataclass(frozen=True)
class Column:
    """One column of a raw table. `field` is the contract's, and None where the loader adds the column."""

    name: str
    type: RawType | Literal["uuid"]
    not_null: bool
    field: Field | None


@dataclass(frozen=True)
class RowRule:
    """A rule over the fields of one record, as the contract words it."""

    name: str
    description: str
    implementation: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Contract:
    """One interface: what a file of it holds and which table it goes to."""

    interface: str
    version: str
    purpose: str
    limitations: str
    retention_months: int
    file_format: FileFormat
    record_kind: RecordKind
    raw_table: str
    serving_table: str | None
    serving_view: str | None
    freshness_minutes: int | None
    fields: tuple[Field, ...]
    rules: tuple[RowRule, ...]

    @cached_property
    def document(self) -> dict[str, Any]:
        """What the contract says but for its wording, as JSON: what a warehouse keeps to tell a changed one."""
        return {
            "version": self.version,
            "file_format": self.file_format,
            "record_kind": self.record_kind,
            "raw_table": self.raw_table,
            "fields": [_as_json(field) for field in self.fields],
            "rules": [{"name": rule.name, "implementation": rule.implementation} for rule in self.rules],
        }

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Columns that identify a record and its version, the identity of the record first."""
        return tuple(field.key_column or field.name for field in self.fields if field.is_key)

    @cached_property
    def record_columns(self) -> tuple[Column, ...]:
        """Columns for what a record says, in the contract's order, and `_extra` for what that does not know."""
        return (
            *(column for field in self.fields for column in _columns(field)),
            Column("_extra", "jsonb", False, None),
        )

    @cached_property
    def serving_columns(self) -> tuple[Column, ...]:
        """Columns in the clear, for the one role that may see who somebody is; none without a serving table."""
        return tuple(
            Column(field.name, _RAW_TYPES[field.kind], field.required and not field.nullable, field)
            for field in self.fields
            if self.serving_table and field.treatment in ("identity", "reference")
        )

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the raw table in order."""
        return (
            *self.record_columns,
            Column("_record_hash", "uuid", True, None),
            Column("_file_position", "text", True, None),
            Column("_file_id", "bigint", True, None),
            Column("_line_number", "bigint", True, None),
            Column("_loaded_at", "timestamptz", True, None),
            Column("_batch_id", "bigint", True, None),
            *((Column("_until_position", "text", False, None),) if self.record_kind == "snapshot" else ()),
        )


def interfaces() -> list[str]:
    """Names of the interfaces that have a contract, sorted."""
    return sorted(path.name.removesuffix(".odcs.yaml") for path in CONTRACTS.glob("*.odcs.yaml"))


@cache
def load_contract(interface: str) -> Contract:
    """Read the contract of an interface.

    Raises:
        ContractError: There is none, or it says what this program cannot do.
    """
    if interface not in interfaces():
        raise ContractError(f"{interface!r} is no interface. There are: {', '.join(interfaces())}.")
    return read_contract(CONTRACTS / f"{interface}.odcs.yaml")


def read_contract(path: Path) -> Contract:
    """Read one contract file.

    Raises:
        ContractError: It says what this program cannot do.
    """
    try:
        document = OpenDataContractStandard.from_file(str(path))
        [schema] = document.schema_ or [SchemaObject()]
        description = document.description or Description()
        custom = _custom(document.customProperties)
        promised = {sla.property: sla for sla in document.slaProperties or ()}
        retention, freshness = promised["retention"], promised.get("freshness")
        file_format, record_kind = custom["fileFormat"], custom["recordKind"]
        if file_format not in get_args(FileFormat) or record_kind not in get_args(RecordKind):
            raise ContractError(f"fileFormat {file_format} or recordKind {record_kind} is not known")
        if retention.unit != "m" or (freshness is not None and freshness.unit != "min"):
            raise ContractError("retention is in m (months), freshness in min (minutes)")
        contract = Contract(
            interface=_text(document.name),
            version=_text(document.version),
            purpose=_text(description.purpose),
            limitations=_text(description.limitations),
            retention_months=int(retention.value or 0),
            file_format=file_format,
            record_kind=record_kind,
            raw_table=_text(schema.physicalName),
            serving_table=custom.get("servingTable"),
            serving_view=custom.get("servingView"),
            freshness_minutes=int(freshness.value or 0) if freshness else None,
            fields=tuple(_field(each) for each in schema.properties or ()),
            rules=tuple(
                RowRule(_text(rule.name), _text(rule.description), rule.implementation)
                for rule in schema.quality or ()
                if rule.engine == "contactbi" and isinstance(rule.implementation, dict)
            ),
        )
    except (ValueError, KeyError) as error:
        raise ContractError(f"{path.name}: {error or type(error).__name__}") from error
    if not contract.key or path.name != f"{contract.interface}.odcs.yaml":
        raise ContractError(f"{path.name}: a contract has a primary key, and its file bears its name.")
    return contract


def _as_json(field: Field) -> dict[str, Any]:
    wording = ("description", "example")
    values = {name: getattr(field, name) for name in field.__dataclass_fields__ if name not in wording}
    return {
        **values,
        "default": None if field.default is MISSING else {"value": field.default},
        "choices": list(field.choices),
        "items": _as_json(field.items) if field.items else None,
        "fields": [_as_json(each) for each in field.fields],
    }


def _columns(field: Field) -> Iterator[Column]:
    if field.treatment in ("identity", "not_kept"):
        return
    always = not field.nullable and (field.required or field.default is not MISSING)
    if field.key_column:
        yield Column(field.key_column, "text", always, field)
        if field.treatment != "reference":
            yield Column(f"{field.key_column}_missing_reason", "text", False, field)
    else:
        yield Column(field.name, _RAW_TYPES[field.kind], always, field)


def _field(source: SchemaProperty) -> Field:
    name = _text(source.name)
    if source.logicalType not in get_args(Kind):
        raise ContractError(f"field {name}: logicalType {source.logicalType} is not known")
    kind = cast("Kind", source.logicalType)
    custom = _custom(source.customProperties)
    options = source.logicalTypeOptions or {}
    treatment = custom.get("personalData")
    if treatment not in (None, *get_args(Treatment)) or (treatment in KEYED) != ("keyColumn" in custom):
        raise ContractError(
            f"field {name}: personalData {treatment} is not known, or goes without its keyColumn"
        )
    if kind == "array" and source.items is None:
        raise ContractError(f"field {name}: an array says what its items are")
    return Field(
        name=name,
        kind=kind,
        required=bool(source.required),
        nullable=bool(custom.get("nullable", False)),
        default=custom.get("default", MISSING),
        is_key=bool(source.primaryKey),
        minimum=options.get("minLength", options.get("minimum")),
        maximum=options.get("maxLength", options.get("maximum")),
        choices=tuple(str(choice.value) for choice in source.enum or ()),
        treatment=treatment,
        key_column=custom.get("keyColumn"),
        is_public=treatment is None and (bool(source.primaryKey) or source.classification == "public"),
        may_lie_ahead=bool(custom.get("mayLieAhead", False)),
        indexed=bool(custom.get("indexed", False)),
        description=source.description or "",
        example=(source.examples or [None])[0],
        items=_field(source.items) if source.items else None,
        fields=tuple(_field(each) for each in source.properties or ()),
        is_identifier=bool(source.primaryKey) or bool(custom.get("identifier", False)),
    )


def _custom(properties: list[CustomProperty] | None) -> dict[str, Any]:
    return {each.property: each.value for each in properties or () if each.property}


def _text(value: str | None) -> str:
    if not value:
        raise ContractError("a name, version, purpose, limitation or description is missing")
    return value
