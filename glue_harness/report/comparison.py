"""Runs side by side: what they scored, whether the difference is more than chance, and what was done differently."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glue_harness.core import html
from glue_harness.core.errors import DataError
from glue_harness.core.record import Record
from glue_harness.metrics import power
from glue_harness.metrics.power import EXAMPLES
from glue_harness.metrics.selection import averaged, members_of
from glue_harness.report.experiments import (
    Experiment,
    Stat,
    differing,
    in_order,
    label,
    refuse_impossible,
    refuse_repeats,
)
from glue_harness.report.ranking import AVERAGE, SIGNIFICANT, TOLERANCE, answers_of
from glue_harness.report.spread import known_spread, on_same_data, repeated
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MODELS_DIFFER = "these two models differ"
MODELS_ALIKE = "no difference found between these two models; one seed cannot tell a recipe from luck"
BETTER, WORSE, ALIKE = "better", "worse", "no difference found"
TEST = "two-way t"


@dataclass(frozen=True)
class Luck:
    """A difference of one seed each, judged as if both recipes' seeds lay as far apart as others' do."""

    z: float
    p: float  # not corrected
    sd: float
    source: str


@dataclass(frozen=True)
class ScoreDifference:
    """To the first experiment; `untested` says why nobody knows whether it is chance."""

    value: float
    low: float | None = None  # 95 %, paired
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None  # corrected for every test of the comparison
    test: str | None = None
    untested: str | None = None
    over: str | None = None  # examples: of these models; seeds and examples: of their recipes
    least: float | None = None  # a difference that this test would find with 80 %, were it the only one
    luck: Luck | None = None  # one seed against one, where the luck of seeds is known from elsewhere

    @property
    def is_sure(self) -> bool:
        return self.p_holm is not None and self.p_holm < SIGNIFICANT

    @property
    def verdict(self) -> str:
        """What may be said; of recipes only where each side has two seeds or more."""
        if self.p_holm is None:
            return ""
        if self.over == EXAMPLES:
            return MODELS_DIFFER if self.is_sure else MODELS_ALIKE
        return (BETTER if self.value > 0 else WORSE) if self.is_sure else ALIKE

    @property
    def written(self) -> list[str]:
        """The difference, its interval, the corrected p, and what may be said, or why nothing may."""
        between = "" if self.low is None or self.high is None else f"{self.low:+.2f} to {self.high:+.2f}"
        p = "" if self.p_holm is None else f"{self.p_holm:.3g}"
        return [f"{self.value:+.2f}", between, p, self.verdict or self.untested or ""]


@dataclass(frozen=True)
class ComparedScore:
    """One value of a task, or a suite's average, over all experiments."""

    name: str
    label: str
    stats: tuple[Stat | None, ...]
    differences: tuple[ScoreDifference | None, ...]  # None for the first: the others are compared to it
    best: tuple[int, ...] = ()  # places of the highest; none where all are equal, or the data differ
    undefined: tuple[int, ...] = ()  # places where it was scored, but the metric gives no value for the answers


@dataclass(frozen=True)
class Comparison:
    experiments: tuple[Experiment, ...]
    scores: tuple[ComparedScore, ...]
    settings: Mapping[str, list[Any]]  # of the plans, where they differ
    notes: tuple[str, ...]

    @property
    def tests(self) -> int:
        """How many p values Holm's correction is over."""
        return sum(found.p is not None for score in self.scores for found in score.differences if found)

    def _repr_html_(self) -> str:
        """What a notebook shows of it: every value beside the first one's, with the difference and what it means."""
        first, *others = [experiment.name for experiment in self.experiments]
        head, rows = ["score", first], []
        for name in others:
            head += [name, "difference", "95 % interval", "p (Holm)", ""]
        for score in self.scores:
            values = ["" if stat is None else f"{stat.mean:.2f}" for stat in score.stats]
            cells = [score.label, values[0]]
            for value, found in zip(values[1:], score.differences[1:], strict=True):
                cells += [value, *(found.written if found else [""] * 4)]
            rows.append(cells)
        tables = [html.table(head, rows)]
        if self.settings:
            settings = ([name, *map(str, values)] for name, values in self.settings.items())
            tables.append(html.table(["setting", first, *others], settings))
        return html.shown(" against ".join([first, *others]), tables, self.notes)


