"""Recipes by name: their values, lengths by suite, what overrides them, whom they are for, and what the record says."""

import json

import pytest
from encoders import write_encoder
from records import runner

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import plan_from
from glue_harness.lab.recipes import FROM_MNLI, MODERNBERT, RECIPES, Applied, advice, values_of
from glue_harness.models.families import known_of
from glue_harness.runs.store import Store

REGISTRY = load_tasks()


def plan(*tasks: str) -> Plan:
    return plan_from({"tasks": tasks, **values_of("t5", tasks, REGISTRY)})


def test_t5s_values():
    made = plan("glue")
    assert (made.optimizer, made.lr, made.schedule, made.warmup, made.clip) == ("adafactor", 1e-3, "constant", 0, None)
    assert (made.dropout, made.steps, made.eval_every, made.z_loss) == (0.1, 262_144, 5000, 1e-4)
    assert made.batch_tokens == 65_536
    assert (made.answers, made.max_answer, made.mixing, made.limit) == ("strict", 128, "proportional", 524_288)


@pytest.mark.parametrize(
    ("tasks", "lengths"),
    [
        (("glue",), (512, 84)),
        (("rte", "cola"), (512, 84)),
        (("superglue",), (512, 62)),
        (("squad",), (512, 97)),
        (("wmt_en_de",), (512, 512)),
        (("glue", "squad"), (512, 512)),
    ],
)
def test_lengths_are_those_of_the_suite(tasks, lengths):
    assert (plan(*tasks).max_input, plan(*tasks).max_target) == lengths


def test_what_is_changed_is_said():
    assert Applied("t5", REGISTRY).note(plan("rte")) == "recipe t5"
    changed = plan("rte").replace(steps=10, clip=1.0)
    assert Applied("t5", REGISTRY).note(changed) == "recipe t5, but steps 10, clip 1.0"


def test_the_modern_recipe_answers_among_valid_answers():
    made = plan_from({"tasks": ("rte",), **values_of("modern", ("rte",), REGISTRY)})
    assert (made.optimizer, made.schedule, made.answers, made.batch_size) == ("adafactor", "constant", "closed", 32)
    assert made.batch_tokens is None


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UsageError, match="unknown recipe 't6': did you mean t5"):
        values_of("t6", ("rte",), REGISTRY)


def test_options_override_it_and_the_record_tells(tmp_path, capsys):
    small = ("--data", "demo:200", "--model", "tiny", "--steps", "2", "--batch-size", "4", "--set", "answers=closed")
    code, _, err = runner(capsys)("run", "--task", "rte", "--recipe", "t5", *small, "--results", tmp_path, "-q")
    assert code == 0, err
    (record,), _ = Store(tmp_path).load_all()
    assert record.notes[0] == "recipe t5, but steps 2, batch_tokens None, answers closed"
    made = plan_from(record.plan)
    assert (made.optimizer, made.steps, made.max_target, made.eval_every) == ("adafactor", 2, 84, 5000)


# Encoders


def of(name: str, *tasks: str, size: int | None = None) -> Plan:
    return plan_from({"tasks": tasks, "model": "bert:base", **values_of(name, tasks, REGISTRY, size)})


def test_berts_values():
    made = of("bert", "rte")
    assert (made.optimizer, made.lr, made.schedule, made.epochs, made.batch_size) == ("adamw", 2e-5, "linear", 3, 32)
    assert (made.warmup_share, made.weight_decay, made.decayed, made.clip) == (0.1, 0.01, "matrices", 1.0)
    assert (made.max_input, of("bert", "squad").max_input) == (128, 512)


def test_the_stable_recipe_is_berts_for_longer():
    made = of("stable", "rte")
    assert (made.epochs, made.batch_size) == (20, 16)
    assert made.replace(epochs=3.0, batch_size=32) == of("bert", "rte")


def test_robertas_values():
    made = of("roberta", "cola")
    assert (made.lr, made.epochs, made.batch_size, made.warmup_share) == (2e-5, 10, 32, 0.06)
    assert (made.weight_decay, made.decayed, made.clip, made.max_input) == (0.1, "all", None, 512)


@pytest.mark.parametrize(
    ("size", "rate", "decay"), [(256, 3e-4, 0.8), (768, 1e-4, 0.8), (1024, 5e-5, 0.9), (None, 1e-4, 0.8)]
)
def test_electras_values_are_by_size_and_task(size, rate, decay):
    made = of("electra", "cola", size=size)
    assert (made.lr, made.layer_decay, made.epochs, made.weight_decay, made.warmup_share) == (rate, decay, 3, 0, 0.1)
    assert [of("electra", *tasks).epochs for tasks in (("rte",), ("stsb",), ("rte", "stsb"), ("rte", "cola"))] == [
        10,
        10,
        10,
        3,
    ]
    assert of("electra", "squad").epochs == 2


def test_modernberts_values_are_those_of_its_table():
    base, large = of("modernbert", "mrpc", size=768), of("modernbert", "mrpc", size=1024)
    assert (base.lr, base.weight_decay, base.epochs, base.batch_size) == (5e-5, 5e-6, 10, 64)
    assert (large.lr, large.weight_decay, large.epochs, large.batch_size) == (8e-5, 5e-6, 2, 64)
    assert of("modernbert", "cb").replace(tasks=("rte",)) == of("modernbert", "rte")
    assert of("modernbert", "rte", "cola").replace(tasks=("mnli",)) == of("modernbert", "mnli")
    assert set(MODERNBERT) == set(REGISTRY.suites["glue"])


