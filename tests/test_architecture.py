"""The floors of the house: a file imports only from lower floors, and the ground floors know no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "glue_harness"
FLOORS = [
    {"errors", "reading", "names", "shapes", "task", "plan", "record", "build", "cues", "spans"}
    | {"glue", "superglue", "referent", "winograd"},  # F0: nouns, rules
    {"registry", "data", "mixing", "mixtures", "sampler", "subsets", "metrics", "stats", "selection", "store", "board"}
    | {"published", "choose", "comparison", "transfer", "curves", "plots", "formats", "console", "submit"}
    | {"cache", "sources", "origin", "strategy", "packing", "recipes", "reproduce"}
    | {"sealed", "claim", "resume", "stopping", "evidence"},  # F1: no torch
    {"device", "models", "methods", "optim", "batching", "tokens", "portions"}
    | {"layout", "fit"},  # F2: torch starts here
    {"train", "passes", "answer", "checkpoint", "snapshot"},  # F3
    {"assemble", "estimate", "underway", "runner", "predict", "doctor", "bench"},  # F4: the only place that assembles
    {"cli"},  # F5
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
HEAVY = {"torch", "transformers", "datasets", "evaluate", "pandas", "scipy", "sklearn"}


def files() -> list[Path]:
    return [f for f in sorted(PACKAGE.rglob("*.py")) if f.parent != PACKAGE or f.stem not in ("__init__", "__main__")]


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> list[tuple[str, bool]]:
    """Imported modules and whether it happens when the file is loaded. `if TYPE_CHECKING:` does not count."""
    found: list[tuple[str, bool]] = []

    def walk(node: ast.AST, at_load: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_load) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, at_load))
            found.extend((f"{node.module}.{alias.name}", at_load) for alias in node.names)
        inside = at_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, inside)

    walk(ast.parse(file.read_text(encoding="utf-8")), True)
    return found


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_lower_floors(file):
    assert room(file) in FLOOR, f"{file.name} has no floor yet: add it to FLOORS"
    own = FLOOR[room(file)]
    for module, _ in imports(file):
        parts = module.split(".")
        if parts[0] == "glue_harness" and len(parts) > 1 and parts[1] in FLOOR:
            assert FLOOR[parts[1]] <= own, f"{file.name} (floor {own}) imports {module}"


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_lower_floors_load_nothing_heavy(file):
    if FLOOR[room(file)] in (2, 3, 4) or file.name == "evaluate_t5.py":
        return
    heavy = [module for module, at_load in imports(file) if at_load and module.split(".")[0] in HEAVY]
    assert not heavy


@pytest.mark.parametrize("arguments", [["--help"], ["tasks"], ["board"], ["run", "--help"], ["run", "--task", "mnlii"]])
def test_light_commands_never_load_torch(arguments, tmp_path):
    code = (
        "import sys\nfrom glue_harness.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'transformers', 'datasets', 'pandas'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert out.stdout.splitlines()[-1] == "LOADED []"


def test_no_file_is_a_house_of_its_own():
    long = {f.name: n for f in files() if (n := len(f.read_text(encoding="utf-8").splitlines())) > 330}
    assert not long


def test_the_top_level_holds_only_what_was_asked_for():
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {Path(name).parts[0] for name in tracked}
    asked = {"README.md", "pyproject.toml", "glue_harness", "tasks", "leaderboards", "tests", "results"}
    assert {name for name in top - asked if not name.startswith(".")} == {"Makefile", "LICENSE", "CHANGELOG.md"}
