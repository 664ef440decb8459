"""`glue score`: answers of any system to T5's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, split_names, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit, read_file
from glue_harness.core.errors import UsageError
from glue_harness.core.task import Prediction, Task
from glue_harness.report.console import UNDEFINED, note, or_dash, or_undefined, table

if TYPE_CHECKING:
    from glue_harness.core.record import Score
    from glue_harness.runs.scored import Answered

MOST_COMMON = 5  # invalid answers shown
LONGEST = 60  # characters of each
VALIDATION = "validation"
ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".txt")  # of the files in a folder of answers


@click.command()
@click.argument("first", metavar="[TASK]", required=False)
@click.argument("second", metavar="FILE", required=False)
@click.option("-t", "--task", "names", multiple=True, metavar="NAME", help="Instead of TASK: a,b or a suite too.")
@click.option("--data", "where", metavar="WHERE", help="Where the right answers are: hub, demo, demo:ROWS or a folder.")
@click.option("--split", "role", metavar="ROLE", help="Its split: validation, train or test.  [default: validation]")
@click.option(
    "--format", "kind", metavar="NAME", help="text, csv, tsv, jsonl, lm-eval.  [default: what FILE looks like]"
)
@click.option("--invalid", "allow_invalid", is_flag=True, help="Count what is no answer to the task as wrong.")
@click.option("--as", "system", metavar="NAME", help="Keep the answers as a run of the system NAME.")
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the system, if it has several.  [default: 0]")
@results_option
@task_folders_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    first: str | None,
    second: str | None,
    names: Names,
    where: str | None,
    role: str | None,
    kind: str | None,
    allow_invalid: bool,
    system: str | None,
    seed: int | None,
    results: Path,
    task_folders: Names,
    as_json: bool,
) -> None:
    """Score the answers of any system to a task; - reads stdin.

    With --data the right answers come from there. FILE has an answer a line, as text, or is CSV, TSV or JSON lines
    with a column prediction, answer or label. Answers are in the order of the rows, or name them in a column id, idx
    or index. Labels are words or their numbers. Of several tasks FILE is a folder, with rte.csv or the like in it.
    With --as the answers become a run that board, compare and errors take.

    \b
    glue score --task rte --data DIR answers.txt
    glue score --task rte --data DIR answers.csv --as gpt   to compare and rank
    glue score --task glue --data DIR FOLDER --as gpt       cola.txt, rte.csv, ...
    glue score --task rte --data DIR --format lm-eval samples_rte_2026.jsonl
    glue predict RUN -t rte --rows dev.tsv --json | glue score -t rte --data DIR -

    Without --data FILE has a line {"target": ..., "prediction": ...} for each answer.

    \b
    Some tasks need "example" beside them, an object with
      idx      MultiRC, ReCoRD
      answers  ReCoRD, SQuAD
      label    WSC, WNLI as referent

    \b
    glue score mrpc answers.jsonl
    glue score multirc - --json < answers.jsonl
    """
    if names and second is not None:
        raise UsageError(f"tasks are named by --task or before FILE, not both: leave out {first!r}")
    asked, file = (split_names(names), first) if names else ([first or ""], second)
    if file is None:
        missing = next(p for p in context.command.params if p.name == "second")
        raise click.MissingParameter(ctx=context, param_hint="'FILE'", param=missing)
    registry = open_registry(task_folders)
    if where is None:
        given = {"--split": role, "--format": kind, "--invalid": allow_invalid, "--as": system, "--seed": seed}
        if wrong := [option for option, value in given.items() if value not in (None, False)]:
            raise UsageError(f"{wrong[0]} goes with --data WHERE, where the right answers are")
        score_lines(registry.task(single(asked)), file, as_json)
        return
    if seed is not None and system is None:
        raise UsageError("--seed goes with --as NAME: it tells apart the runs of a system")
    if system is not None and role not in (None, VALIDATION):
        raise UsageError(f"--as keeps a run, which is scored on validation: leave out --split {role}")
    from glue_harness.runs.scored import keep, plan_of_system, tasks_to_score
    from glue_harness.runs.store import Store

    tasks = tasks_to_score(asked, role or VALIDATION, registry)
    plan = system and plan_of_system(system, [registry.aliases.get(name, name) for name in asked], where, seed or 0)
    answered = [match(task, file, len(tasks) > 1, where, role or VALIDATION, kind, allow_invalid) for task in tasks]
    scores = {one.task.name: one.score() for one in answered}
    record, is_new = keep(Store(results), plan, answered, scores, {"file": Path(file).name}) if plan else (None, False)
    facts = {name: {"metrics": s.metrics, "n": s.n, "invalid": s.invalid} for name, s in scores.items()}
    shown: dict[str, Any] = {"tasks": facts} if len(tasks) > 1 else facts[tasks[0].name]
    emit(as_json, shown | ({"run": record.id, "new": is_new} if record else {}), drawn_scores(scores, answered))
    if record:
        place = f"{results / record.id}"
        note(f"recorded in {place}" if is_new else f"{place} has these very answers already: nothing was written")


def single(names: Sequence[str]) -> str:
    if len(names) != 1:
        raise UsageError("several tasks go with --data WHERE, where the right answers are")
    return names[0]


def match(
    task: Task, file: str, is_folder: bool, where: str, role: str, kind: str | None, allow_invalid: bool
) -> Answered:
    """The answers to one task, each beside its row."""
    from glue_harness.data import load
    from glue_harness.data.answer_files import read_answer_file
    from glue_harness.metrics.answers import matched
    from glue_harness.runs.scored import Answered

    path = file_in(Path(file), task.name) if Path(file).is_dir() else file
    if is_folder and path == file:
        raise UsageError(f"{file!r} is one file: give a folder with {task.name}.txt, .csv, .tsv or .jsonl, and so on")
    rows = load(task, role, where)
    answers = read_file(path, partial(read_answer_file, kind=kind))
    return Answered(task, rows, matched(task, rows, answers, allow_invalid))


def file_in(folder: Path, name: str) -> str:
    """The one file that has a task's answers."""
    found = [path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()]
    if len(found) != 1:
        what = "several files" if found else "no file"
        looked = ", ".join(path.name for path in found) or ", ".join(f"{name}{ending}" for ending in ENDINGS)
        raise UsageError(f"{str(folder)!r} has {what} of answers to {name}: {looked}")
    return str(found[0])


