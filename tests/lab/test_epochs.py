"""A run as long as so many epochs: what names it, what its steps become, and which of two lengths wins."""

import json
import math

import pytest
from records import finished, runner
from toys import toy_plan

from glue_harness import Plan, load_tasks, run
from glue_harness.cli.run import plan_of
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.plan_file import read_plan
from glue_harness.core.settings import over
from glue_harness.data.mixing import steps_of
from glue_harness.lab.estimate import evaluated_every
from glue_harness.lab.strategy import NEVER, stages_of
from glue_harness.report.board import make_boards
from glue_harness.report.experiments import differing, settings_apart
from glue_harness.runs.resume import agreed_plan
from glue_harness.runs.store import Store
from glue_harness.train.optimizers import learning_rate

REGISTRY = load_tasks()
FAST = {"data": "demo:50", "model": "tiny", "batch_size": 8, "device": "cpu", "precision": "fp32"}


# What names a run


def test_steps_that_follow_are_no_part_of_the_experiment():
    plan = Plan("rte", epochs=3)
    assert (plan.epochs, plan.steps) == (3.0, 0)
    counted = plan.lasting(17)
    assert (counted.epochs, counted.steps, counted.length) == (3.0, 17, "3 epochs")
    assert counted.digest == plan.digest
    assert plan.digest not in (Plan("rte").digest, Plan("rte", epochs=2).digest)
    assert "steps" not in counted.to_dict()
    assert "epochs" not in Plan("rte").to_dict()


def test_plans_that_count_steps_have_the_digests_that_they_had():
    """Runs on record before there were epochs repeat those of today."""
    assert Plan("rte").digest == "cacee11149c6"
    assert Plan(("rte", "cola"), steps=5, model="tiny", data="demo").digest == "07260d9b3b53"


def test_one_length_takes_the_place_of_the_other():
    plan = Plan("rte", epochs=3).lasting(17)
    assert (plan.replace(steps=5).epochs, plan.replace(steps=5).steps) == (None, 5)
    assert (plan.replace(lr=0.1).epochs, plan.replace(lr=0.1).steps) == (3.0, 17)
    assert (plan.replace(epochs=4).epochs, plan.replace(epochs=4).steps) == (4.0, 0)
    assert over({"steps": 5, "warmup": 1}, {"epochs": 2.0, "warmup_share": 0.1}) == {"epochs": 2.0, "warmup_share": 0.1}
    assert over({"steps": 5}, {"epochs": None}) == {"steps": 5, "epochs": None}


