"""Secrets through whole walks: masked where text enters, so that nobody behind that sees them."""

from __future__ import annotations

import asyncio
import functools
import json
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Failure, Graph, State, Store, node, tool
from graphflow.errors import (
    DeclarationError,
    MalformedReply,
    SecretInError,
    SecretInvalid,
    SecretUnknown,
)
from graphflow.events import Event, ModelDelta, SecretMasked, ToolPartial
from graphflow.messages.state import AnyState
from graphflow.model import Request
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finished,
    Kept,
    ModelEvent,
    Opened,
    TextDelta,
    ThinkingDelta,
)
from graphflow.model.turns import AssistantTurn, ToolTurn
from graphflow.security import Secrets
from graphflow.testing import ScriptedModel, calls

VALUE = "hunter2/swordfish&42"
OTHER = "correct-horse-battery"


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def secrets() -> Secrets:
    return Secrets({"door": VALUE, "barn": OTHER})


class Letter(BaseModel):
    text: str
    notes: dict[str, list[str]] = {}


def told(events: list[Event]) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [
        (event.node, event.where, event.names, event.places)
        for event in events
        if isinstance(event, SecretMasked)
    ]


@awaited
async def test_a_message_is_masked_before_a_node_sees_it() -> None:
    seen: list[Letter] = []

    @node
    def read(letter: Letter) -> str:
        seen.append(letter)
        return letter.text

    graph = Graph("post", START >> read >> END)
    letter = Letter(text=f"the key is {VALUE}.", notes={OTHER: ["x", VALUE]})
    run = await graph.run(letter, secrets=secrets())
    assert seen == [Letter(text="the key is [door].", notes={"[barn]": ["x", "[door]"]})]
    assert run.output == "the key is [door]."
    assert told(run.events) == [
        ("", "input", ("door", "barn", "door"), ("text:11", "notes.key:0", "notes.[barn].1:0"))
    ]


@awaited
async def test_an_answer_of_a_plain_node_is_masked_on_every_path() -> None:
    @node
    def leak(text: str) -> str:
        return text + VALUE

    @node
    async def go_on(text: str) -> str:
        return text.upper()

    graph = Graph("leaky", START >> leak >> go_on >> END)
    assert (await graph.run("a ", secrets=secrets())).output == "A [DOOR]"
    assert (await graph.run("a ")).output == f"a {VALUE}".upper()


@awaited
async def test_what_a_tool_prints_never_reaches_the_model() -> None:
    @tool
    def environment() -> str:
        """Show the variables."""
        return json.dumps({"DOOR": VALUE, "HOME": "/home"})

    model = ScriptedModel(calls("environment"), f"it is {VALUE}")
    agent = Agent("ops", tools=[environment], model=model, prompt="{{ text }} {{ deps }}")
    run = await Graph("ops", START >> agent >> END).run("go", deps=OTHER, secrets=secrets())
    assert run.output == "it is [door]"
    shown = repr(model.requests)
    assert VALUE not in shown
    assert OTHER not in shown
    results = model.requests[1].turns[-1]
    assert isinstance(results, ToolTurn)
    assert '"DOOR": "[door]"' in results.results[0].content
    assert {where for _, where, _, _ in told(run.events)} == {"prompt", "output", "text"}


@awaited
async def test_arguments_that_a_model_writes_are_masked_before_they_are_read() -> None:
    got: list[str] = []

    @tool
    def look(at: str) -> str:
        """Look."""
        got.append(at)
        return "seen"

    model = ScriptedModel(calls("look", at=f'a "{VALUE}"'), "done")
    agent = Agent("eye", tools=[look], model=model, prompt="{{ text }}")
    await Graph("eyes", START >> agent >> END).run("go", secrets=secrets())
    assert got == ['a "[door]"']


@dataclass
class Streaming:
    """A model that says what it is told to, piece by piece."""

    answers: list[list[ModelEvent]]
    name: str = "test:streaming"

    def __post_init__(self) -> None:
        self.requests: list[Request] = []

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        for event in self.answers.pop(0):
            await asyncio.sleep(0)
            yield event


def in_pieces(text: str, size: int = 3) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@awaited
async def test_each_channel_of_a_stream_is_masked_across_its_pieces() -> None:
    answer: list[ModelEvent] = []
    text, thought = in_pieces(f"so {VALUE}, hunter"), in_pieces(f"hm {VALUE} ok")
    for piece, other in zip(text, thought, strict=False):
        answer += [ThinkingDelta(other, 0), TextDelta(piece, 1)]
    answer += [TextDelta(piece, 2) for piece in text[len(thought) :]]
    answer.append(Finished("stop"))
    agent = Agent("talker", model=Streaming([answer]), prompt="{{ text }}")
    stream = Graph("talk", START >> agent >> END).stream("hi", secrets=secrets())
    said: dict[str, str] = {"text": "", "thinking": ""}
    async for event in stream:
        if isinstance(event, ModelDelta):
            said[event.channel] += event.text
    assert said == {"text": "so [door], hunter", "thinking": "hm [door] ok"}


