"""Every request that we render is one that the vendor's official SDK could have sent: its own types say so."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from graphflow.errors import BadRequest
from graphflow.messages.media import Media
from graphflow.model.seam import Request
from graphflow.model.turns import (
    AssistantTurn,
    TextPart,
    Thinking,
    ToolCall,
    ToolResult,
    ToolTurn,
    UserTurn,
)
from graphflow.providers.endpoints import open_at
from graphflow.providers.wires.json_object import Json
from graphflow.providers.wires.wire import render_request
from tests.conformance.corpus import Exchange, require_corpus
from tests.conformance.dialects import WIRES
from tests.conformance.neutral import read_request
from tests.conformance.sdk_check import SAMPLING, anthropic_types, problems
from tests.conformance.sdk_requests import (
    ASK,
    CANNOT,
    CASES,
    EXTRAS,
    MEDIA,
    MIMES,
    OWN,
    TARGETS,
    default,
    fitting,
    merged,
    rendered,
    shaped,
    tool,
)
from tests.conformance.sdk_schema import Strict
from tests.conformance.test_requests import ALL, request_of

RECORDED = [exchange for exchange in ALL if exchange.provider in TARGETS]
BOTH = (True, False)
by_wire = pytest.mark.parametrize("wire", TARGETS)


# -- (a) what was recorded -------------------------------------------------------------------------
def test_there_are_recordings_of_all() -> None:
    require_corpus()
    assert {exchange.provider for exchange in RECORDED} == TARGETS.keys()


@pytest.mark.parametrize(
    "exchange", RECORDED, ids=lambda e: f"{e.provider}/{e.name[:40]}[{e.position}]"
)
def test_recorded_requests(exchange: Exchange) -> None:
    assert exchange.request is not None
    recorded = exchange.request["json"]
    rich = read_request(exchange.provider, recorded, exchange.request["url"], keep=True)
    wire, dialect = WIRES[exchange.provider]
    if rich["output_schema"] and not rich["output_schema"]["strict"]:
        dialect = replace(dialect, strict=False)
    request = request_of(rich, exchange.provider, recorded)
    body = render_request(wire, request, rich["model"], stream=rich["stream"], dialect=dialect)
    assert problems(exchange.provider, body, rich["stream"]) == []


# -- (b) what was made by hand ---------------------------------------------------------------------
def _cases() -> Iterator[Any]:
    for wire in TARGETS:
        for name in CASES:
            if name not in CANNOT[wire]:
                yield pytest.param(wire, name, id=f"{wire}/{name}")


@pytest.mark.parametrize(("wire", "name"), list(_cases()))
def test_requests_by_hand(wire: str, name: str) -> None:
    for stream in BOTH:
        assert problems(wire, rendered(wire, CASES[name], stream), stream) == []


@by_wire
def test_parameters_of_the_providers_own(wire: str) -> None:
    for extra in EXTRAS[wire]:
        request = Request((ASK,), tools=(tool("weather"),), extra=extra)
        for stream in BOTH:
            body = rendered(wire, request, stream)
            assert extra.keys() - body.keys() <= {"store"}  # None takes a key away
            assert problems(wire, body, stream) == []


@by_wire
def test_all_in_one(wire: str) -> None:
    assert problems(wire, everything(wire)) == []


@by_wire
def test_what_cannot_be_said_is_listed(wire: str) -> None:
    refused = set()
    for name, request in CASES.items():
        try:
            rendered(wire, request)
        except BadRequest:
            refused.add(name)
    assert refused == CANNOT[wire]


def test_what_the_types_leave_out_is_listed() -> None:
    """A list that is out of date is a test that is left out for nothing."""
    plain = Strict(anthropic_types()[0])
    for name in SAMPLING:
        one: dict[str, Any] = {name: 1}
        body = rendered("anthropic", Request((ASK,), **one))
        assert [problem.split(":")[0] for problem in plain.problems(to_json(body))] == [name]


@by_wire
def test_what_is_sent_is_what_was_checked(wire: str) -> None:
    endpoint, name = TARGETS[wire]
    for stream in BOTH:
        model = open_at(endpoint, name, key="k", stream=stream)
        for case in CASES.keys() - CANNOT[wire]:
            sent = model.render(shaped(wire, CASES[case]))
            assert from_json(sent) == from_json(to_json(rendered(wire, CASES[case], stream)))


def test_the_cases_use_everything() -> None:
    every = [
        *CASES.values(),
        *(Request((ASK,), extra=extra) for extras in EXTRAS.values() for extra in extras),
    ]
    for field in fields(Request):
        assert any(getattr(request, field.name) != default(field.name) for request in every), (
            field.name
        )
    assert {(m.kind, bool(m.url), bool(m.file_id)) for m in MEDIA.values()} == {
        (kind, *source)
        for kind in MIMES
        for source in ((True, False), (False, True), (False, False))
    }


# -- (c) what comes by chance ----------------------------------------------------------------------
def _spoken(wire: str) -> st.SearchStrategy[Request]:
    """A conversation of any texts, names and bytes, and any numbers."""
    text = st.text(max_size=12)
    media = [MEDIA[name] for name in MEDIA if name in fitting(wire)]
    data = st.builds(
        Media,
        mime=st.just("image/png"),
        data=st.binary(min_size=1, max_size=9),
        name=text,
        detail=st.just(""),
    )
    user = st.builds(
        UserTurn,
        text | st.lists(text | st.sampled_from(media) | data, min_size=1, max_size=3).map(tuple),
    )
    call = st.builds(ToolCall, text, text, text | st.just('{"a": [1]}'), st.just({}))
    thought, *_, said, _ = OWN[wire].parts
    own = st.builds(replace, st.sampled_from([thought, said]), text=text)
    part = st.builds(TextPart, text) | st.builds(Thinking, text) | own | call
    calls = st.lists(call, max_size=3).map(tuple)
    model = st.builds(
        AssistantTurn,
        text,
        calls,
        st.lists(part, max_size=4).map(tuple),
        st.sampled_from(["", *OWN, wire]),
    )
    content = text | st.lists(text | data, max_size=2).map(tuple)
    tools = st.builds(
        ToolTurn,
        st.lists(st.builds(ToolResult, text, text, content, st.booleans()), min_size=1).map(tuple),
    )
    none = st.none()
    return st.builds(
        Request,
        st.lists(user | model | tools, min_size=1, max_size=5).map(tuple),
        system=text | st.lists(text, max_size=2).map(tuple),
        temperature=none | st.floats(0, 2),
        top_p=none | st.floats(0, 1),
        max_tokens=none | st.integers(1, 1 << 20),
        thinking=none
        | st.booleans()
        | st.integers(0, 1 << 16)
        | st.sampled_from(["low", "medium", "high"]),
        parallel_calls=none | (st.just(True) if wire == "gemini" else st.booleans()),
        tool_choice=none | text,
        json_mode=st.just(False) if wire == "anthropic" else st.booleans(),
        output_name=text,
    )


@by_wire
def test_any_request(wire: str) -> None:
    """Any conversation among any cases, in any order."""
    pieces = st.lists(st.sampled_from(fitting(wire)).map(CASES.__getitem__), max_size=6)

    @settings(max_examples=50, derandomize=True, database=None, deadline=None)
    @given(pieces, _spoken(wire), st.booleans())
    def holds(cases: list[Request], spoken: Request, stream: bool) -> None:
        request = merged([*cases[::2], spoken, *cases[1::2]])
        if request.output_schema is not None:
            request = replace(request, json_mode=False)
        # It has no way to say so beside tools.
        if wire == "gemini" and request.settings.parallel_calls is False:
            request = replace(request, settings=replace(request.settings, parallel_calls=None))
        assert problems(wire, rendered(wire, request, stream), stream) == []

    holds()


# -- the validators can fail -----------------------------------------------------------------------
FREE = {
    "parameters",
    "schema",
    "input_schema",
    "args",
    "response",
    "parametersJsonSchema",
    "responseJsonSchema",
}
"""Objects of any keys, by the types' own word."""
WORDS = {"gemini": {"mode", "thinkingLevel", "language", "outcome"}}
"""Keys whose values are words of a list; Gemini's SDK has no list for roles, and no `type`."""
NEEDED = {
    "gemini": {"name", "response", "data", "mimeType", "fileUri", "code", "language", "outcome"}
}
"""Keys without which an object is none; in Gemini's SDK the descriptions say so."""
TAGS = {"type", "role"}
UNNEEDED = {("fileData", "mimeType"), ("functionCall", "name")}
"""Beside `sdk_check.SPARED`: what the SDK says of a call is not that it needs a name."""


