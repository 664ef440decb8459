"""`glue run`: fine-tune, score, record."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from glue_harness.cli.options import (
    Sectioned,
    json_option,
    open_registry,
    pair,
    plan_option,
    results_folder,
    results_option,
    split_names,
    task_folders_option,
)
from glue_harness.core.errors import Interrupted, UsageError
from glue_harness.core.names import LATEST

if TYPE_CHECKING:
    from glue_harness.core.plan import Plan
    from glue_harness.core.record import Record
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

DEMO = {"data": "demo", "model": "tiny", "steps": 400, "lr": 1e-3}  # what --demo stands for


class Run(Sectioned):
    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to learn": ("names", "demo", "data", "train_limit", "text", "task_folders"),
        "Model": ("model", "tokenizer", "method", "adapter_width", "adapter_trains"),
        "How often each task is drawn": ("mixing", "limit", "temperature", "rates", "text_share"),
        "Training": ("steps", "batch_size", "batch_tokens", "lr", "optimizer", "on_nonfinite", "device"),
        "Scores": ("eval_every", "answers", "select"),
        "Several runs": ("seed", "seeds", "strategy", "pretrain_steps"),
        "All settings at once": ("recipe", "file", "settings"),
        "Going on": ("resume", "force", "checkpoint_every"),
    }

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from glue_harness.core.plan import FIELDS

        with_option = {"tasks"} | {parameter.name for parameter in self.params}
        with formatter.section("Settings for --set"):
            formatter.write_text(", ".join(sorted(FIELDS.keys() - with_option)))


@click.command(cls=Run)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Task or suite; repeat or use commas.")
@click.option("--demo", is_flag=True, help="Synthetic data and a tiny model: no network, under a minute.")
@plan_option("data", "hub, demo, demo:ROWS, or a folder (official download, save_to_disk, parquet).")
@plan_option("model", "Hub id, folder, tiny, or t5:mini|small|base|large from scratch.", short="-m")
@plan_option("tokenizer", "Folder with the vocabulary of a model from scratch.")
@plan_option("method", "Which parameters learn: full, adapter, unfreeze, frozen, lora or prompt.")
@plan_option("adapter_width", "Inner size of an adapter, for --method adapter.")
@plan_option("adapter_trains", "adapters+norms (T5's paper) or adapters (its code).")
@plan_option("mixing", "proportional, temperature, equal or custom.")
@plan_option("limit", "K: examples of one task that count at most.")
@plan_option("temperature", "T: flattens the mix when above 1.")
@click.option("--rate", "rates", multiple=True, metavar="TASK=X", help="A task's rate, for --mixing custom.")
@click.option("--strategy", help="single, multitask, multitask-finetune, leave-one-out or pretrain-finetune.")
@click.option(
    "--pretrain-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Steps before tuning.  [default: 2 x steps]",
)
@plan_option("text", "File or folder of plain text for span corruption.")
@plan_option("text_share", "Its share of what is drawn, beside other tasks.")
@plan_option("train_limit", "Rows of each task's train split to use; a smaller number's are among a larger one's.")
@plan_option("select", "validation, or heldout: choose best steps on rows of train that are not trained on.")
@plan_option("steps", "Optimiser updates.")
@plan_option("batch_size", "Examples per update.")
@plan_option("batch_tokens", "Instead: input tokens per update, packed as T5 does it.")
@plan_option("lr", "Learning rate.")
@plan_option("optimizer", "adamw or adafactor.")
@plan_option("answers", "closed: only valid answers. strict: T5's free greedy decoding.")
@plan_option("eval_every", "Steps between evaluations; default: ten times a run.")
@plan_option("on_nonfinite", "stop or skip: an update whose loss or gradient is not finite.")
@plan_option("device", "auto, cuda or cpu.")
@plan_option("seed", "First seed.")
@click.option(
    "--seeds", type=click.IntRange(min=1), metavar="N", default=1, show_default=True, help="Runs, one a seed."
)
@click.option("--recipe", help="t5 or modern: settings by name, which options override.")
@click.option("--plan", "file", type=click.Path(path_type=Path), help="Plan as TOML; options here override it.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other setting: the list is below.")
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
@task_folders_option
@results_option
@click.option("--dry-run", is_flag=True, help="Show plan, mix, parameters, memory and time; train nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Only the scores.")
@json_option
def command(
    names: tuple[str, ...],
    demo: bool,
    rates: tuple[str, ...],
    strategy: str | None,
    pretrain_steps: int | None,
    seeds: int,
    recipe: str | None,
    file: Path | None,
    settings: tuple[str, ...],
    resume: str | None,
    force: bool,
    checkpoint_every: int | None,
    task_folders: tuple[str, ...],
    results: Path,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Fine-tune a model on tasks, score it, and record the run.

    \b
    glue run --task mnli                            Hub data, google-t5/t5-small
    glue run --task mnli --demo                     no network, under a minute
    glue run --task glue --mixing temperature --temperature 2 --data DIR
    glue run --task glue --recipe t5 --data DIR     as T5 was fine-tuned
    glue run --task glue --strategy leave-one-out   several runs
    glue run --task rte --model run:latest          from a run's last model
    glue run --task rte --model run:RUN@mnli        from its best at mnli
    glue run --plan results/RUN/plan.toml --seed 1  again, with another seed
    glue run --resume                               the newest unfinished run
    """
    from glue_harness.cli.progress import show_dry_run, show_seeds
    from glue_harness.cli.strategy import run_strategy, show_stages
    from glue_harness.lab.request import canonical, choose_tasks
    from glue_harness.lab.strategy import stages_of
    from glue_harness.report.console import note
    from glue_harness.runs.origin import find_origin
    from glue_harness.runs.resume import agreed_plan
    from glue_harness.runs.store import Store

    given = {key: value for key, value in options.items() if value is not None}
    if names:
        given["tasks"] = tuple(split_names(names))
    if rates:
        given["rates"] = dict(pair(text, "--rate") for text in rates)
    registry = open_registry(task_folders)
    store = Store(results)
    others = {"dry_run": dry_run, "seeds": seeds > 1, "strategy": bool(strategy), "recipe": bool(recipe)}
    begun = _begun(store, resume, force, **others)
    plan, notes = _plan(recipe, begun.plan if begun else {}, demo, file, given, settings, registry)
    origin = find_origin(plan, store, registry)
    plan = plan.replace(model=origin.model)
    if strategy is None and pretrain_steps is not None:
        raise UsageError("--pretrain-steps is what comes before a strategy tunes: add --strategy")
    stages = stages_of(strategy, plan, registry, pretrain_steps) if strategy else []
    for each in [stage.plan for stage in stages] or [plan]:
        choose_tasks(each, registry)  # names and folders first: torch takes seconds to import
    if dry_run:
        if strategy:
            show_stages(stages, plan, origin, registry, results, as_json)
        else:
            show_dry_run(plan, origin, registry, as_json)
        return
    store.prove()
    if begun:
        agreed_plan(begun, canonical(plan, registry), force)
        if begun.status == "finished":
            note(f"run {begun.id} is finished: there is nothing left to do")
    how = {"checkpoint_every": checkpoint_every, "notes": notes}
    do = partial(carry_out_plan, registry=registry, results=results, quiet=quiet, **how)
    if strategy:
        run_strategy(strategy, stages, range(plan.seed, plan.seed + seeds), registry, results, do, quiet, as_json)
        return
    records = []
    for seed in range(plan.seed, plan.seed + seeds):
        records.append(do(plan.replace(seed=seed), "", resume=begun and begun.id, force=force))
        _show(records[-1], registry, results / records[-1].id, as_json)
    if seeds > 1 and not as_json:
        show_seeds([record.scores for record in records], registry)


