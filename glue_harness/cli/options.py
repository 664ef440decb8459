"""Options that several verbs share, and where results are kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.errors import UsageError

if TYPE_CHECKING:
    from glue_harness.registry import Registry

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
        show_default="results, or $GLUE_RESULTS",
        help="Folder of runs.",
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
    from glue_harness.console import note
    from glue_harness.registry import load_tasks

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
    from glue_harness.plan import FIELDS, TYPES

    kinds = (k for k in (int, float, str) if TYPES[name] in (k, k | None))
    default = FIELDS[name].default
    return click.option(
        *filter(None, [short, "--" + name.replace("_", "-")]),
        name,
        type=next(kinds),
        default=None,
        show_default=str(default) if default is not None else False,
        help=text,
    )


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
