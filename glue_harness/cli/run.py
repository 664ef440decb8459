"""`glue run`: fine-tune, score, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from glue_harness.cli.hints import setting_given
from glue_harness.cli.jobs import HERE, on_option
from glue_harness.cli.options import (
    MOST_SEEDS,
    Sectioned,
    json_option,
    open_registry,
    pair,
    plan_options,
    results_folder,
    results_option,
    said_of,
    said_options,
    settings_option,
    split_names,
    task_folders_option,
)
from glue_harness.cli.processes import follow_silently, processes_option, share_out
from glue_harness.core.errors import Interrupted, UsageError
from glue_harness.core.names import LATEST
from glue_harness.core.plan import LEARN, MIX, MODEL, SCORES, SEVERAL, SMALLER, TRAINING

if TYPE_CHECKING:
    from glue_harness.core.plan import Plan
    from glue_harness.core.record import Record
    from glue_harness.jobs.graph import Job
    from glue_harness.lab.recipes import Applied
    from glue_harness.lab.request import Request
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

# What --demo stands for. A model that is small and trained for a minute learns twice as fast without dropout.
DEMO = {"data": "demo", "model": "tiny", "steps": 400, "lr": 1e-3, "dropout": 0.0}


class Run(Sectioned):
    before: ClassVar[dict[str, tuple[str, ...]]] = {
        LEARN: ("names", "demo"),
        MODEL: (),
        SMALLER: (),
        MIX: (),
        TRAINING: (),
        SCORES: (),
        SEVERAL: (),
        "All settings at once": ("recipe", "file", "settings", "help_settings"),
        "Going on": ("resume", "force", "checkpoint_every"),
        "What is said of it": ("tags", "note", "track"),
    }
    after: ClassVar[dict[str, tuple[str, ...]]] = {
        LEARN: ("task_folders",),
        MIX: ("rates",),
        TRAINING: ("processes",),
        SEVERAL: ("seeds", "strategy", "pretrain_steps", "on"),
    }


@click.command(cls=Run)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Task or suite; repeat or use commas.")
@click.option("--demo", is_flag=True, help="Synthetic data and a tiny model: no network, under a minute.")
@plan_options
@click.option("--rate", "rates", multiple=True, metavar="TASK=X", help="A task's rate, for --mixing custom.")
@processes_option
@click.option(
    "--strategy",
    help="single, multitask, multitask-finetune, leave-one-out, pretrain-finetune or two-rounds.",
)
@click.option(
    "--pretrain-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Steps before tuning.  [default: twice the tuning]",
)
@click.option(
    "--seeds", type=click.IntRange(1, MOST_SEEDS), metavar="N", default=1, show_default=True, help="Runs, one a seed."
)
@on_option
@click.option(
    "--recipe",
    help="modern or t5; for encoders bert, stable, roberta, electra or modernbert: settings, which options override.",
)
@click.option("--plan", "file", type=click.Path(path_type=Path), help="Plan as TOML; options here override it.")
@settings_option
@click.option(
    "--resume",
    is_flag=False,
    flag_value=LATEST,
    metavar="[RUN]",
    help="Go on with a run, without a name the newest unfinished one.",
)
@click.option("--force", is_flag=True, help="Resume although the plan or the data changed; recorded.")
@click.option(
    "--checkpoint-every",
    type=click.IntRange(min=1),
    metavar="N",
    help="Steps between checkpoints to resume from; default: at every evaluation.",
)
@said_options
@task_folders_option
@results_option
@click.option("--dry-run", is_flag=True, help="Show what differs from the defaults, mix, memory, time; train nothing.")
@click.option("--all", "show_all", is_flag=True, help="With --dry-run: all settings.")
@click.option("-q", "--quiet", is_flag=True, help="Only the scores.")
@json_option
def command(
    demo: bool,
    processes: int | None,
    strategy: str | None,
    pretrain_steps: int | None,
    seeds: int,
    on: str,
    resume: str | None,
    force: bool,
    checkpoint_every: int | None,
    task_folders: tuple[str, ...],
    results: Path,
    dry_run: bool,
    show_all: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Fine-tune a model on tasks, score it, and record the run.

    \b
    glue run --task mnli                            Hub data, google-t5/t5-small
    glue run --task mnli --demo                     no network, under a minute
    glue run --task glue --mixing temperature --temperature 2 --data DIR
    glue run --task glue --recipe t5 --data DIR     as T5 was fine-tuned
    glue run --task rte --recipe bert -m bert-base-uncased
    glue run --task glue --strategy leave-one-out   several runs
    glue run --task rte --model run:latest          from a run's last model
    glue run --task rte --model run:RUN@mnli        from its best at mnli
    glue run --task rte -m bert:mini --method distil --teacher RUN
    glue run --plan results/RUN/plan.toml --seed 1  again, with another seed
    glue run --task mnli --processes 4              one run on 4 GPUs
    glue run --resume                               the newest unfinished run
    """
    from glue_harness.cli.dry_run import show_dry_run
    from glue_harness.cli.jobs import carry_out_jobs
    from glue_harness.cli.strategy import run_strategy, show_stages
    from glue_harness.jobs.executors import Workplace
    from glue_harness.lab.request import make_request
    from glue_harness.lab.strategy import stages_of
    from glue_harness.report.console import note
    from glue_harness.runs.resume import agreed_plan
    from glue_harness.runs.store import Store

    follow_silently()
    if show_all and not dry_run:
        raise UsageError("--all is for --dry-run: it shows every setting")
    said, store = said_of(given), Store(results)
    registry = open_registry(task_folders, split_names(given["names"]))
    others = {"dry_run": dry_run, "seeds": seeds > 1, "strategy": bool(strategy), "recipe": bool(given["recipe"])}
    others["on"] = on != HERE
    several = {name: given for name, given in others.items() if name != "recipe"}
    place = Workplace(results, task_folders, checkpoint_every, **said)
    begun = find_begun(store, resume, force, **others)
    plan, recipe = plan_of(begun.plan if begun else {}, DEMO if demo else {}, given, registry, store)
    request = make_request(plan, registry, store)
    if strategy is None and pretrain_steps is not None:
        raise UsageError("--pretrain-steps is what comes before a strategy tunes: add --strategy")

    def stages() -> list[Any]:
        own = recipe.settings if recipe else None
        return stages_of(strategy, request.plan, registry, pretrain_steps, own) if strategy else []

    for stage in stages():
        make_request(stage.plan, registry)  # names and folders first: torch takes seconds to import
    if not dry_run:
        store.prove()
    if begun:
        agreed_plan(begun, request.plan, force)
    share_out(processes, **several)
    if begun and begun.status == "finished":
        note(f"run {begun.id} is finished: there is nothing left to do")
    from glue_harness.lab.assemble import settle  # torch begins here

    request = settle(request)
    if dry_run and strategy:
        show_stages(stages(), request, seeds, results, as_json)
    elif dry_run:
        show_dry_run(request, results, as_json, show_all, left_of(request.plan, seeds, store))
    elif strategy:
        launch = partial(carry_out_jobs, on=on, place=place, registry=registry, quiet=quiet)
        run_strategy(strategy, stages(), request, seeds, results, launch, recipe, as_json)
    elif seeds > 1 or on != HERE:
        jobs = jobs_of_seeds(request.plan, seeds, recipe)
        records = carry_out_jobs(jobs, on, place, registry, quiet).records(jobs)
        show_all_records(records, registry, results, as_json)
    else:
        how = {"resume": begun and begun.id, "force": force, **place.how}
        record = carry_out(request, results, quiet, recipe, **how)
        show_record(record, registry, results / record.id, as_json)


