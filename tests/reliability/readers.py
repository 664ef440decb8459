"""Everything in glue that reads what somebody else wrote, each with good inputs to start from.

A reader takes a file with any bytes in it. It may refuse them by a GlueError of one line, or use them; all else is a fault.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from records import finished

from glue_harness.cli.mix import read_sizes
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.plan_file import read_plan
from glue_harness.data import load
from glue_harness.data.answer_files import read_answer_file
from glue_harness.data.lines import paragraphs
from glue_harness.data.own import questions
from glue_harness.data.rows import examples
from glue_harness.metrics import measure
from glue_harness.metrics.answers import matched, read_answers
from glue_harness.report import formats
from glue_harness.report.board import make_boards
from glue_harness.report.comparison import compare
from glue_harness.report.experiments import Experiment
from glue_harness.runs.store import Store
from glue_harness.submit.check import check
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
TASKS = REGISTRY.tasks
TABLES = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")  # official tables
RECORDS = ("boolq", "cb", "copa", "multirc", "record", "wic", "wsc")  # official JSON lines


class Reader(NamedTuple):
    name: str
    seeds: list[bytes]
    read: Callable[[bytes, Path], object]  # the bytes, and an empty folder to work in


def json_lines(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def demo_rows(task: str, n: int = 4) -> list[dict]:
    return [dict(row) for row in load(TASKS[task], "train", "demo:50")][:n]


def encode_all(task: str, role: str, where: Path) -> None:
    rows = load(TASKS[task], role, str(where))
    for number, row in enumerate(rows):
        for example in examples(TASKS[task], row, number):
            (example.inputs + example.target).encode()


def official(task: str, seeds: list[bytes]) -> Reader:
    """The official file of a task's training rows."""

    def read(content: bytes, folder: Path) -> None:
        source = TASKS[task].source
        file = folder / source.folder / source.files["train"].names[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        encode_all(task, "train", folder)

    return Reader(f"official file of {task}", seeds, read)


def table_seed(task: str) -> bytes:
    file, labels = TASKS[task].source.files["train"], TASKS[task].labels
    rows = demo_rows(task)
    if not file.header:
        width = 1 + max(file.columns.values())
        cells = [[""] * width for _ in rows]
        for column, place in file.columns.items():
            for row, line in zip(rows, cells, strict=True):
                line[place] = str(row[column])
    else:
        cells = [list(file.columns.values())]
        cells += [[str(row[column]) for column in file.columns] for row in rows]
        if labels and "label" in file.columns:
            place = list(file.columns).index("label")
            for row, line in zip(rows, cells[1:], strict=True):
                line[place] = labels[row["label"]]
    return "".join("\t".join(line) + "\n" for line in cells).encode()


OFFICIAL_RECORDS = {
    "boolq": {"question": "is it", "passage": "It is.", "idx": 0, "label": True},
    "cb": {"premise": "a", "hypothesis": "b", "idx": 0, "label": "neutral"},
    "copa": {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "idx": 0, "label": 1},
    "multirc": {
        "idx": 0,
        "passage": {
            "text": "<b>Sent 1: </b>A cat sat.<br>",
            "questions": [{"question": "Who?", "answers": [{"text": "cat", "idx": 0, "label": 1}], "idx": 0}],
        },
    },
    "record": {
        "idx": 0,
        "passage": {"text": "Ann met Bob.", "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 10}]},
        "qas": [
            {"idx": 0, "query": "@placeholder came", "answers": [{"start": 0, "end": 2, "text": "Ann"}]},
        ],
    },
    "wic": {
        "word": "cat",
        "sentence1": "a cat",
        "sentence2": "cat b",
        "idx": 0,
        "label": True,
        "start1": 2,
        "start2": 0,
        "end1": 5,
        "end2": 3,
        "version": 1.1,
    },
    "wsc": {
        "text": "Ann saw that she won",
        "target": {"span1_index": 0, "span1_text": "Ann", "span2_index": 3, "span2_text": "she"},
        "idx": 0,
        "label": True,
    },
}


def hub_rows(task: str) -> Reader:
    """Rows of a user's own, in the Hub's schema."""

    def read(content: bytes, folder: Path) -> None:
        (folder / task).mkdir(exist_ok=True)
        (folder / task / "train.jsonl").write_bytes(content)
        encode_all(task, "train", folder)

    return Reader(f"JSON lines of {task}", [json_lines(demo_rows(task))], read)


def parquet_rows(content: bytes, folder: Path) -> None:
    (folder / "rte").mkdir(exist_ok=True)
    (folder / "rte" / "train.parquet").write_bytes(content)
    encode_all("rte", "train", folder)


def parquet_seed() -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    file = io.BytesIO()
    write_table(pyarrow.Table.from_pylist(demo_rows("rte")), file, compression="none")
    return file.getvalue()


def saved_rows(content: bytes, folder: Path) -> None:
    (folder / "rte" / "train").mkdir(parents=True, exist_ok=True)
    (folder / "rte" / "train" / "state.json").write_bytes(content)
    encode_all("rte", "train", folder)


def text_rows(content: bytes, folder: Path) -> None:
    (folder / "text.txt").write_bytes(content)
    for text in paragraphs(folder / "text.txt"):
        text.encode()


def plan_file(content: bytes, folder: Path) -> None:
    (folder / "plan.toml").write_bytes(content)
    plan = plan_from({"tasks": ["rte"], **read_plan(folder / "plan.toml")})
    (folder / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
    assert plan_from(read_plan(folder / "plan.toml")) == plan
    assert len(Store(folder).new_id(plan)) <= 100


def record_seed() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        record = finished(Store(folder))
        record.id = "run"
        record.history = {"rte": [(10, {"accuracy": 50.0}), (20, {"accuracy": None})]}
        return json.dumps(record.to_dict()).encode()


def record_file(content: bytes, folder: Path) -> None:
    """A record beside a good one, in every board and format, and compared."""
    store = Store(folder / "results")
    (store.folder / "run").mkdir(parents=True, exist_ok=True)
    (store.folder / "run" / "record.json").write_bytes(content)
    other = finished(store, steps=7)
    records, broken = store.load_all()
    assert len(records) + len(broken) == 2
    for board in make_boards(records, REGISTRY, "glue"):
        for name in formats.names():
            text = formats.renderer(name)(board)
            assert is_inert(text), f"{name} lets {[c for c in text if not is_inert(c)]} through"
    if not broken:
        compare([Experiment(record.id, (record,)) for record in records], store, REGISTRY)
    store.discard(other.id)


def predictions_file(content: bytes, folder: Path) -> None:
    store = Store(folder)
    (folder / "run" / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / "run" / "predictions" / "multirc.jsonl").write_bytes(content)
    if predictions := store.read_predictions("run", TASKS["multirc"]):
        measure(TASKS["multirc"].metrics, predictions)


PREDICTIONS = [
    {"id": "0", "target": "True", "prediction": "False", "scores": {"True": 0.5}, "info": {"idx": i}}
    for i in ({"paragraph": 0, "question": 0, "answer": 0}, {"paragraph": 0, "question": 0, "answer": 1})
]


def answers(task: str, rows: list[dict]) -> Reader:
    def read(content: bytes, folder: Path) -> None:
        measure(TASKS[task].metrics, read_answers(TASKS[task], io.BytesIO(content), "answers"))

    return Reader(f"answers to {task}", [json_lines(rows)], read)


def answer_file(kind: str, task: str, seeds: list[bytes]) -> Reader:
    """Answers to the first rows of a demo's validation split, held against them."""
    rows = load(TASKS[task], "validation", "demo")
    few = replace(rows, rows=list(rows)[:3])

    def read(content: bytes, folder: Path) -> None:
        found = read_answer_file(io.BytesIO(content), "answers", kind)
        measure(TASKS[task].metrics, matched(TASKS[task], few, found, allow_invalid=True))

    return Reader(f"answer file of {task}, {kind}", seeds, read)


def own_questions(content: bytes, folder: Path) -> None:
    for example in questions(TASKS["record"], io.BytesIO(content), "rows"):
        example.inputs.encode()


def sizes_file(content: bytes, folder: Path) -> None:
    (folder / "sizes.json").write_bytes(content)
    read_sizes(folder / "sizes.json")


def zip_seed() -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("CB.jsonl", '{"idx": 0, "label": "neutral"}\n')
        archive.writestr("MultiRC.jsonl", '{"idx": 0, "passage": {"questions": []}}\n')
    return file.getvalue()


def zip_file(content: bytes, folder: Path) -> None:
    (folder / "answers.zip").write_bytes(content)
    check(folder / "answers.zip", REGISTRY)


def is_inert(text: str) -> bool:
    """Whether a terminal that shows it stays as it was: no control character but the end of a line."""
    return all(c == "\n" or c.isprintable() for c in text)


READERS = [
    *(official(task, [table_seed(task)]) for task in TABLES),
    *(official(task, [json_lines([OFFICIAL_RECORDS[task]] * 2)]) for task in RECORDS),
    *(
        hub_rows(task)
        for task in ("rte", "stsb", "multirc", "record", "squad", "dpr", "wsc", "wsc_marked", "span_corruption")
    ),
    Reader("parquet", [parquet_seed()], parquet_rows),
    Reader("state.json", [b'{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}'], saved_rows),
    Reader("plain text", ["Ein Satz.\nNoch einer.\n\nübermäßig\r\n".encode()], text_rows),
    Reader(
        "plan", [Plan(("mnli", "rte"), mixing="custom", rates={"mnli": 1.0, "rte": 2.5}).to_toml().encode()], plan_file
    ),
    Reader("record", [record_seed()], record_file),
    Reader("predictions", [json_lines(PREDICTIONS)], predictions_file),
    answers("mrpc", [{"target": "equivalent", "prediction": "not_equivalent"}] * 2),
    answers("stsb", [{"target": "1.0", "prediction": "2.2"}, {"target": "3.0", "prediction": "5.0"}]),
    answers("squad", [{"target": "a", "prediction": "b", "example": {"answers": ["a", "b"]}}]),
    answers(
        "record",
        [{"target": "a", "prediction": "b", "example": {"answers": ["a"], "idx": {"passage": 0, "query": 0}}}],
    ),
    answer_file("text", "rte", [b"entailment\n1\nnot_entailment\n"]),
    answer_file("tsv", "mrpc", [b"index\tprediction\n2\tequivalent\n0\t1\n1\t0\n"]),
    answer_file("csv", "stsb", [b'id,answer\n2,"2.5"\n0,1\n1,0.2\n']),
    answer_file("jsonl", "multirc", [json_lines([{"idx": k, "label": k % 2 == 0} for k in range(3)])]),
    answer_file(
        "lm-eval",
        "rte",
        [json_lines([{"doc_id": k, "filtered_resps": [[-1.0, True], [-2.0, False]]} for k in range(3)])],
    ),
    answer_file("jsonl", "record", [json_lines([{"answer": "Ann", "shares": {"Ann": 0.5}}] * 3)]),
    Reader("own questions", [json_lines(demo_rows("record")), b"premise\thypothesis\na\tb\n"], own_questions),
    Reader("sizes", [b'{"cola": 8551, "rte": 2490}'], sizes_file),
    Reader("zip", [zip_seed()], zip_file),
]
