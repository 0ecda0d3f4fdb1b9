"""SFTP: strict towards any server, and the embedded server is strict towards any client."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import asyncssh
import paramiko
import pytest

from infra.sftp import SftpError, connect_sftp, sftp_location

pytestmark = pytest.mark.services
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def new_key(path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    return key.export_public_key().decode().strip()


def bare_client(settings):
    """A client with none of our strictness."""
    client = paramiko.SSHClient()
    client.load_host_keys(str(sftp_location(settings).known_hosts))
    return client


def login(settings, **options):
    location = sftp_location(settings)
    client = bare_client(settings)
    arguments = {"username": location.user, "allow_agent": False, "look_for_keys": False, **options}
    client.connect(location.host, location.port, **arguments)
    return client


def test_files_arrive_whole_by_rename(instance):
    with connect_sftp(instance) as session:
        with session.open("/calls.part", "wb") as file:
            file.write(b"first")
        session.posix_rename("/calls.part", "/calls.jsonl")
        with session.open("/calls.part", "wb") as file:
            file.write(b"second")
        session.posix_rename("/calls.part", "/calls.jsonl")
        names = session.listdir("/")  # other tests of the instance may keep folders of their own here
        assert "calls.jsonl" in names and "calls.part" not in names
    assert (instance.home / "sftp" / "outbox" / "calls.jsonl").read_bytes() == b"second"
    with connect_sftp(instance) as session:
        session.remove("/calls.jsonl")


def test_a_large_file_comes_back_as_it_went(instance, tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "sent").write_bytes(content)
    with connect_sftp(instance) as session:
        session.put(str(tmp_path / "sent"), "/large")
        session.get("/large", str(tmp_path / "got"))
        session.remove("/large")
    assert (tmp_path / "got").read_bytes() == content


def test_nothing_above_the_folder_is_served(instance):
    with connect_sftp(instance) as session:
        assert session.listdir("/../../..") == session.listdir("/")
        for path in (
            "/../id_ed25519",
            "/../../secrets.env",
            "/etc/passwd",
            str(instance.home / "secrets.env"),
        ):
            with pytest.raises(FileNotFoundError):
                session.stat(path)
        session.symlink("../../secrets.env", "/out")
        try:
            with pytest.raises(FileNotFoundError):
                session.open("/out")
        finally:
            session.remove("/out")


def test_an_unknown_host_key_is_refused_before_we_say_who_we_are(instance, make_settings, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    location = sftp_location(instance)
    settings = make_settings(
        tmp_path / "home",
        sftp_url=str(location),
        sftp_known_hosts=tmp_path / "known_hosts",
        sftp_private_key=location.private_key,
    )
    reason = rf"unknown.*no line \[127\.0\.0\.1\]:{location.port}"
    with pytest.raises(SftpError, match=reason), connect_sftp(settings):
        pass
    assert (tmp_path / "known_hosts").read_text() == "", "an unknown key must not be learnt"


def test_a_changed_host_key_is_refused(instance, make_settings, tmp_path):
    location = sftp_location(instance)
    other = new_key(tmp_path / "other")
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{location.port} {other}\n")
    settings = make_settings(
        tmp_path / "home",
        sftp_url=str(location),
        sftp_known_hosts=tmp_path / "known_hosts",
        sftp_private_key=location.private_key,
    )
    with (
        pytest.raises(
            SftpError, match=r"CHANGED: it is SHA256:\S+, pinned is SHA256:\S+\. .*nothing was sent"
        ),
        connect_sftp(settings),
    ):
        pass


def test_missing_pins_or_key_say_what_to_set(instance, make_settings, tmp_path):
    location = sftp_location(instance)
    settings = make_settings(tmp_path / "home", sftp_url=str(location))
    with pytest.raises(SftpError, match="CONTACTBI_SFTP_KNOWN_HOSTS"), connect_sftp(settings):
        pass
    settings = make_settings(tmp_path / "home", sftp_url=str(location), sftp_known_hosts=location.known_hosts)
    with pytest.raises(SftpError, match="CONTACTBI_SFTP_PRIVATE_KEY"), connect_sftp(settings):
        pass


def test_another_key_is_not_let_in(instance, make_settings, tmp_path):
    location = sftp_location(instance)
    new_key(tmp_path / "key")
    settings = make_settings(
        tmp_path / "home",
        sftp_url=str(location),
        sftp_known_hosts=location.known_hosts,
        sftp_private_key=tmp_path / "key",
    )
    with pytest.raises(SftpError, match=r"does not accept the key .*/key"), connect_sftp(settings):
        pass


def test_the_server_lets_in_one_user_by_key_alone(instance):
    location = sftp_location(instance)
    key = paramiko.PKey.from_path(location.private_key)
    login(instance, pkey=key).close()
    with pytest.raises(paramiko.BadAuthenticationType) as caught:
        login(instance, password="contactbi")
    assert caught.value.allowed_types == ["publickey"]
    with pytest.raises(paramiko.AuthenticationException):
        login(instance, pkey=key, username="root")


def test_the_server_gives_files_and_nothing_else(instance):
    key = paramiko.PKey.from_path(sftp_location(instance).private_key)
    with login(instance, pkey=key) as client:
        with pytest.raises(paramiko.SSHException):
            client.exec_command("id")
        with pytest.raises(paramiko.ChannelException):
            client.get_transport().open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1))
        with pytest.raises(paramiko.SSHException):
            client.get_transport().request_port_forward("127.0.0.1", 0)


def test_no_server_at_all_is_said_plainly(make_settings, tmp_path, instance):
    location = sftp_location(instance)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (tmp_path / "known_hosts").write_text(
        location.known_hosts.read_text().replace(str(location.port), str(port))
    )
    settings = make_settings(
        tmp_path / "home",
        sftp_url=f"sftp://contactbi@127.0.0.1:{port}/",
        sftp_known_hosts=tmp_path / "known_hosts",
        sftp_private_key=location.private_key,
    )
    reason = rf"sftp://contactbi@127\.0\.0\.1:{port}/: no connection"
    with pytest.raises(SftpError, match=reason), connect_sftp(settings):
        pass


@pytest.fixture
def openssh(make_settings, tmp_path):
    """Settings that name OpenSSH's own server, with its pinned key and a key of ours that it accepts."""
    if SSHD is None:
        pytest.skip("OpenSSH's sshd is not installed (Debian: openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as Debian's own start script does
    host_key = new_key(tmp_path / "host_key")
    client_key = new_key(tmp_path / "client_key")
    (tmp_path / "authorized_keys").write_text(f"{client_key}\n")
    (tmp_path / "files").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (tmp_path / "sshd_config").write_text(
        f"""
        ListenAddress 127.0.0.1:{port}
        HostKey {tmp_path}/host_key
        AuthorizedKeysFile {tmp_path}/authorized_keys
        PidFile none
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitRootLogin prohibit-password
        Subsystem sftp internal-sftp
        """
    )
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.PIPE
    ) as server:
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except ConnectionRefusedError:
                    assert server.poll() is None, server.stderr.read().decode()
                    time.sleep(0.05)
            yield make_settings(
                tmp_path / "home",
                sftp_url=f"sftp://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/files",
                sftp_known_hosts=tmp_path / "known_hosts",
                sftp_private_key=tmp_path / "client_key",
            )
        finally:
            server.terminate()


def test_openssh_is_met_by_the_same_rules(openssh, tmp_path):
    location = sftp_location(openssh)
    with connect_sftp(openssh) as session:
        with session.open(f"{location.folder}/calls.part", "wb") as file:
            file.write(b"rows")
        session.posix_rename(f"{location.folder}/calls.part", f"{location.folder}/calls.jsonl")
        assert session.listdir(location.folder) == ["calls.jsonl"]
    other = new_key(tmp_path / "other")
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{location.port} {other}\n")
    with pytest.raises(SftpError, match="CHANGED"), connect_sftp(openssh):
        pass
