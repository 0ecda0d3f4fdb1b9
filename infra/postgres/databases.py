"""Who may use the server, and the databases on it: roles, passwords, rights, and the addresses made of them.

Every step says what must be true and may run at every start. What the tables are is for the migrations, not
for this module.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import URL

from infra.postgres import connect, warehouse_url
from infra.settings import Settings

BI_ROLE = "contactbi_bi"
CRM_ROLE = "contactbi_crm"
METADATA_DATABASES = ("airflow", "superset")
_GRANTS = {
    role: Path(__file__).parent / f"{role.removeprefix('contactbi_')}_grants.sql"
    for role in (BI_ROLE, CRM_ROLE)
}
_CONNECT_SECONDS = 10


def metadata_url(settings: Settings, database: str) -> URL:
    """Address of the database that Airflow or Superset keeps its own state in, password included.

    On the embedded server each has a role of its own. On another server the user of CONTACTBI_DATABASE_URL is
    used.

    Args:
        settings: The instance.
        database: `airflow` or `superset`.
    """
    if database not in METADATA_DATABASES:
        raise ValueError(f"{database!r} is not one of {', '.join(METADATA_DATABASES)}.")
    address = warehouse_url(settings).set(database=database)
    return address if settings.database_url is not None else address.set(username=database)


def bi_url(settings: Settings) -> URL:
    """Address of the warehouse for dashboards, password included: it reads the marts and nothing else."""
    return warehouse_url(settings).set(username=BI_ROLE, password=settings.bi_password.get_secret_value())


def create_roles_and_databases(server: psycopg.Connection, settings: Settings) -> None:
    """Make the embedded server's roles and databases as they must be.

    Args:
        server: A superuser's connection in autocommit mode, to any database.
        settings: The instance.
    """
    for role in ("contactbi", *METADATA_DATABASES):
        _make_role(server, role, settings.postgres_password)
    for database, owner in (("warehouse", "contactbi"), *((name, name) for name in METADATA_DATABASES)):
        _make_database(server, database, owner)
    _make_readers(server, settings)


def create_what_is_allowed(settings: Settings, report: Callable[[str], object]) -> None:
    """On a server of somebody else's, make the metadata databases and the dashboards' role, or say who must.

    Args:
        settings: The instance, with `database_url` set.
        report: Called with one line for each thing that is missing and that we may not make.
    """
    with connect(settings, autocommit=True, connect_timeout=_CONNECT_SECONDS) as server:
        for database in METADATA_DATABASES:
            try:
                _make_database(server, database, None)
            except psycopg.errors.InsufficientPrivilege:
                report(
                    f"postgres: ask the server's owner for a missing database: create database {database};"
                )
        try:
            _make_readers(server, settings)
        except psycopg.errors.InsufficientPrivilege:
            for role, whose, setting in ((BI_ROLE, "dashboards'", "BI"), (CRM_ROLE, "CRM's", "CRM")):
                if not _exists(server, "pg_roles where rolname", role):
                    report(
                        f"postgres: the {whose} role is missing. Ask the server's owner for: "
                        f"create role {role} login password '<CONTACTBI_{setting}_PASSWORD>';"
                    )


def grant_to_readers(settings: Settings) -> None:
    """Let the dashboards' role read the marts, and the CRM's role who an application is of. Needs the migrations."""
    with connect(settings, connect_timeout=_CONNECT_SECONDS) as warehouse:
        for role, grants in _GRANTS.items():
            if _exists(warehouse, "pg_roles where rolname", role):
                warehouse.execute(grants.read_bytes())


def _make_readers(server: psycopg.Connection, settings: Settings) -> None:
    for name, password in ((BI_ROLE, settings.bi_password), (CRM_ROLE, settings.crm_password)):
        _make_role(server, name, password)
        role = sql.Identifier(name)
        server.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(role))
        server.execute(sql.SQL("alter role {} set statement_timeout = '60s'").format(role))


def _make_role(server: psycopg.Connection, role: str, password: SecretStr) -> None:
    if not _exists(server, "pg_roles where rolname", role):
        server.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
    server.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(role), sql.Literal(password.get_secret_value())
        )
    )


def _make_database(server: psycopg.Connection, database: str, owner: str | None) -> None:
    """Make a database that only its owner may connect to."""
    if _exists(server, "pg_database where datname", database):
        return
    name = sql.Identifier(database)
    ownership = sql.SQL("owner {}").format(sql.Identifier(owner)) if owner else sql.SQL("")
    server.execute(sql.SQL("create database {} encoding 'UTF8' {}").format(name, ownership))
    server.execute(sql.SQL("revoke all on database {} from public").format(name))


def _exists(connection: psycopg.Connection, where: str, name: str) -> bool:
    found = connection.execute(f"select exists (select from {where} = %s)", (name,)).fetchone()  # noqa: S608  # a text of ours
    return bool(found and found[0])
