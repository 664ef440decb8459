"""What a shell offers for the value of an option or argument, as far as we know what it can be.

A function for each kind of value; `VALUES` says by its name, or by what help calls it, which one a parameter has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from glue_harness.core.errors import GlueError
from glue_harness.core.names import LATEST
from glue_harness.core.plan import settings
from glue_harness.core.settings import plugin_files

Values = Callable[[click.Context], Iterable[str]]
FOLDERS = [CompletionItem("", type="dir")]  # the shell knows better
FILES = [CompletionItem("", type="file")]


def tasks(context: click.Context) -> list[str]:
    from glue_harness.suite.registry import load_tasks

    return list(load_tasks(context.params.get("task_folders") or ()).tasks)


def tasks_and_suites(context: click.Context) -> list[str]:
    from glue_harness.suite.registry import load_tasks

    registry = load_tasks(context.params.get("task_folders") or ())
    return [*registry.tasks, *registry.suites, *mixtures(context)]


def suites(context: click.Context) -> list[str]:
    from glue_harness.suite.registry import load_tasks

    return list(load_tasks(context.params.get("task_folders") or ()).suites)


def mixtures(context: click.Context) -> list[str]:
    from glue_harness.data.mixing import MIXTURES

    return [name for name in MIXTURES if name.startswith("t5:")]


def runs(context: click.Context) -> list[str]:
    from glue_harness.cli.options import results_folder
    from glue_harness.runs.store import Store

    store = Store(context.params.get("results") or results_folder())
    return [LATEST, *(entry.id for entry in reversed(store.by_age()))]


def models(context: click.Context) -> list[str]:
    from glue_harness.models.families import shapes

    return [*shapes(), *(f"run:{name}" for name in runs(context))]


def mixings(context: click.Context) -> list[str]:
    from glue_harness.data.mixing import MIXINGS

    return list(MIXINGS)


def strategies(context: click.Context) -> list[str]:
    from glue_harness.lab.strategy import STRATEGIES

    return list(STRATEGIES)


def recipes(context: click.Context) -> list[str]:
    from glue_harness.lab.recipes import RECIPES

    return list(RECIPES)


def tags(context: click.Context) -> list[str]:
    from glue_harness.cli.options import results_folder
    from glue_harness.runs.store import Store

    records, _ = Store(context.params.get("results") or results_folder()).summaries()
    return sorted({tag for record in records for tag in record.tags})


def trackers(context: click.Context) -> Iterable[str]:
    from glue_harness.track import packages

    return packages()


def formats(context: click.Context) -> list[str]:
    from glue_harness.report.formats import names

    return names()


def published(context: click.Context) -> list[str]:
    from glue_harness.report.published import published_tables

    return list(published_tables())


VALUES: dict[str, Values] = {
    "--task": tasks_and_suites,
    "TASK": tasks,
    "--rate": lambda context: [f"{name}=" for name in tasks(context)],
    "--mixture": mixtures,
    "--suite": suites,
    "--model": models,
    "--method": lambda context: plugin_files("method"),
    "--optimizer": lambda context: plugin_files("optimizer"),
    "--mixing": mixings,
    "--strategy": strategies,
    "--recipe": recipes,
    "--set": lambda context: [f"{name}=" for name, setting in settings().items() if not setting.group],
    "--data": lambda context: ["hub", "demo"],
    "--split": lambda context: ["train", "validation", "test"],
    "--format": formats,
    "--tag": tags,
    "TAG": tags,
    "--track": trackers,
    "--where": lambda context: [f"{name}=" for name in settings()],
    "--resume": runs,
    "--teacher": runs,
    "RUN": runs,
    "RUN|PLAN|SUITE": lambda context: [*runs(context), *suites(context)],
    "TABLE": published,
}
WITH_FOLDERS = ("--data", "--model", "--teacher")  # names of ours, or a folder
ONLY_FOLDERS = ("--tasks", "--tokenizer", "--results", "--out")
ONLY_FILES = ("--text", "--plan", "FILE")


def offer_values(command: click.Command) -> None:
    """Gives the parameters of a command the values that they can have."""
    for parameter in command.params:
        called = max(parameter.opts, key=len)
        if isinstance(parameter, click.Argument):  # RUN RUN [...], [TABLE]
            called = (parameter.metavar or "").strip("[]").split(" ")[0]
        declared = settings().get(called.removeprefix("--").replace("-", "_"))
        several = bool(parameter.multiple or parameter.nargs == -1)
        known = VALUES.get("TASK" if called == "--task" and not several else called)
        if declared and declared.choices:
            known = partial(choices, declared.choices)
        if known or called in ONLY_FOLDERS or called in ONLY_FILES:
            complete = partial(offered, called, known, several)
            parameter.shell_complete = complete  # type: ignore[method-assign]


def choices(of_setting: Iterable[str], context: click.Context) -> Iterable[str]:
    return of_setting


def offered(
    called: str, known: Values | None, several: bool, context: click.Context, incomplete: str
) -> list[CompletionItem]:
    """What fits, each behind the names that stand before the last comma; a part of a run's id is enough."""
    if known is None:
        return FOLDERS if called in ONLY_FOLDERS else FILES
    before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
    try:
        names = list(known(context))
    except GlueError:  # it will be said when the command is given
        names = []
    found = [name for name in names if name.startswith(last)]
    if not found and last and known is runs:
        found = [name for name in names if last in name]
    if not found and called in WITH_FOLDERS and Path(incomplete).parent.is_dir():
        return FOLDERS
    return [CompletionItem(before + comma + name) for name in found]
