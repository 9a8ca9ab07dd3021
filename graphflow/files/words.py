"""The words of a file: the keys of a graph and of each kind of node, and what may stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any, get_args

from graphflow.compaction.policies import POLICIES
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.hooks import Hooks
from graphflow.declaration.node import Isolation
from graphflow.declaration.options import Retry
from graphflow.files.document import PlainMapping
from graphflow.files.plugs import is_plugged, meant_word, one_of_seam
from graphflow.files.sources import KeyPath
from graphflow.files.values import (
    ANY,
    AT_LEAST_0,
    AT_LEAST_1,
    COUNT,
    COUNT_OR_NONE,
    NOT_EMPTY,
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
from graphflow.journal.key_ring import is_place
from graphflow.keywords import RENAMED
from graphflow.limits import Limits, Quota
from graphflow.messages.state import SCOPES
from graphflow.model.conversation import Remembers
from graphflow.model.settings import SETTINGS
from graphflow.plugins.seams import CONTEXTS, MEMORIES
from graphflow.plugins.seams import KINDS as KIND_SEAM
from graphflow.plugins.seams import POLICIES as POLICY_SEAM
from graphflow.policy import EFFECTS
from graphflow.providers.structured_output import Way


def _is_address(value: object) -> bool:
    return isinstance(value, str) and ":" in value


WITH_COLON: Mapping[str, object] = {"type": "string", "pattern": ":"}
TRUTH_OR_SECONDS = Plain(
    "true, false or a number of seconds",
    lambda value: TRUTH.fits(value) or AT_LEAST_0.fits(value),
    {"anyOf": [TRUTH.schema, AT_LEAST_0.schema]},
)
TYPE = Plain("a type: str, list[module:Name]...", WORD.fits, NOT_EMPTY)
ADDRESS = Plain("a function of the project, 'module:name'", _is_address, WITH_COLON)
STATES = ListOf(Plain("the name of a state", WORD.fits, NOT_EMPTY))
GUARDS = ListOf(
    Plain("a guard in one text, 'Length(2000)', or 'module:name'", WORD.fits, NOT_EMPTY)
)
STATE = Keys("a state", {"type": TYPE, "start": ANY, "merge": WORD, "scope": one_of(SCOPES)})
FIELD = Either(
    TYPE,
    mapping=Keys(
        "a field",
        {
            "type": TYPE,
            "default": ANY,
            "description": TEXT,
            **dict.fromkeys(("gt", "ge", "lt", "le"), NUMBER),
            "multiple_of": POSITIVE,
            **dict.fromkeys(("min_length", "max_length"), COUNT_OR_NONE),
            "pattern": TEXT,
        },
    ),
)
MESSAGE = Keys("a message", {"description": TEXT, "fields": MappingOf(FIELD)})
MEMORY = Keys(
    "a memory",
    {
        "kind": one_of_seam(MEMORIES),
        "at": WORD,
        "key": Plain("where a key stands, 'env:NAME' or 'file:PATH'", is_place, WITH_COLON),
        "scope": TEXT,
        "limit": COUNT,
        "last": COUNT,
        "max_notes": COUNT,
        "max_age_s": maybe(POSITIVE),
        "source": TEXT,
        "on_error": one_of(("raise", "skip")),
        "timeout_s": POSITIVE,
        "embedder": WORD,
    },
    is_foreign=partial(is_plugged, MEMORIES, key="kind"),
)
MOMENT = Plain(
    "a time with its zone, '2030-01-31T12:00:00Z', or a function of the project, 'module:name'",
    _is_address,
    WITH_COLON,
)
NODE = Plain("the name of a node, or 'module:name'", WORD.fits, NOT_EMPTY)
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
            {"type": ["boolean", "integer", "string"]},
        )
    ),
    "extra": Either(NOTHING, mapping=MappingOf(ANY)),
}


def _retry_policy() -> Keys:
    """The keys of `retry` of a model."""
    shapes: dict[str, ValueShape] = {
        "attempts": COUNT,
        "factor": AT_LEAST_1,
        "restart": TRUTH,
        **dict.fromkeys(("wait_s", "max_wait_s", "total_s"), AT_LEAST_0),
    }
    return Keys("retry of a model", shapes, RENAMED["RetryPolicy"])


def _model(depth: int = 3) -> Either:
    """A model: its name, its name with options, or several to fall back on. Providers have further options of their own."""
    timeouts = dict.fromkeys(("connect_s", "first_s", "idle_s", "whole_s"), maybe(POSITIVE))
    keys: dict[str, ValueShape] = {
        "name": WORD,
        "key": ANY,
        "keys": ANY,
        "credentials": Plain("a function of the project, 'module:name'", _is_address, WITH_COLON),
        "base_url": WORD,
        "timeouts": Keys("timeouts", timeouts),
        "retry": Either(COUNT, mapping=_retry_policy()),
        "rpm": POSITIVE,
        "tpm": POSITIVE,
        "stream": TRUTH,
        "headers": MappingOf(TEXT),
        "extra": MappingOf(ANY),
        "output": one_of(get_args(Way)),
        "failover": ListOf(_model(depth - 1)) if depth else ANY,
        "cooldown_s": AT_LEAST_0,
        "restart": TRUTH,
    }
    named = Plain(
        "provider:model", lambda value: value is None or WORD.fits(value), maybe(WORD).schema
    )
    return Either(named, mapping=Keys("a model", keys, is_open=True))


MODEL = _model()


def _is_policy_word(value: object) -> bool:
    return value is None or POLICY_SEAM.has(value)


def _is_plugged_policy(value: PlainMapping) -> bool:
    return "policy" in value


_POLICY = Plain(
    "left out, or the name of a plug-in",
    _is_policy_word,
    maybe(WORD).schema,
    partial(meant_word, POLICY_SEAM, ()),
)


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
        **dict.fromkeys(("paths", "write_paths", "hosts"), Either(NOTHING, listed=TEXTS)),
    }
    return {
        "retry": Either(maybe(COUNT), mapping=Keys(f"retry of {whose!r}", retry, RENAMED["Retry"])),
        "timeout_s": maybe(POSITIVE),
        "cache": TRUTH_OR_SECONDS,
        "approval": TRUTH,
        "approval_timeout_s": maybe(POSITIVE),
        "quota": Keys(
            f"the quota of {whose!r}", dict.fromkeys(Quota.__dataclass_fields__, maybe(AT_LEAST_0))
        ),
        "policy": Either(
            _POLICY, mapping=Keys(f"the policy of {whose!r}", rules, is_foreign=_is_plugged_policy)
        ),
    }


def limits(what: str) -> Keys:
    """The keys of limits."""
    shapes = {
        name: AT_LEAST_1 if name in ("laps", "concurrency") else AT_LEAST_0
        for name in Limits.__dataclass_fields__
    }
    shapes["unpriced"] = one_of(("tell", "end"))
    return Keys(what, {name: maybe(shape) for name, shape in shapes.items()})


def _is_policy(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return value in POLICIES or _is_address(value) or CONTEXTS.has(value)


def _context(name: str) -> Either:
    """A context policy: its word, or its word with its options."""
    keys: dict[str, ValueShape] = {
        "policy": one_of_seam(CONTEXTS),
        "results": AT_LEAST_0,
        "max_tokens": maybe(COUNT),
        "pins": TEXTS,
        "full": POSITIVE,
        "target": POSITIVE,
        "head": AT_LEAST_0,
        "model": MODEL,
        "words": COUNT,
        "instructions": TEXT,
    }
    word = Plain(
        f"one of {', '.join(POLICIES)}, or a function of the project, 'module:name'",
        _is_policy,
        {"anyOf": [{"enum": list(POLICIES)}, WITH_COLON]},
        partial(meant_word, CONTEXTS, CONTEXTS.built_in),
    )
    is_foreign = partial(is_plugged, CONTEXTS, key="policy")
    shape = Keys(f"the context policy of {name!r}", keys, is_foreign=is_foreign)
    return Either(word, mapping=shape)


def _agent(name: str) -> dict[str, ValueShape]:
    handoff: dict[str, ValueShape] = dict.fromkeys(Handoff.__dataclass_fields__, ANY)
    handoff |= {"target": NODE, "conversation": TRUTH, "description": TEXT, "laps": maybe(COUNT)}
    return {
        "model": MODEL,
        "input": TYPE,
        "output": TYPE,
        "prompt": TEXT,
        "prompt_file": WORD,
        "system": TEXT,
        "system_file": WORD,
        "system_function": ADDRESS,
        "examples": ListOf(Plain("a list of two: the message, the answer", _is_pair, PAIR)),
        "description": TEXT,
        "tools": ListOf(NODE),
        "sub_agents": ListOf(NODE),
        "handoffs": ListOf(Either(NODE, mapping=Keys(f"a hand-over of {name!r}", handoff))),
        "mcp": ListOf(NODE),
        "recalls": ListOf(NODE),
        "max_turns": COUNT,
        "repairs": COUNT_OR_NONE,
        "remembers": one_of(get_args(Remembers)),
        "max_parallel_calls": COUNT,
        "context": _context(name),
        **{setting: SETTING_SHAPES.get(setting, ANY) for setting in SETTINGS},
    }


def _router(name: str) -> dict[str, ValueShape]:
    return {
        "rule": ADDRESS,
        "labels": Either(mapping=MappingOf(TEXT), listed=TEXTS),
        "guards": MappingOf(ADDRESS),
        "examples": MappingOf(TEXTS),
        "back_to": TEXTS,
        "cascade": ListOf(NODE),
        "model": MODEL,
        "probabilities": TRUTH,
        "explain": TRUTH,
        "embedder": TEXT,
        "threshold": maybe(NUMBER),
        "otherwise": maybe(TEXT),
        "input": TYPE,
        "prompt": TEXT,
        "prompt_file": WORD,
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
        "listed": COUNT,
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
        "scope": one_of(("run", "conversation", "process")),
        "idle_s": POSITIVE,
        "max_open": COUNT,
        "effects": ListOf(one_of(EFFECTS)),
        "trust_hints": TRUTH,
        "connect_s": POSITIVE,
        "handshake": TRUTH,
    }


_SHARED_BY_GRAPHS = ("include", "messages")
"""What a file has for all of its graphs."""
_OF_FILES = ("$schema", "graph", *_SHARED_BY_GRAPHS)
"""The keys of a graph that only that of the file itself has."""


def _graph(name: str) -> dict[str, ValueShape]:
    """A graph that stands in the place of a node."""
    shape = graph_shape(name)
    return {key: value for key, value in shape.keys.items() if key not in _OF_FILES}


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
    "graph": _graph,
}
"""The words of each kind, beside those that all have."""


_NAMED = Either(mapping=MappingOf(WORD), listed=TEXTS)
SECRETS = Either(
    NOTHING, mapping=Keys("secrets", {"env": _NAMED, "files": _NAMED, "patterns": _NAMED})
)


PAIR: Mapping[str, object] = {"type": "array", "minItems": 2, "maxItems": 2}


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def graph_shape(name: str) -> Keys:
    """The keys of a graph. What its nodes hold is checked kind by kind."""
    return Keys(
        "a graph",
        {
            "$schema": TEXT,
            "graph": WORD,
            "include": ListOf(maybe(Plain("the name of a file", WORD.fits, NOT_EMPTY)), alone=True),
            "model": MODEL,
            "limits": limits("limits"),
            "input": TYPE,
            "ends": one_of(("one", "first", "all")),
            "untrusted": one_of(("refuse", "warn")),
            "description": TEXT,
            "deps": TYPE,
            "secrets": SECRETS,
            "claims": ListOf(
                Plain("a claim in one text, 'Before(approve, refund)'", TEXT.fits, TEXT.schema)
            ),
            "messages": Either(NOTHING, mapping=MappingOf(MESSAGE)),
            "state": Either(NOTHING, mapping=MappingOf(STATE)),
            "uses": Either(NOTHING, mapping=MappingOf(STATE)),
            "memories": Either(NOTHING, mapping=MappingOf(MEMORY)),
            **options(name),
            **dict.fromkeys(("reads", "adds", "sets"), STATES),
            "nodes": Either(NOTHING, mapping=MappingOf(ANY)),
            "edges": ListOf(
                Plain("an arrow in one text, 'START >> a >> END'", TEXT.fits, TEXT.schema)
            ),
        },
    )


_NEEDED = {"graph": "graph: NAME", "edges": 'edges: ["START >> a >> END"]'}
"""The keys that every graph has."""


def check_graph(declared: PlainMapping, checker: Checker) -> None:
    """Notes what is wrong with a graph's declaration, nodes included."""
    name = declared.get("graph")
    if not isinstance(name, str):
        name = "?"
    shape = graph_shape(name)
    everything = Subject((), "a graph")
    checker.check(declared, shape, everything)
    for needed, example in _NEEDED.items():
        if needed not in declared:
            checker.note((), f"the key {needed!r} is missing; write {example}")
    _check_nodes(declared, (), checker)


