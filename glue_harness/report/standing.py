"""Where rows stand: which are ranked, by a test of their kept answers or by their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from glue_harness.core.errors import DataError
from glue_harness.core.task import Tally
from glue_harness.report.ranking import Contender, answers_of, ranking
from glue_harness.report.rows import BoardRow, Candidate, Wanted

OTHER_DATA = "other data"
MOST_ROWS = 30  # that are tested unasked
MOST_ANSWERS = 50_000  # that are read unasked: a few seconds


def ranked_rows(candidates: Sequence[Candidate], wanted: Wanted) -> tuple[list[BoardRow], tuple[str, ...]]:
    """By average, on the data that most rows share. Other data follow without a rank, then runs that lack tasks."""
    averages = {id(candidate): candidate.row.average.mean for candidate in candidates if candidate.row.average}
    complete = sorted((c for c in candidates if id(c) in averages), key=lambda candidate: -averages[id(candidate)])
    partial = [candidate for candidate in candidates if not candidate.row.average]
    partial.sort(key=lambda candidate: (-len(candidate.row.values), candidate.row.date))
    usual = _usual_data([c.row for c in complete], [c.row for c in partial])
    ranked = [candidate for candidate in complete if _same_data(usual, candidate.row.scored_on)]
    others = [candidate for candidate in complete if not _same_data(usual, candidate.row.scored_on)]
    answers, how = _answers(ranked, wanted)
    contenders = [Contender(averages[id(c)], c.variance, kept) for c, kept in zip(ranked, answers, strict=True)]
    places = ranking(contenders, wanted.every_pair)
    facts = zip(ranked, places.ranks, places.best, places.tested, strict=True)
    rows = [replace(found.row, rank=rank, best=best, tested=tested) for found, rank, best, tested in facts]
    for row in (candidate.row for candidate in (*others, *partial)):
        same = _same_data(usual, row.scored_on)
        rows.append(row if same else replace(row, data=f"{row.data}, {OTHER_DATA}"))
    return rows, how


def _usual_data(complete: Sequence[BoardRow], partial: Sequence[BoardRow]) -> dict[str, object]:
    """Of each task the data that most rows were scored on; of rows with an average, the data that most share."""
    usual: dict[str, object] = {}
    for task in dict.fromkeys(task for row in partial for task in row.scored_on):
        usual[task] = Counter(row.scored_on[task] for row in partial if task in row.scored_on).most_common(1)[0][0]
    if complete:
        kinds = Counter(frozenset(row.scored_on.items()) for row in complete)  # few, however many rows
        shared = {kind: sum(n for other, n in kinds.items() if _same_data(dict(kind), dict(other))) for kind in kinds}
        usual |= max(complete, key=lambda row: (shared[frozenset(row.scored_on.items())], row.examples)).scored_on
    return usual


def _answers(ranked: Sequence[Candidate], wanted: Wanted) -> tuple[list[Sequence[Tally]], tuple[str, ...]]:
    """The kept answers of every row, none where they are missing or too many, and what a rank means with them."""
    n, seeds = len(ranked), [len(candidate.records) for candidate in ranked]
    found: list[Sequence[Tally]] = [()] * n
    if n < 2:
        return found, ()
    of_all = f"p below 0.05 after correction for all {n * (n - 1) // 2:,} pairs"
    many = n > MOST_ROWS or sum(c.row.examples * len(c.records) for c in ranked) > MOST_ANSWERS
    if wanted.store is None:
        reason = "their answers were not read"
    elif many and not wanted.every_pair:
        reason = "so many rows or answers are read with --test only"
    else:
        reason, units = "", None
        for k, candidate in enumerate(ranked):
            try:
                tallies = answers_of(candidate.records, wanted.members, wanted.store, wanted.registry)
                units = units or set(tallies[0].units)
                if any(set(tally.units) != units for tally in tallies):
                    raise DataError(f"{candidate.records[0].id} answered other examples")
                found[k] = tallies
            except DataError as error:
                reason = reason or str(error)
    unpaired = sum(not kept for kept in found)
    told = "a test by their intervals" if unpaired == n else "a paired test of their answers"
    how = [f"Rows share a rank unless {told} tells their averages apart ({of_all})."]
    if reason:
        of_rows = f"for {unpaired} of {n} rows " if unpaired < n else ""
        how.append(f"Intervals find less than pairing the same examples; they are used {of_rows}because {reason}.")
    if min(seeds) == 1:
        how.append("A row of one seed is one model: its place cannot tell its recipe from luck.")
    return found, tuple(how)


def _same_data(data: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether the tasks that both have were scored on the same data."""
    return all(data[task] == other[task] for task in data.keys() & other.keys())
