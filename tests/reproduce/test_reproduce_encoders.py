"""Published scores of encoders made again: which settings they stand for, and what stands in the table."""

import csv
import json
import math
from statistics import fmean

import pytest
from records import runner

from glue_harness import load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.lab.strategy import NEVER
from glue_harness.report.published import load_published, published_tables
from glue_harness.reproduce import is_of_encoders, planned
from glue_harness.reproduce.encoders import ROWS, SCALED
from glue_harness.runs.store import Store

REGISTRY, PUBLISHED = load_tasks(), load_published("encoders")
TABLES = ("bert", "minilm", "modernbert")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def table(name, tmp_path, share=1.0, **given):
    return planned(name, given, share, None, REGISTRY, Store(tmp_path))


def plans(name, tmp_path, share=1.0, **given):
    """Row -> stage -> its plan."""
    made = table(name, tmp_path, share, **given).configurations()
    return {one.name: {stage.name: stage.plan for stage in one.stages} for one in made}


# What was published


def test_every_row_can_be_made_and_has_values_of_metrics_that_its_tasks_have():
    assert tuple(PUBLISHED.tables) == TABLES
    assert {row for name in TABLES for row in PUBLISHED.tables[name].rows} == set(ROWS)
    for result in PUBLISHED.results:
        assert result.source
        for (name, key), value in result.values.items():
            task = REGISTRY.task(REGISTRY.aliases[name])
            assert key in task.keys
            assert 40 < value < 100


def test_every_published_value_belongs_to_a_task_that_is_trained(tmp_path):
    for name in TABLES:
        for row in table(name, tmp_path).configurations():
            scored = {s.name for task in ROWS[row.name].tasks for s in REGISTRY.scorers(REGISTRY.task(task))}
            values = {REGISTRY.aliases[task] for task, _ in PUBLISHED.result(row.name).values}
            assert values <= scored
            assert {t for t in scored if t != "mnli_mismatched"} <= values | {"mnli_mismatched"}


def test_the_average_of_modernberts_row_is_the_one_that_its_paper_prints():
    assert fmean(PUBLISHED.result("ModernBERT-base").values.values()) == pytest.approx(88.4, abs=0.06)


def test_tables_of_t5_are_not_of_encoders():
    assert [name for name in published_tables() if is_of_encoders(name)] == list(TABLES)


# What is planned


def test_bert_base_is_trained_and_scored_as_its_source_did(tmp_path):
    found = plans("bert", tmp_path)["BERT-base"]
    rte, mrpc = found["train rte"], found["train mrpc"]
    assert (rte.model, rte.data) == ("google-bert/bert-base-cased", "hub")
    assert (rte.lr, rte.batch_size, rte.max_input, rte.clip) == (2e-5, 32, 128, 1.0)
    assert (rte.warmup_share, rte.weight_decay, rte.eval_every) == (0.0, 0.0, NEVER)
    assert (rte.epochs, mrpc.epochs) == (3.0, 5.0)


def test_modernbert_has_the_settings_of_each_task_and_starts_from_mnli(tmp_path):
    found = plans("modernbert", tmp_path)["ModernBERT-base"]
    first = found["train mnli"]
    assert [name for name in found if name.startswith("tune")] == ["tune mrpc", "tune stsb", "tune rte"]
    assert found["tune rte"].model == f"plan:{first.digest}@mnli"
    assert (first.epochs, found["tune rte"].epochs, found["train cola"].epochs) == (1.0, 3.0, 5.0)
    assert (found["train cola"].lr, found["train cola"].model) == (8e-5, "answerdotai/ModernBERT-base")


def test_a_share_is_of_the_epochs_and_what_the_user_says_wins(tmp_path):
    assert plans("bert", tmp_path, 0.5)["BERT-base"]["train mrpc"].epochs == 2.5
    assert plans("bert", tmp_path, 0.5, epochs=2.0)["BERT-base"]["train mrpc"].epochs == 2.0
    by_steps = plans("bert", tmp_path, steps=7, lr=1e-4)["BERT-base"]["train mrpc"]
    assert (by_steps.epochs, by_steps.steps, by_steps.lr, by_steps.weight_decay) == (None, 7, 1e-4, 0.0)


@pytest.mark.parametrize("given", [{}, {"data": "hub"}, {"device": "cpu"}, {"seed": 3}])
def test_full_is_what_the_source_did(given, tmp_path):
    assert table("minilm", tmp_path, **given).is_full