@awaited
async def test_signed_thinking_that_holds_a_secret_is_dropped_and_not_edited() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    first: list[ModelEvent] = [
        Opened("anthropic"),
        ThinkingDelta(f"the key is {VALUE}", 0),
        Kept("thinking", 0, {"signature": "s1"}),
        ThinkingDelta("harmless", 1),
        Kept("thinking", 1, {"signature": "s2"}),
        CallDelta(2, "c1", "look", "{}"),
        Finished("tool_calls"),
    ]
    model = Streaming([first, [TextDelta("done"), Finished("stop")]])
    agent = Agent("thinker", tools=[look], model=model, prompt="{{ text }}")
    await Graph("thinks", START >> agent >> END).run("hi", secrets=secrets())
    turn = model.requests[1].turns[1]
    assert isinstance(turn, AssistantTurn)
    kept = [part.keep.get("signature") for part in turn.parts]
    assert kept == ["s2", None]
    assert "door" not in repr(turn)


@awaited
async def test_signed_thinking_of_an_answer_that_breaks_off_is_dropped_too() -> None:
    broken: list[ModelEvent] = [
        Opened("anthropic"),
        Kept("thinking", 0, {"signature": "s1"}),
        ThinkingDelta(f"the key is {VALUE} and so on", 0),
        ThinkingDelta("harmless", 1),
        Kept("thinking", 1, {"signature": "s2"}),
        TextDelta(f"it is {OTHER}, and"),
    ]
    agent = Agent("thinker", model=Streaming([broken]), prompt="{{ text }}")
    with pytest.raises(MalformedReply) as raised:
        await Graph("thinks", START >> agent >> END).run("hi", secrets=secrets())
    partial = raised.value.partial
    assert partial is not None
    assert [part.keep.get("signature") for part in partial.parts] == ["s2", None]
    assert partial.text == "it is [barn], and"
    assert VALUE not in repr(partial)


@awaited
async def test_a_source_of_a_text_that_was_changed_loses_its_stretch() -> None:
    answer: list[ModelEvent] = [
        TextDelta(f"{VALUE} is it"),
        Cited(url=f"https://x/{OTHER}", start=0, end=5),
        Finished("stop"),
    ]
    agent = Agent("cites", model=Streaming([answer]), prompt="{{ text }}")
    run = await Graph("cite", START >> agent >> END).run("hi", secrets=secrets())
    (source,) = next(event.sources for event in run.events if event.kind == "model.end")
    assert (source.url, source.start) == ("https://x/[barn]", None)


@awaited
async def test_pieces_of_a_streaming_tool_are_masked_together() -> None:
    @tool
    async def tail(query: str) -> AsyncIterator[str]:
        """Read a log."""
        for piece in in_pieces(f"log: {VALUE} end", 4):
            yield piece

    graph = Graph("tails", START >> tail >> END)
    stream = graph.stream("x", secrets=secrets())
    pieces = [event.piece async for event in stream if isinstance(event, ToolPartial)]
    assert "".join(pieces) == "log: [door] end"
    assert (await graph.run("x", secrets=secrets())).output == "log: [door] end"


@awaited
async def test_a_failure_says_nothing_of_a_secret() -> None:
    class Refused(Exception):
        def __init__(self, key: str) -> None:
            super().__init__(f"401 for {key}")
            self.key = key

    @node
    def ask(text: str) -> str:
        plain = VALUE
        try:
            raise ValueError(f"inner {plain}")
        except ValueError as inner:
            raise Refused(plain) from inner

    @node
    def mend(failure: Failure) -> str:
        return failure.error

    graph = Graph("asks", START >> ask >> END, ask[Failure] >> mend >> END)
    assert (await graph.run("x", secrets=secrets())).output == "401 for [door]"

    bare = Graph("bare", START >> ask >> END)
    with pytest.raises(Refused) as raised:
        await bare.run("x", secrets=secrets())
    import traceback

    shown = "".join(
        traceback.TracebackException.from_exception(raised.value, capture_locals=True).format()
    )
    assert "401 for [door]" in shown
    assert "inner [door]" in shown
    assert VALUE not in shown
    assert raised.value.key == "[door]"


