"""Judge one mutant after another: each is killed by the first test that fails.

First the dbt unit tests of the changed model, then a full build, then an increment; after each
build the dbt tests, and the rows that the oracle expects.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

import transformation.build as building
from infra.postgres import connect
from tests.integration.test_kpis import test_contributions_add_up_to_every_result
from tests.mutation.mutants import PROJECT, Mutant
from tests.mutation.world import AS_OF, World, clone, fingerprints

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
    """One worker: a copy of the dbt project, and databases, of its own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.name = f"judge_{os.getpid()}"
        self.home = folder / self.name
        self.project = self.home / "project"
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("target", "logs"))
        self.settings = world.of(self.name, self.home)
        building.PROJECT = self.project
        # A change of the project would make every build full.
        building._inputs_digest = lambda settings: world.digest
        clone(world.settings, f"{self.name}_units", "after")

    def judge(self, mutant: Mutant | None) -> Verdict:
        """Put the mutant in place of the original, look for a test that fails, and put the original back."""
        target = self.project / mutant.path if mutant else None
        try:
            if target and mutant:
                target.write_text(mutant.text(), encoding="utf-8")
            model = target.stem if target and "models/" in str(mutant.path) else None
            failure = (
                self._units(model)
                or self._build("after", full_refresh=True)
                or self._contributions()
                or self._build("before", full_refresh=False)
            )
        finally:
            if target and mutant:
                shutil.copy(PROJECT / mutant.path, target)
        outcome = "survived" if not failure else "no SQL" if _NOT_SQL_ANY_MORE.search(failure) else "killed"
        return Verdict(mutant, outcome, " ".join(failure.split())[:160])  # type: ignore[arg-type]

    def _units(self, model: str | None) -> str:
        settings = self.world.of(f"{self.name}_units", self.home)
        chosen = f"{model},test_type:unit" if model else "test_type:unit"
        result = building.invoke(settings, ["test", "--select", chosen])
        failed = [
            o for o in (getattr(result.result, "results", None) or []) if str(o.status) in ("fail", "error")
        ]
        if not result.success and not failed:
            return f"dbt: {result.exception}"
        return f"unit test {failed[0].node.name}: {_reason(failed[0].message)}" if failed else ""

    def _build(self, template: str, *, full_refresh: bool) -> str:
        """Build on a copy of a database, and compare with what the oracle expects; what failed, or nothing.

        Never a part of the marts alone: tests that look at several of them would fail without any mutant.
        """
        clone(self.world.settings, self.name, template)
        os.environ["PGOPTIONS"] = f"-c statement_timeout={_LONGEST_STATEMENT}"
        result = building.build(self.settings, AS_OF, full_refresh, report=lambda line: None)
        kind = "full build" if full_refresh else "increment"
        if not result.succeeded:
            return f"{kind}: {_reason(result.failures[0])}"
        assert result.full_refresh == full_refresh, result.reason
        try:
            found = fingerprints(self.settings, self.world.instants if full_refresh else ())
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
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(world, home)
    ) as pool:
        unchanged = pool.submit(_judge_one, None)
        waiting = {pool.submit(_judge_in_time, mutant, began, minutes) for mutant in chosen}
        if unchanged.result().outcome != "survived":
            pool.shutdown(cancel_futures=True)
            raise AssertionError(f"A test fails without any mutant: {unchanged.result().by}")
        print(f"Unchanged, all tests pass ({time.monotonic() - began:.0f} s).", flush=True)
        for number, done in enumerate(as_completed(waiting), start=1):
            verdict = done.result()
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


def _judge_in_time(mutant: Mutant, began: float, minutes: float | None) -> Verdict | None:
    # The monotonic clock is one for all processes of a machine.
    in_time = minutes is None or time.monotonic() - began < minutes * 60
    return _judge_one(mutant) if in_time else None