@pytest.mark.parametrize("given", [{"data": "demo"}, {"steps": 9}, {"tasks": ("rte",)}, {"model": "bert:tiny"}])
def test_anything_smaller_is_marked(given, tmp_path):
    scaled = table("minilm", tmp_path, **given)
    assert not scaled.is_full
    assert scaled.head(scaled.configurations(), 1)[0] == SCALED
    assert not table("minilm", tmp_path, 0.1).is_full


def test_a_named_model_stands_for_the_rows_of_its_size(tmp_path):
    config = tmp_path / "large" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"model_type": "bert", "hidden_size": 1024}))
    assert list(plans("bert", tmp_path, model=str(config.parent))) == ["BERT-large"]
    assert list(plans("bert", tmp_path, model="bert:tiny")) == ["BERT-base", "BERT-large"]
    assert list(plans("bert", tmp_path)) == ["BERT-base", "BERT-large"]


def test_the_head_says_how_each_row_is_made_here_and_was_made_there(tmp_path):
    made = table("bert", tmp_path, model="bert:tiny", steps=4)
    said = made.head(made.configurations(), 3)
    assert "BERT-base: bert:tiny, data hub, strategy single, recipe bert with warmup_share 0, weight_decay 0" in said[1]
    assert "4 steps of 32 examples" in said[1]
    assert "does not say which BERT-large it is" in said[2]
    assert "both 3 seeds" in said[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--text", "x"), "table bert is of encoders, which nothing pre-trains here: leave out --text"),
        (("--pretrain-steps", "3"), "leave out --pretrain-steps"),
        (("--model", "tiny"), "recipe bert is for the family encoder, but model 'tiny' is of the family t5"),
        (("--task", "mnlii"), "did you mean mnli?"),
        (("--model", "bert:huge"), "unknown model 'bert:huge': did you mean"),
    ],
)
def test_mistakes_are_one_line(arguments, message, glue, tmp_path):
    code, _, err = glue("reproduce", "bert", "--data", "demo", *arguments, "--results", tmp_path / "results")
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "results").exists()


def test_two_rounds_are_the_strategys_not_the_recipes(tmp_path):
    with pytest.raises(UsageError, match="no second round"):
        plans("modernbert", tmp_path, tasks=("cola",))


# What is carried out


def test_a_table_is_made_beside_the_published_values_and_goes_on(tmp_path, glue):
    results, out = tmp_path / "results", tmp_path / "boards"
    command = ("reproduce", "modernbert", "--demo", "--data", "demo:64", "--task", "rte,mrpc", "--steps", "2")
    command += ("--batch-size", "8", "--device", "cpu", "--results", results, "--out", out)
    code, listed, _ = glue(*command, "--dry-run")
    assert (code, "3 runs, 6 steps to go" in listed) == (0, True)
    code, shown, err = glue(*command)
    assert code == 0, err
    assert err.count("seed 0:") == 3
    assert shown.startswith("A scaled run")
    assert "Published, ModernBERT-base: Warner et al." in " ".join(shown.split())
    lost = Store(results).load_all()[0][-1]
    assert any(note.startswith("recipe modernbert, but ") for note in lost.notes)
    Store(results).discard(lost.id)
    code, again, err = glue(*command)
    assert (code, err.count("seed 0:"), err.count(" is finished, ")) == (0, 3, 2)
    assert again == shown  # the same bits
    rows = {row["column"]: row for row in csv.DictReader((out / "modernbert-demo.csv").open())}
    assert set(rows) == {"RTE", "MRPC F1", "MRPC Acc"}
    assert (float(rows["RTE"]["published"]), rows["MRPC F1"]["published"]) == (87.4, "")
    assert float(rows["MRPC Acc"]["published"]) == 92.2
    assert rows["RTE"]["published_half"] == ""
    assert rows["RTE"]["difference_half"] == rows["RTE"]["ours_half"]  # of ours alone: theirs is not known
    assert math.isclose(float(rows["RTE"]["difference"]), float(rows["RTE"]["ours"]) - 87.4, abs_tol=1e-3)


def test_epochs_are_listed_as_such(glue, tmp_path):
    code, out, _ = glue("reproduce", "bert", "--data", "demo", "--model", "bert:tiny", "--task", "rte", "--dry-run")
    assert code == 0
    assert "3 epochs" in out
    assert "2 runs, 2 to go; nothing was trained" in out
