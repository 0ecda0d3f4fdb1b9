"""Publish what passed the release gate.

## Purpose
Bring the raw feed and the aggregate feed to HM Passport Office's S3 as Delta tables, each batch exactly once.

## Schedule
Runs when `transform_warehouse` has passed the release gate. Events that arrive while it runs are taken
together by the next run.

## Inputs and outputs
In: the schema `feeds` of the warehouse. Out: Delta tables in the bucket of the settings.

## Steps
1. `publish`: append to each feed what it does not hold yet.
2. `freeze_kpis`: write down the KPI values that are now reported, so that later changes are seen
   (`marts.kpi_restatements`).

## On failure
Retried with growing pauses. A batch that has landed is recognised and not sent again, so this may be run by
hand at any time. While the last build has not passed the release gate, publication is refused, and the log
says why.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import dag, task

from dags.common.assets import MARTS
from dags.common.defaults import DAG_DEFAULTS, WAREHOUSE_POOL


@dag(schedule=[MARTS], doc_md=__doc__, tags=["delivery"], **DAG_DEFAULTS)
def publish_feeds() -> None:
    """Wire the tasks."""

    @task(pool=WAREHOUSE_POOL)
    def publish() -> None:
        from delivery.feeds.publish import publish as publish_to_s3
        from infra.settings import load_settings

        for feed in publish_to_s3(load_settings(), report=print):
            print(feed.as_text())  # noqa: T201  # to the task's log

    @task(pool=WAREHOUSE_POOL)
    def freeze_kpis() -> None:
        from delivery.kpis.freeze import freeze
        from infra.settings import load_settings

        print(freeze(load_settings(), "feed").as_text())  # noqa: T201  # to the task's log

    publish() >> freeze_kpis()


publish_feeds()
