"""Works sums out exactly, within bounds.

Numbers are fractions for as long as they can be, so `0.1 + 0.2` is 0.3; a root or a sine makes them floats. The text is
parsed by Python and walked here; nothing of it is run. What would have more than DIGITS digits is refused before it is
worked out, so that no sum takes long.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, NoReturn

from pydantic import Field

from graphflow import Message, ToolError, tool

DIGITS = 1_000
BITS = int(DIGITS * math.log2(10))
MAX_DEPTH = 60
"""Parentheses and operators within each other."""
SHOWN_DIGITS = 17
"""Digits that are shown of a number without an end, as many as tell every float from its neighbours."""

Number = Fraction | float
Expression = Annotated[str, Field(min_length=1, max_length=1_000)]

NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
WORDS = re.compile(r"[\w\s.,+\-*/%()<>=!]*")
CONSTANTS: dict[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
Comparison = Callable[[Any, Any], bool]
COMPARISONS: dict[type[ast.cmpop], Comparison] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Answer(Message):
    """What a sum comes to. `exact` tells whether the value is all of it; if not, `fraction` is exact where there is one."""

    value: str
    exact: bool
    fraction: str = ""


@tool(timeout_s=10)
def calculate(expression: Expression) -> Answer:
    """Work out a sum, exactly where possible: + - * / // % **, comparisons, pi, e, tau, and functions.

    Functions: sqrt, exp, log(x, base), ln, log10, log2, sin, cos, tan, asin, acos, atan, degrees, radians, hypot, abs,
    round(x, digits), floor, ceil, trunc, min, max, sum, factorial, comb, gcd, lcm. Angles are in radians.

    Args:
        expression: the sum, for example (1 + 2) * 3 ** 4 / 7.
    """
    value = evaluate(expression)
    if isinstance(value, bool):
        return Answer(value=str(value).lower(), exact=True)
    return shown(value)


def evaluate(expression: str) -> Number | bool:
    """The value of a sum, a `Fraction` where it is exact.

    Raises:
        ToolError: it cannot be read or worked out; the text says where.
    """
    text = expression.strip()
    # Python's grammar has more than sums: what is not a character of one does not even get to the parser.
    known = WORDS.match(text)
    place = known.end() if known is not None else 0
    if place < len(text):
        strange = f"{text[place]!r} at character {place + 1}"
        raise ToolError(
            f"{strange} means nothing here; write ** for a power, * for times, / for by"
        )
    line = " ".join(text.split())  # a newline would end the sum
    try:
        tree = ast.parse(line, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        offset = getattr(error, "offset", None)
        where = f" near character {offset}" if offset else ""
        reason = error.args[0] if error.args else error
        raise ToolError(f"{text[:80]!r} cannot be read{where}: {reason}") from None
    return _Sum(line).value(tree.body, MAX_DEPTH)


class _Sum:
    """One text, walked."""

    def __init__(self, text: str) -> None:
        self.text = text

    def fail(self, node: ast.AST, why: str) -> NoReturn:
        piece = ast.get_source_segment(self.text, node) or ""
        place = getattr(node, "col_offset", 0) + 1
        raise ToolError(f"{piece[:80]!r} at character {place}: {why}")

    def value(self, node: ast.expr, depth: int) -> Number | bool:
        """The value of one part."""
        if depth == 0:
            self.fail(node, f"more than {MAX_DEPTH} within each other; work it out in parts")
        try:
            value = self._part(node, depth - 1)
        except ZeroDivisionError:
            self.fail(node, "division by zero")
        except OverflowError:
            self.fail(
                node,
                f"the result has more than {DIGITS} digits, or is too large for a number that is not exact",
            )
        except TypeError:
            self.fail(node, "that many numbers do not fit this function")
        except ValueError as error:
            self.fail(node, f"{error}; change the number")
        if value is None:
            constants = ", ".join(CONSTANTS)
            functions = ", ".join(FUNCTIONS)
            self.fail(node, f"means nothing here; there are numbers, {constants}, and {functions}")
        return value

    def _part(self, node: ast.expr, depth: int) -> Number | bool | None:
        """The value of one part, or None if there is nothing of its kind here."""
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name(id=name) if name in CONSTANTS:
                return CONSTANTS[name]
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.number(operand, depth)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.number(operand, depth)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
                one = self.number(left, depth)
                other = self.number(right, depth)
                work_out = OPERATIONS[type(op)]
                return self.bounded(node, work_out(one, other))
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
                numbers = [self.number(argument, depth) for argument in args]
                function = FUNCTIONS[name]
                return self.bounded(node, function(*numbers))
        return None

    def _comparison(self, node: ast.Compare, depth: int) -> bool | None:
        """`1 < x <= 3`: every pair of neighbours."""
        tests: list[Comparison] = []
        for op in node.ops:
            test = COMPARISONS.get(type(op))
            if test is None:
                return None
            tests.append(test)
        operands = (node.left, *node.comparators)
        # All of them, also behind a pair that fails: what cannot be worked out is wrong wherever it stands.
        values = [self.number(operand, depth) for operand in operands]
        for test, (one, other) in zip(tests, pairwise(values), strict=True):
            if not test(one, other):
                return False
        return True

    def number(self, node: ast.expr, depth: int) -> Number:
        """The value of a part that has to be a number."""
        value = self.value(node, depth)
        if isinstance(value, bool):  # to Python, (1 < 2) + 1 is 2
            self.fail(node, "is true or false, not a number; compare at the end only")
        return value

    def constant(self, node: ast.Constant) -> Fraction:
        """A number as it is written: `0.1` is a tenth, not the float next to it."""
        source = ast.get_source_segment(self.text, node) or ""
        written = source.replace("_", "")
        is_based = written[:2].lower() in ("0x", "0b", "0o")
        if is_based and type(node.value) is int:
            return Fraction(node.value)
        if not NUMBER.fullmatch(written):
            self.fail(node, "is not a number that can be worked with")
        mantissa, _, exponent = written.lower().partition("e")
        zeros = abs(int(exponent or 0))
        if zeros + len(mantissa) > DIGITS:
            self.fail(node, f"has more than {DIGITS} digits")
        return Fraction(written)

    def bounded(self, node: ast.AST, value: Number) -> Number:
        """A value, if it is small enough to go on with."""
        if isinstance(value, Fraction):
            if _bits(value) > BITS:
                self.fail(node, f"the result has more than {DIGITS} digits")
        elif not math.isfinite(value):
            self.fail(node, "the result is not a finite number")
        return value


def power(base: Number, exponent: Number) -> Number:
    """A power, exact for whole exponents; refused by OverflowError before it gets large."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            return _whole_power(base, exponent.numerator)
        if exponent == Fraction(1, 2):
            return root(base)
    # `math.pow` would say "math domain error".
    if base < 0 and exponent != int(exponent):
        raise ValueError("a negative number has no such root")
    return math.pow(base, exponent)


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    if abs(base) in (0, 1):
        # Only the sign of the exponent and whether it is even matter, however large it is.
        most = 2 if exponent % 2 == 0 else 1
        small = max(-most, min(most, exponent))
        return Fraction(base**small)
    least_bits = (_bits(base) - 1) * abs(exponent)  # of the power
    if least_bits > BITS:
        raise OverflowError
    return Fraction(base**exponent)


