"""One attempt at a run: what its seconds went to."""

from glue_harness.lab import attempt
from glue_harness.lab.attempt import PhaseClock


def test_seconds_of_phases_come_on_top_of_those_of_earlier_attempts(monkeypatch):
    ticks = iter([100.0, 103.0, 110.0, 111.0])
    monkeypatch.setattr(attempt.time, "perf_counter", lambda: next(ticks))
    clock = PhaseClock({"train": 5.0, "save": None})
    for phase in ("train", "save", "train"):
        clock.turn_to(phase)
    assert clock.spent == {"setup": 3.0, "train": 12.0, "evaluate": 0.0, "save": 1.0}
    assert clock.phase == "train"
