"""`glue compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from glue_harness.report.comparison import Comparison, ScoreDifference
    from glue_harness.report.experiments import Stat
    from glue_harness.report.transfer import Effect, Transfer
COLUMNS = ("task", "alone", "together", "change", "95 % interval", "p", "epochs", "")
NUMBERS = ("alone", "together", "change", "95 % interval", "p", "epochs")


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN [...]")
@click.option("--transfer", is_flag=True, help="A multi-task RUN against its tasks alone; finds their runs.")
@results_option
@task_folders_option
@json_option
def command(runs: tuple[str, ...], transfer: bool, results: Path, task_folders: tuple[str, ...], as_json: bool) -> None:
    """Compare runs task by task, each to the first.

    A multi-task run beside runs of its tasks alone, in any order, gives what training together did to each task: gain,
    or negative transfer.

    \b
    RUN is an id or a part of it, its folder, or: latest
    Several seeds count as one with their mean: the digest of their plan, or RUN,RUN,...

    \b
    glue compare RUN RUN
    glue compare RUN,RUN,RUN latest --json
    glue compare MULTI SINGLE SINGLE
    glue compare --transfer MULTI                 the runs of its tasks alone, with the same plan, are found
    """
    from glue_harness.report.comparison import compare
    from glue_harness.report.experiments import pick
    from glue_harness.report.transfer import arranged, find_alone
    from glue_harness.report.transfer import transfer as transferred
    from glue_harness.runs.store import Store

    least = 1 if transfer else 2
    if not least <= len(runs) <= len(ascii_uppercase):
        raise UsageError(f"compare takes {least} to {len(ascii_uppercase)} runs, not {len(runs)}: glue compare RUN RUN")
    registry, store = open_registry(task_folders), Store(results)
    records, _ = store.load_all()
    experiments = [pick(store, run, records) for run in runs]
    if transfer and len(experiments) == 1:
        experiments += find_alone(experiments[0], store, records, registry)
    found = arranged(experiments, registry)
    if transfer and not found:
        raise UsageError("--transfer takes one run of several tasks, and runs of single ones of these")
    effects = found and transferred(*found, store, registry)
    if as_json:
        click.echo(to_json(compare(experiments, store, registry), effects))
    elif effects:
        print_transfer(effects)
    else:
        print_comparison(compare(experiments, store, registry))


def to_json(comparison: Comparison, transfer: Transfer | None) -> str:
    from glue_harness.core.writing import json_text
    from glue_harness.data.mixing import realised

    experiments = [
        {
            "name": experiment.name,
            "runs": [record.id for record in experiment.records],
            "plan": experiment.records[0].digest,
            "seeds": experiment.seeds,
            **experiment.facts,
            "mix": {task: mix._asdict() for task, mix in realised(experiment.records[0].mix).items()},
        }
        for experiment in comparison.experiments
    ]
    scores = [
        {
            "name": line.name,
            "label": line.label,
            "values": [stat and stat._asdict() for stat in line.stats],
            "differences": [difference and vars(difference) for difference in line.differences],
            "best": line.best,
        }
        for line in comparison.scores
    ]
    facts = {"runs": experiments, "settings": comparison.settings, "scores": scores, "notes": comparison.notes}
    facts["transfer"] = [{**vars(effect), **drawn(effect)} for effect in transfer.effects] if transfer else []
    return json_text(facts, indent=1)


def drawn(effect: Effect) -> dict[str, Any]:
    """What of an effect is not plain JSON, and what follows from it."""
    stats = {"alone": effect.alone._asdict(), "together": effect.together._asdict()}
    return {**stats, "difference": vars(effect.difference), "verdict": effect.verdict}


def print_comparison(comparison: Comparison) -> None:
    from glue_harness.report.console import say, show

    show(drawn_settings(comparison))
    if comparison.scores:
        show(drawn_scores(comparison))
        say("* best; differences to A with 95 % interval, p after Holm's correction over all tests", style="dim")
    else:
        say("none of these runs has a score")
    for note in comparison.notes:
        say(f"Note: {note}", style="yellow")
    untested: dict[str, list[str]] = {}
    for line in comparison.scores:
        for letter, difference in zip(ascii_uppercase, line.differences, strict=False):
            if difference and difference.untested:
                untested.setdefault(difference.untested, []).append(f"{line.label} ({letter})")
    for reason, names in untested.items():
        say(f"Not tested: {', '.join(names)}: {reason}", style="dim")


def drawn_settings(comparison: Comparison) -> Table:
    """Which letter is which run, and what was done differently."""
    from glue_harness.report.console import table

    experiments = comparison.experiments
    facts = {name: [experiment.facts[name] for experiment in experiments] for name in experiments[0].facts}
    rows = {"run": [experiment.name for experiment in experiments], **facts, **comparison.settings}
    letters = ascii_uppercase[: len(experiments)]
    return table(["", *letters], [[name.replace("_", " "), *map(shown, values)] for name, values in rows.items()])


def drawn_scores(comparison: Comparison) -> Table:
    from glue_harness.report.console import table

    letters = ascii_uppercase[: len(comparison.experiments)]
    rows = [
        [
            line.label,
            *(
                cell(stat, difference, place in line.best)
                for place, (stat, difference) in enumerate(zip(line.stats, line.differences, strict=True))
            ),
        ]
        for line in comparison.scores
    ]
    return table(["task", *letters], rows, right=letters)


def cell(stat: Stat | None, difference: ScoreDifference | None, is_best: bool) -> Text:
    """The value, and below it how far it is from the first run's."""
    from rich.text import Text

    from glue_harness.report.comparison import SIGNIFICANT
    from glue_harness.report.formats import written

    if stat is None:
        return Text("-", style="dim")
    text = Text(f"* {written(stat)}" if is_best else written(stat), style="bold" if is_best else "")
    if difference:
        is_sure = difference.p_holm is not None and difference.p_holm < SIGNIFICANT
        text.append(f"\n{described(difference)}", style="not bold green" if is_sure else "not bold dim")
    return text


