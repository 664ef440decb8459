"""`glue compare --all-pairs`: each run against each other, in one family of tests."""

import json

import pytest
from records import finished, runner

from glue_harness.cli.demo import STORY
from glue_harness.core.task import Text
from glue_harness.metrics import measure
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

TASK = load_tasks().task("rte")
N = 100


@pytest.fixture
def runs(tmp_path):
    """Three runs, of which the last two differ and the first is close to the second."""
    store, made = Store(tmp_path / "results"), []
    for lr, step in ((1e-3, 8), (3e-4, 7), (1e-4, 2)):
        examples = [TASK.example(Text("", TASK.labels[k % 2]), str(k), {}) for k in range(N)]
        answers = [TASK.prediction(e, e.target if k % step else "nothing") for k, e in enumerate(examples)]
        made.append(finished(store, {"rte": measure(TASK.metrics, answers)}, tasks=("rte",), lr=lr))
        store.run(made[-1].id).write_predictions("rte", answers)
    return made


def test_pairs_are_of_the_tasks_that_both_have(runs, tmp_path, capsys):
    other = finished(Store(tmp_path / "results"), {"boolq": {"accuracy": 60.0}}, tasks=("boolq",))
    code, out, err = runner(capsys)("compare", "--all-pairs", *(run.id for run in runs[:2]), other.id, "--json")
    assert (code, err) == (0, "")
    assert [(score["name"], score["pair"]) for score in json.loads(out)["scores"]] == [("rte.accuracy", "A B")]


def test_each_pair_is_compared(runs, capsys):
    code, out, err = runner(capsys)("compare", "--all-pairs", *(run.id for run in runs), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["settings"] == {"A": "lr 0.001", "B": "lr 0.0003", "C": "lr 0.0001"}
    scores = {score["pair"]: score["difference"] for score in found["scores"]}
    assert list(scores) == ["A B", "A C", "B C"]
    means = [run.scores["rte"].metrics["accuracy"] for run in runs]
    assert scores["B C"]["value"] == pytest.approx(means[2] - means[1])
    assert scores["B C"]["p_holm"] < 0.05 < scores["A B"]["p_holm"]
    assert scores["B C"]["verdict"] == "these two models differ"
    largest = max(scores.values(), key=lambda difference: difference["p"])
    smallest = min(scores.values(), key=lambda difference: difference["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, 3 * smallest["p"]))
    assert largest["p_holm"] == pytest.approx(largest["p"])


def test_the_table_says_which_is_which(runs, capsys):
    _, out, _ = runner(capsys)("compare", "--all-pairs", *(run.id for run in runs))
    assert [line for line in out.splitlines() if line[:1] in ("A", "B", "C")] == [
        f"{letter}  {run.id}: lr {lr}"
        for letter, run, lr in zip("ABC", runs, ("0.001", "0.0003", "0.0001"), strict=True)
    ]
    assert [line.split()[:3] for line in out.splitlines() if " RTE " in line] == [
        ["RTE", *pair] for pair in ("AB", "AC", "BC")
    ]
    assert "Holm's correction over all 3 tests" in out
    assert "one seed a side tells two models apart, not two recipes" in out
    assert not any(line.rstrip().endswith(" 0.000") for line in out.splitlines())


def test_a_changed_record_is_refused(runs, capsys, tmp_path):
    runs[1].scores["rte"].metrics["accuracy"] = 155.0
    Store(tmp_path / "results").save(runs[1])
    for how in ((), ("--all-pairs",)):
        code, _, err = runner(capsys)("compare", *how, runs[0].id, runs[1].id)
        assert code != 0
        assert err == f"glue: run {runs[1].id}: rte.accuracy is 155, not between 0 and 100: its record was changed\n"


def test_the_demo_compares_its_two_mixings_and_an_encoder_with_each_other():
    lines = [line for _, lines in STORY for line in lines]
    place = lines.index("compare --all-pairs {runs}")
    before = lines[place - 3 : place]  # as many as it names
    assert [("--mixing" in line, "--model bert:tiny" in line) for line in before] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert {line.split()[2] for line in before} == {"cola,mnli,rte"}
