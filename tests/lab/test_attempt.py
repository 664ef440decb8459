"""One attempt at a run: whom it tells what, which steps it logs, what its seconds went to."""

import json
from itertools import count
from types import SimpleNamespace

from glue_harness import Plan, run
from glue_harness.lab import attempt
from glue_harness.lab.attempt import PhaseClock
from glue_harness.runs.store import Store


class Witness:
    def __init__(self):
        self.stepped_at, self.scored_at, self.folder = [], [], None

    def assembled(self, setup, record, folder):
        self.folder, self.record_at_first = folder, json.loads((folder / "record.json").read_text())

    def stepped(self, setup, state):
        self.stepped_at.append(state.step)

    def scored(self, step, values):
        self.scored_at.append((step, sorted(values)))


def test_a_watcher_sees_every_step_and_the_log_the_first_each_tenth_and_the_last(tmp_path):
    plan = Plan(("rte",), data="demo:20", model="tiny", steps=22, eval_every=8, batch_size=2, device="cpu")
    witness = Witness()
    record = run(plan, results=tmp_path, watcher=witness)
    assert witness.folder == tmp_path / record.id
    for told in ("parameters", "data", "environment"):  # before the first step: a run that is killed has them too
        assert json.loads(json.dumps(getattr(record, told))) == witness.record_at_first[told] != {}
    assert witness.stepped_at == [*range(1, 23)]
    assert witness.scored_at == [(step, ["rte"]) for step in (8, 16, 22)]
    assert [entry["step"] for entry in Store(tmp_path).read_train(record.id)] == [1, 10, 20, 22]


def test_the_seconds_of_a_run_have_no_gap(tmp_path, monkeypatch):
    """The clock ticks whenever it is asked: from the first time to the last every tick belongs to a phase."""
    ticks = count()
    monkeypatch.setattr(attempt, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    plan = Plan(("rte",), data="demo:20", model="tiny", steps=3, batch_size=2, device="cpu")
    record = run(plan, results=tmp_path)
    assert record.seconds == sum(record.timing.values()) == next(ticks) - 1


def test_seconds_of_phases_come_on_top_of_those_of_earlier_attempts(monkeypatch):
    ticks = iter([100.0, 103.0, 110.0, 111.0])
    monkeypatch.setattr(attempt.time, "perf_counter", lambda: next(ticks))
    clock = PhaseClock({"train": 5.0, "save": None})
    for phase in ("train", "save", "train"):
        clock.turn_to(phase)
    assert clock.spent == {"setup": 3.0, "train": 12.0, "evaluate": 0.0, "save": 1.0}
    assert clock.phase == "train"
