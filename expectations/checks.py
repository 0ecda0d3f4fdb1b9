"""What a check is, and how a list of them runs on Great Expectations.

A check is a sentence that must hold and a query that returns what breaks it, one line of text each. So a
failed gate says which rows, and its data docs show the same. This module knows no table of ours.
"""

# ruff: noqa: S608  # the queries are made of texts of ours

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from sqlalchemy import URL

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

Aspect = Literal["schema", "volume", "freshness", "missingness", "distribution"]
Severity = Literal["failure", "warning"]

_GX_SEVERITY = {"failure": "critical", "warning": "warning"}
_EXAMPLES = 20


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes:
        aspect: The suite that it belongs to.
        sentence: What must hold, in plain English.
        query: SQL over the relation `batch` that returns what breaks it: a column `detail` for people and,
            for raw
            batches, `batch_id`. No row: it holds.
        severity: A failure closes the gate, a warning is only reported.
    """

    aspect: Aspect
    sentence: str
    query: str
    severity: Severity = "failure"


@dataclass(frozen=True)
class Finding:
    """A check that did not hold.

    Attributes:
        aspect: Its aspect.
        severity: Its severity.
        message: What must hold, and how many things break it.
        details: Up to 20 of them, in words.
        batch_ids: Raw batches that they are in; None if that is not known, so that all must be suspected.
    """

    aspect: Aspect
    severity: Severity
    message: str
    details: tuple[str, ...]
    batch_ids: tuple[int, ...] | None = None


def run_checks(gate: str, checks: Iterable[Check], url: URL, batch: str, docs: Path) -> list[Finding]:
    """Run checks and write the data docs of the run, in the place of those of the run before.

    Args:
        gate: Name that the suites begin with.
        checks: The checks.
        url: The warehouse.
        batch: Query that is the relation `batch`.
        docs: Folder of the gate's data docs; `index.html` is made in it.

    Returns:
        What did not hold, in the order of the checks. A check whose query fails counts as not holding.
    """
    checks = list(checks)
    import great_expectations as gx  # takes seconds: only those who check pay for it
    from great_expectations.checkpoint.actions import UpdateDataDocsAction
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
    from great_expectations.expectations.metadata_types import FailureSeverity

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    context.add_data_docs_site("local", cast(Any, _docs_site(docs)))
    in_utc = url.set(drivername="postgresql+psycopg").update_query_dict({"options": "-c timezone=UTC"})
    warehouse = context.data_sources.add_postgres(
        "warehouse",
        connection_string=in_utc.render_as_string(hide_password=False),
        create_temp_table=False,
    )
    definition = warehouse.add_query_asset(gate, batch).add_batch_definition(gate)
    validations = []
    for aspect in dict.fromkeys(check.aspect for check in checks):
        suite = context.suites.add(gx.ExpectationSuite(f"{gate}.{aspect}"))
        for number, check in enumerate(checks):
            if check.aspect == aspect:
                suite.add_expectation(
                    UnexpectedRowsExpectation(
                        unexpected_rows_query=_over_batch(check.query),
                        description=check.sentence,
                        severity=FailureSeverity(_GX_SEVERITY[check.severity]),
                        meta={"check": number},
                    )
                )
        validations.append(
            context.validation_definitions.add(
                gx.ValidationDefinition(name=suite.name, data=definition, suite=suite)
            )
        )
    checkpoint = gx.Checkpoint(
        name=gate,
        validation_definitions=validations,
        actions=[UpdateDataDocsAction(name="data_docs", site_names=["local"])],
        result_format={"result_format": "COMPLETE"},
    )
    outcome = context.checkpoints.add(checkpoint).run(run_id=gx.RunIdentifier(run_name=gate))
    results = [result for suite in outcome.run_results.values() for result in suite.results]
    broken = {_number(each): each for each in results if not each.success}
    if len(results) != len(checks):
        raise RuntimeError(f"The {gate} gate has {len(checks)} checks and {len(results)} results.")
    return [_finding(checks[number], broken[number]) for number in sorted(broken)]


def _over_batch(query: str) -> str:
    """The query with the relation `batch` that it names; `{batch}` is for Great Expectations to fill in."""
    return f"with batch as (select * from {{batch}}) select * from ({query}) as found"


def _number(result: ExpectationValidationResult) -> int:
    """Which check a result is of."""
    assert result.expectation_config is not None  # noqa: S101  # a checkpoint always says what it looked at
    return int((result.expectation_config.meta or {})["check"])


def _finding(check: Check, result: ExpectationValidationResult) -> Finding:
    rows: list[dict[str, Any]] = result.result.get("details", {}).get("unexpected_rows", [])
    if not rows:
        errors = {
            str(each.get("exception_message")).partition("\n")[0]
            for each in result.exception_info.values()
            if isinstance(each, dict)
        }
        reason = tuple(sorted(errors)) or ("no reason was given",)
        return Finding(check.aspect, check.severity, f"{check.sentence} This could not be checked.", reason)
    total = int(result.result["observed_value"])
    batches = [row.get("batch_id") for row in rows]
    known = total == len(rows) and None not in batches
    return Finding(
        check.aspect,
        check.severity,
        f"{check.sentence} Not so in {total:,} {'place' if total == 1 else 'places'}.",
        tuple(str(row["detail"]) for row in rows[:_EXAMPLES]),
        tuple(sorted({int(each) for each in batches if each is not None})) if known else None,
    )


def _docs_site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "show_how_to_buttons": False,
    }
