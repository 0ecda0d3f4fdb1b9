"""`make mutation`: change the metric SQL, one rule at a time, and see that a test fails each time.

Everything runs on a PostgreSQL of its own, in a temporary folder, and is gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra import local
from infra.settings import CHECKOUT, load_settings
from tests.mutation.judge import Verdict, run
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.world import make_world

PAGE = CHECKOUT / "docs" / "mutation.md"
LAST_RUN = "## The last run"


def main() -> None:
    """Judge a sample of all mutants and print the score."""
    options = argparse.ArgumentParser(
        prog="python -m tests.mutation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--sample", type=int, help="how many mutants, spread over the files (default: all)")
    options.add_argument("--seed", type=int, default=1, help="of the sample")
    options.add_argument("--only", default="", help="part of the path of files to change")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--minutes", type=float, help="begin no mutant after so many minutes")
    options.add_argument("--list", action="store_true", help="print the mutants and judge none")
    options.add_argument(
        "--publish", action="store_true", help=f"write the score to {PAGE.relative_to(CHECKOUT)}"
    )
    choice = options.parse_args()
    every = [mutant for mutant in mutants() if choice.only in mutant.path]
    chosen = spread(every, choice.sample or len(every), choice.seed)
    if choice.list:
        print(*chosen, sep="\n")
        return
    with tempfile.TemporaryDirectory(prefix="contactbi-mutation-") as home:
        # The embedded PostgreSQL runs as a user of its own and must be able to get here.
        Path(home).chmod(0o755)
        os.environ["CONTACTBI_HOME"] = home
        settings = load_settings()
        local.up(settings, ["postgres"], report=print)
        try:
            world = make_world(settings, Path(home) / "world")
            print(f"The world equals the oracle. {len(chosen)} of {len(every)} mutants.", flush=True)
            verdicts = list(run(world, chosen, Path(home), choice.workers, choice.minutes))
        finally:
            local.down(settings, None, report=print)
    command = f"python -m tests.mutation --sample {len(verdicts)} --seed {choice.seed}"
    text = report(verdicts, len(every), command + (f" --only {choice.only}" if choice.only else ""))
    print(text)
    if choice.publish:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(f"{page.split(LAST_RUN)[0]}{LAST_RUN}\n\n{text}", encoding="utf-8")


def spread(every: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """A sample that takes from each file in turn, in an order drawn by the seed."""
    order = random.Random(seed)
    by_file: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in every:
        by_file[mutant.path].append(mutant)
    ranked = []
    for of_file in by_file.values():
        order.shuffle(of_file)
        # The place of a mutant is the share of its file that stands before it: a long file is taken from more often.
        ranked += [((place + order.random()) / len(of_file), mutant) for place, mutant in enumerate(of_file)]
    return [mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])[:count]]


def report(verdicts: Sequence[Verdict], of: int, command: str) -> str:
    """The score, by file and in all, and what survived."""
    judged = [verdict for verdict in verdicts if verdict.outcome != "no SQL"]
    by_file: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in sorted(judged, key=lambda verdict: verdict.mutant.path):
        by_file[verdict.mutant.path].append(verdict)
    rows = [f"| `{path}` | {_killed(of_file)} | {len(of_file)} |" for path, of_file in by_file.items()]
    survivors = [
        f"- `{v.mutant.path}:{v.mutant.line}`: {v.mutant.change} in `{v.mutant.code}`"
        for of_file in by_file.values() for v in of_file if v.outcome == "survived"
    ]  # fmt: skip
    killed = _killed(judged)
    lines = [
        f"Run on {datetime.now(UTC):%-d %B %Y} by `{command}`: {len(verdicts)} of {of} mutants, of which "
        f"{len(verdicts) - len(judged)} were no SQL that PostgreSQL runs. "
        f"**Killed: {killed} of {len(judged)} ({killed / max(len(judged), 1):.1%}).**",
        "",
        "| file | killed | of |",
        "|---|---|---|",
        *rows,
        "",
        "Survivors:",
        "",
        *(survivors or ["- none"]),
    ]
    return "\n".join(lines) + "\n"


def _killed(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.outcome == "killed" for verdict in verdicts)


if __name__ == "__main__":
    main()
