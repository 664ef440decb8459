"""`glue compare` as a user sees it, and what may be believed of it."""

import json
import statistics

import pytest
from records import GLUE, finished, runner, scores

from glue_harness.core.task import Text
from glue_harness.metrics import measure
from glue_harness.metrics.stats import compare_paired, holm
from glue_harness.report import spread
from glue_harness.report.comparison import ScoreDifference, compare
from glue_harness.report.experiments import Experiment
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
N = 60


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def answered(store, right, task="rte", targets=None, **plan):
    """A finished run with predictions; `right` says which of them are."""
    task = REGISTRY.tasks[task]
    targets = targets or [task.labels[k % 2] for k in range(N)]
    examples = [task.example(Text("", target), str(k), {}) for k, target in enumerate(targets)]
    wrong = dict(zip(task.labels, reversed(task.labels), strict=True))
    predictions = [task.prediction(e, e.target if right(k) else wrong[e.target]) for k, e in enumerate(examples)]
    run = finished(store, {task.name: measure(task.metrics, predictions)}, tasks=(task.name,), **plan)
    store.run(run.id).write_predictions(task.name, predictions)
    return run, predictions


def mostly(k):
    return k % 10 != 0


def rarely(k):
    return k % 3 == 0


def compared(glue, *runs):
    code, out, err = glue("compare", *runs, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def line_of(comparison, name):
    return next(line for line in comparison["scores"] if line["name"] == name)


def test_a_difference_comes_with_interval_and_corrected_p(store, glue):
    (first, base), (second, other) = answered(store, rarely, "mrpc"), answered(store, mostly, "mrpc", steps=7)
    comparison = compared(glue, first.id, second.id)
    assert comparison.keys() == {"runs", "settings", "scores", "tests", "notes", "transfer"}
    assert comparison["transfer"] == []
    task = REGISTRY.tasks["mrpc"]
    expected = {}
    for metric in task.metrics:
        expected |= compare_paired([metric.tally(base)], [metric.tally(other)])
    ours = {line["name"]: line["differences"][1] for line in comparison["scores"]}
    assert ours.keys() == {"mrpc.f1", "mrpc.accuracy"}
    assert ours["mrpc.f1"]["value"] == pytest.approx(expected["f1"].difference)
    assert (ours["mrpc.f1"]["low"], ours["mrpc.f1"]["high"]) == (expected["f1"].low, expected["f1"].high)
    assert {found["test"] for found in ours.values()} == {"two-way t"}
    assert {found["over"] for found in ours.values()} == {"examples"}
    assert ours["mrpc.accuracy"]["least"] == pytest.approx((1.96 + 0.84) * expected["accuracy"].se, rel=0.02)
    p_values = {f"mrpc.{key}": found.p for key, found in expected.items()}
    assert {name: found["p_holm"] for name, found in ours.items()} == holm(p_values)
    assert comparison["tests"] == 2
    assert [line["best"] for line in comparison["scores"]] == [[1], [1]]
    assert [line["differences"][0] for line in comparison["scores"]] == [None, None]


def test_only_the_settings_that_differ_are_shown(store, glue):
    first, second = finished(store), finished(store, mixing="temperature", temperature=2.0)
    comparison = compared(glue, first.id, second.id)
    assert comparison["settings"] == {"mixing": ["proportional", "temperature"], "temperature": [1.0, 2.0]}
    assert comparison["runs"][0] == {
        "name": first.id,
        "runs": [first.id],
        "plan": first.digest,
        "seeds": [0],
        "data": "demo",
        "select": "validation",
        "steps": 1000,
        "seconds": 12.5,
        "invalid_percent": 0.0,
        "parameters": 2000,
        "trainable": 1000,
        "mix": {task: {"planned": 0.5, "share": 0.0, "examples": 0, "epochs": None} for task in ("cola", "rte")},
    }


def test_an_average_is_tested_as_one_statistic_of_all_examples(store, monkeypatch):
    """Of two tasks of 60 examples each, one of which is alike on both sides."""
    registry = load_tasks()
    pair = [registry.tasks[name] for name in ("rte", "qnli")]
    monkeypatch.setattr("glue_harness.report.comparison.averaged", lambda registry, suite: pair)
    monkeypatch.setattr("glue_harness.report.experiments.averaged", lambda registry, suite: pair)
    sides = []
    for right, seed in ((rarely, 0), (mostly, 1)):
        runs = [answered(store, rule, name, seed=seed) for rule, name in ((right, "rte"), (mostly, "qnli"))]
        values = {name: score.metrics for run, _ in runs for name, score in run.scores.items()}
        both = finished(store, values, tasks=("rte", "qnli"), seed=seed, steps=7 + seed)
        for task, (_, predictions) in zip(pair, runs, strict=True):
            store.run(both.id).write_predictions(task.name, predictions)
        sides.append(Experiment(both.id, (both,)))
    (line,) = [score for score in compare(sides, store, registry).scores if score.name == "glue.average"]
    difference, of_rte = line.differences[1], 100 * (0.9 - 1 / 3)
    assert difference.value == pytest.approx(of_rte / 2)
    assert difference.untested is None
    assert difference.low < of_rte / 2 < difference.high
    assert difference.p < 0.001


def test_the_average_of_a_suite_is_a_line(store, glue):
    comparison = compared(glue, finished(store).id, finished(store, shift=3, steps=7).id)
    line = line_of(comparison, "glue.average")
    assert [value["mean"] for value in line["values"]] == [50.0, 53.0]
    assert line["differences"][1]["value"] == pytest.approx(3)
    assert "cola.jsonl: it cannot be read" in line["differences"][1]["untested"]
    assert len(comparison["scores"]) == sum(map(len, GLUE.values())) + 1


def test_seeds_count_as_one_with_their_mean(store, glue):
    seeds = [answered(store, lambda k, s=s: k % (8 + s) != 0, seed=s)[0] for s in range(3)]
    single, _ = answered(store, rarely, steps=7)
    by_digest = compared(glue, single.id, seeds[0].digest)
    by_commas = compared(glue, single.id, ",".join(run.id for run in seeds))
    assert by_digest == by_commas
    assert by_digest["runs"][1]["name"] == f"plan {seeds[0].digest}"
    assert by_digest["runs"][1]["seeds"] == [0, 1, 2]
    (line,) = by_digest["scores"]
    mean = sum(run.scores["rte"].metrics["accuracy"] for run in seeds) / 3
    assert line["values"][1]["mean"] == pytest.approx(mean)
    assert line["values"][1]["deviation"] > 0
    assert line["differences"][1]["over"] == "examples"  # one side has a single seed
    assert line["differences"][1]["p_holm"] < 0.05
    assert line["differences"][1]["verdict"] == "these two models differ"


ALIKE = "no difference found between these two models; one seed cannot tell a recipe from luck"


def test_one_seed_says_something_of_two_models_only(store, glue):
    first, second, third = (
        answered(store, right, steps=steps)[0].id
        for steps, right in enumerate((rarely, mostly, lambda k: k % 9 != 0), 5)
    )
    verdicts = [
        line_of(compared(glue, *pair), "rte.accuracy")["differences"][1]["verdict"]
        for pair in ((first, second), (second, third))
    ]
    assert verdicts == ["these two models differ", ALIKE]
    _, out, _ = glue("compare", second, third)
    assert f"{ALIKE[0].upper()}{ALIKE[1:]}: RTE (B), where " in out
    assert " would be found with 80 %\n" in out
    assert "p after Holm's correction over 1 test\n" in out


def test_recipes_are_judged_by_two_seeds_a_side_or_more(store, glue):
    def plan(steps, right):
        return [answered(store, lambda k, s=s: right(k, s), seed=s, steps=steps)[0] for s in range(3)][-1].digest

    apart = plan(1, lambda k, s: k % (8 + s) != 0), plan(2, lambda k, s: k % (2 + s) != 0)
    found = line_of(compared(glue, *apart), "rte.accuracy")["differences"][1]
    assert (found["over"], found["verdict"]) == ("seeds and examples", "no difference found")  # seeds lie far apart
    assert found["luck"] is None
    clear = plan(3, lambda k, s: (k + s) % 2 != 0), plan(4, lambda k, s: (k + s) % 12 != 0)
    found = line_of(compared(glue, *clear), "rte.accuracy")["differences"][1]
    assert (found["value"], found["verdict"]) == (pytest.approx(125 / 3), "better")


@pytest.mark.parametrize(
    ("p", "verdict"), [(0.049, "better"), (0.051, "no difference found"), (0.4, "no difference found")]
)
def test_five_percent_is_where_chance_ends(p, verdict):
    assert ScoreDifference(1.0, p=p, p_holm=p, over="seeds and examples").verdict == verdict


def test_luck_is_borrowed_of_own_plans_with_three_seeds(store, glue):
    (first, _), (second, _) = answered(store, rarely), answered(store, mostly, steps=7)
    assert line_of(compared(glue, first.id, second.id), "rte.accuracy")["differences"][1]["luck"] is None  # demo data
    seeds = [answered(store, lambda k, s=s: k % (2 + s) != 0, seed=s, steps=9)[0] for s in range(3)]
    values = [run.scores["rte"].metrics["accuracy"] for run in seeds]
    found = line_of(compared(glue, first.id, second.id), "rte.accuracy")["differences"][1]
    assert found["luck"]["sd"] == pytest.approx(statistics.stdev(values))
    assert found["luck"]["source"] == "1 plan of 3 runs here"
    assert found["luck"]["p"] > found["p"]
    assert (
        "With borrowed luck, the spread of 1 plan of 3 runs here, p not corrected: RTE (B) z="
        in glue("compare", first.id, second.id)[1]
    )


def test_only_the_latest_plans_with_three_seeds_tell_of_luck(store, monkeypatch):
    monkeypatch.setattr(spread, "LATEST_PLANS", 2)
    for steps in (1, 2, 3, 4):
        for seed in range(3 if steps < 4 else 2):
            finished(store, steps=steps, seed=seed, day=steps)
    late = finished(store, steps=1, seed=0, day=5)  # again: now it is the latest
    found = spread.worth_reading(store.by_age())
    plans = [store.find(entry.id).plan["steps"] for entry in found]
    assert plans == [3, 3, 3, 1, 1, 1, 1]
    assert found[-1].id == late.id


def test_luck_is_else_that_of_t5(store, glue):
    (first, _), (second, _) = (
        answered(store, right, data="hub", steps=steps) for steps, right in ((1, rarely), (2, mostly))
    )
    found = line_of(compared(glue, first.id, second.id), "rte.accuracy")["differences"][1]
    assert (found["luck"]["sd"], found["luck"]["source"]) == (1.393, "Raffel et al. 2020, Table 16")


def test_runs_of_different_plans_are_no_seeds_of_one(store, glue):
    first, second = finished(store), finished(store, steps=7)
    code, _, err = glue("compare", first.id, f"{first.id},{second.id}")
    assert code == 2
    assert err == f"glue: {second.id} does not repeat {first.id} but has another plan: put no comma between them\n"


def reason(glue, *runs, task="rte.accuracy"):
    line = line_of(compared(glue, *runs), task)
    difference = line["differences"][1]
    assert (difference["low"], difference["high"], difference["p"], difference["p_holm"]) == (None,) * 4
    return difference["untested"], line["best"]


def test_demo_and_real_data_are_never_tested_against_each_other(store, glue):
    (demo, _), (real, _) = answered(store, rarely), answered(store, mostly, data="hub")
    assert reason(glue, demo.id, real.id) == ("one is on demo data and one is not", [])
    notes = compared(glue, demo.id, real.id)["notes"]
    assert notes == [f"{demo.id} and {real.id}: one is on demo data and one is not, so their scores cannot be compared"]


def test_other_data_is_said_and_not_tested(store, glue):
    (first, _), (second, _) = answered(store, rarely), answered(store, mostly, steps=7)
    second.data["rte"] = {"validation": {"fingerprint": "other"}, "train": {"fingerprint": "other"}}
    store.save(second)
    assert reason(glue, first.id, second.id) == ("they were scored on different data", [])
    assert compared(glue, first.id, second.id)["notes"] == [
        f"{first.id} and {second.id} were scored on different data: rte",
        f"{first.id} and {second.id} were trained on different data: rte",
    ]


def test_other_examples_are_not_paired(store, glue):
    (first, _), (second, _) = answered(store, rarely), answered(store, mostly, steps=7, targets=["entailment"] * N)
    assert reason(glue, first.id, second.id) == ("they answered different examples", [1])


def test_missing_predictions_are_a_reason_not_an_error(store, glue):
    first, second = finished(store), finished(store, shift=3, steps=7)
    text, best = reason(glue, first.id, second.id)
    assert text == f"{store.folder}/{first.id}/predictions/rte.jsonl: it cannot be read: No such file or directory"
    assert best == [1]


def test_predictions_must_give_the_recorded_score(store, glue):
    (first, _), (second, _) = answered(store, rarely), answered(store, mostly, steps=7)
    second.scores = scores({"rte": {"accuracy": 99.0}})
    store.save(second)
    assert reason(glue, first.id, second.id)[0] == "the kept predictions give other scores than the record"


def test_a_task_that_is_not_loaded_is_shown_untested(store, glue):
    first = finished(store, {"mine": {"accuracy": 1.0}}, tasks=("mine",))
    second = finished(store, {"mine": {"accuracy": 2.0}}, tasks=("mine",), steps=7)
    expected = "the task is not loaded: name its folder with --tasks"
    assert reason(glue, first.id, second.id, task="mine.accuracy") == (expected, [1])


def test_an_unfinished_run_is_said_to_be_one(store, glue):
    first, second = finished(store), finished(store, status="interrupted", steps=7)
    assert compared(glue, first.id, second.id)["notes"] == [
        f"{second.id} is interrupted: it shows what was measured until then"
    ]


def test_the_table_marks_the_best_and_fits(store, glue):
    (first, _), (second, _) = answered(store, rarely), answered(store, mostly, steps=7)
    code, out, err = glue("compare", first.id, second.id)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["RTE", "33.33", "*", "90.00"] in rows
    assert ["steps", "1,000", "7"] in rows
    assert "+56.67 (+" in out
    assert "p<0.001" in out
    assert first.id in out
    assert max(map(len, out.splitlines())) <= 120


def test_untested_differences_are_listed_with_their_reason(store, glue):
    first, second = finished(store), finished(store, shift=3, steps=7)
    _, out, _ = glue("compare", first.id, second.id)
    assert "glue average (B): " in out.partition("Not tested: ")[2]


def test_runs_without_scores_are_compared_by_their_plans(store, glue):
    first, second = finished(store, {}, status="failed"), finished(store, {}, status="failed", steps=7)
    code, out, _ = glue("compare", first.id, second.id)
    assert code == 0
    assert "none of these runs has a score" in out
    assert "1,000" in out


def test_the_only_value_is_not_the_best_and_nor_are_equals(store, glue):
    first, other = finished(store), finished(store, {"rte": GLUE["rte"]}, steps=7)
    lines = compared(glue, first.id, other.id)["scores"]
    assert {line["name"]: line["best"] for line in lines} == {line["name"]: [] for line in lines}
    assert "*" not in glue("compare", first.id, other.id)[1].replace("* best", "")


def test_two_of_three_can_share_the_best(store, glue):
    runs = [finished(store, {"rte": {"accuracy": value}}, steps=k) for k, value in enumerate((60.0, 50.0, 60.0), 1)]
    assert compared(glue, *(run.id for run in runs))["scores"][0]["best"] == [0, 2]


@pytest.mark.parametrize("names", [("{0}", "{0}"), ("{0}", "{1},{0}"), ("{1}", "{0},{0}")])
def test_a_run_is_not_compared_with_itself(store, glue, names):
    ids = [finished(store, seed=seed).id for seed in (0, 1)]
    expected = f"glue: run '{ids[0]}' is named twice: name each run once\n"
    assert glue("compare", *(name.format(*ids) for name in names)) == (2, "", expected)


@pytest.mark.parametrize("runs", [(), ("latest",)])
def test_one_run_is_nothing_to_compare(glue, runs):
    code, out, err = glue("compare", *runs)
    assert (code, out) == (2, "")
    assert err == f"glue: compare takes 2 to 26 runs, not {len(runs)}: glue compare RUN RUN\n"


def test_an_unknown_run_is_one_line(store, glue):
    run = finished(store)
    assert glue("compare", run.id, f"{run.id}x") == (
        2,
        "",
        f"glue: unknown run '{run.id}x': did you mean {run.id}?\n",
    )