def _bits(value: Fraction) -> int:
    """The bits of a fraction's longer half."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def root(x: Number) -> Number:
    """The square root, exact where it is a fraction."""
    if x < 0:
        raise ValueError("a negative number has no square root")
    if isinstance(x, Fraction):
        above = math.isqrt(x.numerator)
        below = math.isqrt(x.denominator)
        exact = Fraction(above, below)
        if exact * exact == x:
            return exact
    return math.sqrt(x)


def whole(x: Number, most: int | None = None) -> int:
    """A number that has to be whole, and perhaps from 0 to `most`."""
    is_whole = x == int(x)
    if most is None:
        if not is_whole:
            raise ValueError("takes whole numbers")
    elif not is_whole or not 0 <= x <= most:
        raise ValueError(f"takes whole numbers from 0 to {most}")
    return int(x)


def rounded(x: Number, digits: Number = Fraction(0)) -> Number:
    """Rounded to so many digits after the point; a half goes to the even neighbour, as in Python."""
    if not -DIGITS <= digits <= DIGITS:
        raise ValueError(f"rounds to at most {DIGITS} digits")
    return Fraction(round(Fraction(x), whole(digits)))


def logarithm(x: Number, base: Number = math.e) -> Number:
    """A logarithm; of whole numbers of any size."""
    if x <= 0 or base <= 0 or base == 1:
        raise ValueError("only numbers above 0 have logarithms, and the base is not 1")
    return ln(x) / ln(base)


def ln(x: Number) -> float:
    """The natural logarithm. A fraction's is taken in two parts, which fit a float each."""
    if x <= 0:
        raise ValueError("only numbers above 0 have logarithms")
    if isinstance(x, Fraction):
        return math.log(x.numerator) - math.log(x.denominator)
    return math.log(x)


