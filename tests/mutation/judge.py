"""Judge one mutant after another: each is killed by the first test that fails.

First the dbt unit tests of the changed model, then a full build, then an increment; after each
build the dbt tests, and the rows that the oracle expects.

Of the full build only what can differ is run: the changed models and all that depends on them, on a copy of the full
build without the mutant and under the number of that build. All else stands there as the same build would write it,
so that every test sees one whole build. An increment is always run whole: its worklists look at what the build before
left.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dbt.cli.main
import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

import transformation.build as building
from infra.postgres import connect
from tests.integration.test_kpis import test_contributions_add_up_to_every_result
from tests.mutation.mutants import MACRO, PROJECT, Mutant, models_changed
from tests.mutation.world import AS_OF, World, clone, fingerprints, sum_of

_NOT_SQL_ANY_MORE = re.compile(
    r"syntax error|does not exist|must appear in the GROUP BY|cannot be matched|must be type|invalid reference"
    r"|Compilation Error|Contract Error|contract that failed|FULL JOIN is only supported|missing FROM-clause"
)
_LONGEST_STATEMENT = "90s"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: killed by a test, survived, or not SQL that PostgreSQL would run."""

    mutant: Mutant
    outcome: str
    by: str = ""


class Judge:
    """One worker: a parsed dbt project, and a database, of its own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.name = f"judge_{os.getpid()}"
        self.settings = world.of(self.name, folder / self.name)
        self.tested_by_units = {
            name
            for path in PROJECT.rglob("*unit_tests.yml")
            for name in re.findall(r"^ +model: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        }
        # A change of the project would make every build full.
        building._inputs_digest = lambda settings: world.digest
        # Parsed once: a mutant is put into what dbt holds of the project. To parse again takes longer than a test.
        self.manifest = building.invoke(self.settings, ["parse"]).result
        dbt.cli.main.dbtRunner = partial(dbt.cli.main.dbtRunner, self.manifest)  # type: ignore[misc, assignment]
        invoke = building.invoke
        building.invoke = lambda settings, arguments, *report: invoke(
            settings, [*arguments, "--fail-fast", "--no-write-json"], *report
        )
        os.environ["PGOPTIONS"] = f"-c statement_timeout={_LONGEST_STATEMENT}"

    def judge(self, mutant: Mutant | None) -> Verdict:
        """Put the mutant in place of the original, look for a test that fails, and put the original back."""
        try:
            if mutant:
                self._hold(mutant.path, mutant.text())
            clone(self.world.settings, self.name, "after")
            models = models_changed(mutant) if mutant else []
            is_macro = mutant is not None and mutant.path.startswith("macros/")
            failure = self._units(models) or self._full(models, is_macro=is_macro)
            if not failure:
                clone(self.world.settings, self.name, "before")
                failure = self._increment()
        finally:
            if mutant:
                self._hold(mutant.path, (PROJECT / mutant.path).read_text(encoding="utf-8"))
        outcome = "survived" if not failure else "no SQL" if _NOT_SQL_ANY_MORE.search(failure) else "killed"
        return Verdict(mutant, outcome, " ".join(failure.split())[:160])  # type: ignore[arg-type]

    def _hold(self, path: str, text: str) -> None:
        """Make dbt hold this text of a file."""
        if path.startswith("models/"):
            self.manifest.nodes[f"model.contactbi.{Path(path).stem}"].raw_code = text.strip()
        else:
            for macro in MACRO.finditer(text):
                self.manifest.macros[f"macro.contactbi.{macro[1]}"].macro_sql = macro.group()

    def _units(self, models: Sequence[str]) -> str:
        """The unit tests of some models, or of all."""
        tested = [f"{model},test_type:unit" for model in models if model in self.tested_by_units]
        if models and not tested:
            return ""
        return self._dbt("unit test", "test", "--select", *(tested or ["test_type:unit"]))

    def _full(self, models: Sequence[str], *, is_macro: bool) -> str:
        """Build in full some models and all that depends on them, or everything; what failed, or nothing."""
        if len(models) == 1 and not is_macro:
            expected = self._rows_of(*models)
            failure = self._dbt("full build", "run", "--full-refresh", "--select", *models)
            if failure or self._rows_of(*models) == expected:
                return failure  # nothing reads more of it than its rows; a macro may write functions too
        chosen = ["--select", *(f"{model}+" for model in models)] if models else []
        return (
            self._dbt(
                "full build", "build", "--full-refresh", "--exclude-resource-type", "unit_test", *chosen
            )
            or self._differences("full build")
            or self._contributions()
        )

    def _increment(self) -> str:
        result = building.build(self.settings, AS_OF, report=lambda line: None)
        if not result.succeeded:
            return f"increment: {_reason(result.failures[0])}"
        assert not result.full_refresh, result.reason
        return self._differences("increment")

    def _dbt(self, kind: str, *arguments: str) -> str:
        result = building.invoke(self.settings, list(arguments))
        failed = [
            node
            for node in getattr(result.result, "results", None) or []
            if str(node.status) in building._RESULTS_THAT_FAIL
        ]
        if failed:
            return f"{kind} {failed[0].node.name}: {_reason(failed[0].message)}"
        return "" if result.success else f"{kind}, dbt: {result.exception}"

    def _rows_of(self, model: str) -> Any:
        with connect(self.settings) as connection:
            found = connection.execute(
                "select table_schema from information_schema.tables "
                "where table_name = %s and table_schema in ('intermediate', 'marts')",
                (model,),
            ).fetchone()
            assert found, model
            return sum_of(connection, SQL("select * from {}").format(Identifier(found[0], model)))

    def _differences(self, kind: str) -> str:
        """The marts that are not as the oracle says."""
        try:
            found = fingerprints(self.settings, self.world.instants)
        except (AssertionError, psycopg.Error) as error:
            return f"{kind}, oracle: {str(error)[:120]}"
        differ = [table for table, told in found.items() if told != self.world.expected[table]]
        return f"{kind}, oracle: {', '.join(differ)}" if differ else ""

    def _contributions(self) -> str:
        try:
            test_contributions_add_up_to_every_result(self)  # type: ignore[arg-type]
        except AssertionError:
            return "full build: contributions do not add up to the results of KPIs"
        return ""

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Rows of a query: what a test of the KPIs asks of its world."""
        with connect(self.settings, row_factory=dict_row) as connection:
            return connection.execute(statement.encode()).fetchall()  # type: ignore[return-value]


