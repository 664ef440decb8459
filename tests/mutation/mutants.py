"""Small faults that could be in a source, each planted by replacing one piece of its text."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

COMPARED: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.MatMult: ast.Mult,
}
BARE = ast.Name | ast.Attribute
CALLED = {"max": "min", "min": "max", "any": "all", "all": "any", "mean": "sum"}
LEFT_OUT = ["detach", "contiguous", "cpu", "double", "copy", "clone", "square", "sqrt", "lower", "strip", "resolve"]


class Mutant(NamedTuple):
    """A piece of a source and what stands there instead."""

    line: int
    lines: range | None  # of the statement, without its body; None outside functions, where it runs on import
    before: str
    after: str
    start: int  # in bytes
    stop: int

    def planted(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.stop :]


def mutants_of(source: bytes) -> list[Mutant]:
    """In the order of the text, each of one change; annotations, docstrings and texts stay as they are."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[tuple[int, int, str], Mutant] = {}
    for node, new, lines in _changes(ast.parse(source), None):
        start, stop = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        after = new if isinstance(new, str) else f"({ast.unparse(new)})" if isinstance(new, ast.expr) else "pass"
        before = source[start:stop].decode()
        if after != before:
            found.setdefault((start, stop, after), Mutant(node.lineno, lines, before, after, start, stop))
    return [found[key] for key in sorted(found)]


def _changes(node: ast.AST, lines: range | None) -> Iterator[tuple[Any, ast.AST | str, range | None]]:
    """Every node that can be changed, what it becomes, and the lines of its statement."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    if isinstance(node, ast.stmt) and lines is not None:
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else node.end_lineno
        lines = range(node.lineno, max(node.lineno, last or 0) + 1)
    for new in [*_statement(node, lines), *_expression(node)]:
        yield node, new, lines
    for test in [node.test] if isinstance(node, ast.If | ast.While) else getattr(node, "ifs", []):
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr):  # others are changed themselves
            yield test, ast.UnaryOp(ast.Not(), test), lines
    inside = isinstance(node, ast.FunctionDef | ast.Lambda)
    for name, child in _parts(node):
        of_body = inside and name == "body"
        yield from _changes(child, range(node.lineno, node.lineno + 1) if of_body and lines is None else lines)


def _parts(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What is run: no annotations, decorators and texts, and of a slice or a call its values."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "ctx", "op", "ops", "keywords", "values", "bases"):
            if name == "keywords":
                yield from ((name, word.value) for word in value if word.arg != "strict")  # of zip: only a safeguard
            if name == "values" and not isinstance(node, ast.JoinedStr):
                yield from ((name, item) for item in value)
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield name, child


def _statement(node: ast.AST, lines: range | None) -> Iterator[ast.AST | str]:
    """Work that is left out."""
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    sets = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    if is_call or sets or isinstance(node, ast.AugAssign | ast.Raise | ast.Delete | ast.Break | ast.Continue):
        yield ast.Pass()
    if isinstance(node, ast.Return) and node.value and not _is_none(node.value) and lines is not None:
        yield "return None"


def _expression(node: ast.AST) -> Iterator[ast.AST | str]:
    if isinstance(node, ast.Compare):
        for k, op in enumerate(node.ops):
            yield _with(node, "ops", [*node.ops[:k], COMPARED[type(op)](), *node.ops[k + 1 :]])
        if isinstance(node.ops[-1], ast.Lt | ast.LtE | ast.Gt | ast.GtE) and isinstance(node.comparators[-1], BARE):
            if ast.unparse(node.comparators[-1]) == "math.inf":
                return
            twice = ast.BinOp(ast.Constant(2), ast.Mult(), node.comparators[-1])  # a threshold
            yield _with(node, "comparators", [*node.comparators[:-1], twice])
    elif isinstance(node, ast.BinOp):
        sides = (node.left, node.right)
        is_text = any(
            isinstance(side, ast.JoinedStr) or _is_text(side) or _is_none(side) for side in sides
        )  # or a type
        if type(node.op) in COMPUTED and not is_text:
            yield _with(node, "op", COMPUTED[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield _with(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield _with(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes) and node.value is not None:
        yield from _constants(node.value)
    elif isinstance(node, ast.Call):
        yield from _call(node)


def _constants(value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int):
        yield str(value + 1)
    elif isinstance(value, float):
        yield repr(2 * value) if value else "1.0"


def _call(node: ast.Call) -> Iterator[ast.AST]:
    """max for min, and a step left out, as in x.detach()."""
    function = node.func
    name = getattr(function, "id", getattr(function, "attr", ""))
    if name in CALLED:
        other = copy.deepcopy(node)
        field = "id" if isinstance(function, ast.Name) else "attr"
        setattr(other.func, field, CALLED[name])
        yield other
    if isinstance(function, ast.Attribute) and name in LEFT_OUT and not node.args:
        yield function.value


def _with(node: ast.expr, field: str, value: object) -> ast.expr:
    other = copy.copy(node)
    setattr(other, field, value)
    return other


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
