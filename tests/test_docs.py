"""The documents are executed: sessions run and print what the pages show, other commands parse, links and maps hold."""

import glob
import os
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import ROOT
from refresh_docs import PAGES, fails, fences, refresh, sessions, shown

from glue_harness.cli import VERBS, glue, main
from glue_harness.data.own import fields
from glue_harness.suite.registry import load_tasks
from glue_harness.sweep.space import space_of

README, *OTHERS = PAGES
MOST_LINES = 220
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)

RULE = re.compile(r"\s*─{5,}")
DIGEST = re.compile(r"\b[0-9a-f]{12}\b")
WROTE = re.compile(r"^wrote (\S+)", re.M)
SETTING = re.compile(r"^\w+ = .*", re.M)


def answer(words: list[str]) -> tuple[int, str]:
    """Exit code of `glue WORDS` and what it prints, both streams in one."""
    out = StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            main(words)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, shown(out.getvalue())


def words_of(command: str) -> list[str]:
    """A command as a shell splits it, with its wildcards; `glue` itself is left out."""
    found = [sorted(glob.glob(word)) or [word] if "*" in word else [word] for word in shlex.split(command)]
    first, *rest = [word for group in found for word in group]
    assert first == "glue", command
    return rest


def portable(output: str) -> dict[str, list[str]]:
    """What is the same on any machine: headings of tables, their first columns, digests, settings, files, messages."""
    headings, names = [], []
    for block in re.split(r"\n\s*\n", output):
        lines = block.splitlines()
        for rule in [i for i, line in enumerate(lines) if RULE.match(line)]:
            headings += [word for line in lines[:rule] for word in line.split()]
            firsts = [re.split(r" {2,}", line.strip())[0] for line in lines[rule + 1 :] if line.startswith(" ")]
            names += [re.sub(r"(?<!\S)[\d.]+(?!\S)", "", first) for first in firsts if first[:1].isalpha()]
    return {
        "headings": headings,
        "names": sorted(names),  # answers are in the order of their probability
        "digests": sorted(DIGEST.findall(output)),
        "settings": SETTING.findall(output),
        "wrote": WROTE.findall(output),
        "message": [output.rpartition("\n")[2]] if fails(output) else [],
    }


def session(page: Path) -> list[tuple[str, str]]:
    return [entry for block in fences(page, "console") for entry in sessions(block)]


@each_page
def test_sessions_print_what_the_page_shows(page, tmp_path, monkeypatch):
    """All in one folder and in order: later commands use what earlier ones made."""
    monkeypatch.chdir(tmp_path)
    for name in ("GLUE_RESULTS", "GLUE_LEADERBOARDS"):  # outputs name the folders
        monkeypatch.delenv(name, raising=False)
    for command, expected in session(page):
        code, output = answer(words_of(command))
        assert bool(code) == fails(expected), f"{command}\n{output}"
        assert portable(output) == portable(expected), f"{command}\n{output}"


def test_there_are_sessions():
    commands = [command for command, _ in session(README)]
    assert sum(command.startswith("glue run") for command in commands) >= 3
    shown_verbs = {command.split()[1] for page in PAGES for command, _ in session(page)}
    assert shown_verbs >= {"run", "tasks", "show", "mix", "compare", "curve", "board", "score", "predict", "reproduce"}


def options_of(words: list[str]) -> set[str]:
    """What `glue VERB` takes; for predict, the fields of its task too."""
    verb = words[0]
    command = glue.get_command(glue.make_context("glue", ["tasks"]), verb)
    parameters = [*command.params]
    for inner in getattr(command, "commands", {}).values():
        parameters += inner.params
    taken = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    if verb == "predict" and "--task" in words:
        taken |= {f"--{name}" for name in fields(load_tasks().task(words[words.index("--task") + 1]))}
    return taken | {"-h", "--help"}


def wrong_words(words: list[str]) -> list[str]:
    """A verb that does not exist, or options that it does not have."""
    if words[0] not in VERBS:
        return words[:1]
    flags = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
    return sorted(flags - options_of(words))


@each_page
def test_commands_that_are_not_run_parse(page):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    lines = "\n".join(fences(page, "sh")).replace("\\\n", " ").splitlines()
    for words in filter(None, (shlex.split(line, comments=True) for line in lines)):
        if words[0] == "glue":
            assert not wrong_words(words[1:]), words
        elif words[0] == "make":
            assert set(words[1:]) <= set(targets), words
        elif words[0] in ("python", "pytest"):
            assert (ROOT / words[1]).exists(), words
        else:
            assert words[0] in ("ruff", "source", "git"), words


