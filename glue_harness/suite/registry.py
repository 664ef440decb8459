"""Finds tasks: built-in files, folders the user names, installed plugins. Each file is loaded by path."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.task import SpanNoise, Task
from glue_harness.suite import checks

PLUGINS = "glue_harness.tasks"  # entry point group; its members name a module that holds tasks


@dataclass(frozen=True)
class Registry:
    """All tasks that could be loaded, and why the others could not."""

    tasks: Mapping[str, Task]  # by name, in file order
    broken: Mapping[str, str]  # file or plugin -> reason

    @cached_property
    def aliases(self) -> dict[str, str]:
        return {alias: task.name for task in self.tasks.values() for alias in task.aliases}

    @cached_property
    def suites(self) -> dict[str, tuple[str, ...]]:
        """Suite -> its members in table order; `<suite>-all` adds what is trained or scored on request."""
        found: dict[str, tuple[str, ...]] = {}
        for suite in sorted({task.suite for task in self.tasks.values()}):
            whole = (t for t in self.tasks.values() if t.suite == suite and t.part != "apart")
            of_suite = sorted(whole, key=lambda t: t.place)
            scorers = {name for task in of_suite for name in task.scored_by}
            found[suite] = tuple(t.name for t in of_suite if t.part != "extra")
            everything = tuple(t.name for t in of_suite if t.name not in scorers)
            if everything != found[suite]:
                found[f"{suite}-all"] = everything
        return found

    @property
    def text_task(self) -> Task:
        """T5's, which learns from text alone."""
        return next(task for task in self.tasks.values() if isinstance(task.noise, SpanNoise))

    def task(self, name: str, kind: str = "task", others: Iterable[str] = ()) -> Task:
        """A task by its name or by an alias such as T5's registry name. Errors name `kind` and `others`."""
        name = self.aliases.get(name, name)
        if name in self.tasks:
            return self.tasks[name]
        for file, reason in self.broken.items():
            if Path(file).stem == name:
                raise UsageError(f"task {name!r} could not be loaded: {file}: {reason}")
        raise unknown(kind, name, [*self.tasks, *self.aliases, *others], "glue tasks")

    def titles(self, names: Iterable[str]) -> dict[str, str]:
        """What to call each of these tasks on a screen: as leaderboards do, or by name where two would be called alike.

        Tasks that are not loaded keep their names.
        """
        named = {name: self.tasks[name].title or name if name in self.tasks else name for name in names}
        counts = Counter(named.values())
        return {name: title if counts[title] == 1 else name for name, title in named.items()}

    def select(self, names: Iterable[str]) -> list[Task]:
        """Tasks for what a user wrote: names, aliases and suites. The same task twice is refused."""
        chosen: dict[str, str] = {}
        for name in names:
            for member in self.suites.get(name, (name,)):
                task = self.task(member, "task or suite", self.suites).name
                if task in chosen:
                    raise UsageError(f"task {task!r} is named twice (by {chosen[task]!r} and {name!r})")
                chosen[task] = name
        return [self.tasks[name] for name in chosen]

    def scorers(self, task: Task) -> list[Task]:
        """The tasks whose validation data scores this one: itself, unless it names others."""
        return [self.tasks[name] for name in task.scored_by] or [task]

    def trainer(self, task: Task) -> Task:
        """The task that trains the model for this one: itself, unless it is only scored or only answered."""
        scored = (other.name for other in self.tasks.values() if task.name in other.scored_by)
        return self.task(task.answered_by or next(scored, task.name))


def load_tasks(folders: Sequence[str | os.PathLike[str]] = ()) -> Registry:
    """Built-in tasks, then those of `folders` and `$GLUE_TASKS` (their files are run), then plugins."""
    tasks: dict[str, Task] = {}
    broken: dict[str, str] = {}
    extra = [folder for folder in os.environ.get("GLUE_TASKS", "").split(os.pathsep) if folder]
    for folder in map(Path, [builtin_folder(), *folders, *extra]):
        try:
            os.listdir(folder)
        except OSError as error:
            raise UsageError(
                f"task folder {str(folder)!r} cannot be read: {error.strerror} (--tasks or GLUE_TASKS)"
            ) from None
        for file in sorted(file for file in folder.glob("*.py") if not file.name.startswith("_")):
            _add(tasks, broken, str(file), partial(_tasks_in, file))
    for plugin in entry_points(group=PLUGINS):
        _add(tasks, broken, plugin.value, partial(_tasks_from, plugin))
    while lacking := {name: reason for name, task in tasks.items() if (reason := checks.missing_tasks(task, tasks))}:
        for name, reason in lacking.items():  # without these, others may lack a task in turn
            _name(broken, str(tasks[name].file or name), tasks.pop(name), reason)
    return Registry(tasks, broken)


def builtin_folder() -> Path:
    """Inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "tasks"
    return inside if inside.is_dir() else package.parent / "tasks"


def _add(tasks: dict[str, Task], broken: dict[str, str], where: str, load: Callable[[], list[Task]]) -> None:
    try:
        found = load()
    except (Exception, SystemExit) as error:  # a plugin may fail in any way; it must not take the others with it
        broken[where] = f"{type(error).__name__}: {error}"
        return
    if not found:
        broken[where] = "it defines no task"
    for task in found:
        if reason := checks.fault(task, tasks):
            _name(broken, where, task, reason)
            continue
        taken = {name: other for other in tasks.values() for name in (other.name, *other.aliases)}
        for name in (task.name, *task.aliases):
            if name in taken:
                first = taken[name].file or "a plugin"
                raise UsageError(f"task name {name!r} is used twice: by {first} and by {where}")
        tasks[task.name] = task


def _name(broken: dict[str, str], where: str, task: Task, reason: str) -> None:
    """Several tasks of one file may be wrong, each for its own reason."""
    broken[where] = f"{broken[where]}; {task.name!r}: {reason}" if where in broken else reason


def _tasks_in(file: Path) -> list[Task]:
    spec = importlib.util.spec_from_file_location(f"glue_task_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [replace(task, file=file) for task in _tasks_of(module)]


def _tasks_from(plugin: EntryPoint) -> list[Task]:
    return _tasks_of(plugin.load())


def _tasks_of(module: ModuleType) -> list[Task]:
    return [value for value in vars(module).values() if isinstance(value, Task)]
