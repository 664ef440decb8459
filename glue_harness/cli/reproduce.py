"""`glue reproduce`: the T5 paper's tables, ours beside the published rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.hints import setting_given
from glue_harness.cli.jobs import carry_out_jobs, on_option
from glue_harness.cli.options import (
    MOST_SEEDS,
    leaderboards_folder,
    open_registry,
    plan_option,
    results_option,
    settings_option,
    split_names,
    task_folders_option,
)
from glue_harness.core.errors import UsageError, unknown
from glue_harness.report.console import note, say, show, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glue_harness.cli.strategy import LaunchAll
    from glue_harness.core.record import Record
    from glue_harness.reproduce import Configuration
    from glue_harness.reproduce.table import ReproducedTable
    from glue_harness.runs.store import Store

DEMO = {"tasks": ("rte", "cola", "sst2", "mnli"), "data": "demo", "model": "tiny", "steps": 60}
DEMO |= {"batch_size": 32, "answers": "closed"}  # what --demo stands for
WIDTH = 7  # columns of values side by side


@click.command()
@click.argument("name", required=False, metavar="[TABLE]")
@click.option("--list", "listed", is_flag=True, help="The tables and how many rows they have.")
@click.option("--demo", is_flag=True, help="Synthetic data and a tiny model: minutes, no network.")
@click.option(
    "--scale", type=click.FloatRange(0, 1, min_open=True), help="Part of the paper's steps, such as 0.01; default: all."
)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Tasks or suites instead of the paper's.")
@plan_option("data", "hub, demo, demo:ROWS, or a folder (official download, save_to_disk, parquet).")
@plan_option(
    "model", "Hub id, folder, run:RUN, tiny, or t5:small|base|large from scratch.", default="google-t5/t5-base"
)
@plan_option("tokenizer", "Folder with the vocabulary of a model from scratch.")
@plan_option("text", "File or folder of plain text for pre-training and mixtures.")
@plan_option("steps", "Steps of the tuning, instead of 2^18 x --scale.", default=None)
@click.option(
    "--pretrain-steps", type=click.IntRange(min=1), metavar="N", help="Steps before it, instead of twice the steps."
)
@plan_option("batch_size", "Examples per update, instead of 2^16 tokens.", default=None)
@plan_option("device", "auto, cuda or cpu.")
@plan_option("seed", "First seed.")
@click.option(
    "--seeds", type=click.IntRange(1, MOST_SEEDS), metavar="N", default=1, show_default=True, help="Runs of every plan."
)
@on_option
@settings_option
@click.option("--dry-run", is_flag=True, help="List the runs and which are finished; train nothing.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=leaderboards_folder,
    help="For the files.  [default: leaderboards, or $GLUE_LEADERBOARDS]",
)
@click.option("-q", "--quiet", is_flag=True, help="Only the table.")
@results_option
@task_folders_option
def command(
    name: str | None,
    listed: bool,
    demo: bool,
    scale: float | None,
    names: tuple[str, ...],
    pretrain_steps: int | None,
    seeds: int,
    settings: tuple[str, ...],
    on: str,
    dry_run: bool,
    out: Path,
    quiet: bool,
    results: Path,
    task_folders: tuple[str, ...],
    **options: Any,
) -> None:
    """Make a table of the T5 paper again: ours beside the published row, with the difference and its interval.

    Runs what is missing and goes on where it was stopped. Without options: T5-Base at full scale, days on a GPU.
    Whatever is smaller says so at the head of its table, which then compares the order of the rows.

    \b
    glue reproduce --list
    glue reproduce table11 --demo
    glue reproduce table10 --scale 0.01 --task glue --data DIR --model tiny
    """
    from glue_harness.core.writing import write_atomic
    from glue_harness.jobs.executors import Workplace
    from glue_harness.lab.recipes import Applied
    from glue_harness.lab.request import canonical, make_request
    from glue_harness.lab.strategy import Brief
    from glue_harness.report.published import load_published
    from glue_harness.reproduce import configurations_of
    from glue_harness.reproduce.report import as_csv, markdown
    from glue_harness.reproduce.report import head as head_of
    from glue_harness.reproduce.scale import scale_of
    from glue_harness.reproduce.table import table_of
    from glue_harness.runs.store import Store

    published = load_published()
    if listed:
        rows = [(name, made.title.partition(": ")[2], len(made.rows)) for name, made in published.tables.items()]
        show(table(("table", "what", "rows"), rows, right=("rows",)))
        say(published.source, style="dim")
        return
    if name is None or name not in published.tables:
        raise unknown("table", name, published.tables) if name else UsageError("no table: glue reproduce --list")
    registry = open_registry(task_folders, split_names(names))
    given = {**(DEMO if demo else {}), **{key: value for key, value in options.items() if value is not None}}
    if names:
        given["tasks"] = tuple(split_names(names))
    for text in settings:
        key, value = setting_given(text)
        given[key] = value
    size = scale_of(given, scale or 1.0, pretrain_steps, registry)
    store = Store(results)
    request = make_request(size.plan.replace(text=None), registry, store)
    size = replace(size, plan=size.plan.replace(model=request.plan.model))  # latest would mean another run later
    for one in configurations_of(published.tables[name].rows, size, registry):
        for stage in one.stages:
            make_request(stage.plan, registry)  # names and folders first: torch takes seconds to import
    from glue_harness.lab.assemble import settle

    size = replace(size, plan=size.plan.replace(precision=settle(request).plan.precision))
    configurations = configurations_of(published.tables[name].rows, size, registry)
    chosen = range(size.plan.seed, size.plan.seed + seeds)
    if dry_run:
        show_runs(configurations, chosen, store)
        return
    place = Workplace(results, task_folders)
    made = carry_out_all(configurations, chosen, lambda jobs: carry_out_jobs(jobs, on, place, registry, quiet))
    head = head_of(size, configurations, Applied("t5", registry).note(size.plan), seeds)
    kind = "" if size.is_full else "-demo" if demo else "-scaled"
    reproduced = table_of(name, kind, head, made, Brief(canonical(size.plan, registry), registry, 0), published)
    show_table(reproduced)
    for ending, content in {"csv": as_csv(reproduced), "md": markdown(reproduced)}.items():
        path = out / f"{reproduced.name}.{ending}"
        write_atomic(path, content)
        note(f"wrote {path}")


def carry_out_all(
    configurations: Sequence[Configuration], seeds: Iterable[int], launch_all: LaunchAll
) -> list[tuple[Configuration, list[list[Record]]]]:
    """The records of every configuration by seed. Made seed by seed, so that the first is whole as early as can be."""
    from glue_harness.jobs.graph import Job

    def jobs_of(number: int, one: Configuration, seed: int) -> list[Job]:
        of = f"{number}/{len(configurations)} {one.name}, seed {seed}"
        return [
            Job(stage.plan.replace(seed=seed), f"{one.name}: {stage.name}", f"{of}: {stage.name}")
            for stage in one.stages
        ]

    jobs = {(n, seed): jobs_of(n, one, seed) for seed in seeds for n, one in enumerate(configurations, 1)}
    launch = launch_all([job for of_one in jobs.values() for job in of_one])
    return [(one, [launch.records(jobs[n, seed]) for seed in seeds]) for n, one in enumerate(configurations, 1)]


def show_runs(configurations: Sequence[Configuration], seeds: Iterable[int], store: Store) -> None:
    """Every run of the table once, though several configurations may build on it: the first that needs it names it."""
    rows: dict[tuple[str, int], tuple[object, ...]] = {}
    left = 0
    for seed in seeds:
        for one in configurations:
            for stage in (stage for stage in one.stages if (stage.plan.digest, seed) not in rows):
                digest, steps = stage.plan.digest, stage.plan.steps
                done = store.finished(digest, seed)
                left += 0 if done else steps
                rows[digest, seed] = (one.name, stage.name, seed, f"{steps:,}", digest, done.id if done else "-")
    show(table(("row", "stage", "seed", "steps", "plan", "run"), rows.values(), right=("seed", "steps")))
    say(f"{len(rows)} runs, {left:,} steps to go; nothing was trained")


def show_table(made: ReproducedTable) -> None:
    """The head, then rows with ours above theirs above the difference, a few columns at a time."""
    from glue_harness.reproduce.report import remarks, shown

    for text in made.head:
        say(text)
    for first in range(0, len(made.columns), WIDTH):
        part = slice(first, first + WIDTH)
        titles = made.columns[part]
        rows = [
            (f"{row.configuration}\n{row.settings}", *("\n".join(shown(cell)) for cell in row.cells[part]))
            for row in made.rows
        ]
        show(table(("row, as run", *titles), rows, title=made.title, right=titles, whole=titles))
    for text in remarks(made):
        say(text, style="dim")
