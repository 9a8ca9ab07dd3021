"""Measures of how the code reads: how much stands on a line, how complex functions are, how much is explained.

    python tests/tools/measures.py [FOLDER]     # a table by file, densest first, and the totals

`tests/house/test_house.py` holds these figures against budgets.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What a formatter lays out freely: it is no code, so a line that holds nothing else is no line of code.
_LAYOUT = (
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.COMMENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
)
_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.With,
    ast.AsyncWith,
    ast.Assert,
    ast.match_case,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Function:
    """A function and its strict complexity."""

    name: str
    line: int
    complexity: int


@dataclass(frozen=True)
class Measures:
    """What one file, or many together, measure."""

    path: str
    nodes: int
    lines: int
    text_lines: int
    comments: int
    anys: int
    functions: tuple[Function, ...]

    @property
    def nodes_a_line(self) -> float:
        """Statements and expressions for each line of code."""
        return self.nodes / max(self.lines, 1)

    @property
    def comments_a_hundred(self) -> float:
        """Comments for 100 lines of code."""
        return 100 * self.comments / max(self.lines, 1)

    @property
    def anys_a_thousand(self) -> float:
        """Uses of `Any` for 1,000 lines of text."""
        return 1000 * self.anys / max(self.text_lines, 1)

    @property
    def complex_percent(self) -> float:
        """How many functions in a hundred have a strict complexity over 10."""
        over = sum(1 for function in self.functions if function.complexity > 10)
        return 100 * over / max(len(self.functions), 1)


def measure(path: Path) -> Measures:
    """Measures one file."""
    text = path.read_text()
    tree = ast.parse(text)
    lines, comments = _lines(text, tree)
    everything = list(ast.walk(tree))
    nodes = [node for node in everything if isinstance(node, (ast.stmt, ast.expr))]
    anys = [
        node for node in everything if getattr(node, "id", getattr(node, "attr", None)) == "Any"
    ]
    functions = tuple(
        Function(node.name, node.lineno, strict_complexity(node))
        for node in everything
        if isinstance(node, _FUNCTIONS)
    )
    return Measures(
        str(path), len(nodes), lines, len(text.splitlines()), comments, len(anys), functions
    )


def together(measures: Iterable[Measures], path: str = "together") -> Measures:
    """The sums of several."""
    every = list(measures)
    return Measures(
        path,
        sum(each.nodes for each in every),
        sum(each.lines for each in every),
        sum(each.text_lines for each in every),
        sum(each.comments for each in every),
        sum(each.anys for each in every),
        tuple(function for each in every for function in each.functions),
    )


def strict_complexity(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """McCabe's number, with each `and`, `or`, ternary and comprehension counted as the branch that it is.

    What a nested function does counts for that function.
    """
    complexity = 1
    for node in _own(function):
        if isinstance(node, ast.BoolOp):
            complexity += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            complexity += 1 + len(node.ifs)
        elif isinstance(node, _BRANCHES):
            complexity += 1
    return complexity


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, _FUNCTIONS):
            continue
        yield child
        yield from _own(child)


def _lines(text: str, tree: ast.Module) -> tuple[int, int]:
    """How many lines of code there are, docstrings and comments not counted, and how many comments."""
    code: set[int] = set()
    comments = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments += 1
        if token.type not in _LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - _docstring_lines(tree)), comments


def _docstring_lines(tree: ast.Module) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return lines


def main() -> None:
    """Prints the table."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "graphflow")
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    every = [measure(path) for path in paths]
    print(
        f"{'nodes/line':>10} {'lines':>6} {'comments':>8} {'Any':>4} {'complex':>7} {'most':>4}  file"
    )
    for each in [*sorted(every, key=lambda each: -each.nodes_a_line), together(every)]:
        over = [function for function in each.functions if function.complexity > 10]
        most = max((function.complexity for function in each.functions), default=0)
        print(
            f"{each.nodes_a_line:10.2f} {each.lines:6} {each.comments:8} {each.anys:4} {len(over):7} {most:4}  {each.path}"
        )
        if len(sys.argv) > 2:
            for function in over:
                print(f"{'':45}{function.complexity:4} {function.name}, line {function.line}")
    total = together(every)
    print(
        f"{total.nodes_a_line:.2f} nodes a line; {total.complex_percent:.1f} % of {len(total.functions)} functions over 10; "
        f"{total.anys_a_thousand:.1f} Any in 1,000 lines; {total.comments_a_hundred:.1f} comments in 100"
    )


if __name__ == "__main__":
    main()
