"""Example by example: what a run got wrong, or what one of two runs got right that the other did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glue_harness import data
from glue_harness.core.errors import DataError, GlueError, UsageError, unknown
from glue_harness.core.record import Record
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.data.rows import examples_of
from glue_harness.data.tables import fields
from glue_harness.metrics.answers import label_of
from glue_harness.metrics.losses import Judged, judge
from glue_harness.report.comparison import ComparedScore, corrected, other_data, scores_of
from glue_harness.report.experiments import Experiment, said
from glue_harness.runs.index import plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

RIGHT, WRONG = "right", "wrong"  # of two runs: both right, not both right
BROKE, FIXED, BOTH = "broke", "fixed", "both"  # the second worse than the first, better, both wrong alike
WORTH_READING = (BROKE, FIXED, BOTH, WRONG)
INVALID = "(invalid)"  # among answers of a confusion matrix


@dataclass(frozen=True)
class Case:
    """One example, and what each run answered."""

    example: Example  # without texts where the rows are not at hand
    answers: tuple[Judged, ...]  # one a run
    kind: str

    @property
    def weight(self) -> float:
        """What is worth reading first: the largest change, or the largest loss."""
        losses = [answer.loss for answer in self.answers]
        return abs(losses[0] - losses[-1]) if self.kind in (FIXED, BROKE) else sum(losses)


@dataclass(frozen=True)
class Wanted:
    """Which cases are asked for; what is not given excludes none."""

    only: str | None = None  # a kind
    label: str | None = None  # the right answer's
    answer: str | None = None  # that some run gave
    text: str | None = None  # inside a field, in any case
    invalid: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing but the kind is asked for: then scores are of the same examples."""
        return self.label is None and self.answer is None and self.text is None and not self.invalid


@dataclass(frozen=True)
class Errors:
    """What one or two runs answered to one task."""

    task: Task
    records: tuple[Record, ...]
    cases: tuple[Case, ...]  # as asked for, of every kind
    total: int  # however few are asked for
    wanted: Wanted
    scores: tuple[ComparedScore, ...]  # the task's values; of two runs with the test of their difference
    has_texts: bool
    notes: tuple[str, ...]

    def by_kind(self) -> dict[str, list[Case]]:
        """The kinds that are asked for, each with its cases, the worst first."""
        kinds = WORTH_READING if self.wanted.only in (None, WRONG) else (self.wanted.only,)
        ordered = sorted(self.cases, key=lambda case: -case.weight)
        found = {kind: [case for case in ordered if case.kind == kind] for kind in kinds}
        return {kind: cases for kind, cases in found.items() if cases}

    def confusion(self, run: int) -> Counter[tuple[str, str]]:
        """How often which label was answered where which is right; nothing in a task without labels."""
        if not self.task.labels:
            return Counter()
        return Counter((word(self.task, c.example.label), answered(self.task, c.answers[run])) for c in self.cases)

    def invalid(self, run: int) -> Counter[str]:
        """What was no answer to the task, and how often."""
        predictions = (case.answers[run].prediction for case in self.cases)
        return Counter(p.text for p in predictions if p.label is None)


def find_errors(
    task: Task, records: Sequence[Record], store: Store, registry: Registry, wanted: Wanted, where: str | None = None
) -> Errors:
    """The cases of one or two runs. Texts come from `where`, or from where the first run had its rows."""
    experiments = [Experiment(record.id, (record,)) for record in records]
    if len(records) == 2 and (reason := other_data(task.name, *experiments)):
        raise DataError(f"{task.name}: {records[0].id} and {records[1].id} cannot be held against each other: {reason}")
    notes = [f"{r.id} is {r.status}: these are its answers until then" for r in records if r.status != "finished"]
    judged = [judge(task, store.read_predictions(record.id, task)) for record in records]
    others = [{found.prediction.example.id: found for found in of_run} for of_run in judged[1:]]
    if any(other.keys() != {found.prediction.example.id for found in judged[0]} for other in others):
        raise DataError(f"the runs answered different examples of {task.name}: compare runs on the same ones")
    texts: Mapping[str, Example] = {}
    try:
        texts = texts_of(task, records[0], where)
    except GlueError as error:
        if wanted.text is not None or where is not None:
            raise
        notes.append(f"without texts: {error}")
    cases = []
    for first in judged[0]:
        example = first.prediction.example
        answers = (first, *(other[example.id] for other in others))
        cases.append(Case(texts.get(example.id, example), answers, kind_of(task, answers)))
    scores = tuple(corrected([*scores_of(task.name, experiments, store, registry, ())]))
    chosen = tuple(case for case in cases if is_wanted(task, case, wanted))
    return Errors(task, tuple(records), chosen, len(cases), wanted, scores, bool(texts), tuple(notes))


