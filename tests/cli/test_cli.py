"""The command line itself: help, output nobody can take, and Ctrl-C at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glue_harness.cli import VERBS

GLUE = [sys.executable, "-m", "glue_harness"]


def test_bare_glue_is_help():
    out = subprocess.run(GLUE, capture_output=True, text=True)
    assert out.returncode == 0
    assert not out.stderr
    assert all(f"\n  {verb}" in out.stdout for verb in VERBS)
    assert "..." not in out.stdout.partition("Commands:")[2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["tasks"], ["tasks", "--json"], ["--help"]], ids=" ".join)
def test_output_that_cannot_be_written_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        out = subprocess.run([*GLUE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert out.returncode == 1
    assert out.stderr == "glue: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [["tasks"], ["tasks", "--json"], ["show", "mnli"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_failure(arguments):
    process = subprocess.Popen([*GLUE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == ""


@pytest.mark.parametrize("pause", [0.0, 0.4, 2.0])
def test_ctrl_c_at_any_moment_is_one_line_and_130(pause, tmp_path):
    """Again and again, as people do; while imports are under way and later."""
    arguments = ["run", "--task", "rte", "--demo", "--steps", "100000", "--quiet", "--results", str(tmp_path)]
    code = f"import glue_harness.cli as cli; print(1, flush=True); cli.main({arguments})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    try:
        assert process.stdout.readline() == "1\n"
        time.sleep(max(pause, 0.05))
        for _ in range(600):  # until it has ended: its last moments count too
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].startswith("glue: interrupted")
    assert "Traceback" not in err


def test_ctrl_c_that_an_import_swallows_comes_again(tmp_path):
    swallows = "import time\ntry:\n    print(1, flush=True)\n    time.sleep(60)\nexcept BaseException:\n    pass\n"
    (tmp_path / "mine.py").write_text(swallows + "time.sleep(60)\n")
    process = subprocess.Popen(
        [*GLUE, "tasks", "--tasks", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err.strip()) == (130, "glue: interrupted")


def test_colours_vanish_with_no_color():
    """A pseudo-terminal: with NO_COLOR there is no colour code, though bold may stay."""
    code = "import os, pty, sys\npty.spawn([sys.executable, '-m', 'glue_harness', 'tasks', '--suite', 'glue'])\n"
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL
    )
    assert "mnli" in out.stdout
    assert "\x1b[3" not in out.stdout.replace("\x1b[39m", "")
