"""What tests of several folders share: an instance of the product, an empty warehouse, and the command line.

No test reads a `.env` file or a CONTACTBI_ variable of whoever runs it: it must never meet a real database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import psycopg
import pytest

from infra import local
from infra.local.supervisor import settings_environment
from infra.postgres import warehouse_url
from infra.postgres.databases import grant_to_readers
from infra.settings import Settings, load_settings

EMBEDDED = ("postgres", "sftp", "s3")

for _name in [name for name in os.environ if name.startswith("CONTACTBI_")]:
    del os.environ[_name]


def _make_settings(home: Path, **values: object) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    variables = {"CONTACTBI_HOME": str(home), **{f"CONTACTBI_{k.upper()}": str(v) for k, v in values.items()}}
    with pytest.MonkeyPatch.context() as patch, chdir(home):
        for name, value in variables.items():
            patch.setenv(name, value)
        return load_settings()


def _superuser_url(settings: Settings, database: str = "postgres") -> str:
    url = warehouse_url(settings).set(username="postgres", database=database)
    return url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def make_settings() -> Callable[..., Settings]:
    """`make_settings(home, **values)`: settings of the instance in folder `home`, other values as given."""
    return _make_settings


@pytest.fixture(scope="session")
def superuser_url() -> Callable[..., str]:
    """`superuser_url(settings, database)`: address of an embedded server for its superuser, with password."""
    return _superuser_url


@pytest.fixture(scope="session")
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_cli(settings, "up", "sftp")`: run the command line as a user would; `check=False` allows failure."""

    def run(settings: Settings, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "contactbi", *arguments],
            env={**os.environ, **settings_environment(settings), "NO_COLOR": "1", "COLUMNS": "200"},
            cwd=settings.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"contactbi {arguments} failed:\n{done.stdout}\n{done.stderr}"
        )
        return done

    return run


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An instance with PostgreSQL, SFTP and S3 up. What a test starts in it besides is stopped with it."""
    settings = _make_settings(tmp_path_factory.mktemp("instance"))
    try:
        local.up(settings, EMBEDDED, report=print)
        with psycopg.connect(_superuser_url(settings), autocommit=True) as server:
            # The files of a test need not outlive the machine: fewer waits for the disk.
            server.execute("alter system set fsync = off")
            server.execute("alter system set synchronous_commit = off")
            server.execute("select pg_reload_conf()")
            server.execute("create database pristine template warehouse owner contactbi")
        yield settings
    finally:
        local.down(settings, None, report=print)


@pytest.fixture(scope="module")
def warehouse(instance: Settings) -> Iterator[Settings]:
    """Settings of the instance with an empty, migrated warehouse for this module alone."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_superuser_url(instance), autocommit=True) as server:
        server.execute(f"create database {database} template pristine owner contactbi")
        server.execute(f"revoke all on database {database} from public")
        address = warehouse_url(instance).set(database=database).render_as_string(hide_password=False)
        settings = _make_settings(instance.home, database_url=address)
        grant_to_readers(settings)
        yield settings
        server.execute(f"drop database {database} with (force)")
