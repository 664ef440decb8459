"""`glue errors`: which examples a run got wrong, or one of two runs got right and the other wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from string import ascii_uppercase
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, results_option, split_names, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError
from glue_harness.core.task import Task
from glue_harness.report.console import note, or_dash, screen_width, table

if TYPE_CHECKING:
    from glue_harness.core.record import Record
    from glue_harness.metrics.losses import Judged
    from glue_harness.report.errors import Case, Errors
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

KINDS = ("wrong", "fixed", "broke", "both", "right")
SHOWN = 3  # of each kind
LONGEST = 300  # characters of a text on the terminal
MOST_COMMON = 5  # invalid answers, and cells of a matrix that is too wide
SAID = {"fixed": "A wrong, B right", "broke": "A right, B wrong", "both": "both wrong", "right": "both right"}
SAID_OF_LOSSES = {**SAID, "fixed": "B better", "broke": "B worse", "both": "equally wrong"}


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN [RUN]")
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Of a run of several tasks, this one.")
@click.option("--only", type=click.Choice(KINDS), help="Of two runs: fixed is A wrong, B right; broke the reverse.")
@click.option("--label", metavar="LABEL", help="Only examples whose right answer it is.")
@click.option("--answer", metavar="LABEL", help="Only examples to which a run answered it.")
@click.option("--text", metavar="TEXT", help="Only examples that have it in one of their fields.")
@click.option("--invalid", is_flag=True, help="Only examples whose answer was none of the task's.")
@click.option("--count", is_flag=True, help="Counts, without the examples.")
@click.option("--limit", type=click.IntRange(min=0), help=f"Shown of each kind.  [default: {SHOWN}, with --json all]")
@click.option("--data", "where", metavar="WHERE", help="Where the rows are now.  [default: where the run had them]")
@results_option
@task_folders_option
@json_option
def command(
    runs: Names,
    names: Names,
    only: str | None,
    label: str | None,
    answer: str | None,
    text: str | None,
    invalid: bool,
    count: bool,
    limit: int | None,
    where: str | None,
    results: Path,
    task_folders: Names,
    as_json: bool,
) -> None:
    """Show the examples that a run got wrong, the worst first. Of two runs, those on which they differ.

    Beside the texts stand the right answer, what was answered, and the shares of probability that were kept. Answers
    that are neither right nor wrong, as of STS-B, SQuAD or summaries, go by how far they are off.

    \b
    RUN is an id or a part of it, its folder, the digest of a plan, or: latest

    \b
    glue errors latest --task rte
    glue errors RUN RUN --task mnli_matched --only fixed
    glue errors RUN --task rte --label entailment --text not --count
    glue errors RUN RUN --task rte --json > cases.jsonl    a line for each example
    """
    from glue_harness.report.errors import Wanted, count_of, facts_of, find_errors
    from glue_harness.runs.store import Store

    if not 1 <= len(runs) <= 2:
        raise UsageError(f"errors takes one run or two, not {len(runs)}: glue errors RUN, or glue errors RUN RUN")
    if len(runs) == 1 and only in ("fixed", "broke", "both"):
        raise UsageError(f"--only {only} is about two runs: glue errors RUN RUN --only {only}")
    registry, store = open_registry(task_folders), Store(results)
    records = [one_seed(store, run) for run in runs]
    if len({record.id for record in records}) < len(records):
        raise UsageError(f"run {records[0].id!r} is named twice: name each run once")
    tasks = tasks_of(records, split_names(names), registry)
    wanted = Wanted(only, label, answer, text, invalid)
    if where is not None and len(tasks) > 1:
        raise UsageError("--data goes with one --task")
    found = [find_errors(task, records, store, registry, wanted, where) for task in tasks]
    if as_json and count:
        emit(True, [count_of(errors) for errors in found], drawn_tasks(found), by_line=True)
    elif as_json:
        kinds = [(errors, cases[:limit]) for errors in found for cases in errors.by_kind().values()]
        facts = [facts_of(errors, case) for errors, cases in kinds for case in cases]
        emit(True, facts, drawn_tasks(found), by_line=True)
    elif len(found) == 1:
        emit(False, None, drawn(found[0], 0 if count else SHOWN if limit is None else limit))
    else:
        emit(False, None, drawn_tasks(found))


def one_seed(store: Store, name: str) -> Record:
    """The run that is meant; of a plan's several seeds the first, which is said."""
    from glue_harness.report.experiments import pick

    experiment = pick(store, name, store.by_age())
    first = experiment.records[0]
    if len(experiment.records) > 1:
        others = ", ".join(record.id for record in experiment.records[1:])
        seeds = f"{len(experiment.records)} seeds: shown is seed {experiment.seeds[0]}"
        note(f"{name} has {seeds}, {first.id}; also {others}")
    return first


