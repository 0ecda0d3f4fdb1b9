"""The raw tables, made from the contracts.

A raw table holds every version of every record that was accepted, each once. This module loads nothing.
"""

from __future__ import annotations

from psycopg import Connection, sql

from infra.postgres import connect
from infra.settings import Settings
from ingestion.contract import Contract, interfaces, load_contract

_TABLES_LOCK = 7_205_103  # any fixed number: `create table if not exists` fails when two sessions race


def ensure_raw_tables(settings: Settings) -> None:
    """Make the raw tables that are not there yet, so that a build on an empty warehouse finds them."""
    with connect(settings) as connection:
        for interface in interfaces():
            ensure_raw_table(connection, load_contract(interface))


def ensure_raw_table(connection: Connection, contract: Contract) -> None:
    """Make the raw table of one contract if it is not there yet; nothing is done to one that is."""
    if _is_there(connection, contract):
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_TABLES_LOCK,))
        if not _is_there(connection, contract):
            for statement in raw_table_ddl(contract):
                connection.execute(statement)


def _is_there(connection: Connection, contract: Contract) -> bool:
    return connection.execute("select to_regclass(%s)", (contract.raw_table,)).fetchone() != (None,)


def table_name(contract: Contract) -> sql.Identifier:
    """The raw table, quoted."""
    return sql.Identifier(*contract.raw_table.split("."))


def raw_table_ddl(contract: Contract) -> list[sql.Composed]:
    """Statements that make the raw table, its primary key, and its indexes by file and as the contract says."""
    table = table_name(contract)
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            # Positions compare as bytes, whatever the collation of the database.
            sql.SQL('text collate "C"' if column.name == "_file_position" else column.type),
            sql.SQL(" not null" if column.not_null else ""),
        )
        for column in contract.columns
    ]
    key = [sql.Identifier(name) for name in (*contract.key, "_record_hash")]
    columns.append(sql.SQL("primary key ({})").format(sql.SQL(", ").join(key)))
    return [
        sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(columns)),
        sql.SQL("create index on {} (_file_id)").format(table),
        *(
            sql.SQL("create index on {} ({})").format(table, sql.Identifier(field.name))
            for field in contract.fields
            if field.indexed
        ),
        sql.SQL("comment on table {} is {}").format(
            table,
            sql.Literal(f"{contract.interface} {contract.version}: every version that was accepted, once."),
        ),
    ]
