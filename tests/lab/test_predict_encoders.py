"""Runs of encoders put to use: every head and every method answers a user's rows as the run itself did."""

import json
from dataclasses import replace

import pytest
from encoders import encoder_run, write_encoder
from records import runner

from glue_harness import load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.data import load as load_rows
from glue_harness.lab.predict import load
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
HEADS = ("mnli", "stsb", "copa", "wic", "squad", "record")  # every kind of head, and a choice of many
METHODS = ("full", "unfreeze", "frozen", "adapter", "lora", "prompt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("model"), "bert")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def record(results, folder):
    return encoder_run(results, folder, *HEADS)


@pytest.fixture
def glue(results, record, capsys):
    call = runner(capsys)
    return lambda *given: call("predict", record.id, *given, "--results", results)


def answers(results, record, name):
    """Beside those that the run kept, those of its checkpoint to the same rows."""
    task, store = REGISTRY.tasks[name], Store(results)
    trained = load(record, store.run_folder(record.id), record.scores[name].step, REGISTRY)
    rows = load_rows(task, "validation", record.plan["data"])
    examples = [example for number, row in enumerate(rows) for example in task.examples(row, number)]
    kept = store.read_predictions(record.id, task)
    return [prediction.text for prediction in trained.answers(task, examples)], [p.text for p in kept]


@pytest.mark.parametrize("name", ["mnli_matched", *HEADS[1:]])
def test_answers_are_those_of_the_run(name, results, record):
    found, kept = answers(results, record, name)
    assert found == kept


@pytest.mark.parametrize("model", ["folder", "bert:tiny"])
@pytest.mark.parametrize("method", METHODS)
def test_answers_are_those_of_the_run_whatever_its_method(method, model, results, folder):
    known = encoder_run(results, folder if model == "folder" else model, "rte", "stsb", "copa", method=method)
    for name in ("rte", "stsb", "copa"):
        found, kept = answers(results, known, name)
        assert found == kept


def test_a_number_has_no_shares(glue):
    code, out, err = glue("--task", "stsb", "--sentence1", "A dog.", "--sentence2", "A cat.", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert float(said["answer"]) == said["label"]
    assert said["shares"] == {}


def test_ax_is_answered_by_the_head_of_mnli(glue):
    pair = ("--premise", "It rains.", "--hypothesis", "It is wet.", "--json")
    code, out, _ = glue("--task", "ax", *pair)
    assert code == 0
    assert out == glue("--task", "mnli", *pair)[1]


def test_a_part_of_the_text_is_found(glue):
    code, out, _ = glue("--task", "squad", "--question", "Who?", "--context", "the old painter is laughing")
    assert code == 0
    assert out.strip() in "the old painter is laughing"


UNREADABLE = [
    (("copa", "--premise=a", "--choice1=b", "--choice2=c", "--question=because"),
     "copa: row 1: column 'question' must be cause or effect, not 'because'"),
    (("record", "--passage=a", "--query=b", "--entities=[]"), "record: row 1: there is nothing to choose from"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), UNREADABLE)
def test_a_row_that_no_head_can_read_is_named(given, message, glue):
    assert glue("--task", *given) == (1, "", f"glue: {message}\n")


@pytest.mark.parametrize("method", ["frozen", "adapter"])
def test_labels_that_were_changed_since_are_refused_where_only_a_part_was_kept(method, results, folder):
    """The rest is loaded from elsewhere, with a head made for the labels of today: no shape would tell."""
    known = encoder_run(results, folder, "rte", "stsb", "copa", method=method)
    rte = REGISTRY.tasks["rte"]
    turned = replace(REGISTRY, tasks={**REGISTRY.tasks, "rte": replace(rte, choices=rte.choices[::-1])})
    with pytest.raises(UsageError, match=r"'rte' has the labels not_entailment, entailment, but model .* learned ent"):
        load(known, results / known.id, known.scores["rte"].step, turned)


def test_labels_that_were_changed_since_are_refused(results, record):
    """A head gives numbers: under other labels they would mean something else."""
    mnli = REGISTRY.tasks["mnli"]
    trained = load(record, results / record.id, record.scores["mnli_matched"].step, REGISTRY)
    turned = replace(mnli, choices=mnli.choices[::-1])
    with pytest.raises(UsageError, match=r"'mnli' has the labels contradiction, .*, but model .* learned entailment, "):
        trained.answers(turned, mnli.examples({"premise": "a", "hypothesis": "b", "label": 0}))