def tasks_of(records: Sequence[Record], names: Sequence[str], registry: Registry) -> list[Task]:
    """The tasks that are asked for, or all that every run has answers to."""
    scored = [name for name in records[0].scores if all(name in record.scores for record in records)]
    has = f"{' and '.join(record.id for record in records)} have" if len(records) > 1 else f"run {records[0].id} has"
    if not scored:
        raise UsageError(f"{has} no {'task in common' if len(records) > 1 else 'scores'}")
    if not names:
        if not (known := [registry.tasks[name] for name in scored if name in registry.tasks]):
            raise UsageError(f"{has} answers to {', '.join(scored)} only: name the folder of its task with --tasks")
        return known
    asked = [scorer for task in registry.select(names) for scorer in registry.scorers(task)]
    if lacking := [task.name for task in asked if task.name not in scored]:
        raise UsageError(f"{has} no answers to {', '.join(lacking)}: there are {', '.join(scored)}")
    return asked


def drawn(errors: Errors, limit: int) -> Shown:
    """One task: how many of what, then examples."""
    yield from drawn_counts(errors)
    kinds = errors.by_kind() if limit else {}
    for kind, cases in kinds.items():
        yield ""
        yield f"{said(errors, kind)}: {len(cases):,}", "bold"
        for case in cases[:limit]:
            yield from drawn_case(errors, case)
    if left := sum(len(cases[limit:]) for cases in kinds.values()):
        yield ""
        yield f"{left:,} more: --limit N shows more of each kind, --json all of them", "dim"
    yield from ((f"Note: {remark}", "yellow") for remark in errors.notes)


def drawn_counts(errors: Errors) -> Shown:
    """How many are right; which labels are taken for which; what was no answer."""
    from glue_harness.cli.compare import between, probability
    from glue_harness.cli.compare import said as judged
    from glue_harness.report.experiments import SHORT

    task, pair, is_all = errors.task, len(errors.records) == 2, errors.wanted.is_all
    some = "" if is_all else f"{len(errors.cases):,} of "
    yield f"{task.title or task.name}: {some}{errors.total:,} examples", "bold"
    for k, record in enumerate(errors.records):
        answers = [case.answers[k] for case in errors.cases]
        told = [f"{sum(not answer.is_right for answer in answers):,} wrong"]
        if answers and not task.labels:
            told = [f"off by {fmean(answer.loss for answer in answers):.2f} on average"]
        if is_all:
            values = {score.name.partition(".")[2]: score.stats[k] for score in errors.scores}
            told += [f"{SHORT.get(key, key)} {or_dash(stat and stat.mean, '.2f')}" for key, stat in values.items()]
        yield f"{ascii_uppercase[k] + '  ' if pair else ''}{record.id}: {', '.join(told)}"
    if pair:
        kinds = [case.kind for case in errors.cases]
        right, broke, fixed, both = (f"{kinds.count(kind):,}" for kind in ("right", "broke", "fixed", "both"))
        if task.labels:
            rows = (("A right", right, broke), ("A wrong", fixed, both))
            yield table(("", "B right", "B wrong"), rows, right=("B right", "B wrong"))
        else:
            yield f"B better {fixed}, B worse {broke}, both right {right}, equally wrong {both}"
        tested = [(score.label, found) for score in errors.scores if is_all and (found := score.differences[1])]
        for label, found in tested:
            p = "" if found.p_holm is None else f" ({between(found)}) {probability(found.p_holm)}"
            yield f"{label}, B less A: {found.value:+.2f}{p}"
        yield from judged((f"{label} (B)", found) for label, found in tested)
    if task.kind == "generate" and not task.labels:
        keys = ", ".join(SHORT.get(key, key) for key in task.keys)
        yield f"off by: 100 less {f'the mean of {keys}' if len(task.keys) > 1 else keys} of one answer alone", "dim"
    for k in range(len(errors.records)):
        yield from drawn_confusion(errors, k, ascii_uppercase[k] if pair else "")
        for text, times in errors.invalid(k).most_common(MOST_COMMON):
            yield f"  {times:,} x {shortened(text, 60)!r} is no answer"


