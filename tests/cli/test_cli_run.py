"""`glue run` as a user types it: what it prints, and one line for every mistake."""

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from records import runner

from glue_harness.cli import glue, main
from glue_harness.cli.run import command, plan_of
from glue_harness.core.plan import plan_from, settings
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

FAST = ["--data", "demo:200", "--model", "tiny", "--steps", "4", "--batch-size", "8", "--eval-every", "2"]


def call(*arguments: str, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    return stop.value.code or 0, out, err


MISTAKES = [  # arguments, exit code, the line
    (["run", "rte"], 2, "Got unexpected extra argument (rte): tasks are named with --task rte (see glue run --help)"),
    (["run"], 2, "no task: name one with --task, for example --task mnli (glue tasks lists them)"),
    (["run", "--task", "mnlii", "--demo"], 2, "unknown task or suite 'mnlii': did you mean mnli?"),
    (["run", "--task", "rte,cola,rte", "--demo"], 2, "task 'rte' is named twice (by 'rte' and 'rte')"),
    (["run", "--task", "glue,rte", "--demo"], 2, "task 'rte' is named twice (by 'glue' and 'rte')"),
    (["run", "--task", "rte", "--mixing", "equl"], 2, "unknown mixing 'equl': did you mean equal?"),
    (["run", "--task", "rte", "--demo", "--method", "ful"], 2, "unknown method 'ful': did you mean full?"),
    (["run", "--task", "rte", "--optimizer", "adam"], 2, "unknown optimizer 'adam': did you mean adamw?"),
    (["run", "--task", "rte", "--limit", "0"], 2, "limit must be above 0, not 0.0"),
    (["run", "--task", "rte", "--temperature", "-1"], 2, "temperature must be above 0, not -1.0"),
    (
        ["run", "--task", "rte", "--temperature", "2"],
        2,
        "temperature is 2.0 but mixing is 'proportional': use --mixing temperature",
    ),
    (["run", "--task", "rte", "--steps", "-1"], 2, "steps must be 0 or more, not -1"),
    (["run", "--task", "rte", "--lr", "nan"], 2, "lr must be above 0, not nan"),
    (["run", "--task", "rte", "--mixing", "custom", "--rate", "rte=0"], 2, "custom rates sum to 0"),
    (["run", "--task", "rte", "--mixing", "custom", "--rate", "rte"], 2, "--rate 'rte': write it as NAME=VALUE"),
    (["run", "--task", "rte", "--set", "clipp=1"], 2, "unknown setting 'clipp': did you mean clip?"),
    (["run", "--task", "rte", "--set", "zzzz=1"], 2, "unknown setting 'zzzz': glue run --help-settings lists them"),
    (["run", "--task", "rte", "--batch-size", "8", "--batch-tokens", "512"], 2, "an update has one size"),
    (["run", "--task", "rte", "--set", "steps=many"], 2, "--set: steps must be int, not 'many'"),
    (["run", "--task", "rte", "--max-input", "32"], 2, "No such option '--max-input': write --set max_input=VALUE"),
    (["run", "--task", "rte", "--stepz", "3"], 2, "No such option '--stepz'"),
    (["run", "--task", "rte", "--plan", "nowhere.toml"], 2, "cannot read plan 'nowhere.toml'"),
    (["run", "--task", "mnli_matched", "--demo"], 2, "mnli_matched has no train split; train it with --task mnli"),
    (["run", "--task", "rte", "--demo", "--model", "tinny"], 2, "unknown model 'tinny': did you mean tiny?"),
    (["run", "--task", "rte", "--demo", "--tokenizer", "nowhere"], 2, "tokenizer folder 'nowhere' does not exist"),
    (["run", "--task", "rte", "--data", "demo:many"], 2, "the number of rows must be a whole number above 0"),
    (["run", "--task", "rte", "--demo", "--mixing", "custom", "--rate", "rta=1"], 2, "unknown task in rates 'rta'"),
    (["run", "--task", "rte,cola", "--demo", "--mixing", "custom", "--rate", "rte=1"], 2, "no rate for task 'cola'"),
    (["run", "--task", "rte", "--demo", "--mixing", "equal", "--limit", "5"], 2, "limit is 5 but mixing 'equal'"),
    (
        ["run", "--task", "rte", "--optimizer", "adafactor", "--set", "weight_decay=0.1"],
        2,
        "weight_decay is 0.1 but optimizer is 'adafactor': use --optimizer adamw",
    ),
    (["run", "--task", "rte", "--set", "weight_decay=-1"], 2, "weight_decay must be 0 or more, not -1.0"),
    (["run", "--task", "rte", "--set", "dropout=2"], 2, "dropout must be below 1, not 2.0"),
    (["run", "--task", "rte", "--set", "warmup=1000"], 2, "warmup 1000 leaves nothing of 1000 steps"),
    (["run", "--task", "rte", "--set", "max_target=1"], 2, "max_target must be 2 or more, not 1"),
    (["run", "--task", "rte", "--set", 'rates={rte="x"}'], 2, "the rate of 'rte' must be a number, not 'x'"),
    (["run", "--task", "rte", "--seed", "-1"], 2, "seed must be 0 or more, not -1"),
    (["run", "--task", "rte", "--demo", "--batch-size", "5000"], 2, "batch_size 5000 is larger than the data"),
    (
        ["run", "--task", "rte", "--data", "demo:50", "--model", "no/where"],
        2,
        "model 'no/where' is not in the local cache",
    ),
    (["run", "--task", "rte", "--data", "demo:50", "--model", "t5:smal"], 2, "did you mean t5:small?"),
    (["run", "--task", "rte", "--data", "demo:50", "--model", "t5:small"], 2, "give its vocabulary with --tokenizer"),
    (["run", "--task", "rte", "--data", "demo:50", "--device", "cuda"], 2, "no CUDA device is visible here"),
    (["run", "--task", "rte", "--data", "nowhere"], 2, "--data 'nowhere' is not a folder"),
    (["run", "--task", "rte", "--force"], 2, "--force is for --resume"),
    (["run", "--resume", "--seeds", "2"], 2, "--resume goes on with one run: leave out --seeds"),
    (["run", "--resume", "--dry-run"], 2, "--resume goes on with one run: leave out --dry-run"),
    (["run", "--resume"], 2, "no unfinished run in"),
    (["run", "--task", "rte", "--on-nonfinite", "skp"], 2, "unknown on_nonfinite 'skp': did you mean skip?"),
    (["rum", "--task", "rte"], 2, "unknown command 'rum': did you mean run?"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "line"), MISTAKES, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_a_mistake_is_one_line(arguments, code, line, capsys, tmp_path, monkeypatch):
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    monkeypatch.chdir(tmp_path)
    found, _, err = call(*arguments, capsys=capsys)
    last = err.strip().splitlines()[-1]
    assert found == code, err
    assert last.startswith("glue: ")
    assert line in last
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("record.json"))


def test_a_typo_does_not_wait_for_torch(tmp_path):
    code = "import sys\nfrom glue_harness.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code, "run", "--task", "rte", "--mixing", "equl", "--demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert out.stdout.strip() == "False"
    assert out.returncode == 2


def test_debug_shows_the_traceback(tmp_path):
    out = subprocess.run(
        [sys.executable, "-m", "glue_harness", "run", "--task", "mnlii", "--debug"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "Traceback" in out.stderr


def test_json_ends_with_id_folder_and_scores(tmp_path):
    out = CliRunner().invoke(glue, ["run", "--task", "rte", *FAST, "--json", "--results", str(tmp_path)])
    assert out.exit_code == 0, out.output
    last = json.loads(out.stdout.splitlines()[-1])
    assert last["folder"] == str(tmp_path / last["id"])
    assert last["scores"]["rte"].keys() == {"accuracy"}


def test_seeds_make_runs_of_one_plan(tmp_path):
    out = CliRunner().invoke(
        glue, ["run", "--task", "rte", *FAST, "--seeds", "2", "--quiet", "--results", str(tmp_path)]
    )
    assert out.exit_code == 0, out.output
    records = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("*/record.json"))]
    assert [r["plan"]["seed"] for r in records] == [0, 1]
    assert len({r["digest"] for r in records}) == 1


def test_quiet_and_piped_output_hold_no_progress(tmp_path):
    out = subprocess.run(
        [sys.executable, "-m", "glue_harness", "run", "--task", "rte", *FAST, "--quiet", "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert out.returncode == 0, out.stderr
    assert out.stderr == ""
    assert "\x1b" not in out.stdout
    assert "RTE" in out.stdout


def test_dry_run_trains_nothing_and_counts(tmp_path):
    arguments = ["run", "--task", "rte,cola", *FAST, "--dry-run", "--json", "--results", str(tmp_path / "results")]
    out = CliRunner().invoke(glue, arguments)
    assert out.exit_code == 0, out.output
    found = json.loads(out.stdout)
    assert found["parameters"]["total"] == found["parameters"]["trainable"]
    assert found["mix"].keys() == {"rte", "cola"}
    assert found["state_bytes"] == 16 * found["parameters"]["total"]
    assert plan_from(found["plan"]).steps == 4
    assert not (tmp_path / "results").exists()
    shown = CliRunner().invoke(glue, arguments[:-3])
    assert "nothing was trained" in shown.output


def test_a_plan_file_and_its_overrides(tmp_path):
    (tmp_path / "plan.toml").write_text(
        'tasks = ["rte"]\ndata = "demo:200"\nmodel = "tiny"\nsteps = 3\nbatch_size = 8\n'
    )
    out = CliRunner().invoke(
        glue,
        [
            "run",
            "--plan",
            str(tmp_path / "plan.toml"),
            "--steps",
            "2",
            "--set",
            "clip=none",
            "--results",
            str(tmp_path),
        ],
    )
    assert out.exit_code == 0, out.output
    (record,) = [json.loads(file.read_text()) for file in tmp_path.glob("*/record.json")]
    assert record["plan"]["steps"] == 2
    assert record["plan"]["clip"] is None


@pytest.mark.parametrize("text", ["steps = ", 'tasks = "rte"', "wat = 1", "steps = 1.5", b"\xff\xfe"])
def test_a_bad_plan_file_is_one_line(text, tmp_path, capsys):
    (tmp_path / "plan.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    code, _, err = call("run", "--plan", str(tmp_path / "plan.toml"), capsys=capsys)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "plan.toml" in err


def test_a_run_goes_on_by_its_name_or_as_the_newest_unfinished_one(tmp_path, capsys):
    results, glue = ["--results", str(tmp_path)], runner(capsys)
    glue("run", "--task", "rte", *FAST, "--quiet", *results)
    (file,) = tmp_path.glob("*/record.json")
    done = file.read_text()
    code, _, err = glue("run", "--resume", *results)
    assert (code, err) == (2, f"glue: no unfinished run in '{tmp_path}': there is nothing to resume\n")
    code, out, err = glue("run", "--resume", file.parent.name, *results)
    assert (code, err) == (0, f"run {file.parent.name} is finished: there is nothing left to do\n")
    assert "RTE" in out
    assert file.read_text() == done
    file.write_text(json.dumps({**json.loads(done), "status": "running"}))
    code, out, err = glue("run", "--resume", "--lr", "0.5", *results)
    assert code == 2
    assert "has another plan: lr 0.001 -> 0.5; leave that out, or --force to mix the two" in err
    code, out, err = glue("run", "--resume", "--steps", "4", *results)
    assert code == 0, err
    assert "goes on from step 0" in err
    assert json.loads(file.read_text())["resumed"] == [0]


def test_a_batch_size_takes_the_place_of_tokens_in_a_plan_file(tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text('tasks = ["rte"]\nbatch_tokens = 1024\n', encoding="utf-8")
    assert plan_of({}, {}, {"file": file}, load_tasks(), Store(tmp_path))[0].batch_tokens == 1024
    plan, _ = plan_of({}, {}, {"file": file, "batch_size": 8}, load_tasks(), Store(tmp_path))
    assert (plan.batch_size, plan.batch_tokens) == (8, None)


def test_help_shows_every_option_once_and_every_other_setting(capsys):
    main(["run", "--help"])
    options, others = capsys.readouterr().out.split("Settings for --set KEY=VALUE:")
    shown = re.findall(r"^  (?:-\w, )?--([\w-]+)", options, re.M)
    assert sorted(shown) == sorted({*shown})
    assert {p.opts[-1].lstrip("-") for p in command.params} <= {*shown}
    with_option = {name.replace("-", "_") for name in shown} | {"tasks", "rates"}
    explained = re.findall(r"^  (\w+)  +(\S.*)", others, re.M)
    assert {name for name, _ in explained} == settings().keys() - with_option
    assert max(map(len, others.splitlines())) <= 80
    assert "Other:" in options
    assert max(map(len, options.splitlines())) <= 80


@pytest.mark.parametrize("verb", ["run", "reproduce"])
def test_every_key_of_set_is_explained(verb, capsys):
    """What it does, what it can be, its default, and the option that it has beside."""
    code, out, err = runner(capsys)(verb, "--help-settings")
    assert (code, err) == (0, "")
    entries = re.split(r"\n  (?=\w+ )", out)
    assert [entry.split()[0] for entry in entries[1:]] == list(settings())
    told = {entry.split()[0]: " ".join(entry.split()[1:]) for entry in entries[1:]}
    assert told["max_input"] == "Input tokens of an example at most. [whole number, 2 or more; default: 512]"
    assert told["dropout"].endswith("[number, 0 or more, below 1 or none]")
    whole = told["text_share"].replace("text- share", "text-share")  # it may be broken at the edge
    assert whole.endswith("[number between 0 and 1 or none; option --text-share]")
    assert told["alpha"].endswith("[number from 0 to 1; default: 0.5; option --alpha]")
    assert told["rates"].endswith("[table; option --rate]")
    assert "[auto, cuda or cpu; default: auto; option --device; no part of the digest]" in told["device"]
    assert max(map(len, out.splitlines())) <= 80


def test_a_run_that_is_scored_only_at_the_end_says_so():
    arguments = ["run", "--task", "rte", "--data", "demo:60", "--model", "tiny", "--steps", "3", "--dry-run"]
    said = [CliRunner().invoke(glue, [*arguments, "--eval-every", every]).output for every in ("5000", "3")]
    assert "scored once, at the end: eval_every is 5,000" in said[0]
    assert "scored once" not in said[1]
