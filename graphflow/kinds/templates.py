"""jinja2 with bounds: a template takes so many steps, writes so much, and is over within seconds.

Rules:
1. Every round of a loop and every call is a step, and what it writes is counted where it is written.
2. Whatever makes much of little in one go (`'x' * n`, `center`, `replace`, `join`, `%`, `**`) is measured before it is
   done: Python cannot be stopped in the middle of it.
3. Between two steps the clock is looked at. As no single step takes long by rule 2, this bounds all the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import StrictUndefined, TemplateRuntimeError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from jinja2 import Template

STEPS = 1_000_000
"""Rounds of loops and calls of one text."""
SIZE = 10_000_000
"""Characters of one text, and of any text on the way to it."""
SECONDS = 5.0
"""How long one text may take."""
ITEMS = 100_000
"""Items of a range, or of a list that is multiplied."""
BITS = 14_000
"""Bits of an integer that a power or a product may have: some 4,200 digits, which Python still writes."""

_WIDE = re.compile(r"\d{5,}")
_FIELD = re.compile(r"\{[^{}]*:[^{}]*(\{|\d{5,})")
_NAMES_OF_HOSTS = frozenset(["idna", "punycode"])
"""Codecs for names of a few dozen characters, which take quadratic time."""
LONGEST_WRAPPED = 500_000
"""Characters of a text that is wrapped, which takes quadratic time if it has no spaces."""
LONGEST_NAME = 1_000
"""Characters that such a codec may be given."""
_budget: ContextVar[Budget | None] = ContextVar("what the text being written may still use", default=None)


class TooMuch(TemplateRuntimeError):
    """The template would take too long, or write too much."""


class Budget:
    """What one text may still use."""

    __slots__ = ("end", "size", "steps")

    def __init__(self) -> None:
        self.steps = STEPS
        self.size = SIZE
        self.end = time.monotonic() + SECONDS

    def step(self, steps: int = 1) -> None:
        """Counts a round of a loop, or a call."""
        self.steps -= steps
        if self.steps < 0:
            raise TooMuch(f"it takes more than {STEPS} steps; loop over less")
        if time.monotonic() > self.end:
            raise TooMuch(f"it takes longer than {SECONDS:g} s; loop over less")

    def write(self, characters: int) -> None:
        """Counts what is written."""
        self.size -= characters
        if self.size < 0:
            _too_large()


def _too_large() -> NoReturn:
    raise TooMuch(f"it writes more than {SIZE} characters; write less")


def _step(steps: int = 1) -> None:
    budget = _budget.get()
    if budget is not None:
        budget.step(steps)


def check_size(size: int) -> None:
    """Refuses a text or list that would be larger than the whole result may be."""
    if size > SIZE:
        _too_large()


def size_of(value: Any) -> int:
    """About as many characters as a value has when it is written; counts no further than is allowed."""
    size, todo = 0, [value]
    while todo:
        part = todo.pop()
        size += len(part) if isinstance(part, (str, bytes)) else 1
        if size > SIZE:
            _too_large()
        if isinstance(part, Mapping):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            todo += part
    return size


# -- while a template is compiled ------------------------------------------------------------------------------------------
class _Counted(NodeTransformer):
    """Puts a count into every body that may be run again and again, and measures `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self._body(node)
        if node.test is not None:  # it is asked for every item, whether the body is run for it or not
            node.test = nodes.And(_count(0), node.test, lineno=node.lineno)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._body(node)

    def visit_Block(self, node: nodes.Block) -> nodes.Node:
        return self._body(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=node.lineno)

    def _body(self, node: Any) -> nodes.Node:
        written = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        written += sum(len(text.value) for text in node.find_all(nodes.Const) if isinstance(text.value, str))
        self.generic_visit(node)
        node.body = [nodes.ExprStmt(_count(written), lineno=node.lineno), *node.body]
        return node  # type: ignore[no-any-return]  # it is the node that was given


def _count(written: int) -> nodes.Filter:
    return nodes.Filter(nodes.Const(written), "_counted", [], [], None, None)


@pass_context  # else it would be worked out once, when the template is compiled
def _counted(context: Any, written: int) -> bool:
    budget = _budget.get()
    if budget is not None:
        budget.step()
        budget.write(written)
    return True


@pass_context
def _joined(context: Any, parts: list[Any]) -> str:
    check_size(sum(size_of(part) for part in parts))
    return "".join(map(str, parts))


def _finalized(value: Any) -> Any:
    """What `{{ }}` writes."""
    text = value if type(value) is str else _written(value)
    budget = _budget.get()
    if budget is not None:
        budget.write(len(text))
    return text


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        size_of(value)
    return str(value)


# -- what makes much of little ---------------------------------------------------------------------------------------------
class Bounded(ImmutableSandboxedEnvironment):
    """jinja2's sandbox, with bounds."""

    intercepted_binops = frozenset(["*", "**", "%", "+"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=_finalized)
        self.globals.clear()
        self.globals["range"] = _range
        self.filters.update({name: _bounded(name, function) for name, function in FILTERS.items()})
        self.filters.update({"_counted": _counted, "_joined": _joined})

    def made(self, source: str) -> Template:
        """A template, with its bounds in it."""
        tree: nodes.Template = _Counted().visit(self.parse(source))
        return self.from_string(tree)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Works out `*`, `**`, `%` and `+`, if it does not make too much."""
        if operator == "*":
            _check_product(left, right)
            _check_product(right, left)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_percent(left, right)
        elif operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
            check_size(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # as in jinja2
        """Calls a macro, a method of a text, or what a template was given."""
        _step()
        method = getattr(__obj, "__wrapped__", __obj)
        owner = getattr(method, "__self__", None)
        if isinstance(owner, (str, bytes, int)):
            _check_method(owner, getattr(method, "__name__", ""), [*args, *kwargs.values()])
        return super().call(__context, __obj, *args, **kwargs)


def _range(*numbers: int) -> range:
    found = range(*numbers)
    if found and abs((found[-1] - found[0]) // found.step) >= ITEMS:
        raise TooMuch(f"a range has more than {ITEMS} numbers; loop over less")
    return found


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, (str, bytes)) and isinstance(right, int):
        check_size(len(left) * right)
    elif isinstance(left, (list, tuple)) and isinstance(right, int):
        if len(left) * right > ITEMS:
            raise TooMuch(f"a list would have more than {ITEMS} items; make a shorter one")
    elif isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > BITS:
        raise TooMuch("a number would have thousands of digits; work with a smaller one")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > BITS and abs(left) > 1:
        raise TooMuch("a number would have thousands of digits; work with a smaller one")


def _check_percent(template: str, given: Any) -> None:
    if _WIDE.search(template) or "*" in template:
        raise TooMuch(
            f"{template[:40]!r} asks for a width of thousands, or one that is only told later; write a smaller one"
        )
    check_size(len(template) + template.count("%") * size_of(given))


def _check_format(template: str, given: list[Any]) -> None:
    if _FIELD.search(template):
        raise TooMuch(
            f"{template[:40]!r} asks for a width of thousands, or one that is only told later; write a smaller one"
        )
    check_size(len(template) + template.count("{") * size_of(given))


def _check_method(owner: Any, name: str, given: list[Any]) -> None:
    """Refuses a method of a text or number whose result would be too large."""
    if name in ("center", "ljust", "rjust", "zfill", "to_bytes"):
        _check_numbers(given)
    elif name == "expandtabs":
        check_size(len(owner) + owner.count("\t") * max((abs(n) for n in given if isinstance(n, int)), default=8))
    elif name == "replace":
        _check_replace(owner, given)
    elif name == "join":
        _check_join(owner, given[0] if given else "")
    elif name in ("format", "format_map"):
        _check_format(owner, given)
    elif name in ("encode", "decode") and len(owner) > LONGEST_NAME:
        _check_codec(given)
    elif name == "translate" and given and isinstance(given[0], Mapping):
        longest = max((len(each) for each in given[0].values() if isinstance(each, str)), default=1)
        check_size(len(owner) * max(1, longest))


def _check_codec(given: Iterable[Any]) -> None:
    for name in given:
        if isinstance(name, str) and name.strip().lower() in _NAMES_OF_HOSTS:
            raise TooMuch(f"{name!r} is for names, not for texts of thousands of characters; use utf-8")


def _check_numbers(given: Iterable[Any]) -> None:
    for number in given:
        if isinstance(number, int):
            check_size(abs(number))


def _check_replace(text: Any, given: list[Any]) -> None:
    if len(given) >= 2 and isinstance(text, (str, bytes)) and isinstance(given[0], type(text)):
        check_size(len(text) + text.count(given[0]) * size_of(given[1]))  # type: ignore[arg-type]  # of one type


def _check_join(between: Any, items: Any) -> None:
    check_size(size_of(items) + (len(items) if hasattr(items, "__len__") else ITEMS) * size_of(between))


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts as a step, is measured before it runs, and whose items count when they are taken."""
    passes = getattr(function, "jinja_pass_arg", None)
    place = 0 if passes is None else 1

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _step()
        check = _CHECKS.get(name)
        if check is not None and len(args) > place:
            check(args[place], [*args[place + 1 :], *kwargs.values()])
        result = function(*args, **kwargs)
        return _each_counts(result) if isinstance(result, Iterator) else result

    return bounded


def _each_counts(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        _step()
        yield item


def _check_text(value: Any, given: list[Any]) -> None:
    size_of(value)
    _check_numbers(given)


def _check_wrapped(value: Any, given: list[Any]) -> None:
    if len(str(value)) > LONGEST_WRAPPED:
        raise TooMuch(
            f"a text of more than {LONGEST_WRAPPED} characters takes too long to be wrapped; wrap parts of it"
        )
    _check_text(value, given)


def _check_indent(value: Any, given: list[Any]) -> None:
    width = max(
        (abs(each) if isinstance(each, int) else len(each) for each in given if isinstance(each, (int, str))), default=4
    )
    check_size(size_of(value) + str(value).count("\n") * width)


def _check_json(value: Any, given: list[Any]) -> None:
    """Every item stands in a line of its own where an indent is given, as many times indented as it is deep."""
    width = max(
        (abs(each) if isinstance(each, int) else len(str(each)) for each in given if each is not None), default=0
    )
    size, todo = 0, [(value, 0)]
    while todo:
        part, depth = todo.pop()
        size += depth * width + (len(part) if isinstance(part, str) else 1)
        check_size(size)
        if isinstance(part, Mapping):
            todo += [(each, depth + 1) for pair in part.items() for each in pair]
        elif isinstance(part, (list, tuple)):
            todo += [(each, depth + 1) for each in part]


def _check_sum(value: Any, given: list[Any]) -> None:
    if any(isinstance(start, (list, tuple)) for start in given):
        raise TooMuch("lists cannot be summed up here, as that takes quadratic time; loop over them")


def _check_count(value: Any, given: list[Any]) -> None:
    if any(isinstance(number, int) and abs(number) > ITEMS for number in given):
        raise TooMuch(f"more than {ITEMS} items, or digits; ask for fewer")


_CHECKS: dict[str, Callable[[Any, list[Any]], None]] = {
    **dict.fromkeys(("center", "string", "pprint", "urlize", "xmlattr"), _check_text),
    **dict.fromkeys(("batch", "slice", "round"), _check_count),
    "wordwrap": _check_wrapped,
    "indent": _check_indent,
    "tojson": _check_json,
    "sum": _check_sum,
    "join": lambda value, given: _check_join(given[0] if given else "", value),
    "replace": lambda value, given: _check_replace(str(value), list(map(str, given[:2]))),
    "format": lambda value, given: _check_percent(str(value), given),
}


def render(template: Template, names: Mapping[str, Any]) -> str:
    """The text of a template.

    Raises:
        TooMuch: it takes too long, or writes too much.
    """
    token = _budget.set(Budget())
    try:
        return template.render(names)
    finally:
        _budget.reset(token)
