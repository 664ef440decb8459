"""`glue bench`: our speed against transformers' own tools, on this machine."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from glue_harness.cli.options import json_option, pair, plan_option, split_names, task_folders_option
from glue_harness.core.errors import UsageError
from glue_harness.report.console import say, show, table

FULL = {"steps": 24, "batch_size": 32, "repeats": 5, "answers": 1024}
QUICK = FULL | {"steps": 3, "repeats": 3, "answers": 96}
FIGURES = {  # heading: the name in JSON, its unit there, how it is written
    "seconds": ("seconds", 1, "{:.2f}"),
    "tokens/s": ("tokens_per_second", 1, "{:,.0f}"),
    "padding": ("padding", 1, "{:.0%}"),
    "warm-up": ("warm_up_seconds", 1, "{:.1f}"),
    "memory": ("peak_bytes", 2**20, "{:,.0f} MiB"),
    "TFLOP/s": ("flops_per_second", 1e12, "{:.2f}"),
    "MFU": ("mfu", 1, "{:.0%}"),
}
SETUP = """\
{precision}, {optimizer}, updates of {batch_size} examples, inputs cut at {max_input} tokens, the same on all sides
{data}: {tasks}"""
PROFILE_NOTE = """\
{:.1f} ms a step: median of each part over {}.
The clock waits for a GPU at each part's beginning and end, so a free-running step is a little faster."""
CONTEST_NOTE = """\
Medians of {repeats} rounds in which all sides take turns; our speed is the median over rounds.
Tokens count without padding; warm-up is what the first run, which is not among them, took longer:
on CUDA mostly torch.compile. Memory is the most that a run held beyond what was there before it.
{flops}"""


@click.command()
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Tasks or suites of --data; default: glue.")
@click.option("--data", metavar="WHERE", help="As in glue run; default: synthetic text as long as GLUE's inputs.")
@click.option(
    "-m", "--model", default="t5:small", show_default=True, help="t5:mini|small|base|large, tiny, Hub id or folder."
)
@plan_option("tokenizer", "Folder with the vocabulary of a model from scratch.")
@plan_option("precision", "auto, bf16 or fp32, on all sides.")
@plan_option("device", "auto, cuda or cpu.")
@click.option("--steps", type=click.IntRange(min=2), help=f"Updates a repeat; default: {FULL['steps']}.")
@click.option("--batch-size", type=click.IntRange(min=1), help=f"Examples an update; default: {FULL['batch_size']}.")
@click.option(
    "--repeats", type=click.IntRange(min=1), help=f"Rounds in which all take turns; default: {FULL['repeats']}."
)
@click.option(
    "--quick", is_flag=True, help="Fewer and smaller updates, rounds and answers: under 3 minutes on 2 cores."
)
@click.option(
    "--set", "chosen", multiple=True, metavar="KEY=VALUE", help="Any other setting of our side, such as compile=off."
)
@click.option("--profile", "profiled", is_flag=True, help="Instead: where a step's time goes.")
@task_folders_option
@json_option
def command(
    names: tuple[str, ...],
    data: str | None,
    quick: bool,
    chosen: tuple[str, ...],
    profiled: bool,
    task_folders: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure training against Hugging Face Trainer, and answers to label tasks against generate.

    \b
    glue bench --quick                     no data, no network
    glue bench --data DIR --tokenizer DIR  a T5-small from scratch on GLUE's rows
    glue bench --profile                   where a step's time goes
    glue bench --set cuda_graphs=on        on a GPU: what is off as yet
    """
    from glue_harness.core.plan import Plan
    from glue_harness.core.plan_file import parsed
    from glue_harness.core.writing import json_text
    from glue_harness.lab.request import make_request
    from glue_harness.models.families import check_model, is_from_scratch
    from glue_harness.suite.registry import load_tasks

    if names and not data:
        raise UsageError("--task needs rows: say where they are with --data")
    own = {key: parsed(key, value, "--set") for key, value in (pair(text, "--set", str) for text in chosen)}
    settings = (QUICK if quick else FULL) | {key: value for key, value in settings.items() if value is not None} | own
    repeats, answers = settings.pop("repeats"), settings.pop("answers")
    plan = Plan(tasks=tuple(split_names(names)) or ("glue",), data=data or "demo", **settings)
    registry = load_tasks(task_folders)
    if data:  # names first: torch takes seconds to import
        make_request(plan, registry)
    elif not is_from_scratch(plan.model):
        check_model(plan.model, plan.tokenizer)
    from glue_harness import bench
    from glue_harness.bench.synthetic import without_data

    if fixed := sorted(own.keys() & {*bench.COMMON, "tasks", "data", "model"}):
        raise UsageError(f"--set {fixed[0]}: glue bench has it the same on all sides, or an option of its own")

    with contextlib.nullcontext((plan, registry)) if data else without_data(plan, answers) as (plan, registry):
        found = bench.profile(plan, registry) if profiled else bench.bench(plan, registry, repeats, answers)
    if as_json:
        click.echo(json_text(found))
        return
    facts = found["setup"]
    threads = f", {facts['threads']} threads" if facts["device"] == "CPU" else ""
    say(f"{facts['model']} ({facts['parameters'] / 1e6:.1f}M parameters), {facts['device']}{threads}")
    say(SETUP.format_map(facts | {"tasks": ", ".join(facts["tasks"])}))
    if profiled:
        parts = found["profile"]["parts"].items()
        rows = [(name, f"{1000 * part['seconds']:.1f}", f"{part['share']:.0%}") for name, part in parts]
        show(table(("part of a step", "ms", "share"), rows, right=("ms", "share")))
        say(PROFILE_NOTE.format(1000 * found["profile"]["step"], facts["updates"] - 1))
    else:
        show_contest(f"training, {facts['updates']} updates", found["train"])
        show_contest("answers to label tasks", found["answers"])
        say(CONTEST_NOTE.format_map(found))


def show_contest(title: str, found: dict[str, Any]) -> None:
    rows = []
    for name, side in found["sides"].items():
        ratio = f"{found[f'vs_{name}']:.2f}x" if f"vs_{name}" in found else ""
        figures = ((side.get(key), unit, form) for key, unit, form in FIGURES.values())
        rows.append((name, ratio, *("-" if n is None else form.format(n / unit) for n, unit, form in figures)))
    say()
    numbers = ("our speed", *FIGURES)
    show(table(("side", *numbers), rows, title=f"{title}, {found['examples']} examples", right=numbers))
    for name, side in found["sides"].items():
        say(f"  {name}: {side['does']}", style="dim")
    say()
