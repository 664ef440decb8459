"""Sweeps: what is tried, in which order, what chooses, and that the same command goes on."""

import json
from itertools import islice

import pytest
from records import runner

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.metrics.expected import expected_best
from glue_harness.runs.store import Store
from glue_harness.sweep.report import curve, effects, labelled
from glue_harness.sweep.search import Halving, Listed, Modelled, Trial, different, rungs_of, search_of
from glue_harness.sweep.space import Choice, Space, space_of
from glue_harness.sweep.study import FAILED, Study, Tried

LR, BATCH = Choice("lr", (1e-4, 2e-4)), Choice("batch_size", (8, 16, 32))
RANK = Choice("lora_rank", (4, 8), when={"method": "lora"})
OPTIONS = ("--task", "rte", "--data", "demo:60", "--model", "tiny", "--batch-size", "8", "--quiet", "--eval-every", "2")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_a_grid_is_every_combination_that_differs():
    assert Space((LR, BATCH)).grid()[:4] == [
        {"lr": 1e-4, "batch_size": 8},
        {"lr": 1e-4, "batch_size": 16},
        {"lr": 1e-4, "batch_size": 32},
        {"lr": 2e-4, "batch_size": 8},
    ]
    method = Choice("method", ("full", "lora"))
    assert Space((method, RANK)).grid() == [
        {"method": "full"},
        {"method": "lora", "lora_rank": 4},
        {"method": "lora", "lora_rank": 8},
    ]


def test_draws_stay_in_their_range_and_are_the_same_however_many_are_asked_for():
    space = Space((Choice("lr", low=1e-5, high=1e-2, log=True), Choice("batch_size", low=8, high=64, whole=True)))
    drawn = list(islice(space.draws(0), 400))
    assert drawn[:7] == list(islice(space.draws(0), 7))
    assert drawn[:7] != list(islice(space.draws(1), 7))
    assert all(1e-5 <= setting["lr"] <= 1e-2 for setting in drawn)
    assert {type(setting["batch_size"]) for setting in drawn} == {int}
    assert 0.4 < sum(setting["lr"] < 10**-3.5 for setting in drawn) / len(drawn) < 0.6  # the middle, by logarithm
    assert len(different(Space((LR,)), 10, 0)) == 2  # there are no more


