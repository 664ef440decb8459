"""Strategies: which plans they make, that a repeated command goes on where it stopped, what may start from what."""

import json

import pytest
from records import runner

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.plan import plan_from
from glue_harness.jobs.graph import Job
from glue_harness.jobs.trials import carry_out
from glue_harness.lab.predict import load as load_trained
from glue_harness.lab.recipes import Applied
from glue_harness.lab.request import make_request, rates
from glue_harness.lab.strategy import STRATEGIES, scores_of, stages_of
from glue_harness.runs.origin import find_origin
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
FAST = {"data": "demo:200", "model": "tiny", "steps": 4, "batch_size": 8, "eval_every": 2, "device": "cpu"}
FAST["precision"] = "fp32"  # as a run settles it on a CPU
OPTIONS = [
    "--data",
    "demo:200",
    "--model",
    "tiny",
    "--steps",
    "4",
    "--batch-size",
    "8",
    "--eval-every",
    "2",
    "--device",
    "cpu",
]


def plan(*tasks: str, **changes) -> Plan:
    return Plan(**{"tasks": tasks, **FAST, **changes})


def stages(strategy: str, *tasks: str, pretrain_steps=None, **changes):
    return stages_of(strategy, plan(*tasks, **changes), REGISTRY, pretrain_steps)


def shape(made) -> list[tuple]:
    """Tasks of every stage, and which earlier stage it starts from."""
    places = {f"plan:{stage.plan.digest}": number for number, stage in enumerate(made)}
    return [(stage.plan.tasks, places.get(stage.plan.model, stage.plan.model)) for stage in made]


@pytest.fixture
def glue(capsys):
    return runner(capsys)


# What is planned


def test_single_is_each_task_by_itself():
    made = stages("single", "rte", "cola", mixing="temperature", temperature=2.0)
    assert shape(made) == [(("rte",), "tiny"), (("cola",), "tiny")]
    assert made[0].plan == plan("rte")  # so that a run of rte alone is the same experiment


def test_multitask_finetune_tunes_each_task_from_one_run():
    made = stages("multitask-finetune", "rte", "cola", mixing="equal", pretrain_steps=10)
    assert shape(made) == [(("rte", "cola"), "tiny"), (("rte",), 0), (("cola",), 0)]
    assert [stage.plan.steps for stage in made] == [10, 4, 4]
    assert [stage.plan.mixing for stage in made] == ["equal", "proportional", "proportional"]
    assert [stage.answers for stage in made] == [(), ("rte",), ("cola",)]


def test_what_comes_first_is_twice_as_long_as_in_t5():
    assert [stage.plan.steps for stage in stages("multitask-finetune", "rte", "cola")] == [8, 4, 4]


def test_leave_one_out_starts_each_task_from_a_run_without_it():
    made = stages("leave-one-out", "rte", "cola", "sst2", mixing="custom", rates={"rte": 1.0, "cola": 2.0, "sst2": 3.0})
    assert shape(made)[:2] == [(("cola", "sst2"), "tiny"), (("rte",), 0)]
    assert made[0].plan.rates == {"cola": 2.0, "sst2": 3.0}
    assert len(made) == 6


def test_a_suite_among_others_counts_as_one_task():
    made = stages("leave-one-out", "glue+superglue", "squad")
    assert shape(made) == [
        (("superglue", "squad"), "tiny"),
        (("glue",), 0),
        (("glue", "squad"), "tiny"),
        (("superglue",), 2),
        (("glue+superglue",), "tiny"),  # both in one name: T5 then halves the two RTEs
        (("squad",), 4),
    ]


def test_a_suite_by_itself_is_its_scored_members():
    made = stages("single", "superglue")
    assert [stage.answers for stage in made] == [(name,) for name in REGISTRY.suites["superglue"] if name != "dpr"]
    assert "dpr" in stages("leave-one-out", "superglue")[0].plan.tasks


def test_text_comes_first_or_into_the_mix():
    first, *tuned = stages("pretrain-finetune", "rte", "cola")
    assert first.plan.tasks == ("span_corruption",)
    assert {stage.plan.model for stage in tuned} == {f"plan:{first.plan.digest}"}
    mixed = stages("pretrain-finetune", "rte", "cola", text_share=0.25)
    assert shape(mixed) == [(("rte", "span_corruption"), "tiny"), (("cola", "span_corruption"), "tiny")]
    (together,) = stages("multitask", "rte", "cola", text_share=0.25)
    assert together.plan.tasks == ("rte", "cola", "span_corruption")
    tuned = stages("multitask-finetune", "rte", "cola", text_share=0.25)[1]
    assert (tuned.plan.tasks, tuned.plan.text_share) == (("rte",), None)


