"""`glue predict`: a user's own input, answered by a run's model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit, read_file
from glue_harness.core.errors import RowError, UsageError
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.report.console import note, table

SHOWN = 3  # choices of each of several rows


class Asking(click.Command):
    """A command with an option for every field of the task that its own options name.

    A field whose name is taken by an option, or cannot be one, can be given with --rows only.
    """

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        from glue_harness.data.tables import fields
        from glue_harness.suite.registry import load_tasks

        # the task of a command line whose other options are not known yet
        known = [parameter for parameter in self.params if parameter.name in ("task_name", "task_folders")]
        lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
        glance = click.Command("glance", params=known, context_settings=lenient, add_help_option=False)
        given = glance.make_context("glance", list(arguments), resilient_parsing=True).params
        if given["task_name"]:
            task = load_tasks(given["task_folders"] or ()).task(given["task_name"])
            taken = {option for parameter in self.params for option in parameter.opts}
            names = [name for name in fields(task) if f"--{name}" not in taken and name.isidentifier()]
            context.obj = [click.Option([f"--{n}", f"field_{n}"], help=f"A field of {task.name}.") for n in names]
        elif not (context.resilient_parsing or set(arguments) & set(context.help_option_names)):
            raise UsageError("name a task with --task: its fields become options (glue predict RUN --task NAME --help)")
        return super().parse_args(context, arguments)

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        return [*super().get_params(context), *(context.obj or [])]


@click.command(cls=Asking)
@click.argument("run", metavar="RUN")
@click.option("-t", "--task", "task_name", required=True, metavar="NAME", help="Its fields become options.")
@click.option("--rows", "file", metavar="FILE", help="JSON lines or a table with a header instead; - is stdin.")
@results_option
@task_folders_option
@json_option
def command(
    run: str, task_name: str, file: str | None, results: Path, task_folders: Names, as_json: bool, **given: str | None
) -> None:
    """Answer input of your own with a run's model, at the step that was best for the task.

    Beside the answer stands the share of probability of every choice. Rows need no label.

    \b
    glue predict latest --task mnli --premise "It sleeps." --hypothesis "It runs."
    glue predict latest --task mnli --rows rows.jsonl --json
    glue predict latest --task mnli --help                 the fields of the task
    """
    from glue_harness.metrics.selection import answering_step
    from glue_harness.runs.store import Store, refuse_scored

    registry, store = open_registry(task_folders, [task_name]), Store(results)
    task, record = registry.task(task_name), store.find(run)
    refuse_scored(record, "nothing can answer further rows")
    step = answering_step(registry, record.scores, task)
    if step is None:
        learned = [name for name, other in registry.tasks.items() if answering_step(registry, record.scores, other)]
        if not learned:
            raise UsageError(f"run {record.id} has no scores, so that no step is the best: it is {record.status}")
        raise UsageError(f"run {record.id} did not learn {task.name}: it answers {', '.join(learned)}")
    texts = {name.removeprefix("field_"): text for name, text in given.items() if text is not None}
    examples = read_questions(task, file, texts)
    from glue_harness.lab.predict import load  # brings torch with it: names and rows were checked before

    trained = load(record, store.run_folder(record.id), step, registry)
    lost = trained.cut(task, examples)
    facts = facts_of(trained.answers(task, examples), trained.shares(task, examples), lost)
    if shortened := [count for count in lost if count]:
        what = f"{len(shortened):,} of {len(lost):,} rows are longer than max_input {trained.plan.max_input:,}"
        note(f"{what}: the model did not see their last {sum(shortened):,} tokens", style="yellow")
    emit(as_json, facts, drawn(task, facts), by_line=True)


def read_questions(task: Task, file: str | None, texts: dict[str, str]) -> list[Example]:
    """The rows of a file, or the one row that the options make."""
    from glue_harness.data.own import question, questions
    from glue_harness.data.tables import fields, json_columns, typed

    if file is not None:
        if texts:
            raise UsageError(f"--rows brings its own fields: leave out {', '.join(f'--{name}' for name in texts)}")
        return read_file(file, partial(questions, task))
    if missing := [f"--{name}" for name in fields(task) if name not in texts]:
        raise UsageError(f"{task.name} needs {', '.join(missing)}, or rows with --rows")
    try:
        return [question(task, typed(texts, json_columns(task)))]
    except RowError as error:
        raise UsageError(str(error)) from None


def facts_of(
    answers: Sequence[Prediction], shares: Sequence[dict[str, float]], lost: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {
            "answer": answer.text,
            "label": answer.label,
            "valid": answer.label is not None,
            "shares": share,
            "most_probable": max(share, key=share.__getitem__) if share else None,
            "lost_tokens": count,
        }
        for answer, share, count in zip(answers, shares, lost, strict=True)
    ]


def drawn(task: Task, facts: Sequence[dict[str, Any]]) -> Shown:
    rows = []
    for number, fact in enumerate(facts, 1):
        answer, label = fact["answer"], fact["label"]
        meaning = "not a valid answer"
        if label is not None:  # what the text does not say
            meaning = task.labels[label] if task.labels and answer not in task.labels else ""
        shares = sorted(fact["shares"].items(), key=lambda pair: -pair[1])
        rows.append((number, answer, meaning, [(choice, f"{share:.1%}") for choice, share in shares]))
    if len(rows) == 1:
        ((_, answer, meaning, shares),) = rows
        yield (answer or "(no text)") + (f" ({meaning})" if meaning else ""), "bold"
        if shares:
            yield table(("choice", "share"), shares, right=("share",))
    else:
        cells = [(*row, ", ".join(" ".join(pair) for pair in shares[:SHOWN])) for *row, shares in rows]
        yield table(("row", "answer", "meaning", "shares"), cells, right=("row",))
    # T5 decodes token by token, so its answer need not be the most probable choice as a whole
    differ = sum(bool(fact["shares"]) and fact["most_probable"] != fact["answer"] for fact in facts)
    if differ:
        note(f"{differ} of {len(facts)}: the answer, decided token by token, is not the choice with the largest share")
