"""What telephony platforms write, put into the form of our own contracts: one module for each platform.

A platform is named by its files: `telephony_call_<platform>_<time>_<sequence>.jsonl`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from ingestion.adapters import amazon_connect, genesys_cloud
from ingestion.adapters.assembled import Assembled, SupportLineOf
from ingestion.adapters.objects import PlatformText

Number = Callable[[str | None], str | None]
"""What replaces a number, unless it is one of ours."""


class Adapter(Protocol):
    """What every module of a platform offers. A record is a value of `RECORD`."""

    RECORD: type[Any]
    NOT_SEARCHED: frozenset[str]
    """Fields that are not searched for card numbers: identifiers, by which records belong together, and telephone
    numbers, which are ours or were replaced."""

    @staticmethod
    def records(chunks: Iterable[bytes]) -> Iterator[PlatformText]:
        """Cut a file into the texts of its records."""

    @staticmethod
    def read(value: dict[str, Any]) -> Any:
        """Read one record."""

    @staticmethod
    def call_id_of(record: Any) -> str:
        """The call that a record belongs to."""

    @staticmethod
    def without_numbers(record: Any, replace: Number) -> Any:
        """A record whose customers' numbers are replaced."""

    @staticmethod
    def assemble(chain: Sequence[Any], support_line_of: SupportLineOf) -> Assembled:
        """The call and the call-back events that all known versions of its records tell of."""


ADAPTERS: dict[str, Adapter] = {
    "amazon_connect": amazon_connect,  # type: ignore[dict-item]  # a module keeps to a protocol as an object does
    "genesys_cloud": genesys_cloud,  # type: ignore[dict-item]
}
"""The adapters by the name of their platform."""