def compare(
    experiments: Sequence[Experiment], store: Store, registry: Registry, among: Sequence[Record] = ()
) -> Comparison:
    """Every other experiment against the first; `among` are the runs that may tell how far seeds lie apart."""
    refuse_repeats([record for experiment in experiments for record in experiment.records])
    refuse_impossible([record for experiment in experiments for record in experiment.records], registry)
    scored = {name for experiment in experiments for record in experiment.records for name in record.scores}
    tasks = in_order(scored, registry)
    repeats = repeated(among)
    scores = [score for name in tasks for score in scores_of(name, experiments, store, registry, repeats)]
    first, *others = experiments
    comparable = not any(other_data(name, first, other) for name in tasks for other in others)
    for suite in sorted({task.suite for task in registry.tasks.values()}):
        stats = [experiment.average(suite, registry) for experiment in experiments]
        if any(stats):
            tests = [_test_of_average(suite, first, other, store, registry) for other in others]
            scores.append(_compared(f"{suite}.average", f"{suite} average", stats, tests, comparable))
    settings = differing([experiment.plan for experiment in experiments], but=("seed",))
    if any(experiment.seeds != first.seeds for experiment in others):
        settings["seeds"] = [experiment.seeds for experiment in experiments]
    return Comparison(tuple(experiments), tuple(corrected(scores)), settings, tuple(notes_on(experiments)))


def scores_of(
    name: str, experiments: Sequence[Experiment], store: Store, registry: Registry, repeats: Sequence[Experiment]
) -> Iterator[ComparedScore]:
    """The values of one task; `repeats` are the plans that tell how far seeds lie apart."""
    first, *others = experiments
    tests = [_tests(name, first, other, store, registry, repeats) for other in others]
    comparable = not any(other_data(name, first, other) for other in others)
    records = [record for experiment in experiments for record in experiment.records if name in record.scores]
    keys = list(dict.fromkeys(key for record in records for key in record.scores[name].metrics))
    title = registry.titles(task for e in experiments for record in e.records for task in record.scores)[name]
    for key in keys:
        stats = [experiment.stat(name, key) for experiment in experiments]
        of_key = [(found.get(key), reason) for found, reason in tests]
        undefined = [place for place, experiment in enumerate(experiments) if experiment.is_undefined(name, key)]
        found = _compared(f"{name}.{key}", label(title, key, keys), stats, of_key, comparable)
        yield replace(found, undefined=tuple(undefined))


def _compared(
    name: str,
    label: str,
    stats: Sequence[Stat | None],
    tests: Sequence[tuple[ScoreDifference | None, str]],
    comparable: bool,
) -> ComparedScore:
    """`tests` are those of every other experiment against the first, each with the reason if there is none."""
    first, *others = stats
    differences: list[ScoreDifference | None] = [None]
    for other, (tested, reason) in zip(others, tests, strict=True):
        if first is None or other is None:
            differences.append(None)
            continue
        value = other.mean - first.mean
        if tested and abs(tested.value - value) > TOLERANCE:
            tested, reason = None, "the kept predictions give other scores than the record"
        differences.append(tested or ScoreDifference(value, untested=reason))
    means = {found.mean for found in stats if found}
    best = []
    if comparable and len(means) > 1:  # nothing is the best of one, nor of equals
        best = [place for place, found in enumerate(stats) if found and found.mean == max(means)]
    return ComparedScore(name, label, tuple(stats), tuple(differences), tuple(best))


