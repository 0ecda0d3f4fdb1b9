"""Files in a local folder."""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path

from ingestion.connectors import Listed, Writer

_TICK_SECONDS = 0.1  # two changes within a tick of the kernel's clock may bear one time


class LocalFolder:
    """A folder of this machine. Its files are looked at, never changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def list(self) -> list[Listed]:
        """The regular files in the folder itself."""
        return [listed for path in self._folder.iterdir() if (listed := self.look(path.name))]

    def look(self, name: str) -> Listed | None:
        """One regular file of the folder itself, or None."""
        if Path(name).name != name:
            return None
        try:
            found = (self._folder / name).stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise
        if not stat.S_ISREG(found.st_mode):
            return None
        mark = f"{found.st_size}/{found.st_mtime_ns}/{found.st_ctime_ns}/{found.st_ino}"
        return Listed(name, found.st_size, mark, found.st_ctime + _TICK_SECONDS)

    def fetch(self, name: str, into: Writer) -> None:
        """Copy the bytes of one file."""
        with (self._folder / name).open("rb") as file:
            shutil.copyfileobj(file, into, 1 << 20)
