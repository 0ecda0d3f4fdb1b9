"""Where the embedded services of an instance listen.

`infra.local` starts them and writes one state file each; whoever connects asks here. This module starts
nothing.
"""

from __future__ import annotations

import json

from infra.settings import Settings


class NotRunningError(RuntimeError):
    """An embedded service is needed, is not up, and no other address is set."""


def embedded_port(settings: Settings, service: str) -> int:
    """Port on 127.0.0.1 of an embedded service.

    Args:
        settings: The instance.
        service: Its name, such as `sftp`.

    Raises:
        NotRunningError: It was never started, or it was stopped.
    """
    try:
        state = json.loads((settings.run / f"{service}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotRunningError(
            f"The embedded {service} service is not running. Start it with `contactbi up {service}`."
        ) from None
    return int(state["port"])