def test_two_rounds_start_small_tasks_from_mnlis_best_step():
    made = stages("two-rounds", "rte", "mnli", "cola", "stsb", mixing="equal")
    start = f"plan:{made[0].plan.digest}@mnli"
    assert [(stage.name, stage.plan.model, stage.answers) for stage in made] == [
        ("train mnli", "tiny", ("mnli",)),
        ("tune rte", start, ("rte",)),
        ("train cola", "tiny", ("cola",)),
        ("tune stsb", start, ("stsb",)),
    ]
    assert made[0].plan == plan("mnli")  # so that a run of mnli alone is the same experiment


def test_two_rounds_train_mnli_for_others_that_did_not_ask_for_it():
    made = stages("two-rounds", "mrpc")
    assert [(stage.name, stage.answers) for stage in made] == [("train mnli first", ()), ("tune mrpc", ("mrpc",))]


def test_two_rounds_of_suites_are_of_all_their_members():
    made = stages("two-rounds", "glue+superglue")
    second = {stage.answers[0] for stage in made if stage.plan.model != "tiny"}
    assert second == {"rte", "mrpc", "stsb", "cb", "superglue_rte"}
    scored = {name for suite in ("glue", "superglue") for name in REGISTRY.suites[suite]} - {"dpr"}
    assert {name for stage in made for name in stage.answers} == scored


def test_under_another_method_mnli_is_trained_twice():
    """What others start from is trained whole."""
    made = stages("two-rounds", "mnli", "rte", method="adapter", adapter_width=8)
    assert [(stage.name, stage.plan.method, stage.answers) for stage in made] == [
        ("train mnli first", "full", ()),
        ("train mnli", "adapter", ("mnli",)),
        ("tune rte", "adapter", ("rte",)),
    ]


def test_a_recipe_says_its_own_for_each_stage():
    """ModernBERT's rows: MNLI one epoch at 5e-5, CoLA five at 8e-5; what the user gives holds for all."""
    given = {"tasks": ("mnli", "rte", "cola"), "model": "bert:tiny", "batch_size": 8}
    recipe = Applied("modernbert", REGISTRY, given=given)
    base = plan_from({**recipe.settings(given["tasks"]), **given})
    made = stages_of("two-rounds", base, REGISTRY, own=recipe.settings)
    assert [(stage.plan.epochs, stage.plan.lr, stage.plan.batch_size) for stage in made] == [
        (1, 5e-5, 8),
        (3, 5e-5, 8),
        (5, 8e-5, 8),
    ]
    assert [recipe.note(stage.plan) for stage in made] == ["recipe modernbert, but batch_size 8"] * 3


def test_a_method_applies_to_the_tuning():
    first, tuned, _ = stages("multitask-finetune", "rte", "cola", method="adapter", adapter_width=8)
    assert (first.plan.method, first.plan.adapter_width) == ("full", 128)
    assert (tuned.plan.method, tuned.plan.adapter_width) == ("adapter", 8)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_plan_can_be_meant_and_is_another_for_no_seed(strategy):
    first = stages(strategy, "glue+superglue", "cnn_dailymail")
    again = stages(strategy, "glue+superglue", "cnn_dailymail", seed=3)
    assert [stage.plan.digest for stage in first] == [stage.plan.digest for stage in again]
    for stage in first:
        make_request(stage.plan, REGISTRY)


@pytest.mark.parametrize(
    ("strategy", "tasks", "changes", "message"),
    [
        ("singel", ("rte",), {}, "unknown strategy 'singel': did you mean single?"),
        ("leave-one-out", ("rte",), {}, "nothing is left to train on without rte: name two tasks or more"),
        ("single", ("t5:glue",), {}, "t5:glue is a mixture, which a strategy cannot take apart"),
        ("single", ("rte",), {"pretrain_steps": 5}, "strategy 'single' has no run before the others"),
        ("single", ("rte",), {"text_share": 0.5}, "strategy 'single' trains on no text"),
        ("single", ("span_corruption",), {}, "no task of span_corruption can be scored"),
        (
            "two-rounds",
            ("mnli", "cola"),
            {},
            "no second round: name one of rte, mrpc, stsb, cb, superglue_rte with --task",
        ),
        ("two-rounds", ("rte",), {"pretrain_steps": 5}, "strategy 'two-rounds' has no run before the others"),
    ],
)
def test_what_cannot_be_planned(strategy, tasks, changes, message):
    with pytest.raises(UsageError) as refused:
        stages(strategy, *tasks, **changes)
    assert message in str(refused.value)


# What is carried out


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("strategies") / "results"


@pytest.fixture(scope="session")
def carried(results):
    """A strategy in one go, its stages as records."""
    made = stages("multitask-finetune", "rte", "cola", method="adapter", adapter_width=4)
    jobs = [Job(stage.plan, stage.name) for stage in made]
    return made, [carry_out(job, Store(results), REGISTRY) for job in jobs]


