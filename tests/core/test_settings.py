"""Settings are declared once: a new method in one file brings its option, help, bounds, digest and resume along."""

import os
import subprocess
import sys

import pytest

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import GENERAL, Plan, default_of, plan_from, settings
from glue_harness.core.plan_file import read_plan
from glue_harness.core.record import Record
from glue_harness.core.settings import PLUGINS, Setting, declared_constant, own_settings
from glue_harness.runs.resume import agreed_plan

METHOD = '''
"""Only the norms learn, from a start of their own."""

import torch

from glue_harness.core.settings import Setting
from glue_harness.methods import learn_only

SETTINGS = (
    Setting("norm_start", float, 1.0, "What the norms are multiplied by first.", "Model", above=0, fixed=True),
)


def prepare(model, plan):
    with torch.no_grad():
        for norm in model.parts().norms:
            norm.mul_(plan.norm_start)
    return learn_only(model, model.parts().norms)
'''
TINY = {"data": "demo:60", "model": "tiny", "steps": 3, "method": "norms"}


@pytest.fixture
def norms(tmp_path, monkeypatch):
    folder = tmp_path / "plugins"
    (folder / "methods").mkdir(parents=True)
    (folder / "methods" / "norms.py").write_text(METHOD, encoding="utf-8")
    monkeypatch.setenv(PLUGINS, str(folder))
    return folder


def glue(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glue_harness", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"})


def test_a_methods_own_setting_has_an_option_a_default_and_help(norms):
    out = glue("run", "--help").stdout
    (line,) = [line for line in out.splitlines() if "--norm-start" in line]
    assert " ".join(line.split()) == "--norm-start X What the norms are multiplied by first. [default: 1]"
    assert out.index("Model:") < out.index("--norm-start") < out.index("How often each task is drawn:")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "norms", "--norm-start", "0"), "norm_start must be above 0, not 0.0"),
        (("--method", "norms", "--set", "norm_start=x"), "--set: norm_start must be float, not 'x'"),
        (("--norm-start", "2"), "norm_start is 2.0 but method is 'full': use --method norms"),
        (("--method", "norm"), "unknown method 'norm': did you mean norms?"),
    ],
)
def test_bounds_and_owners_are_checked_in_one_line(norms, arguments, message):
    done = glue("run", "--task", "rte", "--demo", *arguments)
    assert (done.returncode, done.stderr.strip()) == (2, f"glue: {message}")


def test_it_trains_is_recorded_and_names_the_experiment(norms, tmp_path):
    from glue_harness.lab.run import run

    plan = Plan("rte", **TINY, norm_start=0.5)
    record = run(plan, results=tmp_path / "results")
    assert record.status == "finished"
    assert record.plan["norm_start"] == 0.5
    assert record.parameters["trainable"] < 2000
    written = read_plan(tmp_path / "results" / record.id / "plan.toml")
    assert plan_from(written).digest == record.digest
    assert plan.digest != Plan("rte", **TINY).digest == Plan("rte", **TINY, norm_start=1.0).digest


def test_it_cannot_change_on_resume(norms):
    plan = Plan("rte", **TINY, norm_start=0.5)
    record = Record("a", plan.to_dict(), plan.digest, status="interrupted")
    with pytest.raises(UsageError, match=r"run a has another plan: norm_start 0.5 -> 2.0"):
        agreed_plan(record, plan.replace(norm_start=2.0), force=False)
    with pytest.raises(UsageError, match=r"--force cannot change norm_start of run a: its weights are made that way"):
        agreed_plan(record, plan.replace(norm_start=2.0), force=True)


def test_a_record_of_a_method_that_is_not_here_can_still_be_read(norms, monkeypatch):
    values = Plan("rte", **TINY, norm_start=0.5).to_dict()
    monkeypatch.delenv(PLUGINS)
    plan = plan_from(values)
    assert (plan.method, plan.norm_start) == ("norms", 0.5)
    with pytest.raises(UsageError, match="unknown setting 'norm_start'"):
        plan_from({**values, "method": "full"})


def test_another_method_leaves_the_settings_of_the_former_one_behind(norms):
    plan = Plan("rte", **TINY, norm_start=0.5)
    assert plan.replace(method="full") == Plan("rte", **{**TINY, "method": "full"})
    assert plan.replace(steps=9).norm_start == 0.5


def test_where_a_run_is_done_is_no_part_of_the_experiment():
    plan = Plan("rte")
    same = [plan.replace(device="cpu"), plan.replace(compile="off"), plan.replace(eval_tokens=7), plan.replace(seed=3)]
    assert {other.digest for other in same} == {plan.digest}
    assert plan.replace(precision="bf16").digest not in (plan.digest, plan.replace(precision="fp32").digest)


def test_a_resumed_run_may_move_to_another_device():
    plan = Plan("rte", device="cpu")
    record = Record("a", plan.to_dict(), plan.digest, status="interrupted")
    agreed, notes = agreed_plan(record, plan.replace(device="auto", eval_tokens=64), force=False)
    assert (agreed.device, agreed.eval_tokens) == ("auto", 64)
    assert notes == ["goes on with eval_tokens None -> 64; device cpu -> auto"]


def test_a_plan_survives_toml_with_and_without_values(tmp_path):
    plan = Plan(
        ("rte", "cola"), clip=None, limit=None, mixing="custom", rates={"rte": 1.0, "cola": 2.0}, revision="a b"
    )
    plan = plan.replace(optimizer="adafactor")
    (tmp_path / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
    assert plan_from(read_plan(tmp_path / "plan.toml")) == plan


def test_every_setting_has_help_and_a_default_that_is_within_its_bounds():
    for name, declared in settings().items():
        assert declared.help.endswith(".") or "default:" in declared.help, name
        if name != "tasks":
            declared.check_bounds(declared.default)
        assert default_of(name) == (list(declared.default) if declared.kind is tuple else declared.default)
    assert set(GENERAL).isdisjoint(own_settings())


def test_names_may_be_written_as_one_text():
    assert Plan("rte, cola") == Plan(("rte", "cola"))


def test_two_owners_of_one_setting_are_refused(norms):
    (norms / "methods" / "other.py").write_text(METHOD, encoding="utf-8")
    done = glue("run", "--task", "rte", "--demo")
    assert done.returncode == 2
    assert "other.py: setting 'norm_start' is also one of method norms" in done.stderr


def test_a_declaration_is_read_without_running_its_file(tmp_path):
    file = tmp_path / "x.py"
    file.write_text('raise SystemExit\nSETTINGS = (Setting("a", int, 1, "A."),)\n', encoding="utf-8")
    (found,) = declared_constant(file, "SETTINGS", Setting=Setting, int=int)
    assert (found.name, found.default) == ("a", 1)
    file.write_text("SETTINGS = open('/etc/passwd')\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"x.py: SETTINGS must be made of Setting and literals: ValueError"):
        declared_constant(file, "SETTINGS", Setting=Setting)
