"""YAML without surprises: from a regular file, as version 1.2, with a bound on what it may cost.

Rules:
1. Only a regular file is read, and only so much of it: a pipe or `/dev/zero` would never end.
2. The core types of YAML 1.2 and no others: `no` is a word, `1:30` is a text, `010` is ten; there are no custom tags.
3. No key twice. Aliases (`*name`) may not make a large value of a small file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from graphflow.errors import FileUnreadable
from graphflow.regular import read_regular

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of a file that are read: a graph of ten thousand nodes takes a quarter of it."""
MAX_COPIES = 20_000
"""Values that aliases may add to those that are written."""
MAX_DIGITS = 4_300
"""Digits of a whole number; Python itself reads no more."""
MAX_BEGINNING = 40
"""Characters of a wrong value that an error shows."""
_BASES = {"0o": 8, "0x": 16}
"""By how a whole number begins."""


def read_text(path: str | Path, max_bytes: int = MAX_BYTES) -> str:
    """The text of a regular file of reasonable size.

    Raises:
        FileUnreadable: it is missing, is something else, is too large, or is not UTF-8.
    """
    return read_regular(path, max_bytes)


class Marks:
    """Where things stand in a file."""

    def __init__(self, root: yaml.Node | None = None) -> None:
        self.root = root

    def line(self, path: Sequence[object]) -> int | None:
        """The line of what these keys and positions lead to, or of the last step of them that exists."""
        node = self.root
        if node is None:
            return None
        line = node.start_mark.line
        for step in path:
            found = _entry(node, step)
            if found is None:
                break
            line, node = found
        return int(line) + 1


def _entry(node: yaml.Node, step: object) -> tuple[int, yaml.Node] | None:
    """The line of one entry of a mapping or list, and its value."""
    if isinstance(node, yaml.SequenceNode):
        if not isinstance(step, int) or step >= len(node.value):
            return None
        item = node.value[step]
        return item.start_mark.line, item
    if isinstance(node, yaml.MappingNode):
        name = str(step)
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return key.start_mark.line, value
    return None


def parse(text: str, where: str) -> tuple[Any, Marks]:
    """The plain data of a YAML text, and where each part of it stands.

    Raises:
        FileUnreadable: it is not YAML, or its aliases stand for too much.
    """
    try:
        loader = Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None, Marks()
            _check_size(root)
            declared = loader.construct_document(root)
            return declared, Marks(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise FileUnreadable(f"{where}:{line} is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise FileUnreadable(f"{where} is not YAML: {reason}") from None
    except RecursionError:  # of PyYAML, which walks by recursion
        raise FileUnreadable(
            f"{where} does not hold a graph: its lists and mappings are nested too deep"
        ) from None


def _check_size(root: yaml.Node) -> None:
    """Refuses aliases that lead back to themselves, or that multiply.

    Ten lines of which each names the one before ten times stand for ten thousand million values. They share memory, but
    nobody could walk through them:

        a: &a [x, x, x]
        b: &b [*a, *a, *a]
        c: [*b, *b, *b]         27 values of c, written as 3

    So the values are counted as if each alias were written out.
    """
    sizes = _sizes(root)
    size = sizes[id(root)]
    if size > len(sizes) + MAX_COPIES:
        _refuse(root, f"its aliases stand for {size:,} values; write it without them")


def _sizes(root: yaml.Node) -> dict[int, int]:
    """The values that each node stands for, by its id: a node that is shared has one id, and counts wherever it is named.

    Depth first with a stack of our own: a file may be nested deeper than Python's calls.
    """
    sizes: dict[int, int] = {}
    above: set[int] = set()  # the ids of the nodes around the one that is counted
    stack = [root]
    while stack:
        node = stack[-1]
        key = id(node)
        if key in sizes:
            stack.pop()
            continue
        children = _children(node)
        uncounted = [child for child in children if id(child) not in sizes]
        if not uncounted:
            below = [sizes[id(child)] for child in children]
            sizes[key] = 1 + sum(below)
            above.discard(key)
            stack.pop()
            continue
        if key in above and any(id(child) in above for child in uncounted):
            _refuse(node, "an alias leads back to what it stands in")
        above.add(key)
        first = uncounted[0]
        stack.append(first)
    return sizes


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            children += (key, value)
    return children


def _refuse(node: yaml.Node, problem: str) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for written, value in node.value:
            if not isinstance(written, yaml.ScalarNode):
                _refuse(written, "a key must be a word, not a list or mapping")
            key = self.construct_object(written, deep=True)  # 1: and 0x1: are the same key
            if key in made:
                text = str(key)
                beginning = text[:100]
                _refuse(written, f"the key {beginning!r} is given twice")
            made[key] = self.construct_object(value, deep=True)
        return made

    def construct_map(self, node: yaml.MappingNode) -> dict[Any, Any]:
        """A mapping."""
        if not isinstance(node, yaml.MappingNode):
            _refuse(node, "this is not a mapping")
        return self.construct_mapping(node)

    def construct_list(self, node: yaml.SequenceNode) -> list[Any]:
        """A list."""
        if not isinstance(node, yaml.SequenceNode):
            _refuse(node, "this is not a list")
        items: list[Any] = []
        for each in node.value:
            item = self.construct_object(each, deep=True)
            items.append(item)
        return items

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """A whole number: decimal whatever it begins with, or with 0o or 0x."""
        text = str(self.construct_scalar(node))
        beginning = text[:MAX_BEGINNING]
        digits = text
        base = _BASES.get(text[:2], 10)
        if base != 10:
            digits = text[2:]
        if len(digits) > MAX_DIGITS:
            _refuse(node, f"{beginning!r}... has more than {MAX_DIGITS} digits")
        try:
            return int(digits, base)
        except ValueError:
            _refuse(node, f"{beginning!r} is not a whole number")

    def construct_real(self, node: yaml.ScalarNode) -> float:
        """A number with a point or an exponent, `.inf` or `.nan`."""
        text = self._lower(node)
        if text.endswith((".inf", ".nan")):
            text = text.replace(".", "")  # Python writes them without the point
        try:
            return float(text)
        except ValueError:
            beginning = text[:MAX_BEGINNING]
            _refuse(node, f"{beginning!r} is not a number")

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """True or false."""
        text = self._lower(node)
        if text not in ("true", "false"):
            beginning = text[:MAX_BEGINNING]
            _refuse(node, f"{beginning!r} is neither true nor false")
        return text == "true"

    def _lower(self, node: yaml.ScalarNode) -> str:
        text = str(self.construct_scalar(node))
        return text.lower()


_TAG = "tag:yaml.org,2002:"
_RESOLVED: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)
"""What is written without quotes and is not a text: kind, pattern, first characters. The first that fits counts."""

# PyYAML's own resolvers are those of YAML 1.1, to which `no` is false and `1:30` is ninety.
Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in _RESOLVED:
    _tag = _TAG + _kind
    _whole = re.compile(f"^(?:{_pattern})$")
    _firsts = list(_first)
    if _kind == "null":
        _firsts.append("")  # nothing behind a key is null, too
    Loader.add_implicit_resolver(_tag, _whole, _firsts)

Loader.yaml_constructors = {
    _TAG + "null": yaml.SafeLoader.construct_yaml_null,
    _TAG + "bool": Loader.construct_truth,
    _TAG + "int": Loader.construct_whole,
    _TAG + "float": Loader.construct_real,
    _TAG + "str": yaml.SafeLoader.construct_yaml_str,
    _TAG + "seq": Loader.construct_list,
    _TAG + "map": Loader.construct_map,
    None: yaml.SafeLoader.construct_undefined,
}
