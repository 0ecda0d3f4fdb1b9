"""The embedded services over their life: by the command line, after kill -9, beside strangers, without root."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from infra import local
from infra.embedded import NotRunningError, embedded_port
from infra.local.postgres_server import PROGRAMS
from infra.local.supervisor import settings_environment
from infra.postgres import connect
from infra.s3 import s3_client
from infra.settings import CHECKOUT
from infra.sftp import connect_sftp

pytestmark = pytest.mark.services
EMBEDDED = ["postgres", "sftp", "s3"]


@pytest.fixture(scope="module")
def own(make_settings, tmp_path_factory):
    """An instance that these tests may break."""
    settings = make_settings(tmp_path_factory.mktemp("own"))
    yield settings
    local.down(settings, None, report=print)


def states(settings):
    return {state.name: state for state in local.status(settings)}


def wait_for(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in 10 s")


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def everything_works(settings):
    with connect(settings) as warehouse:
        assert warehouse.execute("select count(*) from ops.files").fetchone() == (0,)
    with connect_sftp(settings) as session:
        assert session.listdir("/") == []
    assert s3_client(settings).list_buckets()["Buckets"][0]["Name"] == settings.s3_bucket
    return True


def test_by_the_command_line(own, run_cli):
    shown = run_cli(own, "up", *EMBEDDED).stdout
    assert all(f"{name}: running at " in shown for name in EMBEDDED)
    before = json.loads(run_cli(own, "status", "--json").stdout)
    assert {name: before[name]["state"] for name in EMBEDDED} == dict.fromkeys(EMBEDDED, "running")
    assert everything_works(own)
    with psycopg.connect(run_cli(own, "url", "postgres").stdout.strip()) as warehouse:
        assert warehouse.execute("select current_user, current_database()").fetchone() == (
            "contactbi",
            "warehouse",
        )
    assert local.url(own, "sftp") == before["sftp"]["address"]
    assert local.url(own, "s3") == before["s3"]["address"]
    password = own.postgres_password.get_secret_value()
    assert password not in shown + json.dumps(before)

    again = run_cli(own, "up", *EMBEDDED).stdout
    assert again.count("already running") == len(EMBEDDED)
    assert {state.name: state.as_dict() for state in local.status(own)} == before

    run_cli(own, "down")
    after = json.loads(run_cli(own, "status", "--json").stdout)
    assert {state["state"] for state in after.values()} == {"stopped"}
    assert not any(is_alive(before[name]["pid"]) for name in EMBEDDED)
    assert run_cli(own, "url", "postgres", check=False).returncode != 0
    with pytest.raises(NotRunningError, match="contactbi up sftp"):
        embedded_port(own, "sftp")

    run_cli(own, "up", *EMBEDDED)
    last = states(own)
    assert {name: last[name].port for name in EMBEDDED} == {name: before[name]["port"] for name in EMBEDDED}
    assert everything_works(own)


def test_an_unknown_name_is_refused_with_the_known_ones(own):
    with pytest.raises(local.ServiceError, match=r"no service mysql.*postgres, sftp, s3"):
        local.up(own, ["mysql"], report=print)


def test_two_starts_at_one_instant_make_one_server(own, run_cli):
    local.down(own, EMBEDDED, report=print)
    with ThreadPoolExecutor() as pool:
        shown = list(pool.map(lambda _: run_cli(own, "up", *EMBEDDED).stdout, range(2)))
    for name in EMBEDDED:
        assert sorted(f"{name}: already running" in text for text in shown) == [False, True], shown
    assert everything_works(own)
    folders = {"postgres": own.home / "postgres" / "data", "sftp": own.home / "sftp"}
    commands = [path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline")]
    for name, folder in folders.items():
        assert sum(str(folder).encode() in command for command in commands) == 1, name


@pytest.mark.parametrize("name", EMBEDDED)
def test_after_kill_9_it_starts_again_where_it_was(own, run_cli, name):
    local.up(own, EMBEDDED, report=print)
    before = states(own)[name]
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: states(own)[name].state == "stopped")
    assert f"{name}: not healthy, starting it again" in run_cli(own, "up", name).stdout
    after = states(own)[name]
    assert (after.state, after.port, after.address) == ("running", before.port, before.address)
    assert after.pid != before.pid
    assert everything_works(own)


def test_postgres_keeps_what_was_committed_before_kill_9(own):
    local.up(own, ["postgres"], report=print)
    with connect(own) as warehouse:
        warehouse.execute("create table public.kept as select generate_series(1, 100000) as n")
    lost = psycopg.connect(local.url(own, "postgres"))
    lost.execute("insert into public.kept select generate_series(1, 50000)")
    os.kill(states(own)["postgres"].pid, signal.SIGKILL)
    local.up(own, ["postgres"], report=print)
    lost.close()
    with connect(own) as warehouse:
        assert warehouse.execute("select count(*) from public.kept").fetchone() == (100_000,)
        warehouse.execute("drop table public.kept")


def test_postgres_starts_though_its_lock_names_a_living_stranger(own):
    """As when the number of the killed server was given out again: the server itself would refuse to start."""
    local.up(own, EMBEDDED, report=print)
    lock = own.home / "postgres" / "data" / "postmaster.pid"
    owner = lock.stat()
    left = lock.read_text().splitlines()
    os.kill(states(own)["postgres"].pid, signal.SIGKILL)
    become = ["setpriv", f"--reuid={owner.st_uid}", "--clear-groups"] if os.geteuid() == 0 else []
    with subprocess.Popen([*become, "sleep", "600"]) as stranger:
        try:
            lock.write_text("\n".join([str(stranger.pid), *left[1:], ""]))
            local.up(own, EMBEDDED, report=print)
            assert everything_works(own)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_postgres_out_of_sight_is_ended_before_another_starts_on_its_files(own):
    local.up(own, EMBEDDED, report=print)
    lost = states(own)["postgres"].pid
    (own.run / "postgres.json").unlink()
    local.up(own, EMBEDDED, report=print)
    assert states(own)["postgres"].pid != lost
    assert not is_alive(lost)
    assert everything_works(own)


def test_postgres_starts_though_a_busy_worker_outlived_it(own):
    """A worker that computes does not notice that its server was killed, and holds the shared memory."""
    local.up(own, EMBEDDED, report=print)
    busy = psycopg.connect(local.url(own, "postgres"), autocommit=True)
    worker = busy.info.backend_pid
    busy.pgconn.send_query(b"select count(*) from generate_series(1, 100000000000)")
    wait_for(lambda: b"SELECT" in Path(f"/proc/{worker}/cmdline").read_bytes())
    os.kill(states(own)["postgres"].pid, signal.SIGKILL)
    wait_for(lambda: states(own)["postgres"].state == "stopped")
    assert is_alive(worker)
    local.up(own, EMBEDDED, report=print)
    assert everything_works(own)
    wait_for(lambda: not is_alive(worker))
    busy.close()


def test_initdb_that_was_killed_half_way_is_done_again(make_settings, tmp_path):
    settings = make_settings(tmp_path / "half")
    (tmp_path / "half" / "postgres" / "data.new" / "base").mkdir(parents=True)
    (tmp_path / "half" / "postgres" / "data.new" / "PG_VERSION").write_text("18\n")
    try:
        local.up(settings, ["postgres"], report=print)
        assert sorted(path.name for path in (tmp_path / "half" / "postgres").iterdir()) == ["data"]
    finally:
        local.down(settings, None, report=print)


def test_services_listen_on_the_loopback_only(own):
    local.up(own, EMBEDDED, report=print)
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # listening
                sockets[f"socket:[{fields[9]}]"] = fields[1].split(":")
    for name in EMBEDDED:
        status = states(own)[name]
        links = []
        for link in Path(f"/proc/{status.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # a connection that has just ended
                links.append(str(link.readlink()))
        listening = [sockets[link] for link in links if link in sockets]
        assert listening == [["0100007F", f"{status.port:04X}"]], (name, listening)


def test_files_of_an_instance_are_closed_to_other_users(own):
    local.up(own, EMBEDDED, report=print)
    closed = [
        own.home / "secrets.env",
        own.home / "sftp",
        own.home / "s3",
        own.home / "postgres" / "data",
        *own.logs.glob("*.log"),
    ]
    assert len(closed) > 4
    assert {path: oct(path.stat().st_mode & 0o077) for path in closed} == dict.fromkeys(closed, "0o0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_started_by_an_ordinary_user(run_cli, make_settings):
    """User nobody, with the one right to read where this test's Python may lie (such as root's home)."""
    home = Path(tempfile.mkdtemp(prefix="contactbi-nobody-"))
    try:
        settings = make_settings(home)
        for path in (home, home / "secrets.env"):
            shutil.chown(path, "nobody", "nogroup")

        def as_nobody(*arguments):
            read = "+dac_read_search"
            become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            become += [
                f"--inh-caps=-all,{read}",
                f"--ambient-caps=-all,{read}",
                f"--bounding-set=-all,{read}",
            ]
            done = subprocess.run(
                [*become, sys.executable, "-P", "-m", "contactbi", *arguments],
                env={**os.environ, **settings_environment(settings)},
                cwd=home,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        try:
            as_nobody("up", *EMBEDDED)
            running = json.loads(as_nobody("status", "--json"))
            assert {running[name]["state"] for name in EMBEDDED} == {"running"}
            nobody = pwd.getpwnam("nobody").pw_uid
            for name in EMBEDDED:
                status = Path(f"/proc/{running[name]['pid']}/status").read_text().splitlines()
                (uids,) = [line.split()[1:] for line in status if line.startswith("Uid:")]
                assert set(uids) == {str(nobody)}
            as_nobody("down")
        finally:
            local.down(settings, None, report=print)
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
@pytest.mark.parametrize("is_open", [True, False])
def test_root_runs_postgres_as_another_user_with_no_more_rights_than_needed(make_settings, is_open):
    """In a folder that is open, with none at all; in a closed one, with the right to pass."""
    probe = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        PROGRAMS / "postgres",
        "--version",
    ]
    if is_open and subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the checkout {CHECKOUT} is itself in a folder closed to others")
    folder = Path(tempfile.mkdtemp(prefix="contactbi-root-"))
    folder.chmod(0o755 if is_open else 0o700)
    try:
        settings = make_settings(folder / "home")
        try:
            local.up(settings, ["postgres"], report=print)
            status = Path(f"/proc/{states(settings)['postgres'].pid}/status").read_text().splitlines()
            fields = {name: value.split() for name, _, value in (line.partition(":") for line in status)}
            assert "0" not in fields["Uid"] + fields["Gid"]
            assert int(fields["CapEff"][0], 16) == (0 if is_open else 1 << 1)  # 1 << 1 is CAP_DAC_OVERRIDE
            environment = Path(f"/proc/{states(settings)['postgres'].pid}/environ").read_bytes()
            assert b"CONTACTBI_" not in environment
        finally:
            local.down(settings, None, report=print)
    finally:
        shutil.rmtree(folder)
