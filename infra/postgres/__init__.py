"""Connections to the warehouse, and its migrations.

The address comes from `CONTACTBI_DATABASE_URL`, or else from the embedded server's state file. This module opens
connections; it holds no business rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, make_url

from infra.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_205_001  # any fixed number: one migration at a time per database


class PostgresNotRunningError(RuntimeError):
    """The embedded server is not up and no other address is set."""


def warehouse_url(settings: Settings) -> URL:
    """Address of the warehouse database, password included: do not log it.

    Raises:
        PostgresNotRunningError: No address is set and the embedded server was never started.
    """
    if settings.database_url is not None:
        return make_url(settings.database_url.get_secret_value()).set(drivername="postgresql")
    state_file = settings.run / "postgres.json"
    if not state_file.exists():
        raise PostgresNotRunningError(
            "The embedded PostgreSQL is not running. Start it with `contactbi up postgres`, "
            "or set CONTACTBI_DATABASE_URL."
        )
    state = json.loads(state_file.read_text(encoding="utf-8"))
    return URL.create(
        "postgresql",
        username="contactbi",
        password=settings.postgres_password.get_secret_value(),
        host="127.0.0.1",
        port=state["port"],
        database="warehouse",
    )


@contextmanager
def connect(settings: Settings, *, autocommit: bool = False, **options: Any) -> Iterator[psycopg.Connection]:
    """Open one connection to the warehouse in UTC; commit on a clean exit, roll back on an error."""
    url = warehouse_url(settings).render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=autocommit, options="-c timezone=UTC", **options) as connection:
        yield connection


def migrate(settings: Settings) -> list[str]:
    """Apply the migrations that this database has not had yet, in the order of their names.

    Returns:
        Names of the migrations applied now.

    Raises:
        RuntimeError: A migration that was applied before has changed since; write a new one instead.
    """
    applied_now: list[str] = []
    with connect(settings) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        connection.execute(
            "create table if not exists public.migrations (name text primary key, sha256 text not null, "
            "applied_at timestamptz not null default now())"
        )
        done = dict(connection.execute("select name, sha256 from public.migrations").fetchall())
        for path in sorted(MIGRATIONS.glob("*.sql")):
            script = path.read_text(encoding="utf-8")
            digest = hashlib.sha256(script.encode()).hexdigest()
            if path.name in done:
                if done[path.name] != digest:
                    raise RuntimeError(
                        f"Migration {path.name} was applied and then edited. Add a new migration instead."
                    )
                continue
            connection.execute(script)
            connection.execute(
                "insert into public.migrations (name, sha256) values (%s, %s)", (path.name, digest)
            )
            applied_now.append(path.name)
    return applied_now