def test_stages_are_runs_on_record(carried, results):
    made, records = carried
    assert [record.digest for record in records] == [stage.plan.digest for stage in made]
    first, rte, _ = (json.loads((results / record.id / "record.json").read_text()) for record in records)
    assert (first["stage"], rte["stage"]) == ("train together", "tune rte")
    assert rte["environment"]["model"]["run"] == first["id"]
    assert rte["environment"]["model"]["step"] == 8
    scores = scores_of(made, records, REGISTRY)
    assert scores == {"rte": records[1].scores["rte"], "cola": records[2].scores["cola"]}


def test_a_tuned_part_is_rebuilt_on_the_run_it_came_from(carried, results):
    rte = carried[1][1]
    trained = load_trained(rte, results / rte.id, rte.scores["rte"].step)
    assert any("adapter" in name for name, _ in trained.model.module.named_parameters())


def test_two_rounds_of_an_encoder_are_carried_out_and_seeds_have_rounds_of_their_own(tmp_path, glue):
    options = ["bert:tiny" if option == "tiny" else option for option in OPTIONS]
    command = ("run", "--task", "rte,stsb", *options, "--strategy", "two-rounds", "--seeds", "2", "--results", tmp_path)
    code, out, err = glue(*command)
    assert code == 0, err
    assert "head of rte: of mnli, its output layer made anew: the labels differ" in err
    records = Store(tmp_path).load_all()[0]
    firsts = {record.plan["seed"]: record for record in records if record.stage == "two-rounds: train mnli first"}
    assert set(firsts) == {0, 1}
    for record in (record for record in records if "tune" in record.stage):
        first, start = firsts[record.plan["seed"]], record.environment["model"]
        assert (start["run"], start["step"]) == (first.id, first.scores["mnli_matched"].step)
        assert set(start["heads"]) == set(record.scores)
    assert glue(*command)[2].count("is finished") == 6
    code, out, _ = glue(*command, "--dry-run")
    assert (code, out.count("done")) == (0, 3)
    code, out, err = glue("board", "--task", "rte", "--results", tmp_path)
    assert code == 0, err
    assert f"plan:{firsts[0].digest}@mnli" in "".join(out.split())


def test_a_strategy_goes_on_where_it_stopped(tmp_path, glue):
    command = ("run", "--task", "rte,cola", *OPTIONS, "--strategy", "multitask-finetune", "--results", tmp_path)
    code, out, _ = glue(*command)
    assert (code, out.count("in 3 runs")) == (0, 1)
    store = Store(tmp_path)
    lost = store.load_all()[0][-1]
    store.discard(lost.id)
    code, again, err = glue(*command, "--json")
    assert (code, err.count("is finished"), err.count("train together is finished")) == (0, 2, 1)
    found = json.loads(again)
    assert found["scores"]["cola"] == lost.scores["cola"].metrics  # the same bits
    assert [run["stage"] for run in found["stages"]] == ["train together", "tune rte", "tune cola"]


def test_a_stage_that_was_begun_goes_on(tmp_path):
    (stage,) = stages("single", "rte")
    store, job = Store(tmp_path), Job(stage.plan)

    class Stops:
        def __getattr__(self, name):
            return lambda *_: None

        def scored(self, step, values):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(job, store, REGISTRY, Stops())
    (left,), _ = store.load_all()
    record = carry_out(job, store, REGISTRY)
    assert (record.id, record.status, len(record.resumed)) == (left.id, "finished", 1)
    assert carry_out(job, store, REGISTRY).id == left.id  # not once more


