"""Run the trigger of inbound files on a folder, and print each ring as a line of JSON, for ever.

A program of its own, because importing Airflow changes the logging and the environment of the process.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module

from dags.common.triggers import FilesPending


async def main(folder: str) -> None:
    """Make the trigger anew from what it says of itself, as the triggerer does, and run it."""
    path, arguments = FilesPending("telephony_call", folder, poll_seconds=0.1, again_after=1).serialize()
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    async for event in trigger.run():
        print("ring " + json.dumps(event.payload), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
