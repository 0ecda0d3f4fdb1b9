"""Load the extract of work in progress, every two hours.

## Purpose
Keep `raw.wip_extract` and `serving.wip_current` at the newest extract of HM Passport Office's work in progress:
every application that is not finished. An extract replaces the one before at one instant; a reader sees the
whole old one or the whole new one.

## Schedule
At five minutes past every even hour, London time, when the extract of the hour has come. Also when an extract
comes at another time: one that is ten minutes late is then loaded ten minutes late, not two hours.

## Inputs and outputs
In: files `wip_extract_*` on the inbound server that the ledger `ops.files` does not know as done. Out:
`raw.wip_extract`, `serving.wip_current` (for the CRM alone), `ops.files`, `quarantine.rows`; the asset
`raw.wip_extract`, when at least one extract was loaded.

## Steps
1. `list_files`: ask the ledger which extracts wait, oldest first. None: the run is skipped.
2. `load_file`, once per extract, one after another: load it in one transaction, or hold it.
3. `raw_gate`: check the raw rows; if it passes, the asset wakes `transform_warehouse`.

## On failure
An extract that is cut off, empty, older than the current one, or of a size that differs too much is held: its
task fails, the alert gives the rule and the advice, and the current extract stays in use. What to do:
`docs/runbooks/wip-extract-held.md`. Any other failure is retried with growing pauses; loading is idempotent.
That no extract came at all is told by `watch_freshness`.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag

from dags.common.assets import INBOUND_FILES
from dags.common.defaults import DAG_DEFAULTS, EXTRACTS_POOL, LOCAL_TIME
from dags.common.ingest import ingest

INTERFACE = "wip_extract"
EVERY_TWO_HOURS = CronTriggerTimetable("5 */2 * * *", timezone=LOCAL_TIME)


@dag(
    schedule=AssetOrTimeSchedule(timetable=EVERY_TWO_HOURS, assets=[INBOUND_FILES[INTERFACE]]),
    doc_md=__doc__,
    tags=["ingestion", "work in progress"],
    **DAG_DEFAULTS,
)
def ingest_wip() -> None:
    """Wire the tasks."""
    ingest(INTERFACE, files_pool=EXTRACTS_POOL)


ingest_wip()
