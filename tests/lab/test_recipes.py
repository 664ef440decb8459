"""T5's recipe by name: its values, lengths by suite, what overrides it, and what the record says."""

import pytest
from records import runner

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import plan_from
from glue_harness.lab.recipes import Applied, values_of
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
