"""Files that a file includes: parts of a graph that several graphs share, or that would make one file too long.

include: [messages.yaml, agents/writers.toml]

Rules:
1. What is included has nodes, messages, states, memories, arrows and claims, and nothing that is the graph's own. A name
   that is declared twice is refused: nothing hides anything.
2. Paths are those of the file that names them. What they lead to lies in the project, as the code does that files name.
3. No file includes itself, not by way of others either; how deep they go, how many they are and how large they are
   together is bounded. One that is included on two ways is read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from graphflow.files.document import PlainMapping
from graphflow.files.loader import MAX_BYTES, is_graph_file, parse, read_text
from graphflow.files.problems import FileProblems
from graphflow.files.sources import GraphSource, KeyPath
from graphflow.files.values import nearest, shown

INCLUDE = "include"
"""The key that names other files."""
MAPPINGS = ("messages", "nodes", "state", "uses", "memories")
"""The parts of an included file that are declared by name."""
LISTS = ("edges", "claims")
"""Its parts that are lists."""
MAX_INCLUDE_DEPTH = 5
"""Files that include each other in a row, the first one not counted."""
MAX_INCLUDED = 50
"""Files of one graph."""
Declared: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Including:
    """A file whose includes are taken."""

    source: GraphSource
    path: KeyPath
    """The way to its key `include`, as problems know it."""
    chain: tuple[Path, ...]
    """The files that led to it, itself last."""


class Includer:
    """Puts a graph together from a file and all that it includes.

    Args:
        problems: where what is wrong is reported.
        folders: those that the files may lie in.

    Attributes:
        is_incomplete: whether something could not be taken, so that what is not there may be declared all the same.
    """

    def __init__(self, problems: FileProblems, folders: tuple[Path, ...]) -> None:
        self.problems = problems
        self.folders = folders
        self.is_incomplete = False
        self._taken: set[Path] = set()
        self._characters = 0

    def whole(self, declared: PlainMapping) -> Declared:
        """What a file declares, with what it includes; why some of that cannot be taken is reported."""
        whole: Declared = dict(declared)
        includes = whole.pop(INCLUDE, None)
        if includes is None:
            return whole
        # The parts of the file itself are not changed.
        for part, given in whole.items():
            if isinstance(given, dict):
                whole[part] = dict(given)
            elif isinstance(given, list):
                whole[part] = list(given)
        main = self.problems.sources.main
        start = Path(main.where)
        chain = (start.resolve(),)
        by = _Including(main, (INCLUDE,), chain)
        self._include_all(includes, whole, by)
        return whole

    def _include_all(self, includes: object, whole: Declared, by: _Including) -> None:
        if not isinstance(includes, list):
            self._attempt(includes, whole, by, by.path)
            return
        for number, name in enumerate(includes):
            path = (*by.path, number)
            self._attempt(name, whole, by, path)

    def _attempt(self, name: object, whole: Declared, by: _Including, path: KeyPath) -> None:
        before = len(self.problems.found)
        take = partial(self._include, name, whole, by)
        with self.problems.at(*path):
            self.problems.attempt(take)
        if len(self.problems.found) > before:
            self.is_incomplete = True

    def _include(self, name: object, whole: Declared, by: _Including) -> None:
        if not isinstance(name, str) or not name.strip():
            raise self.problems.error(f"an include is {shown(name)}; it must be the name of a file")
        place = by.source.folder / name
        file = place.resolve()
        self._check(name, file, by)
        if file in self._taken:
            return
        self._taken.add(file)
        where = str(place)
        text = self._text(file)
        document = parse(text, where)
        source = GraphSource(where, document.marks)
        top = (INCLUDE, where)
        self.problems.sources.included[top] = (source, ())
        with self.problems.at(*top):
            if not isinstance(document.data, Mapping):
                raise self.problems.error("this does not hold parts of a graph: nodes, messages...")
            self._merge(document.data, whole, source)
        includes = document.data.get(INCLUDE)
        if includes is not None:
            path = (*top, INCLUDE)
            chain = (*by.chain, file)
            inner = _Including(source, path, chain)
            self._include_all(includes, whole, inner)

    def _text(self, file: Path) -> str:
        """What a file holds, if all of them together are not too many or too large."""
        if len(self._taken) > MAX_INCLUDED:
            raise self.problems.error(
                f"more than {MAX_INCLUDED} files are included; put some together"
            )
        text = read_text(file)
        self._characters += len(text)
        if self._characters > MAX_BYTES:
            raise self.problems.error(
                f"the files that are included have more than {MAX_BYTES:,} characters together"
            )
        return text

    def _check(self, name: str, file: Path, by: _Including) -> None:
        """Refuses what leads out of the project, back to where it comes from, or too deep."""
        if not is_graph_file(file):
            raise self.problems.error(
                f"{name} cannot be included; give a .yaml, .json or .toml file"
            )
        # By where it really is: a link may lead anywhere.
        if not any(map(file.is_relative_to, self.folders)):
            project = self.folders[-1]
            raise self.problems.error(
                f"{name} cannot be included: it does not lie in the project, {project}; move it there"
            )
        if file in by.chain:
            files = [each.name for each in (*by.chain, file)]
            way = " > ".join(files)
            raise self.problems.error(f"{name} includes itself ({way}); leave it out")
        if len(by.chain) > MAX_INCLUDE_DEPTH:
            raise self.problems.error(
                f"{name} is included more than {MAX_INCLUDE_DEPTH} files deep; include it further up"
            )

    def _merge(self, declared: PlainMapping, whole: Declared, source: GraphSource) -> None:
        """Adds the parts of an included file."""
        for part, given in declared.items():
            with self.problems.within(part):
                if part in (INCLUDE, "$schema") or given is None:
                    continue
                if part in MAPPINGS and isinstance(given, Mapping):
                    self._merge_mapping(part, given, whole, source)
                elif part in LISTS and isinstance(given, list):
                    self._merge_list(part, given, whole, source)
                else:
                    problem = _problem_of(part, given)
                    self.problems.report_at(self.problems.path, problem)

    def _merge_mapping(
        self, part: str, given: PlainMapping, whole: Declared, source: GraphSource
    ) -> None:
        there = whole.setdefault(part, {})
        if not isinstance(there, dict):  # wrong in the file itself, which says so
            return
        for name, entry in given.items():
            if name in there:
                first, _ = self.problems.sources.find((part, name))
                given_name = shown(name)
                problem = (
                    f"{part}: {given_name} is declared in {first.where}, too; rename one of them"
                )
                path = (*self.problems.path, name)
                self.problems.report_at(path, problem)
                continue
            there[name] = entry
            path = (part, name)
            self.problems.sources.included[path] = (source, path)

    def _merge_list(
        self, part: str, given: list[object], whole: Declared, source: GraphSource
    ) -> None:
        there = whole.setdefault(part, [])
        if not isinstance(there, list):
            return
        for number, item in enumerate(given):
            # Its position is another one than in its own file.
            path = (part, len(there))
            self.problems.sources.included[path] = (source, (part, number))
            there.append(item)


def _problem_of(part: object, given: object) -> str:
    """What is wrong with a part of an included file."""
    value = shown(given)
    if part in MAPPINGS:
        return f"{part} is {value}; it must be a mapping, {{name: value}}"
    if part in LISTS:
        return f"{part} is {value}; it must be a list, [a, b]"
    key = shown(part)
    known = (INCLUDE, *MAPPINGS, *LISTS)
    hint = nearest(part, known)
    return f"an included file has no {key}; {hint}"
