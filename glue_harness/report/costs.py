"""What rows and experiments cost, as `glue cost` measured their runs; and which of them nothing beats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from glue_harness.core.cost import Cost
from glue_harness.core.errors import DataError
from glue_harness.report.console import in_bytes
from glue_harness.runs import costs
from glue_harness.runs.store import Store

MEASURE = "glue cost RUN RUN... measures them in turns"


class Spent(NamedTuple):
    """Of one experiment: the mean over its seeds that were measured."""

    bytes: float
    nonzero: float
    milliseconds: float  # an example that is answered alone
    examples_per_second: float
    place: str  # the machine
    turns: tuple[str, ...]  # the runs that took turns with the newest of these

    @property
    def milliseconds_in_batches(self) -> float:
        return 1000 / self.examples_per_second


HEADINGS = {"bytes": "bytes", "nonzero": "not zero", "milliseconds": "ms", "examples_per_second": "examples/s"}
WORDS = {
    "bytes": "bytes of weights on disk",
    "nonzero": "parameters that are not zero",
    "milliseconds": "milliseconds of one example alone",
    "examples_per_second": "examples a second, in batches",
}
LEGEND = (
    "bytes of weights on disk; parameters that are not zero; ms of one example answered alone, examples/s in batches"
)


def spent(run_ids: Iterable[str], store: Store) -> Spent | None:
    """None where no seed was measured; times are those of the newest measurement's machine."""
    found = [cost for cost in (_read(run_id, store) for run_id in run_ids) if cost]
    if not found:
        return None
    newest = max(found, key=lambda cost: cost.measured)
    here = [cost for cost in found if cost.place == newest.place]
    return Spent(
        fmean(cost.bytes for cost in found),
        fmean(cost.nonzero for cost in found),
        fmean(cost.milliseconds for cost in here),
        fmean(cost.examples_per_second for cost in here),
        newest.place,
        tuple(sorted({newest.run, *newest.beside})),
    )


def _read(run_id: str, store: Store) -> Cost | None:
    """A file that is damaged is as none here: the run's row stands without it, and `glue cost` writes it anew."""
    try:
        return costs.read(run_id, store)
    except DataError:
        return None


def written(found: Spent | None) -> dict[str, str]:
    """Each cost as people read it, blank where it was not measured."""
    if found is None:
        return dict.fromkeys(HEADINGS, "")
    return {
        "bytes": in_bytes(round(found.bytes)),
        "nonzero": f"{found.nonzero / 1e6:,.1f} M",
        "milliseconds": f"{found.milliseconds:,.2f}",
        "examples_per_second": f"{found.examples_per_second:,.0f}",
    }


def remarks(of: Mapping[str, Spent | None]) -> list[str]:
    """What a reader must know before comparing times; `of` has what each name cost."""
    measured = {name: found for name, found in of.items() if found}
    said = []
    if lacking := [name for name in of if name not in measured]:
        said.append(f"Not measured: {_some(lacking)}; {MEASURE}")
    places: dict[str, list[str]] = defaultdict(list)
    for name, found in measured.items():
        places[found.place].append(name)
    if len(places) == 1:
        said.append(f"Times are those of {next(iter(places))}")
    elif places:
        each = "; ".join(f"{place}: {_some(names)}" for place, names in places.items())
        said.append(f"Times of different machines are not comparable: {each}")
    if len(places) == 1 and len({found.turns for found in measured.values()}) > 1:
        said.append(f"Not all times were taken in turns, so a busy hour may stand between them: {MEASURE}")
    return said


def _some(names: Sequence[str]) -> str:
    return "; ".join(names) if len(names) <= 3 else f"{len(names)} rows"


def front(points: Sequence[tuple[float, float] | None]) -> tuple[int, ...]:
    """The places of those (cost, score) that no other beats: none scores as much for less, or more for as much."""
    known = [point for point in points if point]
    return tuple(
        k
        for k, one in enumerate(points)
        if one and not any(cost <= one[0] and score >= one[1] and (cost, score) != one for cost, score in known)
    )


def price(found: Spent, name: str) -> float:
    """A number of which less is better."""
    return found.milliseconds_in_batches if name == "examples_per_second" else getattr(found, name)