def _tests(
    name: str, first: Experiment, other: Experiment, store: Store, registry: Registry, repeats: Sequence[Experiment]
) -> tuple[dict[str, ScoreDifference], str]:
    """A paired test over the same examples of every value of a task, or the reason why one has none."""
    if name not in registry.tasks:
        return {}, "the task is not loaded: name its folder with --tasks"
    if reason := other_data(name, first, other):
        return {}, reason
    from glue_harness.metrics import stats

    task = registry.tasks[name]
    found = {}
    try:
        pair = [[store.read_predictions(record.id, task) for record in e.records] for e in (first, other)]
        targets = [{p.example.id: p.example.target for p in predictions} for predictions in (*pair[0], *pair[1])]
        if any(of_seed != targets[0] for of_seed in targets):
            raise DataError("they answered different examples")
        for metric in task.metrics:
            of_first, of_other = ([metric.tally(predictions) for predictions in seeds] for seeds in pair)
            for key, (value, low, high, p, se, df, over) in stats.compare_paired(of_first, of_other).items():
                if not math.isnan(p):
                    least = power.factor(df) * se
                    found[key] = ScoreDifference(value, low, high, p, test=TEST, over=over, least=least)
                    if len(first.records) == len(other.records) == 1:
                        own = on_same_data(repeats, name, first.contents(name, "validation"))
                        spread = known_spread(name, key, own, registry, first.plan.is_demo)
                        found[key] = replace(found[key], luck=spread and with_luck(value, se, spread))
    except DataError as error:
        return {}, str(error)
    return found, "the metric is undefined on these answers"


def _test_of_average(
    suite: str, first: Experiment, other: Experiment, store: Store, registry: Registry
) -> tuple[ScoreDifference | None, str]:
    """The same test of a suite's average: one statistic of the examples of all its tasks together."""
    from glue_harness.metrics import stats

    members = averaged(registry, suite)
    if not first.average(suite, registry) or not other.average(suite, registry):
        return None, "not every task has a score"
    for scorer in (scorer for task in members for scorer in registry.scorers(task)):
        if reason := other_data(scorer.name, first, other):
            return None, reason
    try:
        of_first, of_other = (
            answers_of(e.records, members_of(registry, members), store, registry) for e in (first, other)
        )
        value, low, high, p, se, df, over = stats.compare_paired(of_first, of_other)[AVERAGE]
    except DataError as error:
        return None, str(error)
    if math.isnan(p):
        return None, "the average is undefined on these answers"
    return ScoreDifference(value, low, high, p, test=TEST, over=over, least=power.factor(df) * se), ""


def with_luck(difference: float, se: float, spread: power.Spread) -> Luck:
    from glue_harness.metrics.student import two_sided

    z, df = power.borrowed_luck(difference, se, spread)
    return Luck(z, two_sided(z, df), spread.sd, spread.source)


def other_data(name: str, first: Experiment, other: Experiment) -> str | None:
    """How the data that scored a task differ, if they do."""
    if first.plan.is_demo != other.plan.is_demo:
        return "one is on demo data and one is not"
    if first.contents(name, "validation") != other.contents(name, "validation"):
        return "they were scored on different data"
    return None


def corrected(scores: Sequence[ComparedScore]) -> list[ComparedScore]:
    """Holm's correction over every test, whatever task or experiment it belongs to."""
    from glue_harness.metrics.stats import holm

    places = [(score.name, k, found) for score in scores for k, found in enumerate(score.differences) if found]
    p_values = holm({(name, k): found.p for name, k, found in places if found.p is not None})
    fixed = {(name, k): replace(found, p_holm=p_values.get((name, k))) for name, k, found in places}
    return [
        replace(score, differences=tuple(fixed.get((score.name, k)) for k in range(len(score.differences))))
        for score in scores
    ]


def notes_on(experiments: Sequence[Experiment]) -> Iterator[str]:
    """What a reader must know before believing a difference."""
    for record in (record for experiment in experiments for record in experiment.records):
        if record.status != "finished":
            yield f"{record.id} is {record.status}: it shows what was measured until then"
    first, *others = experiments
    for other in others:
        pair = f"{first.name} and {other.name}"
        if first.plan.is_demo != other.plan.is_demo:
            yield f"{pair}: one is on demo data and one is not, so their scores cannot be compared"
            continue
        is_any_scored = first.plan.is_scored or other.plan.is_scored
        if first.plan.select != other.plan.select and not is_any_scored:
            optimist = first if first.plan.select == "validation" else other
            yield f"{pair}: {optimist.name} chose its steps by the scores that stand here, which are optimistic"
        shared = [name for name in first.records[0].data if name in other.records[0].data]
        for role, verb in (("validation", "scored"), *([] if is_any_scored else [("train", "trained")])):
            tasks = [name for name in shared if first.contents(name, role) != other.contents(name, role)]
            if tasks:
                yield f"{pair} were {verb} on different data: {', '.join(tasks)}"
