"""The supervisor, on small programs that misbehave as real ones do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from infra.local import supervisor
from infra.local.supervisor import LOOPBACK, Process, Service, ServiceError

LISTEN = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""


class Shell(Service):
    """A service that runs one line of shell, and is healthy as soon as it has written `ready`."""

    name = "shell"
    script = "echo $$ >> started; touch ready; exec sleep 600"
    start_timeout = 5
    stop_timeout = 1

    def prepare(self, port):
        (self.settings.home / "ready").unlink(missing_ok=True)

    def processes(self, port):
        return [Process("shell", ["/bin/sh", "-c", self.script], {"PORT": str(port)})]

    def check(self, port):
        (self.settings.home / "ready").stat()

    def address(self, port):
        return f"shell:{port}"


@pytest.fixture
def make(make_settings, tmp_path):
    """`make("script")`: a service of that script; stopped at the end."""
    settings = make_settings(tmp_path)
    made = []

    def one(script=Shell.script, **attributes):
        service = type("Shell", (Shell,), {"script": script, **attributes})(settings)
        made.append(service)
        return service

    yield one
    for service in made:
        supervisor.stop(service, print)


def state_of(service):
    return json.loads((service.settings.run / "shell.json").read_text())


def is_alive(pid):
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def wait_for(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in 10 s")


def test_up_is_idempotent_and_down_leaves_nothing(make):
    service, said = make(), []
    supervisor.start(service, said.append)
    pid = supervisor.status(service).pid
    supervisor.start(service, said.append)
    assert supervisor.status(service).pid == pid
    assert "already running" in said[-1]
    assert (service.settings.home / "started").read_text().split() == [str(pid)]
    supervisor.stop(service, said.append)
    assert not is_alive(pid)
    assert supervisor.status(service).as_dict() == {
        **dict.fromkeys(("address", "pid", "port", "started_at", "detail")),
        "name": "shell",
        "state": "stopped",
    }
    supervisor.stop(service, said.append)
    assert said[-1] == "shell: not running"
    with pytest.raises(ServiceError, match="contactbi up shell"):
        supervisor.url(service)


def test_it_runs_in_a_session_of_its_own_and_knows_the_settings(make):
    service = make("env > seen; touch ready; exec sleep 600")
    supervisor.start(service, print)
    pid = supervisor.status(service).pid
    assert os.getsid(pid) == pid != os.getsid(0)
    seen = (service.settings.home / "seen").read_text().splitlines()
    assert f"CONTACTBI_HOME={service.settings.home}" in seen
    assert f"CONTACTBI_BI_PASSWORD={service.settings.bi_password.get_secret_value()}" in seen
    assert f"PORT={supervisor.status(service).port}" in seen


def test_a_program_that_ends_at_once_shows_the_end_of_its_log(make):
    (service := make()).settings.logs.mkdir(parents=True)
    (service.settings.logs / "shell.log").write_text("of last year\n")
    service = make("echo the disk is on fire >&2; exit 3")
    with pytest.raises(ServiceError) as caught:
        supervisor.start(service, print)
    assert "shell did not start: shell ended at once." in str(caught.value)
    assert "the disk is on fire" in str(caught.value)
    assert "of last year" not in str(caught.value)
    assert supervisor.status(service).state == "stopped"


def test_a_program_that_never_gets_healthy_is_ended(make):
    service = make("echo $$ > started; echo still thinking; exec sleep 600", start_timeout=0.5)
    with pytest.raises(
        ServiceError, match=r"did not become healthy in 0\.5 s.*FileNotFoundError(.|\n)*still thinking"
    ):
        supervisor.start(service, print)
    assert not is_alive((service.settings.home / "started").read_text().strip())


def test_a_program_that_fails_once_is_tried_again(make):
    service = make("test -e tried || { touch tried; exit 1; }; touch ready; exec sleep 600")
    supervisor.start(service, print)
    assert supervisor.status(service).state == "running"


@pytest.mark.parametrize("who", ["leader", "child"])
def test_after_kill_9_of_either_a_start_leaves_one_of_each(make, who):
    service = make("sleep 600 & echo $$ $! >> started; touch ready; wait")
    supervisor.start(service, print)
    leader, child = (service.settings.home / "started").read_text().split()
    os.kill(int(leader if who == "leader" else child), signal.SIGKILL)
    wait_for(lambda: supervisor.status(service).state == "stopped")
    supervisor.start(service, print)
    assert supervisor.status(service).state == "running"
    assert not is_alive(leader)
    assert not is_alive(child)


def test_children_of_a_killed_program_are_stopped_with_it(make):
    service = make("sleep 600 & echo $! > started; touch ready; wait")
    supervisor.start(service, print)
    os.kill(supervisor.status(service).pid, signal.SIGKILL)
    child = (service.settings.home / "started").read_text().strip()
    assert is_alive(child)
    supervisor.stop(service, print)
    assert not is_alive(child)


def test_a_dead_process_that_nobody_has_collected_counts_as_dead(make):
    """As in a container whose first process collects nobody."""
    service = make()
    supervisor.start(service, print)
    pid = supervisor.status(service).pid
    (uncollected,) = (child for child in supervisor._children if child.pid == pid)
    supervisor._children.remove(uncollected)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: supervisor.status(service).state == "stopped")
    assert uncollected.returncode is None
    supervisor.start(service, print)
    assert supervisor.status(service).state == "running"
    uncollected.wait()


def test_a_program_that_ignores_the_signal_is_ended_all_the_same(make):
    service = make("trap '' TERM; echo $$ > started; touch ready; while :; do sleep 0.1; done")
    supervisor.start(service, print)
    supervisor.stop(service, print)
    assert not is_alive((service.settings.home / "started").read_text().strip())


def test_one_dead_process_of_several_makes_the_service_unhealthy(make):
    service = make()
    both = [
        Process("one", ["sleep", "600"]),
        Process("two", ["/bin/sh", "-c", "touch ready; exec sleep 600"]),
    ]
    type(service).processes = lambda self, port: both
    supervisor.start(service, print)
    wait_for((service.settings.home / "ready").exists)
    second = state_of(service)["processes"][1]["pid"]
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: not is_alive(second))
    status = supervisor.status(service)
    assert (status.state, status.detail) == ("unhealthy", "not running: two")
    first = status.pid
    supervisor.start(service, print)
    assert supervisor.status(service).state == "running"
    assert not is_alive(first)


@pytest.mark.parametrize("what", ["started", "booted"])
def test_a_stranger_with_our_number_is_neither_taken_for_ours_nor_stopped(make, what):
    """As after a restart of the machine or container, when numbers begin anew."""
    service = make()
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            supervisor.start(service, print)
            state = state_of(service)
            supervisor.stop(service, print)
            ticks = int(Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19])
            state["processes"][0] |= {"pid": stranger.pid, "started": ticks}
            if what == "started":
                state["processes"][0]["started"] -= 1
            else:
                state["booted"] -= 1
            (service.settings.run / "shell.json").write_text(json.dumps(state))
            assert supervisor.status(service).state == "stopped"
            supervisor.stop(service, print)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_process_whose_starter_dies_before_it_is_recorded_never_runs(tmp_path):
    wait_then_run = [*supervisor._WAIT_THEN_RUN, "touch", str(tmp_path / "ran")]
    assert subprocess.run(wait_then_run, input=b"", check=False).returncode != 0
    assert not (tmp_path / "ran").exists()
    assert subprocess.run(wait_then_run, input=b"go\n", check=False).returncode == 0
    assert (tmp_path / "ran").exists()


def test_the_port_is_kept_unless_another_program_took_it(make):
    service = make(f"exec {sys.executable} -c '{LISTEN}' \"$PORT\"")
    type(service).prepare = lambda self, port: None
    type(service).check = lambda self, port: socket.create_connection((LOOPBACK, port), 1).close()
    supervisor.start(service, print)
    port = supervisor.status(service).port
    supervisor.stop(service, print)
    supervisor.start(service, print)
    assert supervisor.status(service).port == port
    supervisor.stop(service, print)
    with socket.create_server((LOOPBACK, port)):
        supervisor.start(service, print)
        assert supervisor.status(service).port not in (port, None)


def test_a_long_log_is_set_aside_at_the_next_start(make):
    service = make()
    service.settings.logs.mkdir(parents=True)
    (service.settings.logs / "shell.log").write_bytes(b"x" * (supervisor._LOG_LIMIT + 1))
    supervisor.start(service, print)
    assert (service.settings.logs / "shell.log").stat().st_size == 0
    assert (service.settings.logs / "shell.log.1").stat().st_size == supervisor._LOG_LIMIT + 1
