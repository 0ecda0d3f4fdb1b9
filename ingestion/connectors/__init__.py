"""Where files come from: a local folder, an S3 prefix or an SFTP server, all looked at in one way.

To list is not to read. A connector moves bytes and knows neither names of interfaces nor the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Listed:
    """One file as a listing shows it.

    `mark` changes when the bytes do. `settles_at` is the instant (seconds since 1970) from which that is certain: until
    then the bytes may still change under the same mark.
    """

    name: str
    size_bytes: int
    mark: str
    settles_at: float


class Writer(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""
        ...


class Connector(Protocol):
    """A folder of files somewhere."""

    @property
    def address(self) -> str:
        """The folder, without secrets."""
        ...

    def list(self) -> list[Listed]:
        """The files in the folder itself."""
        ...

    def look(self, name: str) -> Listed | None:
        """One file of the folder, or None if it is not there."""
        ...

    def fetch(self, name: str, into: Writer) -> None:
        """Copy the bytes of one file.

        Raises:
            OSError: The file is gone, or the bytes did not all come.
        """
        ...


class SourceError(ValueError):
    """The source is no folder, file or address that can be read; the message says why."""


@contextmanager
def open_source(settings: Settings, source: str | None) -> Iterator[tuple[Connector, str | None]]:
    """Open a source.

    Args:
        settings: The instance.
        source: A local folder or file, `s3://bucket/prefix/` or an object of it, `sftp://user@host:port/folder` or a
            file in it. None: the SFTP server of the settings.

    Yields:
        The folder; and the name of the one file of it that is meant, or None for all.

    Raises:
        SourceError: There is no such folder or file.
        infra.sftp.SftpError: The SFTP server cannot be used.
        infra.s3.S3Error: The S3 endpoint cannot be used.
    """
    if source is None or source.startswith("sftp://"):
        from ingestion.connectors.sftp import open_sftp

        with open_sftp(settings, source) as opened:
            yield opened
    elif source.startswith("s3://"):
        from ingestion.connectors.s3 import open_s3

        yield open_s3(settings, source)
    elif "://" in source:
        raise SourceError(
            f"{source.split('://')[0]}:// is no kind of source. There are s3://, sftp:// and local paths."
        )
    else:
        from ingestion.connectors.local import LocalFolder

        path = Path(source).expanduser().resolve()
        if path.is_dir():
            yield LocalFolder(path), None
        elif path.is_file():
            yield LocalFolder(path.parent), path.name
        else:
            raise SourceError(f"There is no folder or file {path}.")
