"""Budgets for how the code reads, by room. They go down, never up.

    python tests/tools/budgets.py             # each room's figures beside its budgets
    python tests/tools/budgets.py --tighten   # takes over every figure that is better than its budget

`tests/house/test_lines.py` fails where a room is over a budget, and where a budget has become too generous.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools.measures import Measures, measure, together

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("budgets.json")
SLACK = 1.03
"""How much over a figure its budget may be: every small change would have to touch the budgets otherwise."""
EXPLAINED = {
    "proofs": ("topology.py", "edge_types.py", "compiler.py"),
    "walk": ("joins.py", "machine.py"),
}
"""Files in which laws are at work. Their comments are counted by themselves."""

Figures = Mapping[str, float]


def rooms() -> dict[str, list[Path]]:
    """The files of each room: those of a package, and `ground` for the modules beside the packages."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "graphflow").rglob("*.py")):
        inner = path.relative_to(ROOT / "graphflow")
        room = inner.parts[0] if len(inner.parts) > 1 else "ground"
        found.setdefault(room, []).append(path)
    found["nodes"] = sorted((ROOT / "nodes").rglob("*.py"))
    found["graphs"] = sorted((ROOT / "graphs").rglob("*.py"))
    return found


def figures() -> dict[str, Figures]:
    """The figures of each room, of those files whose comments count by themselves, and of the whole package."""
    by_room = {room: [measure(path) for path in paths] for room, paths in rooms().items()}
    package = [
        each for room, files in by_room.items() if room not in ("nodes", "graphs") for each in files
    ]
    found = {room: _figures_of(files) for room, files in by_room.items()}
    found["package"] = _figures_of(package)
    for room, names in EXPLAINED.items():
        for each in by_room[room]:
            name = Path(each.path).name
            if name in names:
                found[f"{room}/{name}"] = {"code lines for a comment": _lines_for_a_comment(each)}
    return found


def _figures_of(files: list[Measures]) -> Figures:
    total = together(files)
    dense = [each.nodes_a_line for each in files if each.lines >= 10]
    complexities = [function.complexity for each in files for function in each.functions]
    return {
        "nodes a line": round(total.nodes_a_line, 2),
        "nodes a line of the densest file": round(max(dense, default=0.0), 2),
        "functions over 10, in a hundred": round(total.complex_percent, 1),
        "complexity of one function": max(complexities, default=0),
        "Any in 1,000 lines": round(total.anys_a_thousand, 1),
        "code lines for a comment": _lines_for_a_comment(total),
    }


def _lines_for_a_comment(measures: Measures) -> float:
    return round(measures.lines / max(measures.comments, 1), 1)


def budgets() -> dict[str, Figures]:
    """The budgets as they are kept."""
    kept: dict[str, Figures] = json.loads(FILE.read_text())
    return kept


def tighten() -> None:
    """Takes over every figure that is better than its budget."""
    old = budgets() if FILE.exists() else {}
    new: dict[str, Figures] = {}
    for room, measured in figures().items():
        kept = old.get(room, {})
        new[room] = {name: min(figure, kept.get(name, figure)) for name, figure in measured.items()}
    FILE.write_text(json.dumps(new, indent=1) + "\n")


def main() -> None:
    """Prints the figures, or tightens the budgets."""
    if "--tighten" in sys.argv:
        tighten()
    kept = budgets()
    for room, measured in figures().items():
        print(room)
        for name, figure in measured.items():
            print(f"  {figure:8} {kept.get(room, {}).get(name, ''):>8}  {name}")


if __name__ == "__main__":
    main()
