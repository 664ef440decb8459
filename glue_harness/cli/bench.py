"""`glue bench`: our speed against transformers' own tools, on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from glue_harness.cli.options import json_option, plan_option, split_names, task_folders_option
from glue_harness.core.errors import UsageError

if TYPE_CHECKING:
    from glue_harness.core.plan import Plan

COLUMNS = ("side", "our speed", "seconds", "tokens/s", "padding", "warm-up", "memory", "TFLOP/s", "MFU")


class Size(NamedTuple):
    steps: int
    batch_size: int
    repeats: int
    answers: int


FULL, QUICK = Size(24, 32, 5, 1024), Size(3, 32, 3, 96)


@click.command()
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Tasks or suites of --data; default: glue.")
@click.option("--data", metavar="WHERE", help="As in glue run; default: synthetic text as long as GLUE's inputs.")
@click.option(
    "-m", "--model", default="t5:small", show_default=True, help="t5:mini|small|base|large, tiny, Hub id or folder."
)
@plan_option("tokenizer", "Folder with the vocabulary of a model from scratch.")
@plan_option("precision", "auto, bf16 or fp32, on all sides.")
@plan_option("device", "auto, cuda or cpu.")
@click.option("--steps", type=click.IntRange(min=2), help=f"Updates a repeat; default: {FULL.steps}.")
@click.option("--batch-size", type=click.IntRange(min=1), help=f"Examples an update; default: {FULL.batch_size}.")
@click.option("--repeats", type=click.IntRange(min=1), help=f"Rounds in which all take turns; default: {FULL.repeats}.")
@click.option(
    "--quick", is_flag=True, help="Fewer and smaller updates, rounds and answers: under 3 minutes on 2 cores."
)
@click.option("--profile", "profiled", is_flag=True, help="Instead: where a step's time goes.")
@task_folders_option
@json_option
def command(
    names: tuple[str, ...],
    data: str | None,
    model: str,
    steps: int | None,
    batch_size: int | None,
    repeats: int | None,
    quick: bool,
    profiled: bool,
    task_folders: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Measure training against Hugging Face Trainer, and answers to label tasks against generate.

    \b
    glue bench --quick                                       no data, no network
    glue bench --data DIR --tokenizer DIR                    a T5-small from scratch on GLUE's rows
    glue bench --profile                                     where a step's time goes
    """
    from glue_harness.core.plan import Plan
    from glue_harness.core.writing import json_text

    if names and not data:
        raise UsageError("--task needs rows: say where they are with --data")
    default = QUICK if quick else FULL
    plan = Plan(
        tasks=tuple(split_names(names)) or ("glue",),
        model=model,
        data=data or "demo",
        steps=steps or default.steps,
        batch_size=batch_size or default.batch_size,
        **{key: value for key, value in settings.items() if value is not None},
    )
    found = _measured(plan, data is not None, task_folders, profiled, repeats or default.repeats, default.answers)
    if as_json:
        click.echo(json_text(found))
    elif profiled:
        show_profile(found)
    else:
        show_bench(found)


def _measured(
    plan: Plan, has_data: bool, task_folders: tuple[str, ...], profiled: bool, repeats: int, answers: int
) -> dict[str, Any]:
    from glue_harness.lab.request import choose_tasks
    from glue_harness.models.families import FROM_SCRATCH, check_model
    from glue_harness.suite.registry import load_tasks

    registry = load_tasks(task_folders)
    if has_data:  # names first: torch takes seconds to import
        choose_tasks(plan, registry)
    elif plan.model not in FROM_SCRATCH:
        check_model(plan.model, plan.tokenizer)
    from glue_harness.bench import bench, profile_steps
    from glue_harness.bench.synthetic import without_data

    with contextlib.nullcontext((plan, registry)) if has_data else without_data(plan, answers) as (plan, registry):
        return profile_steps(plan, registry) if profiled else bench(plan, registry, repeats, answers)


def show_bench(found: dict[str, Any]) -> None:
    from glue_harness.report.console import say

    show_setup(found["setup"])
    _show_sides(f"training, {found['setup']['updates']} updates", found["train"])
    _show_sides("answers to label tasks", found["answers"])
    say(f"Medians of {found['repeats']} rounds in which all sides take turns; our speed is the median over rounds.")
    say("Tokens count without padding; warm-up is what the first run, which is not among them, took longer:")
    say("on CUDA mostly torch.compile. Memory is the most that a run held beyond what was there before it.")
    say(found["flops"])


def show_setup(facts: dict[str, Any]) -> None:
    from glue_harness.report.console import say

    threads = f", {facts['threads']} threads" if facts["device"] == "CPU" else ""
    say(f"{facts['model']} ({facts['parameters'] / 1e6:.1f}M parameters), {facts['device']}{threads}")
    say(
        f"{facts['precision']}, {facts['optimizer']}, updates of {facts['batch_size']} examples, inputs cut at "
        f"{facts['max_input']} tokens, the same on all sides"
    )
    say(f"{facts['data']}: {', '.join(facts['tasks'])}")


def _show_sides(title: str, part: dict[str, Any]) -> None:
    from glue_harness.report.console import say, show, table

    rows = []
    for name, side in part["sides"].items():
        ratio = part.get(f"vs_{name}")
        rows.append(
            (
                name,
                f"{ratio:.2f}x" if ratio else "",
                f"{side['seconds']:.2f}",
                f"{side['tokens_per_second']:,.0f}",
                f"{side['padding']:.0%}",
                f"{side['warm_up_seconds']:.1f}",
                _shown(side["peak_bytes"], lambda n: f"{n / 2**20:,.0f} MiB"),
                _shown(side.get("flops_per_second"), lambda n: f"{n / 1e12:.2f}"),
                _shown(side.get("mfu"), lambda n: f"{n:.0%}"),
            )
        )
    say()
    show(table(COLUMNS, rows, title=f"{title}, {part['examples']} examples", right=COLUMNS[1:]))
    for name, side in part["sides"].items():
        say(f"  {name}: {side['does']}", style="dim")
    say()


def _shown(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)


def show_profile(found: dict[str, Any]) -> None:
    from glue_harness.report.console import say, show, table

    show_setup(found["setup"])
    parts = found["profile"]["parts"]
    rows = [(name, f"{1000 * part['seconds']:.1f}", f"{part['share']:.0%}") for name, part in parts.items()]
    show(table(("part of a step", "ms", "share"), rows, right=("ms", "share")))
    say(f"{1000 * found['profile']['step']:.1f} ms a step: median of each part over {found['setup']['updates'] - 1}.")
    say("The clock waits for a GPU at each part's beginning and end, so a free-running step is a little faster.")