def test_a_file_has_values_ranges_and_conditions(tmp_path):
    (tmp_path / "space.toml").write_text(
        "[over]\nlr = {low = 1e-5, high = 1e-3, log = true}\nbatch_size = {low = 8, high = 64}\n"
        'method = ["full", "lora"]\nlora_rank = {values = [4, 8], when = {method = "lora"}}\ndropout = [0.0, 0.1]\n'
    )
    found = {choice.name: choice for choice in space_of(["dropout=0.2,0.3"], tmp_path / "space.toml").choices}
    assert found["lr"] == Choice("lr", low=1e-5, high=1e-3, log=True)
    assert found["batch_size"] == Choice("batch_size", low=8, high=64, whole=True)
    assert found["lora_rank"] == RANK
    assert found["dropout"].values == (0.2, 0.3)  # the command line wins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr", "--over 'lr': write NAME=VALUE,VALUE, for example lr=1e-5,2e-5"),
        ("lrr=1,2", "--over: lrr is no setting"),
        ("device=cpu,cuda", "--over: device does not change an experiment"),
        ("seed=1,2", "--over: seed is not varied by a sweep: use --seeds"),
        ("lr=1e-4,fast", "--over"),
    ],
)
def test_what_cannot_be_varied_is_one_line(text, message, glue, tmp_path):
    code, _, err = glue("sweep", *OPTIONS, "--steps", "4", "--over", text, "--results", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("over = 3", "it has one table, [over], with a setting a line"),
        ("[over]\nlr = 3", "lr is 3: it has a list of values, or a range {low, high}"),
        ("[over]\nlr = {low = 2.0, high = 1.0}", "it has values, or low below high, and log = true if low is above 0"),
        ("[over]\nlr = {low = 0.0, high = 1.0, log = true}", "log = true if low is above 0"),
        ("[over]\nlr = {low = 0.1}", "it has values, or low below high"),
        ("[over]\nlr = {values = [1e-4], when = 3}", "when is 3: write when ="),
        ("[over", "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(text, message, glue, tmp_path):
    (tmp_path / "space.toml").write_text(text)
    command = ("sweep", *OPTIONS, "--steps", "4", "--space", tmp_path / "space.toml", "--search", "random")
    code, _, err = glue(*command, "--trials", "2", "--results", tmp_path / "r")
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--over", "lr=1,2", "--search", "best"), "unknown search 'best': known: grid, random, asha, tpe"),
        (("--over", "lr=1,2", "--trials", "3"), "--trials is for --search random, asha or tpe"),
        (("--over", "lr=1,2", "--search", "random"), "--search random needs --trials N"),
        ((), "nothing to vary: --over lr=1e-5,2e-5, or a file with --space"),
        (("--over", "lr=1e-4", "--search", "asha", "--trials", "9", "--eval-every", "4"), "asha has no rung: 4 steps"),
    ],
)
def test_a_search_that_is_wrong_is_one_line(options, message, glue, tmp_path):
    code, _, err = glue("sweep", *OPTIONS, "--steps", "4", *options, "--results", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def test_rungs_are_thirds_at_steps_that_are_scored():
    assert rungs_of(270, 10) == [10, 30, 90]
    assert rungs_of(100, 10) == [10, 30]
    assert rungs_of(12, 2) == [4]
    with pytest.raises(UsageError, match="needs --eval-every of at most 33"):
        rungs_of(100, 40)


def played(search, value_of) -> list[tuple[int, int | None]]:
    """What is trained, where each trial's value at a rung is a function of its setting and the rung."""
    left, done = list(search.begin(1)), []
    while left:
        trial = left.pop(0)
        done.append((trial.number, trial.until))
        left = [*search.after(trial, value_of(trial)), *left]
    return done


def test_asha_trains_the_better_third_further_and_each_rung_once():
    settings = [{"lr": 11 * number % 27 / 100} for number in range(27)]
    done = played(Halving(settings, [10, 30, 90]), lambda trial: trial.setting["lr"])
    assert len(done) == len(set(done))
    counts = [sum(until == rung for _, until in done) for rung in (10, 30, 90, None)]
    assert counts[0] == 27
    assert 9 <= counts[1] <= 13  # asynchronous: the first ones were promoted among few
    assert counts[1] > counts[2] >= counts[3] >= 1
    assert (settings.index({"lr": 0.26}), None) in done  # the best of all
    spent = sum({10: 10, 30: 20, 90: 60, None: 180}[until] for _, until in done)
    assert spent < 27 * 270 / 3


def test_asha_has_no_more_rungs_than_somebody_passes():
    for count, rungs in {1: [], 2: [], 3: [90], 9: [30, 90], 27: [10, 30, 90], 100: [10, 30, 90]}.items():
        search = Halving([{"lr": float(number)} for number in range(count)], [10, 30, 90])
        assert list(search.rungs) == rungs
        assert any(until is None for _, until in played(search, lambda trial: -trial.number))


def test_tpe_comes_closer_to_what_is_good_than_chance_does():
    pytest.importorskip("optuna", reason="needs the extra search")
    space = Space((Choice("lr", low=0.0, high=1.0), Choice("mixing", ("equal", "proportional"))))

    def value(trial: Trial) -> float:
        return -abs(trial.setting["lr"] - 0.3) - (trial.setting["mixing"] == "equal")

    def best_of_last(search) -> float:
        seen = []
        played(search, lambda trial: seen.append(value(trial)) or seen[-1])
        return sum(sorted(seen[-20:])[-10:]) / 10

    modelled = [best_of_last(Modelled(space, 60, seed)) for seed in range(3)]
    chance = [best_of_last(Listed(list(islice(space.draws(seed), 60)))) for seed in range(3)]
    assert min(modelled) > max(chance)
    again = [played(Modelled(space, 9, 0), value) for _ in range(2)]
    assert again[0] == again[1]


def test_the_expected_best_is_what_drawing_gives():
    values = [3.0, 1.0, 2.0]
    assert expected_best(values, 1) == pytest.approx(2.0)
    assert expected_best(values, 2) == pytest.approx((3 * 5 + 2 * 3 + 1 * 1) / 9)  # of nine pairs
    assert expected_best(values, 1000) == pytest.approx(3.0)
    made = [Tried(Trial(k, {}), Plan(("rte",)), {0: value}) for k, value in enumerate(values)]
    assert [n for n, _ in curve(made)] == [1, 2, 3]


def test_effects_are_over_all_trials_that_had_a_value():
    plan = Plan(("rte",))
    made = [
        Tried(Trial(k, setting), plan, {0: value})
        for k, (setting, value) in enumerate(
            [({"method": "full"}, 50.0), ({"method": "lora", "lora_rank": 4}, 60.0), ({"method": "lora"}, 70.0)]
        )
    ]
    found = {(effect.name, effect.value): effect for effect in effects(made)}
    assert (found["method", "lora"].trials, found["method", "lora"].mean, found["method", "lora"].best) == (2, 65, 70)
    assert found["lora_rank", "4"].trials == 1
    labels = dict(labelled("lr", [k / 10 for k in range(1, 13)]))
    assert sorted(set(labels.values())) == ["0.1 to 0.3", "0.4 to 0.6", "0.7 to 0.9", "1 to 1.2"]


def found_by(glue, *command) -> dict:
    code, out, err = glue(*command, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_sweep_chooses_on_held_out_rows_and_more_values_cost_only_themselves(glue, tmp_path):
    command = ("sweep", *OPTIONS, "--steps", "4", "--results", tmp_path, "--final", "2")
    found = found_by(glue, *command, "--over", "lr=1e-4,3e-3")
    store = Store(tmp_path)
    records = store.load_all()[0]
    assert len(records) == 4
    assert {record.plan["select"] for record in records} == {"heldout"}
    for trial in found["trials"]:
        record = store.finished(trial["plan"], 0)
        values = [values["accuracy"] for _, values in record.history["rte"]]
        assert trial["held_out"] == {"0": max(values)}
        assert trial["steps"] == 4
        assert record.stage.startswith("sweep of ")
    assert [final["seed"] for final in found["final"]] == [1, 2]
    best = max(found["trials"], key=lambda trial: trial["held_out"]["0"])
    assert found["best"] == best["setting"]
    again = found_by(glue, *command, "--over", "lr=1e-4,3e-3,1e-3")
    assert len(again["trials"]) == 3
    new = {record.plan["lr"] for record in store.load_all()[0][4:]}
    assert new <= {1e-3}
    code, out, err = glue(*command, "--over", "lr=1e-4,3e-3,1e-3")
    assert code == 0, err
    assert "Mean score on held-out rows" in out
    assert "searched: 3 settings, 12 steps" in out
    assert "The best setting on validation, 2 fresh seeds" in out
    code, out, _ = glue(*command, "--over", "lr=1e-4,7e-3", "--dry-run")
    assert (code, "2 runs to begin with, 4 steps to go; nothing was trained" in out) == (0, True)


def test_asha_pauses_runs_and_goes_on_with_the_better_ones(glue, tmp_path):
    (tmp_path / "space.toml").write_text("[over]\nlr = {low = 1e-4, high = 1e-2, log = true}\n")
    command = ("sweep", *OPTIONS, "--steps", "18", "--space", tmp_path / "space.toml", "--search", "asha")
    command += ("--trials", "9", "--final", "0", "--results", tmp_path / "r")
    found = found_by(glue, *command)
    steps = sorted(trial["steps"] for trial in found["trials"])
    assert (len(steps), steps[0], steps[-1]) == (9, 2, 18)
    store = Store(tmp_path / "r")
    records = {record.digest: record for record in store.load_all()[0]}
    assert len(records) == 9  # a promoted trial goes on, it does not begin again
    whole = records[found["plan"]]
    assert (whole.status, whole.resumed) == ("finished", [2, 6])
    paused = [record for record in records.values() if record.status == "interrupted"]
    assert {record.error for record in paused} <= {"paused after step 2", "paused after step 6"}
    before = {record.id: record.seconds for record in records.values()}
    assert found_by(glue, *command)["trials"] == found["trials"]  # nothing was left to do
    assert {record.id: record.seconds for record in store.load_all()[0]} == before


def test_a_setting_that_fails_is_told_and_the_rest_is_ranked(tmp_path):
    registry = load_tasks()
    study = Study(Plan(("rte",)), Listed([{"lr": 1.0}, {"lr": 2.0}]), [(registry.task("rte"),)], Store(tmp_path))
    study.begin(1)
    study.tried[0].values[0], study.tried[1].values[0] = FAILED, 50.0
    assert [tried.trial.number for tried in study.finished()] == [1]
    study.tried[0].values[0] = -1.0  # CoLA's score can be below zero
    assert [tried.trial.number for tried in study.finished()] == [1, 0]


def test_tpe_by_the_command(glue, tmp_path):
    pytest.importorskip("optuna", reason="needs the extra search")
    command = ("sweep", *OPTIONS, "--steps", "2", "--over", "lr=1e-4,3e-3,1e-3", "--search", "tpe", "--trials", "3")
    found = found_by(glue, *command, "--final", "0", "--results", tmp_path)
    assert len(found["trials"]) == 3
    assert search_of("tpe", Space((LR,)), 2, 0, 4, 2).begin(8)[1].number == 1
