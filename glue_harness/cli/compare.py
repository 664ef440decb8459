"""`glue compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from glue_harness.board import Stat
    from glue_harness.comparison import Comparison, Difference

SIGNIFICANT = 0.05


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN [...]")
@results_option
@task_folders_option
@json_option
def command(runs: tuple[str, ...], results: Path, task_folders: tuple[str, ...], as_json: bool) -> None:
    """Compare runs task by task, each to the first.

    \b
    RUN is an id or a part of it, its folder, or: latest
    Several seeds count as one with their mean: the digest of their plan, or RUN,RUN,...

    \b
    glue compare RUN RUN
    glue compare RUN,RUN,RUN latest --json
    """
    from glue_harness.comparison import compare, pick
    from glue_harness.store import Store

    if not 2 <= len(runs) <= len(ascii_uppercase):
        raise UsageError(f"compare takes 2 to {len(ascii_uppercase)} runs, not {len(runs)}: glue compare RUN RUN")
    registry, store = open_registry(task_folders), Store(results)
    records, _ = store.load_all()
    comparison = compare([pick(store, run, records) for run in runs], store, registry)
    if as_json:
        click.echo(to_json(comparison))
    else:
        print_comparison(comparison)


def to_json(comparison: Comparison) -> str:
    from glue_harness.store import json_text

    sides = [
        {
            "name": side.name,
            "runs": [record.id for record in side.records],
            "plan": side.records[0].digest,
            "seeds": side.seeds,
            **side.facts,
        }
        for side in comparison.sides
    ]
    scores = [
        {
            "name": line.name,
            "label": line.label,
            "values": [stat and stat._asdict() for stat in line.stats],
            "differences": [difference and vars(difference) for difference in line.differences],
            "best": line.best,
        }
        for line in comparison.lines
    ]
    facts = {"runs": sides, "settings": comparison.settings, "scores": scores, "notes": comparison.notes}
    return json_text(facts, indent=1)


def print_comparison(comparison: Comparison) -> None:
    from glue_harness.console import say, show

    show(drawn_settings(comparison))
    if comparison.lines:
        show(drawn_scores(comparison))
        say("* best; differences to A with 95 % interval, p after Holm's correction over all tests", style="dim")
    else:
        say("none of these runs has a score")
    for note in comparison.notes:
        say(f"Note: {note}", style="yellow")
    untested: dict[str, list[str]] = {}
    for line in comparison.lines:
        for letter, difference in zip(ascii_uppercase, line.differences, strict=False):
            if difference and difference.untested:
                untested.setdefault(difference.untested, []).append(f"{line.label} ({letter})")
    for reason, names in untested.items():
        say(f"Not tested: {', '.join(names)}: {reason}", style="dim")


def drawn_settings(comparison: Comparison) -> Table:
    """Which letter is which run, and what was done differently."""
    from glue_harness.console import table

    sides = comparison.sides
    facts = {name: [side.facts[name] for side in sides] for name in sides[0].facts}
    rows = {"run": [side.name for side in sides], **facts, **comparison.settings}
    letters = ascii_uppercase[: len(sides)]
    return table(["", *letters], [[name.replace("_", " "), *map(shown, values)] for name, values in rows.items()])


def drawn_scores(comparison: Comparison) -> Table:
    from glue_harness.console import table

    letters = ascii_uppercase[: len(comparison.sides)]
    rows = [
        [
            line.label,
            *(
                cell(stat, difference, place in line.best)
                for place, (stat, difference) in enumerate(zip(line.stats, line.differences, strict=True))
            ),
        ]
        for line in comparison.lines
    ]
    return table(["task", *letters], rows, right=letters)


def cell(stat: Stat | None, difference: Difference | None, is_best: bool) -> Text:
    """The value, and below it how far it is from the first run's."""
    from rich.text import Text

    from glue_harness.formats import written

    if stat is None:
        return Text("-", style="dim")
    text = Text(f"* {written(stat)}" if is_best else written(stat), style="bold" if is_best else "")
    if difference:
        is_sure = difference.p_holm is not None and difference.p_holm < SIGNIFICANT
        text.append(f"\n{described(difference)}", style="not bold green" if is_sure else "not bold dim")
    return text


def described(difference: Difference) -> str:
    if difference.p_holm is None:
        return f"{difference.value:+.2f}"
    p = f"p={difference.p_holm:.3f}" if difference.p_holm >= 0.001 else "p<0.001"
    return f"{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f}) {p}"


def shown(value: Any) -> str:
    """A setting as a person writes it."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int | float) else str(value)
