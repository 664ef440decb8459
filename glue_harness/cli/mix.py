"""`glue mix`: what a run would see of each task, before an hour is spent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from glue_harness.cli.options import json_option, open_registry, pair, plan_option, split_names, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.reading import json_value, read_small
from glue_harness.report.console import note, or_dash, table

if TYPE_CHECKING:
    from glue_harness.data.mixing import Rates, Share
    from glue_harness.suite.registry import Registry

LARGEST_SIZES = 2**20  # bytes of the file that tells them
MOST = 10**15  # examples of a task: beyond any data set, and exact as a float
OFFICIAL = "examples: official counts, nothing was read; with --data DIR, what the rows become is counted"


class Mix(NamedTuple):
    plan: Plan
    sizes: Mapping[str, float | None]
    rates: Rates
    notes: tuple[str, ...] = ()


@click.command()
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Task or suite; repeat or use commas.")
@click.option(
    "--mixture",
    "mixtures",
    multiple=True,
    metavar="NAME[=WEIGHT]",
    help="T5's own mixture, such as t5:glue, t5:all, t5:all_equal; several, or tasks, make a mixture of mixtures.",
)
@click.option(
    "--sizes",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help='Training examples as JSON, {"cola": 8551, ...}: needs no data, and no limit holds unless given.',
)
@plan_option("data", "Counts come from here; hub: the official ones, nothing is read.")
@plan_option("mixing", "proportional, temperature, equal or custom.")
@plan_option("limit", "K: examples of one task that count at most; with --sizes, 0 means no limit.")
@plan_option("temperature", "T: flattens the mix when above 1.")
@click.option("--scale", type=float, metavar="S", help="With --sizes: multiplies every size before the limit.")
@click.option("--rate", "rates", multiple=True, metavar="TASK=X", help="A task's rate, for --mixing custom.")
@plan_option("steps", "Optimiser updates of the planned run.")
@plan_option("epochs", "Instead: passes over the training examples.")
@plan_option("batch_size", "Examples per update.")
@task_folders_option
@json_option
def command(
    names: Names,
    mixtures: Names,
    file: Path | None,
    scale: float | None,
    rates: Names,
    task_folders: Names,
    as_json: bool,
    **options: Any,
) -> None:
    """Show how often each task would be drawn, and how many examples and epochs that makes.

    \b
    glue mix --task glue --mixing temperature --temperature 2 --limit 65536
    glue mix --task cola,rte --mixing custom --rate cola=1 --rate rte=3
    glue mix --mixture t5:all_proportional --limit 524288
    glue mix --sizes sizes.json --mixing temperature --temperature 4 --json
    """
    from glue_harness.core.settings import refuse_two_lengths
    from glue_harness.data.mixing import SizeRate, shares, steps_of
    from glue_harness.data.mixing import rates as rates_of

    given = {key: value for key, value in options.items() if value is not None}
    refuse_two_lengths(given, "command line")
    if rates:
        given["rates"] = dict(pair(text, "--rate") for text in rates)
    if names and (mixtures or file):
        raise UsageError("--task takes its sizes and rates from the tasks: leave out --mixture and --sizes")
    if file and "data" in given:
        raise UsageError("--data and --sizes both say how many examples there are: leave one out")
    if scale is not None and (mixtures or not file):
        raise UsageError("--scale goes with --sizes and a mixing: a run has no scale")
    if mixtures and not given.keys().isdisjoint(("mixing", "rates")):
        raise UsageError("a mixture has its own rates: leave out --mixing and --rate")
    if given.get("mixing") in ("equal", "custom") and (given.get("limit") or scale not in (None, 1)):
        raise UsageError(f"--mixing {given['mixing']} does not look at sizes: leave out --limit and --scale")
    sizes = read_sizes(file) if file else {}
    if mixtures:
        mix = of_mixtures(mixtures, given, sizes, open_registry(task_folders))
    elif file:
        # T5's formula by itself: no run, so no default limit, and a temperature goes with any size-based mixing
        plan = plan_of(tuple(sizes), given, unlimited=True)
        factor = 1.0 if scale is None else scale
        mix = Mix(plan, sizes, rates_of(plan.mixing, sizes, SizeRate(plan.limit, plan.temperature, factor), plan.rates))
    elif names:
        mix = of_tasks(tuple(split_names(names)), given, open_registry(task_folders, split_names(names)))
    else:
        raise UsageError("nothing to mix: name tasks with --task, a mixture with --mixture, or give --sizes FILE")
    planned = not file or not given.keys().isdisjoint(("steps", "epochs", "batch_size"))
    if mix.plan.never_learns:
        raise UsageError("steps must be above 0, not 0: nothing is drawn for a model that is only scored")
    batch, steps = mix.plan.batch_size, mix.plan.steps
    if mix.plan.epochs is not None:
        steps = steps_of(mix.plan.epochs, mix.sizes, mix.rates, batch)
    drawn = shares(mix.sizes, mix.rates, steps * batch)
    fields = {"rates": "rate", "probabilities": "probability"}
    fields |= {"examples": "examples", "epochs": "epochs"} if planned else {}
    facts = {key: {task: getattr(share, name) for task, share in drawn.items()} for key, name in fields.items()}
    emit(as_json, facts, shown(f"{steps:,} steps of {batch:,} examples", drawn, planned))
    for text in mix.notes:
        note(text)
    if not file:
        note(OFFICIAL if mix.plan.data == "hub" else f"examples: counted in --data {mix.plan.data}")


def shown(title: str, drawn: Mapping[str, Share], planned: bool) -> Shown:
    columns = ("task", "examples", "rate", "share", "drawn", "epochs")[: 6 if planned else 4]
    rows = []
    for task, (size, rate, probability, examples, epochs) in drawn.items():
        cells = (f"{rate:,.6g}", f"{probability:.2%}", f"{examples:,.0f}", or_dash(epochs, ".2f"))
        rows.append((task, or_dash(size, ","), *(cells if rate else ("only scored", "-", "-", "-")))[: len(columns)])
    yield table(columns, rows, title=title if planned else "", right=columns[1:])


def plan_of(names: Names, given: dict[str, Any], unlimited: bool) -> Plan:
    """The plan that checks these settings. Proportional mixing and temperature mixing are one formula.

    T5's function has no limit unless it is given, and takes 0 for none.
    """
    if unlimited:
        given = {**given, "limit": given.get("limit") or None}
    if given.get("mixing", "proportional") == "proportional":
        given = {**given, "mixing": "temperature"}
    return plan_from({"tasks": names, **given})


def of_tasks(names: Names, given: dict[str, Any], registry: Registry) -> Mix:
    """The mix of a run with these settings."""
    from glue_harness.data import training_size
    from glue_harness.lab.request import left_out, rates, select

    plan = plan_from({"tasks": names, **given})
    selected = select(plan, registry)
    sizes = {task.name: training_size(task, plan.data, plan.revision) for task in selected if "train" in task.splits}
    notes = [f"{task.name} has no train split: it is only scored" for task in selected if task.name not in sizes]
    return Mix(plan, sizes, rates(plan, registry, sizes), (*notes, *left_out(plan, registry, selected)))


def of_mixtures(texts: Names, given: dict[str, Any], sizes: Mapping[str, float], registry: Registry) -> Mix:
    """T5's mixtures. As there, what has no train split drops out after the rates are computed."""
    from glue_harness.data import training_size
    from glue_harness.data.mixing import MIXTURES, SHORT, TEXT_SIZES, SizeRate, mixture, mixture_rates

    tasks = {**registry.tasks, **{alias: registry.tasks[name] for alias, name in registry.aliases.items()}}
    weights = dict(pair(text, "--mixture") if "=" in text else (text, 1.0) for text in texts)
    for name in weights:
        if name not in MIXTURES and name not in tasks:
            raise unknown("mixture or task", name, [*SHORT, *MIXTURES, *registry.tasks])
    members = mixture(texts[0]) if texts[0] in MIXTURES and len(texts) == 1 else weights
    plan = plan_of(tuple(members), given, unlimited=bool(sizes))
    known = {**TEXT_SIZES, **sizes} if plan.data == "hub" else sizes
    size_rate = SizeRate(plan.limit, plan.temperature)

    @cache
    def size(name: str) -> float | None:
        if name in known or name not in tasks:
            return known.get(name)
        return training_size(tasks[name], plan.data, plan.revision) if "train" in tasks[name].splits else 0

    def rate_of(name: str) -> float:
        if (n := size(name)) is None:
            raise UsageError(f"how many training examples has {name!r}? Say it in --sizes FILE")
        return size_rate(n)

    found = {name: rate if size(name) != 0 else 0.0 for name, rate in mixture_rates(members, rate_of).items()}
    return Mix(plan, {name: size(name) for name in found}, found)


def read_sizes(file: Path) -> dict[str, float]:
    """Task -> training examples, from a JSON file."""
    where = f"--sizes {str(file)!r}"
    try:
        with open(file, "rb") as content:
            sizes = json_value(read_small(content, LARGEST_SIZES))
    except OSError as error:
        raise UsageError(f"cannot read {where}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{where} is not JSON: {error}") from None
    if not isinstance(sizes, dict) or not sizes:
        raise UsageError(f'{where} must hold an object such as {{"cola": 8551, "rte": 2490}}')
    for task, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, int | float) or not 0 <= n <= MOST:
            raise UsageError(f"{where}: {task!r} must be a number of examples from 0 to {MOST:.0e}, not {str(n)[:40]}")
    return sizes
