"""The bell of inbound files: a trigger that rings while files wait, and holds no worker.

It only looks. Which files to load is read from the ledger by the DAG that it wakes, so a lost, doubled or
late ring costs time and never data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from infra.settings import load_settings


class FilesPending(BaseEventTrigger):
    """Rings when a file waits that it has not rung for, and again from time to time while any file waits.

    Args:
        interface: Interface whose files are watched, such as `telephony_call`.
        source: Where to look; None for the inbound server of the settings.
        poll_seconds: Seconds between two looks.
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

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look for ever. A source out of reach is logged and tried again: the watch must not end."""
        rung_for: set[str] = set()
        rang_at = -self.again_after
        while True:
            try:
                waiting = await asyncio.to_thread(self._waiting)
            except Exception as error:
                self.log.warning("Could not look for files of %s: %s", self.interface, type(error).__name__)
                await asyncio.sleep(self.again_after)
                continue
            if waiting - rung_for or (waiting and time.monotonic() - rang_at >= self.again_after):
                rang_at = time.monotonic()
                yield TriggerEvent({"interface": self.interface, "files": len(waiting)})
            rung_for = waiting
            await asyncio.sleep(self.poll_seconds)

    def _waiting(self) -> set[str]:
        from ingestion.run import pending_files

        return {file.name for file in pending_files(load_settings(), self.interface, self.source)}
