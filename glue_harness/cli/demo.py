"""`glue demo`: the whole story on synthetic data, by the commands a user would type."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from glue_harness.cli.options import results_option

STEPS = 300
MULTI = "cola,sst2,rte"
SINGLE = f"run --task rte --demo --steps {STEPS} --quiet"
MIXED = f"run --task {MULTI} --demo --steps {STEPS} --quiet --mixing {{}}"


@click.command()
@results_option
def command(results: Path) -> None:
    """Train, mix, compare and rank on synthetic data, in under two minutes on two cores.

    \b
    glue demo
    """
    from glue_harness.report.console import say
    from glue_harness.runs.store import Store

    say("Synthetic data, a model of a million parameters trained from scratch: no network, no real scores.")
    say("\nOne task, from a random start to an answer:", "bold")
    _glue(SINGLE, results)
    say("\nThree tasks in one model, under two mixings:", "bold")
    _glue(MIXED.format("proportional"), results)
    _glue(MIXED.format("equal"), results)
    runs = [record.id for record in Store(results).summaries()[0][-3:]]
    say("\nWhat differs, and is it more than chance?", "bold")
    _glue(f"compare {' '.join(runs)}", results)
    say("\nThe leaderboard:", "bold")
    _glue("board", results)
    say("\nNext: glue run --task mnli --demo, then your own data: glue run --task mnli --data DIR --model DIR", "bold")


def _glue(line: str, results: Path) -> None:
    """Shows a command and runs it here."""
    from glue_harness.cli import glue
    from glue_harness.report.console import say

    say(f"$ glue {line}", "cyan")
    glue.main([*shlex.split(line), "--results", str(results)], prog_name="glue", standalone_mode=False)
