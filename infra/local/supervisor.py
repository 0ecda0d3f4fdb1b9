"""Start, watch and stop the services that run on one machine, without a daemon of our own.

A service is a class on `Service`: its files (`prepare`), its processes, its health check. Everything else is
here and is the same for all: a lock so that two starts do not race, a port that is kept from start to start,
processes that outlive the command line, a state file that never takes a stranger's process for ours, and a
stop that leaves nothing behind.

A process is recorded before it runs: it is born waiting, its id is written to the state file, and only then
is it let go. So nothing that was started can be lost from sight, whenever the command line is killed. What is
ours is then found by session id, which children share and which the kernel does not give out again while one
of them lives. Linux only (/proc).

This module knows no service by name and prints nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from infra.settings import Settings

LOOPBACK = "127.0.0.1"
Report = Callable[[str], object]

_PORTS = range(20_000, 32_000)  # below the range that the kernel hands to outgoing connections
_POLL_SECONDS = 0.1
_PORT_PATIENCE_SECONDS = 3.0  # a killed program may hold its port a little longer than it is seen to live
_LOG_LIMIT = 10_000_000  # bytes; a longer log is set aside once at the next start
_LOG_TAIL_LINES = 15
_WAIT_THEN_RUN = ("/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "service")


class ServiceError(RuntimeError):
    """A service could not be started, reached or stopped; the message says what to do."""


@dataclass(frozen=True)
class Process:
    """One process of a service.

    Attributes:
        name: Unique among all services; the log is `<home>/logs/<name>.log`.
        command: Program and arguments.
        environment: Variables on top of ours and of the instance's settings.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceStatus:
    """What `contactbi status` says of one service. The address never holds a password."""

    name: str
    state: Literal["running", "stopped", "unhealthy"]
    address: str | None = None
    pid: int | None = None
    port: int | None = None
    started_at: str | None = None
    detail: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return asdict(self)


class Service(ABC):
    """A service of this machine. A subclass says what is its own; the supervisor does the rest.

    Methods that take a port are called with the one that the service has, or is about to have, on 127.0.0.1.
    """

    name: ClassVar[str]
    depends_on: ClassVar[tuple[str, ...]] = ()
    start_timeout: ClassVar[float] = 30
    """Seconds from start to healthy."""
    stop_timeout: ClassVar[float] = 10
    """Seconds that the processes are given to end by themselves."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; start nothing."""
        self.settings = settings

    @property
    def external_address(self) -> str | None:
        """The address, without password, of a foreign server that the settings name: then we start none."""
        return None

    def prepare(self, port: int) -> None:  # noqa: B027  # nothing to prepare is a valid answer
        """Make the files that the processes need. Called before each start, so it must be idempotent."""

    @abstractmethod
    def processes(self, port: int) -> list[Process]:
        """The processes to start, the most important one first: its id is the one that is shown."""

    @abstractmethod
    def check(self, port: int) -> None:
        """Return if the service does its work; raise any exception that says why not. Must not hang."""

    def after_start(self, port: int, report: Report) -> None:  # noqa: B027
        """Bring what the service holds up to date, once it is healthy. Called at every `up`; idempotent."""

    @abstractmethod
    def address(self, port: int) -> str:
        """The address to show to people: no password in it."""

    def url(self, port: int) -> str:
        """The address for programs; may hold a password."""
        return self.external_address or self.address(port)


def start(service: Service, report: Report) -> None:
    """Bring a service up and wait until it is healthy. Nothing happens if it is.

    Raises:
        ServiceError: It did not become healthy; the message ends with the end of its log.
    """
    if service.external_address is not None:
        try:
            service.check(0)
        except Exception as error:
            raise ServiceError(
                f"{service.name} at {service.external_address} is not usable: {error}"
            ) from error
        service.after_start(0, report)
        report(f"{service.name}: using {service.external_address}")
        return
    with _locked(service):
        record = _Record.read(service)
        if record is not None:
            if not record.dead() and _healthy(service, record.port):
                service.after_start(record.port, report)
                report(f"{service.name}: already running at {service.address(record.port)}")
                return
            report(f"{service.name}: not healthy, starting it again")
            record.end(service)
        report(f"{service.name}: starting")
        began = time.monotonic()
        port = _start_once_more(service)
        service.after_start(port, report)
        report(f"{service.name}: running at {service.address(port)} ({time.monotonic() - began:.1f} s)")


