"""A task file that would be silently wrong is named with its reason when it is loaded; the others still load."""

from dataclasses import replace

import pytest

from glue_harness import load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.core.task import Metric, Source, tsv
from glue_harness.suite.checks import fault

HEAD = """
from glue_harness.core.task import Metric, Source, tsv
from glue_harness.metrics import accuracy, f1
from glue_harness.suite.build import classify, generate, regress

"""
DECLARED = "TASK = classify('own', fields=('text',), labels=('a', 'b'), metrics=(accuracy,), source=Source())\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.py").write_text(HEAD + DECLARED.replace("own", "good"))
    return tmp_path


@pytest.mark.parametrize(
    ("declared", "instead", "reason"),
    [
        ("('a', 'b')", "('a', 'a')", "labels have 'a' twice"),
        ("('a', 'b')", "('a', 'a ')", "labels 'a' and 'a ' differ in white space only: no answer tells them apart"),
        ("('a', 'b')", "('not a', 'b', 'not  a')", "labels 'not a' and 'not  a' differ in white space only: no answer"),
        ("('a', 'b')", "(' a', 'b')", "labels has ' a', with white space that a model's words have not: write 'a'"),
        ("('a', 'b')", "('', 'b')", "labels has '': no model can answer with nothing"),
        ("('a', 'b')", "(' ', 'b')", "labels has ' ': no model can answer with nothing"),
        ("('a', 'b')", "('<unk>', 'b')", "labels has '<unk>', which stands for an answer that is not public"),
        ("('a', 'b')", "(0, 1)", "labels has 0, which is not text: write it as a model is to answer it, in quotes"),
        ("('a', 'b')", "('a',)", "it has 1 labels: there is nothing to tell apart"),
        ("('text',)", "()", "it reads no column: name those that a question is made of"),
        ("('text',)", "('text', 'text')", None),  # T5's names are keys: the second is the first
        ("('text',)", "('text', 'label')", "its fields have 'label': the answer would stand in the question"),
        ("(accuracy,)", "(Metric((), len),)", "a metric has the keys (): name each value that it gives"),
        ("(accuracy,)", "(Metric('em', len),)", "a metric has the keys 'em': name each value that it gives"),
        ("(accuracy,)", "(Metric(('em',), 3),)", "metric em has the tally 3: it must be a function"),
        ("(accuracy,)", "(accuracy, f1, accuracy)", "metrics have 'accuracy' twice"),
        ("(accuracy,)", "('accuracy',)", "metrics have 'accuracy': it must be a Metric, as glue_harness.metrics has"),
        ("source=Source()", "source='x'", "source is 'x': write Source(...), or Source() where rows come from folders"),
        ("source=Source()", "source=Source(), splits={}", "it has no split: give its roles train, validation or test"),
        ("source=Source()", "source=Source(), splits={'dev': 'dev'}", "splits have 'dev': a role is train, validation"),
        ("source=Source()", "source=Source(), splits={'train': ''}", "the train split is called '': it needs a name"),
        ("source=Source()", "source=Source(), demo=3", "demo is 3: it must be a function"),
        (
            "source=Source()",
            "source=Source(), demo=lambda n: []",
            "demo is called as demo(random, n), which it does not",
        ),
        (
            "(accuracy,)",
            "(Metric(('em',), lambda a, b: 0),)",
            "tally is called as tally(predictions), which it does not",
        ),
        ("source=Source()", "source=Source(), demo_noise=1", "demo_noise is 1: it is a share of the demo's rows"),
        ("source=Source()", "source=Source(), demo_noise='x'", "demo_noise is 'x': it is a share of the demo's rows"),
        ("source=Source()", "source=Source(), part='whole'", "part is 'whole': it can be member, companion, extra, ap"),
        ("source=Source()", "source=Source(), scored_by=('owl',)", "scored_by names 'owl', which is no task"),
        ("source=Source()", "source=Source(), answered_by='owl'", "answered_by names 'owl', which is no task"),
        (
            "source=Source()",
            "source=Source(files={'train': tsv('t.tsv', label='gold'), 'test': tsv('u.tsv', text='x')})",
            "the file of its train split (t.tsv) has no column for text",
        ),
        (
            "source=Source()",
            "source=Source(files={'validation': tsv('v.tsv', text='x')})",
            "the file of its validation split (v.tsv) has no column for label",
        ),
        ("classify('own'", "regress('own', write=str, choices=('1', 'x')", "choices have 'x', which is no number"),
    ],
)
def test_a_fault_is_named_with_its_file_and_the_others_load(folder, declared, instead, reason):
    text = DECLARED.replace(declared, instead)
    if "regress" in text:
        text = text.replace("labels=('a', 'b'), ", "")
    (folder / "own.py").write_text(HEAD + text)
    registry = load_tasks([folder])
    assert "good" in registry.tasks
    if reason is None:
        assert ("own" in registry.tasks, registry.broken) == (True, {})
        return
    assert "own" not in registry.tasks
    assert list(registry.broken) == [str(folder / "own.py")]
    assert registry.broken[str(folder / "own.py")].startswith(reason)
    with pytest.raises(UsageError, match="task 'own' could not be loaded: "):
        registry.task("own")


def test_each_task_of_a_file_has_its_reason(folder):
    other = DECLARED.replace("'a', 'b'", "'a', 'a'").replace("TASK", "OTHER").replace("own", "other")
    third = DECLARED.replace("accuracy,", "").replace("TASK", "THIRD").replace("own", "third")
    (folder / "own.py").write_text(HEAD + DECLARED.replace("'a', 'b'", "'', 'b'") + other + third)
    registry = load_tasks([folder])
    assert registry.broken == {
        str(folder / "own.py"): "labels has '': no model can answer with nothing; 'other': labels have 'a' twice"
    }
    assert "third" in registry.tasks


def test_what_names_a_task_that_is_refused_is_refused_too(folder):
    chain = [DECLARED.replace("TASK", f"T{k}").replace("own", f"own{k}") for k in range(3)]
    scored_by = [text.replace("Source()", f"Source(), scored_by=('own{k + 1}',)") for k, text in enumerate(chain[:2])]
    (folder / "own.py").write_text(HEAD + "".join(scored_by) + chain[2].replace("'a', 'b'", "'a', 'a'"))
    registry = load_tasks([folder])
    assert not {"own0", "own1", "own2"} & registry.tasks.keys()
    assert "good" in registry.tasks


def test_every_built_in_task_passes_and_a_wrong_type_is_no_traceback():
    registry = load_tasks()
    assert registry.broken == {}
    rte = registry.tasks["rte"]
    assert fault(rte, registry.tasks) is None
    assert fault(replace(rte, splits=7), registry.tasks).startswith("a field has the wrong type: AttributeError")
    assert fault(replace(rte, metrics=(Metric(("a",), len), Metric(("a",), len))), {}) == "metrics have 'a' twice"
    files = {"train": tsv("train.tsv", sentence1="a", sentence2="b", label="c")}
    assert fault(replace(rte, source=Source(files=files)), {}) is None
