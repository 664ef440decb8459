"""Every pair of experiments, with the tests of all their differences: one family, whichever pair is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glue_harness.report.experiments import Experiment
from glue_harness.report.page.facts import numbers, rounded
from glue_harness.report.pairs import all_pairs
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry


def pair_facts(experiments: Sequence[Experiment], store: Store, registry: Registry) -> dict[str, Any]:
    """Values of each pair by the first runs of its two experiments; differences are the second minus the first."""
    if len(experiments) < 2:
        return {"tests": 0, "scores": [], "notes": []}
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
    return {"tests": tests, "scores": scores, "notes": list(found.notes)}
