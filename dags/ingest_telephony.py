"""Load call records as they arrive.

## Purpose
Bring every file of the interface `telephony_call` into `raw.telephony_call`, each exactly once, within
seconds of its arrival.

## Schedule
Runs when a file waits. A trigger looks every second and holds no worker; it rings again while files wait.

## Inputs and outputs
In: files on the inbound SFTP server that the ledger `ops.files` does not know as done. Out:
`raw.telephony_call`, `ops.files`, `quarantine.rows`; the asset `raw.telephony_call`, when at least one file
was loaded.

## Steps
1. `list_files`: ask the ledger which files wait, oldest first, at most 200 in one run.
2. `load_file`, once per file: load it in one transaction. A quarantined file fails alone.
3. `raw_gate`: check the raw rows; if it passes, the asset wakes `transform_warehouse`.

## On failure
A quarantined file is not tried again and has its reason in `ops.files`: correct it at the source and send
it again. Any other failure is retried with growing pauses, and may be retried by hand at any time: loading
is idempotent. If the raw gate fails, its log names the expectation and the rows; nothing is built from this
run.

## Owner
contactbi
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.common.assets import RAW_TELEPHONY_CALL, TELEPHONY_CALL_FILES
from dags.common.defaults import DAG_DEFAULTS, INBOUND_FILES_POOL, WAREHOUSE_POOL
from dags.common.gates import pass_gate

INTERFACE = "telephony_call"
FILES_PER_RUN = 200  # a larger backlog takes several runs, so that figures appear while it is worked off


@dag(schedule=[TELEPHONY_CALL_FILES], doc_md=__doc__, tags=["ingestion", "voice"], **DAG_DEFAULTS)
def ingest_telephony() -> None:
    """Wire the tasks."""

    @task
    def list_files() -> list[dict[str, Any]]:
        from infra.settings import load_settings
        from ingestion.run import new_batch, pending_files

        settings = load_settings()
        waiting = pending_files(settings, INTERFACE)[:FILES_PER_RUN]
        if not waiting:
            raise AirflowSkipException("No file waits.")
        batch_id = new_batch(settings)
        return [{"file": file.name, "batch_id": batch_id} for file in waiting]

    # Few retries: the rest of the run waits for them, and the trigger rings again for a file that still waits.
    @task(pool=INBOUND_FILES_POOL, map_index_template="{{ file }}", retries=2)
    def load_file(file: str, batch_id: int) -> dict[str, Any]:
        from infra.settings import load_settings
        from ingestion.run import load_file as load

        get_current_context()["file"] = file
        outcome = load(load_settings(), INTERFACE, file, batch_id)
        if outcome.state == "quarantined":
            raise AirflowFailException(f"{file} was quarantined ({outcome.rule}): {outcome.error}")
        if outcome.state in ("busy", "failed"):
            raise RuntimeError(f"{file} is {outcome.state}: {outcome.error or 'another worker has it'}")
        return {"state": outcome.state, "rows_loaded": outcome.rows_loaded}

    @task(
        pool=WAREHOUSE_POOL, trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS, outlets=[RAW_TELEPHONY_CALL]
    )
    def raw_gate(outcomes: list[dict[str, Any]]) -> None:  # waits for them
        from infra.settings import load_settings
        from transformation.build import has_new_files

        if not has_new_files(load_settings()):
            raise AirflowSkipException("No file holds anything that the marts do not: nothing to build.")
        pass_gate("raw")

    raw_gate(load_file.expand_kwargs(list_files()))


ingest_telephony()
