"""YAML without surprises: read from a file that is one, as version 1.2, with a bound on what it may cost.

Rules:
1. Only a regular file is read, and only so much of it: a pipe would never end, `/dev/zero` neither.
2. The core types of YAML 1.2 and no others: `no` is a word, `1:30` is a text, `010` is ten, there are no tags of one's own.
3. No key twice; names of one place in many others (aliases) may not make a small file a large one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from graphflow.errors import FileUnreadable
from graphflow.regular import read_regular

LARGEST = 4 * 1024 * 1024
"""Bytes of a file that is read: a graph of ten thousand nodes takes a quarter of it."""
MOST_COPIES = 20_000
"""Values that aliases may add to those that are written."""
DIGITS = 4_300
"""Digits of a whole number; Python itself reads no more."""


def read_text(path: str | Path, largest: int = LARGEST) -> str:
    """The text of a regular file of reasonable size.

    Raises:
        FileUnreadable: it is missing, is something else, is too large, or is no UTF-8.
    """
    return read_regular(path, largest)


class Marks:
    """Where things stand in a file."""

    def __init__(self, root: yaml.Node | None = None) -> None:
        self.root = root

    def line(self, path: Sequence[Any]) -> int | None:
        """The line of what this way of keys and positions leads to, or of the last part of it that there is."""
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


def _entry(node: yaml.Node, step: Any) -> tuple[int, yaml.Node] | None:
    """The line of one entry of a mapping or list, and its value."""
    if isinstance(node, yaml.SequenceNode):
        if not isinstance(step, int) or step >= len(node.value):
            return None
        return node.value[step].start_mark.line, node.value[step]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return key.start_mark.line, value
    return None


def parse(text: str, where: str) -> tuple[Any, Marks]:
    """The plain data of a YAML text, and where each part of it stands.

    Raises:
        FileUnreadable: it is no YAML, or unfolds to too much.
    """
    try:
        loader = Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None, Marks()
            _check_size(root)
            return loader.construct_document(root), Marks(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileUnreadable(f"{where}:{line} is no YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise FileUnreadable(f"{where} is no YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise FileUnreadable(f"{where} is no graph: its lists and mappings are nested too deep") from None


def _check_size(root: yaml.Node) -> None:
    """Refuses aliases that lead back to themselves, or that multiply.

    Ten lines of which each names the one before ten times are ten thousand million values: they share memory, but nobody
    could walk through them. So the values are counted as if each alias were written out.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    todo = [root]
    while todo:
        node = todo[-1]
        key = id(node)
        children = [child for child in _children(node) if id(child) not in sizes]
        if key not in sizes and not children:
            sizes[key] = 1 + sum(sizes[id(child)] for child in _children(node))
        if key in sizes:
            open_nodes.discard(key)
            todo.pop()
            continue
        if key in open_nodes and any(id(child) in open_nodes for child in children):
            _refuse(node, "an alias leads back to what it stands in")
        open_nodes.add(key)
        todo.append(children[0])
    if sizes[id(root)] > len(sizes) + MOST_COPIES:
        _refuse(root, f"its aliases stand for {sizes[id(root)]:,} values; write it without")


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []


def _refuse(node: yaml.Node, problem: str) -> None:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                _refuse(key_node, "a key is a word, not a list or mapping")
            key = self.construct_object(key_node, deep=True)
            if key in made:
                _refuse(key_node, f"the key {str(key)[:100]!r} stands here twice")
            made[key] = self.construct_object(value_node, deep=True)
        return made

    def construct_map(self, node: yaml.MappingNode) -> dict[Any, Any]:
        """A mapping; what is not one in spite of its tag is refused."""
        if not isinstance(node, yaml.MappingNode):
            _refuse(node, "this is no mapping")
        return self.construct_mapping(node)

    def construct_list(self, node: yaml.SequenceNode) -> list[Any]:
        """A list."""
        if not isinstance(node, yaml.SequenceNode):
            _refuse(node, "this is no list")
        return [self.construct_object(each, deep=True) for each in node.value]

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """A whole number: decimal whatever it begins with, or with 0o or 0x."""
        text = str(self.construct_scalar(node))
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        try:
            if len(text) > DIGITS:
                raise ValueError
            return int(text[2:] if base != 10 else text, base)
        except ValueError:
            _refuse(node, f"{text[:40]!r} is no whole number of at most {DIGITS} digits")
            raise

    def construct_real(self, node: yaml.ScalarNode) -> float:
        """A number with a point or an exponent, `.inf` or `.nan`."""
        text = str(self.construct_scalar(node)).lower()
        try:
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            _refuse(node, f"{text[:40]!r} is no number")
            raise

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """True or false."""
        text = str(self.construct_scalar(node)).lower()
        if text not in ("true", "false"):
            _refuse(node, f"{text[:40]!r} is neither true nor false")
        return text == "true"


_TAG = "tag:yaml.org,2002:"
_RESOLVED: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
)
"""What is written without quotes and is no text: kind, pattern, first characters. The first that fits holds."""

Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in _RESOLVED:
    firsts = [*_first, ""] if _kind == "null" else list(_first)
    Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), firsts)

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