def test_a_plan_file_keeps_what_was_asked_for(tmp_path):
    plan = Plan("rte", epochs=0.5).lasting(9)
    (tmp_path / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
    values = read_plan(tmp_path / "plan.toml")
    assert "steps" not in values
    assert plan_from(values) == Plan("rte", epochs=0.5)


BOTH = "steps is 5 and epochs 2: a run has one length, give one of them"


def test_two_lengths_at_once_are_refused_wherever_they_are_given(tmp_path, capsys):
    with pytest.raises(UsageError, match=f"^plan: {BOTH}$"):
        Plan("rte", steps=5, epochs=2)
    file = tmp_path / "plan.toml"
    file.write_text('tasks = ["rte"]\nsteps = 5\nepochs = 2\n', encoding="utf-8")
    glue = runner(capsys)
    assert glue("run", "--plan", file) == (2, "", f"glue: {file}: {BOTH}\n")
    assert glue("run", "-t", "rte", "--steps", "5", "--set", "epochs=2") == (2, "", f"glue: command line: {BOTH}\n")
    assert glue("mix", "-t", "rte", "--steps", "5", "--epochs", "2") == (2, "", f"glue: command line: {BOTH}\n")


@pytest.mark.parametrize("epochs", ["0", "-1", "nan", "inf", "1e9"])
def test_epochs_that_make_no_sense_are_refused(epochs, capsys):
    code, _, err = runner(capsys)("run", "-t", "rte", "--demo", "--epochs", epochs)
    assert code == 2
    assert err.startswith("glue: epochs must be between 0 and 1e+06, not ")


def test_what_is_said_later_wins(tmp_path):
    """--demo and a recipe count steps, an option epochs, and the other way round."""
    store = Store(tmp_path)

    def made(demo=(), **given):
        return plan_of({}, dict(demo), {"names": ("rte",), **given}, REGISTRY, store)[0]

    assert made([("steps", 400)], epochs=2.0).epochs == 2
    assert made(recipe="t5", model="tiny", epochs=2.0).steps == 0
    assert made(recipe="bert", model="bert:tiny").epochs == 3
    assert (made(recipe="bert", model="bert:tiny", steps=7).epochs, made(recipe="bert", model="bert:tiny").steps) == (
        None,
        0,
    )
    file = tmp_path / "plan.toml"
    file.write_text(Plan("rte", steps=70).to_toml(), encoding="utf-8")
    assert made(file=file, epochs=2.0).epochs == 2


# What its steps become


def test_an_epoch_is_as_many_draws_as_there_are_examples():
    sizes = {"a": 30, "b": 70, "never": 1000}
    rates = {"a": 1.0, "b": 5.0, "never": 0.0}
    assert steps_of(1, sizes, rates, 10) == 10
    assert steps_of(1.01, sizes, rates, 10) == 11
    assert steps_of(0.1, {"a": 30}, {"a": 1.0}, 1) == 3  # 3.0000000000000004
    assert steps_of(1e-6, sizes, rates, 10) == 1


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A run of 1.3 epochs of two tasks, of 50 rows each."""
    folder = tmp_path_factory.mktemp("results")
    plan = Plan("rte,cola", epochs=1.3, warmup_share=0.25, method="unfreeze", **FAST)
    return run(plan, results=folder), folder


def test_a_run_counts_its_examples(record):
    made, folder = record
    steps = math.ceil(1.3 * 100 / 8)
    assert (made.plan["epochs"], made.plan["steps"], made.last_step) == (1.3, steps, steps)
    assert made.digest == Plan("rte,cola", epochs=1.3, warmup_share=0.25, method="unfreeze", **FAST).digest
    assert [step for step, _ in made.history["rte"]] == [*range(1, steps + 1)]  # a tenth of 17 steps is 1
    assert sum(mix["seen"] for mix in made.mix.values()) == 8 * steps
    assert sum(mix["examples"] for mix in made.mix.values()) == 8 * steps
    rates = {entry["step"]: entry["lr"] for entry in Store(folder).read_train(made.id)}
    assert rates[1] == pytest.approx(1e-3 / 4)  # a quarter of 17 steps are 4
    assert rates[steps] == pytest.approx(1e-3 / (steps - 4))
    assert "steps" not in read_plan(folder / made.id / "plan.toml")


def test_the_same_epochs_are_the_same_run_when_it_goes_on(record):
    made, _ = record
    asked = Plan("rte,cola", epochs=1.3, warmup_share=0.25, method="unfreeze", **FAST)
    assert agreed_plan(made, asked, force=False) == (asked.lasting(17), [])
    with pytest.raises(UsageError, match=r"is finished, under another plan: epochs 1.3 -> 2.0"):
        agreed_plan(made, asked.replace(epochs=2.0), force=False)


def test_a_model_starts_from_the_last_of_these_steps(record, tmp_path):
    made, folder = record
    again = run(Plan("rte", **{**FAST, "model": f"run:{made.id}"}, steps=1), results=folder)
    assert again.environment["model"]["step"] == 17


def test_updates_of_tokens_make_steps_of_the_examples_that_they_hold(tmp_path):
    plan = Plan("rte", **FAST, epochs=2, max_input=64, batch_tokens=256, eval_limit=10)
    made = run(plan, results=tmp_path)
    seen = made.mix["rte"]["seen"]
    assert 80 <= seen <= 120
    assert made.plan["steps"] == len(made.history["rte"])


def test_a_dry_run_tells_both(capsys):
    small = ("run", "-t", "rte", "--data", "demo:50", "-m", "tiny", "--epochs", "2", "--dry-run")
    code, out, _ = runner(capsys)(*small)
    assert code == 0
    assert "epochs = 2.0" in out
    assert "steps = " not in out
    assert "4 steps of 32 examples (2 epochs), adamw" in out
    found = json.loads(runner(capsys)(*small, "--json")[1])
    assert (found["steps"], found["plan"]["epochs"], found["evaluations"]) == (4, 2.0, 4)


def test_a_mix_knows_epochs(capsys):
    code, out, _ = runner(capsys)("mix", "-t", "rte,mrpc", "--epochs", "2", "--json")
    assert code == 0
    assert {task: round(of) for task, of in json.loads(out)["epochs"].items()} == {"rte": 2, "mrpc": 2}


def test_a_warm_up_is_a_share_of_the_steps():
    rate = learning_rate(toy_plan(lr=1.0, steps=25, warmup_share=0.1))
    assert [rate(step) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    with pytest.raises(UsageError, match=r"^warmup is 3 and warmup_share 0.1: give one of them$"):
        toy_plan(warmup=3, warmup_share=0.1)


# What reads results


def test_boards_and_comparisons_name_plans_by_their_epochs(tmp_path):
    store = Store(tmp_path)
    two, three = (Plan("rte", **FAST, epochs=epochs).lasting(steps) for epochs, steps in ((2, 13), (3, 19)))
    by_steps = Plan("rte", **FAST, steps=19)
    assert settings_apart([two, three]) == [{"epochs": "epochs 2"}, {"epochs": "epochs 3"}]
    assert settings_apart([by_steps, three]) == [{"steps": "steps 19"}, {"epochs": "epochs 3"}]
    assert differing([two, three]) == {"epochs": [2.0, 3.0]}
    assert differing([by_steps, three]) == {"steps": [19, None], "epochs": [None, 3.0]}
    more = Plan("rte", **FAST, epochs=3, train_limit=20).lasting(8)
    assert settings_apart([three, more]) == [{"train_limit": "train limit none"}, {"train_limit": "train limit 20"}]
    for seed in (0, 1):
        made = finished(store, **{**FAST, "tasks": ("rte",)}, epochs=3, seed=seed)
        made.plan["steps"] = 19
        store.save(made)
    (board,) = [board for board in make_boards(store.load_all()[0], REGISTRY, "glue") if board.rows]
    assert board.rows[0].steps == 19
    assert "3 epochs" in board.common


# Strategies


def test_what_comes_first_in_a_strategy_is_twice_as_long():
    first, tuned, _ = stages_of("multitask-finetune", Plan("rte,cola", epochs=1.5), REGISTRY)
    assert (first.plan.epochs, first.plan.eval_every, tuned.plan.epochs) == (3.0, NEVER, 1.5)
    first, tuned, _ = stages_of("multitask-finetune", Plan("rte,cola", epochs=1.5), REGISTRY, 10)
    assert (first.plan.steps, first.plan.epochs, tuned.plan.epochs) == (10, None, 1.5)


def test_a_dry_run_of_a_strategy_counts_steps(tmp_path, capsys):
    command = ("run", "-t", "rte,cola", "--data", "demo:50", "-m", "tiny", "--epochs", "1", "--strategy", "single")
    code, out, _ = runner(capsys)(*command, "--dry-run", "--json", "--results", tmp_path)
    assert code == 0
    assert [stage["steps"] for stage in json.loads(out)["stages"]] == [2, 2]


def test_evaluations_are_spread_over_the_steps():
    assert evaluated_every(Plan("rte", epochs=2).lasting(100)) == 10


def test_the_tables_of_the_paper_count_steps(capsys):
    code, _, err = runner(capsys)("reproduce", "table11", "--demo", "--set", "epochs=2", "--dry-run")
    assert (code, err) == (2, "glue: the tables of the paper count steps: use --steps or --scale, not epochs\n")
