"""The words of a file: the keys of a graph and of each kind of node, and what may stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args

from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import Isolation
from graphflow.declaration.options import Retry
from graphflow.files.problems import KeyPath
from graphflow.files.values import (
    ANY,
    AT_LEAST_0,
    AT_LEAST_1,
    COUNT,
    COUNT_OR_NONE,
    NOTHING,
    NUMBER,
    POSITIVE,
    TEXT,
    TEXTS,
    TRUTH,
    WHOLE,
    WORD,
    Checker,
    Either,
    Keys,
    ListOf,
    MappingOf,
    Plain,
    Subject,
    ValueShape,
    maybe,
    nearest,
    one_of,
    shown,
)
from graphflow.keywords import RENAMED
from graphflow.limits import Limits
from graphflow.model.settings import SETTINGS
from graphflow.policy import EFFECTS


def _is_address(value: object) -> bool:
    return isinstance(value, str) and ":" in value


TRUTH_OR_SECONDS = Plain(
    "true, false or a number of seconds", lambda value: TRUTH.fits(value) or AT_LEAST_0.fits(value)
)
TYPE = Plain("a type: str, list[module:Name]...", WORD.fits)
ADDRESS = Plain("a function of the project, 'module:name'", _is_address)
STATES = ListOf(Plain("the name of a state", WORD.fits))
STATE = Keys("a state", {"type": TYPE, "start": ANY, "merge": WORD})
MOMENT = Plain(
    "a time with its zone, '2030-01-31T12:00:00Z', or a function of the project, 'module:name'",
    _is_address,
)
NODE = Plain("the name of a node, or 'module:name'", WORD.fits)
RETRY_SHAPES: dict[str, ValueShape] = {
    "attempts": COUNT,
    "wait_s": AT_LEAST_0,
    "factor": AT_LEAST_1,
    "max_wait_s": AT_LEAST_0,
    "jitter": AT_LEAST_0,
}
SETTING_SHAPES: dict[str, ValueShape] = {
    **{
        name: maybe(NUMBER)
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")
    },
    **{name: maybe(WHOLE) for name in ("max_tokens", "seed", "top_k")},
    "stop": ListOf(TEXT, alone=True),
    "tool_choice": maybe(TEXT),
    "parallel_calls": maybe(TRUTH),
    "prompt_cache": TRUTH,
    "thinking": maybe(
        Plain(
            "true, false, a number of tokens, or an effort",
            lambda value: isinstance(value, (bool, int, str)),
        )
    ),
    "extra": Either(NOTHING, mapping=MappingOf(ANY)),
}


def options(whose: str) -> dict[str, ValueShape]:
    """The keys that every node has, and a graph too."""
    retry = {
        field.name: RETRY_SHAPES.get(field.name, ANY)
        for field in fields(Retry)
        if field.name != "on"
    }
    effects = Either(NOTHING, listed=ListOf(one_of(EFFECTS)))
    rules: dict[str, ValueShape] = {
        "allow": Either(NOTHING, listed=TEXTS),
        "deny": TEXTS,
        "effects": effects,
    }
    return {
        "retry": Either(maybe(COUNT), mapping=Keys(f"retry of {whose!r}", retry, RENAMED["Retry"])),
        "timeout_s": maybe(POSITIVE),
        "cache": TRUTH_OR_SECONDS,
        "approval": TRUTH,
        "approval_timeout_s": maybe(POSITIVE),
        "policy": Either(NOTHING, mapping=Keys(f"the policy of {whose!r}", rules)),
    }


def limits(what: str) -> Keys:
    """The keys of limits."""
    shapes = {
        name: AT_LEAST_1 if name in ("laps", "concurrency") else AT_LEAST_0
        for name in Limits.__dataclass_fields__
    }
    shapes["unpriced"] = one_of(("tell", "end"))
    return Keys(what, {name: maybe(shape) for name, shape in shapes.items()})


def _agent(name: str) -> dict[str, ValueShape]:
    handoff: dict[str, ValueShape] = dict.fromkeys(Handoff.__dataclass_fields__, ANY)
    handoff |= {"target": NODE, "conversation": TRUTH, "description": TEXT, "laps": maybe(COUNT)}
    return {
        "model": ANY,
        "input": TYPE,
        "output": TYPE,
        "prompt": TEXT,
        "prompt_file": WORD,
        "system": TEXT,
        "examples": ListOf(Plain("a list of two: the message, the answer", _is_pair)),
        "description": TEXT,
        "tools": ListOf(NODE),
        "sub_agents": ListOf(NODE),
        "handoffs": ListOf(Either(NODE, mapping=Keys(f"a hand-over of {name!r}", handoff))),
        "mcp": ListOf(NODE),
        "recalls": ListOf(NODE),
        "max_turns": COUNT,
        "repairs": COUNT_OR_NONE,
        "max_parallel_calls": COUNT,
        **{setting: SETTING_SHAPES.get(setting, ANY) for setting in SETTINGS},
    }


def _router(name: str) -> dict[str, ValueShape]:
    return {
        "rule": ADDRESS,
        "labels": Either(mapping=MappingOf(TEXT), listed=TEXTS),
        "guards": MappingOf(ADDRESS),
        "examples": MappingOf(TEXTS),
        "cascade": ListOf(NODE),
        "model": ANY,
        "probabilities": TRUTH,
        "explain": TRUTH,
        "embedder": TEXT,
        "threshold": maybe(NUMBER),
        "otherwise": maybe(TEXT),
        "input": TYPE,
        "prompt": TEXT,
        "description": TEXT,
    }


def _sub_agent(name: str) -> dict[str, ValueShape]:
    return {
        "target": ANY,
        "isolation": one_of(get_args(Isolation)),
        "background": TRUTH,
        "limits": limits(f"the limits of {name!r}"),
        "description": TEXT,
    }


def _code(name: str) -> dict[str, ValueShape]:
    return {
        "calls": ListOf(NODE),
        "memory_mib": COUNT,
        "seconds": POSITIVE,
        "printed_limit": COUNT,
        "max_calls": COUNT,
        "recursion": COUNT,
        "description": TEXT,
        "output_limit": COUNT,
    }


def _skills(name: str) -> dict[str, ValueShape]:
    return {
        "folders": ListOf(WORD, alone=True),
        "runner": NODE,
        "description": TEXT,
        "output_limit": COUNT,
    }


def _human(name: str) -> dict[str, ValueShape]:
    return {"input": TYPE, "output": TYPE, "timeout": maybe(POSITIVE), "description": TEXT}


def _wait(name: str) -> dict[str, ValueShape]:
    return {"seconds": AT_LEAST_0, "until": MOMENT, "input": TYPE, "description": TEXT}


def _receive(name: str) -> dict[str, ValueShape]:
    return {"type": TYPE, "timeout": maybe(POSITIVE), "input": TYPE, "description": TEXT}


def _mcp(name: str) -> dict[str, ValueShape]:
    return {
        "command": ListOf(WORD),
        "url": WORD,
        "env": MappingOf(TEXT),
        "cwd": TEXT,
        "token": TEXT,
        "headers": MappingOf(TEXT),
        "include": TEXTS,
        "exclude": TEXTS,
        "prefix": TEXT,
        "scope": one_of(("run", "process")),
        "effects": ListOf(one_of(EFFECTS)),
        "trust_hints": TRUTH,
        "connect_s": POSITIVE,
        "handshake": TRUTH,
    }


KINDS = {
    "agent": _agent,
    "router": _router,
    "sub-agent": _sub_agent,
    "code": _code,
    "skills": _skills,
    "human": _human,
    "wait": _wait,
    "receive": _receive,
    "mcp": _mcp,
}
"""The words of each kind, beside those that all have."""


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def graph_shape(name: str) -> Keys:
    """The keys of a graph. What its nodes hold is checked kind by kind."""
    return Keys(
        "a graph",
        {
            "graph": WORD,
            "model": ANY,
            "limits": limits("limits"),
            "input": TYPE,
            "ends": one_of(("one", "first", "all")),
            "description": TEXT,
            "deps": TYPE,
            "claims": ListOf(Plain("a claim in one text, 'Before(approve, refund)'", TEXT.fits)),
            "state": Either(NOTHING, mapping=MappingOf(STATE)),
            "uses": Either(NOTHING, mapping=MappingOf(STATE)),
            **options(name),
            "nodes": Either(NOTHING, mapping=MappingOf(ANY)),
            "edges": ListOf(Plain("an arrow in one text, 'START >> a >> END'", TEXT.fits)),
        },
    )


def check_graph(declared: Mapping[Any, Any], checker: Checker) -> None:
    """Notes what is wrong with a graph's declaration, nodes included."""
    name = declared.get("graph")
    if not isinstance(name, str):
        name = "?"
    shape = graph_shape(name)
    everything = Subject((), "a graph")
    checker.check(declared, shape, everything)
    for needed in ("graph", "edges"):
        if needed not in declared:
            checker.note((), f"the key {needed!r} is missing")
    nodes = declared.get("nodes")
    if not isinstance(nodes, Mapping):
        return
    # Kind by kind, as the keys of a node depend on it.
    for node, entry in nodes.items():
        if isinstance(node, str):
            place = ("nodes", node)
            check_node(node, entry, place, checker)


