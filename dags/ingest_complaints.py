"""Load complaints as they arrive.

## Purpose
Bring every file of the interface `complaint` into `raw.complaint`, each exactly once. One row is what was
known of one complaint when the file was written.

## Schedule
Runs when a file waits. One look at the folder each second serves all interfaces and holds no worker; it rings
again while files wait.

## Inputs and outputs
In: files `complaint_*` on the inbound server that the ledger `ops.files` does not know as done.
Out: `raw.complaint`, `ops.files`, `quarantine.rows`; the asset `raw.complaint`, when at
least one file was loaded.

## Steps
1. `list_files`: ask the ledger which files wait, oldest first, at most 200 in one run.
2. `load_file`, once per file: load it in one transaction. A quarantined file fails alone.
3. `raw_gate`: check the raw rows; if it passes, the asset wakes `transform_warehouse`.

## On failure
A quarantined file is not tried again and has its reason in `ops.files` and in the alert: correct it at the
source and send it again. Any other failure is retried with growing pauses, and may be retried by hand at any
time: loading is idempotent. If the raw gate fails, its log names the expectation and the rows; nothing is built
from this run.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import dag

from dags.common.assets import INBOUND_FILES
from dags.common.defaults import DAG_DEFAULTS
from dags.common.ingest import ingest

INTERFACE = "complaint"


@dag(schedule=[INBOUND_FILES[INTERFACE]], doc_md=__doc__, tags=["ingestion", "complaints"], **DAG_DEFAULTS)
def ingest_complaints() -> None:
    """Wire the tasks."""
    ingest(INTERFACE)


ingest_complaints()
