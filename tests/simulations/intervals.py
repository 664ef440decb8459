"""How often the interval of one model's score holds what the model scores on examples without end.

python tests/simulations/intervals.py       the table of docs/statistics.md, about three minutes
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
from worlds import CB, COLA, MNLI, MRPC, MULTIRC, RTE, SST2, WSC, World, printed, share

from glue_harness.core.task import Tally
from glue_harness.metrics.correlation import standardised, weighted_ranks
from glue_harness.metrics.intervals import interval

WORLDS = (
    MNLI,
    RTE,
    SST2,
    COLA,
    MRPC,
    MULTIRC,
    replace(MULTIRC, name="MultiRC EM-like", metric="accuracy", n=953, units=953, right=(0.3,), classes=(1.0,)),
    WSC,
    replace(WSC, name="accuracy .97, 53 clusters", right=(0.97,)),
    CB,
    replace(CB, name="CB mean F1 at .98", right=(0.98, 0.98, 0.95)),
    replace(COLA, name="MCC, n = 71", n=71),
    replace(COLA, name="MCC, n = 71, .97 right", n=71, right=(0.97, 0.97)),
    *(replace(RTE, name=f"accuracy .99, n = {n}", n=n, right=(0.99,)) for n in (56, 104, 277)),
    replace(RTE, name="accuracy .90, n = 56", n=56, right=(0.90,)),
    replace(MRPC, name="F1 .98, n = 100", n=100, right=(0.97, 0.98)),
)


def held(world: World, times: int) -> int:
    random = np.random.default_rng([3, times])
    count = 0
    for _ in range(times):
        ((tally,),) = world.answers(random, [np.zeros(1)])
        low, high = interval(tally, draws=world.draws, seed=int(random.integers(2**31)))["value"]
        count += low <= world.truth(0.0) <= high
    return count


def correlated(n: int, rho: float, of_ranks: bool, random: np.random.Generator) -> tuple[Tally, float]:
    """STS-B-like: two normal variables, and their true correlation."""
    x = random.standard_normal(n)
    y = rho * x + np.sqrt(1 - rho**2) * random.standard_normal(n)

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        pair = [weighted_ranks(v, weights) if of_ranks else v for v in (x, y)]
        left, right = (standardised(v, weights) for v in pair)
        return {"value": 100 * np.einsum("du,du,du->d", weights, left, right)}

    return Tally(range(n), score), 100 * (6 / np.pi * np.arcsin(rho / 2) if of_ranks else rho)


def questions(paragraphs: int, random: np.random.Generator) -> tuple[Tally, float]:
    """SQuAD-like: the F1 of five questions a paragraph, of which six in ten are 1 and two in ten 0."""
    shared, own = random.standard_normal(paragraphs).repeat(5), random.standard_normal(5 * paragraphs)
    latent = np.sqrt(0.5) * shared + np.sqrt(0.5) * own  # of two questions: correlation 1/2
    values = np.clip(0.5 + (latent + 0.2533) / (2 * 0.5888), 0, 1)  # P(1) = P(latent > 0.3355), P(0) = P(< -0.8421)
    return tally_of(values, np.arange(paragraphs).repeat(5)), 100 * TRUE_F1


def tally_of(values: np.ndarray, clusters: np.ndarray) -> Tally:
    return Tally(range(len(values)), lambda w: {"value": 100 * (w @ values) / w.sum(axis=1)}, [*clusters.tolist()])


LATENT = np.random.default_rng(0).standard_normal(4_000_000)
TRUE_F1 = float(np.clip(0.5 + (LATENT + 0.2533) / (2 * 0.5888), 0, 1).mean())
OTHERS: dict[str, Callable[[np.random.Generator], tuple[Tally, float]]] = {
    "Pearson .88, n = 1500": lambda random: correlated(1500, 0.88, False, random),
    "Pearson .88, n = 100": lambda random: correlated(100, 0.88, False, random),
    "Spearman .88, n = 1500": lambda random: correlated(1500, 0.88, True, random),
    "Spearman .88, n = 100": lambda random: correlated(100, 0.88, True, random),
    "SQuAD-like F1, 40 paragraphs": lambda random: questions(40, random),
    "SQuAD-like F1, 400 paragraphs": lambda random: questions(400, random),
}


def held_by_other(name: str, times: int) -> int:
    random = np.random.default_rng([4, times])
    count = 0
    for _ in range(times):
        tally, truth = OTHERS[name](random)
        low, high = interval(tally, draws=400, seed=int(random.integers(2**31)))["value"]
        count += low <= truth <= high
    return count


def full(times: int) -> None:
    began, rows = perf_counter(), []
    for world in WORLDS:
        rows.append([world.name, str(world.n), str(world.clusters or "-"), share(held(world, times), times)])
    rows += [[name, "", "", share(held_by_other(name, times // 2), times // 2)] for name in OTHERS]
    printed(
        "Intervals that hold the truth, in % (95 would be right)",
        ["score", "examples", "clusters", "held"],
        rows,
        began,
    )


if __name__ == "__main__":
    full(2000)
