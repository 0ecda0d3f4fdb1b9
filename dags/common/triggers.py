"""The bell of inbound files: triggers that ring while files wait, and hold no worker.

However many interfaces are watched, the folder is listed once a look, over a connection that stays open: Airflow gives
triggers of one `shared_stream_key` one stream between them. A trigger asks the ledger only when files of its own
interface came, changed, or were waiting when it last asked.

It only looks. Which files to load is read from the ledger by the DAG that it wakes, so a lost, doubled or late ring
costs time and never data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import ExitStack, aclosing
from typing import TYPE_CHECKING, Any

import structlog
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from infra.settings import load_settings

if TYPE_CHECKING:
    from ingestion.connectors import Connector

log = structlog.get_logger(__name__)

Listing = Mapping[str, frozenset[tuple[str, str]]]
"""Names and marks of the whole files in a folder, by interface. A mark changes when the bytes or their digest do."""

RETELL_SECONDS = 5.0
"""A listing that has not changed is told again after this, for who has just begun to listen."""

ASK_AGAIN_SECONDS = 300.0
"""After this the ledger is asked again although nothing changed in the folder: something may have in the ledger."""

LOOKING_SHARE = 0.25
"""Looking at a folder of very many files may take this share of the time, and no more."""


class FilesPending(BaseEventTrigger):
    """Rings when a file waits that it has not rung for, and again from time to time while any file waits.

    Args:
        interface: Interface whose files are watched, such as `telephony_call`.
        source: Where to look; None for the inbound server of the settings.
        poll_seconds: Seconds between two looks at the folder.
        again_after: Seconds after which it rings again for files that still wait: a ring may be lost, a file
            may have come in part.
    """

    def __init__(
        self, interface: str, source: str | None = None, poll_seconds: float = 1, again_after: float = 15
    ) -> None:
        super().__init__()
        self.interface = interface
        self.source = source
        self.poll_seconds = poll_seconds
        self.again_after = again_after

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer makes this trigger again from."""
        return (
            "dags.common.triggers.FilesPending",
            {
                "interface": self.interface,
                "source": self.source,
                "poll_seconds": self.poll_seconds,
                "again_after": self.again_after,
            },
        )

    def shared_stream_key(self) -> Hashable:
        """All triggers that look at one folder equally often look together."""
        return ("contactbi inbound files", self.source, self.poll_seconds, self.again_after)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look alone, where nobody shares the looking."""
        async with aclosing(self.open_shared_stream(self.serialize()[1])) as listings:
            async for event in self.filter_shared_stream(listings):
                yield event

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Listing]:
        """List the folder for ever. One out of reach is logged and tried again: the watch must not end."""
        folder = _Folder(kwargs["source"])
        told: Listing | None = None
        told_at = 0.0
        try:
            while True:
                started = time.monotonic()
                try:
                    listing = await asyncio.to_thread(folder.list)
                except Exception as error:
                    log.warning(f"Could not look for inbound files: {type(error).__name__}")
                    await asyncio.to_thread(folder.close)
                    await asyncio.sleep(kwargs["again_after"])
                    continue
                looked_for = time.monotonic() - started
                if listing != told or time.monotonic() - told_at >= RETELL_SECONDS:
                    told, told_at = listing, time.monotonic()
                    yield listing
                await asyncio.sleep(max(kwargs["poll_seconds"], looked_for * (1 / LOOKING_SHARE - 1)))
        finally:
            folder.close()

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Listing]
    ) -> AsyncIterator[TriggerEvent]:
        """Ring for the files of this interface that the ledger does not know as done."""
        seen: frozenset[tuple[str, str]] = frozenset()
        waiting: set[str] = set()
        rang_at = asked_at = -ASK_AGAIN_SECONDS
        async for listing in shared_stream:
            now = time.monotonic()
            mine = listing.get(self.interface, frozenset())
            if not mine:
                seen, waiting = mine, set()
                continue
            ask_again = now - asked_at >= (self.again_after if waiting else ASK_AGAIN_SECONDS)
            if mine == seen and not ask_again:
                continue
            rung_for, asked_at = waiting, now
            try:
                waiting = await asyncio.to_thread(self._waiting)
            except Exception as error:
                self.log.warning("Could not ask for files of %s: %s", self.interface, type(error).__name__)
                waiting = {name for name, _ in mine}  # as far as we know: ask again soon
                continue
            finally:
                seen = mine
            if waiting - rung_for or (waiting and now - rang_at >= self.again_after):
                rang_at = now
                yield TriggerEvent({"interface": self.interface, "files": len(waiting)})

    def _waiting(self) -> set[str]:
        from ingestion.run import pending_files

        return {file.name for file in pending_files(load_settings(), self.interface, self.source)}


class _Folder:
    """The folder that is watched, over a connection that stays open while it works."""

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._opened = ExitStack()
        self._connector: Connector | None = None

    def list(self) -> Listing:
        """What lies there now, but for what belongs to no interface."""
        from ingestion.connectors import open_source
        from ingestion.contract import interfaces, load_contract
        from ingestion.discover import parse_name, waiting_files

        if self._connector is None:
            self._connector, _ = self._opened.enter_context(open_source(load_settings(), self._source))
        files = waiting_files(self._connector.list())
        listing = {}
        for interface in interfaces():
            contract = load_contract(interface)
            mine = [
                file for file in files if file.name.startswith(interface) and parse_name(contract, file.name)
            ]
            listing[interface] = frozenset((file.name, file.fingerprint) for file in mine)
        return listing

    def close(self) -> None:
        """Let the connection go; the next look opens another."""
        self._connector = None
        self._opened.close()