def test_every_recipe_makes_a_plan_of_every_task():
    for name in RECIPES:
        for tasks in (("rte",), ("glue",), ("superglue",), ("glue", "squad")):
            model = "bert:base" if RECIPES[name].family == "encoder" else "t5:base"
            assert plan_from({"tasks": tasks, "model": model, **values_of(name, tasks, REGISTRY)})
    assert set(FROM_MNLI) < set(REGISTRY.tasks)


def test_a_recipe_of_another_family_is_refused(capsys, tmp_path):
    glue = runner(capsys)
    folder = write_encoder(tmp_path / "model", "electra")
    capsys.readouterr()
    for recipe, model, family, other, fix in (
        ("bert", "tiny", "encoder", "t5", "use --recipe modern"),
        ("t5", "bert:tiny", "t5", "encoder", "use --recipe bert"),
        ("modern", folder, "t5", "encoder", "use --recipe bert"),
    ):
        told = f"recipe {recipe} is for the family {family}, but model '{model}' is of the family {other}: {fix}"
        code, _, err = glue("run", "-t", "rte", "--data", "demo", "--recipe", recipe, "-m", model)
        assert (code, err) == (2, f"glue: {told}, or another --model\n")


def test_what_is_known_of_a_model_before_it_is_loaded(tmp_path):
    assert known_of("bert:small") == ("encoder", 512)
    assert known_of("tiny").family == "t5"
    assert known_of(str(write_encoder(tmp_path / "a", "electra"))) == ("encoder", 32)
    assert known_of(str(write_encoder(tmp_path / "b", "distilbert"))) == ("encoder", 32)
    assert known_of("nobody/has-this-model") == (None, None)  # offline: loading it will say so


def test_the_size_of_a_model_chooses_its_rate(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "electra", "hidden_size": 256}), encoding="utf-8")
    from glue_harness.cli.run import plan_of

    given = {"names": ("rte",), "model": str(tmp_path), "recipe": "electra"}
    assert plan_of({}, {}, given, REGISTRY, Store(tmp_path / "results"))[0].lr == 3e-4


def test_the_record_says_where_a_recipes_source_starts(tmp_path):
    note = Applied("modernbert", REGISTRY).note
    assert note(of("modernbert", "cola")) == "recipe modernbert"
    assert note(of("modernbert", "rte")) == (
        "recipe modernbert, but not from MNLI's best step, where its source starts (--strategy two-rounds)"
    )
    assert note(of("modernbert", "rte").replace(model="run:a@mnli")) == "recipe modernbert"
    assert note(of("modernbert", "cola").replace(epochs=1.0)) == "recipe modernbert, but epochs 1.0"
    assert Applied("bert", REGISTRY).note(of("bert", "rte").replace(steps=5)) == "recipe bert, but steps 5"


PRETRAINED = {"family": "encoder (bert)", "kind": "pretrained"}


@pytest.mark.parametrize(
    ("changes", "origin", "warns"),
    [
        ({}, PRETRAINED, True),
        ({"method": "unfreeze"}, PRETRAINED, True),
        ({"lr": 3e-4}, PRETRAINED, False),
        ({"method": "adapter"}, PRETRAINED, False),
        ({"optimizer": "adafactor"}, PRETRAINED, False),
        ({}, {**PRETRAINED, "run": "a"}, False),
        ({}, {"family": "encoder (bert)", "kind": "from scratch"}, False),
        ({}, {"family": "t5", "kind": "pretrained"}, False),
    ],
)
def test_a_rate_that_is_t5s_is_too_high_for_a_pretrained_encoder(changes, origin, warns):
    said = advice(Plan("rte", **changes), origin)
    assert said == (
        "lr 0.001 is high for a pre-trained encoder that learns whole: see --recipe bert" if warns else None
    )


def test_a_runs_head_warns_of_the_rate(tmp_path, capsys):
    folder = write_encoder(tmp_path / "model", "bert")
    command = ("run", "-t", "rte", "--data", "demo:40", "-m", folder, "--batch-size", "8", "--results", tmp_path)
    code, _, err = runner(capsys)(*command, "--epochs", "0.2")
    assert code == 0
    assert "lr 0.001 is high for a pre-trained encoder that learns whole: see --recipe bert" in err
    code, _, err = runner(capsys)(*command, "--recipe", "bert", "--epochs", "0.2")
    assert code == 0
    assert "is high" not in err
    record = Store(tmp_path).load_all()[0][-1]
    assert record.notes[0] == "recipe bert, but epochs 0.2, batch_size 8"


def test_another_optimizer_leaves_the_settings_of_the_recipes_behind():
    given = {"tasks": ("rte",), "model": "bert:tiny", "optimizer": "adafactor"}
    recipe = Applied("bert", REGISTRY, given=given)
    plan = plan_from({**recipe.settings(("rte",)), **given})
    assert (plan.optimizer, plan.epochs, plan.weight_decay) == ("adafactor", 3, 0)
    assert recipe.note(plan) == "recipe bert, but optimizer adafactor, weight_decay 0.0, decayed all"
