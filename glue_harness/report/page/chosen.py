"""Which results a page is of, and how much of them it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.record import Record
from glue_harness.report.board import columns_of, make_boards, priced
from glue_harness.report.experiments import (
    Experiment,
    identities,
    impossible,
    limits_of,
    pick,
    refuse_repeats,
)
from glue_harness.report.page.answers import answers_of_runs
from glue_harness.report.page.facts import page_facts
from glue_harness.report.page.pairs import pair_facts
from glue_harness.report.page.runs import run_facts
from glue_harness.report.page.sweeps import sweep_facts
from glue_harness.report.rows import Board
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MOST_RUNS = 200  # that have a page of their own, unless they are named
MOST_DETAILED = 6  # plans whose answers are read, unless they are named
MOST_ANSWERS = 600_000  # that tests of every pair of these read, unless they are named: half a minute
MOST_NAMED = 26  # plans that all_pairs has letters for


@dataclass(frozen=True)
class Chosen:
    """What a page is of. Experiments are the newest first; the detailed ones come with their answers."""

    store: Store
    registry: Registry
    boards: tuple[Board, ...]
    experiments: tuple[Experiment, ...]
    detailed: tuple[Experiment, ...]
    summaries: tuple[Record, ...]
    broken: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]

    def facts(self, examples: int | None, where: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the page reads when it opens, and what it unpacks when it is looked at."""
        answers, packed = answers_of_runs(self.detailed, self.store, self.registry, examples, where)
        unread = answers.pop("unread")
        without = [s for s in answers["sets"] if not s["texts"]]
        if where is not None and without and len(without) == len(answers["sets"]):
            raise DataError(f"--data {where!r}: {without[0]['title']}: {without[0]['notes'][0]}")
        notes = [*self.notes, *(f"{s['title']}: {s['notes'][0]}" for s in without), *unread]
        pairs = pair_facts(self.detailed, self.store, self.registry)
        more = {
            "experiments": [[record.id for record in experiment.records] for experiment in self.experiments],
            "detailed": [[record.id for record in experiment.records] for experiment in self.detailed],
            **answers,
            "pairs": pairs,
        }
        runs, curves = run_facts(self.experiments, self.store, self.registry)
        by_id = {record.id: record for record in self.summaries}
        more |= {"curves": curves, "sweeps": sweep_facts(self.experiments, self.store)}
        return page_facts(self.boards, by_id, runs, more, notes), packed


def choose(names: Sequence[str], store: Store, registry: Registry) -> Chosen:
    """Suites by their names; runs and plans by theirs, which come with their answers."""
    summaries, broken = store.summaries()
    suites = [name for name in names if name in registry.suites]
    named = [pick(store, name, summaries) for name in names if name not in registry.suites]
    if len(named) > MOST_NAMED:
        raise UsageError(f"{len(named)} runs or plans are named: a page compares {MOST_NAMED} at most, every pair")
    refuse_repeats([record for experiment in named for record in experiment.records])
    if not summaries:
        raise UsageError(f"no run in {str(store.folder)!r}: make one with glue run, or name a folder with --results")
    limits = limits_of(registry.tasks.values())
    of_named = {record.id for experiment in named for record in experiment.records}
    shown = [record for record in summaries if record.id in of_named] if named and not suites else summaries
    boards = _boards(suites, shown, store, registry)
    for suite in suites:
        if suite not in {board.suite for board in boards}:
            where = f"{str(store.folder)!r}: make one with glue run --task {suite} --demo"
            raise UsageError(f"no finished run of {suite} in {where}")
    if suites:
        on_boards = {run for board in boards for row in board.rows for run in row.runs} | of_named
        on_boards |= {run for board in boards for run, _ in board.left_out}
        shown = [record for record in summaries if record.id in on_boards]
    everything = _experiments(shown)
    experiments, notes = everything[:], []
    if sum(len(experiment.records) for experiment in everything) > MOST_RUNS:
        kept = 0
        experiments = []
        for experiment in everything:
            kept += len(experiment.records)
            if kept <= MOST_RUNS or {record.id for record in experiment.records} & of_named:
                experiments.append(experiment)
        count = sum(len(experiment.records) for experiment in experiments)
        notes.append(f"the newest {count:,} of {len(shown):,} runs have a page of their own; boards hold all")
    finished = [e for e in everything if all(r.status == "finished" for r in e.records)]
    scored = [e for e in finished if all(record.scores for record in e.records)]
    possible = (e for e in scored if not any(impossible(record, limits) for record in e.records))
    detailed = named or _affordable([*islice(possible, MOST_DETAILED)])
    if not named and len(scored) > len(detailed):
        found = f"the newest {len(detailed)} of {len(scored):,} plans"
        notes.append(f"answers, examples and differences are of {found}: name others, as in glue report RUN RUN")
    return Chosen(
        store, registry, boards, tuple(experiments), tuple(detailed), tuple(summaries), tuple(broken), tuple(notes)
    )


def _boards(suites: Sequence[str], records: Sequence[Record], store: Store, registry: Registry) -> tuple[Board, ...]:
    """Of the suites that are named, or of every one that shows a task which no board before it shows."""
    boards: list[Board] = []
    seen: set[str] = set()
    scored = {task for record in records for task in record.scores}
    for suite in suites or registry.suites:
        # the same runs are on the board of glue and of glue-all: that has its place where more tasks were scored
        new = {column.task for column in columns_of(registry, suite)} & scored - seen
        if suites or new:
            seen |= new
            made = make_boards(records, registry, suite, True, store=store)
            boards += [priced(board, store) for board in made if has_runs(board)]
    return tuple(boards)


def _affordable(scored: Sequence[Experiment]) -> Sequence[Experiment]:
    """As many of the newest as can be held against each other without a long wait; two are always."""
    for k in range(len(scored), 2, -1):
        answers = sum(score.n for e in scored[:k] for record in e.records for score in record.scores.values())
        if answers * (k - 1) <= MOST_ANSWERS:
            return scored[:k]
    return scored[:2]


def has_runs(board: Board) -> bool:
    return any(row.runs for row in board.rows)


def _experiments(records: Sequence[Record]) -> list[Experiment]:
    """The repeats of each plan on the same data, the newest first; of a seed's runs the latest that finished counts."""
    groups: dict[Hashable, dict[int, Record]] = defaultdict(dict)
    for record, identity in zip(records, identities(records), strict=True):
        if record.status == "finished":
            groups[identity][plan_of(record).seed] = record
    found = [tuple(group[seed] for seed in sorted(group)) for group in groups.values()]
    kept = {record.id for seeds in found for record in seeds}
    found += [(record,) for record in records if record.id not in kept]
    found.sort(key=lambda seeds: max(record.started for record in seeds), reverse=True)
    return [Experiment(seeds[0].id if len(seeds) == 1 else f"plan {seeds[0].digest}", seeds) for seeds in found]
