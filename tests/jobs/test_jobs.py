"""Several runs as a graph of jobs: order, claims, failures, workers that die, launchers that share or are killed."""

import signal
import subprocess
import sys
import time

import pytest
from records import runner

from glue_harness import Plan, load_tasks
from glue_harness.jobs import trials
from glue_harness.jobs.executors import FAILED, FINISHED, LOST, TAKEN, Event, Workplace
from glue_harness.jobs.graph import Job, graph_of
from glue_harness.jobs.launch import RETRIES, Launch, State
from glue_harness.jobs.processes import Processes, environment_of
from glue_harness.runs.folder import Taken
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
GLUE = [sys.executable, "-m", "glue_harness"]
PLAN = Plan(("rte",), data="demo:40", model="tiny", steps=4, batch_size=4, eval_every=2, precision="fp32")
OPTIONS = ("--task", "rte", "--data", "demo:40", "--model", "tiny", "--steps", "4", "--batch-size", "4", "--quiet")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


class Played:
    """An executor whose jobs end as a play says, one event each time it is asked."""

    def __init__(self, play: dict[str, list[str]], slots: int = 2) -> None:
        self.play, self.slots, self.began = play, slots, []
        self.events_left: list[Event] = []

    def start(self, job: Job) -> None:
        self.began.append(job.name)
        self.events_left.append(Event(job.key, self.play.get(job.name, [FINISHED]).pop(0), run=job.name, text="why"))

    def events(self, seconds: float) -> list[Event]:
        happened, self.events_left = self.events_left[:1], self.events_left[1:]
        return happened

    def stop(self) -> None: ...
    def close(self) -> None: ...


def jobs_after(first: Plan) -> list[Job]:
    """One that others start from, two that do, and one that is alone."""
    follows = [PLAN.replace(model=f"plan:{first.digest}", lr=lr) for lr in (1e-4, 2e-4)]
    plans = [follows[0], first, PLAN.replace(lr=5e-4), follows[1]]
    return [Job(plan, name=name) for plan, name in zip(plans, ("x", "first", "alone", "y"), strict=True)]


def launched(tmp_path, play: dict[str, list[str]], monkeypatch, slots: int = 2) -> tuple[Launch, Played]:
    monkeypatch.setattr("glue_harness.jobs.launch.AGAIN_AFTER", 0.0)
    executor = Played(play, slots)
    launch = Launch(Store(tmp_path), executor)
    launch.add(graph_of(jobs_after(PLAN.replace(lr=9e-4))).values())
    launch.carry_out()
    return launch, executor


def test_a_job_waits_for_what_it_starts_from_and_others_do_not(tmp_path, monkeypatch):
    launch, executor = launched(tmp_path, {}, monkeypatch)
    assert executor.began == ["first", "alone", "x", "y"]
    assert {doing.state for doing in launch.doing.values()} == {State.FINISHED}


def test_what_starts_from_a_failure_is_left_out_and_the_rest_is_done(tmp_path, monkeypatch):
    launch, executor = launched(tmp_path, {"first": [FAILED]}, monkeypatch)
    states = {doing.job.name: (doing.state, doing.text) for doing in launch.doing.values()}
    assert executor.began == ["first", "alone"]
    assert states["first"] == (State.FAILED, "why")
    assert states["alone"][0] is State.FINISHED
    assert states["x"] == states["y"] == (State.LEFT_OUT, "it starts from first")


def test_a_job_whose_worker_dies_is_done_again_a_few_times(tmp_path, monkeypatch):
    launch, executor = launched(tmp_path, {"alone": [LOST, LOST, FINISHED]}, monkeypatch)
    assert executor.began.count("alone") == 3
    assert not launch.in_state(State.FAILED)
    launch, executor = launched(tmp_path, {"alone": [LOST] * (RETRIES + 1)}, monkeypatch)
    (failed,) = launch.in_state(State.FAILED)
    assert failed.text == f"its worker died {RETRIES + 1} times, lastly why"