@awaited
async def test_an_error_that_makes_its_text_anew_is_stood_in_for() -> None:
    class Stubborn(Exception):
        def __str__(self) -> str:
            return f"stubborn {VALUE}"

    @node
    def ask(text: str) -> str:
        raise Stubborn

    with pytest.raises(SecretInError, match=r"Stubborn: stubborn \[door\]") as raised:
        await Graph("asks", START >> ask >> END).run("x", secrets=secrets())
    assert raised.value.__context__ is None


@awaited
async def test_states_artifacts_and_what_code_tells_hold_no_secret() -> None:
    notes = State("notes", list[str], start=[], merge=lambda old, new: old + new)
    declared: list[AnyState] = [notes]

    @node(adds=declared)
    async def work(text: str, ctx: Context) -> str:
        ctx.add(notes, [VALUE])
        ctx.emit(f"saw {VALUE}", {"at": [OTHER]})
        ctx.keep(f"{VALUE}.txt", f"dump {OTHER}")
        return str(await ctx.once("token", lambda: VALUE))

    run = await Graph("works", START >> work >> END, state=declared).run("x", secrets=secrets())
    assert run.state[notes] == ["[door]"]
    (artifact,) = run.artifacts
    assert artifact.name == "[door].txt"
    assert run.payload(artifact) == b"dump [barn]"
    assert VALUE not in repr(run.events)
    assert OTHER not in repr(run.events)


@awaited
async def test_secrets_come_from_variables_files_and_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCK", "variable-value")
    (tmp_path / "db_password").write_text("file-value-1\n")
    found = Secrets(
        {"made": lambda: "function-value"}, env=["LOCK"], files=[tmp_path / "db_password"]
    )

    @node
    def leak(text: str) -> str:
        return "variable-value file-value-1 function-value"

    graph = Graph("leaky", START >> leak >> END)
    assert (await graph.run("x", secrets=found)).output == "[LOCK] [db_password] [made]"
    monkeypatch.setenv("LOCK", "another-value")
    assert "variable-value" in str((await graph.run("x", secrets=found)).output)


@awaited
async def test_what_cannot_be_read_is_refused_before_anything_runs(tmp_path: Path) -> None:
    ran: list[str] = []

    @node
    def work(text: str) -> str:
        ran.append(text)
        return text

    graph = Graph("works", START >> work >> END)
    with pytest.raises(SecretUnknown, match="NO_SUCH_LOCK, which is not set"):
        await graph.run("x", secrets=Secrets(env=["NO_SUCH_LOCK"]))
    with pytest.raises(SecretUnknown, match="there is no file"):
        await graph.run("x", secrets=Secrets(files=[tmp_path / "missing"]))
    with pytest.raises(SecretInvalid, match="5 characters"):
        await graph.run("x", secrets=Secrets({"pin": lambda: "12345"}))
    wrong: Any = {"door": VALUE}
    with pytest.raises(DeclarationError, match="give Secrets"):
        await graph.run("x", secrets=wrong)
    assert ran == []


def check_clear_of(folder: Path, value: str) -> None:
    """No file there is called by a value, or holds it."""
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert value not in str(path)
        assert value.encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
@pytest.mark.parametrize("option", ["id", "conversation", "session"])
@awaited
async def test_a_name_that_holds_a_secret_is_refused_before_anything_is_written(
    kind: str, option: str, tmp_path: Path
) -> None:
    ran: list[str] = []

    @node
    def work(text: str) -> str:
        ran.append(text)
        return text

    graph = Graph("works", START >> work >> END)
    where = tmp_path / "kept"
    named: Any = {option: f"of {OTHER}"}
    async with Store.open(f"{kind}:{where}") as store:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # session= is the former word
            with pytest.raises(SecretInvalid, match=r"of \[barn\]") as refused:
                await graph.run("x", store=store, secrets=secrets(), **named)
        assert OTHER not in str(refused.value)
        assert await store.runs() == []
        assert await store.conversations("works") == []
        chat = graph.chat("one", store=store, secrets=secrets())
        await chat.say("y")
        with pytest.raises(SecretInvalid):
            await chat.fork(OTHER)
        with pytest.raises(SecretInvalid):
            await chat.rename(OTHER)
        assert len(await store.conversations("works")) == 1
    assert ran == ["y"]
    check_clear_of(tmp_path, OTHER)


def test_secrets_show_and_pickle_nothing() -> None:
    import pickle

    given = secrets()
    opened = given.open()
    for each in (given, opened, opened.secret("door")):
        assert VALUE not in f"{each!r} {each} {vars(type(each))}"
        with pytest.raises(TypeError, match="must not be written"):
            pickle.dumps(each)
