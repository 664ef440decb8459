"""A run's model for use without us: which task of which step it is for, and whether its folder may be written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from glue_harness.core.errors import UsageError
from glue_harness.core.record import Record, Score
from glue_harness.core.task import Task
from glue_harness.core.writing import why
from glue_harness.metrics.selection import answering_step
from glue_harness.suite.registry import Registry

FACTS = "glue_export.json"  # in every export: what it is, for programs, and which files are its own


class Chosen(NamedTuple):
    """What is exported: the model of a run as it was at a task's best step."""

    record: Record
    task: Task  # the one that was trained, where others are answered by its model
    step: int
    scores: dict[str, Score]  # of the tasks that score it


def choose(registry: Registry, record: Record, name: str | None) -> Chosen:
    """The task that was named, or the only one there is, at the step that answers it best."""
    learned: dict[str, int] = {}  # in the order of the record, each task by the one that trains it
    for scored in filter(registry.tasks.__contains__, record.scores):
        task = registry.trainer(registry.tasks[scored])
        learned.setdefault(task.name, record.scores[scored].step)
    if not learned:
        for unknown in record.scores:
            registry.task(unknown)
        raise UsageError(f"run {record.id} has no scores, so that no step is the best: it is {record.status}")
    if name is None and len(learned) > 1:
        raise UsageError(f"run {record.id} learned {', '.join(learned)}: name one with --task")
    task = registry.trainer(registry.task(name or next(iter(learned))))
    step = answering_step(registry, record.scores, task)
    if step is None:
        raise UsageError(f"run {record.id} did not learn {task.name}: it learned {', '.join(learned)}")
    scorers = {scorer.name for scorer in registry.scorers(task)} | {task.name}
    return Chosen(record, task, step, {name: score for name, score in record.scores.items() if name in scorers})


def check_out(folder: Path, force: bool) -> None:
    """Refuses a folder with anything in it that no export put there, and an earlier export without `force`."""
    if folder.resolve() == Path.cwd():
        raise UsageError(f"--out {str(folder)!r} is where you are, which would be replaced: name a folder in it")
    try:
        there = sorted(os.listdir(folder)) if folder.exists() else []
    except OSError as error:
        raise UsageError(f"--out {str(folder)!r} cannot be used: {why(error)}") from None
    own = files_of(folder)
    if foreign := [name for name in there if name not in own]:
        raise UsageError(f"--out {str(folder)!r} holds {foreign[0]!r}, which no export wrote: name another folder")
    if there and not force:
        raise UsageError(f"--out {str(folder)!r} holds an earlier export: --force replaces it")


def files_of(folder: Path) -> set[str]:
    """The files of an earlier export; none where there is no such."""
    try:
        return {FACTS, *json.loads((folder / FACTS).read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
