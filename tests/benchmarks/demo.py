"""What `glue run --demo` scores on every task alone, beside what one constant answer and all right ones score.

`python tests/benchmarks/demo.py [TASK ...]` writes the table of docs/data.md; without names, all tasks, in 10 minutes.
"""

import sys
from tempfile import TemporaryDirectory

from glue_harness import Plan, run
from glue_harness.cli.run import DEMO
from glue_harness.core.record import Record
from glue_harness.suite.registry import Registry, load_tasks

COLUMNS = ("task", "rows", "metric", "after a tenth", "score", "baseline", "ceiling", "seconds")


def trained_alone(registry: Registry) -> list[str]:
    """Tasks with a demo that are trained and scored, suite by suite in the order of their tables."""
    able = [task for task in registry.tasks.values() if task.demo and "train" in task.splits]
    scored = [task for task in able if any("validation" in s.splits and s.metrics for s in registry.scorers(task))]
    return [task.name for task in sorted(scored, key=lambda task: (task.suite, task.place))]


def lines(record: Record, registry: Registry) -> list[str]:
    found = []
    for name, score in record.scores.items():
        (_, first), *_ = record.history[name]
        for key, value in score.metrics.items():
            numbers = (first[key], value, score.baseline.get(key), score.ceiling.get(key))
            shown = ("-" if number is None else f"{number:.1f}" for number in numbers)
            (size,) = (mix["rows"] for mix in record.mix.values())
            cells = (registry.task(name).title, f"{size:,}", key, *shown, f"{record.seconds:.0f}")
            found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    registry = load_tasks()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in sys.argv[1:] or trained_alone(registry):
        with TemporaryDirectory() as results:
            print("\n".join(lines(run(Plan(name, **DEMO), results=results), registry)), flush=True)


if __name__ == "__main__":
    main()
