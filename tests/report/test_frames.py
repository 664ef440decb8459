"""Results as frames of pandas, and what a notebook shows."""

import warnings
from pathlib import Path

import matplotlib
import pandas
import pytest
from conftest import ROOT
from records import GLUE, finished
from refresh_docs import fences

import glue_harness
from glue_harness import Plan, load_results
from glue_harness.core.html import table
from glue_harness.core.task import Prediction
from glue_harness.report import frames
from glue_harness.runs.store import Store


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two seeds of one plan, really trained."""
    results = tmp_path_factory.mktemp("results")
    plan = Plan("rte", data="demo:60", model="tiny", steps=4, batch_size=8, eval_every=2, lr=0.5)
    return results, [glue_harness.run(plan.replace(seed=seed), results=results) for seed in (0, 1)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_a_row_a_run_with_its_settings(done):
    results, records = done
    runs = load_results(results).runs
    assert tuple(runs.columns[: len(frames.RUNS)]) == frames.RUNS
    assert list(runs["run"]) == [record.id for record in records]
    assert list(runs["seed"]) == [0, 1]
    assert runs["digest"].nunique() == 1
    assert set(runs["lr"]) == {0.5}
    assert set(runs["steps"]) == {4}
    assert runs["started"].dt.tz is not None
    assert list(runs["tasks"]) == ["rte", "rte"]


def test_a_row_a_score(done):
    results, records = done
    scores = load_results(results).scores
    assert tuple(scores.columns) == frames.SCORES
    score = records[0].scores["rte"]
    row = scores.iloc[0]
    assert (row["task"], row["metric"], row["score"]) == ("rte", "accuracy", score.metrics["accuracy"])
    assert (row["low"], row["high"]) == tuple(score.intervals["accuracy"])
    assert (row["examples"], row["step"], row["baseline"]) == (score.n, score.step, score.baseline["accuracy"])


def test_history_has_scores_and_losses(done):
    results, records = done
    history = load_results(results).history
    of_first = history[(history["run"] == records[0].id)]
    scores = of_first[of_first["metric"] == "accuracy"]
    assert list(zip(scores["step"], scores["score"], strict=True)) == [
        (step, values["accuracy"]) for step, values in records[0].history["rte"]
    ]
    losses = of_first[of_first["metric"] == "loss"]
    logged = Store(results).read_train(records[0].id)
    assert list(losses["score"]) == [entry["task_losses"]["rte"] for entry in logged]


def test_predictions_add_up_to_the_score(done):
    results, records = done
    predictions = load_results(results).predictions
    assert len(predictions) == sum(record.scores["rte"].n for record in records)
    rights = predictions.groupby("run")["is_right"].mean() * 100
    for record in records:
        assert rights[record.id] == pytest.approx(record.scores["rte"].metrics["accuracy"])
    assert predictions["is_valid"].all()
    assert predictions["share"].between(0, 1).all()


def test_a_slice_has_frames_of_its_own(done):
    found = load_results(done[0])
    assert len(found) == 2
    assert len(found[1:].runs) == len(found[-1:]) == 1
    assert found[0].id == done[1][0].id


def test_without_runs_there_are_columns(tmp_path):
    found = load_results(tmp_path)
    for frame, columns in (
        (found.runs, frames.RUNS),
        (found.scores, frames.SCORES),
        (found.predictions, frames.PREDICTIONS),
    ):
        assert len(frame) == 0
        assert tuple(frame.columns) == columns


def test_what_cannot_be_read_is_named(store):
    record = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",))
    broken = store.folder / "20250101-000000-x-s0-00000000" / "record.json"
    broken.parent.mkdir()
    broken.write_text("{")
    found = load_results(store.folder)
    assert [path for path, _ in found.broken] == [broken]
    with pytest.warns(UserWarning, match=f"answers of {record.id} to rte are left out: .*rte.jsonl"):
        assert len(found.predictions) == 0


def test_undefined_scores_are_missing_values(store):
    finished(store, {"rte": {"accuracy": None}}, tasks=("rte",))
    assert load_results(store.folder).scores["score"].isna().all()


def test_the_lines_of_the_docs_draw_a_plot(done, monkeypatch):
    """As they stand there, in a folder with results."""
    matplotlib.use("Agg")
    (code,) = [block for block in fences(ROOT / "docs" / "runs.md", "python") if "load_results" in block]
    drawn = []
    monkeypatch.setattr(pandas.DataFrame, "plot", lambda frame: drawn.append(frame))
    monkeypatch.chdir(Path(done[0]).parent)
    exec(code.replace('"results"', repr(str(done[0]))), {})
    (frame,) = drawn
    assert list(frame.index) == [2, 4]
    assert list(frame.columns) == [("rte", "tiny")]


HOSTILE = "<script>alert(1)</script>"


def test_a_notebook_shows_tables_and_runs_nothing(store):
    first = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",), lr=0.5)
    second = finished(store, {"rte": GLUE["rte"]}, shift=3, tasks=("rte",), lr=0.1)
    for record in (first, second):
        record.note, record.tags = HOSTILE, ["paper"]
        predictions = [
            Prediction(example, "entailment", 0) for example in glue_harness.load_tasks().task("rte").examples(ROW, 0)
        ]
        store.run(record.id).write_predictions("rte", predictions)
        store.save(record)
    shown = store.find(first.id)._repr_html_()
    assert "<td>55.00</td><td>54.00 to 56.00</td>" in shown
    assert "paper" in shown
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
    compared = glue_harness.compare(first.id, second.id, results=store.folder)._repr_html_()
    assert "<td>58.00</td><td>+3.00</td>" in compared
    assert "<td>lr</td><td>0.5</td><td>0.1</td>" in compared
    board = glue_harness.board("glue", store.folder, demo=True)._repr_html_()
    assert board.count("<tr>") == 3
    assert "55.00" in board
    with warnings.catch_warnings(action="ignore"):
        assert HOSTILE not in load_results(store.folder)._repr_html_()


ROW = {"sentence1": "a", "sentence2": "b", "label": 0, "idx": 0}


def test_texts_of_a_table_are_texts():
    assert table(["<a>"], [["&"]]) == (
        "<table>\n<thead><tr><th>&lt;a&gt;</th></tr></thead>\n<tbody>\n<tr><td>&amp;</td></tr>\n</tbody>\n</table>"
    )
