"""Builds the marts: decides what a build must do, freezes its scope, runs dbt, and keeps the ledger of builds.

The rules of the figures are in `dbt/`. This module decides only whether a build adds to the marts or writes them
anew, and sees to it that a build which was killed is made good by the next one. It reads no raw row.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from infra.postgres import connect, warehouse_url
from infra.settings import CHECKOUT, Settings

PROJECT = CHECKOUT / "dbt"
_BUILD_LOCK = 7_205_004  # any fixed number: one build at a time per warehouse
_INPUT_FOLDERS = ("models", "macros", "seeds")
_READ_BY_INDEX_ALONE = "intermediate.int_calls_sequenced"
_RESULTS_THAT_FAIL = ("error", "fail", "runtime error", "partial success")


@dataclass(frozen=True)
class BuildResult:
    """What a build did. `failures` holds one line per model or test that failed; it is empty after a success."""

    build_id: int
    as_of: datetime
    full_refresh: bool
    reason: str
    files: int
    nodes: int
    seconds: float
    failures: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        """True when every model was built and every test passed."""
        return not self.failures

    def as_text(self) -> str:
        """The result in plain English, for a terminal or a log."""
        kind = "in full" if self.full_refresh else "what changed"
        outcome = "succeeded" if self.succeeded else "FAILED"
        lines = [
            f"Build {self.build_id}: {outcome} in {self.seconds:.1f} s. Built {kind} ({self.reason}), as of "
            f"{self.as_of:%Y-%m-%d %H:%M:%S} UTC: {self.files} new files, {self.nodes} models and tests."
        ]
        if self.failures:
            lines += [f"  {failure}" for failure in self.failures]
            lines.append("  The feeds keep what was published before. Mend the cause and build again.")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Plan:
    """What one build is to do, as written to ops.builds."""

    build_id: int
    as_of: datetime
    full_refresh: bool
    reason: str
    files: int


def build(
    settings: Settings,
    as_of: datetime | None = None,
    full_refresh: bool = False,
    report: Callable[[str], Any] = print,
) -> BuildResult:
    """Build and test the marts from the raw tables.

    Only what changed since the last build is written, unless a full refresh is asked for or needed: the first
    build, a change of models, seeds or parameters, an `as_of` before an earlier one, or a full build that did not
    finish.

    Args:
        settings: The settings of the instance.
        as_of: The instant the figures look from (any offset). Default: now. What happens later has not happened.
        full_refresh: Write every row anew.
        report: Called with one plain line for each step.

    Returns:
        The result; a failed model or test is in `failures`, not raised.

    Raises:
        psycopg.Error: The warehouse cannot be reached or lacks its raw tables.
    """
    started = time.monotonic()
    instant = (as_of or datetime.now(UTC)).astimezone(UTC)
    with _only_build(settings, report) as connection:
        plan = _plan(connection, settings, instant, full_refresh)
        report(f"Build {plan.build_id}: {plan.reason}; {plan.files} new files to take in.")
        try:
            nodes, failures = _run_dbt(settings, plan, report)
        except BaseException as error:
            _finish(connection, plan, started, [f"{type(error).__name__}: {error}"])
            raise
        _finish(connection, plan, started, failures)
        if plan.full_refresh and not failures:
            # Only now that no other transaction runs can PostgreSQL note that everybody sees every row, without which
            # it fetches each from the table all the same. dbt cannot: it runs everything in transactions.
            connection.execute(f"vacuum {_READ_BY_INDEX_ALONE}")
    return BuildResult(
        build_id=plan.build_id,
        as_of=instant,
        full_refresh=plan.full_refresh,
        reason=plan.reason,
        files=plan.files,
        nodes=nodes,
        seconds=time.monotonic() - started,
        failures=tuple(failures),
    )


def has_new_files(settings: Settings) -> bool:
    """Whether a loaded file waits for a build: none has taken it in yet, or the one that did has not succeeded."""
    with connect(settings) as connection:
        row = connection.execute(
            "select exists (select from ops.files where state = 'loaded' and not exists ("
            "select from ops.build_files join ops.builds on builds.build_id = build_files.build_id "
            "where build_files.file_id = files.file_id and builds.state = 'succeeded'))"
        ).fetchone()
    return row == (True,)


def end_of_data(settings: Settings) -> datetime:
    """The London midnight that closes the day of the newest call, or now if that day is not over.

    Figures that look from there show no empty time after records that end long ago.

    Returns:
        An instant in UTC; now when there is no call.
    """
    with connect(settings) as connection:
        row = connection.execute(
            "select least(now(), (date_trunc('day', max(received_at) at time zone 'Europe/London') + interval '1 day') "
            "at time zone 'Europe/London') from raw.telephony_call"
        ).fetchone()
    return row[0] if row and row[0] else datetime.now(UTC)


@contextmanager
def _only_build(settings: Settings, report: Callable[[str], Any]) -> Iterator[psycopg.Connection]:
    """Hold the one right to build. It is lost with the connection, so a killed build frees it."""
    with connect(settings, autocommit=True) as connection:
        taken = connection.execute("select pg_try_advisory_lock(%s)", (_BUILD_LOCK,)).fetchone()
        if taken != (True,):
            report("Another build is running; waiting for it to end.")
            connection.execute("select pg_advisory_lock(%s)", (_BUILD_LOCK,))
        yield connection


def _plan(connection: psycopg.Connection, settings: Settings, as_of: datetime, asked_for_full: bool) -> _Plan:
    """Decide what this build does, write it to the ledger, and freeze the files it takes in."""
    digest = _inputs_digest(settings)
    with connection.transaction():
        connection.execute(
            "update ops.builds set state = 'failed', finished_at = now(), error = 'The build was interrupted.' "
            "where state = 'running'"
        )
        previous, reason = _what_to_do(connection, as_of, digest, asked_for_full)
        row = connection.execute(
            "insert into ops.builds "
            "(as_of, previous_as_of, full_refresh, reason, inputs_digest, short_abandon_seconds) "
            "values (%s, %s, %s, %s, %s, %s) returning build_id",
            (as_of, previous, previous is None, reason, digest, settings.short_abandon_seconds),
        ).fetchone()
        build_id: int = row[0] if row else 0
        connection.execute(
            "update ops.build_files set build_id = %s "
            "where build_id in (select build_id from ops.builds where state = 'failed')",
            (build_id,),
        )
        connection.execute(
            "insert into ops.build_files (file_id, build_id) select file_id, %s from ops.files where state = 'loaded' "
            "and not exists (select 1 from ops.build_files where build_files.file_id = files.file_id)",
            (build_id,),
        )
        counted = connection.execute(
            "select count(*) from ops.build_files where build_id = %s", (build_id,)
        ).fetchone()
    return _Plan(build_id, as_of, previous is None, reason, counted[0] if counted else 0)


def _what_to_do(
    connection: psycopg.Connection, as_of: datetime, digest: str, asked_for_full: bool
) -> tuple[datetime | None, str]:
    """Where the last good build looked from, or None for a full build, and why."""
    last_good = connection.execute(
        "select build_id, as_of, inputs_digest from ops.builds where state = 'succeeded' order by build_id desc limit 1"
    ).fetchone()
    if asked_for_full:
        return None, "a full refresh was asked for"
    if last_good is None:
        return None, "no build has succeeded yet"
    build_id, previous, previous_digest = last_good
    since = connection.execute(
        "select max(as_of), bool_or(full_refresh) from ops.builds where build_id >= %s and state <> 'succeeded'",
        (build_id,),
    ).fetchone()
    latest_attempt, full_attempt = since if since is not None else (None, None)
    if full_attempt:
        return None, "a full build did not finish"
    if previous_digest != digest:
        return None, "models, reference data or parameters changed"
    if as_of < max(previous, latest_attempt or previous):
        return None, "it looks from an earlier instant than the last build"
    return previous, "adding to the last build"


def _inputs_digest(settings: Settings) -> str:
    """SHA-256 over all that decides the figures besides the raw rows."""
    digest = hashlib.sha256(f"short_abandon_seconds={settings.short_abandon_seconds}\n".encode())
    for path in [PROJECT / "dbt_project.yml", *_input_files()]:
        digest.update(f"{path.relative_to(PROJECT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _input_files() -> Iterator[Path]:
    for folder in _INPUT_FOLDERS:
        yield from sorted(path for path in (PROJECT / folder).rglob("*") if path.suffix in {".sql", ".csv"})


def _run_dbt(settings: Settings, plan: _Plan, report: Callable[[str], Any]) -> tuple[int, list[str]]:
    """Run `dbt build` in this process; return the number of nodes and one line per failure."""
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if plan.full_refresh:
        arguments.append("--full-refresh")
    else:
        # A view or reference data that changed makes a build full, so that an added build leaves them alone.
        arguments += [
            "--select",
            "config.materialized:table",
            "config.materialized:incremental",
            "test_type:singular",
        ]
        arguments += ["--exclude", "resource_type:seed", "tag:reference"]
    result = invoke(settings, arguments, report)
    nodes = getattr(result.result, "results", None) or []
    failures = [
        f"{outcome.node.name}: {str(outcome.message or outcome.status).strip()}"
        for outcome in nodes
        if str(outcome.status) in _RESULTS_THAT_FAIL
    ]
    if not result.success and not failures:
        failures = [f"dbt: {result.exception or 'the run did not succeed'}"]
    return len(nodes), failures


def invoke(settings: Settings, arguments: list[str], report: Callable[[str], Any] = lambda line: None) -> Any:
    """Run one dbt command on this warehouse, in this process.

    Args:
        settings: The settings of the instance.
        arguments: The command and its options, such as `["docs", "generate"]`.
        report: Called with one plain line for each node that ends.

    Returns:
        dbt's own `dbtRunnerResult`.
    """
    # dbt takes two seconds to import: only those who build pay for it.
    from dbt.cli.main import dbtRunner
    from dbt_common.events.base_types import EventMsg

    url = warehouse_url(settings)
    os.environ.update(
        CONTACTBI_DBT_HOST=url.host or "",
        CONTACTBI_DBT_PORT=str(url.port or 5432),
        CONTACTBI_DBT_USER=url.username or "",
        CONTACTBI_DBT_DATABASE=url.database or "",
        DBT_ENV_SECRET_PASSWORD=url.password or "",
        DO_NOT_TRACK="1",
    )

    def on_event(event: EventMsg) -> None:
        if event.info.name in ("LogModelResult", "LogTestResult", "LogSeedResult"):
            data = event.data
            report(
                f"  {data.index:>3}  {data.node_info.node_name}: {data.status.lower()} ({data.execution_time:.1f} s)"
            )

    home = settings.home / "dbt"
    options = [
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(PROJECT),
        "--target-path",
        str(home / "target"),
    ]
    options += [
        "--log-path",
        str(home / "logs"),
        "--log-level",
        "none",
        "--log-level-file",
        "info",
        "--no-use-colors",
    ]
    return dbtRunner(callbacks=[on_event]).invoke([*arguments, *options])


def write_site(settings: Settings, report: Callable[[str], Any] = print) -> Path:
    """Build dbt's documentation as one page that needs no server, with lineage.

    Args:
        settings: An instance whose marts are built: types and sizes are read from them.
        report: Called with one plain line for each step.

    Returns:
        The page.

    Raises:
        RuntimeError: dbt could not build it; the message is dbt's.
    """
    result = invoke(settings, ["docs", "generate", "--static"], report)
    if not result.success:
        raise RuntimeError(
            f"The documentation could not be built: {result.exception or 'see the log of dbt'}."
        )
    return settings.home / "dbt" / "target" / "static_index.html"


def _finish(connection: psycopg.Connection, plan: _Plan, started: float, failures: list[str]) -> None:
    """Write the outcome to the ledger."""
    connection.execute(
        "update ops.builds set state = %s, finished_at = now(), duration_seconds = %s, error = %s where build_id = %s",
        (
            "failed" if failures else "succeeded",
            round(time.monotonic() - started, 3),
            "\n".join(failures) or None,
            plan.build_id,
        ),
    )
