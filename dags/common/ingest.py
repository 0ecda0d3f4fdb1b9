"""How files of any interface come in: the tasks that every ingest DAG is made of.

It must not hold work: each task calls one function of one room.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.common.assets import RAW_ROWS
from dags.common.defaults import INBOUND_FILES_POOL, WAREHOUSE_POOL
from dags.common.failures import NeedsPersonError
from dags.common.gates import pass_gate

FILES_PER_RUN = 200  # a larger backlog takes several runs, so that figures appear while it is worked off


def ingest(interface: str, files_pool: str = INBOUND_FILES_POOL) -> None:
    """Wire the tasks that load the waiting files of an interface, inside the function of its DAG.

    Args:
        interface: Such as `telephony_call`.
        files_pool: Pool of the tasks that load a file each. One of a single slot loads them in their order.
    """

    @task
    def list_files() -> list[dict[str, Any]]:
        from infra.settings import load_settings
        from ingestion.run import new_batch, pending_files, tell_misnamed_files

        settings = load_settings()
        waiting = pending_files(settings, interface)[:FILES_PER_RUN]
        misnamed = tell_misnamed_files(settings, interface)
        if not waiting and not misnamed:
            raise AirflowSkipException("No file waits.")
        batch_id = new_batch(settings)
        return [
            *({"file": file.name, "batch_id": batch_id, "refused": ""} for file in waiting),
            *({"file": file.name, "batch_id": batch_id, "refused": file.error} for file in misnamed),
        ]

    # Few retries: the rest of the run waits for them, and the trigger rings again for a file that still waits.
    @task(pool=files_pool, map_index_template="{{ file }}", retries=2)
    def load_file(file: str, batch_id: int, refused: str) -> dict[str, Any]:
        from infra.settings import load_settings
        from ingestion.run import load_file as load

        get_current_context()["file"] = file
        if refused:  # for its name alone: it is not read, and whoever sent it must hear of it
            raise _quarantined(interface, file, "file_name", refused)
        outcome = load(load_settings(), interface, file, batch_id)
        is_doubtful = (
            outcome.state == "known" and outcome.rule is not None
        )  # a digest came later, and differs
        if outcome.state == "quarantined" or is_doubtful:
            raise _quarantined(interface, outcome.name, outcome.rule, outcome.error)
        if outcome.state in ("busy", "failed"):
            raise RuntimeError(
                f"{outcome.name} is {outcome.state}: {outcome.error or 'another worker has it'}"
            )
        return {"state": outcome.state, "rows_loaded": outcome.rows_loaded}

    @task(
        pool=WAREHOUSE_POOL,
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        outlets=[RAW_ROWS[interface]],
    )
    def raw_gate(outcomes: list[dict[str, Any]]) -> None:  # waits for them
        from infra.settings import load_settings
        from transformation.build import has_new_files

        pass_gate("raw", interface)  # also what a build of another interface's files has taken in already
        if not has_new_files(load_settings()):
            raise AirflowSkipException("No file holds anything that the marts do not: nothing to build.")

    raw_gate(load_file.expand_kwargs(list_files()))


def _quarantined(interface: str, file: str, rule: str | None, advice: str | None) -> NeedsPersonError:
    return NeedsPersonError(
        f"{file} was quarantined ({rule}). {advice}",
        "file_quarantined",
        interface=interface,
        file=file,
        rule=rule,
        advice=advice,
    )
