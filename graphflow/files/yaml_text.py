"""YAML without surprises: version 1.2, with a bound on what it may cost.

Rules:
1. The core types of YAML 1.2 and no others: `no` is a word, `1:30` is a text, `010` is ten; there are no custom tags.
2. No key twice. Aliases (`*name`) may not make a large value of a small file, and may not lead back to themselves.
3. What a text holds is put together from PyYAML's events, with a list of what is open and not by recursion: the depth is
   bounded, and libyaml can be used for speed where it is there (its own composer overflows the stack of the process).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from graphflow.files.document import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_VALUES,
    TOO_DEEP,
    TOO_MANY,
    Document,
    Marks,
    Placed,
    TextPlace,
    nothing_in,
    unreadable,
)

MAX_COPIES = 20_000
"""Values that aliases may add to those that are written."""
MAX_BEGINNING = 40
"""Characters of a wrong value that an error shows."""
_BASES = {"0o": 8, "0x": 16}
"""By how a whole number begins."""
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_RESOLVED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("null", r"~|null|Null|NULL|"),
        ("bool", r"true|True|TRUE|false|False|FALSE"),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
        ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    )
)
"""What is written without quotes and is not a text (https://yaml.org/spec/1.2.2/#103-core-schema). The first that fits counts."""
_MAY_BE_OTHER = frozenset("~nNtTfF-+.0123456789")
"""What such a value begins with; all others are texts."""


class _NotYaml(Exception):
    """Something that a file may not hold."""

    def __init__(self, mark: TextPlace, problem: str) -> None:
        super().__init__(problem)
        self.mark = mark


@dataclass(slots=True)
class _YamlValue:
    """A value that is read: the data, the spots inside, and how many values it is if all aliases are written out."""

    data: Any
    mark: TextPlace
    inside: dict[Any, Placed] = field(default_factory=dict)
    size: int = 1


@dataclass(slots=True)
class _OpenYaml:
    """A list or mapping that is being read."""

    value: _YamlValue
    anchor: str | None
    key: _YamlValue | None = None
    """Of a mapping: the key whose value comes next."""


def read_yaml(text: str, where: str) -> Document:
    """The plain data of a YAML text, and where each part of it stands.

    Raises:
        FileUnreadable: it is not YAML, or its aliases stand for too much.
    """
    try:
        value = _Composer().compose(yaml.parse(text, Loader=_PARSER))
    except _NotYaml as error:
        raise unreadable(where, error.mark, f"this is not YAML: {error}", text) from None
    except yaml.MarkedYAMLError as error:
        mark = _mark(error.problem_mark) if error.problem_mark else TextPlace(1, 1)
        problem = error.problem
        if problem == "exceeded maximum nesting depth":  # of libyaml, which looks ahead
            problem = TOO_DEEP
        raise unreadable(where, mark, f"this is not YAML: {problem}", text) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        raise unreadable(where, TextPlace(1, 1), f"this is not YAML: {reason}", text) from None
    if value is None:
        return nothing_in(text)
    root = Placed(value.mark, value.inside)
    return Document(value.data, Marks(root, text))


class _Composer:
    """Puts one document together from its events."""

    def __init__(self) -> None:
        self._open: list[_OpenYaml] = []
        self._root: _YamlValue | None = None
        self._anchors: dict[str, _YamlValue] = {}
        self._written = 0
        """Values that stand in the text."""

    def compose(self, events: Iterator[yaml.Event]) -> _YamlValue | None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    _refuse(event, "expected a single document, but found another one")
            elif isinstance(event, yaml.NodeEvent):
                self._begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
        return self._root

    def _begin(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._put(self._aliased(event))
            return
        # Whatever a value is, it begins here; lists and mappings are put into what is around them when they end.
        self._written += 1
        if self._written > MAX_VALUES:
            _refuse(event, TOO_MANY)
        value = _begun(event)
        anchor = event.anchor
        if isinstance(event, yaml.ScalarEvent):
            if anchor:
                self._anchors[anchor] = value
            self._put(value)
            return
        if self._wants_key():
            raise _NotYaml(value.mark, "a key must be a word, not a list or mapping")
        if len(self._open) >= MAX_DEPTH:
            raise _NotYaml(value.mark, TOO_DEEP)
        self._open.append(_OpenYaml(value, anchor))

    def _end(self) -> None:
        ended = self._open.pop()
        if ended.anchor:
            self._anchors[ended.anchor] = ended.value
        self._put(ended.value)

    def _aliased(self, event: yaml.AliasEvent) -> _YamlValue:
        name = str(event.anchor)
        # Its anchor stands on something that has not ended.
        if any(each.anchor == name for each in self._open):
            _refuse(event, "an alias leads back to what it stands in")
        known = self._anchors.get(name)
        if known is None:
            _refuse(event, f"found undefined alias {name!r}")
        return _YamlValue(known.data, _mark(event.start_mark), known.inside, known.size)

    def _wants_key(self) -> bool:
        if not self._open:
            return False
        around = self._open[-1]
        return isinstance(around.value.data, dict) and around.key is None

    def _put(self, value: _YamlValue) -> None:
        """Puts a value where it belongs: into what is open, or at the top."""
        if not self._open:
            self._root = value
            return
        around = self._open[-1]
        whole = around.value
        # An alias counts as much as what it stands for.
        whole.size += value.size
        self._check_size(whole)
        if isinstance(whole.data, list):
            whole.inside[len(whole.data)] = Placed(value.mark, value.inside)
            whole.data.append(value.data)
        elif around.key is None:
            around.key = _checked_key(value, whole.data)
        else:
            key = around.key
            around.key = None
            whole.data[key.data] = value.data
            whole.inside[_written_key(key.data)] = Placed(key.mark, value.inside)

    def _check_size(self, whole: _YamlValue) -> None:
        """Refuses aliases that multiply.

        Ten lines of which each names the one before ten times stand for ten thousand million values. They share memory, but
        nobody could walk through them:

            a: &a [x, x, x]
            b: &b [*a, *a, *a]
            c: [*b, *b, *b]         27 values of c, written as 3

        So the values are counted as if each alias were written out.
        """
        if whole.size > self._written + MAX_COPIES:
            problem = f"its aliases stand for {whole.size:,} values or more; write it without them"
            raise _NotYaml(whole.mark, problem)


def _written_key(key: object) -> str | int:
    return key if isinstance(key, str) else str(key)


def _checked_key(key: _YamlValue, mapping: dict[Any, Any]) -> _YamlValue:
    if isinstance(key.data, (list, dict)):
        raise _NotYaml(key.mark, "a key must be a word, not a list or mapping")
    if key.data in mapping:
        beginning = str(key.data)[:100]
        raise _NotYaml(key.mark, f"the key {beginning!r} is given twice")
    return key


def _begun(event: Any) -> _YamlValue:
    mark = _mark(event.start_mark)
    if isinstance(event, yaml.MappingStartEvent):
        _check_tag(event, "map")
        return _YamlValue({}, mark)
    if isinstance(event, yaml.SequenceStartEvent):
        _check_tag(event, "seq")
        return _YamlValue([], mark)
    return _YamlValue(_scalar(event, mark), mark)


def _check_tag(event: Any, kind: str) -> None:
    if event.tag in (None, "!", _TAG + kind):
        return
    if event.tag in (_TAG + "map", _TAG + "seq"):
        words = {"map": "a mapping", "seq": "a list"}
        wanted = event.tag.removeprefix(_TAG)
        _refuse(event, f"this is not {words[wanted]}")
    _refuse(event, f"could not determine a constructor for the tag {event.tag!r}")


def _scalar(event: Any, mark: TextPlace) -> object:
    """A text, number, truth value or nothing."""
    text = str(event.value)
    kind = _kind_of(event, text)
    if kind == "null":
        return None
    if kind == "bool":
        return _truth(text, mark)
    if kind == "int":
        return _whole(text, mark)
    if kind == "float":
        return _real(text, mark)
    return text


def _kind_of(event: Any, text: str) -> str:
    """What a scalar is, by its tag or by how it is written."""
    tag = event.tag
    if tag == "!" or (tag is None and not event.implicit[0]):
        return "str"
    if tag is not None:
        kind = str(tag).removeprefix(_TAG)
        if kind not in ("null", "bool", "int", "float", "str"):
            _refuse(event, f"could not determine a constructor for the tag {tag!r}")
        return kind
    return _plain_kind(text)


def _plain_kind(text: str) -> str:
    """What something is that stands without quotes."""
    if text and text[0] not in _MAY_BE_OTHER:
        return "str"
    for kind, pattern in _RESOLVED:
        if pattern.fullmatch(text):
            return kind
    return "str"


def _whole(text: str, mark: TextPlace) -> int:
    """A whole number: decimal whatever it begins with, or with 0o or 0x."""
    beginning = text[:MAX_BEGINNING]
    digits = text
    base = _BASES.get(text[:2], 10)
    if base != 10:
        digits = text[2:]
    if len(digits) > MAX_DIGITS:
        raise _NotYaml(mark, f"{beginning!r}... has more than {MAX_DIGITS} digits")
    try:
        return int(digits, base)
    except ValueError:
        raise _NotYaml(mark, f"{beginning!r} is not a whole number") from None


def _real(text: str, mark: TextPlace) -> float:
    """A number with a point or an exponent, `.inf` or `.nan`."""
    plain = text.lower()
    if plain.endswith((".inf", ".nan")):
        plain = plain.replace(".", "")  # Python writes them without the point
    try:
        return float(plain)
    except ValueError:
        beginning = text[:MAX_BEGINNING]
        raise _NotYaml(mark, f"{beginning!r} is not a number") from None


def _truth(text: str, mark: TextPlace) -> bool:
    plain = text.lower()
    if plain not in ("true", "false"):
        beginning = text[:MAX_BEGINNING]
        raise _NotYaml(mark, f"{beginning!r} is neither true nor false")
    return plain == "true"


class YamlDumper(yaml.SafeDumper):
    """Writes YAML that version 1.2 reads as it is meant: PyYAML leaves `1e3` without quotes, as 1.1 has it for a text."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """A text, in quotes where it would be read as something else."""
        style = None if _plain_kind(text) == "str" else "'"
        return self.represent_scalar(f"{_TAG}str", text, style=style)


YamlDumper.add_representer(str, YamlDumper.represent_text)


def _mark(mark: Any) -> TextPlace:
    return TextPlace(mark.line + 1, mark.column + 1)


def _refuse(event: yaml.Event, problem: str) -> NoReturn:
    raise _NotYaml(_mark(event.start_mark), problem)
