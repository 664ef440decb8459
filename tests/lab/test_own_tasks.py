"""A task of one's own that fails while a run goes on: which function, of which file, in one line."""

import pytest
from records import runner

OWN = """
from glue_harness.core.task import Metric, Source, Text
from glue_harness.metrics import accuracy
from glue_harness.suite.build import classify, generate

def demo(random, n):
    return [{"text": f"word {random.randrange(10**6)}", "label": random.randrange(2)} for _ in range(n)]

def broken(*_):
    return {}["gone"]

def label(**changes):
    usual = {"fields": ("text",), "labels": ("a", "b"), "metrics": (accuracy,), "demo": demo}
    return classify("own", source=Source("none"), **usual | changes)

def free(**changes):
    usual = {"columns": ("text",), "encode": lambda row: [Text(row["text"], "a")], "metrics": (accuracy,), "demo": demo}
    return generate("own", source=Source("none"), **usual | changes)

"""
OPTIONS = ("--quiet", "--data", "demo:20", "--model", "tiny", "--steps", "1", "--batch-size", "2")


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("label(demo=broken)", "own.py, line 10, in broken: KeyError: 'gone' (at: return {}[\"gone\"])"),
        ("label(demo=lambda random, n: None)", "own.py): demo gave None: it must give a list of 20 rows, each a dict"),
        ("free(encode=broken)", "own.py, line 10, in broken: KeyError: 'gone'"),
        ("free(encode=lambda row: [1 / 0])", "own.py, line 20, in <lambda>: ZeroDivisionError: division by zero"),
        ("free(encode=lambda row: None)", "own.py): encode gave None: it must give a list of Text"),
        ("free(encode=lambda row: [Text(3, 'a')])", "it must give inputs and a target that are text"),
        ("free(encode=lambda row: [Text('a', 'b', choices=(1, 2))])", "it must give choices that are a tuple of texts"),
        ("free(encode=lambda row: [Text('a', 'b', info=3)])", "it must give an info that is a dict"),
        ("free(encode=lambda row: [Text('a', 'b', info={'x': demo})])", "it must give an info that JSON can hold"),
        ("label(demo=lambda random, n: exit())", "own.py, line 20, in <lambda>: SystemExit: None"),
        ("label(demo=lambda random, n: [{'text': 3, 'label': 1}])", "the demo of 'own', row 1: column 'text' must be"),
        ("label(demo=lambda random, n: [{'text': 'a'}])", "the demo of 'own', row 1: column 'label' is missing"),
        ("free(encode=lambda row: [])", "there is no text to learn a vocabulary from: no row became an example"),
        ("free(decode=broken)", "own.py, line 10, in broken: KeyError: 'gone'"),
        ("label(metrics=(Metric(('m',), broken),))", "own.py, line 10, in broken: KeyError: 'gone'"),
        (
            "label(metrics=(Metric(('m',), lambda p: None),))",
            "own.py): the metric of m gave None: it must give a Tally",
        ),
    ],
)
def test_what_it_does_wrong_is_one_line(task, line, tmp_path, capsys):
    (tmp_path / "own.py").write_text(f"{OWN}own = {task}\n", encoding="utf-8")
    code, _, err = runner(capsys)("run", "--task", "own", "--tasks", tmp_path, *OPTIONS)
    assert code == 1
    assert line in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
