"""The walls of the house: the table in docs/architecture.md says who may import whom; this holds every import to it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "glue_harness"
TABLE = ROOT / "docs" / "architecture.md"
HEAVY = {"torch", "transformers", "datasets", "evaluate", "pandas", "scipy", "sklearn"}
LIGHT = ("core", "suite", "data", "metrics", "runs", "report", "cli")
FOR_ANOTHER_PROGRAM = ("metrics/evaluate_t5.py",)  # a script that `evaluate` runs


def directions() -> dict[str, set[str]]:
    """room -> the rooms it may import, from the table that readers see."""
    rows = re.findall(r"^\| `(\w+)/` \|[^|]*\|([^|]*)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: set(re.findall(r"\w+", allowed)) for room, allowed in rows}


ALLOWED = directions()
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in FILES}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> list[tuple[str, bool]]:
    """Imported modules and whether it happens when the file is loaded; `if TYPE_CHECKING:` is no such time."""
    found: list[tuple[str, bool]] = []

    def walk(node: ast.AST, at_load: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_load) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            found.extend((name if name in MODULES else node.module, at_load) for name in inner)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        is_body = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, at_load and not is_body and not for_types)

    walk(ast.parse(file.read_text(encoding="utf-8")), True)
    return found


GRAPH = {
    name: {other for other, _ in imports(file) if other in MODULES and other != name} for name, file in MODULES.items()
}


def test_every_module_lies_in_a_room_of_the_table():
    flat = {file.name for file in FILES if file.parent == PACKAGE}
    assert flat == {"__init__.py", "__main__.py"}
    assert {room(name) for name in MODULES} - {"", "__main__"} == ALLOWED.keys()


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) in ALLOWED])
def test_imports_go_in_the_allowed_direction(name):
    others = {other for other in GRAPH[name] if room(other) not in ("", room(name))}
    assert {other for other in others if room(other) not in ALLOWED[room(name)]} == set()


def test_rooms_stand_in_the_order_of_the_table():
    order = list(ALLOWED)
    assert all(order.index(other) < order.index(name) for name, allowed in ALLOWED.items() for other in allowed)


def test_modules_import_each_other_in_no_circle():
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(GRAPH[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_tests_mirror_the_rooms():
    folders = {folder.name for folder in (ROOT / "tests").iterdir() if any(folder.glob("test_*.py"))}
    assert folders - {"reliability"} == ALLOWED.keys()


@pytest.mark.parametrize(
    "file", [f for f in FILES if room(".".join(f.relative_to(ROOT).parts)) in LIGHT], ids=lambda f: f.stem
)
def test_light_rooms_load_nothing_heavy(file):
    if str(file.relative_to(PACKAGE)) not in FOR_ANOTHER_PROGRAM:
        assert not [module for module, at_load in imports(file) if at_load and module.split(".")[0] in HEAVY]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["tasks"],
        ["board"],
        ["report"],
        ["compare", "latest", "latest"],
        ["run", "--help"],
        ["run", "--task", "mnlii"],
    ],
)
def test_light_commands_never_load_torch(arguments, tmp_path):
    code = (
        "import sys\nfrom glue_harness.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'pandas'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert out.stdout.splitlines()[-1] == "LOADED []"


def test_no_file_is_a_house_of_its_own():
    long = {f.name: n for f in FILES if (n := len(f.read_text(encoding="utf-8").splitlines())) > 330}
    assert not long


def test_the_top_level_holds_only_what_was_asked_for():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {Path(name).parts[0] for name in tracked}
    asked = {"README.md", "pyproject.toml", "glue_harness", "tasks", "leaderboards", "tests", "results", "docs"}
    assert {name for name in top - asked if not name.startswith(".")} == {"Makefile", "LICENSE", "CHANGELOG.md"}
