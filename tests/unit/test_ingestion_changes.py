"""A changed contract: what kind of change it is, whether its version says so, and what it does to the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.postgres import connect, warehouse_url
from infra.postgres.databases import CRM_ROLE, grant_to_readers
from infra.settings import Settings
from ingestion.changes import changes_between, refusal
from ingestion.contract import MISSING, Contract, ContractError, Field, RowRule, interfaces, load_contract
from ingestion.raw_tables import ensure_raw_table, ensure_raw_tables
from ingestion.run import ingest
from tests.fixtures.interface_files import ABSENT, NOW, ask, file_of, good, name_of

BASE = replace(load_contract("email_message"), version="1.0.0")


def new_field(name: str, kind: Any = "string", **changes: Any) -> Field:
    field = Field(
        name=name,
        kind=kind,
        required=False,
        nullable=True,
        default=MISSING,
        is_key=False,
        minimum=None,
        maximum=None,
        choices=(),
        treatment=None,
        key_column=None,
        is_public=False,
        may_lie_ahead=False,
        indexed=False,
        description="New.",
        example=None,
    )
    return replace(field, **changes)


def changed(contract: Contract, name: str, **changes: Any) -> Contract:
    """A contract of which one field is changed."""
    fields = tuple(replace(field, **changes) if field.name == name else field for field in contract.fields)
    assert fields != contract.fields
    return replace(contract, fields=fields)


def without(contract: Contract, name: str) -> Contract:
    return replace(contract, fields=tuple(field for field in contract.fields if field.name != name))


def with_field(contract: Contract, field: Field) -> Contract:
    return replace(contract, fields=(*contract.fields, field))


def told(after: Contract, before: Contract = BASE) -> list[tuple[str, str]]:
    return [(change.kind, change.what) for change in changes_between(before.document, after.document).changes]


def test_times_in_order_are_in_order_without_one_of_them() -> None:
    def rules(*names: str, **more: str) -> Contract:
        rule = RowRule("times_out_of_order", "x", {"in_order": list(names), **more})
        return replace(BASE, rules=(rule,))

    before = rules("a", "b", "c")
    assert [kind for kind, _ in told(rules("a", "c"), before)] == ["compatible"]
    for after in (rules("c", "a"), rules("a", "d"), rules("a", "c", each="legs")):
        assert sorted(kind for kind, _ in told(after, before)) == ["breaking", "compatible"]


RULE = RowRule("replied_without_agent", "x", {"when": "direction", "is": "inbound", "not_empty": "agent_id"})

CHANGES = [
    (replace(BASE), []),
    (with_field(BASE, new_field("mood")), [("compatible", "field mood is new")]),
    (
        with_field(BASE, new_field("mood", required=True)),
        [("breaking", "field mood is new and required")],
    ),
    (without(BASE, "agent_id"), [("breaking", "field agent_id is gone")]),
    (changed(BASE, "mailbox", required=False), [("compatible", "required of mailbox was True and is False")]),
    (changed(BASE, "agent_id", required=True), [("breaking", "required of agent_id was False and is True")]),
    (changed(BASE, "mailbox", nullable=True), [("compatible", "nullable of mailbox was False and is True")]),
    (changed(BASE, "agent_id", nullable=False), [("breaking", "nullable of agent_id was True and is False")]),
    (
        changed(BASE, "direction", choices=("inbound", "outbound", "internal")),
        [
            (
                "compatible",
                "choices of direction was ['inbound', 'outbound'] and is ['inbound', 'outbound', 'internal']",
            )
        ],
    ),
    (
        changed(BASE, "direction", choices=("inbound",)),
        [("breaking", "choices of direction was ['inbound', 'outbound'] and is ['inbound']")],
    ),
    (
        changed(BASE, "mailbox", choices=("pal",)),
        [("breaking", "choices of mailbox was [] and is ['pal']")],
    ),
    (changed(BASE, "thread_id", maximum=999), [("compatible", "maximum of thread_id was 998 and is 999")]),
    (changed(BASE, "thread_id", maximum=63), [("breaking", "maximum of thread_id was 998 and is 63")]),
    (changed(BASE, "thread_id", maximum=None), [("compatible", "maximum of thread_id was 998 and is None")]),
    (changed(BASE, "thread_id", minimum=0), [("compatible", "minimum of thread_id was 1 and is 0")]),
    (changed(BASE, "thread_id", minimum=2), [("breaking", "minimum of thread_id was 1 and is 2")]),
    (changed(BASE, "mailbox", maximum=9), [("breaking", "maximum of mailbox was None and is 9")]),
    (
        changed(BASE, "is_complaint", default=True),
        [("breaking", "default of is_complaint was {'value': False} and is {'value': True}")],
    ),
    (changed(BASE, "mailbox", kind="integer"), [("breaking", "kind of mailbox was string and is integer")]),
    (changed(BASE, "thread_id", is_key=True), [("breaking", "is_key of thread_id was False and is True")]),
    (
        changed(BASE, "from_address", treatment=None, key_column=None),
        [
            ("breaking", "treatment of from_address was email_address and is None"),
            ("breaking", "key_column of from_address was customer_key and is None"),
        ],
    ),
    (
        changed(BASE, "reason_codes", items=replace(BASE.fields[11].items, maximum=9)),  # type: ignore[type-var]
        [("breaking", "maximum of reason_codes[] was None and is 9")],
    ),
    (
        replace(BASE, rules=(*BASE.rules, RULE)),
        [("breaking", f"rule replied_without_agent {RULE.implementation} is new")],
    ),
    (
        replace(BASE, rules=BASE.rules[:1]),
        [("compatible", "rule times_out_of_order {'in_order': ['received_at', 'transferred_at']} is gone")],
    ),
    (
        changed(BASE, "mailbox", is_identifier=True),
        [("compatible", "is_identifier of mailbox was False and is True")],
    ),
    (replace(BASE, file_format="csv"), [("breaking", "file_format was jsonl and is csv")]),
    (replace(BASE, record_kind="events"), [("breaking", "record_kind was versions and is events")]),
    (changed(BASE, "mailbox", description="In other words.", example="dslr"), []),
]


@pytest.mark.parametrize(("after", "expected"), CHANGES, ids=[str(e[1])[:60] for e in CHANGES])
def test_each_kind_of_change_is_told(after: Contract, expected: list[tuple[str, str]]) -> None:
    assert told(after) == expected


def test_a_change_within_an_object_of_a_list_is_told_by_its_path() -> None:
    calls = load_contract("telephony_call")
    [legs] = [field for field in calls.fields if field.name == "legs"]
    assert legs.items is not None
    items = replace(legs.items, fields=(*legs.items.fields, new_field("mood", required=True)))
    assert told(changed(calls, "legs", items=items), calls) == [
        ("breaking", "field legs[].mood is new and required")
    ]


COMPATIBLE = with_field(BASE, new_field("mood"))
BREAKING = without(BASE, "agent_id")


@pytest.mark.parametrize(
    ("after", "version", "table", "said"),
    [
        (BASE, "1.0.0", None, None),
        (BASE, "1.0.1", None, None),
        (COMPATIBLE, "1.1.0", None, None),
        (COMPATIBLE, "2.0.0", None, None),
        (
            COMPATIBLE,
            "1.0.0",
            None,
            "a change (field mood is new) needs a version of 1.1.0 or later, not 1.0.0.",
        ),
        (
            COMPATIBLE,
            "1.0.9",
            None,
            "a change (field mood is new) needs a version of 1.1.0 or later, not 1.0.9.",
        ),
        (COMPATIBLE, "0.9.0", None, "version 0.9.0 is older than 1.0.0, which this warehouse has."),
        (BREAKING, "2.0.0", "raw.email_message_2", None),
        (
            BREAKING,
            "1.1.0",
            "raw.email_message_2",
            "a breaking change (field agent_id is gone) needs a version of 2.0.0 or later and a new physicalName, "
            "because what was published never changes.",
        ),
        (
            BREAKING,
            "2.0.0",
            None,
            "a breaking change (field agent_id is gone) needs a version of 2.0.0 or later and a new physicalName, "
            "because what was published never changes.",
        ),
    ],
)
def test_a_version_must_say_what_changed(
    after: Contract, version: str, table: str | None, said: str | None
) -> None:
    after = replace(after, version=version, raw_table=table or after.raw_table)
    assert refusal(changes_between(BASE.document, after.document)) == said


# ------------------------------------------------------------------------------------------------------ the tables


@pytest.fixture
def db(warehouse: Settings) -> Iterator[Settings]:
    """A warehouse that has applied the contracts as they are; what a test makes of them is undone."""
    grant_to_readers(warehouse)  # of the schemas that the test before made anew
    yield warehouse
    with connect(warehouse) as connection:
        connection.execute(
            "drop schema raw cascade; drop schema serving cascade; create schema raw; create schema serving"
        )
        connection.execute("truncate ops.contracts, quarantine.rows, ops.files, ops.unknown_fields cascade")


def apply(settings: Settings, contract: Contract) -> None:
    with connect(settings) as connection:
        ensure_raw_table(connection, contract)


def load(
    settings: Settings,
    contract: Contract,
    folder: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    **values: Any,
) -> Any:
    """Load a file of one record under a changed contract."""
    from ingestion import load as loading
    from ingestion import run

    (folder / name_of(contract, number)).write_bytes(file_of(contract, [good(contract, number, **values)]))
    for module in (run, loading):
        monkeypatch.setattr(module, "load_contract", lambda _: contract)
    return ingest(settings, contract.interface, str(folder), now=NOW)


def crm_url(settings: Settings) -> str:
    address = warehouse_url(settings).set(
        username=CRM_ROLE, password=settings.crm_password.get_secret_value()
    )
    return address.render_as_string(hide_password=False)


def columns(settings: Settings, table: str) -> dict[str, str]:
    return dict(
        ask(
            settings,
            "select column_name, data_type || case is_nullable when 'NO' then ' not null' else '' end "
            "from information_schema.columns where table_schema || '.' || table_name = %s",
            table,
        )
    )


@pytest.mark.services
def test_a_contract_that_is_as_it_was_is_noted_once(db: Settings) -> None:
    ensure_raw_tables(db)
    ensure_raw_tables(db)
    noted = ask(db, "select interface, count(*) from ops.contracts group by 1")
    assert sorted(noted) == [(interface, 1) for interface in interfaces()]


@pytest.mark.services
def test_a_changed_contract_whose_version_does_not_say_so_is_refused_and_changes_nothing(
    db: Settings,
) -> None:
    apply(db, BASE)
    before = columns(db, BASE.raw_table)
    for after in (COMPATIBLE, BREAKING, replace(BREAKING, version="2.0.0"), replace(BASE, version="0.1.0")):
        with pytest.raises(ContractError, match=r"^email_message: (a |version )"):
            apply(db, after)
    assert columns(db, BASE.raw_table) == before and before
    assert ask(db, "select version from ops.contracts") == [("1.0.0",)]


@pytest.mark.services
def test_a_new_optional_field_is_a_new_column_of_a_table_that_has_rows(
    db: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(db, BASE, tmp_path, 1, monkeypatch)
    after = with_field(replace(BASE, version="1.1.0"), new_field("mood"))
    after = with_field(after, new_field("is_vip", "boolean", nullable=False, default=False))
    assert load(db, after, tmp_path, 2, monkeypatch, mood="good", is_vip=True).counts.loaded == 1
    assert load(db, after, tmp_path, 3, monkeypatch, mood=None, is_vip=ABSENT).counts.loaded == 1
    assert columns(db, BASE.raw_table).items() >= {("mood", "text"), ("is_vip", "boolean")}
    assert ask(db, "select message_id, mood, is_vip from raw.email_message order by 1") == [
        ("message_id-1", None, None),
        ("message_id-2", "good", True),
        ("message_id-3", None, False),
    ]


@pytest.mark.services
def test_a_field_that_may_be_absent_from_now_on_may_be_empty_in_its_column(
    db: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(db, BASE, tmp_path, 1, monkeypatch)
    assert columns(db, BASE.raw_table)["mailbox"] == "text not null"
    after = changed(replace(BASE, version="1.1.0"), "mailbox", required=False)
    assert load(db, after, tmp_path, 2, monkeypatch, mailbox=ABSENT).counts.loaded == 1
    assert columns(db, BASE.raw_table)["mailbox"] == "text"


@pytest.mark.services
def test_a_new_field_of_the_extract_reaches_the_view_for_the_crm(
    db: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wip = load_contract("wip_extract")
    load(db, wip, tmp_path, 1, monkeypatch)
    after = with_field(replace(wip, version="1.1.0"), new_field("priority"))
    after = with_field(after, new_field("forename", treatment="identity"))
    assert load(db, after, tmp_path, 2, monkeypatch, priority="high", forename="Canary").counts.loaded == 1
    assert ask(db, "select application_ref, forename, priority from serving.wip_current") == [
        ("application_ref-2", "Canary", "high")
    ]
    assert "forename" not in columns(db, wip.raw_table)
    with psycopg.connect(crm_url(db), autocommit=True) as crm:
        assert crm.execute("select forename from serving.wip_current").fetchall() == [("Canary",)]


@pytest.mark.services
def test_a_breaking_change_makes_its_own_table_and_leaves_the_old_one(
    db: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(db, BASE, tmp_path, 1, monkeypatch)
    after = replace(without(BASE, "agent_id"), version="2.0.0", raw_table="raw.email_message_2")
    assert load(db, after, tmp_path, 2, monkeypatch).counts.loaded == 1
    assert ask(db, "select message_id from raw.email_message") == [("message_id-1",)]
    assert ask(db, "select message_id from raw.email_message_2") == [("message_id-2",)]
    assert "agent_id" not in columns(db, "raw.email_message_2")
    with pytest.raises(ContractError, match=r"older than 2\.0\.0"):
        apply(db, BASE)
