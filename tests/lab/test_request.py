"""What the names in a plan mean: suites, mixtures, halved RTEs, refusals."""

import pytest
from conftest import golden

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.request import make_request, rates
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
SIZES = {"rte": 100, "superglue_rte": 100, "cb": 50}


def names(*tasks: str) -> list[str]:
    return [task.name for task in make_request(Plan(tasks), REGISTRY).trained]


def test_every_builtin_task_loads():
    assert not REGISTRY.broken


def test_a_suite_is_its_members_and_companions():
    assert "dpr" in names("superglue")
    assert "wnli" not in names("glue")
    assert "wnli" in names("glue-all")


def test_two_suites_halve_the_two_rtes():
    both = Plan(("glue+superglue",), limit=None)
    assert set(names("glue+superglue")) == {*names("glue"), *names("superglue")}
    assert rates(both, REGISTRY, SIZES) == {"rte": 50, "superglue_rte": 50, "cb": 50}
    assert rates(Plan(("rte", "superglue_rte", "cb"), limit=None), REGISTRY, SIZES) == SIZES


def test_t5s_glue_mixture_has_t5s_rates():
    assert set(names("t5:glue")) == set(names("glue"))
    found = rates(Plan(("t5:glue",)), REGISTRY, dict.fromkeys(names("t5:glue"), 10))
    assert found["mnli"] == 392_702
    assert found["qqp"] == 363_849


def test_t5s_own_names_of_mixtures_work_as_in_glue_mix():
    assert names("glue_v002_proportional") == names("t5:glue")


def test_official_counts_of_training_examples():
    counts = {task.name: task.training_examples for task in REGISTRY.tasks.values() if task.training_examples}
    assert counts == {"record": 138_854, "wsc": 259}


def test_a_whole_registered_mixture_keeps_its_rates():
    line = next(x for x in golden("mixing") if x["raw"].get("mixture") == "super_glue_v102_proportional")
    plan = Plan(("t5:super_glue",))
    found = rates(plan, REGISTRY, dict.fromkeys(names("t5:super_glue"), 10))
    expected = {REGISTRY.task(name).name: rate for name, rate in line["expect"]["rates"].items() if rate}
    assert found == pytest.approx(expected, rel=1e-9)


def test_mixtures_beside_tasks_need_weights():
    plan = Plan(("t5:glue", "squad"))
    with pytest.raises(UsageError, match=r"t5:glue beside other tasks: .*--rate t5:glue=1"):
        rates(plan, REGISTRY, {"squad": 10})
    weighted = plan.replace(mixing="custom", rates={"t5:glue": 3.0, "squad": 1.0})
    found = rates(weighted, REGISTRY, {**dict.fromkeys(names("t5:glue"), 10), "squad": 10})
    assert found["squad"] == 1
    assert sum(found.values()) == pytest.approx(4)


def test_a_mixtures_own_rates_are_not_overridden_silently():
    with pytest.raises(UsageError, match="t5:glue has its own rates: leave out --mixing equal"):
        rates(Plan(("t5:glue",), mixing="equal"), REGISTRY, {"rte": 1})


def test_a_member_without_a_task_is_named():
    with pytest.raises(UsageError, match=r"members without a task here: .*trivia_qa_v010"):
        make_request(Plan(("t5:squad_trivia_qa_equal",)), REGISTRY)


def test_scoring_tasks_of_a_trained_one_are_scored_once():
    chosen = make_request(Plan(("mnli", "mnli_matched")), REGISTRY)
    assert [task.name for task in chosen.scored] == ["mnli_matched", "mnli_mismatched"]
