"""The embedded services: all that a demonstration, a test or one small machine needs, started by one command.

A production installation points the settings at servers of its own instead; then nothing is started here, and
`up` only checks them. This package knows how services run, and nothing of what the warehouse does with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from graphlib import TopologicalSorter

from infra.local import supervisor
from infra.local.airflow_service import AirflowService
from infra.local.postgres_server import PostgresService
from infra.local.s3_server import S3Service
from infra.local.sftp_server import SftpService
from infra.local.superset_service import SupersetService
from infra.local.supervisor import Report, Service, ServiceError, ServiceStatus
from infra.settings import Settings

__all__ = ["SERVICES", "ServiceError", "ServiceStatus", "down", "status", "up", "url"]

SERVICES: dict[str, type[Service]] = {
    "postgres": PostgresService,
    "sftp": SftpService,
    "s3": S3Service,
    "airflow": AirflowService,
    "superset": SupersetService,
}
"""Every service by its name. A new one adds its line here."""


def up(settings: Settings, names: Iterable[str] | None, report: Report) -> None:
    """Start services, and before them those that they depend on; return when all are healthy.

    Args:
        settings: The instance.
        names: Which; None for all.
        report: Called with one line of plain text at each step.

    Raises:
        ServiceError: A name is unknown, or a service did not start; the message ends with the end of its log.
    """
    waiting = _chosen(names)
    graph: TopologicalSorter[str] = TopologicalSorter()
    while waiting:
        name = waiting.pop()
        graph.add(name, *SERVICES[name].depends_on)
        waiting.extend(SERVICES[name].depends_on)
    graph.prepare()
    with ThreadPoolExecutor() as pool:
        while graph.is_active():
            ready = graph.get_ready()
            list(pool.map(lambda name: supervisor.start(SERVICES[name](settings), report), ready))
            graph.done(*ready)


def down(settings: Settings, names: Iterable[str] | None, report: Report) -> None:
    """Stop services, those first that depend on others of them.

    Raises:
        ServiceError: A name is unknown, or a process would not end.
    """
    chosen = _chosen(names)
    order = TopologicalSorter({name: SERVICES[name].depends_on for name in SERVICES}).static_order()
    for name in reversed([name for name in order if name in chosen]):
        supervisor.stop(SERVICES[name](settings), report)


def status(settings: Settings) -> list[ServiceStatus]:
    """Look at every service, running or not."""
    return [supervisor.status(service(settings)) for service in SERVICES.values()]


def url(settings: Settings, name: str) -> str:
    """Address of a running service, for programs. That of postgres holds its password: do not log it.

    Raises:
        ServiceError: The name is unknown, or the service is not running.
    """
    (chosen,) = _chosen([name])
    return supervisor.url(SERVICES[chosen](settings))


def _chosen(names: Iterable[str] | None) -> list[str]:
    chosen = list(SERVICES if names is None else names)
    if unknown := sorted(set(chosen) - set(SERVICES)):
        raise ServiceError(f"There is no service {', '.join(unknown)}. There are: {', '.join(SERVICES)}.")
    return chosen
