"""The SFTP server that inbound files arrive on: its address, and a connection whose host key is verified.

A server whose key is not pinned is refused before we say who we are. This module moves no files and knows no
file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import paramiko

from infra.embedded import embedded_port
from infra.settings import Settings

EMBEDDED_USER = "contactbi"
_TIMEOUT_SECONDS = 20.0
_SILENCE_SECONDS = 120.0  # a server that sends nothing for so long is gone


class SftpError(RuntimeError):
    """The SFTP server can not be used; the message says why and what to do."""


@dataclass(frozen=True)
class SftpLocation:
    """A folder on an SFTP server, and the files that we prove who is who with."""

    host: str
    port: int
    user: str
    folder: str
    private_key: Path
    known_hosts: Path

    def __str__(self) -> str:
        """The address, which never holds a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{self.user}@{host}:{self.port}{self.folder}"


def embedded_keys(settings: Settings) -> tuple[Path, Path]:
    """The generated private key, and the file of pinned host keys, of the embedded server."""
    folder = settings.home / "sftp"
    return folder / "id_ed25519", folder / "known_hosts"


def sftp_location(settings: Settings, address: str | None = None) -> SftpLocation:
    """Where inbound files are.

    Args:
        settings: The instance.
        address: An `sftp://user@host:port/folder` address in place of that of the settings.

    Raises:
        SftpError: The address is not one, or holds a password.
        NotRunningError: No address is set and the embedded server is not up.
    """
    generated_key, embedded_hosts = embedded_keys(settings)
    private_key = settings.sftp_private_key or generated_key
    known_hosts = settings.sftp_known_hosts or embedded_hosts
    address = address or settings.sftp_url
    if address is None:
        port = embedded_port(settings, "sftp")
        return SftpLocation("127.0.0.1", port, EMBEDDED_USER, "/", generated_key, embedded_hosts)
    try:
        parts = urlsplit(address)
        port = parts.port or 22
    except ValueError as error:
        raise SftpError(f"An SFTP address is not valid: {error}.") from error
    if parts.password is not None:
        raise SftpError("The SFTP address holds a password. Take it out: we log in with a key only.")
    if parts.scheme != "sftp" or not parts.hostname or not parts.username:
        raise SftpError(f"{address!r} is not an SFTP address, such as sftp://user@host:22/folder.")
    folder = unquote(parts.path) or "/"
    return SftpLocation(parts.hostname, port, unquote(parts.username), folder, private_key, known_hosts)


@contextmanager
def connect_sftp(settings: Settings, location: SftpLocation | None = None) -> Iterator[paramiko.SFTPClient]:
    """Open an SFTP session: host key as pinned, our key and no password, and no wait without end.

    Args:
        settings: The instance.
        location: Where; that of the settings if left out. Its folder is not entered.

    Raises:
        SftpError: The server can not be reached, is not the pinned one, or does not let us in.
    """
    location = location or sftp_location(settings)
    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        key = _read_keys(client, location)
        try:
            client.connect(
                location.host,
                location.port,
                location.user,
                pkey=key,
                allow_agent=False,
                look_for_keys=False,
                timeout=_TIMEOUT_SECONDS,
                banner_timeout=_TIMEOUT_SECONDS,
                auth_timeout=_TIMEOUT_SECONDS,
                channel_timeout=_TIMEOUT_SECONDS,
            )
            session = client.open_sftp()
        except Exception as error:
            raise SftpError(_explain(error, client, location)) from error
        channel = session.get_channel()
        if channel is not None:
            channel.settimeout(_SILENCE_SECONDS)
            channel.get_transport().set_keepalive(15)
        yield session


def _read_keys(client: paramiko.SSHClient, location: SftpLocation) -> paramiko.PKey:
    try:
        client.load_host_keys(str(location.known_hosts))
    except (OSError, paramiko.SSHException) as error:
        raise SftpError(
            f"The pinned host keys {location.known_hosts} can not be read ({error}). Put the server's "
            "line, from its owner, into a file and set CONTACTBI_SFTP_KNOWN_HOSTS to it."
        ) from error
    try:
        return paramiko.PKey.from_path(location.private_key)
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        raise SftpError(
            f"The private key {location.private_key} can not be used ({error}). Set "
            "CONTACTBI_SFTP_PRIVATE_KEY to a key without a passphrase."
        ) from error


def _explain(error: Exception, client: paramiko.SSHClient, location: SftpLocation) -> str:
    """Say what went wrong in terms of what its reader can do."""
    name = location.host if location.port == 22 else f"[{location.host}]:{location.port}"
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"{location}: the server's host key CHANGED: it is {error.key.fingerprint}, pinned is "
            f"{error.expected_key.fingerprint}. Somebody may be in between: nothing was sent. If the "
            f"server's owner confirms the new key, replace the line {name} in {location.known_hosts}."
        )
    if client.get_host_keys().lookup(name) is None and isinstance(error, paramiko.SSHException):
        return (
            f"{location}: the server's host key is unknown: {location.known_hosts} has no line {name}. "
            "Nothing was sent. Get the line from the server's owner, and add it."
        )
    if isinstance(error, paramiko.AuthenticationException):
        return (
            f"{location}: the server does not accept the key {location.private_key}. Ask its owner to "
            "authorise the public key for this user."
        )
    return f"{location}: no connection ({type(error).__name__}: {error})."
