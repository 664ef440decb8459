"""Every verb that reads a run or asks for a model knows encoders: one small run of a model from scratch, seen as users do."""

import csv
import json
import zipfile

import pytest
from conftest import ROOT
from encoders import write_encoder
from records import runner

from glue_harness import Plan, run
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store

TASKS = ("rte", "stsb", "copa", "wic", "squad")  # every kind of head
SMALL = {"data": "demo:60", "model": "bert:tiny", "steps": 4, "eval_every": 2, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def record(results):
    return run(Plan(TASKS, mixing="equal", **SMALL), results=results)


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_tasks_and_show_say_which_head_answers_a_task(glue):
    facts = {fact["task"]: fact["head"] for fact in json.loads(glue("tasks", "--json")[1])}
    assert [facts[name] for name in TASKS] == ["label", "number", "choice", "marks", "span"]
    assert facts["wmt_en_de"] is None
    code, out, _ = glue("tasks", "--suite", "qa")
    assert (code, "head" in out.splitlines()[1].split()) == (0, True)
    assert [line.split()[3] for line in out.splitlines() if line.startswith(" squad ")] == ["span"]
    assert "head number, of an encoder" in " ".join(glue("show", "stsb", "--n", "0")[1].split())
    assert "head none: an encoder cannot learn it" in " ".join(glue("show", "wmt_en_de", "--n", "0")[1].split())


def test_a_dry_run_trains_nothing(glue, tmp_path):
    options = ("--data", "demo:60", "--model", "bert:tiny", "--results", tmp_path, "--dry-run", "--json")
    found = json.loads(glue("run", "--task", "rte,stsb", *options)[1])
    assert not list(tmp_path.iterdir())
    assert found["parameters"]["trainable"] == found["parameters"]["total"] > 500_000
    assert set(found["mix"]) == {"rte", "stsb"}


def test_doctor_loads_its_weights_and_names_its_heads(glue, results, record):
    folder = RunFolder(results / record.id).checkpoint(4)
    code, out, err = glue("doctor", "--data", "demo:60", "--task", "rte,squad", "--model", folder, "--results", results)
    assert (code, err) == (0, "")
    assert "bert, heads: " in " ".join(out.split())


def test_curves_have_its_scores_and_its_loss_per_example(glue, results, record):
    code, out, err = glue("curve", record.id, "--results", results)
    assert (code, err) == (0, "")
    assert "Training loss per example" in out
    assert all(title in out for title in ("RTE", "STS-B", "COPA", "WiC", "SQuAD"))


def test_curves_beside_a_t5_say_both_terms(glue, results, record):
    other = run(Plan(("rte",), **{**SMALL, "model": "tiny"}), results=results)
    out = glue("curve", record.id, other.id, "--results", results)[1]
    assert "training loss per example or target token" in out.lower()


def test_boards_have_its_family_and_size(glue, results, record, tmp_path):
    assert glue("board", "--results", results, "--out", tmp_path)[0] == 0
    (row,) = (
        row
        for row in csv.DictReader((tmp_path / "glue-demo.csv").open())
        if row["model"] == "bert:tiny" and record.id in row["runs"]
    )
    assert (row["family"], int(row["parameters"])) == ("encoder (bert)", record.parameters["total"])
    assert float(row["stsb.pearson_corrcoef"]) == record.scores["stsb"].metrics["pearson_corrcoef"]


def test_a_run_of_all_of_glue_is_submitted(glue, tmp_path):
    made = run(Plan(("glue",), **{**SMALL, "data": "demo:30", "steps": 2, "eval_every": 2}), results=tmp_path)
    answers = tmp_path / "demo.zip"
    code, _, err = glue(
        "submit", made.id, "--results", tmp_path, "--out", answers, "--data", "demo:30", "--fill-missing"
    )
    assert code == 0, err
    with zipfile.ZipFile(answers) as made_of:
        numbers, labels = (made_of.read(name).decode().splitlines()[1:] for name in ("STS-B.tsv", "AX.tsv"))
    assert all(0 <= float(line.split("\t")[1]) <= 5 for line in numbers)
    assert {line.split("\t")[1] for line in labels} <= {"entailment", "neutral", "contradiction"}


def test_one_encoder_is_trained_together_and_then_tuned_with_the_heads_that_it_has(glue, tmp_path):
    """MT-DNN's two stages: every task's own head goes on."""
    command = ("run", "--task", "rte,stsb", "--data", "demo:60", "--model", "bert:tiny", "--steps", "2", "--quiet")
    code, _, err = glue(*command, "--strategy", "multitask-finetune", "--batch-size", "8", "--results", tmp_path)
    assert code == 0, err
    first, *tuned = Store(tmp_path).load_all()[0]
    assert [set(record.scores) for record in (first, *tuned)] == [{"rte", "stsb"}, {"rte"}, {"stsb"}]
    for record, name in zip(tuned, ("rte", "stsb"), strict=True):
        start = record.environment["model"]
        assert (start["run"], start["heads"]) == (first.id, {name: f"of {name}"})


@pytest.mark.parametrize("options", [(), ("--method", "prompt")])
def test_inputs_longer_than_its_positions_are_said_to_be_cut(options, glue, tmp_path):
    command = ("run", "--task", "squad", "--data", "demo:40", "--model", "bert:tiny", "--steps", "1", "--quiet")
    code, _, err = glue(*command, *options, "--set", "max_input=600", "--results", tmp_path)
    assert code == 0, err
    (record,) = Store(tmp_path).load_all()[0]
    most = 512 - (record.plan["prompt_length"] if options else 0)
    line = f"inputs are cut at {most} tokens, not at max_input 600: model 'bert:tiny' has no more positions"
    assert record.notes.count(line) == 1


BAD = [
    (("--task", "wmt_en_de"), "cannot write texts, which wmt_en_de needs: use a T5"),
    (("--task", "rte", "--answers", "strict"), "answers is 'strict' but model 'bert:tiny' writes no text"),
    (("--task", "rte", "--set", "loss_weights={cola = 2.0}"), "loss_weights has 'cola', which is not trained"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_what_it_cannot_do_is_one_line_and_leaves_nothing(given, message, glue, tmp_path):
    results = tmp_path / "results"
    command = ("run", "--data", "demo:40", "--model", "bert:tiny", "--steps", "2", "--results", results)
    code, out, err = glue(*command, *given)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert not Store(results).load_all()[0]


@pytest.mark.parametrize("where", ["auto_map", "pickle", "type", "vocabulary"])
def test_a_folder_that_must_not_or_cannot_be_loaded_is_one_line(where, glue, tmp_path):
    folder, results = write_encoder(tmp_path / "model", "bert"), tmp_path / "results"
    config = json.loads((folder / "config.json").read_text())
    if where == "auto_map":
        config["auto_map"] = {"AutoModel": "modeling.Own"}
        (folder / "modeling.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')")
    if where == "type":
        config["model_type"] = "xlnet"
    if where == "vocabulary":
        config["vocab_size"] = 10
    (folder / "config.json").write_text(json.dumps(config))
    if where == "pickle":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    code, out, err = glue("run", "-t", "rte", "--data", "demo:40", "-m", folder, "--steps", "2", "--results", results)
    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("glue: ")]
    assert str(folder) in line
    assert not (tmp_path / "was_run").exists()
    assert not Store(results).load_all()[0]


def test_the_command_for_a_pickle_converts_it(glue, tmp_path, monkeypatch):
    """What the message says is run as it stands."""
    import subprocess
    import sys

    import torch
    from safetensors.torch import load_file

    folder = write_encoder(tmp_path / "model", "bert")
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    command = ("run", "-t", "rte", "--data", "demo:40", "-m", folder, "--steps", "1", "--results", tmp_path / "results")
    _, _, err = glue(*command)
    code = err.rpartition('python -c "')[2].rpartition('"')[0]
    assert code.startswith("from transformers")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)
    assert torch.equal(load_file(folder / "model.safetensors")[name := sorted(weights)[0]], weights[name])
    assert glue(*command)[0] == 0
