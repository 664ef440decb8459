"""`glue cost` as a user sees it: what is counted is right, what is timed is there, and all is kept beside the records."""

import json

import pytest
from encoders import encoder_run, write_encoder
from records import finished, runner

from glue_harness import Plan, run
from glue_harness.runs import costs
from glue_harness.runs.store import Store


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def base(results, tmp_path_factory):
    return encoder_run(results, write_encoder(tmp_path_factory.mktemp("model"), "bert"), "rte", "stsb", steps=2)


@pytest.fixture
def glue(results, capsys):
    call = runner(capsys)
    return lambda *given: call(*given, "--results", results)


FEW = ("--examples", "6", "--rounds", "2")


def test_bytes_and_numbers_are_counted_and_times_are_taken_in_turns(glue, results, base):
    code, out, err = glue("compress", base.id, "--bf16", "--json", "--no-cost", "--task", "rte")
    small = json.loads(out)["id"]
    code, out, err = glue("cost", base.id, small, base.id, *FEW, "--json")  # a run named twice is measured once
    assert code == 0, err
    found = {cost["run"]: cost for cost in json.loads(out)}
    assert list(found) == [base.id, small]
    for run_id, cost in found.items():
        (file,) = (results / run_id / "checkpoints").rglob("*.safetensors")
        assert cost["bytes"] == file.stat().st_size
        assert (cost["task"], cost["examples"], cost["singles"]) == ("rte", 6, 6)
        assert {name: len(each) for name, each in cost["rounds"].items()} == {
            "milliseconds": 2,
            "examples_per_second": 2,
        }
        assert cost["milliseconds"] > 0
        assert cost["examples_per_second"] > 0
        assert costs.read(run_id, Store(results)).bytes == cost["bytes"]
    assert found[base.id]["beside"] == [small]
    assert 0 < found[small]["nonzero"] <= found[small]["parameters"] < found[base.id]["parameters"] + 1
    assert found[small]["bytes"] < 0.6 * found[base.id]["bytes"]


def test_zeros_are_not_counted(glue, results, base):
    """The biases of fresh layers are zeros: what is counted is what is on disk."""
    import torch
    from safetensors.torch import load_file

    _, out, _ = glue("cost", base.id, *FEW, "--json")
    (file,) = (results / base.id / "checkpoints").rglob("*.safetensors")
    weights = load_file(file)
    (cost,) = json.loads(out)
    assert cost["parameters"] == sum(weight.numel() for weight in weights.values())
    assert cost["nonzero"] == sum(int(torch.count_nonzero(weight)) for weight in weights.values())


def test_of_a_part_the_base_is_counted_too(glue, results, base):
    plan = Plan("rte", model=f"run:{base.id}", method="frozen", data="demo:60", steps=2, batch_size=8, device="cpu")
    part = run(plan.replace(precision="fp32"), results=results)
    _, out, _ = glue("cost", part.id, *FEW, "--json")
    (whole,) = (results / base.id / "checkpoints").rglob("model.safetensors")
    (trained,) = (results / part.id / "checkpoints").rglob("*.safetensors")
    assert json.loads(out)[0]["bytes"] == whole.stat().st_size + trained.stat().st_size


def test_the_table_fits_the_screen_and_says_how_it_was_measured(glue, base):
    code, out, _ = glue("cost", base.id, *FEW)
    assert code == 0
    assert "medians of 2 rounds" in out
    assert "6 validation rows of rte" in out
    assert out.splitlines()[0] == f"A  {base.id}"
    assert "1 thread, torch" in out


def test_compress_measures_both_unless_told_not_to(glue, results, base, monkeypatch):
    monkeypatch.setattr("glue_harness.cli.cost.EXAMPLES", 4)
    monkeypatch.setattr("glue_harness.cli.cost.ROUNDS", 1)
    code, out, _ = glue("compress", base.id, "--int8", "dynamic", "--task", "stsb", *("-q",))
    assert code == 0
    assert "took turns" in out
    assert costs.read(base.id, Store(results)).task == "stsb"


def said(glue, *given, code=2):
    found, out, err = glue(*given)
    assert (found, out, err.count("\n")) == (code, "", 1), err
    return err


def test_bad_input_is_one_line(glue, results, base):
    store = Store(results)
    other = finished(store, {"cola": {"matthews_corrcoef": 10.0}})
    assert "no task was scored in all of these runs" in said(glue, "cost", base.id, other.id)
    assert "has no score of mnli" in said(glue, "cost", base.id, "--task", "mnli")
    assert "has no checkpoint of step 100 any more" in said(glue, "cost", other.id, code=1)
    assert "unknown run" in said(glue, "cost", "nope")


def test_a_damaged_file_says_how_it_is_made_anew(results, base):
    from glue_harness.core.errors import DataError

    store = Store(results)
    (store.run_folder(base.id) / "cost.json").write_text('{"schema": 1, "run": 3}')
    with pytest.raises(DataError, match=f"cost.json: .*; glue cost {base.id} measures it anew"):
        costs.read(base.id, store)
    assert costs.read("nothing-here", store) is None
