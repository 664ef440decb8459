"""What a leaderboard is made of: columns, rows with their names, and what is asked of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from glue_harness.core.record import Record
from glue_harness.metrics.selection import Members
from glue_harness.metrics.student import Variance
from glue_harness.report.costs import Spent
from glue_harness.report.experiments import LENGTH, Experiment, Stat, settings_apart, worded
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MIX = ("mixing", "limit", "temperature", "rates")
SPOKEN = ("model", "method", "mixing")  # settings that tables have columns of


class BoardColumn(NamedTuple):
    """One value of one task."""

    task: str
    key: str
    group: str  # title of the task that trains for it: MNLI, for matched and mismatched
    label: str  # heading that stands alone: MRPC F1, MNLI-m

    @property
    def name(self) -> str:
        return f"{self.task}.{self.key}"


@dataclass(frozen=True)
class BoardRow:
    """One experiment: a plan with all its seeds, or a published result."""

    source: str  # run, or where it was published
    model: str
    method: str
    average: Stat | None  # None unless every task that the average is over has a score
    values: Mapping[BoardColumn, Stat]
    name: str = ""  # the settings that tell it from the other rows
    settings: str = ""  # the same, without those that tables have columns of
    rank: int | None = None  # shared by rows that no test tells apart
    without_luck: float | None = None  # the average without the luck of choosing steps
    best: float | None = None  # probability that its true average is the highest of the ranked rows
    tested: bool = False  # whether its rank was found by a test of the kept answers
    family: str = ""  # of models, and the architecture where a family has several
    parameters: int | None = None
    mixing: str = ""
    limit: float | None = None
    temperature: float | None = None
    steps: int | None = None
    data: str = ""
    select: str = ""  # what chose the steps
    seeds: int = 1
    invalid: float | None = None  # percent of the answers
    examples: int = 0  # that each seed answered
    scored_on: Mapping[str, object] = field(default_factory=dict)  # task -> fingerprint of the data that scored it
    missing: str = ""  # why there is no average
    undefined: tuple[BoardColumn, ...] = ()  # what was scored, but its metric gives no value for an answer of a seed
    runs: tuple[str, ...] = ()
    digest: str = ""
    date: str = ""
    commit: str = ""
    cost: Spent | None = None  # None where it was not asked for, or not measured


@dataclass(frozen=True)
class Board:
    name: str  # glue, glue-demo
    suite: str
    columns: tuple[BoardColumn, ...]
    rows: tuple[BoardRow, ...]  # ranked, then those on other data, then those without an average, then published ones
    left_out: tuple[tuple[str, str], ...]  # run id, why
    notes: tuple[str, ...] = ()
    common: str = ""  # what all runs have in common
    ranking: tuple[str, ...] = ()  # what a rank means here
    missing: tuple[str, ...] = ()  # why rows have no average
    has_costs: bool = False  # whether they were asked for


class Wanted(NamedTuple):
    """What a board is asked to show."""

    suite: str
    columns: tuple[BoardColumn, ...]
    members: Members  # what the average is over
    registry: Registry
    store: Store | None  # where answers are kept; None: they are not read
    every_pair: bool  # whether all answers are read and every pair of rows is tested


class Candidate(NamedTuple):
    """A row on its way to its rank."""

    row: BoardRow
    records: Sequence[Record]
    variance: Variance | None  # of its average


def named(candidates: Sequence[Candidate]) -> tuple[list[Candidate], str]:
    """The rows named by the settings that differ among them, and what they have in common."""
    if not candidates:
        return [], ""
    rows, plans = [c.row for c in candidates], [Experiment("", tuple(c.records)).plan for c in candidates]
    apart = settings_apart(plans)
    for row, words in zip(rows, apart, strict=True):
        for name in MIX if not row.mixing else ():  # a single task is not mixed, whatever its plan says
            words.pop(name, None)
    names = [", ".join(words.values()) for words in apart]
    if len(rows) == 1:
        names = [f"{rows[0].model}, {rows[0].method}"]
    for more in ([plan.data for plan in plans], [row.runs[0] for row in rows]):  # the same plan on other data
        values = defaultdict(set)
        for name, value in zip(names, more, strict=True):
            values[name].add(value)
        pairs = zip(names, more, strict=True)
        names = [", ".join(filter(None, (name, value if len(values[name]) > 1 else ""))) for name, value in pairs]
    found = []
    for candidate, words, name in zip(candidates, apart, names, strict=True):
        settings = ", ".join(text for key, text in words.items() if key not in SPOKEN)
        found.append(candidate._replace(row=replace(candidate.row, name=name, settings=settings)))
    said = {name for words in apart for name in words}
    common = [getattr(rows[0], name) for name in ("model", "method") if name not in said]
    trained = [row for row in rows if row.steps is not None]
    where = " where trained" if len(trained) < len(rows) else ""
    if trained and trained[0].mixing and "mixing" not in said and len({row.mixing for row in trained}) == 1:
        common.append(mixing(trained[0]) + where)
    if trained and said.isdisjoint(LENGTH):
        common.append(next(plan.length for plan in plans if not plan.is_scored) + where)
    return found, ", ".join(common)


def mixing(row: BoardRow) -> str:
    """How tasks were mixed, with the settings that this way of mixing heeds."""
    if row.mixing not in ("proportional", "temperature"):
        return row.mixing
    text = row.mixing + (f" T={row.temperature:g}" if row.mixing == "temperature" else "")
    return text if row.limit is None else f"{text} {worded('limit', row.limit)}"
