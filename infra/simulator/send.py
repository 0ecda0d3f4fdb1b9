"""Puts files on the SFTP server as a supplier does: under a name ending `.part`, renamed when whole, digest first.

It stands for the outside world in the demonstration and the tests. It looks into no file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.settings import Settings
from infra.sftp import connect_sftp, sftp_location

_LINES_OF_PROGRESS = 10


def send(settings: Settings, folder: Path, report: Callable[[str], Any] = print) -> int:
    """Send every file of a folder that the server does not have yet.

    Args:
        settings: The instance; its SFTP location is where the files go.
        folder: Local folder. Files ending `.part` and dot files stay.
        report: Called with a line of progress now and then.

    Returns:
        Number of files sent, digest files not counted.

    Raises:
        infra.sftp.SftpError: The server cannot be reached or does not let us in.
        FileNotFoundError: There is no such folder, or nothing in it to send.
    """
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and _is_whole(path)]
    if not files:
        raise FileNotFoundError(f"{folder} holds no file to send.")
    target = sftp_location(settings).folder.rstrip("/")
    sent = 0
    with connect_sftp(settings) as server:
        there = {entry.filename: entry.st_size for entry in server.listdir_attr(target or "/")}
        missing = [path for path in files if there.get(path.name) != path.stat().st_size]
        # A digest that comes first leaves no moment in which its file lies there unguarded.
        missing.sort(key=lambda path: (path.name.removesuffix(".sha256"), path.suffix != ".sha256"))
        for number, path in enumerate(missing, start=1):
            name = f"{target}/{path.name}"
            server.put(str(path), f"{name}.part")
            server.posix_rename(f"{name}.part", name)
            sent += path.suffix != ".sha256"
            if number % max(1, len(missing) // _LINES_OF_PROGRESS) == 0 or number == len(missing):
                report(f"  sent {number} of {len(missing)} files")
    return sent


def _is_whole(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix != ".part"
