"""Official submissions: what the files say, who answers them, and that a zip is complete."""

import json
from dataclasses import replace
from random import Random
from zipfile import ZipFile

import pytest
from records import finished, runner

from glue_harness import Plan, run
from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.data import load
from glue_harness.runs.store import Store
from glue_harness.submit import (
    assign,
    file_text,
    majority,
    numbers_of,
    official_files,
    server_answer,
    suite_of,
    write_zip,
)
from glue_harness.submit.answers import valid_answers
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
GLUE_FILES = "CoLA.tsv SST-2.tsv MRPC.tsv STS-B.tsv QQP.tsv MNLI-m.tsv MNLI-mm.tsv QNLI.tsv RTE.tsv WNLI.tsv AX.tsv"
SUPERGLUE_FILES = "BoolQ CB COPA MultiRC ReCoRD RTE WiC WSC AX-b AX-g"


def test_the_files_are_those_that_the_servers_know():
    assert list(official_files(REGISTRY, "glue")["glue"]) == GLUE_FILES.split()
    assert list(official_files(REGISTRY, "superglue")["superglue"]) == [
        f"{name}.jsonl" for name in SUPERGLUE_FILES.split()
    ]
    with pytest.raises(UsageError, match="unknown suite with an official server 'gleu': did you mean glue\\?"):
        official_files(REGISTRY, "gleu")


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ("cola", 1, 1),
        ("wnli_referent", 0, 0),
        ("mnli_mismatched", 2, "contradiction"),
        ("ax", 1, "neutral"),
        ("rte", 1, "not_entailment"),
        ("stsb", 2.4, 2.4),
        ("stsb", 7.5, 5.0),
        ("stsb", -0.2, 0.0),
        ("stsb", float("inf"), 5.0),
        ("stsb", float("nan"), None),
        ("boolq", 1, "true"),
        ("wsc_eval", 0, "false"),
        ("cb", 1, "contradiction"),
        ("copa", 1, 1),
        ("multirc", 0, 0),
        ("record", "Ann", "Ann"),
        ("record", "", None),
        ("rte", None, None),
    ],
)
def test_answers_are_written_as_the_server_reads_them(task, label, said):
    found = server_answer(REGISTRY.tasks[task], label)
    assert (found, type(found)) == (said, type(said))


def test_a_table_has_its_header_and_the_rows_in_order():
    assert file_text(REGISTRY.tasks["rte"], [((1,), "entailment"), ((0,), "not_entailment")]) == (
        "index\tprediction\n0\tnot_entailment\n1\tentailment\n"
    )
    assert file_text(REGISTRY.tasks["stsb"], [((0,), 2.4)]) == "index\tprediction\n0\t2.4\n"


def test_records_are_one_object_a_line():
    assert file_text(REGISTRY.tasks["wic"], [((0,), "true"), ((1,), "false")]) == (
        '{"idx": 0, "label": "true"}\n{"idx": 1, "label": "false"}\n'
    )
    assert file_text(REGISTRY.tasks["record"], [((7,), "Zoë")]) == '{"idx": 7, "label": "Zo\\u00eb"}\n'


