"""The contract file is valid by its standard, and everything derived from it is in step with it."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from ingestion import icd
from ingestion.contract import CONTRACTS, ContractError, interfaces, load_contract, read_contract
from ingestion.findings import FILE_RULES, ROW_RULES
from ingestion.raw_tables import raw_table_ddl

RAW_TELEPHONY_CALL = """
call_id text not null, record_version bigint not null, emitted_at timestamptz not null, is_test boolean not null,
dialled_number text not null, caller_key text, caller_key_missing_reason text, language text not null,
received_at timestamptz not null, ivr_ended_at timestamptz, ivr_outcome text not null, ivr_path jsonb not null,
legs jsonb not null, ended_at timestamptz, _extra jsonb, _record_hash uuid not null,
_file_position text collate "C" not null, _file_id bigint not null, _line_number bigint not null,
_loaded_at timestamptz not null, _batch_id bigint not null, primary key (call_id, record_version, _record_hash)
"""


def test_every_contract_is_valid_by_the_standard() -> None:
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft201909Validator(schema)
    assert "telephony_call" in interfaces()
    for interface in interfaces():
        document = yaml.safe_load((CONTRACTS / f"{interface}.odcs.yaml").read_text(encoding="utf-8"))
        assert [error.message for error in validator.iter_errors(document)] == []
        assert load_contract(interface).fields


def test_raw_table_follows_from_the_contract() -> None:
    create, by_file, by_time, _ = (
        statement.as_string() for statement in raw_table_ddl(load_contract("telephony_call"))
    )
    columns = re.sub(r"\s+", " ", RAW_TELEPHONY_CALL.strip())
    assert create.replace('"C"', "C").replace(
        '"', ""
    ) == f"create table raw.telephony_call ({columns})".replace('"', "")
    assert by_file == 'create index on "raw"."telephony_call" (_file_id)'
    assert by_time == 'create index on "raw"."telephony_call" ("received_at")'


def test_interface_control_documents_are_in_step_with_the_contracts(tmp_path: Path) -> None:
    written = icd.write_all(tmp_path)
    assert written
    for path in written:
        assert path.read_text(encoding="utf-8") == (icd.FOLDER / path.name).read_text(encoding="utf-8"), (
            "Run `python -m ingestion.icd`."
        )


def test_interface_control_document_names_every_field_and_rule() -> None:
    contract = load_contract("telephony_call")
    text = icd.document(contract)
    legs = next(field for field in contract.fields if field.name == "legs")
    assert legs.items and len(legs.items.fields) == 12
    names = [field.name for field in contract.fields] + [
        f"legs[].{field.name}" for field in legs.items.fields
    ]
    rules = [*ROW_RULES, *FILE_RULES, *(rule.name for rule in contract.rules)]
    assert len(names) == 25 and len(rules) > 20
    assert [name for name in names + rules if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("logicalType: boolean", "logicalType: map"),
        ("value: versions", "value: sometimes"),
        ("value: telephone_number", "value: shoe_size"),
        ("primaryKey: true", "primaryKey: false"),
        ("name: telephony_call\nversion", "name: other\nversion"),
        ("property: retention", "property: latency"),
        ("items: {name: node, logicalType: string, required: true}", "description: no items"),
    ],
)
def test_contract_that_cannot_be_kept_is_refused(tmp_path: Path, was: str, becomes: str) -> None:
    text = (CONTRACTS / "telephony_call.odcs.yaml").read_text(encoding="utf-8")
    assert was in text
    path = tmp_path / "telephony_call.odcs.yaml"
    path.write_text(text.replace(was, becomes), encoding="utf-8")
    with pytest.raises(ContractError, match=r"telephony_call\.odcs\.yaml"):
        read_contract(path)


def test_rule_of_no_known_form_is_refused(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    from ingestion.rows import RowReader

    text = (CONTRACTS / "telephony_call.odcs.yaml").read_text(encoding="utf-8")
    path = tmp_path / "telephony_call.odcs.yaml"
    path.write_text(
        text.replace("{each: legs, unique: leg_no}", "{each: legs, lucky: leg_no}"), encoding="utf-8"
    )
    with pytest.raises(ContractError, match="leg_no_repeated"):
        RowReader(read_contract(path), datetime(2026, 3, 2, tzinfo=UTC))


def test_unknown_interface_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ContractError, match="telephony_call"):
        load_contract("../telephony_call")
