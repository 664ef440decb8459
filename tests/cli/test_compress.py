"""`glue compress` as a user sees it: weights in fewer bits are a run like any other, of every family that can."""

import json

import pytest
import torch
from decoders import write_decoder
from encoders import encoder_run, write_encoder
from records import finished, runner
from safetensors import safe_open

from glue_harness import Plan, load_tasks, run
from glue_harness.data import load as load_rows
from glue_harness.data.rows import examples_of
from glue_harness.lab.predict import load
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
SMALL = {"data": "demo:60", "steps": 2, "eval_every": 2, "batch_size": 8, "device": "cpu", "precision": "fp32"}
KINDS = {"int8-dynamic": ("--int8", "dynamic"), "int8-weight-only": ("--int8", "weight-only"), "bf16": ("--bf16",)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def bases(results, tmp_path_factory):
    """A finished run of each family."""
    models = tmp_path_factory.mktemp("models")
    llama, bert = write_decoder(models / "llama", "llama"), write_encoder(models / "bert", "bert")
    plans = {"llama": Plan("rte", model=str(llama), **SMALL), "t5": Plan("rte", model="tiny", **SMALL)}
    found = {name: run(plan, results=results) for name, plan in plans.items()}
    found["bert"] = whole = encoder_run(results, bert, "rte", "stsb", steps=4)
    fewer = Plan("rte", model=f"run:{whole.id}", method="prune", pruned="heads", keep=0.5, **SMALL)
    return found | {"bert with fewer heads": run(fewer, results=results)}


@pytest.fixture
def glue(results, capsys):
    call = runner(capsys)
    return lambda *given: call(*given, "--results", results)


def compressed(glue, results, base, kind, *more):
    code, out, err = glue("compress", base.id, *KINDS[kind], "--no-cost", "--json", *more)
    assert code == 0, err
    return Store(results).find(json.loads(out)["id"])


def weights_of(results, record):
    (file,) = (results / record.id / "checkpoints").rglob("*.safetensors")
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, file.stat().st_size  # noqa: SIM118


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bert", "t5", "llama", "bert with fewer heads"])
def test_what_is_loaded_again_answers_as_it_was_scored(family, kind, glue, results, bases):
    record = compressed(glue, results, bases[family], kind)
    store = Store(results)
    assert (record.status, record.plan["weights"], record.environment["model"]["run"]) == (
        "finished",
        kind,
        bases[family].id,
    )
    # two steps were tried of the encoder, one of the others: who chose is said where somebody did
    assert any("was chosen among 2 by scores on these rows" in note for note in record.notes) == (family == "bert")
    weights, size = weights_of(results, record)
    base, base_size = weights_of(results, bases[family])
    small = torch.bfloat16 if kind == "bf16" else torch.int8
    assert sum(w.dtype == small for w in weights.values()) >= 12
    assert size < 0.9 * base_size
    if kind != "bf16":  # what the whole numbers stand for is never further off than half of one
        for name, weight in weights.items():
            if weight.dtype == torch.int8:
                scale = weights[name.removesuffix("weight") + "scale"]
                assert bool(((weight * scale[:, None] - base[name]).abs() <= 0.501 * scale[:, None]).all())
    trained = load(record, store.run_folder(record.id), 0, REGISTRY)
    for name in record.scores:
        examples = list(examples_of(REGISTRY.tasks[name], load_rows(REGISTRY.tasks[name], "validation", "demo:60")))
        kept = store.read_predictions(record.id, REGISTRY.tasks[name])
        again = trained.answers(REGISTRY.tasks[name], examples)
        assert [(p.text, p.scores) for p in again] == [(p.text, p.scores) for p in kept]
        alone = trained.answers(REGISTRY.tasks[name], examples[:1])  # whatever else is in its batch
        assert [p.text for p in alone] == [kept[0].text]


def test_asked_twice_it_is_the_run_that_is_there(glue, results, bases):
    first = compressed(glue, results, bases["bert"], "bf16")
    code, out, err = glue("compress", bases["bert"].id, "--bf16", "--no-cost", "--json")
    assert (code, json.loads(out)["id"]) == (0, first.id)
    assert err == f"run {first.id} is that already, finished\n"


def test_repeats_of_a_plan_become_repeats_of_a_plan(glue, results, bases, tmp_path):
    other = run(Plan("rte", model="tiny", **SMALL, seed=1), results=results)
    plans = {compressed(glue, results, base, "int8-dynamic").digest for base in (bases["t5"], other)}
    assert len(plans) == 1


def test_an_export_has_the_floats_that_the_whole_numbers_stand_for(glue, results, bases, tmp_path):
    from transformers import AutoModelForSequenceClassification

    record = compressed(glue, results, bases["bert"], "int8-weight-only")
    code, _, err = glue("export", record.id, "--task", "rte", "--out", tmp_path / "out")
    assert (code, err) == (0, "its int8-weight-only weights are written as the floats of 32 bits that they stand for\n")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    weights, _ = weights_of(results, record)
    name = "bert.encoder.layer.0.output.dense"
    wanted = weights[f"{name}.weight"].float() * weights[f"{name}.scale"][:, None]
    assert torch.equal(model.get_submodule(name).weight, wanted)


def test_transformers_refuses_the_checkpoint_itself(glue, results, bases):
    from transformers import AutoModel

    record = compressed(glue, results, bases["bert"], "int8-dynamic")
    with pytest.raises(OSError, match="no file named"):
        AutoModel.from_pretrained(results / record.id / "checkpoints" / "step-00000000")


def said(glue, *given):
    code, out, err = glue(*given)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


def test_bad_input_is_one_line(glue, results, bases):
    base = bases["bert"].id
    assert "say how: --int8 dynamic, --int8 weight-only or --bf16, one of them" in said(glue, "compress", base)
    assert "one of them" in said(glue, "compress", base, "--bf16", "--int8", "dynamic")
    assert "unknown run 'nope'" in said(glue, "compress", "nope", "--bf16")
    failed = finished(Store(results), status="failed")
    assert f"run {failed.id} is failed, not finished" in said(glue, "compress", failed.id, "--bf16")
    assert f"run {base} has no score of mnli" in said(glue, "compress", base, "--bf16", "--task", "mnli")
    small = compressed(glue, results, bases["bert"], "int8-dynamic").id
    assert f"run {small} is compressed already" in said(glue, "compress", small, "--bf16")
    further = said(glue, "run", "--task", "rte", "--model", f"run:{small}", "--steps", "2", "--data", "demo:60")
    assert "has int8-dynamic weights, which do not learn" in further
    learns = said(glue, "run", "--task", "rte", "--model", f"run:{base}", "--set", "weights=bf16", "--data", "demo:60")
    assert "weights is bf16, which do not learn, but the plan has 1,000 steps: glue compress" in learns


def test_it_is_scored_on_other_rows_as_any_model_is(glue, results, bases):
    small = compressed(glue, results, bases["bert"], "int8-dynamic").id
    given = ("--model", f"run:{small}", "--steps", "0", "--data", "demo:40", "--task", "rte,stsb", "--device", "cpu")
    code, out, err = glue("run", *given, "--json")
    assert code == 0, err
    again = Store(results).find(json.loads(out)["id"])
    assert again.environment["model"]["weights"] == "int8-dynamic"
    code, out, err = glue("compress", again.id, "--bf16")
    assert (code, out) == (2, "")
    assert "has compressed weights already" in err


def test_families_without_such_matrices_are_refused(glue, results, tmp_path):
    gpt2 = write_decoder(tmp_path / "gpt2", "gpt2")
    for model in (str(gpt2), "cbow"):
        base = run(Plan("rte", model=model, **SMALL), results=results)
        assert "no matrices that 8-bit weights stand in for" in said(glue, "compress", base.id, "--int8", "dynamic")


def test_parts_that_a_method_added_are_refused(glue, results, bases):
    base = run(Plan("rte", model="bert:tiny", method="adapter", **SMALL), results=results)
    assert "has parts that its method added" in said(glue, "compress", base.id, "--bf16")


def test_eight_bits_are_for_cpus(glue, results, bases):
    """Without a GPU: what is asked of the machine is all that the refusal looks at."""
    from glue_harness.core.errors import UsageError
    from glue_harness.core.plan import plan_from
    from glue_harness.lab.assemble import refuse_int8_on_gpu
    from glue_harness.train.device import Machine

    store, gpu = Store(results), Machine(torch.device("cuda"), "bf16")
    for kind, is_refused in (("int8-dynamic", True), ("int8-weight-only", True), ("bf16", False)):
        record = compressed(glue, results, bases["t5"], kind)
        model = load(record, store.run_folder(record.id), 0, REGISTRY).model
        if is_refused:
            with pytest.raises(UsageError, match="are for CPUs: use --device cpu"):
                refuse_int8_on_gpu(model, plan_from(record.plan), gpu)
        else:
            refuse_int8_on_gpu(model, plan_from(record.plan), gpu)
