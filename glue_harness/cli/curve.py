"""`glue curve`: scores against training examples or steps, losses per task."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, results_option, split_names, task_folders_option
from glue_harness.core.errors import GlueError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glue_harness.core.record import Record
    from glue_harness.report.curves import Chart
    from glue_harness.report.experiments import Experiment
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

AXES = ("examples", "steps")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN [...]")
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Only these tasks; repeat or use commas.")
@click.option(
    "--against",
    type=click.Choice(AXES),
    help="What the score is drawn against.  [default: examples if the runs differ in train_limit, else steps]",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also as a file: FILE.svg or FILE.png.")
@results_option
@task_folders_option
@json_option
def command(
    runs: tuple[str, ...],
    names: tuple[str, ...],
    against: str | None,
    out: Path | None,
    results: Path,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draw how scores grow with training examples or with steps, and how each task's loss falls.

    RUN is an id or a part of it, its folder, the digest of a plan, or: latest. Seeds of a plan are one line, their
    mean, with one standard deviation up and down. A task with several metrics counts with their mean.

    \b
    glue curve latest
    glue curve results/*-rte-* --against examples
    glue curve RUN RUN --task mnli,rte --out curve.svg
    """
    from glue_harness.core.writing import json_text, write_atomic
    from glue_harness.report.console import note
    from glue_harness.runs.store import Store

    if not runs:
        raise UsageError("curve takes one or more runs: glue curve latest, or glue curve results/*")
    if out:
        from glue_harness.report.plots import image

        image.check(out.suffix.lower())
    registry, store = open_registry(task_folders), Store(results)
    for name in split_names(names):
        registry.task(name)
    experiments = experiments_of(runs, store)
    charts = charts_of(experiments, store, registry, split_names(names), against)
    if not charts:
        raise GlueError("nothing to draw: these runs have no scores" + (" of these tasks" if names else ""))
    if as_json:
        click.echo(json_text({"charts": [as_values(chart) for chart in charts]}))
    else:
        print_charts(charts)
    if out:
        write_atomic(out, image.render(charts, out.suffix.lower()))
        note(f"wrote {out}")


def experiments_of(names: Sequence[str], store: Store) -> list[Experiment]:
    """Runs that repeat a plan with other seeds are one experiment."""
    from glue_harness.core.plan import plan_from
    from glue_harness.report.experiments import Experiment

    everything = store.load_all()[0]
    groups: dict[str, dict[int, Record]] = defaultdict(dict)
    for name in (part for text in names for part in text.split(",")):
        repeats = [record for record in everything if record.digest == name and record.status == "finished"]
        for record in repeats or [store.find(name.strip(), everything)]:
            groups[record.digest][plan_from(record.plan).seed] = record
    return [
        Experiment(next(iter(group.values())).id, tuple(group[seed] for seed in sorted(group)))
        for group in groups.values()
    ]


def charts_of(
    experiments: Sequence[Experiment], store: Store, registry: Registry, tasks: Sequence[str], against: str | None
) -> list[Chart]:
    from glue_harness.report.curves import against_examples, against_steps, losses

    limits = {experiment.plan.train_limit for experiment in experiments}
    if (against or AXES[len(limits) == 1]) == "examples":
        return against_examples(experiments, registry, tasks)
    return against_steps(experiments, registry, tasks) + losses(experiments, store, registry, tasks)


def as_values(chart: Chart) -> dict[str, object]:
    lines = [{"label": line.label, "points": [point._asdict() for point in line.points]} for line in chart.curves]
    return {"title": chart.title, "x": chart.x, "y": chart.y, "lines": lines}


def print_charts(charts: Sequence[Chart]) -> None:
    from glue_harness.report.console import console
    from glue_harness.report.plots.terminal import draw

    for chart in charts:
        for line in draw(chart, min(console().width, 100)):
            console().print(line, no_wrap=True, overflow="crop")
        console().print()
