"""How long functions may be: what no rule of ruff counts."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "airflow_trtc"
MAX_LINES = 40

# Function, by module and qualified name -> why it may be longer. Remove an entry with its reason.
MAY_BE_LONGER: dict[str, str] = {}

NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def lines_of_code(source: str) -> set[int]:
    """The numbers of the lines that hold more than blanks and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = (range(token.start[0], token.end[0] + 1) for token in tokens if token.type not in NO_CODE)
    return {number for span in spans for number in span}


def functions(
    node: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """All functions below a node, with their qualified names."""
    for child in ast.iter_child_nodes(node):
        name = prefix + (getattr(child, "name", None) or "")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, child
        is_scope = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(child, f"{name}." if is_scope else prefix)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef, code: set[int]) -> int:
    """Its lines of code, the signature included, the docstring not."""
    lines = code & set(range(function.lineno, (function.end_lineno or 0) + 1))
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        lines -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


def lengths(source: str) -> dict[str, int]:
    """The length of each function of a module, by its qualified name."""
    code = lines_of_code(source)
    return {name: length(function, code) for name, function in functions(ast.parse(source))}


@pytest.fixture(scope="module")
def too_long() -> dict[str, int]:
    return {
        f"{path.relative_to(PACKAGE).as_posix()} {name}": lines
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, lines in lengths(path.read_text()).items()
        if lines > MAX_LINES
    }


def test_no_function_is_longer_than_can_be_read_at_once(too_long: dict[str, int]) -> None:
    assert {name: lines for name, lines in too_long.items() if name not in MAY_BE_LONGER} == {}


def test_every_exception_is_needed_and_has_a_reason(too_long: dict[str, int]) -> None:
    assert sorted(MAY_BE_LONGER.keys() - too_long.keys()) == []
    assert all(MAY_BE_LONGER.values())


def test_docstrings_comments_and_blank_lines_do_not_count() -> None:
    source = '''
class Thing:
    def method(
        self,
    ) -> str:
        """Return a text.

        It has two lines.
        """

        # A comment.
        def inner():
            return 1

        return """
        # no comment
        """
'''
    assert lengths(source) == {"Thing.method": 8, "Thing.method.inner": 2}
