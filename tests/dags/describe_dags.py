"""Parse a folder of DAGs as Airflow does, and print what a test wants to know of them as JSON.

A program of its own, because importing Airflow changes the logging and the environment of the process.
"""

from __future__ import annotations

import json
import sys
from typing import Any

IO_EVENTS = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "sqlite3.connect"}
ROOMS = ("analysis", "dashboards", "delivery", "expectations", "ingestion", "transformation")


def describe(folder: str) -> dict[str, Any]:
    """Parse the DAGs in a folder.

    Args:
        folder: Folder of DAG files.

    Returns:
        DAGs by id, import errors by file, what parsing reached out to, and rooms that parsing imported.
    """
    from airflow.dag_processing.dagbag import DagBag  # noqa: TID251

    reached_out: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in IO_EVENTS:
            reached_out.append(event)

    sys.addaudithook(watch)
    bag = DagBag(folder)
    watching = False
    return {
        "dags": {dag_id: _dag(dag) for dag_id, dag in bag.dags.items()},
        "import_errors": bag.import_errors,
        "reached_out": reached_out,
        "rooms": sorted(name for name in sys.modules if name.split(".")[0] in ROOMS),
    }


def _dag(dag: Any) -> dict[str, Any]:
    condition = getattr(dag.timetable, "asset_condition", None)
    assets = sorted(condition.objects, key=lambda asset: asset.name) if condition else []
    return {
        "file": dag.fileloc,
        "doc_md": dag.doc_md,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "assets": [asset.name for asset in assets],
        "any_asset": type(condition).__name__ == "AssetAny",
        "clock": _clock(getattr(dag.timetable, "timetable", dag.timetable)),
        "watches": [watcher.trigger.interface for asset in assets for watcher in asset.watchers],
        "tasks": {task.task_id: _task(task) for task in dag.tasks},
    }


def _clock(timetable: Any) -> list[str]:
    """The crontab line of a timetable and its time zone; nothing if it does not run by the clock."""
    expression = getattr(timetable, "expression", None)
    return [expression, str(timetable.timezone)] if expression else []


def _task(task: Any) -> dict[str, Any]:
    callbacks = task.on_failure_callback
    callbacks = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    return {
        "owner": task.owner,
        "retries": task.retries,
        "backoff": task.retry_exponential_backoff,
        "pool": task.pool,
        "outlets": sorted(outlet.name for outlet in task.outlets),
        "mapped": task.is_mapped,
        "trigger_rule": task.trigger_rule.value,
        "on_failure": [f"{callback.__module__}.{callback.__name__}" for callback in callbacks if callback],
    }


if __name__ == "__main__":
    description = describe(sys.argv[1])
    print("\n" + json.dumps(description))  # the last line: Airflow may print before it
