"""The embedded SFTP server: the folder `<home>/sftp/outbox`, as a supplier's server would offer it.

Its keys are made at the first start and its host key is pinned for our own clients, so that they connect to
it by the same strict rules as to any other. The program itself is `serve_sftp`.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from infra.local.supervisor import LOOPBACK, Process, Service
from infra.sftp import EMBEDDED_USER, connect_sftp, embedded_keys, sftp_location


class SftpService(Service):
    """An SFTP server for one user, who logs in with a key; or another server that the settings name."""

    name = "sftp"

    @cached_property
    def folder(self) -> Path:
        """Folder of the keys and of the files that are served."""
        return self.settings.home / "sftp"

    @property
    def external_address(self) -> str | None:
        """The server and folder in CONTACTBI_SFTP_URL."""
        address = self.settings.sftp_url
        return None if address is None else f"sftp://{address.removeprefix('sftp://').rpartition('@')[2]}"

    def prepare(self, port: int) -> None:
        """Make the keys at the first start, and pin the host key to this port."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what suppliers send is personal data
        (self.folder / "outbox").mkdir(exist_ok=True)
        client_key, known_hosts = embedded_keys(self.settings)
        _write(self.folder / "authorized_keys", _public_key(client_key))
        _write(known_hosts, f"[{LOOPBACK}]:{port} {_public_key(self.folder / 'host_ed25519')}")

    def processes(self, port: int) -> list[Process]:
        """The one server program."""
        program = [sys.executable, "-P", "-m", "infra.local.serve_sftp"]
        return [Process("sftp", [*program, str(port), str(self.folder), EMBEDDED_USER])]

    def check(self, port: int) -> None:
        """Log in as ingestion does, and list the folder."""
        location = sftp_location(self.settings)
        with connect_sftp(self.settings, location) as session:
            session.stat(location.folder)

    def address(self, port: int) -> str:
        """The address of the folder."""
        return f"sftp://{EMBEDDED_USER}@{LOOPBACK}:{port}/"


def _public_key(private_key: Path) -> str:
    """The public half of a key as one line; the key is made if there is none."""
    if not private_key.exists():
        key = Ed25519PrivateKey.generate()
        _write(private_key, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
    public_key = load_ssh_private_key(private_key.read_bytes(), password=None).public_key()
    return public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n"


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    draft.replace(path)