def _check_nodes(declared: PlainMapping, path: KeyPath, checker: Checker) -> None:
    """Notes what is wrong with the nodes of a graph that stands there."""
    nodes = declared.get("nodes")
    if not isinstance(nodes, Mapping):
        return
    # Kind by kind, as the keys of a node depend on it.
    for node, entry in nodes.items():
        if isinstance(node, str):
            place = (*path, "nodes", node)
            check_node(node, entry, place, checker)


def shared_shapes(name: str) -> dict[str, ValueShape]:
    """The keys that nodes of every kind have."""
    keys = {**options(name), "reads": STATES, "adds": STATES, "sets": STATES}
    hooks = {stage: ListOf(ADDRESS) for stage in Hooks.__dataclass_fields__}
    keys["hooks"] = Keys(f"the hooks of {name!r}", hooks)
    return {**keys, "before": GUARDS, "after": GUARDS, "checked": TRUTH}


SHARED_WORDS = frozenset(shared_shapes(""))
CALLEE_KEYS = ("calls", "tools", "sub_agents")
"""Options that name other nodes, whichever kind has them."""


_OUR_KINDS = list(KINDS)
"""A list, as somebody may write anything in its place: what has no hash, too."""


def node_shape(kind: str, name: str) -> Keys:
    """The keys of a node, but for its kind."""
    own = KINDS[kind](name)
    return Keys(f"{kind} {name!r}", {**own, **shared_shapes(name)}, RENAMED.get(kind, {}))


