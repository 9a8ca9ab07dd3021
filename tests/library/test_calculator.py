"""Sums: exact, in bounds, and told where they go wrong."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import ToolError
from nodes.tools.calculator import DIGITS, calculate, evaluate, shown
from tests.effort import soon
from tests.library.using import asked, refusal, use


def told(expression: str) -> str:
    return str(use(calculate, expression=expression).value)


def test_a_model_is_told_three_tenths() -> None:
    ok, text = asked(calculate, "calculate", expression="0.1 + 0.2")
    assert ok
    assert json.loads(text) == {"value": "0.3", "exact": True, "fraction": ""}
    ok, text = asked(calculate, "calculate", expression="1 / (2 - 2)")
    assert (ok, text) == (False, "ToolError: '1 / (2 - 2)' at character 1: division by zero")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("2 ** 10", "1024"),
        ("2 ** -2", "0.25"),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("1_000 * 0x10", "16000"),
        ("10 / 4", "2.5"),
        ("-1 / 8", "-0.125"),
        ("1 / 3", "0.33333333333333333"),
        ("1e3", "1000"),
        ("007", "007"),
        ("sqrt(16/9) * 3", "4"),
        ("4 ** 0.5", "2"),
        ("sqrt(2)", "1.4142135623730951"),
        ("sin(pi / 2)", "1"),
        ("round(2.675, 2)", "2.68"),
        ("round(2.5)", "2"),
        ("floor(-1.5) + ceil(1.2) + trunc(-1.9)", "-1"),
        ("min(3, 1, 2) + max(3, 1, 2) + sum(1, 2)", "7"),
        ("factorial(20)", "2432902008176640000"),
        ("comb(49, 6)", "13983816"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("log(8, 2)", "3"),
        ("1 < 2 <= 2 != 3", "true"),
        ("0.1 + 0.2 == 0.3", "true"),
        ("1 ** 999999999999", "1"),
        ("(-1) ** 999999999999", "-1"),
        ("0 ** 0", "1"),
        ("1\n+\n1", "2"),
    ],
)
def test_sums(expression: str, value: str) -> None:
    if expression == "007":
        assert "cannot be read" in refusal(calculate, expression=expression)
    else:
        assert told(expression) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("2 ^ 3", "'^' at character 3"),
        ("2 +", "cannot be read"),
        ("", "at least 1"),
        ("   ", "cannot be read"),
        ("foo(1)", "'foo(1)' at character 1: means nothing"),
        ("1 + x", "'x' at character 5"),
        ("__import__('os')", "means nothing"),
        ("(1).real", "means nothing"),
        ("1j", "is not a number"),
        ("1 if 2 else 3", "means nothing"),
        ("True", "not a number"),
        ("(1 < 2) + 1", "true or false"),
        ("sqrt(-1)", "negative"),
        ("(-8) ** 0.5", "negative"),
        ("(-8) ** 0.3", "no such root"),
        ("log(0)", "above 0"),
        ("asin(2)", "math domain error"),
        ("factorial(1.5)", "whole numbers"),
        ("factorial(10 ** 9)", "from 0 to 450"),
        ("round(1, 2, 3)", "that many"),
        ("sqrt()", "that many"),
        ("0 ** -1", "division by zero"),
        ("x" * 1001, "at most 1000"),
        ("2\0", "means nothing"),
        ("exp(1000)", "too large"),
    ],
)
def test_what_cannot_be_worked_out_says_where_and_why(expression: str, why: str) -> None:
    assert why in refusal(calculate, expression=expression)


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "9 ** 9 ** 9 ** 9",
        "2 ** 99999999",
        "0.5 ** 99999999",
        "(1 / 3) ** 9999999",
        "1e9999",
        "1e-9999",
        "1e99999999999",
        "9" * 999,
        "*".join(["99999999999"] * 83),
        "(" * 500 + "1" + ")" * 500,
        "-" * 999 + "1",
        "1" + "+1" * 499,
        "2" + "**2" * 300,
        "comb(3000, 1500)",
        "lcm(" + ",".join(str(10**9 + n) for n in range(80)) + ")",
        "1.5 % 1e-999",
        "1e999 // 1e-999 * 1e999",
        "round(pi, -999)",
        "10 ** 308 * pi * 10",
        "factorial(450) * factorial(450)",
    ],
)
def test_no_sum_takes_long_or_gets_large(expression: str) -> None:
    with soon(), suppress(ToolError):
        assert len(told(expression)) <= 2 * DIGITS + 10


def test_more_digits_than_allowed_are_refused() -> None:
    assert "more than 1000 digits" in refusal(calculate, expression="10 ** 1001")
    assert told("10 ** 900") == "1" + "0" * 900


numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.decimals(0, 1000, places=3, allow_nan=False).map(lambda d: format(d, "f")),
)
sums = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(
        lambda t: f"({t[0]} {t[1]} {t[2]})"
    ),
    max_leaves=12,
)


def fraction_of(expression: str) -> Fraction:
    """The oracle: a parser of its own for sums in parentheses."""
    if not expression.startswith("("):
        return Fraction(expression)
    depth = 0
    for place, char in enumerate(expression):
        depth += (char == "(") - (char == ")")
        if depth == 1 and char in "+-*/" and expression[place - 1] == " ":
            one, other = (
                fraction_of(expression[1 : place - 1]),
                fraction_of(expression[place + 2 : -1]),
            )
            return (
                {"+": one + other, "-": one - other, "*": one * other}[char]
                if char != "/"
                else one / other
            )
    raise AssertionError(expression)


@settings(max_examples=200, deadline=None)
@given(sums)
def test_sums_agree_with_fractions(expression: str) -> None:
    if len(expression) > 1000:
        return
    try:
        wanted = fraction_of(expression)
    except ZeroDivisionError:
        with pytest.raises(ToolError, match="division by zero"):
            evaluate(expression)
        return
    assert evaluate(expression) == wanted
    answer = shown(wanted)
    if answer.exact:
        assert Fraction(answer.value) == wanted
    else:
        assert Fraction(answer.fraction) == wanted
        assert math.isclose(float(answer.value), float(wanted), rel_tol=1e-15)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.e+-*/%() ,<=abcsqrtlogfin_x\n", min_size=1, max_size=60))
def test_any_text_is_an_answer_or_an_error_that_says_something(text: str) -> None:
    try:
        assert use(calculate, expression=text).value
    except ToolError as error:
        assert str(error)
