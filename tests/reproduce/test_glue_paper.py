"""The GLUE paper's baselines made again: which runs they are, what is said of them, and what stands in the table."""

import csv
from statistics import fmean

import pytest
from records import runner

from glue_harness import load_tasks
from glue_harness.report.published import load_published
from glue_harness.reproduce import is_of_baselines, is_of_encoders, planned
from glue_harness.reproduce.baselines import ROWS, SCALED
from glue_harness.runs.store import Store

REGISTRY, PUBLISHED = load_tasks(), load_published("glue-paper")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def table(tmp_path, share=1.0, **given):
    return planned("glue-paper", given, share, None, REGISTRY, Store(tmp_path))


def plans(tmp_path, share=1.0, **given):
    made = table(tmp_path, share, **given).configurations()
    return {one.name: {stage.name: stage.plan for stage in one.stages} for one in made}


def test_every_row_can_be_made_and_its_values_are_of_metrics_that_its_tasks_have(tmp_path):
    assert set(PUBLISHED.tables["glue-paper"].rows) == set(ROWS) == set(plans(tmp_path))
    assert is_of_baselines("glue-paper")
    assert not is_of_encoders("glue-paper")
    for result in PUBLISHED.results:
        for name, key in result.values:
            assert key in REGISTRY.task(REGISTRY.aliases[name]).keys
    assert PUBLISHED.result("CBOW, multi-task").values == {}


@pytest.mark.parametrize(
    ("row", "mnli", "qnli", "average"),
    [("CBOW", 57.1, 62.5, 61.4), ("BiLSTM", 66.7, 77.0, 66.7), ("BiLSTM, multi-task", 65.6, 74.9, 60.0),
     ("BiLSTM+Attn", 70.0, 77.2, 66.9), ("BiLSTM+Attn, multi-task", 68.0, 73.7, 60.5)],
)  # fmt: skip
def test_the_values_make_the_average_that_the_paper_prints(row, mnli, qnli, average):
    """With its MNLI and QNLI, which are of other data than ours: a wrong digit elsewhere would move it."""
    tasks = {}
    for (name, _), value in PUBLISHED.result(row).values.items():
        tasks.setdefault(name, []).append(value)
    assert fmean([*map(fmean, tasks.values()), mnli, qnli]) == pytest.approx(average, abs=0.06)


def test_tasks_are_trained_alone_and_together_with_the_papers_optimiser(tmp_path):
    found = plans(tmp_path, 0.5)
    alone, together = found["BiLSTM"], found["BiLSTM+Attn, multi-task"]["train together"]
    assert len(alone) == len(together.tasks) == 9
    cola = alone["train cola"]
    assert (cola.model, cola.lr, cola.batch_size, cola.epochs, cola.clip) == ("bilstm", 1e-3, 128, 5.0, 1.0)
    assert (cola.pair_attention, together.pair_attention) == ("off", "on")
    assert (together.mixing, together.model, together.data) == ("proportional", "bilstm", "hub")
    assert found["CBOW"]["train rte"].model == "cbow"
    by_steps = plans(tmp_path, steps=7, lr=1e-2)["CBOW"]["train rte"]
    assert (by_steps.steps, by_steps.epochs, by_steps.lr) == (7, None, 1e-2)


def test_the_head_says_what_is_otherwise_here(tmp_path):
    full, smaller = table(tmp_path), table(tmp_path, 0.5, data="demo", vectors="there/glove.txt")
    assert full.is_full
    assert not smaller.is_full
    head = smaller.head(smaller.configurations(), 1)
    assert head[0] == SCALED
    assert "data demo, vectors of there/glove.txt; states of 256; 5 epochs of 128 examples" in head[1]
    assert "no pre-trained vectors: words learn as they go" in full.head(full.configurations(), 3)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "bilstm"), "the rows of table glue-paper are its models: leave out --model bilstm"),
        (("--text", "x"), "table glue-paper is of baselines, which nothing pre-trains here: leave out --text"),
        (("--pretrain-steps", "3"), "leave out --pretrain-steps"),
    ],
)
def test_mistakes_are_one_line(arguments, message, glue, tmp_path):
    code, _, err = glue("reproduce", "glue-paper", "--demo", *arguments, "--results", tmp_path / "results")
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "results").exists()


def test_a_table_is_made_beside_the_published_values(tmp_path, glue):
    code, shown, err = glue(
        "reproduce", "glue-paper", "--demo", "--data", "demo:64", "--task", "mrpc", "--steps", "2", "--batch-size", "8",
        "--set", "word_size=8", "--device", "cpu", "--results", tmp_path / "results", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    assert shown.startswith("A scaled run")
    assert "the paper has no such row" in " ".join(shown.split())
    rows = {(r["row"], r["column"]): r for r in csv.DictReader((tmp_path / "out" / "glue-paper-demo.csv").open())}
    assert len(rows) == 12
    assert float(rows["BiLSTM", "MRPC F1"]["published"]) == 85.1
    assert rows["CBOW, multi-task", "MRPC Acc"]["published"] == ""
    assert rows["CBOW, multi-task", "MRPC Acc"]["ours"]
