"""Which files of a folder are deliveries of an interface, and what their names say.

This module judges names and listings alone; it reads no file and asks no ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from ingestion.connectors import Connector, Listed
from ingestion.contract import Contract, interfaces
from ingestion.privacy import mask_file_name

DIGEST_SUFFIX = ".sha256"

_NAME = re.compile(
    r"(?P<head>[a-z][a-z0-9_]*?_[A-Za-z0-9_-]+)_(?P<stamp>\d{8}T\d{6}Z)_(?P<sequence>\d{1,12})"
    r"\.(?P<format>jsonl|csv)(?P<gz>\.gz)?",
    re.ASCII,
)
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a delivery says. `stamp` is UTC; all but `name` is None for a name outside the convention."""

    name: str
    platform: str | None
    stamp: datetime | None
    sequence: int | None

    @property
    def is_packed(self) -> bool:
        """Whether the bytes are gzip."""
        return self.name.endswith(".gz")

    @property
    def position(self) -> str:
        """Place of the file among all files: the text of a later file is the greater one, byte by byte."""
        stamp = self.stamp.strftime(_STAMP) if self.stamp else "00000000T000000Z"
        return f"{stamp}_{self.sequence or 0:012d}"


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that a listing shows, with its digest file if there is one.

    `fingerprint` changes when the bytes of either do. `settles_at` is the instant (seconds since 1970) from
    which that is certain.
    """

    name: str
    size_bytes: int
    fingerprint: str
    settles_at: float
    has_digest: bool

    @property
    def shown(self) -> str:
        """The name as the ledger holds it."""
        return shown_name(self.name)


def shown_name(name: str) -> str:
    """A file name as the ledger and people see it: whatever a server sent becomes text without personal data."""
    if _NAME.fullmatch(name):
        return name
    return mask_file_name(
        name.encode("utf-8", errors="backslashreplace").decode("utf-8").replace("\x00", "\\x00")
    )


def parse_name(contract: Contract, name: str) -> FileName | None:
    """What a name says, or None if it is no name of a delivery of this interface."""
    match = _NAME.fullmatch(name)
    prefix = f"{contract.interface}_"
    if match is not None and not match["head"].removeprefix(prefix).strip("_-"):
        return None  # nobody knows which platform's sequence it belongs to
    if match is None or not match["head"].startswith(prefix) or match["format"] != contract.file_format:
        return None
    try:
        stamp = datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return FileName(name, match["head"].removeprefix(prefix), stamp, int(match["sequence"]))


def is_of_other_interface(contract: Contract, name: str) -> bool:
    """Whether a name follows the convention, but for another interface. One of no interface is an odd name."""
    match = _NAME.fullmatch(name)
    others = (f"{other}_" for other in _interfaces() if other != contract.interface)
    return match is not None and match["head"].startswith(tuple(others))


_interfaces = cache(interfaces)


def waiting_files(listing: Iterable[Listed]) -> list[WaitingFile]:
    """The files of a listing that are not dot files, parts or digests, with their digests, in the order of names."""
    by_name = {listed.name: listed for listed in listing}
    return [
        _with_digest(listed, by_name.get(name + DIGEST_SUFFIX))
        for name, listed in sorted(by_name.items())
        if not is_passed_over(name)
    ]


def is_passed_over(name: str) -> bool:
    """Whether a name is that of a dot file, of a part, or of a digest: none is ever read as data."""
    return name.startswith(".") or name.endswith((".part", DIGEST_SUFFIX))


def look(connector: Connector, name: str) -> WaitingFile | None:
    """One file as it stands now, or None if it is gone."""
    listed = connector.look(name)
    return _with_digest(listed, connector.look(name + DIGEST_SUFFIX)) if listed else None


def _with_digest(listed: Listed, digest: Listed | None) -> WaitingFile:
    return WaitingFile(
        name=listed.name,
        size_bytes=listed.size_bytes,
        fingerprint=f"{listed.mark} {digest.mark}" if digest else listed.mark,
        settles_at=max(listed.settles_at, digest.settles_at) if digest else listed.settles_at,
        has_digest=digest is not None,
    )
