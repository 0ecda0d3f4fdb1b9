"""What every DAG has in common, so that a DAG file says only what is its own.

It must not hold work: a task calls one function of one room.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dags.common.notify import task_failed

OWNER = "contactbi"

INBOUND_FILES_POOL = "inbound_files"
EXTRACTS_POOL = "full_extracts"
WAREHOUSE_POOL = "warehouse_build"

LOCAL_TIME = "Europe/London"

DAG_DEFAULTS: dict[str, Any] = {
    "catchup": False,
    "max_active_runs": 1,  # asset events that arrive during a run are taken together by the next one
    "dagrun_timeout": timedelta(hours=6),
    "default_args": {
        "owner": OWNER,
        "retries": 4,
        "retry_delay": timedelta(seconds=5),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=5),
        "on_failure_callback": task_failed,
    },
}
"""Arguments of every `@dag`. Retries wait about 5, 10, 20 and 40 s, and are safe: work is idempotent."""
