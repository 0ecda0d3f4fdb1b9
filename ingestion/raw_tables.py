"""The raw tables, made from the contracts, and kept in step with them.

A raw table holds what was accepted, each once: every version of a record, every event, or for a full extract every
content with the extracts in which it stood. A warehouse remembers the contract that made its table, and refuses one
that was changed without saying so. This module loads nothing.
"""

from __future__ import annotations

from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from infra.postgres import connect
from infra.settings import Settings
from ingestion.changes import changes_between, refusal
from ingestion.contract import Column, Contract, ContractError, interfaces, load_contract

_TABLES_LOCK = 7_205_103  # any fixed number: `create table if not exists` fails when two sessions race


def ensure_raw_tables(settings: Settings) -> None:
    """Make the raw tables that are not there yet, so that a build on an empty warehouse finds them.

    Raises:
        ContractError: A contract was changed, and its version does not say so.
    """
    with connect(settings) as connection:
        for interface in interfaces():
            ensure_raw_table(connection, load_contract(interface))


def ensure_raw_table(connection: Connection, contract: Contract) -> None:
    """Make the tables of one contract if they are not there yet, and add the columns of a later version.

    Raises:
        ContractError: The contract was changed, and its version does not say so.
    """
    if _applied(connection, contract) == contract.document:
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_TABLES_LOCK,))
        before = _applied(connection, contract)
        if before == contract.document:
            return
        if before is None and _is_there(connection, contract):
            statements = []  # made before a warehouse remembered its contracts
        elif before is None:
            statements = [*raw_table_ddl(contract), *serving_table_ddl(contract)]
        else:
            problem = refusal(changes_between(before, contract.document))
            if problem:
                raise ContractError(f"{contract.interface}: {problem}")
            made = _is_there(connection, contract)  # a breaking change names a new table
            statements = [
                *(_steps(connection, contract) if made else raw_table_ddl(contract)),
                *serving_table_ddl(contract),
            ]
        for statement in statements:
            connection.execute(statement)
        connection.execute(
            "insert into ops.contracts (interface, version, document) values (%s, %s, %s)",
            (contract.interface, contract.version, Jsonb(contract.document)),
        )


def _applied(connection: Connection, contract: Contract) -> dict[str, object] | None:
    """The document of the contract as this warehouse knows it."""
    row = connection.execute(
        "select document from ops.contracts where interface = %s order by applied_at desc, version desc limit 1",
        (contract.interface,),
    ).fetchone()
    return row[0] if row else None


def _is_there(connection: Connection, contract: Contract) -> bool:
    return connection.execute("select to_regclass(%s)", (contract.raw_table,)).fetchone() != (None,)


def table_name(contract: Contract) -> sql.Identifier:
    """The raw table, quoted."""
    return sql.Identifier(*contract.raw_table.split("."))


def serving_table_name(contract: Contract) -> sql.Identifier:
    """The serving table, quoted; there must be one."""
    return sql.Identifier(*(contract.serving_table or "").split("."))


def raw_table_ddl(contract: Contract) -> list[sql.Composed]:
    """Statements that make the raw table, its primary key, and its indexes by file and as the contract says."""
    table = table_name(contract)
    # A content that comes back after another one stood between is a row of its own in a table of extracts.
    distinct = "_file_position" if contract.record_kind == "snapshot" else "_record_hash"
    key = [sql.Identifier(name) for name in (*contract.key, distinct)]
    columns = [*map(_column, contract.columns), sql.SQL("primary key ({})").format(sql.SQL(", ").join(key))]
    statements = [
        sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(columns)),
        sql.SQL("create index on {} (_file_id)").format(table),
        *(
            sql.SQL("create index on {} ({})").format(table, sql.Identifier(field.name))
            for field in contract.fields
            if field.indexed
        ),
        sql.SQL("comment on table {} is {}").format(
            table,
            sql.Literal(f"{contract.interface}: everything that was accepted, once, pseudonymised."),
        ),
    ]
    if contract.record_kind == "snapshot":
        statements.append(
            sql.SQL("create unique index on {} ({}) where _until_position is null").format(
                table, sql.Identifier(contract.key[0])
            )
        )
        statements.append(sql.SQL("create index on {} (_until_position)").format(table))
    return statements


def serving_table_ddl(contract: Contract) -> list[sql.Composed]:
    """Statements that make the table in the clear and the view of whole current records, if the contract has them."""
    if contract.serving_table is None or contract.serving_view is None:
        return []
    key = sql.Identifier(contract.key[0])
    columns = [sql.SQL("{} text primary key").format(key), *map(_column, contract.serving_columns)]
    clear = [sql.SQL("clear.{}").format(sql.Identifier(column.name)) for column in contract.serving_columns]
    known = [
        sql.SQL("raw.{}").format(sql.Identifier(column.name))
        for column in contract.columns
        if column.field is not None or column.name in ("_file_id", "_loaded_at")
    ]
    return [
        sql.SQL("create table if not exists {} ({})").format(
            serving_table_name(contract), sql.SQL(", ").join(columns)
        ),
        # Not replaced: a view cannot get a column between two others.
        sql.SQL("drop view if exists {}").format(sql.Identifier(*contract.serving_view.split("."))),
        sql.SQL(
            "create view {} as select {} from {} as clear join {} as raw using ({}) "
            "where raw._until_position is null"
        ).format(
            sql.Identifier(*contract.serving_view.split(".")),
            sql.SQL(", ").join([*clear, *known]),
            serving_table_name(contract),
            table_name(contract),
            key,
        ),
    ]


def _column(column: Column) -> sql.Composed:
    # Positions compare as bytes, whatever the collation of the database.
    type_ = 'text collate "C"' if column.name in ("_file_position", "_until_position") else column.type
    return sql.SQL("{} {}{}").format(
        sql.Identifier(column.name), sql.SQL(type_), sql.SQL(" not null" if column.not_null else "")
    )


def _steps(connection: Connection, contract: Contract) -> list[sql.Composed]:
    """What a compatible change asks of the tables: columns that are new, and columns that may be empty from now on.

    A new column may be empty, whatever the contract says: the rows that are there were sent without it.
    """
    tables = [(contract.raw_table, contract.columns)]
    if contract.serving_table is not None:
        tables.append((contract.serving_table, contract.serving_columns))
    steps = []
    for table, columns in tables:
        rows = connection.execute(
            "select column_name, is_nullable = 'NO' from information_schema.columns "
            "where table_schema = %s and table_name = %s",
            table.split("."),
        )
        there: dict[str, bool] = dict(rows.fetchall())
        name = sql.Identifier(*table.split("."))
        for column in columns:
            if column.name not in there:
                steps.append(
                    sql.SQL("alter table {} add column {} {}").format(
                        name, sql.Identifier(column.name), sql.SQL(column.type)
                    )
                )
            elif there[column.name] and not column.not_null:
                steps.append(
                    sql.SQL("alter table {} alter column {} drop not null").format(
                        name, sql.Identifier(column.name)
                    )
                )
    return steps
