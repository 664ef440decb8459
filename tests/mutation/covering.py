"""Inside pytest: which test runs which lines, and the chosen tests only, in the chosen order."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


class Watcher:
    """Notes the lines of some files that each test runs, and how long it takes."""

    def __init__(self, root: Path, files: set[str]) -> None:
        self.places = {str(root / file): file for file in files}
        self.seen: set[tuple[str, int]] = set()
        self.found: dict[str, dict[str, Any]] = {}
        self.failed: set[str] = set()

    def call(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.line if frame.f_code.co_filename in self.places else None

    def line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.seen.add((self.places[frame.f_code.co_filename], frame.f_lineno))
        return self.line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.seen = set()
        began = time.perf_counter()
        threading.settrace(self.call)
        sys.settrace(self.call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)
            lines: dict[str, list[int]] = {}
            for file, line in sorted(self.seen):
                lines.setdefault(file, []).append(line)
            self.found[item.nodeid] = {"seconds": time.perf_counter() - began, "lines": lines}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":  # skipped ones prove nothing
            self.failed.add(report.nodeid)


class Chosen:
    """Runs the chosen tests in their order, and remembers the first that fails."""

    def __init__(self, order: list[str]) -> None:
        self.place = {name: k for k, name in enumerate(order)}
        self.fails = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda i: self.place[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.fails:
            self.fails = report.nodeid
