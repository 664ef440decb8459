"""LaTeX: a booktabs table for a paper. What is not in it, and where its rows come from, stands in comments."""

from __future__ import annotations

from glue_harness.report.board import Board, Row
from glue_harness.report.console import one_line
from glue_harness.report.formats import mixing, remarks, written

SPECIAL = {
    **{char: f"\\{char}" for char in "{}$&#%_"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "-{}",  # two would become a dash
    "?": "?{}",  # with a quotation mark behind them these two would stand upside down
    "!": "!{}",
    "[": "{[}",  # at the start of a row these two would belong to the line end before it
    "*": "{*}",
    "±": r"$\pm$",
}
ESCAPES = str.maketrans(SPECIAL)


def render(board: Board) -> str:
    head = ["Model", "Method", "Mixing", "Data", "Seeds", "Average", *(column.label for column in board.columns)]
    numbers = len(board.columns) + 2
    lines = [
        "% needs \\usepackage{booktabs,textcomp} and \\usepackage[T1]{fontenc}",
        f"\\begin{{tabular}}{{llll{'r' * numbers}}}",
        "\\toprule",
        _line(head),
        "\\midrule",
        *(_line(_cells(board, row)) for row in board.rows),
        "\\bottomrule",
        "\\end{tabular}",
        *(f"% {one_line(_origin(row))}" for row in board.rows),
        *(f"% {remark}" for remark in remarks(board)),
    ]
    return "\n".join(lines) + "\n"


def _cells(board: Board, row: Row) -> list[str]:
    values = (written(row.values.get(column)) for column in board.columns)
    return [row.model, row.method, mixing(row), row.data, str(row.seeds), written(row.average), *values]


def _origin(row: Row) -> str:
    return f"{row.model}, {row.method}: {' '.join(row.runs) or row.source}"


def _line(texts: list[str]) -> str:
    return " & ".join(map(escaped, texts)) + r" \\"


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return one_line(text).translate(ESCAPES)