def _plugged_shape(kind: str, name: str) -> Keys:
    """The keys of a node whose kind is a plug-in's, which looks at its own."""
    keys = {**shared_shapes(name), **dict.fromkeys(CALLEE_KEYS, ListOf(NODE))}
    keys |= {"model": MODEL, "input": TYPE, "output": TYPE, "type": TYPE}
    return Keys(f"{kind} {name!r}", keys, is_open=True)


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
    is_ours = kind in _OUR_KINDS
    if not isinstance(kind, str) or not (is_ours or KIND_SEAM.has(kind)):
        problem = _no_such_kind(name, kind)
        place = (*path, "kind") if "kind" in entry else path
        checker.note(place, problem)
        return
    values = dict(entry)
    del values["kind"]
    if kind == "graph":
        _check_inner_graph(name, values, path, checker)
    shape_of = node_shape if is_ours else _plugged_shape
    shape = shape_of(kind, name)
    subject = Subject(path, name)
    checker.check(values, shape, subject)
    if kind == "sub-agent":
        target = entry.get("target")
        _check_target(name, target, path, checker)


def _check_inner_graph(
    name: str, values: dict[object, object], path: KeyPath, checker: Checker
) -> None:
    """Notes what is wrong with a graph in the place of a node, but for its keys; those that are the file's are taken out."""
    for key in _SHARED_BY_GRAPHS:
        if values.pop(key, None) is not None:
            problem = f"{key} cannot stand in the graph {name!r}; move it to the top of the file, for all of its graphs"
            checker.note((*path, key), problem)
    if "edges" not in values:
        checker.note(path, f"the key 'edges' is missing; write {_NEEDED['edges']}")
    _check_nodes(values, path, checker)


def _no_such_kind(name: str, kind: object) -> str:
    every = [*KINDS, *KIND_SEAM.plugged()]
    kinds = ", ".join(every)
    if kind is None:
        return f"node {name!r} has no kind; write kind: agent, or another of {kinds}"
    given = shown(kind)
    problem = f"node {name!r} is of kind {given}; in a file it is {kinds}, or 'module:name'"
    if not isinstance(kind, str):
        return f"{problem}; write one of these"
    hint = nearest(kind, every)
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