def stop(service: Service, report: Report) -> None:
    """Stop a service and everything that it started."""
    if service.external_address is not None:
        return
    with _locked(service):
        record = _Record.read(service)
        if record is None:
            report(f"{service.name}: not running")
            return
        record.end(service)
        report(f"{service.name}: stopped")


def status(service: Service) -> ServiceStatus:
    """Look at a service and change nothing."""
    if service.external_address is not None:
        return _checked(service, ServiceStatus(service.name, "running", service.external_address))
    record = _Record.read(service)
    if record is None:
        return ServiceStatus(service.name, "stopped")
    dead = record.dead()
    if len(dead) >= len(record.processes):
        return ServiceStatus(service.name, "stopped", port=record.port, detail="ended without being stopped")
    running = ServiceStatus(
        service.name,
        "running",
        service.address(record.port),
        record.processes[0].pid,
        record.port,
        record.started_at,
    )
    if dead:
        return replace(running, state="unhealthy", detail=f"not running: {', '.join(dead)}")
    return _checked(service, running)


def _checked(service: Service, running: ServiceStatus) -> ServiceStatus:
    try:
        service.check(running.port or 0)
    except Exception as error:
        return replace(running, state="unhealthy", detail=f"{type(error).__name__}: {error}")
    return running


def url(service: Service) -> str:
    """Address of a running service, for programs.

    Raises:
        ServiceError: It is not running.
    """
    if service.external_address is not None:
        return service.url(0)
    record = _Record.read(service)
    if record is None or record.dead():
        raise ServiceError(f"{service.name} is not running. Start it with `contactbi up {service.name}`.")
    return service.url(record.port)


# --- Starting -----------------------------------------------------------------------------------------------


def _start_once_more(service: Service) -> int:
    """Start; if it ends at once, try again, for its port or its data may just have been let go."""
    try:
        return _start(service)
    except _EndedError:
        time.sleep(1)
        return _start(service)


def _start(service: Service) -> int:
    port = _choose_port(service)
    service.prepare(port)
    processes = service.processes(port)
    record = _Record(port, datetime.now(UTC).isoformat(timespec="seconds"), _first_process_started(), [])
    logs = {process.name: _open_log(service, process) for process in processes}
    try:
        for process in processes:
            _spawn(service, process, logs[process.name][0], record)
        _wait_until_healthy(service, record)
    except BaseException as error:
        record.end(service)
        if isinstance(error, ServiceError):
            tails = [_tail(path, offset) for path, offset in logs.values()]
            error.args = ("\n".join([str(error), *filter(None, tails)]),)
        raise
    return port


class _EndedError(ServiceError):
    """A process ended instead of becoming healthy."""


def _wait_until_healthy(service: Service, record: _Record) -> None:
    deadline = time.monotonic() + service.start_timeout
    while True:
        if dead := record.dead():
            raise _EndedError(f"{service.name} did not start: {', '.join(dead)} ended at once.")
        try:
            service.check(record.port)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        else:
            return
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{service.name} did not become healthy in {service.start_timeout:g} s. Last check: {reason}"
            )
        time.sleep(_POLL_SECONDS)


def _healthy(service: Service, port: int) -> bool:
    with suppress(Exception):
        service.check(port)
        return True
    return False


