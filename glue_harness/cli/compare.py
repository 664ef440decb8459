"""`glue compare`: runs side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import (
    check_plot,
    json_option,
    open_registry,
    plot_options,
    results_option,
    task_folders_option,
    write_plot,
)
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError
from glue_harness.report.console import UNDEFINED, TableColumn, or_dash, table, table_of

if TYPE_CHECKING:
    from rich.text import Text

    from glue_harness.report.comparison import ComparedScore, Comparison, ScoreDifference
    from glue_harness.report.transfer import Effect, Transfer


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN RUN [...]")
@click.option("--all-pairs", is_flag=True, help="Each RUN against each other, not only against the first.")
@click.option("--transfer", is_flag=True, help="A multi-task RUN against its tasks alone; finds their runs.")
@click.option("--pareto", is_flag=True, help="Scores against what models cost, as glue cost measured them.")
@plot_options()
@results_option
@task_folders_option
@json_option
def command(
    runs: Names,
    all_pairs: bool,
    transfer: bool,
    pareto: bool,
    plot: Path | None,
    width_cm: float | None,
    results: Path,
    task_folders: Names,
    as_json: bool,
) -> None:
    """Compare runs task by task, each to the first.

    A multi-task run beside runs of its tasks alone, in any order, gives what training together did to each task: gain,
    or negative transfer. One seed a side tells two models apart, not two recipes.

    RUN is an id or a part of it, its folder, or latest. Several seeds count as one with their mean: write the digest
    of their plan, or RUN,RUN,...

    \b
    glue compare RUN RUN
    glue compare RUN,RUN,RUN latest --json
    glue compare RUN RUN --plot differences.pdf --width-cm 8
    glue compare --pareto RUN COMPRESSED    points for bytes and milliseconds
    glue compare --all-pairs RUN RUN RUN
    glue compare MULTI SINGLE SINGLE
    glue compare --transfer MULTI    finds the runs of its tasks alone
    """
    from glue_harness.data.mixing import realised
    from glue_harness.report import fronts, pairs
    from glue_harness.report import transfer as together
    from glue_harness.report.ceilings import ceilings_of
    from glue_harness.report.comparison import compare
    from glue_harness.report.experiments import pick, refuse_repeats
    from glue_harness.report.spread import worth_reading
    from glue_harness.runs.store import Store

    least = 1 if transfer else 2
    if not least <= len(runs) <= len(ascii_uppercase):
        raise UsageError(f"compare takes {least} to {len(ascii_uppercase)} runs, not {len(runs)}: glue compare RUN RUN")
    check_plot(plot, width_cm)
    if plot and (all_pairs or transfer):
        raise UsageError("--plot draws differences to the first run: leave out --all-pairs and --transfer")
    if pareto and (all_pairs or transfer):
        raise UsageError("--pareto compares each run to the first: leave out --all-pairs and --transfer")
    registry, store = open_registry(task_folders), Store(results)
    known = store.by_age()
    experiments = [pick(store, run, known) for run in runs]
    if all_pairs and transfer:
        raise UsageError("--all-pairs and --transfer are two questions: ask one at a time")
    if all_pairs:
        refuse_repeats([record for experiment in experiments for record in experiment.records])
        found_pairs = pairs.all_pairs(experiments, store, registry)
        emit(as_json, pairs.facts(found_pairs), pairs.drawn(found_pairs), indent=1)
        return
    # of other runs it matters only how far seeds lie apart, where a side has one
    has_one_seed = any(len(experiment.records) == 1 for experiment in experiments)
    asked = known if transfer else worth_reading(known) if has_one_seed else []
    records = store.summaries(asked)[0] if asked else []
    if transfer and len(experiments) == 1:
        experiments += together.find_alone(experiments[0], store, records, registry)
    found = together.arranged(experiments, registry)
    if transfer and not found:
        raise UsageError("--transfer takes one run of several tasks, and runs of single ones of these")
    effects = found and together.transfer(*found, store, registry, records)
    if effects and not as_json:
        emit(False, None, drawn_transfer(effects))
        if not plot:
            return
    comparison = compare(experiments, store, registry, records)
    priced = fronts.fronts(comparison, store) if pareto else None
    if plot:
        from glue_harness.report.plots.intervals import of_comparison

        write_plot(plot, priced or of_comparison(comparison), width_cm)
        if effects and not as_json:
            return
    of_all = [record for experiment in comparison.experiments for record in experiment.records]
    facts = {
        "runs": [
            {
                "name": experiment.name,
                "runs": [record.id for record in experiment.records],
                "plan": experiment.records[0].digest,
                "seeds": experiment.seeds,
                **experiment.facts,
                "mix": realised(experiment.records[0].mix),
            }
            for experiment in comparison.experiments
        ],
        "settings": comparison.settings,
        "scores": [
            {
                "name": line.name,
                "label": line.label,
                "values": line.stats,
                "differences": [found and {**vars(found), "verdict": found.verdict} for found in line.differences],
                "best": line.best,
                "ceilings": ceilings_of(of_all, line.name),
            }
            for line in comparison.scores
        ],
        "tests": comparison.tests,
        "notes": comparison.notes,
        **({"pareto": fronts.facts(priced)} if priced else {}),
        "transfer": [{**vars(effect), "verdict": effect.verdict} for effect in effects.effects] if effects else [],
    }
    emit(as_json, facts, chain(drawn_comparison(comparison), fronts.drawn(priced) if priced else ()), indent=1)


def drawn_comparison(comparison: Comparison) -> Shown:
    from glue_harness.report.ceilings import ceiling_line
    from glue_harness.report.formats import SIGNS

    experiments, letters = comparison.experiments, ascii_uppercase[: len(comparison.experiments)]
    facts = {name: [experiment.facts[name] for experiment in experiments] for name in experiments[0].facts}
    rows = {"run": [experiment.name for experiment in experiments], **facts, **comparison.settings}
    yield table(["", *letters], [[name.replace("_", " "), *map(setting, values)] for name, values in rows.items()])
    if comparison.scores:
        columns = [TableColumn(letter, partial(cell, place=place), right=True) for place, letter in enumerate(letters)]
        yield table_of(comparison.scores, [TableColumn("task", lambda line: line.label), *columns])
        yield f"* best; differences to A with 95 % interval; {corrected_for(comparison.tests)}", "dim"
        if any(line.undefined for line in comparison.scores):
            yield SIGNS[UNDEFINED], "dim"
        of_all = [record for experiment in experiments for record in experiment.records]
        yield from ((line, "dim") for line in ceiling_line(of_all, comparison.scores))
    else:
        yield "none of these runs has a score"
    yield from ((f"Note: {note}", "yellow") for note in comparison.notes)
    yield from said(
        (f"{line.label} ({letter})", difference)
        for line in comparison.scores
        for letter, difference in zip(letters, line.differences, strict=True)
        if difference
    )


def corrected_for(tests: int) -> str:
    return f"p after Holm's correction over {f'all {tests} tests' if tests > 1 else '1 test'}"


def said(differences: Iterable[tuple[str, ScoreDifference]]) -> Shown:
    """In words: what differs; what does not and how large it would have to be; what was not tested."""
    from glue_harness.report.comparison import ALIKE, BETTER, MODELS_ALIKE, WORSE

    verdicts, lucky, untested = defaultdict(list), defaultdict(list), defaultdict(list)
    for name, found in differences:
        if found.untested:
            untested[found.untested].append(name)
            continue
        is_alike = found.verdict in (ALIKE, MODELS_ALIKE)
        verdicts[found.verdict].append(
            f"{name}, where {found.least:.2f} would be found with 80 %" if is_alike else name
        )
        if found.luck:
            source = f"the spread of {found.luck.source}"
            lucky[source].append(f"{name} z={found.luck.z:+.2f} {probability(found.luck.p)} (sd {found.luck.sd:.2f})")
    for verdict, names in verdicts.items():
        if verdict not in (BETTER, WORSE):
            yield f"{verdict[0].upper()}{verdict[1:]}: {'; '.join(names)}"
    for source, names in lucky.items():
        yield f"With borrowed luck, {source}, p not corrected: {'; '.join(names)}", "dim"
    for reason, names in untested.items():
        yield f"Not tested: {', '.join(names)}: {reason}", "dim"


def setting(value: Any) -> str:
    """As a person writes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int | float) else or_dash(value)


