"""Every pair of experiments, with the tests of all their differences: one family, whichever pair is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from glue_harness.metrics.improvement import improvement
from glue_harness.report.comparison import other_data
from glue_harness.report.curves import mean
from glue_harness.report.experiments import LEAST_SEEDS, Experiment
from glue_harness.report.page.facts import numbers, rounded
from glue_harness.report.pairs import all_pairs
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry


def pair_facts(experiments: Sequence[Experiment], store: Store, registry: Registry) -> dict[str, Any]:
    """Values of each pair by the first runs of its two experiments; differences are the second minus the first."""
    if len(experiments) < 2:
        return {"tests": 0, "scores": [], "improvements": [], "notes": []}
    found = all_pairs(experiments, store, registry)
    first_run = {letter: experiment.records[0].id for letter, experiment in found.experiments.items()}
    scores = []
    for score in found.scores:
        tested = score.difference
        scores.append(
            {
                "pair": [first_run[letter] for letter in score.pair.split()],
                "label": score.label,
                "first": numbers(score.first),
                "second": numbers(score.second),
                "difference": [rounded(tested.value), rounded(tested.low), rounded(tested.high)],
                "p": None if tested.p_holm is None else float(f"{tested.p_holm:.3g}"),
                "verdict": tested.verdict,
                "untested": tested.untested,
                "over": tested.over,
            }
        )
    tests = sum(score.difference.p_holm is not None for score in found.scores)
    return {
        "tests": tests,
        "scores": scores,
        "improvements": [*_improvements(experiments)],
        "notes": list(found.notes),
    }


def _improvements(experiments: Sequence[Experiment]) -> Iterator[dict[str, Any]]:
    """Of each pair with three seeds or more a side, how probable it is that a seed of the second beats the first's."""
    for first, other in combinations(experiments, 2):
        if min(len(first.records), len(other.records)) < LEAST_SEEDS:
            continue
        tasks = [name for name in first.records[0].scores if not other_data(name, first, other)]
        values = [(_values(name, first), _values(name, other)) for name in tasks]
        both = [(a, b) for a, b in values if a and b]
        if both:
            found = improvement([a for a, _ in both], [b for _, b in both])
            runs = [first.records[0].id, other.records[0].id]
            yield {"pair": runs, "tasks": len(both), "bounds": [rounded(value) for value in found]}


def _values(task: str, experiment: Experiment) -> list[float]:
    """A task's score of each seed, the mean of its values; nothing unless every seed has it."""
    scores = [record.scores[task].metrics for record in experiment.records if task in record.scores]
    means = [value for score in scores if (value := mean(score)) is not None]
    return means if len(means) == len(experiment.records) else []
