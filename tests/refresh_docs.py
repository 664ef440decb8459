"""Runs the console sessions of README.md and docs/, and writes what the commands print below them.

    python tests/refresh_docs.py [PAGE ...]

The commands of a page run in order in one empty folder, without network; those that fail unexpectedly are named.
`tests/test_docs.py` reads the pages with the same functions.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)  # language, text


def fences(page: Path, *languages: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def sessions(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, which stand after `$ `, each with the output below it."""
    starts = re.split(r"^\$ ", block, flags=re.M)[1:]
    parts = [start.partition("\n") for start in starts]
    return [(command, output.strip("\n")) for command, _, output in parts]


def fails(output: str) -> bool:
    """Whether a page shows a command that is refused: its last line is glue's message."""
    return output.rpartition("\n")[2].startswith("glue: ")


def shown(output: str) -> str:
    """Output as a page shows it: no needless blanks and blank lines, no folder of this machine."""
    text = output.replace(f"{ROOT}{os.sep}", "")
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n")


def refresh(page: Path) -> list[str]:
    """Writes the page anew; returns its commands that ended otherwise than the page showed."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        shim = Path(folder) / "bin" / "glue"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m glue_harness "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
        work = Path(folder) / "work"
        work.mkdir()
        own = {name: value for name, value in os.environ.items() if not name.startswith("GLUE_")}
        environment = own | {
            "PATH": f"{shim.parent}{os.pathsep}{own['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "GLUE_CACHE": str(Path(folder) / "cache"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        }

        def answered(block: str) -> str:
            lines = []
            for command, before in sessions(block):
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=work,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                output = shown(done.stdout)
                if before and bool(done.returncode) != fails(before):
                    wrong.append(f"{page.name}: {command}: exit code {done.returncode}\n{output}")
                lines += [f"$ {command}", *([output] if output else [])]
            return "\n".join(lines) + "\n"

        def replaced(fence: re.Match[str]) -> str:
            language, block = fence.groups()
            return f"```console\n{answered(block)}```" if language == "console" else fence[0]

        text = FENCE.sub(replaced, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    return wrong


if __name__ == "__main__":
    failures = [line for page in map(Path, sys.argv[1:] or PAGES) for line in refresh(page)]
    sys.exit("\n".join(failures))
