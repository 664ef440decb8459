"""Models that are scored as they are: prompted with solved examples or without any, or as an earlier run left them."""

from __future__ import annotations

import pytest
from decoders import vocabulary, write_decoder

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import DataError, UsageError
from glue_harness.lab.assemble import assemble
from glue_harness.lab.predict import load
from glue_harness.lab.request import make_request
from glue_harness.models.decoder_batch import question_of
from glue_harness.models.families import load_model
from glue_harness.runs.store import Store

REGISTRY = load_tasks()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_decoder(tmp_path_factory.mktemp("gpt2"), "gpt2", positions=400))


def plan(folder, *tasks, **changes) -> Plan:
    values = {"data": "demo:40", "steps": 0, "max_input": 300, "precision": "fp32", "device": "cpu", "max_answer": 6}
    return Plan(tasks or ("rte", "copa"), model=folder, **{**values, **changes})


def asked(plan):
    """What a model with the plan's shots reads of the first question of RTE."""
    setup = assemble(make_request(plan, REGISTRY))
    words, tokens = setup.learner.model.words, setup.data.scoring["rte"].tokens
    return words.fast.decode(question_of(tokens[0]).tolist()), setup


def test_solved_examples_of_train_stand_before_each_question_and_fewer_are_the_first_of_more(folder):
    bare, _ = asked(plan(folder, shots=0))
    two, setup = asked(plan(folder, shots=2))
    three, _ = asked(plan(folder, shots=3))
    assert bare == asked(plan(folder))[0]
    assert two.endswith(bare)
    assert three.startswith(two.removesuffix(bare))
    assert two.count("answer:") == 3
    ids = setup.learner.model.origin["shots"]["rte"]
    rows = list(setup.data.rows.train("rte"))
    task = REGISTRY.tasks["rte"]
    words = setup.learner.model.words
    text = "".join(
        words.fast.decode([*words.ids([e.inputs + "\nanswer:"])[0], *words.answers("\nanswer:", [e.target])[0]])
        for id in ids
        for e in task.examples(rows[int(id)])
    )
    assert two.removesuffix(bare).replace(" ", "") == text.replace(" ", "")


def test_the_examples_are_a_function_of_the_seed(folder):
    def ids(seed):
        return asked(plan(folder, shots=4, seed=seed))[1].learner.model.origin["shots"]["rte"]

    assert ids(1) == ids(1) != ids(2)


def test_a_prompted_model_is_scored_once_recorded_and_answers_again(folder, tmp_path):
    record = run(plan(folder, shots=3), results=tmp_path)
    assert record.status == "finished"
    assert {name: score.step for name, score in record.scores.items()} == {"rte": 0, "copa": 0}
    assert set(record.environment["model"]["shots"]) == {"rte", "copa"}
    assert record.plan["steps"] == 0
    checkpoint = tmp_path / record.id / "checkpoints" / "step-00000000"
    assert (checkpoint / "shots.json").exists()
    assert (checkpoint / "trained.safetensors").stat().st_size < 1000  # none of the weights
    again = load(record, tmp_path / record.id, 0)
    task = REGISTRY.tasks["rte"]
    rows = data.load(task, "validation", "demo:40")
    examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
    kept = Store(tmp_path).read_predictions(record.id, task)
    found = again.answers(task, examples)
    assert [p.text for p in found] == [p.text for p in kept]
    assert [p.scores for p in found] == [pytest.approx(p.scores, abs=1e-4) for p in kept]


def test_a_trained_model_is_scored_as_it_is_left(folder, tmp_path):
    trained = run(plan(folder, "rte", steps=3, batch_size=8), results=tmp_path)
    again = run(plan(f"run:{trained.id}", "rte"), results=tmp_path)
    assert again.scores["rte"].metrics == trained.last["rte"].metrics
    kept = run(plan(f"run:{again.id}", "rte"), results=tmp_path)
    assert kept.scores["rte"].metrics == trained.last["rte"].metrics


def test_an_encoder_keeps_its_head_when_no_step_is_done(tmp_path):
    own = {"data": "demo:40", "precision": "fp32", "device": "cpu", "max_input": 40}
    first = run(Plan(("rte",), model="cbow", word_size=8, steps=0, **own), results=tmp_path)
    load(first, tmp_path / first.id, 0)


def test_a_prompted_answer_ends_where_the_next_example_would_begin(folder):
    words = vocabulary()
    assert words.behind("\n\n") == []  # this vocabulary does not see lines: then the end of text ends an answer
    model = load_model(plan(folder, shots=0), (), ())
    assert model.end == words.end


def test_what_does_not_fit_says_how_many_would(folder, tmp_path):
    with pytest.raises(
        UsageError,
        match=r"20 shots of rte take \d+ tokens, and some question leaves \d+ for them: use --shots \d+, or a larger",
    ):
        run(plan(folder, "rte", shots=20), results=tmp_path)
    with pytest.raises(DataError, match="rte: 900 shots are more than its 40 training examples"):
        run(plan(folder, "rte", shots=900), results=tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 5, "shots": 2, "batch_size": 4}, "shots is 2 but steps is 5: use --steps 0"),
        ({"method": "lora"}, "method is 'lora' but steps is 0: nothing learns, leave out --method"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, message, folder, tmp_path):
    with pytest.raises(UsageError, match=message):
        run(plan(folder, "rte", **changes), results=tmp_path)


def test_other_families_have_no_shots(tmp_path):
    with pytest.raises(UsageError, match="shots is 2 but model 'tiny' is of the family t5, not decoder: leave it out"):
        run(plan("tiny", "rte", shots=2), results=tmp_path)


def test_no_steps_stay_no_steps_under_another_seed(folder):
    assert plan(folder).replace(seed=3).steps == 0
    assert Plan(("rte",), epochs=2).replace(seed=3).epochs == 2
