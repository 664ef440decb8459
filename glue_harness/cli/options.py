"""Options that several verbs share, and where results are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from glue_harness.core.errors import UsageError

if TYPE_CHECKING:
    from glue_harness.suite.registry import Registry

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def results_folder() -> Path:
    return Path(os.environ.get("GLUE_RESULTS", "results"))


def leaderboards_folder() -> Path:
    return Path(os.environ.get("GLUE_LEADERBOARDS", "leaderboards"))


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--results",
        type=click.Path(path_type=Path),
        default=results_folder,
        show_default=False,
        help="Folder of runs.  [default: results, or $GLUE_RESULTS]",
    )(command)


def task_folders_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--tasks",
        "task_folders",
        multiple=True,
        metavar="DIR",
        help="Folder with task files of your own (they are run); also $GLUE_TASKS.",
    )(command)


def open_registry(folders: tuple[str, ...]) -> Registry:
    """The tasks; a file or plugin that could not be loaded is named on stderr."""
    from glue_harness.report.console import note
    from glue_harness.suite.registry import load_tasks

    registry = load_tasks(folders)
    for where, reason in registry.broken.items():
        note(f"not loaded: {where}: {reason}", style="red")
    return registry


def data_option(default: str = "hub") -> Decorator:
    return click.option(
        "--data",
        default=default,
        show_default=True,
        metavar="WHERE",
        help="hub, demo, demo:ROWS, or a folder (official download, save_to_disk or parquet).",
    )


def plan_option(name: str, text: str, short: str | None = None) -> Decorator:
    """A setting of the plan as an option: its type and default are the plan's own."""
    from glue_harness.core.plan import FIELDS, TYPES

    kind = next(k for k in (int, float, str) if TYPES[name] in (k, k | None))
    default = FIELDS[name].default
    if default is not None:  # in the text: click would put brackets around it, since the plan fills it in, not click
        text += f"  [default: {default:.15g}]" if isinstance(default, float) else f"  [default: {default}]"
    return click.option(
        *filter(None, [short, "--" + name.replace("_", "-")]),
        name,
        type=kind,
        metavar={int: "N", float: "X"}.get(kind),
        default=None,
        help=text,
    )


class Sectioned(click.Command):
    """A command whose help lists its options under headings; those that no heading names come last."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {}

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        left = {parameter.name: parameter.get_help_record(context) for parameter in self.get_params(context)}
        named = {title: [left.pop(name) for name in names] for title, names in self.sections.items()}
        records = {title: [record for record in rows if record] for title, rows in named.items()}
        width = max(len(row[0]) for rows in records.values() for row in rows)
        for title, rows in (records | {"Other": [record for record in left.values() if record]}).items():
            with formatter.section(title):
                formatter.write_dl([(option.ljust(width), text) for option, text in rows])


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")(command)


def split_names(values: tuple[str, ...]) -> list[str]:
    """`--task a,b --task c` as one list."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def pair(text: str, option: str, kind: Callable[[str], Any] = float) -> tuple[str, Any]:
    """What `--option NAME=VALUE` says."""
    name, equals, value = text.partition("=")
    try:
        if equals and name.strip():
            return name.strip(), kind(value.strip())
    except ValueError:
        pass
    raise UsageError(f"{option} {text!r}: write it as NAME=VALUE")
