"""Whatever texts hold, they are shown as text: on the terminal, in CSV, Markdown, HTML, LaTeX and messages."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from records import finished, runner

from glue_harness.cli.predict import drawn, facts_of
from glue_harness.cli.score import MOST_COMMON
from glue_harness.cli.streams import emit
from glue_harness.core.task import Example, Prediction
from glue_harness.data import load
from glue_harness.report import formats
from glue_harness.report.board import Board, BoardRow, make_boards
from glue_harness.report.console import one_line
from glue_harness.report.formats.latex import SPECIAL
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
HOSTILE = [
    *("entailment", "</s>", "<extra_id_0>", "<pad>", "[red]alarm[/red]", "[link=http://x]y[/link]", ":smile:"),
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
        "\x9b31m",
        "\x1b[2J\x1b[H",
        "\x07\x08\x0c\x0b\r",
        "a\rb",
    ),
    *(
        "\u202egnp.exe\u202c",
        "\u2066a\u2069",
        "\ufeff",
        "a\u2028b\u2029c\x85d",
        "a\0b",
        "\ud800",
        "line\nglue: all is well",
        "\t",
    ),
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "&lt;b&gt;",
        "'\" onload=x",
        "<!--",
        "]]>",
        "javascript:alert(1)",
    ),
    *(
        '=cmd|"/c calc"!A1',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        "＝1+1",
        '"',
        '","',
        "a,b\n=c",
    ),
    *(
        "| a | b |",
        "`code`",
        "**b** _i_ ~~s~~",
        "[x](http://x)",
        "![x](http://x)",
        "http://x.org",
        "www.x.org",
        "# h",
        "- l",
        "1. l",
        "---",
        "$x^2$",
        "\\",
    ),
    *(
        "\\input{/etc/passwd}",
        "\\write18{ls}",
        "%",
        "a & b \\\\ c",
        "{",
        "}",
        "^^M",
        "~",
        "#1",
        "_",
        "--",
        "``q''",
        "<<",
        "?`",
    ),
]


def is_inert(text: str) -> bool:
    """Nothing in it moves a cursor, changes a colour, turns the direction of writing, or cannot be encoded."""
    return all(c == "\n" or c.isprintable() for c in text)


TASK = """
from glue_harness.suite.build import classify
from glue_harness.metrics import accuracy
from glue_harness.core.task import Source

TEXTS = {texts!r}
EVIL = classify(
    "evil", fields=("text", "odd \\x1b[31m[red]"), labels=("yes\\x1b[31m", "[red]no"), metrics=(accuracy,), suite="evil",
    title="Evil\\x1b[31m[red]", source=Source("\\x1b[31m[red]"), aliases=("other\\x1b[31m",), prefix="\\x1b[31m",
    demo=lambda random, n: [{{"text": TEXTS[k % len(TEXTS)] + str(random.random()), "odd \\x1b[31m[red]": "", "label": k % 2}}
                            for k in range(n)])
BROKEN = classify("\\x1b[31m", fields=("text",), labels=("a", "b"), metrics=(accuracy,), source=Source(""))
"""


@pytest.fixture
def evil(tmp_path, capsys):
    """Runs a command with a hostile task; gives what stdout and stderr hold together."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "evil.py").write_text(TASK.format(texts=HOSTILE[:-1]), encoding="utf-8", errors="backslashreplace")
    call = runner(capsys)

    def run(*arguments) -> str:
        _, out, err = call(*arguments, "--tasks", folder)
        assert "Traceback" not in err
        return out + err

    run.task = load_tasks([folder]).tasks["evil"]
    return run


def test_tasks_and_rows_are_shown_as_text(evil):
    for arguments in (
        ["tasks"],
        ["tasks", "--json"],
        ["show", "evil", "--n", "100"],
        ["show", "evil", "--json"],
        ["mix", "--task", "evil", "--data", "demo"],
        ["doctor", "--task", "evil", "--data", "demo"],
        ["show", "nobody\x1b[31m"],
        ["board", "--suite", "\x1b[31m"],
        ["compare", "\x1b[31m", "\x1b[32m"],
        ["submit", "\x1b[31m"],
    ):
        assert is_inert(evil(*arguments)), arguments


def test_rows_in_rich_markup_keep_it(evil):
    shown = evil("show", "evil", "--n", "100")
    assert "[red]alarm[/red]" in shown
    assert "<extra_id_0>" in shown
    assert r"\x1b[31mred\x1b[0m" in shown
    assert r"\u202egnp.exe\u202c" in shown


def test_data_that_is_refused_is_quoted_as_text(evil, tmp_path):
    folder = tmp_path / "d\x1b[31m" / "evil"
    folder.mkdir(parents=True)
    for row in ({"text\x1b[31m": 1}, {"text": "a", "odd \x1b[31m[red]": "\x1b[2J", "label": "\x1b[31m"}):
        (folder / "train.jsonl").write_text(json.dumps(row) + "\n")
        assert is_inert(evil("show", "evil", "--data", folder.parent))
        assert is_inert(evil("doctor", "--data", folder.parent))


def test_answers_are_shown_as_text(evil, tmp_path):
    for start in range(0, len(HOSTILE), MOST_COMMON):
        lines = [{"target": "[red]no", "prediction": text} for text in HOSTILE[start : start + MOST_COMMON]]
        (tmp_path / "answers").write_text("".join(json.dumps(line) + "\n" for line in lines))
        shown = evil("score", "evil", tmp_path / "answers")
        assert is_inert(shown)
        assert f"{len(lines)} invalid" in shown


