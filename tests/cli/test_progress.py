"""What a run shows while it goes by."""

import io
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from glue_harness.cli import progress

EIGHT = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")


@pytest.mark.parametrize("tasks", [EIGHT, (*EIGHT, "superglue_rte", "cnn_dailymail", "mnli_mismatched")])
def test_many_tasks_leave_the_counts_their_room(monkeypatch, tasks):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "console", lambda stderr: screen)
    monkeypatch.setattr(progress, "describe", lambda setup: [])
    setup = SimpleNamespace(request=SimpleNamespace(plan=SimpleNamespace(steps=100_000)))
    counts = {"examples": 400_000, "tokens": 9_000_000, "skipped": []}
    state = SimpleNamespace(step=12_345, seen=dict.fromkeys(tasks, 5), loss=0.12345, **counts)
    with progress.ProgressDisplay(quiet=False) as shown:
        shown.assembled(setup, SimpleNamespace(notes=[], resumed=[]), Path("results/run"))
        shown.before = (time.perf_counter() - 1000, 0, 0)
        shown.stepped(setup, state)
        shown.bar.refresh()
    counts, shares = last_frame(screen.file.getvalue())
    assert counts.split()[1:6] == ["12345/100000", "loss", "0.123", "400", "ex/s"]
    assert counts.split()[6:8] == ["9,000", "tok/s"]
    assert counts.split()[-1].count(":") == 2  # time left
    assert shares.startswith(f"{min(tasks)} {1 / len(tasks):.0%} ")
    assert len(shares) <= 80
    assert shares.rstrip().endswith("%" if tasks == EIGHT else "…")


def test_an_evaluation_has_a_bar_of_its_own_while_it_goes_on(monkeypatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "console", lambda stderr: screen)
    monkeypatch.setattr(progress, "describe", lambda setup: [])
    monkeypatch.setattr(progress, "REFRESH", 0)
    setup = SimpleNamespace(request=SimpleNamespace(plan=SimpleNamespace(steps=100)))
    with progress.ProgressDisplay(quiet=False) as shown:
        shown.assembled(setup, SimpleNamespace(notes=[], resumed=[]), Path("results/run"))
        shown.answered(150, 400)
        shown.bar.refresh()
        assert "150/400 answered" in screen.file.getvalue()
        screen.file.truncate(0)
        shown.answered(400, 400)
        shown.bar.refresh()
        assert "answered" not in screen.file.getvalue().rpartition("0/100")[2]  # gone, and training's is still there


def last_frame(text: str) -> list[str]:
    """The two lines that were drawn last, after the step was counted."""
    lines = [line.rpartition("\x1b[2K")[2] for line in text.splitlines()]
    at = max(number for number, line in enumerate(lines) if "12345" in line)
    return [line.partition("\x1b")[0] for line in lines[at : at + 2]]
