"""`glue curve`: scores against training examples or steps, losses per task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import (
    check_plot,
    json_option,
    open_registry,
    plot_options,
    results_option,
    split_names,
    task_folders_option,
    write_plot,
)
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import GlueError, UsageError
from glue_harness.report.console import console, note

if TYPE_CHECKING:
    from glue_harness.core.record import Record
    from glue_harness.report.curves import Chart
    from glue_harness.report.experiments import Experiment
    from glue_harness.runs.store import Store

AXES = ("examples", "steps")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN [...]")
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Only these tasks; repeat or use commas.")
@click.option(
    "--against",
    type=click.Choice(AXES),
    help="What the score is drawn against.  [default: examples if the runs differ in train_limit, else steps]",
)
@plot_options("--out")
@results_option
@task_folders_option
@json_option
def command(
    runs: Names,
    names: Names,
    against: str | None,
    plot: Path | None,
    width_cm: float | None,
    results: Path,
    task_folders: Names,
    as_json: bool,
) -> None:
    """Draw how scores grow with training examples or with steps, and how each task's loss falls.

    RUN is an id or a part of it, its folder, the digest of a plan, or: latest. Seeds of a plan are one line, their
    mean, with one standard deviation up and down. A task with several metrics counts with their mean.

    \b
    glue curve latest
    glue curve results/*-rte-* --against examples
    glue curve RUN RUN --task mnli,rte --plot curve.pdf --width-cm 8
    """
    from glue_harness.report.curves import against_examples, against_steps, losses, undefined_seeds
    from glue_harness.runs.store import Store

    if not runs:
        raise UsageError("curve takes one or more runs: glue curve latest, or glue curve results/*")
    check_plot(plot, width_cm)
    registry, store = open_registry(task_folders), Store(results)
    tasks = split_names(names)
    for name in tasks:
        registry.task(name)
    experiments = experiments_of(runs, store)
    if (against or AXES[len({experiment.plan.train_limit for experiment in experiments}) == 1]) == "examples":
        charts = against_examples(experiments, registry, tasks)
    else:
        charts = against_steps(experiments, registry, tasks) + losses(experiments, store, registry, tasks)
    if not charts:
        raise GlueError("nothing to draw: these runs have no scores" + (" of these tasks" if names else ""))
    facts = [{"title": chart.title, "x": chart.x, "y": chart.y, "lines": chart.curves} for chart in charts]
    emit(as_json, {"charts": facts}, drawn(charts))
    for remark in undefined_seeds(experiments, registry, tasks):
        note(remark, style="yellow")
    if plot:
        write_plot(plot, charts, width_cm)


def experiments_of(names: Sequence[str], store: Store) -> list[Experiment]:
    """Runs that repeat a plan with other seeds are one experiment."""
    from glue_harness.report.experiments import Experiment, pick
    from glue_harness.runs.store import refuse_scored

    everything = store.summaries()[0]
    groups: dict[str, dict[int, Record]] = defaultdict(dict)
    for name in (part for text in names for part in text.split(",")):
        experiment = pick(store, name.strip(), everything)
        full = [store.find(record.id) for record in experiment.records]  # with their history
        for record in full:
            refuse_scored(record, "nothing was trained that a curve could show")
        groups[full[0].digest].update(zip(experiment.seeds, full, strict=True))
    return [Experiment(digest, tuple(group[seed] for seed in sorted(group))) for digest, group in groups.items()]


def drawn(charts: Sequence[Chart]) -> Shown:
    from glue_harness.report.plots.terminal import draw

    for chart in charts:
        yield from draw(chart, min(console().width, 100))
        yield ""
