"""Call for help when data does not come.

## Purpose
Say so when nothing of an interface was loaded for longer than its contract promises: the extract of work in
progress, when none was loaded for 2 hours 30 minutes. A file that never came leaves no failed task behind, so
somebody must look at the clock.

## Schedule
Every 15 minutes, London time.

## Inputs and outputs
In: `ops.files`, and the promise `freshness` of each contract. Out: nothing but the alert.

## Steps
1. `look`: compare the last load of each such interface with the clock.

## On failure
It fails, and alerts, at each look for as long as data is late, so that this page is red exactly while it is. The
alert names the interface, the last load and the promise. What to do: `docs/runbooks/late-or-missing-files.md`.

## Owner
contactbi
"""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable, dag, task

from dags.common.defaults import DAG_DEFAULTS, LOCAL_TIME
from dags.common.failures import NeedsPersonError

EVERY_QUARTER_HOUR = CronTriggerTimetable("*/15 * * * *", timezone=LOCAL_TIME)


@dag(schedule=EVERY_QUARTER_HOUR, doc_md=__doc__, tags=["watch"], **DAG_DEFAULTS)
def watch_freshness() -> None:
    """Wire the tasks."""

    @task
    def look() -> None:
        from expectations.freshness import freshness
        from infra.settings import load_settings

        states = freshness(load_settings())
        print("\n".join(state.as_text() for state in states))  # noqa: T201  # to the task's log
        late = [state for state in states if state.is_late]
        if late:
            raise NeedsPersonError(
                "Data is late; see above.", "data_late", late=[state.as_text() for state in late]
            )

    look()


watch_freshness()