def check_node(name: str, entry: object, path: KeyPath, checker: Checker) -> None:
    """Notes what is wrong with the declaration of one node."""
    if isinstance(entry, str):
        return
    if not isinstance(entry, Mapping):
        given = shown(entry)
        problem = f"node {name!r} is {given}; it must be 'module:name' or a mapping with a kind"
        checker.note(path, problem)
        return
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problem = _no_such_kind(name, kind)
        place = (*path, "kind") if "kind" in entry else path
        checker.note(place, problem)
        return
    values = dict(entry)
    del values["kind"]
    own = KINDS[kind](name)
    keys = {**own, **options(name), "reads": STATES, "adds": STATES, "sets": STATES}
    shape = Keys(f"{kind} {name!r}", keys, RENAMED.get(kind, {}))
    subject = Subject(path, name)
    checker.check(values, shape, subject)
    if kind == "sub-agent":
        target = entry.get("target")
        _check_target(name, target, path, checker)


def _no_such_kind(name: str, kind: object) -> str:
    given = shown(kind)
    kinds = ", ".join(KINDS)
    problem = f"node {name!r} is of kind {given}; in a file it is {kinds}, or 'module:name'"
    if not isinstance(kind, str):
        return problem
    hint = nearest(kind, KINDS)
    return f"{problem}; {hint}"


def _check_target(name: str, target: object, path: KeyPath, checker: Checker) -> None:
    """What a sub-agent stands for: a name, or a declaration of its own, as deep as they go."""
    if isinstance(target, Mapping):
        inside = (*path, "target")
        check_node(name, target, inside, checker)
    elif not WORD.fits(target):
        given = shown(target)
        problem = f"target of sub-agent {name!r} is {given}; it must be {NODE.words}, or a mapping with a kind"
        checker.note(path, problem)