def show_all_records(records: Sequence[Record], registry: Registry, results: Path, as_json: bool) -> None:
    from glue_harness.cli.progress import show_seeds
    from glue_harness.report.console import note

    for record in records:
        show_record(record, registry, results / record.id, as_json)
    if len(records) > 1 and not as_json:
        show_seeds([record.scores for record in records], registry)
        note(f"next: glue compare {records[0].digest} OTHER, with the digest of another plan", style=None)


def jobs_of_seeds(plan: Plan, seeds: int, recipe: Applied | None) -> list[Job]:
    from glue_harness.jobs.graph import Job

    notes = (recipe.note(plan),) if recipe else ()
    chosen = range(plan.seed, plan.seed + seeds)
    return [Job(plan.replace(seed=seed), name=f"seed {seed}", notes=notes) for seed in chosen]


def left_of(plan: Plan, seeds: int, store: Store) -> list[int]:
    """The seeds that have no finished run yet."""
    return [seed for seed in range(plan.seed, plan.seed + seeds) if seeds == 1 or not store.finished(plan.digest, seed)]


def find_begun(store: Store, resume: str | None, force: bool, **others: bool) -> Record | None:
    """The run that is to go on."""
    from glue_harness.runs.resume import unfinished

    if resume is None and force:
        raise UsageError("--force is for --resume: a run of its own has nothing to differ from")
    if resume is None:
        return None
    if unlike := [name.replace("_", "-") for name, given in others.items() if given]:
        raise UsageError(f"--resume goes on with one run: leave out --{unlike[0]}")
    return unfinished(store, resume)