def described(difference: ScoreDifference) -> str:
    if difference.p_holm is None:
        return f"{difference.value:+.2f}"
    between = f"{difference.low:+.2f} to {difference.high:+.2f}"
    return f"{difference.value:+.2f} ({between}) {probability(difference.p_holm)}"


def probability(p: float) -> str:
    return f"p={p:.3f}" if p >= 0.001 else "p<0.001"


def shown(value: Any) -> str:
    """A setting as a person writes it."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def print_transfer(transfer: Transfer) -> None:
    from glue_harness.report.console import say, show, table
    from glue_harness.report.transfer import GAIN, LOSS, OTHER

    show(table(COLUMNS, map(cells, transfer.effects), right=NUMBERS, whole=("task", "change", "epochs")))
    verdicts = [effect.verdict for effect in transfer.effects]
    gains, losses, others = verdicts.count(GAIN), verdicts.count(LOSS), verdicts.count(OTHER)
    unlike = f", {others} not comparable" if others else ""
    rest = len(verdicts) - gains - losses - others
    say(f"{gains} gained, {losses} lost, {rest} without a difference beyond chance{unlike}")
    say(
        "together minus alone: paired over the same examples, p after Holm's correction over all rows;"
        " epochs alone > together",
        style="dim",
    )
    say(f"together: {transfer.together.name}", style="dim")
    for run, labels in by_run(transfer.effects).items():
        say(f"alone: {run} ({', '.join(labels)})", style="dim")
    for note in transfer.notes:
        say(f"Note: {note}", style="yellow")
    for effect in transfer.effects:
        if effect.difference.untested:
            say(f"Not tested: {effect.label}: {effect.difference.untested}", style="dim")


def by_run(effects: tuple[Effect, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for effect in effects:
        found.setdefault(effect.run, []).append(effect.label)
    return found


def cells(effect: Effect) -> list[str | Text]:
    from rich.text import Text

    from glue_harness.report.formats import written
    from glue_harness.report.transfer import GAIN, LOSS

    found = effect.difference
    between = "-" if found.low is None else f"{found.low:+.2f} to {found.high:+.2f}"
    p = "-" if found.p_holm is None else probability(found.p_holm)
    epochs = " > ".join("-" if n is None else f"{n:.1f}" for n in (effect.epochs_alone, effect.epochs_together))
    verdict = Text(effect.verdict, style={GAIN: "bold green", LOSS: "bold red"}.get(effect.verdict, "yellow"))
    numbers = (written(effect.alone), written(effect.together), f"{found.value:+.2f}", between, p, epochs)
    return [effect.label, *numbers, verdict]
