"""Files in a folder of an SFTP server whose host key is pinned."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import paramiko

from infra.settings import Settings
from infra.sftp import SftpLocation, connect_sftp, sftp_location
from ingestion.connectors import Connector, Listed, SourceError, Writer

if TYPE_CHECKING:
    from typing import IO

_SETTLES_SECONDS = 2.0  # its clock shows whole seconds, and may be a little behind ours


@contextmanager
def open_sftp(settings: Settings, source: str | None) -> Iterator[tuple[Connector, str | None]]:
    """Open the folder at an address, or at that of the settings; if that is a file, its folder and its name.

    Raises:
        SourceError: The server has no such folder or file for us.
        infra.sftp.SftpError: The server cannot be used.
    """
    location = sftp_location(settings, source)
    with connect_sftp(settings, location) as session:
        folder, _, name = location.folder.rpartition("/")
        beside = SftpFolder(session, str(replace(location, folder=f"{folder}/")), folder or "/")
        if source is not None and name and beside.look(name):
            yield beside, name
        else:
            _check_folder(session, location)
            yield SftpFolder(session, str(location), location.folder), None


def _check_folder(session: paramiko.SFTPClient, location: SftpLocation) -> None:
    try:
        is_folder = stat.S_ISDIR(session.stat(location.folder).st_mode or stat.S_IFDIR)
    except OSError as error:  # not there, or closed to us
        raise SourceError(
            f"{location} can not be read ({type(error).__name__}). Look at the path, and ask the server's owner to "
            "make the folder and let us in."
        ) from error
    if not is_folder:
        raise SourceError(f"{location} is neither a folder nor a regular file. Give one of them.")


class SftpFolder:
    """A folder of an SFTP server. Its files are looked at, never changed."""

    def __init__(self, session: paramiko.SFTPClient, address: str, folder: str) -> None:
        self._session = session
        self._address = address
        self._folder = folder.rstrip("/")

    @property
    def address(self) -> str:
        """The server and folder."""
        return self._address

    def list(self) -> list[Listed]:
        """The regular files in the folder itself."""
        found = self._session.listdir_attr(self._folder or "/")
        return [listed for entry in found if (listed := _listed(entry.filename, entry))]

    def look(self, name: str) -> Listed | None:
        """One regular file, or None."""
        try:
            return _listed(name, self._session.lstat(f"{self._folder}/{name}"))
        except FileNotFoundError:
            return None

    def fetch(self, name: str, into: Writer) -> None:
        """Copy the bytes of one file.

        Raises:
            OSError: The file is gone, or the bytes did not all come.
        """
        path = f"{self._folder}/{name}"
        try:
            size = self._session.lstat(path).st_size or 0
            copied = self._session.getfo(path, cast("IO[bytes]", into))
        except (paramiko.SSHException, EOFError) as error:
            raise OSError(f"{self._address}/{name} did not come whole: {type(error).__name__}") from error
        # Paramiko takes a connection that is lost at the wrong moment for the end of the file.
        if copied < size:
            raise OSError(f"{self._address}/{name} did not come whole: {copied:,} of {size:,} bytes")


def _listed(name: str, found: paramiko.SFTPAttributes) -> Listed | None:
    if not stat.S_ISREG(found.st_mode or 0) or found.st_size is None or found.st_mtime is None:
        return None
    return Listed(name, found.st_size, f"{found.st_size}/{found.st_mtime}", found.st_mtime + _SETTLES_SECONDS)
