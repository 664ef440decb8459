"""The rows of a data set, read once a split and shown to every check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glue_harness.core.errors import DataError, RowError
from glue_harness.core.task import HIDDEN, HIDDEN_LABEL, File, Task
from glue_harness.data import Rows, folder, is_demo, is_here, load
from glue_harness.data.rows import encode
from glue_harness.data.texts import found_among, overlap, row_texts
from glue_harness.doctor import FAIL, OK, WARN, Finding
from glue_harness.doctor.checks import CHECKS, ReadSplit, as_they_should_be
from glue_harness.suite.registry import Registry

SAMPLE = 5000  # rows that content is judged by
FIT = 2  # a header that fits more tasks tells nothing
DataSet = tuple[Task, ...]  # all tasks that read one source of rows: MNLI is three, and its files are read once


def choose(registry: Registry, names: Iterable[str], data: str) -> tuple[list[DataSet], list[DataSet]]:
    """The data sets to look at, and those left out for want of data: whatever is named is looked at."""
    by_source: dict[int, DataSet] = {}
    for task in registry.tasks.values():
        by_source[id(task.source)] = (*by_source.get(id(task.source), ()), task)
    every = sorted(by_source.values(), key=lambda tasks: (tasks[0].suite, tasks[0].place))
    if wanted := {task.name for task in registry.select(names)}:
        return [tasks for tasks in every if wanted & {task.name for task in tasks}], []
    here = [s for s in every if any(is_here(readers[0], split, data) for split, (_, readers) in splits(s).items())]
    return here, [tasks for tasks in every if tasks not in here]


def splits(tasks: DataSet) -> dict[str, tuple[str, list[Task]]]:
    """Hub split -> the role it plays, and the tasks that read it."""
    found: dict[str, tuple[str, list[Task]]] = {}
    for task in tasks:
        for role, split in task.splits.items():
            found.setdefault(split, (role, []))[1].append(task)
    return found


def examine(sets: Sequence[DataSet], data: str, tasks: Collection[Task]) -> Iterator[Finding]:
    """All findings about some data sets; `tasks` are all that a file may belong to."""
    if not sets:
        fix = "name a folder with --data, or let glue run download what it needs"
        yield Finding("data", "presence", WARN if data == "hub" else FAIL, f"no task has data in {data!r}", fix)
    train: dict[str, tuple[Task, Rows]] = {}  # task -> what it is trained on
    scored: dict[str, tuple[Task, Rows]] = {}  # where -> what is scored there
    for one in sets:
        seen: dict[str, set[int]] = {}  # inputs are compared with those of the splits before
        for split, (role, readers) in splits(one).items():
            task, where = readers[0], f"{one[0].name} {split}"
            shown = as_they_should_be(task)
            if not is_here(task, split, data):
                # The official download lacks DPR, a companion.
                state = WARN if data == "hub" or role == "test" or task.part == "companion" else FAIL
                text, fix = f"no rows in {data!r}", f"add the file: {shown}"
                if data == "hub" and task.source.hub:
                    text, fix = "not downloaded yet", "glue run downloads it"
                elif data == "hub":
                    text, fix = "it is not on the Hub", f"name the folder of your rows with --data: {shown}"
                yield Finding(where, "presence", state, text, fix)
                continue
            path, header = text_file(task, split, data)
            try:
                rows = load(with_test_labels(task, split, header), role, data)
            except DataError as error:
                fix = owner(task, role, set(header), tasks) or f"replace it: {shown}"
                yield Finding(where, "readable", FAIL, str(error), fix)
                continue
            read = read_split(split, role, readers, rows, path, seen)
            for check in CHECKS:
                yield from (Finding(where, check.__name__, *found) for found in check(read))
            seen[split] = {text for inputs in read.inputs for text in inputs}
            if role != "test":
                kept, name = (train, task.name) if role == "train" else (scored, where)
                kept[name] = task, rows
    yield from shared_texts(train, scored)


def shared_texts(train: Mapping[str, tuple[Task, Rows]], scored: Mapping[str, tuple[Task, Rows]]) -> Iterator[Finding]:
    """How many rows of each validation split have a text that stands in a train split, of whatever task.

    Official splits have such rows, so they are no fault; a run's record has its scores without them.
    """
    if not train:
        return
    texts = {where: [row_texts(task, row) for row in rows] for where, (task, rows) in scored.items()}
    wanted = {digest for of_split in texts.values() for row in of_split for digest in row.all}
    found = {where: found_among(wanted, task, rows) for where, (task, rows) in train.items()}
    for where, of_split in texts.items():
        told = []
        for other, digests in found.items():
            if (there := overlap(of_split, digests)).shared:
                whole = f" ({there.whole:,} whole)" if there.whole else ""
                told.append(f"{other} {len(there.shared):,}{whole}")
        yield Finding(
            where,
            "texts",
            OK,
            f"rows with a text in train of {', '.join(told)}" if told else "none has a text in train",
        )


def read_split(
    split: str, role: str, readers: Sequence[Task], rows: Rows, path: Path | None, seen: Mapping[str, set[int]]
) -> ReadSplit:
    inputs = []
    errors: dict[str, list[str]] = {task.name: [] for task in readers}
    answers: Counter = Counter()
    for task in readers:
        for number, row in enumerate(rows, 1):
            try:
                texts = encode(task, row)
            except RowError as error:
                errors[task.name].append(f"row {number}: {error}")
                continue
            if task is readers[0]:
                inputs.append(frozenset(hash(text.inputs) for text in texts))
                hidden = HIDDEN_LABEL if any(text.target == HIDDEN for text in texts) else None
                answers[row["label"] if "label" in task.needs else hidden] += 1
    sample, shown = rows[:: -(-len(rows) // SAMPLE)], len(inputs) - answers[HIDDEN_LABEL]
    return ReadSplit(split, role, readers[0], rows, sample, path, inputs, answers, shown, errors, seen)


def text_file(task: Task, split: str, data: str) -> tuple[Path | None, list[str]]:
    """The text file that holds a split in a folder, and the columns that its header names."""
    place = None if data == "hub" or is_demo(data) else folder.find(task, split, folder.data_folder(data))
    if place is None or (path := place.files[-1]).suffix not in (".tsv", ".jsonl"):
        return None, []
    if path.suffix != ".tsv":
        return path, []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return path, file.readline().rstrip("\r\n").split("\t")


def with_test_labels(task: Task, split: str, header: Sequence[str]) -> Task:
    """The task, reading labels also where its official file has none: then they are not the official ones."""
    file = task.source.files.get(split)
    if file is None or not file.columns or "label" in file.columns:
        return task
    usual = {other.columns.get("label") for other in task.source.files.values()} | {"label"}
    there = next((name for name in header if name in usual), None)
    if there is None:
        return task
    labelled = File(file.names, {**file.columns, "label": there}, file.header)
    return replace(task, source=replace(task.source, files={**task.source.files, split: labelled}))


def owner(task: Task, role: str, header: set[str], tasks: Iterable[Task]) -> str:
    """Says whose file it is, if its columns are those of other tasks."""

    def named(task: Task) -> set[str]:
        file = task.source.files.get(task.splits[role])
        return {name for name in file.columns.values() if isinstance(name, str)} if file else set()

    if header >= named(task):
        return ""
    others = [other for other in tasks if other.source is not task.source and role in other.splits]
    titles = sorted({other.title for other in others if header >= named(other) != set()})
    return f"it has the columns of {' or '.join(titles)}: exchange the folders" if 0 < len(titles) <= FIT else ""
