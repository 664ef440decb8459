"""Jobs on a Ray cluster of two nodes in one machine, and as SLURM's by submitit's executors that need no SLURM."""

import logging
import os
import re
import signal
import subprocess
import sys

import pytest
from records import runner
from test_jobs import OPTIONS, PLAN, REGISTRY, until, weights

from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.jobs import post, trials
from glue_harness.jobs.executors import Workplace
from glue_harness.jobs.graph import Job
from glue_harness.jobs.launch import Launch
from glue_harness.jobs.needs import needs_of
from glue_harness.jobs.on_ray import OnRay
from glue_harness.jobs.on_slurm import OnSlurm
from glue_harness.runs.store import Store

GLUE = [sys.executable, "-m", "glue_harness"]
TRIALS = 12


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("ray", reason="needs the extra ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_and_its_launcher_does_every_trial_once(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    command = [*GLUE, "run", *OPTIONS, "--seeds", str(TRIALS), "--results", str(tmp_path / "there")]
    command += ["--set", "precision=fp32", "--eval-every", "2", "--on", f"ray:{cluster.address}"]
    store, in_order = Store(tmp_path / "there"), Store(tmp_path / "in order")

    def finished(count: int) -> bool:
        return sum(entry.status == "finished" for entry in store.by_age()) >= count

    launcher = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: finished(3), launcher)
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    until(lambda: finished(6), launcher)
    launcher.kill()
    launcher.wait()
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = launcher.communicate(timeout=400)
    assert launcher.returncode == 0, err
    assert out.count(" Acc ") == TRIALS
    records, broken = store.load_all()
    assert sorted((record.plan["seed"], record.status) for record in records) == [
        (seed, "finished") for seed in range(TRIALS)
    ]
    assert not broken
    for record in records[:3] + records[-3:]:
        alone = trials.carry_out(Job(PLAN.replace(seed=record.plan["seed"])), in_order, REGISTRY)
        assert alone.digest == record.digest
        assert weights(store, record) == weights(in_order, alone)
    cluster.remove_node(nodes.pop())


@pytest.mark.slow
def test_workers_that_cannot_see_the_results_get_what_they_need_and_send_what_they_made(cluster, tmp_path):
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    first = Job(PLAN, name="first")
    second = Job(PLAN.replace(model=f"plan:{PLAN.digest}", lr=1e-4), name="second")
    executor = OnRay(Workplace(tmp_path), f"ray:{cluster.address}")
    executor.probe.unlink()  # as where the folder is another one
    launch = Launch(Store(tmp_path), executor)
    launch.add([first, second])
    launch.carry_out()
    made, follows = launch.records([first, second])
    assert follows.environment["model"]["run"] == made.id
    assert {doing.where for doing in launch.doing.values()} == {"its folder was sent back"}
    assert weights(Store(tmp_path), made) == weights(
        Store(tmp_path / "alone"), trials.carry_out(first, Store(tmp_path / "alone"), REGISTRY)
    )
    assert (tmp_path / made.id / "log.txt").exists()
    assert not list((tmp_path / trials.CLAIMS).iterdir())
    cluster.remove_node(node)


def test_what_is_sent_arrives_whole_or_not_at_all(tmp_path):
    there, here = Store(tmp_path / "there"), tmp_path / "here"
    record = trials.carry_out(Job(PLAN), there, REGISTRY)
    office = post.Post(here)

    def call(name, *arguments):
        return getattr(office, name)(*arguments)

    def damaging(name, *arguments):
        if name == "write" and arguments[1].endswith("model.safetensors"):
            arguments = (*arguments[:3], arguments[3][:-1] + b"?")
        return call(name, *arguments)

    with pytest.raises(GlueError, match=rf"run {record.id} arrived damaged \(checkpoints/step-0000000\d/model.safe"):
        post.send(record.id, there.run_folder(record.id), damaging)
    assert Store(here).load_all() == ([], [])
    post.send(record.id, there.run_folder(record.id), call)
    assert weights(Store(here), record) == weights(there, record)
    post.fetch(record.id, tmp_path / "back" / record.id, call)
    assert post.sums_of(tmp_path / "back" / record.id) == post.sums_of(there.run_folder(record.id))
    with pytest.raises(DataError, match="is no file of a run"):
        office.write(record.id, "../../away", 0, b"")
    follows = Job(PLAN.replace(model=f"run:{record.id}@rte"))
    assert office.needed(follows) == [record.id]
    assert office.needed(Job(PLAN)) == []


