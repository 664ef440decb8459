"""What runs answered: the examples themselves, packed, and what is counted of all of them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from glue_harness.core.errors import DataError, GlueError
from glue_harness.core.record import Record
from glue_harness.core.task import Example, Task
from glue_harness.metrics.calibration import expected_error, reliability
from glue_harness.metrics.losses import Judged, judge
from glue_harness.report.errors import Case, Errors, Wanted, answered, fields_of, kind_of, texts_of, word
from glue_harness.report.experiments import Experiment, fingerprints, in_order
from glue_harness.report.page.facts import rounded
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

LENGTHS = 4  # groups of inputs, of about as many examples each
MOST_GROUPS = 40  # values of a column that are told apart: one with more names its rows, not their kinds
MOST_INVALID = 20  # different invalid answers that are listed


def answers_of_runs(
    experiments: Sequence[Experiment], store: Store, registry: Registry, limit: int | None, where: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sets of examples that runs answered with what is counted of them, and by set the examples."""
    groups: dict[tuple[str, object], list[Record]] = defaultdict(list)
    for record in (record for experiment in experiments for record in experiment.records):
        for name in record.scores:
            if name in registry.tasks:
                groups[name, fingerprints(record, name).get("validation")].append(record)
    sets: list[dict[str, Any]] = []
    packed: dict[str, Any] = {}
    unread: list[str] = []
    titles = registry.titles([name for name, _ in groups])
    for name in in_order(titles, registry):
        for records in (found for (task, _), found in groups.items() if task == name):
            task, judged = registry.tasks[name], {}
            for record in records:
                try:
                    judged[record.id] = judge(task, store.read_predictions(record.id, task))
                except DataError as error:
                    unread.append(str(error).replace(f"{store.folder}{os.sep}", ""))
            if judged:
                known = [record for record in records if record.id in judged]
                facts, examples = _set_of(task, known, judged, limit, where)
                facts["title"] = titles[name]
                facts["id"] = f"examples-{len(sets)}"
                sets.append(facts)
                packed[facts["id"]] = examples
    if len(unread) > 1:
        unread = [f"{len(unread):,} files of answers; the first: {unread[0]}"]
    return {"sets": sets, "unread": unread}, packed


def _set_of(
    task: Task, records: Sequence[Record], judged: Mapping[str, Sequence[Judged]], limit: int | None, where: str | None
) -> tuple[dict[str, Any], list[Any]]:
    """One task's examples, as far as every run answered them, and what is said of the whole."""
    texts, notes = {}, []
    try:
        texts = texts_of(task, records[0], where)
    except GlueError as error:
        notes.append(f"without texts: {error}")
    by_run = {run: {answer.prediction.example.id: answer for answer in found} for run, found in judged.items()}
    shared = [i for i in by_run[records[0].id] if all(i in answers for answers in by_run.values())]
    runs = [record.id for record in records]
    rows = {i: [by_run[run][i] for run in runs] for i in shared}
    kept = _worth_reading(task, rows, limit)
    if len(kept) < len(rows):
        said = f"{len(kept):,} of {len(rows):,} examples are in this page, those that its runs answered differently"
        notes.append(f"{said} and those that they got wrong first; glue report --examples all takes all")
    details = {}
    for record in records:
        cases = [_case(task, texts, answer) for answer in judged[record.id]]
        details[record.id] = _counted(Errors(task, (record,), tuple(cases), len(cases), Wanted(), (), bool(texts), ()))
    facts = {
        "task": task.name,
        "labels": [*map(str, task.labels)],
        "runs": runs,
        "total": len(rows),
        "kept": len(kept),
        "texts": bool(texts),
        "notes": notes,
        "details": details,
        "kinds": _kinds(task, rows, runs),
    }
    return facts, [_packed(task, texts, i, rows[i]) for i in kept]


def _case(task: Task, texts: Mapping[str, Example], answer: Judged) -> Case:
    example = answer.prediction.example
    return Case(texts.get(example.id, example), (answer,), kind_of(task, (answer,)))


