"""Scores in the schema of Every Eval Ever, 0.2.1: what it demands, and nothing that is not so."""

import json
from datetime import datetime

import pytest
from records import GLUE, finished, runner

from glue_harness.core.plan import SCORED
from glue_harness.export import every_eval_ever
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

# What the schema allows at the top, and what it requires there and below.
ALLOWED = {"schema_version", "evaluation_id", "dedupe_identity", "evaluation_timestamp", "retrieved_timestamp"}
ALLOWED |= {"source_metadata", "eval_library", "model_info", "evaluation_results", "detailed_evaluation_results"}
REQUIRED = ALLOWED - {"dedupe_identity", "evaluation_timestamp", "detailed_evaluation_results"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def details(value, name=""):
    """Every object that the schema wants to hold texts only."""
    if isinstance(value, dict):
        if name in ("details", "additional_details"):
            yield value
        for key, inner in value.items():
            yield from details(inner, key)
    if isinstance(value, list):
        for inner in value:
            yield from details(inner)


def exported(glue, out, *given):
    code, printed, err = glue("export", *given, "--to", "every-eval-ever", "--out", out, "--json")
    assert code == 0, err
    said = json.loads(printed)
    with open(said["file"]) as file:
        return json.load(file), said["file"], err


def test_what_the_schema_demands(store, glue, tmp_path):
    record = finished(store, data="hub", lr=0.5)
    facts, file, _ = exported(glue, tmp_path / "data", record.id, "--model-id", "me/mine")
    assert REQUIRED <= facts.keys() <= ALLOWED
    assert facts["schema_version"] == "0.2.1"
    assert file.startswith(f"{tmp_path}/data/glue/me/mine/")
    assert facts["evaluation_id"].startswith("glue/me_mine/")
    assert datetime.fromtimestamp(float(facts["retrieved_timestamp"])).year >= 2025
    assert facts["source_metadata"]["source_type"] in ("documentation", "evaluation_run")
    assert facts["source_metadata"]["evaluator_relationship"] == "first_party"
    int(facts["dedupe_identity"]["run_fingerprint"], 16)
    assert facts["dedupe_identity"]["hash_algorithm"] == "sha256"
    assert (facts["model_info"]["id"], facts["model_info"]["name"]) == ("me/mine", record.id)
    assert all(isinstance(text, str) for found in details(facts) for text in found.values())
    assert len(facts["evaluation_results"]) == sum(map(len, GLUE.values()))
    for result in facts["evaluation_results"]:
        config, score = result["metric_config"], result["score_details"]["score"]
        assert config["lower_is_better"] is False
        assert config["score_type"] == "continuous"
        assert config["min_score"] <= score <= config["max_score"]
        source = result["source_data"]
        assert (source["source_type"], source["hf_repo"], source["samples_number"]) == (
            "hf_dataset",
            "nyu-mll/glue",
            100,
        )
        assert result["generation_config"]["additional_details"]["lr"] == "0.5"


def test_a_value_with_its_interval(store, glue, tmp_path):
    record = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",))
    facts, _, _ = exported(glue, tmp_path, record.id)
    (result,) = facts["evaluation_results"]
    assert result["score_details"]["score"] == 55.0
    found = result["score_details"]["uncertainty"]
    assert found["num_samples"] == 100
    bounds = found["confidence_interval"]
    assert (bounds["lower"], bounds["upper"], bounds["confidence_level"]) == (54.0, 56.0, 0.95)
    assert facts["model_info"]["id"] == f"local/{record.id}"


def test_demo_rows_are_never_said_to_be_the_benchmark(store, glue, tmp_path):
    facts, _, _ = exported(glue, tmp_path, finished(store).id)
    for result in facts["evaluation_results"]:
        assert result["source_data"]["source_type"] == "other"
        assert result["source_data"]["additional_details"]["rows_from"] == "synthetic rows of glue-harness"


def test_no_path_of_this_machine_is_told(store, glue, tmp_path):
    record = finished(store, data=str(tmp_path / "rows"), model=str(tmp_path / "weights"))
    record.data = {}  # made-up ones have the folder in the place of a fingerprint
    store.save(record)
    facts, _, _ = exported(glue, tmp_path / "out", record.id)
    settings = facts["evaluation_results"][0]["generation_config"]["additional_details"]
    assert (settings["data"], settings["model"]) == ('"rows"', '"weights"')
    assert str(tmp_path) not in json.dumps(facts)


def test_the_same_run_has_the_same_file(store, glue, tmp_path):
    record = finished(store)
    (_, first, _), (_, second, _) = (exported(glue, tmp_path, record.id) for _ in range(2))
    assert first == second


def test_what_is_left_out_is_named(store, glue, tmp_path):
    record = finished(store, {"rte": GLUE["rte"], "stsb": {"pearson_corrcoef": None, "spearman_corrcoef": 1.0}})
    facts, _, err = exported(glue, tmp_path, record.id)
    assert len(facts["evaluation_results"]) == 2
    assert err == "left out, because undefined or of no known range: stsb.pearson_corrcoef\n"
    facts, _, _ = exported(glue, tmp_path, record.id, "--task", "rte")
    assert [result["evaluation_name"] for result in facts["evaluation_results"]] == ["rte"]


def test_answers_of_another_system_have_its_name(store):
    record = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",), data="hub")
    record.plan = {"tasks": ["rte"], "data": "hub", "model": "somebody's", "method": SCORED, "seed": 0}
    facts, _ = every_eval_ever.facts_of(record, load_tasks(), "local/x", None)
    assert facts["model_info"]["name"] == "somebody's"
    assert facts["source_metadata"]["evaluator_relationship"] == "other"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--model-id", "mine"), "--model-id 'mine': write it as OWNER/NAME"),
        (("--model-id", "a/../b"), "--model-id 'a/../b': write it as OWNER/NAME"),
        (("--merged",), "--merged is for models: leave it out with --to every-eval-ever"),
        (("--task", "cola"), "has no score to export of cola"),
    ],
)
def test_what_is_refused(store, glue, options, told):
    record = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",))
    code, out, err = glue("export", record.id, "--to", "every-eval-ever", *options)
    assert (code, out) == (2, "")
    assert told in err


def test_a_name_on_the_hub_is_for_scores(store, glue):
    code, _, err = glue("export", finished(store).id, "--model-id", "a/b")
    assert (code, err) == (2, "glue: --model-id names a model among scores: add --to every-eval-ever\n")


def test_the_cards_entries_are_those_that_the_hub_reads(store, tmp_path):
    from huggingface_hub import parse_eval_result_entries
    from yaml import safe_load

    from glue_harness.export import Chosen, eval_results

    record = finished(store, {name: GLUE[name] for name in ("rte", "mrpc")}, data="hub")
    registry = load_tasks()
    chosen = Chosen(record, registry.task("mrpc"), 100, {"mrpc": record.scores["mrpc"]})
    written = eval_results.write(chosen, tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in written] == [
        ".eval_results/mrpc_f1.yaml",
        ".eval_results/mrpc_accuracy.yaml",
    ]
    assert written[0].read_text().startswith('- dataset:\n    id: "nyu-mll/glue"\n    task_id: "mrpc"\n')
    (entry,) = parse_eval_result_entries(safe_load(written[0].read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("nyu-mll/glue", "mrpc", 80.0)
    assert entry.dataset_revision == registry.task("mrpc").source.revision
    assert (
        entry.notes
        == "f1 x100 on validation, 100 examples, 95 % interval 79.00 to 81.00 over examples; step 100, one seed"
    )
    record.plan["data"] = "demo"
    assert eval_results.write(chosen, tmp_path / "demo") == []
