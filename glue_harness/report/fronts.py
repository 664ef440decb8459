"""Scores against what they cost: of some experiments, those that none of the others beats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_uppercase
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.report.comparison import ComparedScore, Comparison
from glue_harness.report.console import TableColumn, one_line, table_of
from glue_harness.report.costs import HEADINGS, LEGEND, MEASURE, Spent, front, price, remarks, spent, written
from glue_harness.report.experiments import Stat
from glue_harness.runs.store import Store

ON = "*"


@dataclass(frozen=True)
class Fronts:
    """Places are those of the experiments, in their order."""

    names: tuple[str, ...]
    costs: tuple[Spent | None, ...]
    scores: tuple[ComparedScore, ...]  # averages where there are any, else every value
    notes: tuple[str, ...]

    def on(self, score: ComparedScore, cost: str) -> tuple[int, ...]:
        """The places of those that are beaten by none in this score at this cost."""
        pairs = zip(self.costs, score.stats, strict=True)
        return front([(price(found, cost), stat.mean) if found and stat else None for found, stat in pairs])


def fronts(comparison: Comparison, store: Store) -> Fronts:
    experiments = comparison.experiments
    found = [spent([record.id for record in experiment.records], store) for experiment in experiments]
    if not any(found):
        raise UsageError(f"no cost of these runs is known: {MEASURE}")
    letters = ascii_uppercase[: len(experiments)]
    averages = tuple(score for score in comparison.scores if score.name.endswith(".average"))
    notes = remarks(dict(zip(letters, found, strict=True)))
    return Fronts(
        tuple(experiment.name for experiment in experiments), tuple(found), averages or comparison.scores, tuple(notes)
    )


def facts(found: Fronts) -> dict[str, Any]:
    return {
        "costs": [cost and cost._asdict() for cost in found.costs],
        "fronts": [
            {"score": score.name, "cost": cost, "front": [found.names[k] for k in found.on(score, cost)]}
            for score in found.scores
            for cost in HEADINGS
        ],
        "notes": found.notes,
    }


def drawn(found: Fronts) -> Iterator[Any]:
    """A table for each score."""
    for score in found.scores:
        columns = [
            TableColumn("", lambda place: ascii_uppercase[place], whole=True),
            TableColumn(score.label, partial(_value, score.stats), right=True, whole=True),
        ]
        for cost, heading in HEADINGS.items():
            columns.append(TableColumn(heading, partial(_price, found, score, cost), right=True))
        yield table_of(range(len(found.names)), columns, title=f"{one_line(score.label)} against what it costs")
    yield f"{ON} no other scores as much for less, or more for as much; differences and their tests stand above", "dim"
    yield LEGEND, "dim"
    yield from ((note, "yellow" if "not" in note else "dim") for note in found.notes)


def _value(stats: Sequence[Stat | None], place: int) -> str:
    stat = stats[place]
    return "-" if stat is None else f"{stat.mean:.2f}"


def _price(found: Fronts, score: ComparedScore, cost: str, place: int) -> str:
    text = written(found.costs[place])[cost] or "-"
    return f"{ON} {text}" if place in found.on(score, cost) else text
