"""`${NAME}` in what files say: the value of a variable, put in after the file was read.

    model = "${SHOP_MODEL:-mock:echo}"        the variable, or what stands behind `:-` if it is unset or empty
    token = "${SHOP_TOKEN}"                   the variable; a file that needs one which is not set is refused
    price = "$${5} off"                       the characters `${5} off`

Rules:
1. A value is put into a text that was parsed already: whatever is in it, no key and no structure can come of it, and `${...}`
   within it stays as it is.
2. Keys are never looked at. Nothing is guessed: what begins like a reference and is none is a problem.
3. What came from a variable counts as a secret; what stands in the file does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from graphflow.redaction import SHORTEST, is_word, remember

ValuePath: TypeAlias = tuple[object, ...]
"""The way to a value: keys and positions, from the outside in."""
PlacedProblem: TypeAlias = tuple[ValuePath, str]

MAX_CHARACTERS = 1_000_000
"""Characters that the texts of one file may grow to."""
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
OPEN = ("model", "graph", "sync")
"""Keys whose values are no secrets wherever they come from: each record of a run says them on purpose."""


def escaped(value: object) -> object:
    """A value as a file has to write it, so that nothing in its texts is taken for a reference."""
    match value:
        case str():
            return value.replace("${", "$${")
        case Mapping():
            return {key: escaped(each) for key, each in value.items()}
        case list():
            return [escaped(each) for each in value]
    return value


class Expansion:
    """Puts the values of variables into what one file holds.

    Attributes:
        variables: those that there are.
        problems: what is wrong, each with its place.
        used: the names of the variables in each text that has some, by its place.
        values: what was put in from outside of the file, by name.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.problems: list[PlacedProblem] = []
        self.used: dict[ValuePath, tuple[str, ...]] = {}
        self.values: dict[str, str] = {}
        self._left = MAX_CHARACTERS

    def expanded(self, value: object, path: ValuePath = ()) -> object:
        """A value as the file means it; lists and mappings are made anew where they hold texts."""
        match value:
            case str() if "${" in value:
                return self._text(value, path)
            case Mapping():
                made: dict[object, object] = {}
                for key, each in value.items():
                    made[key] = self.expanded(each, (*path, key))
                return made
            case list():
                items: list[object] = []
                for position, each in enumerate(value):
                    item = self.expanded(each, (*path, position))
                    items.append(item)
                return items
        return value

    def _text(self, text: str, path: ValuePath) -> str:
        names: list[str] = []

        def put_in(found: re.Match[str]) -> str:
            written = found[0]
            if written == "$${":
                return "${"
            # Nothing stands inside of what is not closed.
            inside = _INSIDE.fullmatch(found[1] or "")
            if inside is None:
                self._refuse_form(written, path)
                return written
            name, default = inside.groups()
            names.append(name)
            return self._value(name, default, path)

        made = _REFERENCE.sub(put_in, text)
        if names:
            self.used[path] = tuple(dict.fromkeys(names))
        self._left -= len(made)
        if self._left < 0:
            self.problems.append((path, f"variables make this more than {MAX_CHARACTERS:,} long"))
            return text
        return made

    def _value(self, name: str, default: str | None, path: ValuePath) -> str:
        value = self.variables.get(name, "")
        if value:
            is_open = path[-1:] and path[-1] in OPEN
            if not is_open:
                self.values[name] = value
            return value
        if default is not None:
            return default
        if name in self.variables:
            return ""
        problem = f"the variable {name} is not set; set it, put it into .env, or write ${{{name}:-DEFAULT}}"
        self.problems.append((path, problem))
        return ""

    def _refuse_form(self, written: str, path: ValuePath) -> None:
        shown = written[:40]
        problem = f"{shown!r} names no variable; write ${{NAME}}, ${{NAME:-DEFAULT}}, or $${{ for the characters"
        self.problems.append((path, problem))

    def remember(self) -> None:
        """Has what came from outside taken out of all that leaves this process."""
        for name, value in self.values.items():
            remember(value, name)

    def secrets(self) -> dict[str, str]:
        """What came from outside and can be looked for in any text, by name: a word is none, wherever it comes from."""
        found: dict[str, str] = {}
        for name, value in self.values.items():
            is_short = len(value.strip()) < SHORTEST
            if not is_short and not is_word(value):
                found[name] = value
        return found
