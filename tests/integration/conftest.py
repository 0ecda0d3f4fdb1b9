"""What tests of several files in this folder share."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from infra.postgres import warehouse_url
from infra.settings import Settings
from ingestion.raw_tables import ensure_raw_tables
from tests.integration.test_contacts_equal_oracle import House


@pytest.fixture
def new_house(
    instance: Settings,
    make_settings: Callable[..., Settings],
    superuser_url: Callable[..., str],
    tmp_path: Path,
) -> Callable[[], AbstractContextManager[House]]:
    """A house that begins with an empty warehouse and is taken down afterwards."""

    @contextmanager
    def one() -> Iterator[House]:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(superuser_url(instance), autocommit=True) as server:
            server.execute(
                SQL("create database {} template pristine owner contactbi").format(Identifier(name))
            )
            address = warehouse_url(instance).set(database=name).render_as_string(hide_password=False)
            settings = make_settings(instance.home, database_url=address)
            ensure_raw_tables(settings)
            inbox = tmp_path / name
            inbox.mkdir()
            yield House(settings, inbox)
            server.execute(SQL("drop database {} with (force)").format(Identifier(name)))

    return one
