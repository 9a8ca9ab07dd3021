"""ReAct: a model thinks, calls a tool, looks at the result, and so on until it knows the answer.

After Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models" (2022), arXiv:2210.03629. In graphflow an agent
with tools is that loop; its tools hang on it by call edges, and `turns` bounds it. This file is the smallest useful agent:
copy it, and put your own tools in.

    graphflow run react "How many days are there between 2024-02-10 and 2024-03-01, times 24?" --model openai:gpt-5-mini
    graphflow run react "Which files in this folder mention a licence?" --model anthropic:claude-sonnet-4-5

It wants a model that calls tools. Of the embedded ones only the largest does (`graphflow models pull qwen2.5-coder-1.5b`);
smollm2 makes nonsense of it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from graphflow import END, START, Agent, Graph, Limits, ToolError, tool

OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
LONGEST = 200
"""Characters of an expression at most."""
MOST = 40
"""Lines that a search shows at most."""


@tool
async def calculate(expression: str) -> float:
    """Work out an arithmetic expression, such as (3 + 4) * 2.5.

    Args:
        expression: numbers, + - * / // % and brackets.
    """
    if len(expression) > LONGEST:
        raise ToolError(f"the expression has {len(expression)} characters; at most {LONGEST} are allowed")
    try:
        return float(worked_out(ast.parse(expression.strip(), mode="eval").body))
    except SyntaxError:
        raise ToolError(f"{expression!r} is no expression; write one like (3 + 4) * 2.5") from None
    except (ZeroDivisionError, OverflowError) as error:
        raise ToolError(f"{expression}: {error}") from None


def worked_out(part: ast.expr) -> float:
    """The value of a part of an expression; anything but arithmetic is refused."""
    match part:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return float(OPERATORS[type(op)](worked_out(left), worked_out(right)))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return float(OPERATORS[type(op)](worked_out(operand)))
    raise ToolError(f"{ast.unparse(part)!r} is no arithmetic; use numbers, + - * / // % and brackets")


@tool
async def days_between(first: date, last: date) -> int:
    """Count the days from one date to another.

    Args:
        first: as in 2024-02-10.
        last: as in 2024-03-01.
    """
    return (last - first).days


@tool(effects=["reads"])
def search_files(words: str, folder: str = ".") -> list[str]:
    """Find the lines of .md, .txt and .csv files that hold some words; each with its file and number.

    Args:
        words: what the line must hold, as it is written.
        folder: where to look; also in the folders below.
    """
    if not Path(folder).is_dir():
        raise ToolError(f"there is no folder {folder!r}")
    found: list[str] = []
    for file in sorted(p for p in Path(folder).rglob("*") if p.suffix in (".md", ".txt", ".csv") and p.is_file()):
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if words.lower() in line.lower():
                found.append(f"{file.relative_to(folder)}:{number}: {line.strip()[:200]}")
            if len(found) == MOST:
                return found
    return found


thinker = Agent(
    "thinker",
    input=str,
    system="Answer the question. Think step by step, use the tools for whatever you cannot know, and say the answer at last.",
    tools=[calculate, days_between, search_files],
    turns=12,
    description="Answers questions with tools.",
)

react: Graph[str, str] = Graph(
    "react",
    START >> thinker >> END,
    model="local:qwen2.5-coder-1.5b",
    limits=Limits(depth=1, steps=60, model_calls=12, tool_calls=40, seconds=300),
    description="An agent with tools in a loop: calculates, counts days, searches files.",
)
