"""Passing a quality gate from within a task: what was found goes to the log, and a failure stops the chain."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException


def pass_gate(gate: str) -> None:
    """Run a gate.

    Args:
        gate: `raw` or `release`.

    Raises:
        AirflowFailException: It failed. It is not tried again, because the same data gives the same answer.
    """
    from expectations.gates import check
    from infra.settings import load_settings

    for result in check(load_settings(), gate):
        print(result.as_text())  # noqa: T201  # to the task's log
        if not result.success:
            raise AirflowFailException(f"The {gate} gate failed; see above.")
