"""Tests wait for conditions, and not for seconds: the few places that look at a clock are known, and say why."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEVER_S = 5
"""What sleeps for so long is stopped by the test: it stands for what never comes."""
ABOUT_TIME = {
    "bench": "speed is their subject",
    "clock.py": "makes the clock that jumps",
    "effort.py": "measures computing beside a fixed piece of work",
    "leftovers.py": "what is left behind gets a while to end",
    "waiting.py": "waits for conditions, so that nobody else has to",
    "house/test_leftovers.py": "tests the three above",
}
SLEEPS = {
    "durability/kills.py": "kills at random moments, and looks again and again whether processes have ended",
    "conversations/crowd.py": "until a lease is over, which the store says; asks again and again",
    "conversations/test_crowd.py": "until others have said something; asks again and again",
    "durability/office.py": "effects that take a moment, and a worker that looks again and again; nothing depends on how long",
    "durability/test_hardship.py": "until a lease is over, which the store says; asks again and again",
    "durability/test_owners.py": "until a lease is over, which the store says; asks again and again",
    "kinds/test_code.py": "code in a process of its own, which no clock of ours reaches; nothing depends on how long",
    "mcp/dynamic.py": "a server, told how slow it is to be",
    "mcp/test_schema.py": "gives way while a list is read; what is measured is computing time",
    "mcp/test_servers.py": "the end of a process is noticed by a reader; asks again and again",
    "notebook/test_live.py": "a walk that goes on for a while, so that frames are sent",
    "notebook/walks.py": "a walk whose bars have a length",
    "providers/raw_server.py": "a server, told how slow it is to be",
    "providers/test_hostile.py": "programs that are stopped, at several moments",
    "runtime/test_soak.py": "cancels thousands of walks, each wherever it is by then",
    "strict/http.py": "a server, told how slow it is to be",
}
"""Where something sleeps by the real clock, for however short a time, and why that cannot fail on a busy machine. Programs
that tests start stand in texts, and are not looked at."""
CLOCKS = {
    "cli/terminal.py": "waits for words on a terminal, as long as anything may take",
    "durability/kills.py": "when to kill the next; counts how long it took",
    "notebook/test_notebooks.py": "prints how long a notebook took",
    "providers/test_survey.py": "at least as long as a pace says",
    "runtime/test_tool_cache.py": "a clock that the test moves on",
    "strict/test_strict.py": "at least as long as a server waits",
}
"""Who reads the clock on the wall, and what it is held against: minutes, or a wait that can only be longer."""
COMPUTING = {
    "claims/compare.py": "counts how long two ways took",
    "compaction/test_plan.py": "a large history beside a small one",
    "files/test_wrong_files.py": "beside a fixed piece of work, measured once for hundreds of files",
    "library/test_grounding.py": "a long text beside a short one",
    "mcp/test_schema.py": "many tools beside few",
    "render/test_timeline.py": "a long run beside a short one",
}
"""Who measures computing, and beside what: never beside a number of seconds, for machines differ (`tests/effort.py`)."""


@cache
def modules() -> list[tuple[str, ast.Module]]:
    folder = ROOT / "tests"
    paths = sorted(folder.rglob("*.py"))
    return [
        (str(path.relative_to(folder)), ast.parse(path.read_text(encoding="utf-8")))
        for path in paths
    ]


def is_about_time(module: str) -> bool:
    return module in ABOUT_TIME or module.split("/")[0] in ABOUT_TIME


def calls_of(tree: ast.Module, names: set[str]) -> list[ast.Call]:
    """Calls of functions with these names, whatever they are taken from."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", "")
            )
            if name in names:
                found.append(node)
    return found


def gives_way_or_never_ends(call: ast.Call) -> bool:
    length = call.args[0] if call.args else None
    if not isinstance(length, ast.Constant) or not isinstance(length.value, (int, float)):
        return False
    return length.value == 0 or length.value >= NEVER_S


def test_who_sleeps_by_the_real_clock_is_known() -> None:
    sleeping = set()
    for module, tree in modules():
        jumps = "jumping_clock" in ast.unparse(tree)
        if jumps or is_about_time(module):
            continue
        if not all(map(gives_way_or_never_ends, calls_of(tree, {"sleep"}))):
            sleeping.add(module)
    assert sorted(sleeping - set(SLEEPS)) == [], (
        "wait for a condition (tests/waiting.py), or use the fixture jumping_clock"
    )
    assert sorted(set(SLEEPS) - sleeping) == [], "these do not sleep any more"


def readers_of(*clocks: str) -> set[str]:
    return {
        module
        for module, tree in modules()
        if not is_about_time(module) and calls_of(tree, set(clocks))
    }


def test_who_looks_at_the_clock_on_the_wall_is_known() -> None:
    looking = readers_of("monotonic", "perf_counter")
    assert sorted(looking - set(CLOCKS)) == [], "how long something takes is the machine's affair"
    assert sorted(set(CLOCKS) - looking) == [], "these do not look any more"


def test_who_measures_computing_is_known() -> None:
    measuring = readers_of("process_time", "thread_time")
    assert sorted(measuring - set(COMPUTING)) == [], "hold it against other work: tests/effort.py"
    assert sorted(set(COMPUTING) - measuring) == [], "these do not measure any more"
