"""Build the marts from what was loaded.

## Purpose
Keep every figure in the marts equal to the raw rows, within a minute of their arrival.

## Schedule
Runs when `ingest_telephony` has loaded files. Events that arrive while it runs are taken together by the next
run.

## Inputs and outputs
In: the raw tables; which files are new is read from `ops.build_files`. Out: the schema `marts`, a row in
`ops.builds`, the asset `marts`.

## Steps
1. `build`: build and test what the new files touch.
2. `release_gate`: check the marts; if it passes, the asset wakes `publish_feeds`.

## On failure
A failed build is retried with growing pauses. If the release gate fails, the data stays and nothing is
published: its log names the expectation and the rows. Correct the cause and run this DAG again.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import dag, task

from dags.common.assets import MARTS, RAW_TELEPHONY_CALL
from dags.common.defaults import DAG_DEFAULTS, WAREHOUSE_POOL
from dags.common.gates import pass_gate


@dag(schedule=[RAW_TELEPHONY_CALL], doc_md=__doc__, tags=["transformation"], **DAG_DEFAULTS)
def transform_warehouse() -> None:
    """Wire the tasks."""

    @task(pool=WAREHOUSE_POOL)
    def build() -> None:
        from infra.settings import load_settings
        from transformation.build import build as build_marts

        result = build_marts(load_settings())
        if not result.succeeded:
            raise RuntimeError(result.as_text())
        print(result.as_text())  # noqa: T201  # to the task's log

    @task(pool=WAREHOUSE_POOL, outlets=[MARTS])
    def release_gate() -> None:
        pass_gate("release")

    build() >> release_gate()


transform_warehouse()
