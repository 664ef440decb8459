"""The documents are executed: README's commands run, every command has help with examples, every file is in the map."""

import re
import shlex

import pytest
from click.testing import CliRunner
from conftest import ROOT

from glue_harness.cli import VERBS, glue, main
from glue_harness.suite.registry import load_tasks

README = (ROOT / "README.md").read_text(encoding="utf-8")


FENCES = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)  # language, text


def blocks(*languages: str) -> list[str]:
    return [text for language, text in FENCES if language in languages]


def commands() -> list[str]:
    """Commands of sh blocks, and of console sessions after `$ `, in the order of the page."""
    found = []
    for language, text in FENCES:
        lines = text.splitlines()
        if language == "sh":
            found += lines
        elif language == "console":
            found += [line[2:] for line in lines if line.startswith("$ ")]
    return found


def test_the_readme_has_a_session_and_commands():
    assert sum(command.startswith("glue run") for command in commands()) >= 3
    assert all(command.startswith("glue ") for command in commands())


def test_the_readmes_commands_run(tmp_path, monkeypatch):
    """All in one folder and in order: later ones use what earlier ones made. Demo runs are shortened."""
    monkeypatch.chdir(tmp_path)
    for command in commands():
        words = shlex.split(command)[1:]
        if words[0] == "run" and "--steps" not in words:
            words += ["--steps", "4"]
        out = CliRunner().invoke(glue, words)
        assert out.exit_code == 0, f"{command}\n{out.output}\n{out.exception}"


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = [block for block in blocks("python") if "import Plan" in block]
    exec(compile(code, "README.md", "exec"), {})
    assert "entailment" in capsys.readouterr().out


def test_the_readmes_task_is_the_tested_file():
    (example,) = [block for block in blocks("python") if "classify(" in block]
    assert example == (ROOT / "tests" / "examples" / "headlines.py").read_text(encoding="utf-8")


def test_the_example_task_runs(tmp_path):
    arguments = ["run", "--tasks", str(ROOT / "tests" / "examples"), "--task", "headlines", "--demo", "--steps", "40"]
    out = CliRunner().invoke(glue, [*arguments, "--results", str(tmp_path)])
    assert out.exit_code == 0, out.output
    assert "headlines" in out.output


def test_the_readme_names_every_task_and_command():
    assert not [name for name in load_tasks().tasks if f"`{name}`" not in README]
    assert not [verb for verb in VERBS if f"glue {verb}" not in README]


def test_the_file_map_is_complete():
    package = ROOT / "glue_harness"
    files = {f.name for f in package.glob("*.py")} | {f"{f.parent.name}/" for f in package.glob("*/__init__.py")}
    text = next(block for block in blocks("") if block.startswith("glue_harness/"))
    assert not [name for name in files if name not in text and not name.startswith("__")]


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_with_an_example(verb, capsys):
    main([verb, "--help"])
    text = capsys.readouterr().out
    assert re.search(rf"^  glue {verb}", text, re.M), f"no example in: {text}"


def test_every_option_has_help():
    context = glue.make_context("glue", ["tasks"])
    for verb in VERBS:
        for parameter in glue.get_command(context, verb).params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"glue {verb} {parameter.name}"


def test_the_changelog_names_the_version():
    from glue_harness import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