def drawn_confusion(errors: Errors, run: int, letter: str) -> Shown:
    """A row a right answer; where labels are too many for the screen, the most frequent mistakes."""
    counts, labels = errors.confusion(run), errors.task.labels
    if not counts:
        return
    corner, columns = f"{letter} right, answered:".strip(), [*labels]
    columns += [answer for answer in dict.fromkeys(answer for _, answer in counts) if answer not in labels]  # invalid
    if sum(len(name) + 3 for name in (*columns, max(corner, *labels, key=len))) < screen_width():
        rights = {gold for gold, _ in counts}
        rows = [(gold, *(f"{counts[gold, answer]:,}" for answer in columns)) for gold in labels if gold in rights]
        yield table((corner, *columns), rows, right=columns)
        return
    wrong = [(gold, answer, f"{n:,}") for (gold, answer), n in counts.most_common() if gold != answer]
    yield table((f"{letter} right".strip(), "answered", "times"), wrong[:MOST_COMMON], right=("times",))


def said(errors: Errors, kind: str) -> str:
    if len(errors.records) == 1:
        return kind
    return (SAID if errors.task.labels else SAID_OF_LOSSES)[kind]


def drawn_case(errors: Errors, case: Case) -> Shown:
    """The texts, the right answer, and below it each run's."""
    from glue_harness.cli.show import grid
    from glue_harness.report.errors import fields_of, word

    task, example = errors.task, case.example
    texts = fields_of(task, example) if errors.has_texts else {}
    right = word(task, example.label)
    if task.labels and not task.choices:  # a referent: whether the model names this noun
        right = f"{right}: {example.target}"
    answers = [given(task, answer) for answer in case.answers]
    names = ascii_uppercase if len(answers) > 1 else ["answered"]
    yield ""
    yield f"example {example.id}"
    yield grid({name: shortened(plain_text(value)) for name, value in texts.items()})
    yield grid({"right": shortened(right), **dict(zip(names, answers, strict=False))}, "bold")


def given(task: Task, answer: Judged) -> str:
    """An answer, how probable it was among the choices, and how far it is off."""
    from glue_harness.report.errors import word

    prediction = answer.prediction
    told = shortened(prediction.text) or "(no text)"
    if prediction.label is None:
        return f"{told} (no valid answer)"
    if task.labels:
        meaning = word(task, prediction.label)
        share = prediction.scores.get(prediction.text)
        told += f" ({meaning})" if meaning != told else ""
        return told if share is None else f"{told} {share:.0%}"
    return told if answer.is_right else f"{told} (off by {answer.loss:.2f})"


def plain_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def shortened(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"


def drawn_tasks(found: Sequence[Errors]) -> Shown:
    """Several tasks: a line each."""
    pair = len(found[0].records) == 2
    kinds = ("broke", "fixed", "both", "right") if pair else ("wrong", "right")
    headings = ("task", "examples", *(SAID[kind] if pair else kind for kind in kinds), "invalid")
    rows = []
    for errors in found:
        kinds_of = [case.kind for case in errors.cases]
        invalid = " / ".join(f"{errors.invalid(k).total():,}" for k in range(len(errors.records)))
        counts = (f"{kinds_of.count(kind):,}" for kind in kinds)
        rows.append((errors.task.title or errors.task.name, f"{len(errors.cases):,}", *counts, invalid))
    for letter, record in zip(ascii_uppercase, found[0].records, strict=False):
        yield f"{letter}  {record.id}" if pair else record.id
    yield table(headings, rows, right=headings[1:])
    yield f"--task {found[0].task.name} shows the examples", "dim"
    yield from ((f"Note: {remark}", "yellow") for remark in dict.fromkeys(r for errors in found for r in errors.notes))