def test_an_interrupted_strategy_says_how_to_go_on(tmp_path, glue, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("glue_harness.jobs.trials.run", interrupted)
    code, _, err = glue("run", "--task", "rte", *OPTIONS, "--strategy", "single", "--results", tmp_path)
    assert (code, "the same command goes on from here" in err) == (130, True)


def test_a_dry_run_counts_every_stage(tmp_path, glue, monkeypatch):
    monkeypatch.setattr("glue_harness.lab.assemble.assemble", lambda request: request)
    monkeypatch.setattr(
        "glue_harness.lab.estimate.estimate",
        lambda request: {
            "steps": request.plan.steps,
            "training_seconds": 60.0 * request.plan.steps,
            "evaluation_seconds": 180.0,
        },
    )
    command = ("run", "--task", "rte,cola", *OPTIONS, "--strategy", "multitask-finetune", "--dry-run")
    code, out, _ = glue(*command, "--results", tmp_path)
    assert code == 0
    assert "about 16.0 minutes of training and 9.0 minutes of evaluation" in out
    assert "nothing was trained" in out
    assert not list(tmp_path.iterdir())


# Models of earlier runs


def origin(model: str, results, **changes):
    return find_origin(plan("rte", model=model, **changes), Store(results), REGISTRY)


def test_a_run_is_named_by_id_part_or_latest(carried, results):
    first = carried[1][0]
    last = origin(f"run:{first.id[:-3]}", results)
    assert last.model == f"run:{first.id}"  # what a part means may change
    assert last.source.endswith("step-00000008")
    best = origin(f"run:{first.id}@rte", results)
    assert best.step == first.scores["rte"].step
    assert origin(f"plan:{first.digest}", results).model == f"plan:{first.digest}"


def test_what_no_run_can_start_from(carried, results):
    first = carried[1][0]
    for model, message in {
        f"run:{first.id}@stsb": f"run {first.id} has no score of 'stsb': it has",
        f"run:{first.id}@stbs": "unknown task 'stbs': did you mean stsb?",
        "run:nowhere": "unknown run 'nowhere'",
        "plan:0123456789ab": "no finished run of plan 0123456789ab with seed 0",
    }.items():
        with pytest.raises(UsageError) as refused:
            origin(model, results)
        assert message in str(refused.value)
    with pytest.raises(UsageError, match="with seed 1"):
        origin(f"plan:{first.digest}", results, seed=1)


def test_weights_that_are_gone_and_runs_that_did_not_end(tmp_path):
    store = Store(tmp_path)
    record = run(plan("rte", steps=1, eval_every=1), results=tmp_path)
    for file in (tmp_path / record.id / "checkpoints").rglob("complete"):
        file.unlink()
    with pytest.raises(GlueError, match="has no checkpoint of step 1 any more"):
        origin("run:latest", tmp_path)
    record.status = "interrupted"
    store.save(record)
    with pytest.raises(UsageError, match=r"is interrupted, not finished: name the task .* run:.*@TASK"):
        origin("run:latest", tmp_path)


def test_a_user_goes_on_from_a_run(carried, results, glue):
    first = carried[1][0]
    code, out, _ = glue("run", "--task", "rte", *OPTIONS, "--model", f"run:{first.id}@cola", "--results", results, "-q")
    assert code == 0, out
    record = Store(results).load_all()[0][-1]
    assert record.environment["model"]["run"] == first.id
    assert plan_from(record.plan).model == f"run:{first.id}@cola"


def test_a_wrong_origin_is_found_before_torch(glue, tmp_path):
    code, _, err = glue("run", "--task", "rte", *OPTIONS, "--model", "run:latest", "--results", tmp_path)
    assert (code, "no run in" in err) == (2, True)


# Text


def test_text_of_a_file_or_a_folder(tmp_path):
    (tmp_path / "a.txt").write_text("The first story.\n\nThe second one,\non two lines.\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.txt").write_text("A third story, which is longer than the others are.")
    text = plan("span_corruption", text=str(tmp_path), batch_size=2, steps=1)
    record = run(text, results=tmp_path / "results")
    assert record.data["span_corruption"]["train"]["rows"] == 3
    record = run(text.replace(text=str(tmp_path / "a.txt")), results=tmp_path / "results")
    assert record.data["span_corruption"]["train"]["rows"] == 2


def test_text_has_the_share_it_was_given():
    mixed = plan("rte", "cola", "span_corruption", text_share=0.25)
    found = rates(mixed, REGISTRY, {"rte": 100, "cola": 200, "span_corruption": 7})
    assert found == pytest.approx({"rte": 100, "cola": 200, "span_corruption": 100})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ("rte",), "text_share": 0.5}, "text_share is 0.5 but no task learns from text alone"),
        ({"tasks": ("rte",), "text": "."}, "text is '.' but no task learns from text alone"),
        ({"tasks": ("span_corruption",), "text_share": 0.5}, "there is nothing beside the text"),
        ({"tasks": ("span_corruption",), "text": "nowhere"}, "--text 'nowhere' is neither a file nor a folder"),
        ({"tasks": ("span_corruption",), "text_share": 1.0}, "text_share must be between 0 and 1, not 1.0"),
    ],
)
def test_text_that_cannot_be_meant(changes, message):
    with pytest.raises(UsageError) as refused:
        make_request(Plan(**{**FAST, **changes}), REGISTRY)
    assert message in str(refused.value)


def test_a_folder_without_text_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"no \.txt file in this folder"):
        make_request(plan("span_corruption", text=str(tmp_path)), REGISTRY)


def test_the_tiny_vocabulary_spells_what_another_task_answers(carried, results):
    from glue_harness.models.tokenizer import UNK, load_tokenizer

    first = carried[1][0]
    words = load_tokenizer(results / first.id / "checkpoints" / "step-00000008")
    assert UNK not in words.encode(["3.2 Zebra, quiz? {~}"])[0]
