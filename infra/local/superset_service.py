"""The embedded Superset: one web server, with its state in PostgreSQL.

How Superset is configured is in infra/superset, and what it shows in dashboards; this module starts it and says
whether it is well.
"""

from __future__ import annotations

from urllib.request import urlopen

from infra import superset
from infra.local.supervisor import LOOPBACK, Process, Service, ServiceError

_WORKERS = 2
_THREADS = 8
_REQUEST_SECONDS = 10


class SupersetService(Service):
    """Superset, for the dashboards of this checkout."""

    name = "superset"
    depends_on = ("postgres",)
    start_timeout = 180  # 5 s on two idle cores
    stop_timeout = 20  # 5 s for requests under way, and the end of Python

    def prepare(self, port: int) -> None:
        """Bring Superset's tables and the administrator's password up to date; 10 s at the first start."""
        superset.prepare(self.settings)

    def processes(self, port: int) -> list[Process]:
        """Gunicorn, whose workers are its own children.

        A connection is kept open for longer than a browser or a proxy keeps it, or else a reused one breaks now and
        then. The lines of a request may be long: a permalink to a chart holds its whole query.
        """
        options = [
            *("--bind", f"{LOOPBACK}:{port}"),
            *("--workers", str(_WORKERS), "--worker-class", "gthread", "--threads", str(_THREADS)),
            *("--timeout", "120", "--keep-alive", "65", "--graceful-timeout", "5"),
            "--no-control-socket",  # it would lie in the home folder of the user, the same for every instance
            *("--limit-request-line", "0", "--limit-request-field_size", "0"),
        ]
        command = [str(superset.PROGRAMS / "gunicorn"), *options, "superset.app:create_app()"]
        return [Process("superset", command, superset.environment(self.settings))]

    def check(self, port: int) -> None:
        """Ask for the health page."""
        with urlopen(f"{self.address(port)}/health", timeout=_REQUEST_SECONDS) as answer:  # noqa: S310  # http, loopback
            if answer.status != 200:
                raise ServiceError(f"Superset's health page answers {answer.status}.")

    def address(self, port: int) -> str:
        """Where people log in."""
        return f"http://{LOOPBACK}:{port}"
