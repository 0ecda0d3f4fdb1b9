"""Run triggers of inbound files on a folder as the triggerer does, and print each look and ring as a line, for ever.

Arguments: the folder, then the interfaces. A program of its own, because importing Airflow changes the logging and the
environment of the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module

from airflow.triggers.shared_stream import SharedStreamManager  # noqa: TID251

from dags.common import triggers
from dags.common.triggers import FilesPending


async def ring(streams: SharedStreamManager, number: int, interface: str, folder: str) -> None:
    """Make a trigger anew from what it says of itself, as the triggerer does, and run it."""
    path, arguments = FilesPending(interface, folder, poll_seconds=0.1, again_after=1).serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    shared = streams.subscribe(trigger_id=number, trigger=trigger, key=trigger.shared_stream_key())
    async for event in trigger.filter_shared_stream(shared):
        print("ring " + json.dumps(event.payload), flush=True)


async def main(folder: str, interfaces: list[str]) -> None:
    """Run the triggers side by side."""
    streams = SharedStreamManager()
    await asyncio.gather(*(ring(streams, *each, folder) for each in enumerate(interfaces)))


def tell(owner: type, method: str, word: str) -> None:
    """Print a word whenever a method is called."""
    as_it_is = getattr(owner, method)

    def told(self, *arguments):
        print(word, flush=True)
        return as_it_is(self, *arguments)

    setattr(owner, method, told)


if __name__ == "__main__":
    tell(triggers._Folder, "list", "look")
    tell(FilesPending, "_waiting", "ask")
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