def plan_of(
    begun: Mapping[str, Any], demo: Mapping[str, Any], given: Mapping[str, Any], registry: Registry, store: Store
) -> tuple[Plan, Applied | None]:
    """The plan that the command line asks for, and its recipe; `store` has the runs that its model may come from.

    Later sources win: --recipe, the run that goes on, --demo, the plan file, options, --set.
    """
    from glue_harness.core.plan import plan_from
    from glue_harness.core.plan_file import read_plan
    from glue_harness.core.settings import over, refuse_two_lengths
    from glue_harness.lab.recipes import Applied, refuse_other_family, values_of
    from glue_harness.lab.teacher import as_start
    from glue_harness.models.families import known_of
    from glue_harness.runs.origin import find_origin

    given = dict(given)
    names, rates, recipe = given.pop("names", ()), given.pop("rates", ()), given.pop("recipe", None)
    file, by_key = given.pop("file", None), given.pop("settings", ())
    options = {key: value for key, value in given.items() if value is not None}
    if names:
        options["tasks"] = tuple(split_names(names))
    if rates:
        options["rates"] = dict(pair(text, "--rate") for text in rates)
    if {"batch_size", "batch_tokens"} <= options.keys():
        raise UsageError(
            "--batch-size counts examples, --batch-tokens tokens: an update has one size, give one of them"
        )
    for text in by_key:
        key, value = setting_given(text)
        options[key] = value
    refuse_two_lengths(options, "command line")
    values = over(over(over(begun, demo), read_plan(file) if file else {}), options)
    if "tasks" not in values:
        raise UsageError("no task: name one with --task, for example --task mnli (glue tasks lists them)")
    if "model" not in values and values.get("teacher") and values.get("student", "as-is") != "as-is":
        values["model"] = as_start(values["teacher"], values["tasks"], registry)
    if recipe is None:
        return plan_from(values), None
    values_of(recipe, values["tasks"], registry)  # names first: a model may be asked for over the network
    kept = ("tasks", "model", "seed")
    model = plan_from({name: values[name] for name in kept if name in values})
    known = known_of(find_origin(model, store, registry).source)
    refuse_other_family(recipe, model.model, known.family)
    applied = Applied(recipe, registry, known.size, values)
    return plan_from({**applied.settings(values["tasks"]), **values}), applied


def carry_out(request: Request, results: Path, quiet: bool, recipe: Applied | None = None, **how: Any) -> Record:
    """One run, watched; Ctrl-C is one line."""
    from glue_harness.cli.progress import ProgressDisplay
    from glue_harness.lab.run import run

    notes = [recipe.note(request.plan)] if recipe else []
    with ProgressDisplay(quiet) as display:
        try:
            return run(request, results=results, watcher=display, notes=notes, **how)
        except KeyboardInterrupt as stop:
            raise interrupted(stop, display.folder) from None


def show_record(record: Record, registry: Registry, folder: Path, as_json: bool) -> None:
    from glue_harness.cli.progress import show_scores
    from glue_harness.core.writing import json_text

    if as_json:
        scores = {task: score.metrics for task, score in record.scores.items()}
        click.echo(json_text({"id": record.id, "folder": str(folder), "scores": scores}))
    else:
        show_scores(record, registry, folder)


def interrupted(stop: KeyboardInterrupt, folder: Path | None) -> Interrupted:
    """What is left of a run that was stopped, and how to go on with it."""
    from glue_harness.runs.folder import RunFolder

    code = getattr(stop, "exit_code", Interrupted.exit_code)
    message = "interrupted" if code == Interrupted.exit_code else "terminated"
    if folder and (left := RunFolder(folder).snapshots()):
        where = f" --results {folder.parent}" if folder.parent != results_folder() else ""
        message += f" after step {left[0][0]}: glue run --resume {folder.name}{where} goes on from there"
    elif folder:
        message += f": what was kept is in {folder}"
    error = Interrupted(message)
    error.exit_code = code
    return error
