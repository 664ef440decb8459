"""How often the test of a difference errs where there is none, and finds one that there is.

python tests/simulations/differences.py            the tables of docs/statistics.md, about eight minutes
python tests/simulations/differences.py single     one of them: equal, single, differing
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter

import numpy as np
from worlds import COLA, MNLI, MRPC, MULTIRC, RTE, SST2, WSC, World, printed, share

from glue_harness.metrics.power import Spread, borrowed_luck, least_between_recipes
from glue_harness.metrics.stats import PairedDifference, compare_paired
from glue_harness.metrics.student import two_sided

SEEDS = (2, 3, 5, 10)
WORLDS = (MNLI, RTE, SST2, COLA, MRPC, MULTIRC, WSC)
EDGES = (
    replace(RTE, name="accuracy .99, n = 277", right=(0.99,), luck=0.2),
    replace(WSC, name="accuracy .97, 53 clusters", right=(0.97,), luck=0.5),
    replace(RTE, name="RTE, no luck of seeds", luck=0.0),
    replace(RTE, name="RTE, three times the luck", luck=2.0),
)


def compared(world: World, random: np.random.Generator, seeds: tuple[int, int], gain: float = 0.0) -> PairedDifference:
    """One comparison of two recipes, of which the second may be better, in points of accuracy."""
    luck = [world.seeds(random, k) for k in seeds]
    luck[1] = luck[1] + gain / 100 / float(np.dot(world.classes, np.exp(-(world.latent**2) / 2) / np.sqrt(2 * np.pi)))
    base, other = world.answers(random, luck)
    return compare_paired(base, other, draws=world.draws, seed=int(random.integers(2**31)))["value"]


def errors(world: World, seeds: tuple[int, int], times: int, gain: float = 0.0) -> int:
    random = np.random.default_rng([seeds[0], times])
    return sum(compared(world, random, seeds, gain).p < 0.05 for _ in range(times))


def one_seed(world: World, times: int, spread: float) -> tuple[int, int, int]:
    """Errors of one seed against one: as if it were the recipe, with borrowed luck, and of two models without luck."""
    random = np.random.default_rng([1, times])
    known = Spread(spread, 9, "ten seeds")
    found = [compared(world, random, (1, 1)) for _ in range(times)]
    lucky = [borrowed_luck(one.difference, one.se, known) for one in found]
    same = replace(world, luck=0.0)
    return (
        sum(one.p < 0.05 for one in found),
        sum(two_sided(z, df) < 0.05 for z, df in lucky),
        sum(compared(same, random, (1, 1)).p < 0.05 for _ in range(times)),
    )


def spread_of(world: World, times: int = 100) -> float:
    """The standard deviation over seeds, on one set of examples at a time."""
    random = np.random.default_rng(7)
    variances = []
    for _ in range(times):
        (tallies,) = world.answers(random, [world.seeds(random, 10)])
        variances.append(np.var([tally.score(np.ones((1, len(tally.units))))["value"][0] for tally in tallies], ddof=1))
    return float(np.sqrt(np.mean(variances)))


def equal_recipes(times: int) -> None:
    began, rows = perf_counter(), []
    for world in (*WORLDS, *EDGES):
        fewer = times // 2 if world.n > 2000 else times
        rows.append([world.name, *(share(errors(world, (k, k), fewer), fewer) for k in SEEDS)])
        rows[-1].append(share(errors(world, (2, 5), fewer), fewer))
    printed(
        "Differences found, in %, between recipes that do not differ (5 would be right)",
        ["scenario", *(f"{k} seeds" for k in SEEDS), "2 against 5"],
        rows,
        began,
    )


def single_seeds(times: int) -> None:
    began, rows = perf_counter(), []
    for world in WORLDS:
        fewer = times // 2 if world.n > 2000 else times
        sd = spread_of(world, 20 if world.n > 2000 else 100)
        judged, lucky, models = one_seed(world, fewer, sd)
        rows.append([world.name, f"{sd:.2f}", share(judged, fewer), share(lucky, fewer), share(models, fewer)])
    printed(
        "One seed against one, in %: differences found",
        ["scenario", "sd of seeds", "as if of recipes", "with borrowed luck", "of two equal models"],
        rows,
        began,
    )


def differing_recipes(times: int) -> None:
    began, rows = perf_counter(), []
    for world, gain in ((SST2, 1.0), (RTE, 3.0), (MNLI, 0.5)):
        known = Spread(spread_of(world, 20 if world.n > 2000 else 100), 9, "ten seeds")
        for k in (3, 5, 10):
            least = least_between_recipes(known, k)
            found = [share(errors(world, (k, k), times // 2, by), times // 2) for by in (gain, least)]
            rows.append([world.name, str(k), f"{gain:.1f}", found[0], f"{least:.2f}", found[1]])
    printed(
        "Differences found, in %, that there are (80 would be right for what `glue power` prints)",
        ["scenario", "seeds", "gain", "found", "glue power", "found at that gain"],
        rows,
        began,
    )


TABLES = {"equal": equal_recipes, "single": single_seeds, "differing": differing_recipes}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        TABLES[name](600)
