"""Options that several verbs share, and where results are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import settings

if TYPE_CHECKING:
    from glue_harness.core.settings import Setting
    from glue_harness.suite.registry import Registry

OTHER_OPTIONS = {"tasks": "--task", "rates": "--rate"}  # settings whose options have another name
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


MOST_SEEDS = 10_000  # of one command: more is a slip of the finger
MAKING = (
    "run",
    "pretrain",
    "sweep",
    "demo",
    "reproduce",
    "score",
)  # verbs that make the folder of runs, others read it


class RunsFolder(click.Path):
    """A folder of runs. Named by mistake, it would look like one without runs."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            raise UsageError("--results '': name a folder, or leave it out for results")
        folder = Path(os.fsdecode(super().convert(value, parameter, context)))
        named = isinstance(value, str)  # not the default
        if named and context and context.info_name not in MAKING and not folder.is_dir():
            raise UsageError(f"--results {str(folder)!r}: there is no such folder, and so no run to read")
        return folder


def results_folder() -> Path:
    return Path(os.environ.get("GLUE_RESULTS") or "results")


def leaderboards_folder() -> Path:
    return Path(os.environ.get("GLUE_LEADERBOARDS", "leaderboards"))


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--results",
        type=RunsFolder(),
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


def open_registry(folders: tuple[str, ...], asked: Iterable[str] = ()) -> Registry:
    """The tasks; a file or plugin that could not be loaded is named on stderr.

    Not so if it holds a task that is `asked` for: then nothing but that is refused, with the same reason.
    """
    from glue_harness.report.console import note
    from glue_harness.suite.registry import load_tasks

    registry = load_tasks(folders)
    refused = set(asked) - registry.tasks.keys()
    for where, reason in registry.broken.items():
        if Path(where).stem in refused:
            continue
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


def plan_option(name: str, text: str = "", **other: Any) -> Decorator:
    """A setting of the plan as an option: its type, its default and its help, unless `text` says it better.

    `default` is what the command has in its place; none where `text` says it.
    """
    declared = replace(settings()[name], **other)
    metavar = f"[{'|'.join(declared.choices)}]" if declared.alone else {int: "N", float: "X"}.get(declared.kind)
    alone: dict[str, Any] = {"is_flag": False, "flag_value": declared.alone} if declared.alone else {}
    return click.option(
        *filter(None, [declared.short, "--" + name.replace("_", "-")]),
        name,
        type=declared.kind,
        metavar=metavar,
        default=None,
        **alone,
        help=(replace(declared, help=text) if text else declared).described,
    )


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Every setting that has an option of its own."""
    for declared in reversed(settings().values()):
        if declared.group:
            command = plan_option(declared.name)(command)
    return command


def settings_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--set`, and an option that explains every key of it."""

    def explain(context: click.Context, _: click.Parameter, asked: bool) -> None:
        if not asked or context.resilient_parsing:
            return
        formatter = context.make_formatter()
        with formatter.section("Settings, for --set KEY=VALUE and for --plan FILE, which is TOML"):
            formatter.write_dl([(declared.name, explained(declared)) for declared in settings().values()])
        click.echo(formatter.getvalue().rstrip("\n"))
        context.exit()

    explaining = click.option(
        "--help-settings",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=explain,
        help="Explain every setting, and exit.",
    )
    text = "Any other setting; --help-settings explains them."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)(explaining(command))


def plot_options(*names: str) -> Decorator:
    """A picture of what is shown. `--plot`, and what a command called it before."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        path = click.Path(path_type=Path, dir_okay=False)
        told = "Also as a picture: FILE.svg, or by matplotlib FILE.png, FILE.pdf."
        command = click.option("--width-cm", type=float, metavar="X", help="Of the picture.  [default: 16]")(command)
        return click.option("--plot", *names, "plot", type=path, metavar="FILE", help=told)(command)

    return decorate


def check_plot(plot: Path | None, width_cm: float | None) -> None:
    """Refused before anything is read."""
    from glue_harness.report.plots.files import NARROWEST, WIDEST, check

    if plot:
        check(plot)
    elif width_cm is not None:
        raise UsageError("--width-cm is for a picture: name its file with --plot")
    if width_cm is not None and not NARROWEST <= width_cm <= WIDEST:
        raise UsageError(f"--width-cm {width_cm:g}: from {NARROWEST:g} to {WIDEST:g}")


def write_plot(plot: Path, what: Any, width_cm: float | None) -> None:
    from glue_harness.report.console import note
    from glue_harness.report.plots.files import WIDTH_CM, write

    write(plot, what, width_cm or WIDTH_CM)
    note(f"wrote {plot}")


def said_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is said of a run and to whom: no part of its plan. `said_of` takes it out of what was given."""
    from glue_harness.track import packages

    known = ", ".join(packages())
    for option in (
        click.option("--track", "track", multiple=True, metavar="NAME", help=f"Told while it runs: {known}."),
        click.option("--note", "note", default="", metavar="TEXT", help="A remark of yours, for its record."),
        click.option("--tag", "tags", multiple=True, metavar="TAG", help="A word to find it by; repeat or use commas."),
    ):
        command = option(command)
    return command


def said_of(given: dict[str, Any]) -> dict[str, Any]:
    from glue_harness.runs.care import marks
    from glue_harness.track import check

    said = {"marks": marks(split_names(given.pop("tags", ())), given.pop("note", ""))}
    return {**said, "track": check(split_names(given.pop("track", ())))}


def explained(declared: Setting) -> str:
    """What a setting does, and in brackets what it can be and where it means something."""
    facts = [declared.allowed]
    if declared.shown_default:
        facts.append(f"default: {declared.shown_default}")
    if declared.group or declared.name in OTHER_OPTIONS:
        facts.append(f"option {OTHER_OPTIONS.get(declared.name, '--' + declared.name.replace('_', '-'))}")
    if declared.fixed:
        facts.append("never another when resumed")
    if not declared.identity:
        facts.append("no part of the digest")
    return f"{declared.help}  [{'; '.join(facts)}]"


class Sectioned(click.Command):
    """A command whose help lists its options under headings, settings under their own; what has none comes last."""

    before: ClassVar[dict[str, tuple[str, ...]]] = {}  # heading -> options that stand before its settings
    after: ClassVar[dict[str, tuple[str, ...]]] = {}

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        left = {parameter.name: parameter.get_help_record(context) for parameter in self.get_params(context)}
        own: dict[str, list[str]] = {heading: [] for heading in self.before}
        for declared in settings().values():
            if declared.group and declared.name in left:
                own.setdefault(declared.group, []).append(declared.name)
        named = {h: [*self.before.get(h, ()), *names, *self.after.get(h, ())] for h, names in own.items()}
        records = {heading: [left.pop(name) for name in names] for heading, names in named.items()}
        records["Other"] = list(left.values())
        width = max(len(row[0]) for rows in records.values() for row in rows if row)
        for heading, rows in records.items():
            with formatter.section(heading):
                formatter.write_dl([(row[0].ljust(width), row[1]) for row in rows if row])

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Settings for --set KEY=VALUE"):
            formatter.write_dl(
                [(s.name, s.described) for s in settings().values() if not s.group and s.name not in OTHER_OPTIONS]
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
