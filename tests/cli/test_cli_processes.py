"""`glue run --processes`: the launcher, what the processes print together, and one line for every mistake."""

import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from glue_harness.cli import main
from glue_harness.cli.processes import follow_silently
from glue_harness.runs.store import Store

RUN = ["run", "--task", "rte", "--data", "demo:200", "--model", "tiny", "--batch-size", "8"]
ALL = {"RANK": "0", "MASTER_ADDR": "localhost"}


@pytest.mark.parametrize(
    ("arguments", "environment", "line"),
    [
        (["--processes", "2", "--seeds", "2"], {}, "several processes share one run: leave out --seeds"),
        (["--processes", "2", "--strategy", "single"], {}, "several processes share one run: leave out --strategy"),
        (["--processes", "2", "--dry-run"], {}, "several processes share one run: leave out --dry-run"),
        (["--seeds", "2"], {**ALL, "WORLD_SIZE": "2"}, "several processes share one run: leave out --seeds"),
        (
            ["--processes", "2"],
            {**ALL, "WORLD_SIZE": "3"},
            "--processes is 2 but 3 were started: leave it out under torchrun",
        ),
        ([], {"WORLD_SIZE": "2"}, "WORLD_SIZE is 2 but RANK or MASTER_ADDR is not set: use glue run --processes 2, or"),
    ],
)
def test_mistakes(arguments, environment, line, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        main([*RUN, *arguments])
    assert stop.value.code == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"glue: {line}")


def test_only_the_first_process_speaks(monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # so that they are put back
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    before = sys.stdout
    for name, value in {**ALL, "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    follow_silently()
    assert sys.stdout is before
    monkeypatch.setenv("RANK", "1")
    follow_silently()
    assert sys.stdout.name == sys.stderr.name == os.devnull


def test_two_processes_are_interrupted_and_one_command_goes_on(tmp_path):
    """Ctrl-C to the launcher is heard by both processes; the same launcher resumes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GLUE_RESULTS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    glue = [sys.executable, "-m", "glue_harness"]
    long = [*RUN, "--steps", "400", "--eval-every", "5", "--processes", "2"]
    with subprocess.Popen([*glue, *long], env=environment, stdout=-1, stderr=-1, text=True) as process:
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("step      5"):
                process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 130, told
    (record,) = Store(tmp_path).load_all()[0]
    assert (record.status, record.environment["processes"]) == ("interrupted", 2)
    said = re.fullmatch(r"glue: interrupted after step (\d+): glue run --resume (\S+) goes on from there\n", told[-1])
    assert said, told
    assert said[2] == record.id
    assert "cpu, fp32, 2 processes\n" in "".join(told)
    steps = str(int(said[1]) + 5)
    again = [*glue, "run", "--resume", "--processes", "2", "--steps", steps, "--force", "--set", "eval_every=5"]
    done = subprocess.run(again, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("RTE") == 1
    assert re.search(r"2 processes of 1 thread: \d+ examples/s, \d+ each; \d+% of training was exchange", done.stdout)
    assert Store(tmp_path).find("latest").resumed == [int(said[1])]
