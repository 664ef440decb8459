"""The GLUE tasks against T5's own encoding, the official files and the referent rules."""

import pytest
from conftest import golden

from glue_harness.core.errors import RowError
from glue_harness.core.task import Example
from glue_harness.data import load
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
GLUE = [REGISTRY.tasks[name] for name in (*REGISTRY.suites["glue-all"], "mnli_matched", "mnli_mismatched")]
VECTORS = [line for line in golden("preprocess") if line["task"].startswith("glue/")]
METRICS = {
    "cola": ("matthews_corrcoef",),
    "sst2": ("accuracy",),
    "mrpc": ("f1", "accuracy"),
    "stsb": ("pearson_corrcoef", "spearman_corrcoef"),
    "qqp": ("f1", "accuracy"),
    "mnli": ("accuracy",),
    "qnli": ("accuracy",),
    "rte": ("accuracy",),
    "wnli": ("accuracy",),
    "wnli_referent": ("accuracy",),
    "ax": (),
    "mnli_matched": ("accuracy",),
    "mnli_mismatched": ("accuracy",),
}


def encoded(name: str, row: dict) -> list[dict]:
    return [{"inputs": text.inputs, "targets": text.target} for text in REGISTRY.task(name).encode(row)]


def test_vectors_cover_every_task():
    assert {REGISTRY.task(line["task"]).name for line in VECTORS} == {task.name for task in GLUE}


@pytest.mark.parametrize("line", VECTORS, ids=lambda line: f"{line['task']}-{line['id']}")
def test_row_becomes_what_t5_makes_of_it(line):
    assert REGISTRY.task(line["t5_task"]) is REGISTRY.task(line["task"])
    if line["expect"] == {"error": True}:
        with pytest.raises(RowError):
            encoded(line["task"], line["raw"])
    else:
        assert encoded(line["task"], line["raw"]) == line["expect"]


@pytest.mark.parametrize("task", GLUE, ids=lambda task: task.name)
def test_only_the_columns_of_a_task_matter(task):
    line = next(line for line in VECTORS if REGISTRY.task(line["task"]) is task and isinstance(line["expect"], list))
    row = {column: line["raw"][column] for column in task.needs}
    assert encoded(task.name, row) == encoded(task.name, row | {"extra": "column", "idx": 7}) == line["expect"]


def test_suite_is_t5s_eight_in_table_order():
    eight = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")
    assert REGISTRY.suites["glue"] == eight
    assert REGISTRY.suites["glue-all"] == (*eight, "wnli", "wnli_referent", "ax")
    assert [REGISTRY.tasks[name].place for name in eight] == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("task", GLUE, ids=lambda task: task.name)
def test_metrics_in_the_official_order(task):
    assert task.keys == METRICS[task.name]


@pytest.mark.parametrize("task", GLUE, ids=lambda task: task.name)
def test_source_is_pinned_and_complete(task):
    source = task.source
    assert (source.hub, source.revision) == ("nyu-mll/glue", REGISTRY.tasks["cola"].source.revision)
    assert len(source.revision) == 40
    assert source.rows.keys() == source.files.keys()
    assert set(task.splits.values()) <= source.rows.keys()
    for split, file in source.files.items():
        assert ("label" in file.columns) == (not split.startswith("test")), split
        assert {"label", *task.columns} >= set(file.columns) >= {*task.columns} - {"label"}, split


@pytest.mark.parametrize("label", [2, -2, True, 1.0, "1", None])
@pytest.mark.parametrize("name", ["cola", "wnli_referent"])
def test_a_label_that_is_none_is_refused(name, label):
    row = {"sentence": "s", "sentence1": "Ann met Bea and she smiled.", "sentence2": "Bea smiled.", "label": label}
    with pytest.raises(RowError, match=r"label .* is not allowed: 0=\w+, 1=\w+, -1=hidden"):
        encoded(name, row)


@pytest.mark.parametrize("label", [5.01, -0.1, 1e39, float("nan"), float("inf")])
def test_stsb_refuses_a_score_out_of_range(label):
    with pytest.raises(RowError, match="is not allowed: 0 to 5, -1=hidden"):
        encoded("stsb", {"sentence1": "a", "sentence2": "b", "label": label})


def test_stsb_offers_every_number_that_it_can_write():
    task = REGISTRY.tasks["stsb"]
    written = {encoded("stsb", {"sentence1": "", "sentence2": "", "label": k / 100})[0]["targets"] for k in range(501)}
    assert written == set(task.choices)
    assert len(task.choices) == 26
    assert encoded("stsb", {"sentence1": "", "sentence2": "", "label": -1})[0]["targets"] == "-1.0"


