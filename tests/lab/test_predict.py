"""A run's model on a user's own rows: the same answers as in the run, and exact shares of probability."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from records import finished, runner
from toys import CPU, LABELS, toy_examples, toy_model, toy_plan, toy_task

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import DataError, GlueError, RowError
from glue_harness.core.task import Example
from glue_harness.data import load as load_rows
from glue_harness.data.own import fields, question, questions
from glue_harness.lab.predict import Trained, load
from glue_harness.models.families import load_model
from glue_harness.models.t5 import T5, from_scratch
from glue_harness.models.tokenizer import EOS, Bytes
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
RTE = REGISTRY.tasks["rte"]
PAIR = {"sentence1": "A dog sleeps.", "sentence2": "An animal rests."}


def brute_force(model, example, choices):
    """Every choice's probability by transformers' own forward pass on one unpadded example."""
    ids = torch.tensor([model.encode(toy_task(), [example])[0].streams[0]])
    logs = []
    for tokens in model.tokenizer.encode(choices):
        labels = torch.tensor([[*tokens, EOS]])
        with torch.no_grad():
            logits = model.module(input_ids=ids, labels=labels).logits[0]
        logs.append(logits.log_softmax(-1)[range(len(labels[0])), labels[0]].sum().item())
    return torch.tensor(logs).softmax(0).tolist()


def test_shares_are_the_full_probabilities_of_all_choices():
    model, examples = toy_model(seed=2), toy_examples(12)
    found = Trained(toy_plan(eval_tokens=60), model, CPU).shares(toy_task(), examples)
    for example, share in zip(examples, found, strict=True):
        assert list(share) == list(LABELS)
        assert sum(share.values()) == pytest.approx(1, abs=1e-6)
        assert list(share.values()) == pytest.approx(brute_force(model, example, LABELS), abs=1e-5)


def test_choices_may_differ_from_row_to_row():
    model, texts = toy_model(seed=2), [e.inputs for e in toy_examples(6)]
    examples = [Example(str(k), text, "x", {}, 0, choices=LABELS[: k % 4]) for k, text in enumerate(texts)]
    found = Trained(toy_plan(), model, CPU).shares(toy_task(), examples)
    assert [list(share) for share in found] == [list(example.choices) for example in examples]
    for example, share in zip(examples[1:4], found[1:4], strict=True):
        assert list(share.values()) == pytest.approx(brute_force(model, example, example.choices), abs=1e-5)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("predict") / "results"


@pytest.fixture(scope="module")
def record(results):
    tasks = ("rte", "stsb", "wsc", "mnli")
    plan = Plan(
        tasks=tasks, data="demo:100", model="tiny", steps=20, lr=3e-3, batch_size=8, eval_every=10, device="cpu"
    )
    return run(plan, results=results)


@pytest.fixture
def glue(results, record, capsys):
    call = runner(capsys)
    return lambda *given: call("predict", record.id, *given, "--results", results)


@pytest.mark.parametrize("name", ["rte", "stsb", "mnli_mismatched"])
def test_a_checkpoint_answers_as_the_run_did(results, record, name):
    task, store = REGISTRY.tasks[name], Store(results)
    trained = load(record, store.run_folder(record.id), record.scores[name].step)
    examples = [question(task, row, k) for k, row in enumerate(load_rows(task, "validation", record.plan["data"]))]
    found = [prediction.text for prediction in trained.answers(task, examples)]
    assert found == [prediction.text for prediction in store.read_predictions(record.id, task)]


def test_fields_are_options(glue):
    code, out, err = glue("--task", "rte", "--sentence1", PAIR["sentence1"], "--sentence2", PAIR["sentence2"], "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said.keys() == {"answer", "label", "valid", "shares", "most_probable", "lost_tokens"}
    assert said["shares"][said["most_probable"]] == max(said["shares"].values())
    assert said["shares"].keys() == set(RTE.labels)
    assert said["label"] == RTE.labels.index(said["answer"])
    assert sum(said["shares"].values()) == pytest.approx(1)


def test_one_answer_is_shown_with_its_choices(glue):
    code, out, _ = glue("-t", "mnli", "--premise=It rains.", "--hypothesis", "It is wet.")
    assert code == 0
    assert out.split()[0] in ("entailment", "neutral", "contradiction")
    shares = [float(word.rstrip("%")) for word in out.split() if word.endswith("%")]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_ax_is_answered_by_the_model_of_mnli(glue):
    pair = ("--premise", "It rains.", "--hypothesis", "It is wet.", "--json")
    assert glue("--task", "ax", *pair) == glue("--task", "mnli", *pair)


def test_a_referent_is_said_to_match_or_not(glue):
    text = ("--text", "Ann met Bea because she was late.", "--span1_text", "Ann", "--span2_text", "she")
    code, out, _ = glue("--task", "wsc", *text, "--span1_index", "0", "--span2_index", "4")
    assert code == 0
    assert out.strip().endswith(("(True)", "(False)", "(not a valid answer)"))
    code, _, err = glue("--task", "wsc", *text, "--span1_index", "zero", "--span2_index", "4")
    assert (code, err) == (2, "glue: column 'span1_index' must be JSON, not 'zero'\n")


TABLE = "sentence1\tsentence2\tlabel\nA dog sleeps.\tAn animal rests.\twhatever\nA cat.\tNo cat.\t\n"
LINES = '{"sentence1": "A dog sleeps.", "sentence2": "An animal rests."}\n\n{"sentence1": "A cat.", "sentence2": "No cat.", "label": 7}\n'


@pytest.mark.parametrize("text", [TABLE, LINES, "\ufeff" + TABLE.replace("\n", "\r\n")])
def test_rows_come_from_files_of_either_form_and_need_no_label(glue, tmp_path, text):
    (tmp_path / "rows").write_text(text, encoding="utf-8", newline="")
    code, out, err = glue("--task", "rte", "--rows", tmp_path / "rows", "--json")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    alone = json.loads(glue("--task", "rte", *[x for k, v in PAIR.items() for x in (f"--{k}", v)], "--json")[1])
    assert first["answer"] == alone["answer"]
    assert first["shares"] == pytest.approx(alone["shares"], abs=1e-5)
    assert second["valid"]


def test_rows_come_from_stdin(glue, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES.encode())))
    code, out, _ = glue("--task", "rte", "--rows", "-")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[3:5]] == ["1", "2"]


def test_help_names_the_fields(glue):
    code, out, _ = glue("--task", "mnli", "--help")
    assert code == 0
    assert "--premise" in out
    assert "--hypothesis" in out
    assert "--premise" not in glue("--help")[1].partition("Options:")[2]


MISTAKES = [
    ((), "name a task with --task: its fields become options (glue predict RUN --task NAME --help)"),
    (("--task", "rtee"), "unknown task 'rtee': did you mean rte?"),
    (("--task", "rte", "--sentence1", "x"), "rte needs --sentence2, or rows with --rows"),
    (("--task", "rte", "--sentenc1", "x"), "did you mean --sentence1?"),
    (("--task", "rte", "--sentence1", "x", "--rows", "f"), "--rows brings its own fields: leave out --sentence1"),
    (("--task", "rte", "--rows", "/no/such/file"), "cannot read '/no/such/file': No such file or directory"),
    (("--task", "cola", "--sentence", "x"), "did not learn cola: it answers ax, mnli"),
]


@pytest.mark.parametrize(("given", "message"), MISTAKES)
def test_mistakes_are_one_line(glue, given, message):
    code, out, err = glue(*given)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


BROKEN = [
    (b"sentence1\tsentence2\na\n", "rows, line 2: expected 2 columns, found 1"),
    (
        b"sentence1\tsentense2\na\tb\n",
        "rows, line 2: column 'sentence2' is missing, found: sentence1, sentense2, label",
    ),
    (b'{"sentence1": "a", "sentence2": 3}\n', "rows, line 1: column 'sentence2' must be text, not 3"),
    (b'{"sentence1": "a"\n', "rows, line 1: not JSON"),
    (b'{"sentence1": "a", "sentence2": "b"}\n[]\n', "rows, line 2: a JSON list, not an object"),
    (b"sentence1\tsentence2\na\t\xff\n", "rows, line 2: not UTF-8: byte 2 of the line"),
    (b"sentence1\tsentence2\n", "rows holds no row: give JSON lines, or a table with the header sentence1, sentence2"),
    (b"", "rows holds no row"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN)
def test_a_broken_file_is_named_with_its_line(content, message):
    with pytest.raises(DataError) as caught:
        questions(RTE, io.BytesIO(content), "rows")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", [name for name, task in REGISTRY.tasks.items() if task.demo])
def test_every_task_can_be_asked_without_its_answer(name):
    task = REGISTRY.tasks[name]
    row = next(row for row in load_rows(task, next(iter(task.splits)), "demo:50") if task.encode(row))
    asked = question(task, {column: row[column] for column in fields(task)})
    assert asked.inputs in {text.inputs for text in task.encode(row)}


def test_a_row_that_t5_cannot_read_says_why():
    with pytest.raises(RowError, match="column 'entities' must be a list of texts, not 'Ann'"):
        question(REGISTRY.tasks["record"], {"passage": "", "query": "", "entities": "Ann"})


def test_a_model_of_bytes_is_read_back_from_what_it_saved(tmp_path):
    T5(from_scratch("tiny", 384), Bytes(), {}, toy_plan()).save(tmp_path)
    assert isinstance(load_model(toy_plan(model=str(tmp_path)), (), ()).tokenizer, Bytes)


def test_a_run_without_its_checkpoint_says_so(results, capsys):
    record = finished(Store(results), {"rte": {"accuracy": 50.0}})
    with pytest.raises(GlueError, match=f"run {record.id} has no checkpoint of step 100 any more: repeat it"):
        load(record, Store(results).run_folder(record.id), 100)
    code, _, err = runner(capsys)(
        "predict", record.id, "--task", "rte", "--sentence1", "a", "--sentence2", "b", "--results", results
    )
    assert code == 1
    assert "has no checkpoint of step 100" in err
    Store(results).discard(record.id)


def test_a_run_without_scores_says_so(results, capsys):
    record = finished(Store(results), {}, status="failed")
    code, _, err = runner(capsys)(
        "predict", record.id, "--task", "rte", "--sentence1", "a", "--sentence2", "b", "--results", results
    )
    assert (code, err) == (2, f"glue: run {record.id} has no scores, so that no step is the best: it is failed\n")
    Store(results).discard(record.id)


@pytest.mark.parametrize(
    "given",
    [["--task", "rtee"], ["--task", "cola", "--sentence", "x"], ["--task", "rte", "--rows", "/none"], ["--help"]],
)
def test_names_are_checked_before_torch_is_imported(results, record, given):
    code = (
        "import sys\nfrom glue_harness.cli import main\n"
        f"try: main(['predict', {record.id!r}, '--results', {str(results)!r}, *{given!r}])\nexcept SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'pandas', 'numpy'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "LOADED []"


def test_what_is_not_read_of_a_long_text_is_told(glue):
    long = " ".join(["word"] * 600)
    code, out, err = glue("--task", "rte", "--sentence1", long, "--sentence2", PAIR["sentence2"], "--json")
    assert code == 0
    lost = json.loads(out)["lost_tokens"]
    assert lost > 80
    assert err == f"1 of 1 rows are longer than max_input 512: the model did not see their last {lost:,} tokens\n"
