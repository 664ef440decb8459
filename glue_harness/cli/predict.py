"""`glue predict`: a user's own input, answered by a run's model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.errors import RowError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glue_harness.core.record import Record
    from glue_harness.core.task import Example, Prediction, Task
    from glue_harness.suite.registry import Registry

SHOWN = 3  # choices of each of several rows


class Asking(click.Command):
    """A command with an option for every field of the task that its own options name."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        task = named_task([p for p in self.params if p.name in ("task_name", "task_folders")], arguments)
        if task:
            context.obj = field_options(task, {option for p in self.params for option in p.opts})
        elif not set(arguments) & set(context.help_option_names):
            raise UsageError("name a task with --task: its fields become options (glue predict RUN --task NAME --help)")
        return super().parse_args(context, arguments)

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        return [*super().get_params(context), *(context.obj or [])]


def named_task(parameters: Sequence[click.Parameter], arguments: Sequence[str]) -> Task | None:
    """The task of a command line whose other options are not known yet."""
    from glue_harness.suite.registry import load_tasks

    lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
    glance = click.Command("glance", params=list(parameters), context_settings=lenient, add_help_option=False)
    given = glance.make_context("glance", list(arguments), resilient_parsing=True).params
    return load_tasks(given["task_folders"] or ()).task(given["task_name"]) if given["task_name"] else None


def field_options(task: Task, taken: set[str]) -> list[click.Parameter]:
    """A field whose name is taken by an option, or cannot be one, can be given with --rows only."""
    from glue_harness.data.own import fields

    names = (name for name in fields(task) if f"--{name}" not in taken and name.isidentifier())
    return [click.Option([f"--{name}", f"field_{name}"], help=f"A field of {task.name}.") for name in names]


@click.command(cls=Asking)
@click.argument("run", metavar="RUN")
@click.option("-t", "--task", "task_name", required=True, metavar="NAME", help="Its fields become options.")
@click.option("--rows", "file", metavar="FILE", help="JSON lines or a table with a header instead; - is stdin.")
@results_option
@task_folders_option
@json_option
def command(
    run: str,
    task_name: str,
    file: str | None,
    results: Path,
    task_folders: tuple[str, ...],
    as_json: bool,
    **given: str | None,
) -> None:
    """Answer input of your own with a run's model, at the step that was best for the task.

    Beside the answer stands the share of probability of every choice. Rows need no label.

    \b
    glue predict latest --task mnli --premise "A dog sleeps." --hypothesis "It runs."
    glue predict latest --task mnli --rows rows.jsonl --json
    glue predict latest --task mnli --help                 the fields of the task
    """
    from glue_harness.runs.store import Store

    registry, store = open_registry(task_folders), Store(results)
    task, record = registry.task(task_name), store.find(run)
    step = best_step(registry, record, task)
    texts = {name.removeprefix("field_"): text for name, text in given.items() if text is not None}
    examples = read_questions(task, file, texts)
    from glue_harness.lab.predict import load  # brings torch with it: names and rows were checked before

    trained = load(record, store.run_folder(record.id), step)
    answers, shares = trained.answers(task, examples), trained.shares(examples)
    if as_json:
        print_json(task, answers, shares)
    elif len(answers) == 1:
        show_answer(task, answers[0], shares[0])
    else:
        show_answers(task, answers, shares)


def best_step(registry: Registry, record: Record, task: Task) -> int:
    from glue_harness.metrics.selection import answering_step

    step = answering_step(registry, record.scores, task)
    if step is None:
        learned = [name for name, other in registry.tasks.items() if answering_step(registry, record.scores, other)]
        if not learned:
            raise UsageError(f"run {record.id} has no scores, so that no step is the best: it is {record.status}")
        raise UsageError(f"run {record.id} did not learn {task.name}: it answers {', '.join(learned)}")
    return step


def read_questions(task: Task, file: str | None, texts: dict[str, str]) -> list[Example]:
    """The rows of a file, or the one row that the options make."""
    from glue_harness.data.own import fields, question, questions, typed

    if file is None:
        if missing := [f"--{name}" for name in fields(task) if name not in texts]:
            raise UsageError(f"{task.name} needs {', '.join(missing)}, or rows with --rows")
        try:
            return [question(task, typed(task, texts))]
        except RowError as error:
            raise UsageError(str(error)) from None
    if texts:
        raise UsageError(f"--rows brings its own fields: leave out {', '.join(f'--{name}' for name in texts)}")
    if file == "-":
        return questions(task, sys.stdin.buffer, "stdin")
    try:
        with open(file, "rb") as lines:
            return questions(task, lines, file)
    except OSError as error:
        raise UsageError(f"cannot read {file!r}: {error.strerror}") from None


def meaning(task: Task, answer: Prediction) -> str:
    """What an answer stands for, where its text does not say it."""
    if answer.label is None:
        return "not a valid answer"
    return task.labels[answer.label] if task.labels and answer.text not in task.labels else ""


def print_json(task: Task, answers: Sequence[Prediction], shares: Sequence[dict[str, float]]) -> None:
    """One line a row."""
    from glue_harness.core.writing import json_text

    for answer, share in zip(answers, shares, strict=True):
        facts: dict[str, Any] = {"answer": answer.text, "label": answer.label, "valid": answer.label is not None}
        click.echo(json_text({**facts, "shares": share, "most_probable": most_probable(share)}))


def show_answer(task: Task, answer: Prediction, shares: dict[str, float]) -> None:
    from glue_harness.report.console import say, show, table

    remark = meaning(task, answer)
    say((answer.text or "(no text)") + (f" ({remark})" if remark else ""), "bold")
    if shares:
        show(table(("choice", "share"), ranked(shares), right=("share",)))
    remark_on_doubt([answer], [shares])


def show_answers(task: Task, answers: Sequence[Prediction], shares: Sequence[dict[str, float]]) -> None:
    from glue_harness.report.console import show, table

    rows = [
        (number, answer.text, meaning(task, answer), ", ".join(" ".join(pair) for pair in ranked(share)[:SHOWN]))
        for number, (answer, share) in enumerate(zip(answers, shares, strict=True), 1)
    ]
    show(table(("row", "answer", "meaning", "shares"), rows, right=("row",)))
    remark_on_doubt(answers, shares)


def remark_on_doubt(answers: Sequence[Prediction], shares: Sequence[dict[str, float]]) -> None:
    """T5 decodes token by token, so its answer need not be the most probable choice as a whole."""
    from glue_harness.report.console import note

    differ = sum(bool(share) and most_probable(share) != a.text for a, share in zip(answers, shares, strict=True))
    if differ:
        note(
            f"{differ} of {len(answers)}: the answer, decided token by token, is not the choice with the largest share"
        )


def most_probable(shares: dict[str, float]) -> str | None:
    return max(shares, key=shares.__getitem__) if shares else None


def ranked(shares: dict[str, float]) -> list[tuple[str, str]]:
    """Choices and their shares in words, the most probable first."""
    return [(choice, f"{share:.1%}") for choice, share in sorted(shares.items(), key=lambda pair: -pair[1])]
