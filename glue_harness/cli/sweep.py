"""`glue sweep`: many settings, the best one, and what it is worth on examples that chose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from glue_harness.cli.jobs import carry_out_jobs, on_option
from glue_harness.cli.options import (
    MOST_SEEDS,
    Sectioned,
    json_option,
    open_registry,
    plan_options,
    results_option,
    said_of,
    said_options,
    settings_option,
    split_names,
    task_folders_option,
)
from glue_harness.cli.run import DEMO, plan_of
from glue_harness.core.errors import GlueError
from glue_harness.core.plan import LEARN, MIX, MODEL, SCORES, SEVERAL, TRAINING
from glue_harness.report.console import lasting, note, or_dash, say, show, table

if TYPE_CHECKING:
    from glue_harness.core.plan import Plan
    from glue_harness.core.record import Record
    from glue_harness.jobs.graph import Job
    from glue_harness.lab.request import Request
    from glue_harness.sweep.space import Space
    from glue_harness.sweep.study import Study, Tried

MOST_SHOWN = 20  # settings in the table


class Sweep(Sectioned):
    before: ClassVar[dict[str, tuple[str, ...]]] = {
        LEARN: ("names", "demo"),
        "What is tried": ("over", "space", "search", "trials", "seeds", "final", "on"),
        MODEL: (),
        MIX: (),
        TRAINING: (),
        SCORES: (),
        SEVERAL: (),
        "All settings at once": ("recipe", "file", "settings", "help_settings"),
    }
    after: ClassVar[dict[str, tuple[str, ...]]] = {LEARN: ("task_folders",), MIX: ("rates",)}


@click.command(cls=Sweep)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Task or suite; repeat or use commas.")
@click.option("--demo", is_flag=True, help="Synthetic data and a tiny model: no network.")
@click.option("--over", multiple=True, metavar="NAME=V,V", help="A setting and the values to try; repeat for more.")
@click.option("--space", type=click.Path(path_type=Path), help="TOML with a table [over]: values, ranges, conditions.")
@click.option("--search", default="grid", show_default=True, help="grid, random, asha or tpe.")
@click.option("--trials", type=click.IntRange(1, 100_000), metavar="N", help="Settings to draw; a grid tries all.")
@click.option(
    "--seeds", type=click.IntRange(1, MOST_SEEDS), metavar="N", default=1, show_default=True, help="Runs a setting."
)
@click.option(
    "--final",
    type=click.IntRange(0, MOST_SEEDS),
    metavar="N",
    default=3,
    show_default=True,
    help="Fresh seeds that the best setting is scored with.",
)
@on_option
@plan_options
@click.option("--rate", "rates", multiple=True, metavar="TASK=X", help="A task's rate, for --mixing custom.")
@click.option("--recipe", help="Settings by name, which options override: see glue run --help.")
@click.option("--plan", "file", type=click.Path(path_type=Path), help="Plan as TOML; options here override it.")
@settings_option
@said_options
@task_folders_option
@results_option
@click.option("--dry-run", is_flag=True, help="List the settings and which are finished; train nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Only the tables.")
@json_option
def command(
    demo: bool,
    over: tuple[str, ...],
    space: Path | None,
    search: str,
    trials: int | None,
    seeds: int,
    final: int,
    on: str,
    task_folders: tuple[str, ...],
    results: Path,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Try settings out, and score the best one with seeds and examples that did not choose it.

    The search sees rows of train that are held out (--select heldout is the default here); validation is asked for
    the best setting alone, with fresh seeds. The same command goes on, and with more values does only the new ones.

    \b
    glue sweep --task rte --over lr=1e-5,2e-5,3e-5 --over batch_size=16,32
    glue sweep --task rte --demo --over lr=3e-4,1e-3,3e-3 --seeds 2 --on local:2
    glue sweep --task rte --space space.toml --search random --trials 20
    glue sweep --task rte --space space.toml --search asha --trials 60
    """
    from glue_harness.jobs.executors import Workplace
    from glue_harness.jobs.places import slots_of
    from glue_harness.lab.assemble import settle
    from glue_harness.lab.estimate import evaluated_every
    from glue_harness.lab.request import make_request
    from glue_harness.methods import load_method, scored_from
    from glue_harness.runs.store import Store
    from glue_harness.sweep.search import search_of
    from glue_harness.sweep.space import space_of
    from glue_harness.sweep.study import Study

    registry = open_registry(task_folders, split_names(given["names"]))
    store, chosen, said = Store(results), space_of(over, space), said_of(given)
    plan, recipe = plan_of({}, {"select": "heldout", **(DEMO if demo else {})}, given, registry, store)
    request = make_request(plan, registry, store)
    if not request.groups:
        raise GlueError(f"no task of {', '.join(plan.tasks)} is scored: there is nothing to choose by")
    request = settle(request)
    base = request.plan
    first = scored_from(load_method(base.method), base)
    found = search_of(search, chosen, trials, base.seed, base.steps, evaluated_every(base), first)
    notes = (recipe.note(base),) if recipe else ()
    study = Study(base, found, groups_of(request), store, seeds, notes)
    refuse_impossible(chosen, base, request)
    jobs = study.begin(slots_of(on))
    if dry_run:
        show_jobs(jobs, study)
        return
    place = Workplace(results, task_folders, **said)
    carry_out_jobs(jobs, on, place, registry, quiet, study.after)
    ranked = study.finished()
    if not ranked:
        raise GlueError("no setting was trained to its end: nothing can be chosen")
    winner = ranked[0]
    last = study.final(winner, final)
    records = carry_out_jobs(last, on, place, registry, quiet).records(last) if last else []
    if as_json:
        tell_json(study, ranked, records)
    else:
        tell(study, ranked, records, request)


