"""Two processes with one thread each against one process with two, and with one: updates in turns.

    python tests/benchmarks/ranks.py [t5:small] [ROUNDS] [BATCH]

The loop and the feed are those of a run, rows are synthetic with GLUE's lengths. Medians, and the median of the ratios
within rounds: other work on the machine disturbs neighbours alike.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
STEPS = 2  # a turn
WARM = 1  # turns that do not count


def work(model: str, batch: int) -> None:
    """Waits for a line, does a turn, and says what it took: seconds, those that went to waiting, and the processor's."""
    from glue_harness.bench import prepared
    from glue_harness.bench.synthetic import without_data
    from glue_harness.core.plan import Plan
    from glue_harness.train.loop import Hook, State, train
    from glue_harness.train.ranks import join

    ranks, state = join(), State()
    plan = Plan(("x",), data="demo", model=model, steps=1000, batch_size=batch, device="cpu")
    with without_data(plan.replace(steps=8 * STEPS), 10) as (short, registry):
        setup = prepared(short, registry)
    learner = setup.learner
    object.__setattr__(learner, "plan", learner.plan.replace(steps=10**6))

    def end(now: State) -> None:
        now.over = True

    print("ready", flush=True)
    for _ in sys.stdin:
        began, worked, waited, state.over = time.perf_counter(), time.process_time(), ranks.waited, False
        train(learner, setup.feed, setup.machine, [Hook(STEPS, end)], setup.fit, state)
        print(time.perf_counter() - began, ranks.waited - waited, time.process_time() - worked, flush=True)


def started(environment: dict[str, str], model: str, batch: int) -> subprocess.Popen[str]:
    # as in glue: threads that spin for long starve each other on shared cores
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GOMP_SPINCOUNT": "1000", **environment}
    command = [sys.executable, __file__, "--work", model, str(batch)]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Turn(NamedTuple):
    seconds: float  # of whoever took longest
    waited: float  # on average
    worked: float  # by the processor, for all


def turn(team: list[subprocess.Popen[str]]) -> Turn:
    for process in team:
        print("go", file=process.stdin, flush=True)
    told = [list(map(float, process.stdout.readline().split())) for process in team]
    seconds, waited, worked = zip(*told, strict=True)
    return Turn(max(seconds), sum(waited) / len(team), sum(worked))


def main(model: str, rounds: int, batch: int) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
    teams = {
        "one process of one thread": [started({"OMP_NUM_THREADS": "1"}, model, batch)],
        "one process of two threads": [started({"OMP_NUM_THREADS": "2"}, model, batch)],
        "two processes of one thread": [
            started({**meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"}, model, batch) for rank in range(2)
        ],
    }
    everybody = [process for team in teams.values() for process in team]
    for process in everybody:
        assert process.stdout.readline() == "ready\n"
    rounds_of = [[turn(team) for team in teams.values()] for _ in range(WARM + rounds)][WARM:]
    for process in everybody:
        process.stdin.close()
        process.wait()
    print(f"{model}, updates of {batch}, {rounds} rounds of {STEPS}")
    for name, *turns in zip(teams, *rounds_of, strict=True):
        ratio = median(mine.seconds / of_round[-1].seconds for mine, of_round in zip(turns, rounds_of, strict=True))
        speed = batch * STEPS / median(mine.seconds for mine in turns)
        worked = 1000 * median(mine.worked for mine in turns) / (batch * STEPS)
        print(f"{name:<28}{speed:7.1f} examples/s, {worked:5.1f} ms of a processor each; two over it {ratio:.2f}")
    waited = median(of_round[-1].waited / of_round[-1].seconds for of_round in rounds_of)
    print(f"exchange and waiting: {waited:.0%} of the time of two processes")


if __name__ == "__main__":
    if "--work" in sys.argv:
        work(sys.argv[2], int(sys.argv[3]))
    else:
        given = [*sys.argv[1:], *("t5:small", "7", "32")[len(sys.argv) - 1 :]]
        main(given[0], int(given[1]), int(given[2]))