@each_page
def test_commands_and_options_in_running_text_exist(page):
    code = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S))
    everywhere = set().union(*(options_of([verb]) for verb in VERBS))
    for text in code:
        if re.match(r"glue [a-z]", text):
            assert not wrong_words(shlex.split(text)[1:]), text
        elif text.startswith("python "):
            assert (ROOT / text.split()[1]).exists(), text
        else:
            assert set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", text)) <= everywhere, text


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each_page
def test_a_page_begins_with_what_it_is_for(page):
    title, empty, first = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ")
    assert not empty
    assert first.startswith("`glue` " if page == README else "This page ")


@each_page
def test_spaces_of_sweeps_can_be_read(page, tmp_path):
    for block in re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        (tmp_path / "space.toml").write_text(block, encoding="utf-8")
        assert space_of((), tmp_path / "space.toml").choices


def test_every_block_is_of_a_kind_that_is_checked():
    kinds = {"console", "sh", "python", "text", "toml"}
    found = {page.name: set(re.findall(r"^```(\w*)\n.*?^```$", page.read_text("utf-8"), re.M | re.S)) for page in PAGES}
    assert not {name: languages - kinds for name, languages in found.items() if languages - kinds}


def test_the_readme_is_short_and_leads_to_every_page():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < MOST_LINES
    assert not [page.name for page in OTHERS if f"(docs/{page.name})" not in text]


def test_the_python_of_the_pages_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = [block for page in PAGES for block in fences(page, "python") if "import Plan" in block]
    exec(compile(code, "docs", "exec"), {})
    assert "entailment" in capsys.readouterr().out


def test_the_readmes_task_is_the_tested_file():
    (example,) = [block for block in fences(README, "python") if "classify(" in block]
    assert example == (ROOT / "tests" / "examples" / "headlines.py").read_text(encoding="utf-8")


def test_the_example_task_runs(tmp_path):
    arguments = ["run", "--tasks", str(ROOT / "tests" / "examples"), "--task", "headlines", "--demo", "--steps", "40"]
    out = CliRunner().invoke(glue, [*arguments, "--results", str(tmp_path)])
    assert out.exit_code == 0, out.output
    assert "headlines" in out.output


def test_every_task_and_command_is_named():
    tasks = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert not [name for name in load_tasks().tasks if f"`{name}`" not in tasks]
    table = re.findall(r"^\| `glue (\w+)", README.read_text(encoding="utf-8"), re.M)
    assert sorted(table) == sorted(VERBS)


def test_the_map_is_complete():
    package = ROOT / "glue_harness"
    files = {f.name for f in package.glob("*.py")} | {f"{f.parent.name}/" for f in package.glob("*/__init__.py")}
    rooms = re.findall(r"^\| `(\w+/)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.M)
    assert not [name for name in files if name not in rooms and not name.startswith("__")]


def test_what_is_compared_between_page_and_machine():
    printed = (
        " task   score\n ─────────────\n RTE   12.34\n\nplan 4b95582d074b, 3 s\nwrote leaderboards/glue.csv\nsteps = 4"
    )
    assert portable(printed) == portable(printed.replace("12.34", "99.1").replace("3 s", "5 s"))
    for old, new in (("score", "points"), ("RTE", "CoLA"), ("4b95", "5b95"), ("glue.csv", "glue.md"), ("= 4", "= 5")):
        assert portable(printed) != portable(printed.replace(old, new)), old


def test_pages_are_written_anew(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```console\n$ glue run --task mnlii\nold\n$ glue --version\n```\n\n```sh\nkept\n```\n")
    monkeypatch.chdir(tmp_path)
    (wrong,) = refresh(page)
    assert wrong.startswith("page.md: glue run --task mnlii: exit code 2\n")
    first, second = sessions(fences(page, "console")[0])
    assert first == ("glue run --task mnlii", "glue: unknown task or suite 'mnlii': did you mean mnli?")
    assert second[1].startswith("glue, version")
    assert fences(page, "sh") == ["kept\n"]
    assert os.listdir(tmp_path) == ["page.md"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_with_an_example(verb, capsys):
    main([verb, "--help"])
    text = capsys.readouterr().out
    assert re.search(rf"^  glue {verb}", text, re.M), f"no example in: {text}"
    assert [line for line in text.splitlines() if len(line) > 80] == []  # a terminal would break it inside a word


def test_every_option_has_help():
    context = glue.make_context("glue", ["tasks"])
    for verb in VERBS:
        for parameter in glue.get_command(context, verb).params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"glue {verb} {parameter.name}"


def test_the_changelog_names_the_version():
    from glue_harness import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