def groups_of(request: Request) -> list[tuple[Any, ...]]:
    """The tasks whose scores choose, together where they count as one."""
    if request.plan.select == "heldout":  # rows of train are scored as the task itself
        return [(request.registry.task(name),) for name in request.groups]
    return list(request.groups.values())


def refuse_impossible(space: Space, base: Plan, request: Request) -> None:
    """Every value that a search may come to, before anything is trained."""
    from glue_harness.lab.request import make_request

    for choice in space.choices:
        for value in choice.values or choice.ends:
            make_request(base.replace(**choice.when, **{choice.name: value}), request.registry)


def show_jobs(jobs: Sequence[Job], study: Study) -> None:
    done = {job.key: study.store.finished(*job.key) for job in jobs}
    rows = []
    for job in jobs:
        finished = done[job.key]
        rows.append((job.name, f"{job.until or job.plan.steps:,}", job.plan.digest, finished.id if finished else "-"))
    show(table(("setting", "steps", "plan", "run"), rows, right=("steps",)))
    left = sum(job.until or job.plan.steps for job in jobs if not done[job.key])
    say(f"{len(jobs)} runs to begin with, {left:,} steps to go; nothing was trained", style="dim")


def tell(study: Study, ranked: Sequence[Tried], records: Sequence[Record], request: Request) -> None:
    """The settings, what each value does, what fewer trials would have found, and the winner's scores."""
    from glue_harness.cli.progress import score_table
    from glue_harness.sweep.report import curve, effects, spread
    from glue_harness.sweep.study import named

    rows = [
        (rank, named(one.trial.setting), f"{one.mean:.2f}", or_dash(spread(one), ".2f"), len(one.values))
        for rank, one in enumerate(ranked[:MOST_SHOWN], 1)
    ]
    columns = ("rank", "setting", "held out", "std", "seeds")
    show(table(columns, rows, title="Mean score on held-out rows", right=("rank", *columns[2:])))
    if len(ranked) > MOST_SHOWN:
        say(f"and {len(ranked) - MOST_SHOWN:,} more", style="dim")
    if len(ranked) > 1:
        of_values = [(e.name, e.value, e.trials, f"{e.mean:.2f}", f"{e.best:.2f}") for e in effects(ranked)]
        show(table(("setting", "value", "trials", "mean", "best"), of_values, right=("trials", "mean", "best")))
        known = ", ".join(f"{value:.2f} of {n}" for n, value in curve(ranked))
        say(f"the best of n of these trials, as expected: {known}", style="dim")
    tried = study.tried.values()
    steps, seconds = sum(one.steps for one in tried), sum(one.seconds for one in tried)
    stopped = len(study.tried) - len(ranked)
    early = f", {stopped} of them not to the end" if stopped else ""
    say(f"searched: {len(study.tried)} settings{early}, {steps:,} steps, {lasting(seconds)}")
    say(f"best: {named(ranked[0].trial.setting)}", style="bold")
    if ties := sum(one.mean == ranked[0].mean for one in ranked[1:]):
        others = "another setting has" if ties == 1 else f"{ties} other settings have"
        note(f"{others} the same score on the held-out rows: the one that was tried first is taken")
    if not records:
        note("not scored on validation: --final N does it with N fresh seeds")
    elif len(records) == 1:
        show(score_table(records[0].scores, request.registry, "The best setting on validation, a fresh seed"))
    else:
        show_final(records, request)
    note(f"next: glue compare {ranked[0].plan.digest} OTHER, with the digest of another plan", style=None)


def show_final(records: Sequence[Record], request: Request) -> None:
    """The mean over the fresh seeds with its interval."""
    from glue_harness.report.experiments import in_order, stat

    rows = []
    for name in in_order(records[0].scores, request.registry):
        for key in records[0].scores[name].metrics:
            scores = [record.scores[name] for record in records]
            values = [value for score in scores if (value := score.metrics[key]) is not None]
            if len(values) < len(scores):
                continue
            found = stat(values, [score.intervals.get(key) or (None, None) for score in scores])
            between = "-" if found.low is None else f"{found.low:.2f} to {found.high:.2f}"
            each = " ".join(f"{value:.2f}" for value in values)
            rows.append((name, key, f"{found.mean:.2f}", between, found.over or "-", each))
    columns = ("task", "metric", "mean", "95 % interval", "over", "each seed")
    title = f"The best setting on validation, {len(records)} fresh seeds"
    show(table(columns, rows, title=title, right=("mean", "95 % interval", "each seed")))


def tell_json(study: Study, ranked: Sequence[Tried], records: Sequence[Record]) -> None:
    from glue_harness.core.writing import json_text
    from glue_harness.sweep.report import curve, effects

    trials = [
        {
            "setting": one.trial.setting,
            "plan": one.plan.digest,
            "until": one.trial.until,
            "held_out": one.values,
            "steps": one.steps,
            "seconds": one.seconds,
        }
        for one in study.tried.values()
    ]
    final = [
        {"seed": record.plan["seed"], "id": record.id, "scores": {t: s.metrics for t, s in record.scores.items()}}
        for record in records
    ]
    facts: dict[str, Any] = {"best": ranked[0].trial.setting, "plan": ranked[0].plan.digest, "trials": trials}
    facts |= {"effects": [effect._asdict() for effect in effects(ranked)], "expected_best": curve(ranked)}
    click.echo(json_text({**facts, "final": final}))
