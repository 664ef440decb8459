"""Who is ahead of whom: rows share a rank unless a test tells them apart; how likely each of them is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import DataError
from glue_harness.core.record import Record
from glue_harness.core.task import Tally
from glue_harness.metrics.selection import Members
from glue_harness.metrics.student import Z_975, Variance, p_of, total
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

if TYPE_CHECKING:
    import numpy as np

SIGNIFICANT = 0.05  # what a corrected p value must be below
TOLERANCE = 1e-6  # between a score that was recorded and the same score counted again
AVERAGE = "average"
DRAWS = 1000
CELLS = 300  # that a range of averages is cut into


class Contender(NamedTuple):
    """A row of the ranking."""

    mean: float
    variance: Variance | None  # of the mean, by the recorded intervals
    answers: Sequence[Tally] = ()  # what its average was counted of, one a seed; none: not kept, or not asked for


class Ranking(NamedTuple):
    ranks: list[int]
    best: list[float | None]  # share of probability
    tested: list[bool]  # whether a row was placed by a paired test of its answers


def ranking(contenders: Sequence[Contender], every_pair: bool = False) -> Ranking:
    """Ranks of contenders that come in the order of their means.

    The first row leads. Each row shares the rank of the row that leads until one differs from it: that one leads on.
    Neighbours alone would not do: a chain of rows, each close to the next, would tie the first with the last.

    Which rows lead depends on the scores, so any of the n(n-1)/2 pairs might have been compared, and p is corrected
    for all of them: times their number, or by Holm where every pair is tested.
    """
    n = len(contenders)
    pairs = n * (n - 1) // 2
    corrected: dict[tuple[int, int], float] = {}
    paired: dict[tuple[int, int], bool] = {}

    def test(first: int, other: int) -> float:
        p, paired[first, other] = p_between(contenders[first], contenders[other])
        return p

    if every_pair and n > 1:
        from glue_harness.metrics.stats import holm

        corrected = holm({(a, b): test(a, b) for a in range(n) for b in range(a + 1, n)})
    ranks, tested, leader = [], [], 0
    for k in range(n):
        before = leader
        if k and (corrected[leader, k] if corrected else test(leader, k) * pairs) < SIGNIFICANT:
            leader = k
        ranks.append(leader + 1)
        tested.append(paired.get((before, k), False))
    if tested[1:2]:
        tested[0] = tested[1]
    return Ranking(ranks, best_shares(contenders), tested)


def p_between(first: Contender, other: Contender) -> tuple[float, bool]:
    """Two-sided p of the difference of two averages, and whether it is that of the paired test of their answers.

    Where answers are missing, the averages count as independent, which they are not if the examples are the same:
    p is then too large rather than too small. Where nothing is known of their variance, equal means alone tie.
    """
    if first.answers and other.answers:
        from glue_harness.metrics.stats import compare_paired

        p = compare_paired(first.answers, other.answers)[AVERAGE].p
        return (1.0 if math.isnan(p) else p), True
    if first.variance and other.variance:
        return p_of(other.mean - first.mean, total([first.variance, other.variance])), False
    return float(first.mean == other.mean), False


def best_shares(contenders: Sequence[Contender]) -> list[float | None]:
    """How probable it is that each has the highest true average."""
    if len(contenders) < 2 or not all(c.variance for c in contenders):
        return [None] * len(contenders)
    return _best_by_answers(contenders) if all(c.answers for c in contenders) else _best_by_variance(contenders)


def _best_by_answers(contenders: Sequence[Contender]) -> list[float | None]:
    """The share of draws in which each is on top. A draw takes the same examples for all, and luck of seeds for each:

    mean + c e(b) + t s / sqrt(k), t of k - 1 degrees of freedom: e(b) is how far the mean over k seeds moves with the
    examples of draw b; s is the deviation over seeds. s^2 / k holds I / k already, where I is the variance over seeds
    of how far each moves within a draw, so e is shrunk by c^2 = 1 - I / (k V(e)).
    """
    import numpy as np

    from glue_harness.metrics.bootstrap import cluster_places, resampled

    units = contenders[0].answers[0].units
    at = {unit: place for place, unit in enumerate(units)}
    seeds = [[(tally, [at[u] for u in tally.units]) for tally in c.answers] for c in contenders]

    def drawn(weights: np.ndarray) -> dict[Any, np.ndarray]:
        return {
            (row, seed): tally.score(weights[:, places])[AVERAGE]
            for row, tallies in enumerate(seeds)
            for seed, (tally, places) in enumerate(tallies)
        }

    found: dict[Any, np.ndarray] = resampled(drawn, cluster_places(contenders[0].answers[0]), DRAWS, 0)
    random, averages = np.random.default_rng(1), []
    once = drawn(np.ones((1, len(units))))
    for row, contender in enumerate(contenders):
        k = len(contender.answers)
        own = np.array([once[row, seed][0] for seed in range(k)])
        moved = np.array([found[row, seed] for seed in range(k)]) - own[:, None]  # [seeds, draws]
        together, luck = moved.mean(axis=0), 0.0
        if k > 1:
            spread, inner = np.nanvar(together), np.nanmean(moved.var(axis=0, ddof=1))
            together = together * math.sqrt(max(0.0, 1 - inner / (k * spread))) if spread else together
            luck = random.standard_t(k - 1, DRAWS) * own.std(ddof=1) / math.sqrt(k)
        averages.append(own.mean() + together + luck)
    table = np.array(averages)
    table = table[:, ~np.isnan(table).any(axis=0)]
    if not table.size:
        return [None] * len(contenders)
    on_top = table == table.max(axis=0)
    return [float(share) for share in (on_top / on_top.sum(axis=0)).mean(axis=1)]


def _best_by_variance(contenders: Sequence[Contender]) -> list[float | None]:
    """P(i is best) = sum over cells x of P(i lies in x) prod over j != i of P(j lies below x), all independent.

    Each true average is taken as normal about the mean, as wide as the 95 % interval.
    """
    places = [(c.mean, c.variance.half_width / Z_975) for c in contenders if c.variance]
    low, high = (max(mean + side * 5 * sd for mean, sd in places) for side in (-1, 1))
    step = (high - low) / CELLS or 1e-9
    edges = [low - step / 2 + step * k for k in range(CELLS + 2)]
    below = [[_below(edge, *place) for edge in edges] for place in places]  # [rows, edges]
    shares = [0.0] * len(places)
    for cell in range(CELLS + 1):
        halves = [max((row[cell] + row[cell + 1]) / 2, 1e-300) for row in below]
        all_below = sum(map(math.log, halves))
        for k, row in enumerate(below):
            if mass := row[cell + 1] - row[cell]:
                shares[k] += mass * math.exp(all_below - math.log(halves[k]))
    whole = sum(shares)
    return [share / whole for share in shares]


def _below(edge: float, mean: float, sd: float) -> float:
    """The share of a normal distribution below an edge."""
    return float(edge >= mean) if not sd else 0.5 * math.erfc((mean - edge) / sd / math.sqrt(2))


def answers_of(records: Sequence[Record], members: Members, store: Store, registry: Registry) -> list[Tally]:
    """What the kept answers of each seed say of an average, or a DataError: they are not there, or not the scored ones.

    The average is one statistic of the examples of all its tasks together, so one test decides on it.
    """
    return [_tally_of_average(record, members, store, registry) for record in records]


def _value_of(tally: Tally, part: slice, key: str, weights: np.ndarray) -> np.ndarray:
    """One value of a tally whose units are a part of all."""
    return tally.score(weights[:, part])[key]


def _tally_of_average(record: Record, members: Members, store: Store, registry: Registry) -> Tally:
    import numpy as np

    from glue_harness.metrics import values_of

    units: list[Any] = []
    clusters: list[Any] = []
    counted: dict[tuple[str, str], Callable[[np.ndarray], np.ndarray]] = {}
    for name in dict.fromkeys(task for values in members for task, _ in values):
        task = registry.tasks[name]
        predictions = store.read_predictions(record.id, task)
        content = hash(tuple(sorted((p.example.id, p.example.target) for p in predictions)))
        starts: dict[tuple[Any, ...], int] = {}  # metrics that count by the same units share them
        for metric in task.metrics:
            tally = metric.tally(predictions)
            for key, value in values_of([tally]).items():
                recorded = record.scores[name].metrics.get(key)
                if recorded is None or not abs(value - recorded) <= TOLERANCE:
                    raise DataError(f"the kept answers of {record.id} give {name} another {key} than its record")
            if (kind := tuple(tally.units)) not in starts:
                starts[kind] = len(units)
                units += [(name, content, len(starts), unit) for unit in kind]
                own = tally.units if tally.clusters is None else tally.clusters
                clusters += [(name, cluster) for cluster in own]
            part = slice(starts[kind], starts[kind] + len(kind))
            for key in metric.keys:
                counted[name, key] = partial(_value_of, tally, part, key)

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        means = [np.mean([counted[value](weights) for value in values], axis=0) for values in members]
        return {AVERAGE: np.mean(means, axis=0)}

    return Tally(units, score, clusters)