def _worth_reading(task: Task, rows: Mapping[str, Sequence[Judged]], limit: int | None) -> list[str]:
    """The examples that differ between runs, then those that any got wrong, then others; in the order of the data."""
    if limit is None or len(rows) <= limit:
        return list(rows)

    def place(i: str) -> int:
        outcomes = {answer.is_right if task.labels else answer.loss for answer in rows[i]}
        return 0 if len(outcomes) > 1 else 1 if not all(answer.is_right for answer in rows[i]) else 2

    chosen = set(sorted(rows, key=place)[:limit])
    return [i for i in rows if i in chosen]


def _kinds(task: Task, rows: Mapping[str, Sequence[Judged]], runs: Sequence[str]) -> list[Any]:
    """Of each pair of runs how many the second fixed, broke and missed too, and both got right, over all examples."""
    found = []
    for (a, first), (b, second) in combinations(enumerate(runs), 2):
        kinds = [kind_of(task, (answers[a], answers[b])) for answers in rows.values()]
        found.append([first, second, *(kinds.count(kind) for kind in ("fixed", "broke", "both", "right"))])
    return found


def _packed(task: Task, texts: Mapping[str, Example], i: str, answers: Sequence[Judged]) -> list[Any]:
    """id, right answer, target, fields, and of each run: text, its label's word, right, loss, shares."""
    example = texts.get(i, answers[0].prediction.example)
    fields = [
        [name, value if isinstance(value, str) else repr(value)] for name, value in fields_of(task, example).items()
    ]
    given = []
    for answer in answers:
        text = answer.prediction.text
        meaning = answered(task, answer) if task.labels else text
        shares = {choice: rounded(share) for choice, share in answer.prediction.scores.items()}
        valid = answer.prediction.label is not None
        given.append([text, meaning if valid else None, int(answer.is_right), rounded(answer.loss), shares])
    return [i, word(task, example.label), example.target, fields if texts else [], given]


def _counted(errors: Errors) -> dict[str, Any]:
    """What is said of all answers of one run to one task."""
    task, cases = errors.task, errors.cases
    answers = [case.answers[0] for case in cases]
    shares = [max(a.prediction.scores.values(), default=None) for a in answers]
    known = [(share, a.is_right) for share, a in zip(shares, answers, strict=True) if share is not None]
    bins = reliability(*zip(*known, strict=True)) if known and task.labels else []
    return {
        "n": len(cases),
        "right": sum(answer.is_right for answer in answers),
        "confusion": [[*pair, count] for pair, count in errors.confusion(0).items()],
        "invalid": errors.invalid(0).most_common(MOST_INVALID),
        "invalid_kinds": len(errors.invalid(0)),
        "lengths": _by_length(errors) if errors.has_texts else [],
        "groups": _by_group(errors) if errors.has_texts else [],
        "calibration": [[rounded(b.share), rounded(b.right), b.n] for b in bins],
        "ece": rounded(expected_error(bins)),
        "without_shares": len(cases) - len(known),
    }


def _by_length(errors: Errors) -> list[Any]:
    """Groups of inputs by their number of words: least and most words, examples, part right or mean loss."""
    sized = sorted(
        (
            (sum(len(str(v).split()) for v in fields_of(errors.task, c.example).values()), c.answers[0])
            for c in errors.cases
        ),
        key=lambda found: found[0],
    )
    bounds = sorted({sized[k * len(sized) // LENGTHS][0] for k in range(LENGTHS)}) if sized else []
    found = []
    for k, low in enumerate(bounds):
        high = bounds[k + 1] if k + 1 < len(bounds) else sized[-1][0] + 1
        group = [answer for words, answer in sized if low <= words < high]
        found.append([low, high - 1, len(group), _mean(errors.task, group)])
    return found


def _by_group(errors: Errors) -> list[Any]:
    """Of each column that the task names for it: values, examples, part right or mean loss; the most frequent first."""
    found = []
    for column in errors.task.groups:
        groups: dict[str, list[Judged]] = defaultdict(list)
        for case in errors.cases:
            groups[str(case.example.fields.get(column) or "")].append(case.answers[0])
        if 1 < len(groups) <= MOST_GROUPS:
            most = sorted(groups.items(), key=lambda group: -len(group[1]))
            found.append([column, [[value, len(of), _mean(errors.task, of)] for value, of in most]])
    return found


def _mean(task: Task, answers: Sequence[Judged]) -> float | None:
    return rounded(fmean(answer.is_right if task.labels else answer.loss for answer in answers))
