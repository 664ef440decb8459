"""Made-up evaluations whose truth is known: a model is right where its latent score is above 0.

    a_t + g_s + sqrt(.90) d_i + sqrt(.05) r_i + sqrt(.05) x_si > 0

a_t: how well the class t is known; g_s: a seed's own luck; d: an example's difficulty, shared by all models; r: what a
recipe makes of it; x: what a seed makes of it. d, r and x are standard normal, with the correlation `alike` between
examples of one cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from time import perf_counter

import numpy as np

from glue_harness.core.task import Tally
from glue_harness.metrics.units import Cells, Share

NORMAL = NormalDist()
PARTS = (0.90, 0.05, 0.05)  # of the latent variance: difficulty, recipe, seed
PDF = np.vectorize(NORMAL.pdf)
CDF = np.vectorize(NORMAL.cdf)


@dataclass(frozen=True)
class World:
    name: str
    metric: str
    n: int  # examples
    right: tuple[float, ...]  # of each class
    classes: tuple[float, ...] = (1.0,)  # their shares
    luck: float = 0.0  # standard deviation of a seed's own luck, in points of accuracy
    clusters: int = 0  # 0: as many as examples
    alike: float = 0.0
    units: int = 0  # groups that are scored together; 0: as many as examples
    draws: int = 300
    named: bool = True  # whether examples say which cluster they are of

    @property
    def latent(self) -> np.ndarray:
        return np.array([NORMAL.inv_cdf(p) for p in self.right])

    def seeds(self, random: np.random.Generator, k: int) -> np.ndarray:
        """Their luck, on the latent scale."""
        slope = float(np.dot(self.classes, PDF(self.latent)))
        return random.standard_normal(k) * self.luck / 100 / slope

    def answers(self, random: np.random.Generator, luck: list[np.ndarray]) -> list[list[Tally]]:
        """A tally for each seed of each recipe, all on the same examples."""
        places = np.arange(self.n) * (self.clusters or self.n) // self.n

        def field(*shape: int) -> np.ndarray:
            shared = random.standard_normal((*shape, self.clusters or self.n))[..., places]
            if not self.clusters:
                return shared
            return np.sqrt(self.alike) * shared + np.sqrt(1 - self.alike) * random.standard_normal((*shape, self.n))

        targets = random.choice(len(self.classes), self.n, p=self.classes)
        base = self.latent[targets] + np.sqrt(PARTS[0]) * field()
        found = []
        for of_recipe in luck:
            recipe = base + np.sqrt(PARTS[1]) * field()
            seeds = recipe + of_recipe[:, None] + np.sqrt(PARTS[2]) * field(len(of_recipe))
            wrong = (targets + random.integers(1, max(2, len(self.classes)), (len(of_recipe), self.n))) % max(
                2, len(self.classes)
            )
            guesses = np.where(seeds > 0, targets, wrong)
            found.append([self.tally(targets, of_seed, places) for of_seed in guesses])
        return found

    def tally(self, targets: np.ndarray, guesses: np.ndarray, places: np.ndarray) -> Tally:
        """As glue_harness.metrics makes it, of arrays."""
        units = np.arange(self.n) * (self.units or self.n) // self.n
        count = self.units or self.n
        clusters = (
            [int(places[np.searchsorted(units, unit)]) for unit in range(count)]
            if self.clusters and self.named
            else None
        )
        right = np.bincount(units, targets == guesses)
        if self.metric == "accuracy":
            trials = np.bincount(units).astype(float)
            return Tally(
                range(count),
                lambda w: {"value": 100 * (w @ right) / (w @ trials)},
                clusters,
                {"value": Share(right, trials)},
            )
        if self.metric == "f1":
            hits, marked = np.bincount(units, targets * guesses), np.bincount(units, targets + guesses)
            kind = Share(hits, marked - hits, lambda q: 2 * q / (1 + q))
            return Tally(range(count), lambda w: {"value": 200 * (w @ hits) / (w @ marked)}, clusters, {"value": kind})
        k = len(self.classes)
        cells = np.zeros((self.n, k * k))
        cells[np.arange(self.n), targets * k + guesses] = 1
        formula = {"mcc": mcc, "mean_f1": mean_f1}[self.metric]
        kind = Cells(cells.sum(axis=0).reshape(k, k), formula)
        return Tally(
            range(count), lambda w: {"value": formula((w @ cells).reshape(-1, k, k))}, clusters, {"value": kind}
        )

    def truth(self, luck: float) -> float:
        """What a model with this luck scores on examples without end."""
        p = CDF(self.latent + luck)
        k = max(2, len(self.classes))
        cells = np.zeros((1, k, k))
        for target, (share, right) in enumerate(zip(self.classes, p, strict=True)):
            cells[0, target] = share * (1 - right) / (k - 1)
            cells[0, target, target] = share * right
        formulas: dict[str, Callable] = {"mcc": mcc, "mean_f1": mean_f1, "f1": f1, "accuracy": accuracy}
        return float(formulas[self.metric](cells)[0])


def accuracy(cells: np.ndarray) -> np.ndarray:
    return 100 * np.trace(cells, axis1=1, axis2=2) / cells.sum(axis=(1, 2))


def f1(cells: np.ndarray) -> np.ndarray:
    return 200 * cells[:, 1, 1] / (cells[:, 1].sum(axis=1) + cells[:, :, 1].sum(axis=1))


def mcc(cells: np.ndarray) -> np.ndarray:
    (a, b), (c, d) = cells.transpose(1, 2, 0)
    below = np.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    return 100 * np.divide(a * d - b * c, below, out=np.zeros_like(below), where=below > 0)


def mean_f1(cells: np.ndarray) -> np.ndarray:
    hits = np.diagonal(cells, axis1=1, axis2=2)
    marked = cells.sum(axis=1) + cells.sum(axis=2)
    return 200 * np.divide(hits, marked, out=np.zeros_like(hits), where=marked > 0).mean(axis=1)


MNLI = World("MNLI", "accuracy", 9815, (0.84,), luck=0.23, draws=200)
SST2 = World("SST-2", "accuracy", 872, (0.93,), luck=0.45)
RTE = World("RTE", "accuracy", 277, (0.76,), luck=0.64)
COLA = World("CoLA", "mcc", 1043, (0.58, 0.92), (0.31, 0.69), luck=0.35)
MRPC = World("MRPC F1", "f1", 408, (0.82, 0.93), (0.32, 0.68), luck=0.5)
MULTIRC = World("MultiRC F1a", "f1", 4848, (0.77, 0.62), (0.57, 0.43), luck=0.6, clusters=83, alike=0.12, units=953)
WSC = World("WSC", "accuracy", 104, (0.78,), luck=1.0, clusters=53, alike=0.97)
CB = World("CB mean F1", "mean_f1", 56, (0.95, 0.93, 0.75), (0.41, 0.50, 0.09), luck=1.5)


def share(part: int, whole: int) -> str:
    """In percent, with the standard error of a simulation."""
    p = part / whole
    return f"{100 * p:5.1f} ±{100 * (p * (1 - p) / whole) ** 0.5:.1f}"


def printed(title: str, headings: list[str], rows: list[list[str]], began: float) -> None:
    """A table of Markdown, as docs/statistics.md shows it."""
    print(f"\n{title}\n")
    widths = [max(len(row[k]) for row in [headings, *rows]) for k in range(len(headings))]
    for line in [headings, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print(f"\n({perf_counter() - began:.0f} s)", file=sys.stderr)
