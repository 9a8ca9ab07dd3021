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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from functools import wraps
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from jinja2 import StrictUndefined, TemplateRuntimeError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from graphflow.messages.fences import UntrustedText, fenced_text

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.runtime import Context

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
_budget: ContextVar[RenderBudget | None] = ContextVar(
    "what the text being written may still use", default=None
)


FilterFunction: TypeAlias = Callable[..., Any]
ArgumentList: TypeAlias = list[Any]
"""What a method or filter is given beside what it works on, keywords last."""


class TooMuch(TemplateRuntimeError):
    """The template would take too long, or write too much."""


class RenderBudget:
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


def size_of(value: object) -> int:
    """About as many characters as a value has when it is written; counts no further than is allowed."""
    size = 0
    todo = [value]
    while todo:
        part = todo.pop()
        size += len(part) if isinstance(part, (str, bytes)) else 1
        if size > SIZE:
            _too_large()
        if isinstance(part, Mapping):
            todo += part.keys()
            todo += part.values()
        elif isinstance(part, (list, tuple, set, frozenset)):
            todo += part
    return size


# -- while a template is compiled ------------------------------------------------------------------
class _Counted(NodeTransformer):
    """Puts a count into every body that may be run again and again, and measures `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self._body(node)
        # It is asked for every item, whether the body is run for it or not.
        if node.test is not None:
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
        line = node.lineno
        parts = nodes.List(node.nodes, lineno=line)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=line)

    def _body(self, node: Any) -> nodes.Node:
        """Counts what a body writes by itself, whatever is put into it."""
        written = 0  # text and constants of the body: they come again with each round
        for text in node.find_all(nodes.TemplateData):
            written += len(text.data)
        for constant in node.find_all(nodes.Const):
            value = constant.value
            if isinstance(value, str):
                written += len(value)
        self.generic_visit(node)
        count = _count(written)
        statement = nodes.ExprStmt(count, lineno=node.lineno)
        node.body = [statement, *node.body]
        return node  # type: ignore[no-any-return]  # it is the node that was given


def _count(written: int) -> nodes.Filter:
    characters = nodes.Const(written)
    return nodes.Filter(characters, "_counted", [], [], None, None)


@pass_context  # else it would be worked out once, when the template is compiled
def _counted(context: Context, written: int) -> bool:
    budget = _budget.get()
    if budget is not None:
        budget.step()
        budget.write(written)
    return True


@pass_context
def _joined(context: Context, parts: list[object]) -> str:
    size = 0
    for part in parts:
        size += size_of(part)
    check_size(size)
    return "".join(map(str, parts))


def _finalized(value: object) -> object:
    """What `{{ }}` writes."""
    text = value if type(value) is str else _written(value)
    if type(value) is UntrustedText:
        text = fenced_text(text)
    budget = _budget.get()
    if budget is not None:
        budget.write(len(text))
    return text


def _written(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset, Mapping)):
        size_of(value)
    return str(value)


def _fenced(value: object) -> str:
    """The filter that puts whatever is written between fences: `{{ page.text | fenced }}`."""
    return fenced_text(_written(value))


# -- what makes much of little ---------------------------------------------------------------------
class Bounded(ImmutableSandboxedEnvironment):
    """jinja2's sandbox, with bounds."""

    intercepted_binops = frozenset(["*", "**", "%", "+"])

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, finalize=_finalized)
        self.globals.clear()  # `lipsum`, `cycler` and their kin make much of little
        self.globals["range"] = _range
        for name, function in FILTERS.items():
            self.filters[name] = _bounded(name, function)
        self.filters |= {"_counted": _counted, "_joined": _joined, "fenced": _fenced}

    def made(self, source: str) -> Template:
        """A template, with its bounds in it."""
        tree = self.parse(source)
        counted: nodes.Template = _Counted().visit(tree)
        return self.from_string(counted)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Works out `*`, `**`, `%` and `+`, if it does not make too much."""
        if operator == "*":
            _check_product(left, right)
            _check_product(right, left)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_percent(left, right)
        elif operator == "+" and isinstance(left, _LISTS) and isinstance(right, _LISTS):
            check_size(len(left) + len(right))
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # as in jinja2
        """Calls a macro, a method of a text, or what a template was given."""
        _step()
        # jinja2 wraps `str.format` to keep it in the sandbox.
        method = getattr(__obj, "__wrapped__", __obj)
        owner = getattr(method, "__self__", None)
        if isinstance(owner, (str, bytes, int)):
            name = getattr(method, "__name__", "")
            _check_method(owner, name, [*args, *kwargs.values()])
        return super().call(__context, __obj, *args, **kwargs)


_LISTS = (str, list, tuple)


def _range(*numbers: int) -> range:
    found = range(*numbers)
    if not found:
        return found
    # Not len(found), which fails beyond sys.maxsize.
    distance = found[-1] - found[0]
    steps = distance // found.step
    if steps >= ITEMS:
        raise TooMuch(f"a range has more than {ITEMS} numbers; loop over less")
    return found


def _check_product(left: object, right: object) -> None:
    """Refuses a text, list or number that is made too large by multiplying it."""
    if not isinstance(right, int):
        return
    if isinstance(left, (str, bytes)):
        check_size(len(left) * right)
    elif isinstance(left, (list, tuple)):
        items = len(left) * right
        if items > ITEMS:
            raise TooMuch(f"a list would have more than {ITEMS} items; make a shorter one")
    elif isinstance(left, int):
        bits = left.bit_length() + right.bit_length()
        if bits > BITS:
            raise _too_many_digits()


def _check_power(base: object, exponent: object) -> None:
    if not isinstance(base, int) or not isinstance(exponent, int):
        return
    if abs(base) < 2:  # 1 ** n is 1
        return
    bits = base.bit_length() * abs(exponent)  # of the power, about
    if bits > BITS:
        raise _too_many_digits()


def _too_many_digits() -> TooMuch:
    return TooMuch("a number would have thousands of digits; work with a smaller one")


def _check_percent(template: str, given: object) -> None:
    if _WIDE.search(template) or "*" in template:
        raise _too_wide(template)
    fields = template.count("%")
    filled = fields * size_of(given)
    check_size(len(template) + filled)


def _check_format(template: str, given: ArgumentList) -> None:
    if _FIELD.search(template):
        raise _too_wide(template)
    fields = template.count("{")
    filled = fields * size_of(given)
    check_size(len(template) + filled)


def _too_wide(template: str) -> TooMuch:
    beginning = template[:40]
    return TooMuch(
        f"{beginning!r} asks for a width of thousands, or one that is only told later; write a smaller one"
    )


def _check_method(owner: object, name: str, given: ArgumentList) -> None:
    """Refuses a method of a text or number whose result would be too large."""
    check = _METHODS.get(name)
    if check is not None:
        check(owner, given)


def _check_tabs(text: Any, given: ArgumentList) -> None:
    widths = [abs(number) for number in given if isinstance(number, int)]
    width = max(widths, default=8)
    spaces = text.count("\t") * width
    check_size(len(text) + spaces)


def _check_translation(text: Any, given: ArgumentList) -> None:
    table = given[0] if given else None
    if not isinstance(table, Mapping):
        return
    longest = 1
    for replacement in table.values():
        if isinstance(replacement, str):
            length = len(replacement)
            longest = max(longest, length)
    check_size(len(text) * longest)


def _check_codec(text: Any, given: ArgumentList) -> None:
    if len(text) <= LONGEST_NAME:
        return
    for name in given:
        if isinstance(name, str) and name.strip().lower() in _NAMES_OF_HOSTS:
            raise TooMuch(
                f"{name!r} is for names, not for texts of thousands of characters; use utf-8"
            )


def _check_numbers(given: Iterable[object]) -> None:
    for number in given:
        if isinstance(number, int):
            check_size(abs(number))


def _check_replace(text: object, given: ArgumentList) -> None:
    if len(given) < 2 or not isinstance(text, (str, bytes)):
        return
    old, new = given[:2]
    if isinstance(old, type(text)):
        count = text.count(old)  # type: ignore[arg-type]  # of one type
        added = count * size_of(new)
        check_size(len(text) + added)


def _check_join(between: object, items: object) -> None:
    count = len(items) if isinstance(items, Sized) else ITEMS
    added = count * size_of(between)
    check_size(size_of(items) + added)


def _check_joined(between: object, given: ArgumentList) -> None:
    """The method `between.join(items)`; the filter is `items | join(between)`."""
    items = given[0] if given else ""
    _check_join(between, items)


CostCheck: TypeAlias = Callable[[Any, ArgumentList], None]
"""Looks at what a method or filter works on, and at what else it is given."""

_METHODS: dict[str, CostCheck] = {
    **dict.fromkeys(
        ("center", "ljust", "rjust", "zfill", "to_bytes"),
        lambda owner, given: _check_numbers(given),
    ),
    **dict.fromkeys(("format", "format_map"), _check_format),
    **dict.fromkeys(("encode", "decode"), _check_codec),
    "expandtabs": _check_tabs,
    "replace": _check_replace,
    "join": _check_joined,
    "translate": _check_translation,
}


def _bounded(name: str, function: FilterFunction) -> FilterFunction:
    """A filter that counts as a step, is measured before it runs, and whose items count when they are taken."""
    takes_context = getattr(function, "jinja_pass_arg", None) is not None
    place = 1 if takes_context else 0
    check = _FILTERS.get(name)

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        _step()
        if check is not None and len(args) > place:
            others = [*args[place + 1 :], *kwargs.values()]
            check(args[place], others)
        result = function(*args, **kwargs)
        return _each_counts(result) if isinstance(result, Iterator) else result

    return bounded


def _each_counts(items: Iterator[object]) -> Iterator[object]:
    for item in items:
        _step()
        yield item


def _check_text(value: object, given: ArgumentList) -> None:
    size_of(value)
    _check_numbers(given)


def _check_wrapped(value: object, given: ArgumentList) -> None:
    if len(str(value)) > LONGEST_WRAPPED:
        raise TooMuch(
            f"a text of more than {LONGEST_WRAPPED} characters takes too long to be wrapped; wrap parts of it"
        )
    _check_text(value, given)


def _check_indent(value: object, given: ArgumentList) -> None:
    size = size_of(value)  # before it is written: it may be far too large for that
    lines = str(value).count("\n")
    spaces = lines * _widest(given, 4)
    check_size(size + spaces)


def _widest(given: ArgumentList, default: int) -> int:
    """The widest indent among these: a number of spaces, or a text."""
    widths: list[int] = []
    for indent in given:
        if isinstance(indent, int):
            widths.append(abs(indent))
        elif isinstance(indent, str):
            widths.append(len(indent))
    return max(widths, default=default)


def _check_json(value: object, given: ArgumentList) -> None:
    """Every item stands in a line of its own where an indent is given, as many times indented as it is deep."""
    indents: list[int | str] = []
    for each in given:
        if isinstance(each, int):
            indents.append(each)
        elif each is not None:
            indents.append(str(each))
    width = _widest(indents, 0)
    size = 0
    todo: list[tuple[object, int]] = [(value, 0)]
    while todo:
        part, depth = todo.pop()
        size += depth * width
        size += len(part) if isinstance(part, str) else 1
        check_size(size)
        deeper = depth + 1
        for inner in _items_of(part):
            todo.append((inner, deeper))


def _items_of(value: object) -> Iterable[object]:
    """What stands in a list or mapping, keys too; of anything else nothing."""
    if isinstance(value, Mapping):
        return chain(value.keys(), value.values())
    if isinstance(value, (list, tuple)):
        return value
    return ()


def _check_sum(value: object, given: ArgumentList) -> None:
    if any(isinstance(start, (list, tuple)) for start in given):
        raise TooMuch(
            "lists cannot be summed up here, as that takes quadratic time; loop over them"
        )


def _check_count(value: object, given: ArgumentList) -> None:
    for number in given:
        if isinstance(number, int) and abs(number) > ITEMS:
            raise TooMuch(f"more than {ITEMS} items, or digits; ask for fewer")


_FILTERS: dict[str, CostCheck] = {
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


def render(template: Template, names: Mapping[str, object]) -> str:
    """The text of a template.

    Raises:
        TooMuch: it takes too long, or writes too much.
    """
    token = _budget.set(RenderBudget())
    try:
        return template.render(names)
    finally:
        _budget.reset(token)
