"""`glue reproduce`: the T5 paper's tables, scores of encoders and the GLUE paper's baselines, beside ours."""

from __future__ import annotations

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
    from collections.abc import Iterable, Mapping, Sequence

    from glue_harness.cli.strategy import LaunchAll
    from glue_harness.core.record import Record
    from glue_harness.report.published import Published
    from glue_harness.reproduce.configuration import Configuration
    from glue_harness.reproduce.table import ReproducedTable
    from glue_harness.runs.store import Store

DEMO = {"tasks": ("rte", "cola", "sst2", "mnli"), "data": "demo", "model": "tiny", "steps": 150, "dropout": 0.0}
DEMO |= {"batch_size": 32, "answers": "closed"}  # what --demo stands for
ENCODER_DEMO = {**DEMO, "model": "bert:tiny", "lr": 1e-3}
BASELINE_DEMO = {**{key: value for key, value in DEMO.items() if key != "model"}, "lr": 1e-3}
WIDTH = 7  # columns of values side by side


@click.command()
@click.argument("name", required=False, metavar="[TABLE]")
@click.option("--list", "listed", is_flag=True, help="The tables and how many rows they have.")
@click.option("--demo", is_flag=True, help="Synthetic data and a tiny model: minutes, no network.")
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    help="Part of the paper's steps or epochs, such as 0.01; default: all.",
)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Tasks or suites instead of the paper's.")
@plan_option("data", "hub, demo, demo:ROWS, or a folder (official download, save_to_disk, parquet).")
@plan_option(
    "model",
    "Hub id, folder, run:RUN, or one from scratch; encoders: each row's own.",
    default="google-t5/t5-base",
)
@plan_option("tokenizer", "Folder with the vocabulary of a model from scratch.")
@plan_option("text", "File or folder of plain text for pre-training and mixtures.")
@plan_option("steps", "Steps of the tuning, instead of 2^18 x --scale, or of epochs.", default=None)
@click.option(
    "--pretrain-steps", type=click.IntRange(min=1), metavar="N", help="Steps before it, instead of twice the steps."
)
@plan_option("batch_size", "Examples per update, instead of 2^16 tokens or the recipe's.", default=None)
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
    """Make a published table again: ours beside the published row, with the difference and its interval.

    Runs what is missing and goes on where it was stopped. Tables 10 to 16 are the T5 paper's: without options T5-Base
    at full scale, days on a GPU. bert, minilm and modernbert are scores of encoders on GLUE, each row with the recipe
    that comes nearest; glue-paper is CBOW and BiLSTM, each task alone and all together. Whatever is smaller says so at
    the head of its table, which then compares the order of the rows.

    \b
    glue reproduce --list
    glue reproduce table11 --demo
    glue reproduce table10 --scale 0.01 --task glue --data DIR --model tiny
    glue reproduce modernbert --data DIR --seeds 5
    glue reproduce bert --data DIR --model bert-base-cased --task rte,cola
    glue reproduce glue-paper --data DIR --scale 0.2 --task cola,sst2,mrpc,rte
    """
    from glue_harness.core.writing import write_atomic
    from glue_harness.jobs.executors import Workplace
    from glue_harness.lab.request import canonical, make_request
    from glue_harness.lab.strategy import Brief
    from glue_harness.report.published import published_tables
    from glue_harness.reproduce import is_of_baselines, is_of_encoders, planned
    from glue_harness.reproduce.report import as_csv, markdown
    from glue_harness.reproduce.table import table_of
    from glue_harness.runs.store import Store

    tables = published_tables()
    if listed:
        show_list(tables)
        return
    if name is None or name not in tables:
        raise unknown("table", name, tables) if name else UsageError("no table: glue reproduce --list")
    registry = open_registry(task_folders, split_names(names))
    of_name = ENCODER_DEMO if is_of_encoders(name) else BASELINE_DEMO if is_of_baselines(name) else DEMO
    shown = of_name if demo else {}
    given = {**shown, **{key: value for key, value in options.items() if value is not None}}
    if names:
        given["tasks"] = tuple(split_names(names))
    for text in settings:
        key, value = setting_given(text)
        given[key] = value
    store = Store(results)
    wanted = planned(name, given, scale or 1.0, pretrain_steps, registry, store)
    request = make_request(wanted.plan.replace(text=None), registry, store)
    wanted = wanted.like(request.plan)  # latest would mean another run later
    for one in wanted.configurations():
        for stage in one.stages:
            make_request(stage.plan, registry)  # names and folders first: torch takes seconds to import
    from glue_harness.lab.assemble import settle

    wanted = wanted.like(settle(request).plan)
    configurations = wanted.configurations()
    chosen = range(wanted.plan.seed, wanted.plan.seed + seeds)
    if dry_run:
        show_runs(configurations, chosen, store)
        return
    place = Workplace(results, task_folders)
    made = carry_out_all(configurations, chosen, lambda jobs: carry_out_jobs(jobs, on, place, registry, quiet))
    kind = "" if wanted.is_full else "-demo" if demo else "-scaled"
    brief = Brief(canonical(wanted.plan, registry), registry, 0)
    head = wanted.head(configurations, seeds)
    reproduced = table_of(name, kind, head, made, brief, tables[name], wanted.left_out)
    show_table(reproduced)
    for ending, content in {"csv": as_csv(reproduced), "md": markdown(reproduced)}.items():
        path = out / f"{reproduced.name}.{ending}"
        write_atomic(path, content)
        note(f"wrote {path}")


def show_list(tables: Mapping[str, Published]) -> None:
    """The tables, and below what their values are from."""
    of_tables = {name: found.tables[name] for name, found in tables.items()}
    rows = [(name, found.title.partition(": ")[2], len(found.rows)) for name, found in of_tables.items()]
    show(table(("table", "what", "rows"), rows, right=("rows",)))
    for source in dict.fromkeys(tables[name].result(row).source for name, t in of_tables.items() for row in t.rows):
        say(source, style="dim")


def carry_out_all(
    configurations: Sequence[Configuration], seeds: Iterable[int], launch_all: LaunchAll
) -> list[tuple[Configuration, list[list[Record]]]]:
    """The records of every configuration by seed. Made seed by seed, so that the first is whole as early as can be."""
    from glue_harness.jobs.graph import Job

    def jobs_of(number: int, one: Configuration, seed: int) -> list[Job]:
        of = f"{number}/{len(configurations)} {one.name}, seed {seed}"
        jobs = []
        for stage in one.stages:
            plan = stage.plan.replace(seed=seed)
            notes = (one.recipe.note(plan),) if one.recipe else ()
            jobs.append(Job(plan, f"{one.name}: {stage.name}", f"{of}: {stage.name}", notes))
        return jobs

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
                digest, steps, epochs = stage.plan.digest, stage.plan.steps, stage.plan.epochs
                done = store.finished(digest, seed)
                left += 0 if done else steps
                length = f"{steps:,}" if epochs is None else f"{epochs:g} epochs"
                rows[digest, seed] = (one.name, stage.name, seed, length, digest, done.id if done else "-")
    show(table(("row", "stage", "seed", "steps", "plan", "run"), rows.values(), right=("seed", "steps")))
    to_do = sum(row[-1] == "-" for row in rows.values())
    to_go = f"{left:,} steps to go" if left or not to_do else f"{to_do} to go"  # steps of epochs: not known yet
    say(f"{len(rows)} runs, {to_go}; nothing was trained")


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
