"""Claims in a file: one text each, as they are written in code, of which nothing is ever evaluated.

claims:
  - Before(approve, refund)
  - Never(mail, after='critic[Rejected]')
  - AtMost('orders > charge', 1, per=fork)
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from graphflow.declaration.claims import (
    Apart,
    AtLeast,
    AtMost,
    Before,
    Claim,
    Exactly,
    Never,
    Only,
)
from graphflow.errors import DeclarationError
from graphflow.files.expressions import read_expression
from graphflow.proofs.arms import nearest

ClaimValue: TypeAlias = str | int | list[str]
KINDS: Mapping[str, type[Claim]] = {
    kind.__name__: kind for kind in (Apart, AtLeast, AtMost, Before, Exactly, Never, Only)
}


def read_claim(text: str) -> Claim:
    """The claim that a text is.

    Raises:
        DeclarationError: it is none; the text says what to write.
    """
    tree = read_expression(text)
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise DeclarationError(f"{text!r} is not a claim; write one as in Before(approve, refund)")
    kind = KINDS.get(tree.func.id)
    if kind is None:
        listed = ", ".join(KINDS)
        near = nearest(tree.func.id, KINDS)
        raise DeclarationError(f"there is no claim {tree.func.id!r}; there are {listed}{near}")
    given = [_value(part, text) for part in tree.args]
    options: dict[str, ClaimValue] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise DeclarationError(f"{text!r}: ** means nothing here")
        options[keyword.arg] = _value(keyword.value, text)
    return kind(*given, **options)


def read_claims_of(texts: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of a graph's file."""
    return tuple([read_claim(text) for text in texts])


def _value(part: ast.expr, text: str) -> ClaimValue:
    if isinstance(part, ast.Constant) and isinstance(part.value, str | int):
        return part.value
    if isinstance(part, ast.Name | ast.Subscript):
        return ast.unparse(part)
    if isinstance(part, ast.List | ast.Tuple):
        return [str(_value(each, text)) for each in part.elts]
    raise DeclarationError(
        f"{text!r}: {ast.unparse(part)} is not the name of a node; write other names in quotes"
    )
