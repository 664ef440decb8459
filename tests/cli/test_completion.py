"""What a shell offers when somebody presses tab: names that exist, and nothing else on the screen."""

import os
import subprocess
import sys

import pytest
from records import finished

from glue_harness.cli.completion import VALUES
from glue_harness.runs.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("results"))
    for seed in (0, 1):
        finished(store, {"rte": {"accuracy": 50.0}}, tasks=("rte",), seed=seed)
    return store


def offered(line: str, store=None) -> list[str]:
    """What bash is told to offer for the last word of a line, which may be empty."""
    env = {**os.environ, "_GLUE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    env |= {"GLUE_RESULTS": str(store.folder)} if store else {}
    out = subprocess.run([sys.executable, "-m", "glue_harness"], capture_output=True, text=True, env=env)
    assert out.stderr == ""
    kinds_and_values = (line.partition(",") for line in out.stdout.splitlines() if line)
    return [value or kind for kind, _, value in kinds_and_values]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("glue run --task super", ["superglue_rte", "superglue", "superglue-all"]),
        ("glue run --task cola,rt", ["cola,rte"]),
        ("glue run --task t5:glue", ["t5:glue_v002_proportional", "t5:glue_mnli_and_dev_v002", "t5:glue"]),
        ("glue run --method ", ["adapter", "distil", "frozen", "full", "lora", "prompt", "prune", "unfreeze"]),
        ("glue run --optimizer adam", ["adamw"]),
        ("glue mix --mixing t", ["temperature"]),
        ("glue run --model t5:", ["t5:mini", "t5:small", "t5:base", "t5:large"]),
        ("glue run --model /", ["dir"]),
        ("glue run --strategy multi", ["multitask", "multitask-finetune"]),
        ("glue run --recipe m", ["modern", "modernbert"]),
        ("glue run --answers ", ["closed", "strict"]),  # a setting's choices
        ("glue run --set max_", ["max_input=", "max_target=", "max_answer="]),
        ("glue tasks --suite superglue", ["superglue", "superglue-all"]),
        ("glue board --format l", ["latex"]),
        ("glue show wsc", ["wsc", "wsc_eval", "wsc_marked"]),
        ("glue predict latest --task wsc", ["wsc", "wsc_eval", "wsc_marked"]),
        ("glue predict latest --task rte --sent", ["--sentence1", "--sentence2"]),
        ("glue run --track t", ["tensorboard", "trackio"]),
        ("glue runs --status k", ["killed"]),
        ("glue board --where mod", ["model="]),
        ("glue reproduce table1", ["table10", "table11", "table12", "table16"]),
        ("glue run --tasks /nonexistent --task rt", []),
    ],
)
def test_values_of_options_and_arguments(line, names):
    assert offered(line) == names


@pytest.mark.parametrize(
    "line", ["glue compare ", "glue run --resume ", "glue curve ", "glue submit ", "glue predict ", "glue runs show "]
)
def test_runs_are_offered_the_newest_first(line, store):
    assert offered(line, store) == ["latest", *(record.id for record in reversed(store.load_all()[0]))]


def test_tags_that_runs_have_are_offered(tmp_path):
    store = Store(tmp_path / "results")
    record = finished(store)
    record.tags = ["paper", "old"]
    store.save(record)
    assert offered("glue runs --tag ", store) == ["old", "paper"]
    assert offered(f"glue runs tag {record.id} pa", store) == ["paper"]


def test_a_part_of_a_runs_id_is_enough_and_models_are_runs_too(store):
    first = store.load_all()[0][0]
    assert offered(f"glue compare {first.id[-8:]}", store) == [first.id]
    assert offered(f"glue run --model run:{first.id[:15]}", store)[-1] == f"run:{first.id}"
    assert offered(f"glue run --teacher {first.id[:15]}", store)[-1] == first.id


def test_every_kind_of_value_belongs_to_a_parameter_that_there_is():
    from glue_harness.cli import VERBS, glue

    called = set()
    for verb in VERBS:
        for parameter in glue.get_command(None, verb).params:
            called |= {*parameter.opts, (parameter.metavar or "").strip("[]").split(" ")[0]}
    assert VALUES.keys() <= called