def test_multirc_is_nested_as_its_data():
    said = [((0, 0, 0), 1), ((0, 0, 1), 0), ((0, 1, 2), 0), ((1, 2, 3), 1)]
    lines = [json.loads(line) for line in file_text(REGISTRY.tasks["multirc"], reversed(said)).splitlines()]
    first = [{"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}]}]
    first += [{"idx": 1, "answers": [{"idx": 2, "label": 0}]}]
    assert lines[0] == {"idx": 0, "passage": {"questions": first}}
    assert lines[1] == {"idx": 1, "passage": {"questions": [{"idx": 2, "answers": [{"idx": 3, "label": 1}]}]}}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def planned(suite, *records):
    return {one.file: one for one in assign(REGISTRY, suite, records)}


def test_each_file_is_answered_by_the_model_that_learned_it(store):
    values = {"mnli_matched": {"accuracy": 1.0}, "mnli_mismatched": {"accuracy": 1.0}}
    mnli, cola = finished(store, values), finished(store, {"cola": {"matthews_corrcoef": 1.0}}, day=2)
    found = planned("glue", cola, mnli)
    for file in ("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"):
        assert (found[file].record, found[file].step) == (mnli, 100)
    assert found["CoLA.tsv"].record == cola
    assert found["CoLA.tsv"].step == 100
    assert found["WNLI.tsv"].step == found["RTE.tsv"].step == 0
    assert suite_of(REGISTRY, [cola, mnli]) == "glue"


def test_diagnostics_of_superglue_are_answered_by_rte(store):
    record = finished(store, {"superglue_rte": {"accuracy": 1.0}})
    found = planned("superglue", record)
    assert {file for file, one in found.items() if one.step} == {"RTE.jsonl", "AX-b.jsonl", "AX-g.jsonl"}


def test_wnli_is_answered_by_its_own_model_before_that_of_wsc(store):
    wsc, wnli = (finished(store, {name: {"accuracy": 1.0}}) for name in ("wsc_eval", "wnli"))
    assert planned("glue", wsc)["WNLI.tsv"].task.name == "wnli_referent"
    assert planned("glue", wsc, wnli)["WNLI.tsv"].record == wnli


def test_the_first_run_that_can_answer_does(store):
    first, second = finished(store), finished(store, day=2)
    assert planned("glue", second, first)["RTE.tsv"].record == second


def test_a_suite_is_named_where_runs_learned_both(store):
    both = finished(store, {"rte": {"accuracy": 1.0}, "cb": {"accuracy": 1.0}})
    with pytest.raises(UsageError, match="the runs learned glue and superglue of glue, superglue: say which"):
        suite_of(REGISTRY, [both])


def test_rows_are_numbered_by_idx_not_by_place():
    rte = REGISTRY.tasks["rte"]
    assert numbers_of(rte, [{"idx": 1}, {"idx": "0"}], 2) == [(1,), (0,)]
    assert numbers_of(rte, [{}, {}], 2) == [(0,), (1,)]
    with pytest.raises(DataError, match="rte: the test rows are not the official ones: 2 rows, not 3; download"):
        numbers_of(rte, [{"idx": 0}, {"idx": 1}], 3)
    with pytest.raises(DataError, match="rte: the test rows are not the official ones: index stands twice: 1"):
        numbers_of(rte, [{"idx": 1}, {"idx": 1}], 2)
    with pytest.raises(DataError, match="rte: test row 1 has idx 'x', which is not a number"):
        numbers_of(rte, [{"idx": "x"}], 1)


def test_the_majority_is_that_of_the_training_rows():
    assert majority(REGISTRY.tasks["boolq"], [{"label": k} for k in (1, 0, 1)]) == "true"
    assert majority(REGISTRY.tasks["stsb"], [{"label": x} for x in (3.8, 5.0, 3.8)]) == 3.8
    record = REGISTRY.tasks["record"]
    rows = [{**row, "answers": ["Bea"]} for row in record.demo(Random(0), 2)] + record.demo(Random(1), 1)
    assert majority(record, rows) == "Bea"
    with pytest.raises(DataError, match="record: most rows have no answer"):
        majority(record, [{**rows[0], "answers": [""]}])


class Says:
    """A model that gives these answers, and these when it must choose."""

    def __init__(self, free, closed=()):
        self.texts = {None: list(free), "closed": list(closed)}

    def answers(self, task, examples, how=None):
        return [task.prediction(e, text) for e, text in zip(examples, self.texts[how], strict=True)]


def asked(name, n):
    task = REGISTRY.tasks[name]
    return task, [example for row in task.demo(Random(0), n) for example in task.examples(row)]


def test_an_invalid_answer_is_replaced_openly():
    task, examples = asked("rte", 3)
    model = Says(["entailment", "nonsense", "not_entailment"], ["not_entailment"])
    assert valid_answers(model, task, examples) == (
        ["entailment", "not_entailment", "not_entailment"],
        ["1 answers were not valid: answered again with the valid ones to choose from"],
    )


def test_numbers_out_of_range_are_moved_openly():
    task, examples = asked("stsb", 2)
    assert valid_answers(Says(["7.5", "2.2"]), task, examples) == (
        [5.0, 2.2],
        ["1 numbers were not between 0 and 5: moved there"],
    )


def test_an_answer_that_names_nothing_is_no_match():
    task, examples = asked("wsc_eval", 2)
    named = examples[1].target
    assert valid_answers(Says(["", named]), task, examples) == (
        ["false", "true"],
        ["1 answers named nothing: counted as 'false'"],
    )


def test_an_empty_text_that_nothing_can_replace_is_an_error():
    task, examples = asked("record", 1)
    with pytest.raises(GlueError, match="record: 1 answers are empty, which the official server does not take"):
        valid_answers(Says([""]), task, [replace(examples[0], choices=())])


TOYS = '''
"""Two toys with a server of their own."""
from glue_harness.suite.build import classify
from glue_harness.metrics import accuracy
from glue_harness.core.task import Source, Submission, tsv

def source(**rows):
    files = {split: tsv(f"{split}.tsv", text="text", label="label") for split in rows if split != "test"}
    return Source("none", folder="Toy", rows=rows, files={**files, "test": tsv("test.tsv", text="text")})

COMMON = {"fields": ("text",), "labels": ("no", "yes"), "metrics": (accuracy,), "suite": "toys"}
TOY = classify("toy", source=source(train=16, validation=6, test=5), place=1,
    submission=Submission("Toy.tsv", words=("no", "yes")), **COMMON)
KIN = classify("kin", source=source(test=5), place=2, splits={"test": "test"}, answered_by="toy",
    submission=Submission("Kin.jsonl", words=("false", "true")), **COMMON)
OTHER = classify("other", source=source(train=16, validation=6, test=5), place=3,
    submission=Submission("Other.tsv", words=(0, 1)), **COMMON)
'''


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A run on an official-layout folder of toys, whose rows are not synthetic as far as anyone knows."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "toys.py").write_text(TOYS)
    (folder / "data" / "Toy").mkdir(parents=True)
    for split, rows in (("train", 16), ("validation", 6)):
        lines = [f"the cat sat {k}\t{('no', 'yes')[k % 3 > 0]}\n" for k in range(rows)]
        (folder / "data" / "Toy" / f"{split}.tsv").write_text("text\tlabel\n" + "".join(lines))
    (folder / "data" / "Toy" / "test.tsv").write_text("text\n" + "".join(f"a dog sat {k}\n" for k in range(5)))
    plan = Plan(tasks=("toy",), data=str(folder / "data"), model="tiny", steps=2, batch_size=8, device="cpu")
    record = run(plan, results=folder / "results", registry=load_tasks([folder / "tasks"]))
    return folder, record


@pytest.fixture
def glue(toys, capsys):
    folder, _ = toys
    call = runner(capsys)
    return lambda *given: call("submit", *given, "--tasks", folder / "tasks", "--results", folder / "results")


def test_what_no_run_answers_is_named(glue):
    assert glue("latest") == (2, "", "glue: no run answers Other.tsv: name more runs, or give --fill-missing\n")


def test_a_submission_is_complete_and_passes_its_check(glue, toys, tmp_path):
    folder, record = toys
    code, out, err = glue("latest", "--fill-missing", "--json")
    assert (code, err) == (0, "Other.tsv: no run answers it: every row has the majority answer 1\n")
    made = json.loads(out)
    assert made["file"] == str(folder / "results" / record.id / "toys.zip")
    step = record.scores["toy"].step
    assert [(part["task"], part["run"], part["step"], part["rows"]) for part in made["parts"]] == [
        ("toy", record.id, step, 5),
        ("kin", record.id, step, 5),
        ("other", None, None, 5),
    ]
    with ZipFile(made["file"]) as archive:
        assert archive.namelist() == ["Toy.tsv", "Kin.jsonl", "Other.tsv"]
        said = [line.split("\t")[1] for line in archive.read("Toy.tsv").decode().splitlines()[1:]]
        kin = [json.loads(line)["label"] for line in archive.read("Kin.jsonl").splitlines()]
        assert archive.read("Other.tsv").decode() == "index\tprediction\n" + "".join(f"{k}\t1\n" for k in range(5))
    assert kin == [{"yes": "true", "no": "false"}[word] for word in said]
    assert glue("--check", made["file"]) == (0, f"{made['file']}: no fault\n", "")
    again = tmp_path / "again.zip"
    code, out, _ = glue(record.id, "--fill-missing", "--out", again)
    assert code == 0
    assert out.splitlines()[-1] == str(again)
    assert again.read_bytes() == (folder / "results" / record.id / "toys.zip").read_bytes()


def test_an_incomplete_test_split_makes_no_zip(glue, toys, tmp_path):
    (tmp_path / "Toy").mkdir()
    (tmp_path / "Toy" / "test.tsv").write_text("text\na dog\n")
    (tmp_path / "Toy" / "train.tsv").write_text("text\tlabel\na dog\tyes\n")
    out = tmp_path / "it.zip"
    code, _, err = glue("latest", "--fill-missing", "--data", tmp_path, "--out", out)
    assert (code, err) == (
        1,
        "glue: toy: the test rows are not the official ones: 1 rows, not 5; download them again\n",
    )
    (tmp_path / "Toy" / "test.tsv").unlink()
    code, _, err = glue("latest", "--fill-missing", "--data", tmp_path, "--out", out)
    assert code == 1
    assert err.startswith("glue: no usable test rows for Toy.tsv, Kin.jsonl, Other.tsv: no test rows of 'toy'")
    assert not out.exists()


def test_faults_are_printed_and_counted(glue, tmp_path):
    path = tmp_path / "bad.zip"
    write_zip(path, {"Toy.tsv": "index\tprediction\n"})
    code, out, err = glue("--check", path)
    assert (code, err) == (1, f"glue: '{path}' has 4 faults\n")
    assert out.splitlines() == [
        "Toy.tsv: 0 rows, not 5",
        "Toy.tsv: index is missing: 0 and 4 more",
        "Kin.jsonl: missing",
        "Other.tsv: missing",
    ]
    code, out, _ = glue("--check", path, "--json")
    assert (code, len(json.loads(out)["faults"])) == (1, 4)


def test_contradicting_requests_are_refused(glue, tmp_path):
    assert glue()[2] == "glue: name a run, or a zip with --check\n"
    code, _, err = glue("latest", "--check", tmp_path / "x.zip")
    assert code == 2
    assert "--check looks at a zip that is there: leave out RUN" in err


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A run on synthetic rows that learned next to nothing, and answers freely."""
    results = tmp_path_factory.mktemp("demo") / "results"
    plan = Plan(tasks=("superglue_rte", "wsc"), data="demo:100", model="tiny", steps=2, batch_size=8, answers="strict")
    return results, run(plan, results=results)


def test_a_demo_makes_a_zip_on_request_only(demo, capsys, tmp_path):
    results, record = demo
    call = runner(capsys)
    code, _, err = call("submit", record.id, "--fill-missing", "--results", results)
    fix = "give --data demo:100 to have a zip all the same"
    assert (code, err) == (2, f"glue: run {record.id} learned synthetic rows: {fix}\n")
    given = ("submit", record.id, "--fill-missing", "--data", "demo:100", "--results", results, "--out")
    code, _, err = call(*given, tmp_path / "superglue.zip")
    assert code == 2
    assert err == "glue: these answers are a demo's: --out must have 'demo' in its name, not 'superglue.zip'\n"


def test_a_zip_of_a_demo_is_marked_and_names_what_was_replaced(demo, capsys):
    results, record = demo
    code, out, err = runner(capsys)("submit", record.id, "--fill-missing", "--data", "demo:100", "--results", results)
    assert code == 0
    made = results / record.id / "superglue-demo.zip"
    assert out.splitlines()[-1] == str(made)
    assert "BoolQ.jsonl: no run answers it: every row has the majority answer 'true'" in err
    with ZipFile(made) as archive:
        assert archive.namelist() == [f"{name}.jsonl" for name in SUPERGLUE_FILES.split()]
        said = {json.loads(line)["label"] for line in archive.read("AX-g.jsonl").splitlines()}
    assert said <= {"entailment", "not_entailment"}


@pytest.mark.parametrize(
    "file", ["CoLA.tsv", "STS-B.tsv", "AX.tsv", "WNLI.tsv", "MultiRC.jsonl", "AX-b.jsonl", "COPA.jsonl"]
)
def test_real_test_splits_are_complete_and_numbered(shared, file):
    suite = "glue" if file.endswith("tsv") else "superglue"
    task = official_files(REGISTRY, suite)[suite][file][0]
    rows = load(task, "test", str(shared / "data"))
    numbers = numbers_of(task, rows, rows.official)
    assert [number[-1] for number in numbers] == list(range(task.source.rows[task.splits["test"]]))
