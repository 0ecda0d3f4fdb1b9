"""The call for help: when a task has used up its retries, say so where people and programs look.

One JSON line goes to `<home>/logs/alerts.jsonl`, and the same to the log. The error's own text is left out,
because a database may quote a row in it; the line points to the task's log instead. An error of ours that is fit
to be told carries an `alert` (see `failures`), which the line then holds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from infra.settings import load_settings

if TYPE_CHECKING:
    from airflow.sdk.types import Context  # the DAG processor should not import more than it must

log = structlog.get_logger(__name__)


def task_failed(context: Context) -> None:
    """Report a task that has failed for good.

    Args:
        context: What Airflow knows of the task instance.
    """
    task = context["ti"]
    error = context.get("exception")
    alert = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": "task_failed",
        "dag": task.dag_id,
        "task": task.task_id,
        "run": task.run_id,
        "map_index": task.map_index,
        "attempt": task.try_number,
        "error": type(error).__name__,
        "log": task.log_url,
        **getattr(error, "alert", {}),
    }
    log.error(**alert)
    logs = load_settings().logs
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "alerts.jsonl").open("a", encoding="utf-8") as alerts:
        alerts.write(json.dumps(alert) + "\n")  # one short append: lines do not mix
