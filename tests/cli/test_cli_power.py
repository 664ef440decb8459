"""`glue power` as a user sees it."""

import json
import statistics

import pytest
from records import finished, runner
from test_cli_compare import answered

from glue_harness.metrics.power import Spread, least_between_models, least_between_recipes
from glue_harness.runs.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_without_own_runs_it_is_that_of_t5(store, glue):
    code, out, err = glue("power", "--task", "rte,mnli", "--json")
    assert (code, err) == (0, "")
    found = {one["name"]: one for one in json.loads(out)["values"]}
    assert found.keys() == {"rte.accuracy", "mnli_matched.accuracy", "mnli_mismatched.accuracy"}
    rte = Spread(1.393, 9, "T5")
    assert found["rte.accuracy"]["source"] == "Raffel et al. 2020, Table 16"
    assert found["rte.accuracy"]["recipes"]["5"] == pytest.approx(least_between_recipes(rte, 5))
    assert found["rte.accuracy"]["models"] == pytest.approx(least_between_models(rte))
    shown = glue("power", "--task", "rte")[1]
    assert "k=10" in shown
    assert "<5.52" in shown
    assert "sd over seeds from Raffel et al. 2020, Table 16" in shown


def test_own_plans_with_three_seeds_come_first(store, glue):
    runs = [answered(store, lambda k, s=s: k % (4 + s) != 0, seed=s)[0] for s in range(3)]
    answered(store, lambda k: k % 2 == 0, seed=0, steps=7)  # another plan with one seed
    finished(store, {"rte": {"accuracy": 1.0}}, seed=9, status="failed", tasks=("rte",))
    (found,) = json.loads(glue("power", "--data", "demo", "--json")[1])["values"]
    assert found["sd"] == pytest.approx(statistics.stdev(run.scores["rte"].metrics["accuracy"] for run in runs))
    assert found["source"] == "1 plan of 3 runs here"
    assert found["churn"] > 0
    assert found["own_sd"] == pytest.approx(max(0, found["sd"] ** 2 - found["churn"]) ** 0.5)


def test_on_data_of_which_nothing_is_known_it_says_what_to_do(store, glue):
    assert glue("power", "--data", "demo") == (
        1,
        "",
        "glue: no spread of seeds is known on demo: run three seeds of a plan or more (glue run --seeds 3)\n",
    )


def test_a_dry_run_says_what_seeds_will_find(store, glue, tmp_path):
    plan = ("run", "--task", "rte", "--data", "demo:100", "--model", "tiny", "--steps", "2", "--dry-run")
    code, out, _ = glue(*plan)
    assert code == 0
    assert "what seeds can find is not known here: glue power, after three seeds of a plan or more" in out