def test_answers_to_rows_are_shown_as_text_and_so_are_the_examples_they_miss(evil, tmp_path):
    texts = [text for text in HOSTILE if text != "\ud800"]  # no UTF-8
    lines = [json.dumps({"answer": texts[k % len(texts)]}) for k in range(len(load(evil.task, "validation", "demo")))]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    (tmp_path / "answers.txt").write_text("\x1b[31m\n" * len(lines))
    arguments = ("score", "evil", tmp_path / "answers.jsonl", "--data", "demo")
    assert is_inert(evil(*arguments))
    assert is_inert(evil(*arguments[:2], tmp_path / "answers.txt", *arguments[3:]))
    assert "run" in evil(*arguments, "--invalid", "--as", "system", "--json")
    assert is_inert(evil(*arguments, "--as", "\x1b[31m"))
    shown = evil("errors", "system", "--limit", "200")
    assert is_inert(shown)
    assert r"\x1b[31mred\x1b[0m" in shown
    assert "[red]alarm[/red]" in shown
    assert is_inert(evil("errors", "system", "--text", "\x1b[31m", "--label", "\x1b[31m"))
    assert is_inert(evil("errors", "system", "--json"))


@pytest.mark.parametrize("text", HOSTILE)
def test_predictions_are_shown_as_text(text, capsys):
    example = Example("0", text, text, {}, 0)
    answer = Prediction(example, text, None)
    for facts in (
        facts_of([answer], [{text: 0.5, "b": 0.5}], [0]),
        facts_of([answer, answer], [{text: 0.5}, {}], [0, 0]),
    ):
        emit(False, facts, drawn(REGISTRY.task("rte"), facts))
    captured = capsys.readouterr()
    assert is_inert(captured.out + captured.err)


def test_runs_are_shown_and_compared_as_text(tmp_path, capsys):
    store = Store(tmp_path / "results")
    texts = [text for text in HOSTILE if "\0" not in text and text != "\ud800"]
    runs = [
        finished(store, model=text, steps=k + 2, error=text, status="failed" if k % 3 == 0 else "finished")
        for k, text in enumerate(texts)
    ]
    call = runner(capsys)
    boards = [*("--out", tmp_path / "boards"), *(part for name in formats.names() for part in ("--format", name))]
    for arguments in (
        ["board", *boards[:2]],
        ["board", *boards],
        ["report", "--out", tmp_path / "page"],
        ["compare", *(run.id for run in runs[:20])],
    ):
        code, out, err = call(*arguments, "--results", store.folder)
        assert (code, is_inert(out + err)) == (0, True)
    assert {file.suffix for file in (tmp_path / "boards").iterdir()} == {".csv", ".html", ".latex", ".md"}


# Files of boards

ANY_TEXT = st.sampled_from(HOSTILE) | st.text(max_size=30)
MANY = settings(derandomize=True, max_examples=150, deadline=None)


def board_of(model: str, reason: str) -> Board:
    empty = make_boards([], REGISTRY, "glue")[0]
    row = BoardRow(source="run", model=model, method=reason, average=None, values={}, runs=(reason,), commit=model)
    return Board("glue", "glue", empty.columns, (row,), ((reason, model),), (reason,))


@MANY
@given(ANY_TEXT, ANY_TEXT)
def test_no_file_of_a_board_holds_control_characters(model, reason):
    for name in formats.names():
        text = formats.renderer(name)(board_of(model, reason))
        assert is_inert(text)
        text.encode()


@MANY
@given(ANY_TEXT, ANY_TEXT)
def test_no_cell_of_a_csv_runs(model, reason):
    rows = list(csv.DictReader(io.StringIO(formats.renderer("csv")(board_of(model, reason)), newline="")))
    assert len(rows) == 1
    assert rows[0]["model"] in (one_line(model), f"'{one_line(model)}")
    for cell in rows[0].values():
        assert not re.match(r"\s*[=+\-@＝＋－＠]", cell) or re.fullmatch(r"-?[\d.]+", cell)


class Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *attrs))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.tags.append(("comment",))


@MANY
@given(ANY_TEXT, ANY_TEXT)
def test_html_has_no_tag_of_a_texts(model, reason):
    page, plain = (
        Page(formats.renderer("html")(board_of(model, reason))),
        Page(formats.renderer("html")(board_of("a", "b"))),
    )
    assert page.tags == plain.tags
    assert one_line(model) in " ".join(page.texts)


@MANY
@given(ANY_TEXT, ANY_TEXT)
def test_markdown_has_no_markup_of_a_texts(model, reason):
    rendered = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(formats.renderer("md")(board_of(model, reason)))
    )
    page = Page(rendered)
    head, body = ["thead", "tr", *["th"] * 30], ["tbody", "tr", *["td"] * 30]
    assert [tag for tag, *_ in page.tags if tag != "p"] == ["h1", "table", *head, *body]
    texts = [text.strip() for text in page.texts if text.strip()]
    assert not one_line(model) or one_line(model) in texts
    assert "http://" not in formats.renderer("md")(board_of("http://x", "HTTP://x"))


@MANY
@given(ANY_TEXT, ANY_TEXT)
def test_latex_has_no_command_of_a_texts(model, reason):
    """Undone, the escapes give the text again; and without them nothing is left that LaTeX would heed."""
    text = formats.renderer("latex")(board_of(model, reason))
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    assert body.count("\n") == 1
    cell = body.split(" & ")[0]
    known = "|".join(re.escape(code) for code in sorted(SPECIAL.values(), key=len, reverse=True))
    assert re.sub(known, lambda m: next(c for c, code in SPECIAL.items() if code == m[0]), cell).strip() == one_line(
        model
    )
    assert not set(re.sub(known, "", cell)) & set("\\{}$&#^_~%<>|[*\"`'")
    comments = text.split("\\end{tabular}\n")[1].splitlines()
    assert all(line.startswith("%") for line in comments)