def _begun(store: Store, resume: str | None, force: bool, **others: bool) -> Record | None:
    """The run that is to go on."""
    from glue_harness.runs.resume import unfinished

    if resume is None and force:
        raise UsageError("--force is for --resume: a run of its own has nothing to differ from")
    if resume is None:
        return None
    if unlike := [name.replace("_", "-") for name, given in others.items() if given]:
        raise UsageError(f"--resume goes on with one run: leave out --{unlike[0]}")
    return unfinished(store, resume)


def _plan(
    recipe: str | None,
    begun: dict[str, Any],
    demo: bool,
    file: Path | None,
    given: dict[str, Any],
    settings: tuple[str, ...],
    registry: Registry,
) -> tuple[Plan, list[str]]:
    """Later sources win: the run that goes on, --recipe, --demo, the plan file, options, --set.

    And what the record says of the recipe.
    """
    from glue_harness.core.plan import parsed, plan_from, read_plan
    from glue_harness.lab.recipes import departures, overridden, values_of

    values: dict[str, Any] = begun | DEMO if demo else dict(begun)
    values |= read_plan(file) if file else {}
    if "batch_size" in given:  # an update has one size: this one, whatever is below
        values.pop("batch_tokens", None)
    values |= given
    if {"batch_size", "batch_tokens"} <= given.keys():
        raise UsageError(
            "--batch-size counts examples, --batch-tokens tokens: an update has one size, give one of them"
        )
    for text in settings:
        key, value = pair(text, "--set", str)
        values[key] = parsed(key, value, "--set")
    if "tasks" not in values:
        raise UsageError("no task: name one with --task, for example --task mnli (glue tasks lists them)")
    if recipe is None:
        return plan_from(values), []
    plan = plan_from(overridden(values_of(recipe, values["tasks"], registry), values))
    return plan, [departures(recipe, plan, registry)]


def carry_out_plan(plan: Plan, stage: str, registry: Registry, results: Path, quiet: bool, **how: Any) -> Record:
    """One run, watched; Ctrl-C is one line."""
    from glue_harness.cli.progress import Progress
    from glue_harness.lab.run import run

    with Progress(quiet) as progress:
        try:
            return run(plan, results=results, registry=registry, watcher=progress, stage=stage, **how)
        except KeyboardInterrupt as stop:
            raise _interrupted(stop, progress.folder, bool(stage)) from None


def _show(record: Record, registry: Registry, folder: Path, as_json: bool) -> None:
    from glue_harness.cli.progress import show_scores
    from glue_harness.core.writing import json_text

    if as_json:
        scores = {task: score.metrics for task, score in record.scores.items()}
        click.echo(json_text({"id": record.id, "folder": str(folder), "scores": scores}))
    else:
        show_scores(record, registry, folder)


def _interrupted(stop: KeyboardInterrupt, folder: Path | None, of_several: bool) -> Interrupted:
    """What is left of a run that was stopped, and how to go on with it."""
    from glue_harness.runs.folder import RunFolder

    code = getattr(stop, "exit_code", Interrupted.exit_code)
    message = "interrupted" if code == Interrupted.exit_code else "terminated"
    if of_several:
        message += ": the same command goes on from here"
    elif folder and (left := RunFolder(folder).snapshots()):
        where = f" --results {folder.parent}" if folder.parent != results_folder() else ""
        message += f" after step {left[0][0]}: glue run --resume {folder.name}{where} goes on from there"
    elif folder:
        message += f": what was kept is in {folder}"
    error = Interrupted(message)
    error.exit_code = code
    return error
