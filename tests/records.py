"""Made-up runs for tests of boards and comparisons."""

from rich.console import Console

from glue_harness.cli import main
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record, Score
from glue_harness.runs.store import Store

# T5's rule weighs tasks, not values: the average of these eight is 50
GLUE = {
    "cola": {"matthews_corrcoef": 10.0},
    "sst2": {"accuracy": 90.0},
    "mrpc": {"f1": 80.0, "accuracy": 60.0},
    "stsb": {"pearson_corrcoef": 20.0, "spearman_corrcoef": 40.0},
    "qqp": {"f1": 50.0, "accuracy": 50.0},
    "mnli_matched": {"accuracy": 30.0},
    "mnli_mismatched": {"accuracy": 50.0},
    "qnli": {"accuracy": 55.0},
    "rte": {"accuracy": 55.0},
}
AVERAGE = 50.0


def scores(values, shift=0.0, invalid=0):
    return {
        task: Score(
            split="validation",
            step=100,
            metrics={key: None if value is None else value + shift for key, value in metrics.items()},
            intervals={key: (value + shift - 1, value + shift + 1) for key, value in metrics.items() if value},
            n=100,
            invalid=invalid,
            common_invalid=[],
        )
        for task, metrics in values.items()
    }


def finished(
    store: Store, values=GLUE, shift=0.0, *, day=1, status="finished", error=None, invalid=0, **plan
) -> Record:
    """A run in the store, on demo data unless told otherwise."""
    plan = Plan(**{"tasks": ("glue",), "model": "tiny", "data": "demo", **plan})
    record = Record(
        id=store.new_id(plan),
        plan=plan.to_dict(),
        digest=plan.digest,
        status=status,
        error=error,
        started=f"2025-01-{day:02}T00:00:00+00:00",
        seconds=12.5,
        scores=scores(values, shift, invalid),
        data={task: {"validation": {"rows": 100, "official": None, "fingerprint": plan.data}} for task in values},
        mix={"cola": {"probability": 0.5}, "rte": {"probability": 0.5}},
        parameters={"total": 2000, "trainable": 1000},
        environment={"commit": "0123456789abcdef", "dirty": False},
    )
    store.create(record)
    return record


def narrow_screen(stderr=False):
    """The console of a terminal with 80 columns."""
    return Console(stderr=stderr, width=80, highlight=False, markup=False, emoji=False)


def runner(capsys):
    """A function that runs the command line and gives its exit code, stdout and stderr."""

    def call(*arguments):
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