def kind_of(task: Task, answers: Sequence[Judged]) -> str:
    """Labels are right or wrong; of other answers the smaller loss is the better one."""
    rights = [answer.is_right for answer in answers]
    if len(answers) == 1:
        return RIGHT if rights[0] else WRONG
    first, second = rights if task.labels else (-answer.loss for answer in answers)
    if first != second:
        return FIXED if second > first else BROKE
    return RIGHT if all(rights) else BOTH


def texts_of(task: Task, record: Record, where: str | None) -> dict[str, Example]:
    """The examples with their texts, by id: of the very rows that were scored, or an error. Nothing is downloaded."""
    plan, facts = plan_of(record), record.data.get(task.name, {}).get("validation", {})
    source = where or plan.data
    split = data.split_of(task, "validation")
    is_gone = not where and source != "hub" and not data.is_demo(source) and not Path(source).is_dir()
    if is_gone or not data.is_here(task, split, source):
        raise DataError(f"the rows are not here ({source!r}): say where they are with --data")
    rows = data.load(task, "validation", source, revision=None if where else said(plan, "revision"))
    if rows.fingerprint != facts.get("fingerprint"):
        raise DataError(f"the rows of {rows.origin} are not those that were scored: say where these are with --data")
    return {example.id: example for example in examples_of(task, rows)}


def is_wanted(task: Task, case: Case, wanted: Wanted) -> bool:
    if wanted.label is not None and case.example.label != number_of(task, wanted.label):
        return False
    predictions = [answer.prediction for answer in case.answers]
    if wanted.answer is not None and number_of(task, wanted.answer) not in [p.label for p in predictions]:
        return False
    if wanted.invalid and all(p.label is not None for p in predictions):
        return False
    return wanted.text is None or any(wanted.text.casefold() in text.casefold() for text in shown_fields(task, case))


def number_of(task: Task, name: str) -> int:
    """The label that a user names."""
    if not task.labels:
        raise UsageError(f"{task.name} has no labels to choose by: leave out --label and --answer")
    if (label := label_of(task, name)) is None:
        raise unknown("label", name, task.labels)
    return label


def fields_of(task: Task, example: Example) -> dict[str, Any]:
    """What the question is made of."""
    return {name: example.fields[name] for name in fields(task) if name in example.fields}


def shown_fields(task: Task, case: Case) -> Iterator[str]:
    return (str(value) for value in fields_of(task, case.example).values())


def word(task: Task, label: Any) -> str:
    """A right answer as a person reads it: a label's word, all texts that are accepted, or a number."""
    if task.labels and type(label) is int and label in range(len(task.labels)):
        return task.labels[label]
    return " | ".join(map(str, label)) if isinstance(label, tuple | list) else str(label)


def answered(task: Task, answer: Judged) -> str:
    """An answer in a cell of a confusion matrix."""
    return INVALID if answer.prediction.label is None else word(task, answer.prediction.label)


def facts_of(errors: Errors, case: Case) -> dict[str, Any]:
    """A case as JSON has it."""

    def of_run(record: Record, answer: Judged) -> dict[str, Any]:
        prediction: Prediction = answer.prediction
        return {
            "run": record.id,
            "answer": prediction.text,
            "valid": prediction.label is not None,
            "right": answer.is_right,
            "loss": answer.loss,
            "shares": dict(prediction.scores),
        }

    return {
        "task": errors.task.name,
        "id": case.example.id,
        "kind": case.kind,
        "fields": fields_of(errors.task, case.example) if errors.has_texts else None,
        "gold": word(errors.task, case.example.label),
        "target": case.example.target,
        "answers": [of_run(record, answer) for record, answer in zip(errors.records, case.answers, strict=True)],
    }


def count_of(errors: Errors) -> dict[str, Any]:
    """How many of each kind, as JSON has it."""
    kinds, runs = Counter(case.kind for case in errors.cases), range(len(errors.records))
    return {
        "task": errors.task.name,
        "runs": [record.id for record in errors.records],
        "examples": errors.total,
        "chosen": len(errors.cases),
        "kinds": {kind: kinds[kind] for kind in ((WRONG, RIGHT) if len(runs) == 1 else (FIXED, BROKE, BOTH, RIGHT))},
        "confusion": [
            [{"gold": gold, "answer": said, "count": n} for (gold, said), n in sorted(errors.confusion(k).items())]
            for k in runs
        ],
        "invalid": [dict(errors.invalid(k).most_common()) for k in runs],
        "scores": [
            {"name": s.name, "values": [stat and stat.mean for stat in s.stats], "difference": s.differences[-1]}
            for s in errors.scores
        ],
        "notes": errors.notes,
    }