def test_a_trial_that_is_claimed_on_the_launchers_side_is_claimed_for_all(tmp_path):
    office, job = post.Post(tmp_path), Job(PLAN)
    assert office.claim(job.key)
    assert office.claim(job.key)  # its worker died, and another one has it
    code = f"from pathlib import Path; from glue_harness.jobs.post import Post; print(Post(Path({str(tmp_path)!r}))"
    asked = [sys.executable, "-c", f"{code}.claim({job.key!r}))"]
    assert subprocess.run(asked, capture_output=True, text=True).stdout == "False\n"
    office.release(job.key)
    assert subprocess.run(asked, capture_output=True, text=True).stdout == "True\n"


def test_needs_are_numbers_and_names():
    known = {"cpus": 1.0, "partition": ""}
    assert needs_of("ray:host:6379?cpus=2", known) == ("ray:host:6379", {"cpus": 2.0, "partition": ""})
    assert needs_of("slurm?partition=long", known) == ("slurm", {"cpus": 1.0, "partition": "long"})
    for wrong, message in {
        "ray?cpu=2": "it takes cpus, partition behind the ?, not cpu",
        "ray?cpus=two": "cpus is a number, 0 or more, not 'two'",
        "ray?cpus=nan": "cpus is a number, 0 or more, not 'nan'",
        "ray?cpus=": "cpus is a number, 0 or more, not ''",
    }.items():
        with pytest.raises(UsageError, match=re.escape(message)):
            needs_of(wrong, known)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_or_too_small_is_one_line(cluster, tmp_path, capsys):
    glue = runner(capsys)
    code, _, err = glue("run", *OPTIONS, "--results", tmp_path, "--on", f"ray:{cluster.address}?cpus=0&gpus=64")
    assert code == 2
    assert err.strip().endswith("&gpus=64: a job wants 64 gpus, the cluster has 0")
    code, _, err = glue("run", *OPTIONS, "--results", tmp_path, "--on", "slurm")
    assert (code, err.strip()) == (
        2,
        "glue: --on slurm: no SLURM here (sbatch is not found): log in where jobs are submitted",
    )


@pytest.mark.slow
def test_what_a_scheduler_takes_away_saves_and_goes_on(tmp_path):
    pytest.importorskip("submitit", reason="needs the extra slurm")
    logging.getLogger("submitit").setLevel(logging.ERROR)
    executor, taken = OnSlurm(Workplace(tmp_path), "slurm:local"), []

    def told(doing):
        if doing.step >= 20 and not taken:
            taken.append(doing.job.key)
            os.kill(int(doing.where.split()[1]), signal.SIGUSR2)  # as SLURM does

    jobs = [Job(PLAN.replace(steps=400, eval_every=20), name="long"), Job(PLAN, name="short")]
    launch = Launch(Store(tmp_path), executor, told)
    launch.add(jobs)
    launch.carry_out()
    long, short = launch.records(jobs)
    assert taken == [jobs[0].key]
    assert len(long.resumed) == 1
    assert long.resumed[0] >= 20
    assert (long.status, short.status) == ("finished", "finished")
    assert "process" in (tmp_path / long.id / "log.txt").read_text()


@pytest.mark.slow
def test_slurms_jobs_by_the_command(tmp_path, capsys):
    pytest.importorskip("submitit", reason="needs the extra slurm")
    code, out, err = runner(capsys)("run", *OPTIONS, "--on", "slurm:debug", "--seeds", "2", "--results", tmp_path)
    assert code == 0, err
    assert out.count(" Acc ") == 2