def cell(line: ComparedScore, place: int) -> Text:
    """The value, and below it how far it is from the first run's."""
    from rich.text import Text

    from glue_harness.report.formats import written

    if line.stats[place] is None:
        return Text(UNDEFINED if place in line.undefined else "-", style="dim")
    mark, style = ("* ", "bold") if place in line.best else ("", "")
    text = Text(mark + written(line.stats[place]), style=style)
    if difference := line.differences[place]:
        tested = "" if difference.p_holm is None else f" ({between(difference)}) {probability(difference.p_holm)}"
        style = "not bold green" if difference.is_sure else "not bold dim"
        text.append(f"\n{difference.value:+.2f}{tested}", style=style)
    return text


def between(difference: ScoreDifference) -> str:
    return "-" if difference.low is None else f"{difference.low:+.2f} to {difference.high:+.2f}"


def probability(p: float | None) -> str:
    return "-" if p is None else f"p={p:.3f}" if p >= 0.001 else "p<0.001"


def drawn_transfer(transfer: Transfer) -> Shown:
    from rich.text import Text

    from glue_harness.report.ceilings import ceiling_line
    from glue_harness.report.comparison import MODELS_ALIKE, MODELS_DIFFER
    from glue_harness.report.formats import written
    from glue_harness.report.transfer import GAIN, LOSS, OTHER, UNCLEAN

    def epochs(effect: Effect) -> str:
        return f"{or_dash(effect.epochs_alone, '.1f')} > {or_dash(effect.epochs_together, '.1f')}"

    def verdict(effect: Effect) -> Text:
        short = {MODELS_DIFFER: "models differ", MODELS_ALIKE: ""}.get(effect.verdict, effect.verdict)
        return Text(short, style={GAIN: "bold green", LOSS: "bold red"}.get(effect.verdict, "yellow"))

    has_clean = any(effect.clean is not None for effect in transfer.effects)
    columns = [
        TableColumn("task", lambda effect: effect.label, whole=True),
        TableColumn("alone", lambda effect: written(effect.alone), right=True),
        TableColumn("together", lambda effect: written(effect.together), right=True),
        TableColumn("change", lambda effect: f"{effect.difference.value:+.2f}", right=True, whole=True),
        TableColumn("95 % interval", lambda effect: between(effect.difference), right=True),
        TableColumn("p", lambda effect: probability(effect.difference.p_holm), right=True),
        *([TableColumn("clean", lambda effect: or_dash(effect.clean, "+.2f"), right=True)] if has_clean else []),
        TableColumn("epochs", epochs, right=True, whole=True),
        TableColumn("", verdict),
    ]
    yield table_of(transfer.effects, columns)
    count = Counter(effect.verdict for effect in transfer.effects)
    one_seed = count[MODELS_DIFFER] + count[MODELS_ALIKE]
    more = {"of one seed, which tells nothing of transfer": one_seed, "not comparable": count[OTHER]}
    more["another sign without the rows whose texts were trained on"] = count[UNCLEAN]
    others = "".join(f", {number} {what}" for what, number in more.items() if number)
    yield f"{count[GAIN]} gained, {count[LOSS]} lost, {count['']} without a difference beyond chance{others}"
    yield from said((effect.label, effect.difference) for effect in transfer.effects)
    tests = sum(effect.difference.p is not None for effect in transfer.effects)
    yield f"together minus alone, on the same examples; {corrected_for(tests)}; epochs alone > together", "dim"
    if has_clean:
        yield "clean: the change without the rows that share a text with any that the mix trained on", "dim"
    yield from ((line, "dim") for line in ceiling_line(transfer.together.records, transfer.effects))
    yield f"together: {transfer.together.name}", "dim"
    labels = defaultdict(list)
    for effect in transfer.effects:
        labels[effect.run].append(effect.label)
    yield from ((f"alone: {run} ({', '.join(names)})", "dim") for run, names in labels.items())
    yield from ((f"Note: {note}", "yellow") for note in transfer.notes)
