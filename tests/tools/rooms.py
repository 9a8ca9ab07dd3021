"""The rooms of the package: who imports whom, on how many floors they lie, and where it goes in circles.

    python -m tests.tools.rooms                    # the rooms of graphflow, with imports that only a type checker reads
    python -m tests.tools.rooms --inside proofs    # the modules of one room
    python -m tests.tools.rooms --running          # only what is imported when the code runs

A room is a folder of the package, or a file that stands beside them. A floor holds what imports nothing but floors below
it; the lowest comes first. The exceptions that `pyproject.toml` lists are left out, and so are modules that only answer
under an old name.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import grimp
import networkx as nx

PACKAGE = "graphflow"
PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
OLD_NAMES = "_faces"
"""What a module that answers under an old name imports, and nothing else: it is no room, but a sign at a door."""
FEW = 3
"""Imports that make an arrow, at most, for it to be named as one that could be mended."""
Import = tuple[str, str]


def imports(*, types: bool = True) -> list[Import]:
    """Every import within the package, as pairs of modules: who imports, and what."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=not types, cache_dir=None)
    found = [
        (module, imported)
        for module in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(module))
    ]
    excepted = exceptions()
    return [each for each in found if each not in excepted]


def exceptions() -> set[Import]:
    """The imports that the contracts let pass."""
    contracts = tomllib.loads(PROJECT.read_text())["tool"]["importlinter"]["contracts"]
    listed = [line for contract in contracts for line in contract.get("ignore_imports", ())]
    pairs = [
        line.partition(" -> ") for line in listed if "*" not in line
    ]  # the contracts inside rooms name them by a pattern
    return {(importer, imported) for importer, _, imported in pairs}


def room_of(module: str, inside: str = "") -> str:
    """The room that a module lies in; `inside` a room, the module of it. Empty for the room's own face, and elsewhere."""
    above = f"{PACKAGE}.{inside}." if inside else f"{PACKAGE}."
    return module.removeprefix(above).partition(".")[0] if module.startswith(above) else ""


def arrows(found: list[Import], inside: str = "") -> dict[tuple[str, str], list[Import]]:
    """The arrows between rooms, each with the imports that make it."""
    drawn: dict[tuple[str, str], list[Import]] = defaultdict(list)
    for importer, imported in found:
        ends = room_of(importer, inside), room_of(imported, inside)
        if ends[0] and ends[1] and ends[0] != ends[1]:
            drawn[ends].append((importer, imported))
    reached = defaultdict(set)
    for importing, imported_room in drawn:
        reached[importing].add(imported_room)
    return {ends: made for ends, made in drawn.items() if reached[ends[0]] != {OLD_NAMES}}


def modules_of(room: str) -> set[str]:
    """The modules of one room, those too that no arrow leaves or reaches."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    return {room_of(module, room) for module in graph.modules} - {""}


def circles(drawn: dict[tuple[str, str], list[Import]]) -> list[set[str]]:
    """Sets of rooms in which each can be reached from each."""
    return [
        rooms
        for rooms in nx.strongly_connected_components(nx.DiGraph(list(drawn)))
        if len(rooms) > 1
    ]


def floors(
    drawn: dict[tuple[str, str], list[Import]], others: Collection[str] = ()
) -> list[list[str]]:
    """The rooms floor by floor, the lowest first; rooms of one circle share a floor. `others`: rooms without arrows."""
    whole = nx.DiGraph(list(drawn))
    whole.add_nodes_from(others)
    whole = nx.condensation(whole)
    return [
        sorted(room for part in floor for room in whole.nodes[part]["members"])
        for floor in nx.topological_generations(whole.reverse())
    ]


def report(
    drawn: dict[tuple[str, str], list[Import]], others: Collection[str] = ()
) -> Iterator[str]:
    """What is printed. `others`: rooms that may have no arrows."""
    whole = nx.DiGraph(list(drawn))
    whole.add_nodes_from(others)
    storeys = floors(drawn, others)
    needed = nx.transitive_reduction(nx.condensation(whole)).number_of_edges()
    yield f"{whole.number_of_nodes()} rooms, {len(drawn)} arrows ({needed} that no others imply), {len(storeys)} floors"
    for number, storey in enumerate(storeys, start=1):
        yield f"{number:>4}  {' | '.join(storey)}"
    for circle in circles(drawn):
        yield f"circle: {', '.join(sorted(circle))}"
        for (one, other), made in drawn.items():
            if one in circle and other in circle and len(made) <= FEW:
                yield f"  {one} > {other}: {', '.join(f'{importer} imports {imported}' for importer, imported in made)}"


def main() -> None:
    """Prints the rooms, or the modules of one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--inside", default="", metavar="ROOM", help="the modules of one room instead"
    )
    parser.add_argument(
        "--running", action="store_true", help="leave out imports that only a type checker reads"
    )
    given = parser.parse_args()
    drawn = arrows(imports(types=not given.running), given.inside)
    others = modules_of(given.inside) if given.inside else ()
    for line in report(drawn, others):
        print(line)


if __name__ == "__main__":
    main()
