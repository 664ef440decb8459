"""Every run against every other: one family of tests, so that none of the differences between them stays unasked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from string import ascii_uppercase
from typing import Any

from glue_harness.metrics.power import EXAMPLES
from glue_harness.report.ceilings import ceiling_line
from glue_harness.report.comparison import ComparedScore, ScoreDifference, corrected, notes_on, scores_of
from glue_harness.report.console import TableColumn, or_dash, table_of
from glue_harness.report.experiments import Experiment, Stat, in_order, refuse_impossible, settings_apart
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry


@dataclass(frozen=True)
class PairedScore:
    """One value of a task, of two experiments that both have it."""

    name: str
    label: str
    pair: str  # their letters: A B
    first: Stat
    second: Stat
    difference: ScoreDifference  # second minus first; Holm's correction over every value of every pair


@dataclass(frozen=True)
class Pairs:
    experiments: dict[str, Experiment]  # by letter
    settings: dict[str, str]  # letter -> what tells its plan from the others
    scores: tuple[PairedScore, ...]  # by value, then by pair
    notes: tuple[str, ...]


def all_pairs(experiments: Sequence[Experiment], store: Store, registry: Registry) -> Pairs:
    refuse_impossible([record for experiment in experiments for record in experiment.records], registry)
    lettered = dict(zip(ascii_uppercase, experiments, strict=False))
    tasks = in_order({name for e in experiments for record in e.records for name in record.scores}, registry)
    pairs = list(combinations(lettered, 2))
    found: list[tuple[str, tuple[str, str], ComparedScore]] = []
    notes: list[str] = []
    for name in tasks:
        for pair in pairs:
            if not all(any(name in record.scores for record in lettered[letter].records) for letter in pair):
                continue
            for score in scores_of(name, [lettered[letter] for letter in pair], store, registry, ()):
                if all(score.stats):
                    found.append((score.name, pair, replace(score, name=f"{score.name} {pair}")))
    for pair in pairs:
        notes += notes_on([lettered[letter] for letter in pair])
    tested = corrected([score for _, _, score in found])
    scores = []
    for (name, pair, _), score in zip(found, tested, strict=True):
        (first, second), difference = score.stats, score.differences[1]
        if first and second and difference:
            scores.append(PairedScore(name, score.label, " ".join(pair), first, second, difference))
    apart = settings_apart([experiment.plan for experiment in experiments])
    words = {letter: ", ".join(of_plan.values()) for letter, of_plan in zip(lettered, apart, strict=True)}
    order = {score.name: place for place, score in reversed([*enumerate(scores)])}  # values together, then pairs
    return Pairs(
        lettered, words, tuple(sorted(scores, key=lambda s: (order[s.name], s.pair))), tuple(dict.fromkeys(notes))
    )


def facts(pairs: Pairs) -> dict[str, Any]:
    runs = {letter: [record.id for record in e.records] for letter, e in pairs.experiments.items()}
    scores = [{**vars(s), "difference": {**vars(s.difference), "verdict": s.difference.verdict}} for s in pairs.scores]
    return {"runs": runs, "settings": pairs.settings, "scores": scores, "notes": pairs.notes}


def drawn(pairs: Pairs) -> Iterator[Any]:
    for letter, experiment in pairs.experiments.items():
        yield f"{letter}  {experiment.name}" + (f": {pairs.settings[letter]}" if pairs.settings[letter] else "")
    if not pairs.scores:
        yield "no two of these runs have a score of the same task"
        return
    columns = [
        TableColumn("task", lambda score: score.label, whole=True),
        TableColumn("pair", lambda score: score.pair, whole=True),
        TableColumn("first", lambda score: f"{score.first.mean:.2f}", right=True, whole=True),
        TableColumn("second", lambda score: f"{score.second.mean:.2f}", right=True, whole=True),
        TableColumn("change", lambda score: f"{score.difference.value:+.2f}", right=True, whole=True),
        TableColumn("95 % interval", lambda score: _between(score.difference), right=True),
        TableColumn("p", lambda score: _p(score.difference.p_holm), right=True),
    ]
    yield table_of(pairs.scores, columns, style=lambda score: "bold" if score.difference.is_sure else "")
    tests = sum(score.difference.p_holm is not None for score in pairs.scores)
    yield f"change: second minus first; p after Holm's correction over all {tests} tests", "dim"
    records = [record for experiment in pairs.experiments.values() for record in experiment.records]
    yield from ((line, "dim") for line in ceiling_line(records, pairs.scores))
    if any(score.difference.over == EXAMPLES for score in pairs.scores):
        yield "one seed a side tells two models apart, not two recipes", "dim"
    yield from ((f"Note: {note}", "yellow") for note in pairs.notes)
    for reason in dict.fromkeys(s.difference.untested for s in pairs.scores if s.difference.untested):
        names = [f"{s.label} ({s.pair})" for s in pairs.scores if s.difference.untested == reason]
        yield f"Not tested: {', '.join(names)}: {reason}", "dim"


def _between(difference: ScoreDifference) -> str:
    return "-" if difference.low is None else f"{difference.low:+.2f} to {difference.high:+.2f}"


def _p(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.001 else or_dash(value, ".3f")