def test_a_trial_of_another_launcher_is_asked_for_again(tmp_path, monkeypatch):
    _, executor = launched(tmp_path, {"alone": [TAKEN, TAKEN, FINISHED]}, monkeypatch)
    assert executor.began.count("alone") == 3


def test_the_same_plan_twice_is_one_job():
    assert len(graph_of([Job(PLAN, name="a"), Job(PLAN.replace(device="auto"), name="b")])) == 1
    assert len(graph_of([Job(PLAN), Job(PLAN.replace(seed=1))])) == 2


def test_a_trial_is_carried_out_once(tmp_path):
    store, job = Store(tmp_path), Job(PLAN)
    code = (
        "import sys, time; from pathlib import Path; from glue_harness.jobs.trials import claim\n"
        "from glue_harness.runs.store import Store\n"
        f"with claim(Store({str(tmp_path)!r}), {job.key!r}): print(1, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "1\n"
        with pytest.raises(Taken, match="is being carried out by another process"):
            trials.carry_out(job, store, REGISTRY)
    finally:
        other.kill()
        other.wait()
    record = trials.carry_out(job, store, REGISTRY)  # the claim died with its process
    assert trials.carry_out(job, store, REGISTRY).id == record.id
    assert len(store.load_all()[0]) == 1
    assert not list((tmp_path / trials.CLAIMS).iterdir())


def test_a_job_pauses_and_goes_on_as_if_it_had_not(tmp_path):
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    whole = trials.carry_out(Job(PLAN), there, REGISTRY)
    paused = trials.carry_out(Job(PLAN, until=2), here, REGISTRY)
    assert (paused.status, paused.error) == ("interrupted", "paused after step 2")
    assert [step for step, _ in paused.history["rte"]] == [2]
    assert here.run(paused.id).snapshots()
    done = trials.carry_out(Job(PLAN), here, REGISTRY)
    assert (done.id, done.resumed, done.status) == (paused.id, [2], "finished")
    assert [tuple(at) for at in done.history["rte"]] == whole.history["rte"]
    as_kept = [there.find(whole.id), here.find(done.id)]
    assert as_kept[0].scores == as_kept[1].scores


# On processes


def weights(store: Store, record) -> bytes:
    """Of the last step."""
    return (store.run(record.id).checkpoint(record.last_step) / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def in_order(tmp_path_factory) -> Store:
    """Three seeds one after the other, in one process."""
    store = Store(tmp_path_factory.mktemp("order"))
    for seed in range(3):
        trials.carry_out(Job(PLAN.replace(seed=seed)), store, REGISTRY)
    return store


def test_processes_make_the_same_bits_as_one(tmp_path, in_order):
    jobs = [Job(PLAN.replace(seed=seed), name=f"seed {seed}") for seed in range(3)]
    launch = Launch(Store(tmp_path), Processes(Workplace(tmp_path), 2))
    launch.add(jobs)
    launch.carry_out()
    records = launch.records(jobs)
    assert [record.plan["seed"] for record in records] == [0, 1, 2]
    for record in records:
        before = in_order.finished(record.digest, record.plan["seed"])
        assert weights(Store(tmp_path), record) == weights(in_order, before)
        assert record.scores == before.scores
        log = (tmp_path / record.id / "log.txt").read_text()
        assert log.startswith(f"run {record.id}, process ")
        assert "step      4  loss" in log
    assert not list((tmp_path / trials.CLAIMS).iterdir())


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path, in_order):
    """Killed when it has told of its first scores; its run goes on from there in another worker."""
    executor, killed = Processes(Workplace(tmp_path), 1), []

    def told(doing):
        if doing.step >= 2 and not killed:
            killed.append(doing.run)
            executor.workers[0].process.kill()

    job = Job(PLAN, name="seed 0")
    launch = Launch(Store(tmp_path), executor, told)
    launch.add([job])
    launch.carry_out()
    (record,) = launch.records([job])
    assert [record.id] == killed
    assert launch.doing[job.key].lost == 1
    assert weights(Store(tmp_path), record) == weights(in_order, in_order.finished(*job.key))


def test_two_launchers_on_one_folder_share_the_work(tmp_path):
    command = [*GLUE, "run", *OPTIONS, "--seeds", "3", "--on", "local:1", "--results", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert out.count(" Acc ") == 3  # both tell of all
    records, broken = Store(tmp_path).load_all()
    assert sorted(record.plan["seed"] for record in records) == [0, 1, 2]
    assert not broken


def test_a_launcher_that_is_stopped_leaves_what_the_same_command_goes_on_with(tmp_path):
    command = [*GLUE, "run", *OPTIONS, "--steps", "4000", "--eval-every", "20", "--on", "local:1"]
    command += ["--results", str(tmp_path)]
    first = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(lambda: list(tmp_path.glob("*/checkpoints/step-*")), first)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 130
    assert "stopping: what is at work saves first (again to stop now)" in err
    assert err.splitlines()[-1] == "glue: interrupted: the same command goes on from here"
    (record,), _ = Store(tmp_path).load_all()
    assert record.status == "interrupted"
    again = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: Store(tmp_path).load_all()[0][0].resumed, again)
    again.kill()  # the worker notices, saves and ends
    again.wait()
    until(lambda: Store(tmp_path).run(record.id).is_free())
    (record,), _ = Store(tmp_path).load_all()
    assert (record.status, len(record.resumed)) == ("interrupted", 1)


def until(is_so, process=None) -> None:
    for _ in range(1200):
        if is_so():
            return
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    raise AssertionError("it never came to that")


def test_failures_are_told_at_the_end_and_the_others_are_kept(tmp_path, glue, monkeypatch):
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "mine.py").write_text(WRONG)
    options = [option if option != "rte" else "rte,mine" for option in OPTIONS]
    command = ("run", *options, "--strategy", "single", "--tasks", folder, "--results", tmp_path / "r")
    for on in ("local", "local:2"):
        code, _, err = glue(*command, "--on", on)
        assert code == 1
        assert "no rows today" in err
        assert "glue: 1 of 2 runs failed, as told above; the others are kept, and the same command tries" in err
    assert [record.status for record in Store(tmp_path / "r").load_all()[0]] == ["finished"]