def _reason(message: object) -> str:
    lines = [line.strip() for line in str(message).splitlines() if line.strip()]
    return " ".join(lines[:3])


_judge: Judge | None = None  # of this process


def run(
    world: World, chosen: Sequence[Mutant], home: Path, workers: int, minutes: float | None
) -> Iterator[Verdict]:
    """Judge mutants side by side, and tell of each."""
    began = time.monotonic()
    with get_context("spawn").Pool(workers, _begin, (world, home)) as pool:
        unchanged = pool.apply_async(_judge_one, (None,))
        verdicts = pool.imap_unordered(partial(_judge_in_time, began, minutes), chosen)
        if unchanged.get().outcome != "survived":
            raise AssertionError(f"A test fails without any mutant: {unchanged.get().by}")
        print(f"Unchanged, all tests pass ({time.monotonic() - began:.0f} s).", flush=True)
        for number, verdict in enumerate(verdicts, start=1):
            if verdict is not None:
                print(
                    f"{number}/{len(chosen)} {time.monotonic() - began:.0f} s {verdict.outcome.upper()}: "
                    f"{verdict.mutant}{' - ' if verdict.by else ''}{verdict.by}",
                    flush=True,
                )
                yield verdict


def _begin(world: World, home: Path) -> None:
    global _judge  # noqa: PLW0603
    _judge = Judge(world, home)


def _judge_one(mutant: Mutant | None) -> Verdict:
    assert _judge is not None
    return _judge.judge(mutant)


def _judge_in_time(began: float, minutes: float | None, mutant: Mutant) -> Verdict | None:
    # The monotonic clock is one for all processes of a machine.
    in_time = minutes is None or time.monotonic() - began < minutes * 60
    return _judge_one(mutant) if in_time else None
