"""The two gates: run them, record how they went, and say so in plain English.

A gate keeps all data where it is. A failed one stops the release: `contactbi publish` asks
`ops.gate_results`, where the outcome of each run is a row. This module decides what is looked at; what must
hold is in `raw` and `release`.
"""

# ruff: noqa: S608  # the queries are made of texts of ours

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import psycopg

from expectations.checks import Finding, run_checks
from expectations.contracts import interfaces, quoted
from expectations.raw import raw_checks
from expectations.release import FEED, release_checks
from infra.postgres import connect, warehouse_url
from infra.settings import Settings

Gate = Literal["raw", "release"]

# A file that was refused for its name alone is part of no batch.
_WAITING = """
    select batch_id, interface, now() as looked_at, count(*) as files
    from ops.files
    where
        state in ('loaded', 'quarantined') and batch_id is not null
        and interface = coalesce(%(interface)s, interface)
    group by batch_id, interface
    having not exists (
        select from ops.gate_results as gate
        where gate.gate = 'raw' and gate.success and gate.batch_id = files.batch_id
            and gate.checked_at >= max(files.finished_at)
    )
"""
"""Batches that have not passed since their last file was finished."""


@dataclass(frozen=True)
class GateResult:
    """How one run of a gate went.

    Attributes:
        gate: `raw` or `release`.
        subject: What was looked at, in words.
        findings: What did not hold.
        docs: First page of the data docs; None if there was nothing to look at.
        interface: Interface whose batches the raw gate looked at.
    """

    gate: Gate
    subject: str
    findings: tuple[Finding, ...] = ()
    docs: Path | None = None
    interface: str | None = None

    @property
    def success(self) -> bool:
        """True unless a finding is a failure."""
        return all(finding.severity != "failure" for finding in self.findings)

    def as_text(self) -> str:
        """What was looked at, what failed and which rows, for a terminal or a log."""
        lines = [f"{self.gate.capitalize()} gate: {'passed' if self.success else 'FAILED'}, {self.subject}."]
        for finding in self.findings:
            lines.append(f"  {finding.severity.capitalize()} ({finding.aspect}): {finding.message}")
            lines += [f"    {detail}" for detail in finding.details]
        if not self.success:
            lines.append(
                "  Nothing is published, and all data is kept. Put the cause right, then check again."
            )
        if self.docs is not None:
            lines.append(f"  Data docs: {self.docs}")
        return "\n".join(lines)


def check(settings: Settings, gate: str | None = None, interface: str | None = None) -> list[GateResult]:
    """Run one gate or both, record the outcome in `ops.gate_results`, and write the data docs.

    Args:
        settings: The instance.
        gate: `raw` (every batch that has not passed since its files were loaded), `release` (the last build
            that succeeded), or None for both.
        interface: Interface whose batches the raw gate looks at; None: every one that has a batch to look at.

    Returns:
        A result for each interface that the raw gate looked at (or one that says that there was none), then that of
        the release gate.

    Raises:
        ValueError: There is no such gate or interface.
    """
    if gate not in (None, "raw", "release"):
        raise ValueError(f"There is no gate {gate!r}. The gates are raw and release.")
    if interface is not None and interface not in interfaces():
        raise ValueError(f"There is no interface {interface!r}. There are: {', '.join(interfaces())}.")
    results: list[GateResult] = []
    with connect(settings, autocommit=True) as connection:
        if gate != "release":
            waiting = _interfaces_with_batches(connection, interface)
            results += [_check_raw(settings, connection, each) for each in waiting]
            results += [] if waiting else [GateResult("raw", "no batch is waiting")]
        if gate != "raw":
            results.append(_check_release(settings, connection))
    return results


def _interfaces_with_batches(connection: psycopg.Connection, only: str | None) -> list[str]:
    rows = connection.execute(
        f"select distinct interface from ({_WAITING}) as waiting order by interface", {"interface": only}
    )
    return [interface for (interface,) in rows if interface in interfaces()]


def _check_raw(settings: Settings, connection: psycopg.Connection, interface: str) -> GateResult:
    """Look at the batches of an interface that wait to be looked at."""
    rows = connection.execute(_WAITING, {"interface": interface}).fetchall()
    batch_ids = sorted(row[0] for row in rows)
    batch = (
        f"select * from ops.files where interface = {quoted(interface)} and state in ('loaded', 'quarantined') "
        f"and batch_id in ({', '.join(map(str, batch_ids))})"
    )
    docs = settings.home / "data_docs" / "raw" / interface
    findings = run_checks(f"raw.{interface}", raw_checks(interface), warehouse_url(settings), batch, docs)
    with connection.transaction():
        for batch_id in batch_ids:
            its_own = [each for each in findings if each.batch_ids is None or batch_id in each.batch_ids]
            _record(connection, "raw", its_own, rows[0][2], batch_id=batch_id)
    files = sum(row[3] for row in rows)
    subject = (
        f"{_count(len(batch_ids), 'batch', 'batches')} of {interface} with {_count(files, 'file', 'files')}"
    )
    return GateResult("raw", subject, tuple(findings), docs / "index.html", interface)


def _check_release(settings: Settings, connection: psycopg.Connection) -> GateResult:
    """Look at the figures of the last build that succeeded."""
    row = connection.execute(
        "select build_id, now() from ops.builds where state = 'succeeded' order by build_id desc limit 1"
    ).fetchone()
    if row is None:
        finding = Finding("volume", "failure", "No build has succeeded yet.", ("Run `contactbi build`.",))
        return GateResult("release", "there is nothing to release", (finding,))
    build_id, looked_at = row
    docs = settings.home / "data_docs" / "release"
    checks = release_checks(build_id)
    findings = run_checks("release", checks, warehouse_url(settings), f"select * from feeds.{FEED}", docs)
    _record(connection, "release", findings, looked_at, build_id=build_id)
    return GateResult("release", f"build {build_id}", tuple(findings), docs / "index.html")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _record(
    connection: psycopg.Connection,
    gate: Gate,
    findings: list[Finding],
    looked_at: datetime,
    *,
    batch_id: int | None = None,
    build_id: int | None = None,
) -> None:
    success = all(finding.severity != "failure" for finding in findings)
    report = [
        {key: getattr(each, key) for key in ("aspect", "severity", "message", "details")} for each in findings
    ]
    connection.execute(
        "insert into ops.gate_results (gate, batch_id, build_id, success, findings, checked_at) "
        "values (%s, %s, %s, %s, %s, %s)",
        (gate, batch_id, build_id, success, json.dumps(report), looked_at),
    )