WRONG = """
from glue_harness.core.task import Source
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify

def wrong(random, n):
    raise ValueError("no rows today")

usual = {"fields": ("text",), "labels": ("a", "b"), "metrics": (accuracy,)}
task = classify("mine", source=Source("none"), demo=wrong, **usual)
"""


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("locla", "unknown place 'locla': --on takes local, local:N, ray, ray:ADDRESS or slurm"),
        ("local:0", "--on local:0 asks for no number of processes: write local:2, up to 1024"),
        ("local:two", "--on local:two asks for no number of processes: write local:2, up to 1024"),
    ],
)
def test_places_that_are_none_are_one_line(on, message, glue, tmp_path):
    code, _, err = glue("run", *OPTIONS, "--on", on, "--results", tmp_path)
    assert (code, err.strip()) == (2, f"glue: {message}")
    assert not list(tmp_path.glob("*/record.json"))


def test_a_worker_has_its_share_of_the_machine(monkeypatch):
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert environment_of(1, 3) == {"OMP_NUM_THREADS": "2"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [environment_of(n, 3)["CUDA_VISIBLE_DEVICES"] for n in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert [environment_of(n, 2)["CUDA_VISIBLE_DEVICES"] for n in range(2)] == ["4", "7"]


def test_many_runs_are_started_once_and_not_by_torchrun(glue, tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    code, _, err = glue("sweep", *OPTIONS, "--over", "lr=1e-4,1e-3", "--results", tmp_path)
    message = "2 processes were started to share one run, and this is many: start it once, with --on"
    assert (code, err) == (2, f"glue: {message}\n")
