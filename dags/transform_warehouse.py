"""Build the marts from what was loaded.

## Purpose
Keep every figure in the marts equal to the raw rows, within a minute of their arrival.

## Schedule
Runs when any ingest DAG has loaded files, of whatever interface. Events that arrive while it runs are taken
together by the next run.

## Inputs and outputs
In: the raw tables; which files are new is read from `ops.build_files`. Out: the schema `marts`, a row in
`ops.builds`, the asset `marts`.

## Steps
1. `build`: build and test what the new files touch.
2. `release_gate`: check the raw batches that no ingest DAG has checked yet, then the marts; if both pass, the asset
   wakes `publish_feeds`.

## On failure
A failed build is retried with growing pauses. If the release gate fails, the data stays and nothing is
published: its log names the expectation and the rows. Correct the cause and run this DAG again.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import AssetAny, dag, task

from dags.common.assets import MARTS, RAW_ROWS
from dags.common.defaults import DAG_DEFAULTS, WAREHOUSE_POOL
from dags.common.gates import pass_gate


@dag(schedule=AssetAny(*RAW_ROWS.values()), doc_md=__doc__, tags=["transformation"], **DAG_DEFAULTS)
def transform_warehouse() -> None:
    """Wire the tasks."""

    @task(pool=WAREHOUSE_POOL)
    def build() -> None:
        from infra.settings import load_settings
        from ingestion.run import ensure_raw_tables
        from transformation.build import build as build_marts

        settings = load_settings()
        ensure_raw_tables(settings)  # those of interfaces that no file has come for yet
        result = build_marts(settings)
        if not result.succeeded:
            raise RuntimeError(result.as_text())
        print(result.as_text())  # noqa: T201  # to the task's log

    @task(pool=WAREHOUSE_POOL, outlets=[MARTS])
    def release_gate() -> None:
        pass_gate("raw")  # of files that were loaded, and taken in, while another interface's woke the build
        pass_gate("release")

    build() >> release_gate()


transform_warehouse()
