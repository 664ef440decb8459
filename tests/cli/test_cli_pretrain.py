"""`glue pretrain`: a run like any other, from text to a model that others start from."""

import json

import pytest
from records import runner

SMALL = ("--steps", "6", "--batch-size", "4", "--device", "cpu", "--set", "max_input=32")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


@pytest.fixture
def text(tmp_path):
    words = [
        "the",
        "old",
        "painter",
        "sleeps",
        "near",
        "the",
        "river",
        "and",
        "the",
        "young",
        "one",
        "laughs",
        "in",
        "the",
        "school",
    ]
    paragraphs = [" ".join(words[(3 * k + j) % len(words)] for j in range(20)) for k in range(40)]
    (tmp_path / "text.txt").write_text("\n\n".join(paragraphs))
    return tmp_path / "text.txt"


def test_a_run_of_text_is_scored_resumed_and_started_from(glue, text, tmp_path):
    results = ("--results", tmp_path / "results")
    code, out, err = glue("pretrain", "--model", "bert:tiny", "--text", text, *SMALL, *results, "--json")
    assert code == 0, err
    made = json.loads(out)
    assert set(made["scores"]["mlm"]) == {"probability", "accuracy"}
    record = json.loads((tmp_path / "results" / made["id"] / "record.json").read_text())
    assert {role: facts["rows"] for role, facts in record["data"]["mlm"].items()} == {"train": 38, "validation": 2}
    log = (tmp_path / "results" / made["id"] / "train.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["loss"] > 0 for line in lines if "loss" in line][-1]
    scored = [[line["scored"], line["scores"]["mlm"]] for line in lines if "scored" in line]
    assert scored == record["history"]["mlm"]  # of the paragraphs that are held out
    code, _, err = glue("pretrain", "--resume", made["id"], *results)
    assert (code, f"run {made['id']} is finished" in err) == (0, True)
    code, _, err = glue("run", "--task", "rte", "--data", "demo:40", "--model", f"run:{made['id']}", "--steps", "2",
                        "--batch-size", "4", *results)  # fmt: skip
    assert code == 0, err


def test_the_objective_is_the_familys_unless_named(glue, tmp_path):
    for model, objective in (("gpt:tiny", "causal"), ("tiny", "span_corruption"), ("bert:tiny", "mlm")):
        where = ("--data", "demo:40", "--results", tmp_path / model.replace(":", "-"))
        code, out, err = glue("pretrain", "--model", model, *where, *SMALL, "--dry-run", "--json")
        assert code == 0, err
        assert json.loads(out)["plan"]["tasks"] == [objective]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no text: give some with --text FILE or DIR, or --data demo to try"),
        (("--text", "nowhere"), "--text 'nowhere' is neither a file nor a folder of .txt files"),
        (("--data", "demo", "--objective", "mln"), "unknown objective 'mln': did you mean mlm?"),
        (
            ("--data", "demo", "--model", "cbow", "--objective", "mlm"),
            "model 'cbow' cannot learn mlm from text alone: its objective is bilm, cbow or skipgram",
        ),
        (
            ("--data", "demo", "--model", "gpt:tiny", "--objective", "mlm"),
            "model 'gpt:tiny' cannot learn mlm from text alone: its objective is causal",
        ),
    ],
)
def test_a_wrong_request_is_one_line(glue, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = glue("pretrain", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"glue: {message}")
    assert err.count("\n") == 1