def _spawn(service: Service, process: Process, log: Path, record: _Record) -> None:
    """Start one process in a session of its own; it waits until the state file knows it."""
    environment = {**os.environ, **settings_environment(service.settings), **process.environment}
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*_WAIT_THEN_RUN, *process.command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=service.settings.home,
            start_new_session=True,
        )
    _children.append(child)
    seen = _look_up(child.pid)
    record.processes.append(_Recorded(process.name, child.pid, seen.started if seen else 0))
    record.write(service)
    assert child.stdin is not None  # noqa: S101  # asked for above
    with suppress(BrokenPipeError):
        child.stdin.write(b"go\n")
        child.stdin.close()


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, so that a process reads the same ones whatever its working folder."""
    values = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return {
        f"CONTACTBI_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values
        if value is not None
    }


def _choose_port(service: Service) -> int:
    """The port of the last start if it is free, or else a random free one, remembered from now on."""
    memory = service.settings.run / f"{service.name}.port"
    if memory.exists():
        port = int(memory.read_text(encoding="ascii"))
        deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if _is_free(port):
                return port
            time.sleep(_POLL_SECONDS)
    port = next(port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))
    memory.write_text(str(port), encoding="ascii")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _open_log(service: Service, process: Process) -> tuple[Path, int]:
    """The log of a process, and its length in bytes before this start."""
    service.settings.logs.mkdir(parents=True, exist_ok=True)
    log = service.settings.logs / f"{process.name}.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    log.touch(mode=0o600)
    return log, log.stat().st_size


def _tail(log: Path, offset: int) -> str:
    """The last lines written since an offset, under the name of the log; empty if there are none."""
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"{log}:", *(f"  {line}" for line in lines)]) if lines else ""


@contextmanager
def _locked(service: Service) -> Iterator[None]:
    """Hold the service's lock: of two commands at one instant, the second waits for the first."""
    service.settings.run.mkdir(parents=True, exist_ok=True)
    with (service.settings.run / f"{service.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- What runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recorded:
    """A process as the state file knows it. `started` is in ticks since boot: no clock change alters it."""

    name: str
    pid: int
    started: int


@dataclass
class _Record:
    """The state file of a service: there from before its first process runs until its last one is gone.

    `booted` tells one run of the machine (or container) from the next, where process ids begin anew.
    """

    port: int
    started_at: str
    booted: int
    processes: list[_Recorded]

    @staticmethod
    def _file(service: Service) -> Path:
        return service.settings.run / f"{service.name}.json"

    @classmethod
    def read(cls, service: Service) -> _Record | None:
        try:
            state = json.loads(cls._file(service).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        state["processes"] = [_Recorded(**process) for process in state["processes"]]
        return cls(**state)

    def write(self, service: Service) -> None:
        draft = self._file(service).with_suffix(".json.new")
        draft.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        draft.replace(self._file(service))

    def dead(self) -> list[str]:
        """Names of the processes that no longer run; one that ended before it was recorded counts."""
        alive = {member.pid for member in self._members()}
        return [process.name for process in self.processes if process.pid not in alive]

    def _members(self) -> list[_Seen]:
        """Every living process of our sessions; not those of a stranger who has since had the number."""
        _reap()
        if self.booted != _first_process_started():
            return []
        seen = _all_processes()
        leaders = {process.pid: process for process in seen}
        ours = {
            process.pid: process
            for process in self.processes
            if process.pid not in leaders or leaders[process.pid].started == process.started
        }
        return [each for each in seen if each.session in ours and each.started >= ours[each.session].started]

    def end(self, service: Service) -> None:
        """Ask every process to end, then make the rest end, then forget them.

        Raises:
            ServiceError: Some would not end, or are not ours to end.
        """
        deadline = time.monotonic() + service.stop_timeout
        for group in {member.group for member in self._members()}:
            with suppress(ProcessLookupError):
                os.killpg(group, service.stop_signal)
        while self._members() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 2)
        deadline = time.monotonic() + 10
        while members := self._members():
            for member in members:
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{service.name}: processes {[member.pid for member in members]} do not end."
                )
            time.sleep(_POLL_SECONDS / 2)
        self._file(service).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Seen:
    """A living process, as /proc shows it."""

    pid: int
    group: int
    session: int
    started: int


def _look_up(pid: int | str) -> _Seen | None:
    """Read /proc/<pid>/stat; None if there is no such process or only its exit code is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # before it, in brackets: a name of any letters
    if fields[0] in "ZX":
        return None
    return _Seen(int(pid), group=int(fields[2]), session=int(fields[3]), started=int(fields[19]))


def _all_processes() -> list[_Seen]:
    numbers = (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [seen for seen in map(_look_up, numbers) if seen is not None]


def _first_process_started() -> int:
    """When process 1 began, in clock ticks since boot: differs between runs of a container."""
    first = _look_up(1)
    return first.started if first is not None else 0


_children: list[subprocess.Popen[bytes]] = []
"""What this very process started: it must collect their exit codes, or they stay visible as dead entries."""


def _reap() -> None:
    for child in tuple(_children):  # other threads add to it meanwhile
        if child.poll() is not None:
            with suppress(ValueError):
                _children.remove(child)