def total(*numbers: Number) -> Number:
    """The sum of some numbers."""
    return sum(numbers, Fraction(0))


# What a function cannot be exact in comes out of it as a float; what takes whole numbers stays exact.
def _plain(function: Callable[..., float]) -> Callable[..., Number]:
    def of_floats(*numbers: Number) -> Number:
        return function(*map(float, numbers))

    return of_floats


def _whole(function: Callable[..., int], most: int | None = None) -> Callable[..., Number]:
    def of_whole(*numbers: Number) -> Number:
        given = [whole(number, most) for number in numbers]
        return Fraction(function(*given))

    return of_whole


def _of_math(names: str) -> dict[str, Callable[..., Number]]:
    """Functions of Python's `math`, by their names there."""
    return {name: _plain(getattr(math, name)) for name in names.split()}


OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
    ast.Pow: power,
}
FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": root,
    "log": logarithm,
    "ln": ln,
    "log10": lambda x: logarithm(x, Fraction(10)),
    "log2": lambda x: logarithm(x, Fraction(2)),
    **_of_math("exp sin cos tan asin acos atan degrees radians hypot"),
    "abs": abs,
    "round": rounded,
    "floor": lambda x: Fraction(math.floor(x)),
    "ceil": lambda x: Fraction(math.ceil(x)),
    "trunc": lambda x: Fraction(math.trunc(x)),
    "min": lambda *numbers: min(numbers),
    "max": lambda *numbers: max(numbers),
    "sum": total,
    "factorial": _whole(math.factorial, 450),
    "comb": _whole(math.comb, 3_000),
    "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
}


def shown(value: Number) -> Answer:
    """A number in digits: all of them if they end, else as many as a float has."""
    if isinstance(value, float):
        return Answer(value=repr(value).removesuffix(".0"), exact=False)
    if value.denominator == 1:
        return Answer(value=str(value.numerator), exact=True)
    places = _places(value.denominator)
    if places is not None:
        scaled = abs(value.numerator) * 10**places // value.denominator
        digits = str(scaled).rjust(places + 1, "0")
        sign = "-" if value < 0 else ""
        whole_part = digits[:-places]
        rest = digits[-places:]
        return Answer(value=f"{sign}{whole_part}.{rest}", exact=True)
    return Answer(value=_near(value), exact=False, fraction=str(value))


def _places(denominator: int) -> int | None:
    """Digits after the point of 1/denominator, or None if they never end."""
    # They end if it has no other factors than 2 and 5: 1/40 = 0.025, 1/30 = 0.0333...
    twos = (denominator & -denominator).bit_length() - 1
    rest = denominator >> twos
    fives = 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    if rest != 1:
        return None
    return max(twos, fives)


def _near(value: Fraction) -> str:
    from decimal import Context, Decimal

    context = Context(prec=SHOWN_DIGITS, Emax=10**6, Emin=-(10**6))
    quotient = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return str(quotient)
