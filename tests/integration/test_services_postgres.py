"""The embedded PostgreSQL: who may do what on it, and a server of somebody else's in its place."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from infra import local
from infra.postgres import connect, warehouse_url
from infra.postgres.databases import METADATA_DATABASES, bi_url, metadata_url

pytestmark = pytest.mark.services


def text(url):
    return url.render_as_string(hide_password=False)


def test_dashboards_read_the_marts_and_nothing_else(warehouse):
    with connect(warehouse) as owner:
        owner.execute("create table marts.probe as select 1 as figure")
    with psycopg.connect(text(bi_url(warehouse)), autocommit=True) as reader:
        assert reader.execute("select figure from marts.probe").fetchone() == (1,)
        assert reader.execute("show default_transaction_read_only").fetchone() == ("on",)
        assert reader.execute("show statement_timeout").fetchone() == ("1min",)
        reader.execute("set default_transaction_read_only = off")  # a default is no wall; the rights are
        refused = [
            "insert into marts.probe values (2)",
            "delete from marts.probe",
            "drop table marts.probe",
            "create table marts.mine (a int)",
            "create table public.mine (a int)",
            "create schema mine",
            "select * from ops.files",
            "select * from quarantine.rows",
        ]
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)


def test_dashboards_read_a_mart_that_was_made_anew(warehouse):
    with connect(warehouse) as owner:
        owner.execute("create table marts.remade as select 1 as figure")
        owner.execute("drop table marts.remade")
        owner.execute("create table marts.remade as select 2 as figure")
    with psycopg.connect(text(bi_url(warehouse))) as reader:
        assert reader.execute("select figure from marts.remade").fetchone() == (2,)


def test_each_metadata_database_is_its_owners_alone(instance):
    for database in METADATA_DATABASES:
        with psycopg.connect(text(metadata_url(instance, database))) as owner:
            owner.execute("create table probe (a int)")
            owner.rollback()
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(text(bi_url(instance).set(database=database)))
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(text(metadata_url(instance, "airflow").set(database="superset")))
    with pytest.raises(ValueError, match="not one of"):
        metadata_url(instance, "warehouse")


def test_nobody_gets_in_without_the_password(instance):
    for user in ("postgres", "contactbi"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(text(warehouse_url(instance).set(username=user, password="wrong")))


def test_data_is_kept_whatever_happens(instance, superuser_url):
    """Only the tests turn these off, and they do it outside the product's configuration."""
    with psycopg.connect(superuser_url(instance)) as server:
        asked = server.execute(
            "select name, setting from pg_settings where name in ('full_page_writes', 'data_checksums')"
        ).fetchall()
        assert sorted(asked) == [("data_checksums", "on"), ("full_page_writes", "on")]
        ours = server.execute("select name from pg_settings where source = 'command line'").fetchall()
    names = {name for (name,) in ours}
    assert "listen_addresses" in names
    assert not names & {"fsync", "synchronous_commit", "full_page_writes"}


def test_a_server_of_somebody_elses_is_used_and_not_started(
    instance, superuser_url, make_settings, tmp_path, run_cli
):
    """A plain role with a database of its own, on a server where half of what we need is missing."""
    role = f"owner_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(superuser_url(instance), autocommit=True) as server:
        server.execute(f"create role {role} login password 'theirs'")
        server.execute(f"create database {role} owner {role}")
        server.execute("alter database superset rename to superset_away")
        try:
            address = warehouse_url(instance).set(username=role, password="theirs", database=role)
            settings = make_settings(tmp_path, database_url=text(address))
            shown = run_cli(settings, "up", "postgres").stdout
            assert "create database superset;" in shown
            assert "create database airflow;" not in shown
            assert "theirs" not in shown
            assert not (tmp_path / "run" / "postgres.json").exists()
            with connect(settings) as warehouse:
                assert warehouse.execute("select count(*) from public.migrations").fetchone() > (0,)
            states = {state.name: state for state in local.status(settings)}
            assert states["postgres"].state == "running"
            assert "theirs" not in states["postgres"].address
            assert local.url(settings, "postgres") == text(address)
            assert metadata_url(settings, "airflow") == address.set(database="airflow")
            local.down(settings, ["postgres"], report=print)
            assert server.execute("select 1").fetchone() == (1,), (
                "down must not touch a server that is not ours"
            )
        finally:
            server.execute("alter database superset_away rename to superset")
            server.execute(f"drop database if exists {role} with (force)")
            server.execute(f"drop role {role}")


def test_a_server_out_of_reach_is_named_without_its_password(make_settings, tmp_path):
    settings = make_settings(tmp_path, database_url="postgresql://user:hidden@127.0.0.1:1/nowhere")
    with pytest.raises(
        local.ServiceError, match=r"postgres at postgresql://user:\*\*\*@127.0.0.1:1/nowhere"
    ) as caught:
        local.up(settings, ["postgres"], report=print)
    assert "hidden" not in str(caught.value)
    (state,) = [state for state in local.status(settings) if state.name == "postgres"]
    assert state.state == "unhealthy"