def everything(wire: str) -> Json:
    """A body that says all that the wire format can say."""
    return rendered(wire, merged(CASES[name] for name in fitting(wire)))


def typed(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where all objects are that the types describe."""
    if isinstance(body, dict):
        yield at
    for key, value in body.items() if isinstance(body, dict) else enumerate(body):
        if (
            isinstance(value, (dict, list))
            and key not in FREE
            and not (key == "input" and isinstance(value, dict))
        ):
            yield from typed(value, (*at, key))


def spoiled(body: Json, at: tuple[Any, ...], **changes: Any) -> Json:
    """The body with one object changed; `...` takes a key away."""
    body = found = deepcopy(body)
    for step in at:
        found = found[step]
    found.update(changes)
    for key in [key for key, value in changes.items() if value is ...]:
        del found[key]
    return body


def objects(wire: str) -> Iterator[tuple[Json, tuple[Any, ...], Json]]:
    """Each typed object of small bodies that say everything together, with the body that it is in."""
    seen = set()
    for name in fitting(wire):
        body = rendered(wire, CASES[name])
        for at in typed(body):
            found: Any = body
            for step in at:
                found = found[step]
            mark = repr(
                (
                    tuple(step for step in at if isinstance(step, str)),
                    sorted(found),
                    found.get("type"),
                )
            )
            if mark not in seen:  # one of a kind is enough
                seen.add(mark)
                yield body, at, found


@by_wire
def test_an_unknown_key_is_refused_everywhere(wire: str) -> None:
    places = list(objects(wire))
    assert len(places) > 30
    for body, at, _ in places:
        assert problems(wire, spoiled(body, at, unknown=1)), at


@by_wire
def test_a_wrong_word_is_refused_everywhere(wire: str) -> None:
    words = WORDS.get(wire, TAGS)
    told = [(body, at, key) for body, at, found in objects(wire) for key in words & found.keys()]
    assert {key for *_, key in told} == words
    for body, at, key in told:
        assert problems(wire, spoiled(body, at, **{key: "nonsense"})), (at, key)


@by_wire
def test_a_missing_key_is_refused_everywhere(wire: str) -> None:
    needed = NEEDED.get(wire, TAGS)
    told = [(body, at, key) for body, at, found in objects(wire) for key in needed & found.keys()]
    for body, at, key in told:
        if (*at[-1:], key) not in UNNEEDED:
            assert problems(wire, spoiled(body, at, **{key: ...})), (at, key)
    assert {key for *_, key in told} == needed


DEEP: dict[str, tuple[tuple[Any, ...], Json]] = {
    "openai-chat": (("messages", 1, "tool_calls", 1, "function"), {"name": ...}),
    "openai-responses": (("input", 2), {"call_id": ...}),
    "anthropic": (("messages", 2, "content", 1), {"tool_use_id": ...}),
    "gemini": (("contents", 2, "parts", 1, "functionResponse"), {"name": ...}),
}


@by_wire
def test_deep_in_a_conversation_nothing_is_overlooked(wire: str) -> None:
    body = rendered(wire, CASES["calls"])
    assert problems(wire, body) == []
    at, changes = DEEP[wire]
    for wrong in (changes, dict.fromkeys(changes, 7), {"unknown": 1}):
        assert problems(wire, spoiled(body, at, **wrong))
    assert problems(wire, body | {"unknown": None})
    first = next(iter(body.keys() & {"messages", "input", "contents"}))
    assert problems(wire, body | {first: {"0": body[first][0]}})
    if wire != "gemini":  # there the path says whether it streams
        assert problems(wire, body, stream=False)


def test_bytes_that_are_no_base64_are_refused() -> None:
    body = rendered("gemini", CASES["image-data"])
    at = ("contents", 0, "parts", 1, "inlineData")
    assert not problems("gemini", spoiled(body, at, data=b64encode(b"\xff\xfe").decode()))
    assert problems("gemini", spoiled(body, at, data="?"))
