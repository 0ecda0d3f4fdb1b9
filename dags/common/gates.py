"""Passing a quality gate from within a task: what was found goes to the log, and a failure stops the chain."""

from __future__ import annotations

from dags.common.failures import NeedsPersonError


def pass_gate(gate: str, interface: str | None = None) -> None:
    """Run a gate.

    Args:
        gate: `raw` or `release`.
        interface: For the raw gate: the interface whose batches are looked at. None: all of them.

    Raises:
        NeedsPersonError: It failed. It is not tried again, because the same data gives the same answer.
    """
    from expectations.gates import check
    from infra.settings import load_settings

    for result in check(load_settings(), gate, interface):
        print(result.as_text())  # noqa: T201  # to the task's log
        if not result.success:
            failed = [each.message for each in result.findings if each.severity == "failure"]
            raise NeedsPersonError(
                f"The {gate} gate failed; see above.",
                "gate_failed",
                gate=gate,
                subject=result.subject,
                failed=failed,
            )
