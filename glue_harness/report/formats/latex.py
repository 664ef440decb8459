"""LaTeX: a booktabs table for a paper. What is not in it, and where its rows come from, stands in comments."""

from __future__ import annotations

from glue_harness.report.console import one_line
from glue_harness.report.formats import remarks, table
from glue_harness.report.rows import Board

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
    "σ": r"$\sigma$",
}
ESCAPES = str.maketrans(SPECIAL)


def render(board: Board) -> str:
    numbers = len(board.columns) + (8 if board.has_costs else 4)
    columns = ("Model", "Method", "Mixing", "Settings", "Data", "Seeds", "Rank", "P(best)", "Average")
    head, *rows = (" & ".join(map(escaped, row)) + r" \\" for row in table(board, columns))
    lines = [
        "% needs \\usepackage{booktabs,textcomp} and \\usepackage[T1]{fontenc}",
        f"\\begin{{tabular}}{{lllll{'r' * numbers}}}",
        "\\toprule",
        head,
        "\\midrule",
        *rows,
        "\\bottomrule",
        "\\end{tabular}",
        *(one_line(f"% {row.name}: {' '.join(row.runs) or row.source}") for row in board.rows),
        *(f"% {remark}" for remark in remarks(board)),
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return one_line(text).translate(ESCAPES)
