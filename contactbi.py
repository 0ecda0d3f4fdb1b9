"""The front door: one command line over the rooms of the house.

Each command reads the settings, calls one function of one room, and prints what happened. No work is done here:
whatever a command does, the function it calls does without it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console()

Report = Callable[[str], object]
"""Takes one line of text."""


def _say(line: str) -> None:
    """Print one line as it is: not wrapped, so that it can be searched for, and without markup in names."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def _table(*columns: str) -> Table:
    """A table whose cells are folded rather than cut: a name that is cut is no name."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _instant(text: str | None) -> datetime | None:
    """Read an ISO 8601 instant; one without an offset is refused, because it could mean two instants."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not an ISO 8601 date and time, such as 2026-03-29T00:00:00Z."
        ) from error
    if instant.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset. Write it with Z or an offset, such as {text}Z.")
    return instant.astimezone(UTC)


AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="ISO", help="Build the figures as they stood at this instant. Default: now."
    ),
]


@app.command()
def up(
    services: Annotated[
        list[str] | None, typer.Argument(help="postgres, sftp, s3, airflow, superset. Default: all.")
    ] = None,
) -> None:
    """Start embedded services, and wait until they are healthy."""
    from infra import local

    local.up(load_settings(), services or None, report=_say)


@app.command()
def down(
    services: Annotated[list[str] | None, typer.Argument(help="Which to stop. Default: all.")] = None,
) -> None:
    """Stop embedded services."""
    from infra import local

    local.down(load_settings(), services or None, report=_say)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show which embedded services are up, and where."""
    from infra import local

    states = local.status(load_settings())
    if as_json:
        print(json.dumps({state.name: state.as_dict() for state in states}, indent=2))  # noqa: T201  # for programs
        return
    table = Table("Service", "State", "Address", "Process")
    for state in states:
        table.add_row(state.name, state.state, state.address or "", str(state.pid or ""))
    console.print(table)


@app.command()
def url(service: Annotated[str, typer.Argument(help="postgres, sftp, s3, airflow or superset.")]) -> None:
    """Print a service's address. That of postgres holds its password."""
    from infra import local

    print(local.url(load_settings(), service))  # noqa: T201  # for programs


@app.command()
def ingest(
    interface: Annotated[str, typer.Argument(help="Interface, such as telephony_call.")],
    source: Annotated[
        str | None,
        typer.Argument(help="Folder, file, sftp://... or s3://... Default: the SFTP server of the settings."),
    ] = None,
) -> None:
    """Load new files of an interface into the raw tables. Exit code 1: a file could not be read."""
    from ingestion.run import ingest as ingest_files

    summary = ingest_files(load_settings(), interface, source, console=console)
    _say(summary.as_text())
    if summary.files("failed"):
        raise typer.Exit(1)