def score_lines(task: Task, file: str, as_json: bool) -> None:
    """Answers with their targets beside them."""
    from glue_harness.metrics import measure
    from glue_harness.metrics.answers import invalid_answers, read_answers

    predictions = read_file(file, partial(read_answers, task))
    values, invalid = measure(task.metrics, predictions), invalid_answers(predictions)
    facts = {"metrics": values, "n": len(predictions), "invalid": invalid.total()}
    emit(as_json, facts, drawn(task, values, predictions, invalid))


def drawn(task: Task, values: Mapping[str, float], predictions: Sequence[Prediction], invalid: Counter[str]) -> Shown:
    from glue_harness.metrics.intervals import interval
    from glue_harness.report.formats import SIGNS

    ranges = {key: pair for metric in task.metrics for key, pair in interval(metric.tally(predictions)).items()}
    rows = [
        (key, or_undefined(value), "-" if value != value else "{:.2f} to {:.2f}".format(*ranges[key]))
        for key, value in values.items()
    ]
    if rows:
        yield table(("metric", "x100", "95 % interval"), rows, title=task.title or task.name, right=("x100",))
    else:
        yield f"{task.name} has no metric: its labels are not public"
    if any(value != value for value in values.values()):
        yield SIGNS[UNDEFINED], "dim"
    share = 100 * invalid.total() / len(predictions)
    yield f"{len(predictions):,} answers, {invalid.total():,} invalid ({share:.1f} %)"
    for text, count in invalid.most_common(MOST_COMMON):
        yield f"  {count:,} x {shortened(text)}"


def drawn_scores(scores: Mapping[str, Score], answered: Sequence[Answered]) -> Shown:
    """The values of every task, what they rest on, and what is no answer."""
    from glue_harness.cli.progress import empty_answers

    has_ceiling = any(score.ceiling for score in scores.values())
    rows = []
    for one in answered:
        score = scores[one.task.name]
        for key, value in score.metrics.items():
            low, high = score.intervals.get(key) or (None, None)
            between = "-" if low is None else f"{low:.2f} to {high:.2f}"
            beside = [or_dash(score.baseline.get(key), ".2f")]
            if has_ceiling:
                beside.append(or_dash(score.ceiling.get(key), ".2f"))
            facts = (or_undefined(value), between, *beside, f"{score.n:,}", f"{score.invalid:,}")
            rows.append((one.task.title or one.task.name, key, *facts))
    ceiling = ("ceiling",) if has_ceiling else ()
    headings = ("task", "metric", "score", "95 % interval", "baseline", *ceiling, "examples", "invalid")
    yield table(headings, rows, right=headings[2:], whole=headings[1:])
    for one in answered:
        told = (f"{len(one.rows):,} {one.rows.split} rows of {one.rows.origin}", *one.rows.notes)
        yield f"{one.task.name}: {'; '.join(told)}", "dim"
        for text, count in scores[one.task.name].common_invalid:
            yield f"  {count:,} x {shortened(text)} is no answer"
    for remark in empty_answers(scores):
        yield f"Note: {remark}", "yellow"


def shortened(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")
