"""The mutants of a module: what differs from it in one decision each. Pure.

Wording decides nothing: docstrings, messages of errors and logs, and texts with blanks stay as they are. A
text that looks like a code, a name or a format is mutated.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
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
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_LOGS = {"debug", "info", "warning", "error", "exception", "critical"}
_TYPES = {"Literal", "TypeAlias", "TypeVar", "cast", "NewType"}
_Node = TypeVar("_Node", bound=ast.AST)
_Scope = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    """The module's file."""
    where: str
    """The qualified name of the function or class it is in; "module" outside of them."""
    change: str
    """What became of what, with a number if the same occurs again there."""
    number: int
    """Which of the module's mutants it is."""
    lines: tuple[int, int]
    """The lines of the statement, to find the tests that reach it."""
    in_function: bool
    """Whether the change takes effect when a function is called; others do when the module is imported."""

    @property
    def key(self) -> str:
        """What names it in reports and in the list of survivors."""
        return f"{self.path} {self.where}: {self.change}"


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of a module."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for number, spot in enumerate(_spots(ast.parse(source))):
        seen[spot.where, spot.change] += 1
        again = seen[spot.where, spot.change]
        change = spot.change if again == 1 else f"{spot.change} (#{again})"
        found.append(Mutant(path, spot.where, change, number, spot.lines, spot.in_function))
    return found


def mutated(source: str, number: int) -> ast.Module:
    """The module with one of its changes made; line numbers stay."""
    tree = ast.parse(source)
    for at, spot in enumerate(_spots(tree)):
        if at == number:
            spot.make()
            return ast.fix_missing_locations(tree)
    raise IndexError(f"there is no mutant {number}")


@dataclass
class _Spot:
    """Where a node of a tree can be replaced."""

    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST
    where: str
    lines: tuple[int, int]
    in_function: bool
    change: str

    def make(self) -> None:
        """Replace the node in its tree."""
        if self.index is None:
            setattr(self.parent, self.field, self.new)
        else:
            getattr(self.parent, self.field)[self.index] = self.new


@dataclass(frozen=True)
class _Place:
    """Where a walk is."""

    names: tuple[str, ...] = ()
    lines: tuple[int, int] = (1, 1)
    in_function: bool = False


def _spots(tree: ast.Module) -> Iterator[_Spot]:
    """All that can be replaced, in an order that depends on the source alone."""
    yield from _below(tree, _Place())


def _below(node: ast.AST, place: _Place) -> Iterator[_Spot]:
    for field, index, child in _children(node):
        if _is_left_out(node, field, child):
            continue
        inner = _entered(node, field, child, place)
        for new in _replacements(child):
            where = ".".join(inner.names) or "module"
            change = _change(child, new)
            yield _Spot(node, field, index, new, where, inner.lines, inner.in_function, change)
        yield from _below(child, inner)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield field, None, value
        elif isinstance(value, list):
            for index, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield field, index, child


def _entered(parent: ast.AST, field: str, child: ast.AST, place: _Place) -> _Place:
    """The place of a child."""
    names, lines, in_function = place.names, place.lines, place.in_function
    if isinstance(parent, _Scope) and field == "body":
        in_function = True
    if isinstance(child, ast.stmt):
        body = getattr(child, "body", None) or getattr(child, "cases", None)
        end = (
            body[0].lineno - 1 if body and hasattr(body[0], "lineno") else (child.end_lineno or child.lineno)
        )
        lines = (child.lineno, max(child.lineno, end))
    if isinstance(child, _Scope | ast.ClassDef):
        names = (*names, child.name)
    return _Place(names, lines, in_function)


def _is_left_out(parent: ast.AST, field: str, child: ast.AST) -> bool:
    """Whether nothing below decides anything: wording, types, what a linter reads."""
    if field in ("annotation", "returns", "decorator_list", "type_params", "bases", "format_spec"):
        return True
    if isinstance(child, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(child, ast.Call) and _name(child.func) in _LOGS | _TYPES:
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call) and _name(child.value.func) in _LOGS:
        return True
    if isinstance(child, ast.Subscript) and _name(child.value) in _TYPES | {"ClassVar"}:
        return True
    if isinstance(child, ast.Assign) and any(
        _name(target) in ("__all__", "__slots__") for target in child.targets
    ):
        return True
    if isinstance(child, ast.AnnAssign) and _name(child.annotation) == "TypeAlias":
        return True
    if isinstance(child, ast.If) and _name(child.test) == "TYPE_CHECKING":
        return True
    return isinstance(parent, ast.Expr) and isinstance(child, ast.Constant)  # a docstring


def _name(node: ast.AST) -> str:
    return getattr(node, "id", None) or getattr(node, "attr", None) or ""


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may become."""
    if isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.expr):
        yield from _expressions(node)
    elif isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            new = copy.deepcopy(node)
            new.ifs[index] = _not(condition)
            yield new


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield _at(node, ast.Constant(not value))
    elif isinstance(value, int | float):
        yield _at(node, ast.Constant(value + 1))
    elif isinstance(value, str) and re.fullmatch(r"\S+", value):
        yield _at(node, ast.Constant(f"{value}_mutated"))


def _expressions(node: ast.expr) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        if other := _COMPARISONS.get(type(node.ops[0])):
            yield _with(node, ops=[other()])
    elif isinstance(node, ast.Compare):
        for index, comparison in enumerate(node.ops):
            ops = list(node.ops)
            ops[index] = _COMPARISONS[type(comparison)]()
            yield _with(node, ops=ops)
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.BinOp) and not _is_text(node):
        if operator := _OPERATORS.get(type(node.op)):
            yield _with(node, op=operator())
    elif isinstance(node, ast.IfExp):
        yield _with(node, test=_not(node.test))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        yield _with(node, func=_at(node.func, ast.Name(_FUNCTIONS[node.func.id], ast.Load())))


def _statements(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        yield _with(node, test=_not(node.test))
    elif isinstance(node, ast.Return) and not _is_false(node.value):
        yield _with(node, value=_at(node, ast.Constant(None)))
    elif isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    ):
        yield _at(node, ast.Pass())
    elif isinstance(node, ast.AugAssign) and (operator := _OPERATORS.get(type(node.op))):
        yield _with(node, op=operator())
    elif isinstance(node, ast.Continue):
        yield _at(node, ast.Break())
    elif isinstance(node, ast.Break):
        yield _at(node, ast.Continue())


def _is_false(node: ast.expr | None) -> bool:
    """Whether None in its place would hardly be a change."""
    return node is None or (isinstance(node, ast.Constant) and not node.value)


def _is_text(node: ast.BinOp) -> bool:
    """Whether texts are joined, or types: neither is arithmetic."""
    return any(
        isinstance(end, ast.JoinedStr)
        or (isinstance(end, ast.Constant) and (end.value is None or isinstance(end.value, str)))
        for end in (node.left, node.right)
    )


def _not(node: ast.expr) -> ast.expr:
    return _at(node, ast.UnaryOp(ast.Not(), node))


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """The node with some fields replaced; what is below it stays the same nodes."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _at(old: ast.AST, new: _Node) -> _Node:
    return ast.copy_location(new, old)


def _change(old: ast.AST, new: ast.AST) -> str:
    """What becomes of what, in one line each."""
    return f"{_line(old)} -> {_line(new)}"


def _line(node: ast.AST) -> str:
    """The first line of its source; a compound statement shows its head only."""
    text = ast.unparse(node).strip().splitlines()[0]
    return text if len(text) <= 90 else f"{text[:60]} ... {text[-25:]}"