@app.command()
def files(
    interface: Annotated[str | None, typer.Argument(help="Only of this interface.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only in this state: seen, loading, loaded or quarantined.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
) -> None:
    """Show what the ledger knows of the files that came in."""
    from ingestion.quarantine import files as list_files

    table = Table(
        "File", "Interface", "Name", "State", "Read", "Loaded", "Unchanged", "Quarantined", "Reason"
    )
    for each in list_files(load_settings(), interface, state, limit):
        counts = (each.rows_read, each.rows_loaded, each.rows_unchanged, each.rows_quarantined)
        shown = ["" if count is None else f"{count:,}" for count in counts]
        table.add_row(
            str(each.file_id), each.interface, escape(each.name), each.state, *shown, each.rule or ""
        )
    console.print(table)


quarantine = typer.Typer(no_args_is_help=True, help="Rows and files that were refused.")
app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def quarantine_list(
    interface: Annotated[str | None, typer.Argument(help="Only of this interface.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
) -> None:
    """Show what was refused, by file and rule."""
    from ingestion.quarantine import refused

    found = refused(load_settings(), interface, limit)
    if not found:
        _say("Nothing is in quarantine.")
        return
    table = _table("File", "Interface", "Name", "Rule", "Rows", "First line")
    for each in found:
        line = "whole file" if each.line_number is None else f"{each.line_number:,}"
        table.add_row(str(each.file_id), each.interface, escape(each.file), each.rule, f"{each.rows:,}", line)
    console.print(table)
    _say("`contactbi quarantine show FILE` shows the rows and what to do.")


@quarantine.command("show")
def quarantine_show(
    file: Annotated[str, typer.Argument(help="Name of the file, or its number in the ledger.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 20,
) -> None:
    """Show the refused rows of a file, personal data masked, and what to do about each."""
    from ingestion.quarantine import refused_rows

    rows = refused_rows(load_settings(), file, limit)
    for row in rows:
        place = "The whole file" if row.line_number is None else f"Line {row.line_number:,}"
        _say(f"{place}: {row.rule}. {row.message}")
        if row.raw_text:
            _say(f"    {row.raw_text}")
    if not rows:
        _say("Nothing of this file is in quarantine.")


@quarantine.command("retry")
def quarantine_retry(
    file: Annotated[str, typer.Argument(help="Name of the file, or its number in the ledger.")],
    release: Annotated[
        bool, typer.Option("--release", help="A full extract: its number of rows is right as it is.")
    ] = False,
) -> None:
    """Let a file be loaded again: the next ingest looks at it as if it had just arrived."""
    from ingestion.quarantine import retry

    for each in retry(load_settings(), file, release=release):
        _say(f"{each.name} will be loaded again by `contactbi ingest {each.interface}` or Airflow.")


@app.command()
def build(
    as_of: AsOf = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every row anew, not only what changed.")
    ] = False,
) -> None:
    """Build the marts from the raw tables, and test them."""
    from ingestion.run import ensure_raw_tables
    from transformation.build import build as build_marts

    settings = load_settings()
    ensure_raw_tables(settings)  # so that a warehouse that has loaded nothing yet builds too
    result = build_marts(settings, as_of=_instant(as_of), full_refresh=full_refresh, report=_say)
    _say(result.as_text())
    if not result.succeeded:
        raise typer.Exit(1)


@app.command()
def docs() -> None:
    """Build the site of the dbt project: every model and column with its meaning, and where it comes from."""
    from transformation.build import write_site

    _say(f"Open {write_site(load_settings(), report=_say)} in a browser.")


@app.command()
def check(
    gate: Annotated[
        str | None, typer.Argument(help="raw, release, or freshness. Default: both gates.")
    ] = None,
) -> None:
    """Run the quality gates and write the data docs, or look whether data comes as often as promised.

    Exit code 1: a gate failed, or data is late.
    """
    from expectations.freshness import freshness
    from expectations.gates import check as run_gates

    settings = load_settings()
    if gate == "freshness":
        found = freshness(settings)
        for each in found:
            _say(each.as_text())
        if any(each.is_late for each in found):
            raise typer.Exit(1)
        return
    results = run_gates(settings, gate)
    for result in results:
        _say(result.as_text())
    if not all(result.success for result in results):
        raise typer.Exit(1)


@app.command()
def explain(
    kpi: Annotated[str, typer.Argument(help="Code of the KPI, such as GOS_30.")],
    period: Annotated[
        str, typer.Option(help="2026, 2026-Q4, 2026-11, 2026-W47 or 2026-11-23: a local period.")
    ],
    line: Annotated[str, typer.Option(help="PAL, ABI, DSLR, PVS, UNMAPPED or ALL.")] = "ALL",
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many items.")] = 20,
    to: Annotated[
        Path | None, typer.Option("--csv", help="Write every item behind the figure to this file.")
    ] = None,
) -> None:
    """Explain a KPI: its definition, its figure, and the calls behind it with the files that brought them."""
    from analysis.explain import explain as explain_kpi
    from analysis.explain import item_lines, write_items
    from analysis.periods import read_period

    settings = load_settings()
    found = explain_kpi(settings, kpi.upper(), line.upper(), read_period(period), limit)
    _say(found.as_text())
    for item in found.items:
        for text in item_lines(item):
            _say(text)
    if found.items:
        _say(f"{len(found.items):,} of {found.counted['items']:,}, those that count against the KPI first.")
    if to is not None:
        _say(f"{write_items(settings, found, to):,} items written to {to}.")


@app.command()
def crosstab(
    rows: Annotated[str, typer.Argument(help="Dimension down the side, such as reason.")],
    columns: Annotated[str, typer.Argument(help="Dimension across the top, such as channel.")],
    measure: Annotated[str, typer.Argument(help="Measure, such as contacts.")] = "contacts",
    first: Annotated[str | None, typer.Option("--from", help="First local day, as YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local day, as YYYY-MM-DD.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="dimension=value; may be given more than once.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--csv", help="Write the table to this file instead.")] = None,
) -> None:
    """Show any measure of contacts by any two dimensions. A wrong name lists the names that there are."""
    from analysis.crosstab import crosstab as count

    table = count(
        load_settings(),
        rows,
        columns,
        measure,
        date.fromisoformat(first) if first else None,
        date.fromisoformat(last) if last else None,
        dict(_dimension_and_value(each) for each in only or ()),
    )
    if to is not None:
        table.write(to)
        _say(f"{table.measure} by {table.rows} and {table.columns} written to {to}.")
        return
    for text in table.as_text():
        _say(text)


def _dimension_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not dimension=value, such as channel=voice.")
    return name, value


@app.command()
def segment() -> None:
    """Group the customers who contact again and again by how they do it (marts.segment_profiles)."""
    from analysis.segments import find_segments

    _say(find_segments(load_settings()).as_text())


@app.command()
def publish() -> None:
    """Publish the feeds to S3 as Delta tables, and freeze the KPI values that this reports.

    Refused unless the last build passed the release gate.
    """
    from delivery.feeds.publish import publish as publish_feeds
    from delivery.kpis.freeze import freeze

    settings = load_settings()
    for feed in publish_feeds(settings, report=_say):
        _say(feed.as_text())
    _say(freeze(settings, "feed").as_text())


@app.command()
def dashboards() -> None:
    """Import the dashboards of this checkout into Superset."""
    from dashboards.tooling.deploy import deploy

    _say(deploy(load_settings()).as_text())


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write the files to.")],
    days: Annotated[int, typer.Option(min=1, help="Local days to simulate.")] = 28,
    seed: Annotated[int, typer.Option(help="The same seed and dates give the same bytes.")] = 1,
    calls_per_day: Annotated[int, typer.Option(min=1, help="Calls on an average day.")] = 20_000,
    end: Annotated[
        str | None, typer.Option(help="Last local day, as YYYY-MM-DD. Default: yesterday.")
    ] = None,
    bad_rows: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that are damaged.")] = 0.0005,
    interface: Annotated[
        list[str] | None, typer.Option(help="Interface to write; may be given more than once. Default: all.")
    ] = None,
    wip_applications: Annotated[int, typer.Option(min=0, help="Applications in hand.")] = 20_000,
    wip_extracts: Annotated[int, typer.Option(min=0, help="WIP extracts to write: the last ones.")] = 12,
) -> None:
    """Write the files that a contact centre's platforms would send for some days of traffic."""
    from infra.simulator import simulate as write_files

    last_day = datetime.strptime(end, "%Y-%m-%d").date() if end else None  # a local day, not an instant
    summary = write_files(
        out,
        days=days,
        seed=seed,
        calls_per_day=calls_per_day,
        last_day=last_day,
        bad_row_share=bad_rows,
        interfaces=interface,
        wip_applications=wip_applications,
        wip_extracts=wip_extracts,
    )
    _say(summary.as_text())


@app.command()
def run(
    data: Annotated[
        Path | None, typer.Option(help="Folder of files to feed in. Default: 28 simulated days.")
    ] = None,
) -> None:
    """Do the main job on embedded services, from files on SFTP to figures, and leave the services up."""
    from delivery.feeds.publish import publish as publish_feeds
    from delivery.kpis.freeze import freeze
    from expectations.gates import check as run_gates
    from infra import local
    from infra.simulator import simulate as write_files
    from infra.simulator.send import send
    from ingestion.contract import interfaces
    from ingestion.run import ingest_all
    from transformation.build import build as build_marts
    from transformation.build import end_of_data

    settings = load_settings()
    _step("Starting PostgreSQL, SFTP and S3")
    local.up(settings, ["postgres", "sftp", "s3"], report=_say)
    with ThreadPoolExecutor() as pool:
        dashboards_up = _begin(pool, partial(_start_dashboards, settings))
        folder = data or settings.home / "simulated"
        if data is None and not folder.exists():
            _step("Simulating 28 days of all channels at 20,000 calls a day")
            draft = folder.with_suffix(".part")
            # Two million states of agents and queues would double the wait; `contactbi simulate` writes them too.
            shown = [name for name in interfaces() if name not in ("agent_state", "queue_snapshot")]
            _say(write_files(draft, days=28, seed=1, interfaces=shown).as_text())
            draft.rename(folder)
        _step(f"Sending the files of {folder} to the SFTP server, as a supplier does")
        send(settings, folder, report=_say)
        _step("Loading the files into the raw tables")
        for loaded in ingest_all(settings):
            if loaded.files_found:
                _say(loaded.as_text())
            if loaded.files("failed"):
                raise typer.Exit(1)
        _step("Building the marts")
        built = build_marts(settings, as_of=end_of_data(settings), report=_say)
        _say(built.as_text())
        if not built.succeeded:
            raise typer.Exit(1)
        # Not before: it would load and build on its own what lies on the SFTP server.
        airflow_up = _begin(pool, partial(local.up, settings, ["airflow"]))
        _step("Running the quality gates")
        gates = run_gates(settings, None)
        for gate in gates:
            _say(gate.as_text())
        if not all(gate.success for gate in gates):
            raise typer.Exit(1)
        _step("Publishing the feeds to S3")
        for feed in publish_feeds(settings, report=_say):
            _say(feed.as_text())
        _say(freeze(settings, "feed").as_text())
        _step("Starting Superset and Airflow")
        _finish(dashboards_up)
        _finish(airflow_up)
    _say(_where_to_look(settings))


def _step(title: str) -> None:
    console.rule(f"[bold]{title}[/bold]", align="left")


def _start_dashboards(settings: Settings, report: Report) -> None:
    from dashboards.tooling.deploy import deploy
    from infra import local

    local.up(settings, ["superset"], report)
    report(deploy(settings).as_text())


def _begin(pool: Executor, work: Callable[[Report], object]) -> Future[list[str]]:
    """Do some work beside what goes on; it is given a place for its lines, which `_finish` prints."""

    def do() -> list[str]:
        lines: list[str] = []
        work(lines.append)
        return lines

    return pool.submit(do)


def _finish(work: Future[list[str]]) -> None:
    """Wait for work that was begun, and print its lines; what it raised is raised here."""
    for line in work.result():
        _say(line)


def _where_to_look(settings: Settings) -> str:
    """Addresses, users and next steps. Passwords stay in their file."""
    from infra import local

    secrets_file = settings.home / "secrets.env"
    return (
        "\nEverything is up.\n"
        f"  Dashboard   {local.url(settings, 'superset').rstrip('/')}/superset/dashboard/inbound-calls/  "
        f"user admin, password CONTACTBI_SUPERSET_PASSWORD in {secrets_file}\n"
        f"  Airflow     {local.url(settings, 'airflow')}  "
        f"user admin, password CONTACTBI_AIRFLOW_PASSWORD in {secrets_file}\n"
        f'  Warehouse   psql "$(.venv/bin/contactbi url postgres)"  schema marts\n'
        f"  Feeds       {local.url(settings, 's3')}  bucket {settings.s3_bucket}\n"
        f"  SFTP        {local.url(settings, 'sftp')}  put a file there and Airflow loads it\n"
        f"  Data docs   {settings.home / 'data_docs' / 'release' / 'index.html'}\n"
        f"Next: open the dashboard; `.venv/bin/contactbi explain GOS_30 --period {datetime.now(UTC):%Y-%m}` shows the "
        "calls behind a figure; `.venv/bin/contactbi --help` shows what else there is; "
        "`make down` stops everything."
    )


def main() -> None:
    """Run the command line. An error that a reader can act on is one message, not a traceback; exit code 1."""
    try:
        app()
    except (LookupError, RuntimeError, ValueError, psycopg.OperationalError) as error:
        if os.environ.get("CONTACTBI_LOG_LEVEL", "").upper() == "DEBUG":
            raise
        Console(stderr=True).print(str(error), soft_wrap=True, markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
