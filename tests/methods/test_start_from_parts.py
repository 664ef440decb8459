"""Runs that start from a run which kept only what its method trained: the rest is found, proved, and trained on."""

import json
import shutil

import pytest
from records import runner
from toys import toy_model

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import GlueError, UsageError
from glue_harness.data import load as load_rows
from glue_harness.lab.predict import load
from glue_harness.runs.origin import PART, find_origin
from glue_harness.runs.store import Store
from glue_harness.train.checkpoints import build

FAST = {"data": "demo:100", "steps": 4, "eval_every": 4, "batch_size": 8, "lr": 1e-2, "device": "cpu"}
REGISTRY = load_tasks()
METHODS = ("adapter", "lora", "prompt", "frozen", "unfreeze", "full")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    toy_model(seed=3).save(folder)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def plan(model, **changes) -> Plan:
    return Plan("rte", **{"model": str(model), **FAST, **changes})


@pytest.fixture(scope="module")
def trained(base, results):
    """A finished run of each method, made when it is asked for."""
    made = {}

    def of(method):
        if method == "lora":
            pytest.importorskip("peft")
        if method not in made:
            made[method] = run(plan(base, method=method), results=results)
        return made[method]

    return of


def texts(model, record, results):
    """What a model says to the questions that a run was scored on, and what the run said."""
    task = REGISTRY.task("rte")
    stored = Store(results).read_predictions(record.id, task)
    rows = load_rows(task, "validation", FAST["data"])
    answers = model.answers(task, [task.examples(rows[int(p.example.id)], int(p.example.id))[0] for p in stored])
    return [(p.text, p.scores) for p in answers], [(p.text, pytest.approx(p.scores, abs=1e-4)) for p in stored]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("after", ["the same", "full", "adapter"])
def test_a_run_goes_on_from_where_the_other_ended(method, after, trained, results):
    first, after = trained(method), method if after == "the same" else after
    model = f"run:{first.id}"
    second = run(plan(model, method=after), results=results)
    assert second.environment["model"]["run"] == first.id
    found = load(second, results / second.id, 4)
    said, stored = texts(found, second, results)
    assert said == stored
    whole = Store(results).run(second.id).checkpoint(4) / "model.safetensors"
    assert whole.exists() == (after in ("full", "unfreeze") and method in ("frozen", "unfreeze", "full"))


@pytest.mark.parametrize("method", METHODS)
def test_it_begins_with_the_very_weights(method, trained, results):
    first = trained(method)
    begun = build(find_origin(plan(f"run:{first.id}"), Store(results), REGISTRY), plan(f"run:{first.id}"))
    ended = load(first, results / first.id, 4).model
    assert {n: p.tolist() for n, p in begun.module.named_parameters()} == {
        n: p.tolist() for n, p in ended.module.named_parameters()
    }


def test_parts_of_parts_are_put_together(trained, results):
    """An adapter, then the last block over it, then the adapter again: two weights of one model."""
    first = trained("adapter")
    second = run(plan(f"run:{first.id}", method="frozen"), results=results)
    third = run(plan(f"run:{second.id}", method="adapter", adapter_trains="adapters"), results=results)
    assert [part.plan.method for part in find_origin(plan(f"run:{third.id}"), Store(results), REGISTRY).parts] == [
        "adapter",
        "frozen",
        "adapter",
    ]
    assert third.parameters["total"] == first.parameters["total"]
    said, stored = texts(load(third, results / third.id, 4), third, results)
    assert said == stored


def test_a_model_from_scratch_is_drawn_again(results):
    """With the seed and the vocabulary that the first run had, whatever those of the second are."""
    first = run(plan("tiny", method="frozen", seed=5), results=results)
    second = run(plan(f"run:{first.id}", method="frozen", seed=6, data="demo:120"), results=results)
    assert second.status == "finished"
    assert second.environment["model"]["vocabulary"] == first.environment["model"]["vocabulary"]


def test_it_is_resumed_with_the_same_bits(trained, results, tmp_path):
    class Interrupt:
        def assembled(self, *_): ...
        def scored(self, *_): ...
        def stepped(self, setup, state):
            if state.step == 3:
                raise KeyboardInterrupt

    first = trained("adapter")
    shutil.copytree(results / first.id, tmp_path / first.id)
    wanted = plan(f"run:{first.id}", eval_every=2)
    whole = run(wanted, results=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(wanted, results=tmp_path, watcher=Interrupt())
    resumed = run(None, results=tmp_path, resume="latest")
    assert (resumed.resumed, resumed.status) == ([2], "finished")
    weights = [Store(tmp_path).run(one.id).checkpoint(4) / PART for one in (whole, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("method", "changes", "line"),
    [
        ("adapter", {"adapter_width": 64}, "adapter_width is 64, but what its run has added to model 'run:"),
        ("lora", {"lora_rank": 2}, "has 8: use --set lora_rank=8"),
        ("prompt", {"prompt_length": 3}, "has 20: use --set prompt_length=20"),
    ],
)
def test_what_was_added_keeps_its_size(method, changes, line, trained, results):
    first = trained(method)
    with pytest.raises(UsageError) as refused:
        run(plan(f"run:{first.id}", method=method, **changes), results=results)
    assert line in str(refused.value)


@pytest.fixture
def moved(base, tmp_path):
    """A run in a folder of its own, on a base that may be touched."""
    own = shutil.copytree(base, tmp_path / "base")
    return own, run(plan(own, method="frozen"), results=tmp_path / "results"), tmp_path / "results"


def refusal(model, results, capsys) -> str:
    options = ("--task", "rte", "--data", "demo:100", "--steps", "2", "--batch-size", "8", "--results", results)
    code, out, err = runner(capsys)("run", "--model", model, *options)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_a_base_that_is_gone_or_another_is_named(moved, capsys):
    own, first, results = moved
    toy_model(seed=4).save(own)
    line = f"model 'run:{first.id}' is a part that was trained of '{own}': checkpoint '"
    assert line in (found := refusal(f"run:{first.id}", results, capsys))
    assert "on a base that is not this model: give it the model of its plan, unchanged" in found
    shutil.rmtree(own)
    assert f"model 'run:{first.id}' is a part that was trained of '{own}': " in refusal("run:latest", results, capsys)


def test_an_earlier_run_that_is_gone_is_named(moved, capsys):
    _, first, results = moved
    second = run(plan(f"run:{first.id}", method="frozen"), results=results)
    shutil.rmtree(results / first.id)
    line = (
        f"model 'run:{second.id}': run {second.id} kept only what its method trained (frozen) of run {first.id}, which"
    )
    assert line in refusal(f"run:{second.id}", results, capsys)
    with pytest.raises(GlueError, match=f"of run {first.id}, which is no longer in"):
        load(second, results / second.id, 4)


@pytest.mark.parametrize(
    ("model", "reason"),
    [({"run": "own", "step": 4}, "says that it started from itself"), ({"run": "own"}, "does not say which run")],
)
def test_a_record_that_leads_nowhere_is_no_endless_search(model, reason, moved, capsys):
    _, first, results = moved
    file = results / first.id / "record.json"
    values = json.loads(file.read_text())
    values["environment"]["model"] = {**model, "run": first.id}
    file.write_text(json.dumps(values), encoding="utf-8")
    assert reason in refusal(f"run:{first.id}", results, capsys)


def test_the_folder_of_a_part_leads_to_its_run(moved, capsys):
    _, first, results = moved
    folder = Store(results).run(first.id).checkpoint(4)
    line = f"model '{folder}' holds only what was trained of another model: name its run, --model run:{first.id}"
    assert line in refusal(folder, results, capsys)