REFERENTS = {  # (premise, hypothesis) -> (inputs, target), each for one rule of section 5.4
    "last article": (
        ("Bo saw a cat by the door and it ran.", "Bo saw a cat and the cat ran."),
        ("Bo saw a cat by the door and *it* ran.", "the cat"),
    ),
    "possessive": (("Tom met Ann and took her hat.", "Took Ann's hat."), ("Tom met Ann and took *her* hat.", "Ann")),
    "plural possessive": (
        ("The cooks met us and we ate their soup.", "We ate the cooks' soup."),
        ("The cooks met us and we ate *their* soup.", "the cooks"),
    ),
    "end of hypothesis": (("We saw Ann, so call her.", "Call Ann!"), ("We saw Ann, so call *her* .", "Ann")),
    "nothing shared": (("Rain fell on it.", "Dogs bark."), ("Rain fell on *it* .", "")),
    "first of equals": (("She ran and he ran.", "Ann ran."), ("*She* ran and he ran.", "Ann")),
}


@pytest.mark.parametrize("rule", REFERENTS)
def test_referent_of_the_pronoun(rule):
    (premise, hypothesis), (inputs, target) = REFERENTS[rule]
    row = {"sentence1": premise, "sentence2": hypothesis, "label": 1}
    assert encoded("wnli_referent", row) == [{"inputs": f"wsc: {inputs}", "targets": target}]


@pytest.mark.parametrize(
    ("premise", "reason"),
    [
        ("Ann met Bea.", "column 'sentence1' has no pronoun"),
        ("When the rain fell,  it poured.", "column 'sentence1' has a doubled space"),
        ("Ann met Bea and she (smiled", "is not a pattern"),
    ],
)
def test_referent_that_cannot_be_found_is_named(premise, reason):
    with pytest.raises(RowError, match=reason):
        encoded("wnli_referent", {"sentence1": premise, "sentence2": "Bea it poured (smiled", "label": 1})


def test_referent_answers_are_read_as_t5_reads_them():
    lines = [line for line in golden("metric") if line["task"] == "glue/wnli_simple"]
    assert lines
    task = REGISTRY.task("glue/wnli_simple")
    for raw, expect in ((line["raw"], line["expect"]) for line in lines):
        examples = [
            Example("0", "", target, {}, task.gold(target, info).label, info=info)
            for target, info in zip(raw["targets"], raw["examples"], strict=True)
        ]
        answers = [task.prediction(e, text) for e, text in zip(examples, raw["predictions"], strict=True)]
        assert [-1 if a.label is None else a.label for a in answers] == expect["predictions"]
        assert [a.example.label for a in answers] == expect["targets"]


# Splits that ../shared/data/glue holds in full.
WHOLE = {
    "cola": ("train", "validation", "test"),
    "sst2": ("train", "validation", "test"),
    "mrpc": ("train", "validation", "test"),
    "stsb": ("train", "validation", "test"),
    "rte": ("train", "validation", "test"),
    "wnli": ("train", "validation", "test"),
    "wnli_referent": ("validation", "test"),
    "qnli": ("validation", "test"),
    "mnli_matched": ("validation",),
    "ax": ("test",),
}


@pytest.mark.parametrize("name", WHOLE)
def test_official_files_have_the_official_rows(name, shared):
    task = REGISTRY.tasks[name]
    for role in WHOLE[name]:
        rows = load(task, role, str(shared / "data" / "glue"))
        assert len(rows) == task.source.rows[rows.split]
        assert rows.notes == ()
        hidden = sum(row["label"] == -1 for row in rows)
        assert hidden == (len(rows) if role == "test" else 0)


def test_the_real_wnli_rows_all_have_a_referent(shared):
    task = REGISTRY.tasks["wnli_referent"]
    for role in task.splits:
        for row in load(task, role, str(shared / "data" / "glue")):
            (example,) = task.examples(row)
            assert example.inputs.count("*") >= 2
            assert example.target.lower() in row["sentence2"].lower()


@pytest.mark.parametrize("place", ["AX/test.tsv", "AX/AX.tsv", "diagnostic/diagnostic.tsv"])
def test_ax_is_found_under_any_of_its_names(place, tmp_path):
    file = tmp_path / place
    file.parent.mkdir()
    file.write_text("index\tsentence1\tsentence2\n0\tIt rains.\tIt is wet.\n", encoding="utf-8")
    (row,) = load(REGISTRY.tasks["ax"], "test", str(tmp_path))
    assert (row["premise"], row["hypothesis"], row["label"]) == ("It rains.", "It is wet.", -1)
