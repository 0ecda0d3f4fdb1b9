"""`make bench`: how fast the product is, each time as a ratio against a control in the same run.

Everything runs on embedded services of its own, in a temporary folder, and is gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg

from infra import local
from infra.postgres import warehouse_url
from infra.settings import Settings, load_settings
from tests.bench.incremental_build import LAST_DAY, bench_build
from tests.bench.ingest import bench_ingest, bench_memory
from tests.bench.queries import bench_queries


def main() -> None:
    """Run the benchmarks and print their results."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rows", type=int, default=100_000, help="rows of each file of the load")
    options.add_argument(
        "--calls-per-day", type=int, default=20_000, help="calls a day of the history to build on"
    )
    options.add_argument(
        "--memory",
        type=int,
        nargs="*",
        default=[100_000, 1_000_000, 5_000_000],
        help="rows of each file of the memory bench",
    )
    options.add_argument("--only", choices=["ingest", "memory", "build"], help="run one benchmark alone")
    options.add_argument("--months", type=int, nargs=2, default=[1, 12], help="lengths of history to compare")
    choice = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="contactbi-bench-") as home:
        # The embedded PostgreSQL runs as a user of its own and must be able to get here.
        Path(home).chmod(0o755)
        os.environ["CONTACTBI_HOME"] = home
        settings = load_settings()
        local.up(settings, ["postgres"], report=print)
        try:
            if choice.only in (None, "ingest"):
                for result in bench_ingest(
                    _fresh_warehouse(settings, "load"), _folder(home, "load"), choice.rows
                ):
                    print(result.as_text(), flush=True)
            if choice.only in (None, "memory"):
                bench_memory(
                    lambda name: _fresh_warehouse(settings, name),
                    _folder(home, "memory"),
                    choice.memory,
                    _say,
                )
            if choice.only in (None, "build"):
                short, long = (
                    bench_build(
                        _fresh_warehouse(settings, f"months_{months}"),
                        _folder(home, f"months-{months}"),
                        days=round(months * 365 / 12),
                        calls_per_day=choice.calls_per_day,
                    )
                    for months in choice.months
                )
                print(short.as_text())
                print(long.as_text())
                ratio = long.median_seconds / short.median_seconds
                slowest = max(long.added_seconds) / max(short.added_seconds)
                _say(f"One new file, long history against short: ratio {ratio:.2f}; slowest {slowest:.2f}.")
                # The settings that the loop left are those of the long history.
                for query in bench_queries(load_settings(), LAST_DAY):
                    print(query.as_text(), flush=True)
        finally:
            local.down(settings, None, report=print)


def _say(line: str) -> None:
    print(line, flush=True)


def _folder(home: str, name: str) -> Path:
    folder = Path(home) / "files" / name
    folder.mkdir(parents=True)
    return folder


def _fresh_warehouse(settings: Settings, name: str) -> Settings:
    """A migrated, empty warehouse beside the instance's own."""
    url = warehouse_url(settings)
    admin = url.set(username="postgres", database="postgres").render_as_string(hide_password=False)
    with closing(psycopg.connect(admin, autocommit=True)) as server:
        server.execute(f"create database bench_{name} template warehouse owner contactbi")
    os.environ["CONTACTBI_DATABASE_URL"] = url.set(database=f"bench_{name}").render_as_string(
        hide_password=False
    )
    return load_settings()


if __name__ == "__main__":
    main()
