"""`glue demo`: the whole story on synthetic data, by the commands a user would type."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from glue_harness.cli.options import results_option
from glue_harness.report.console import say

TOGETHER = "cola,mnli,rte"
ENCODER = "--model bert:tiny"
TRAIN = "run --task {} --demo --steps 300 --quiet"
STORY = (
    ("One task, from a random start to an answer:", [TRAIN.format("rte")]),
    (
        "Three tasks in one model, under two mixings:",
        [f"{TRAIN.format(TOGETHER)} --mixing {mixing}" for mixing in ("proportional", "equal")],
    ),
    (
        "The same by an encoder with a head for each task, where a T5 writes its answers:",
        [f"{TRAIN.format(TOGETHER)} {ENCODER}"],
    ),
    ("What differs, and is it more than chance?", ["compare --all-pairs {runs}"]),
    ("The leaderboard:", [f"board --task {TOGETHER}"]),
)


@click.command()
@results_option
def command(results: Path) -> None:
    """Train a T5 and an encoder, mix, compare and rank on synthetic data, in under two minutes on two cores.

    \b
    glue demo
    """
    from glue_harness.cli import glue
    from glue_harness.runs.store import Store

    say("Synthetic data, models of a million parameters trained from scratch: no network, no real scores.")
    say("Some labels are wrong by design: a model that knows every answer scores the ceiling.")
    for title, lines in STORY:
        say(f"\n{title}", "bold")
        for line in lines:
            if "{runs}" in line:
                line = line.format(runs=" ".join(record.id for record in Store(results).summaries()[0][-3:]))
            say(f"$ glue {line}", "cyan")
            glue.main([*shlex.split(line), "--results", str(results)], prog_name="glue", standalone_mode=False)
    say("\nNext: glue run --task mnli --demo, then your own data: glue run --task mnli --data DIR --model DIR", "bold")
