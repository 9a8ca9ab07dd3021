"""Replies, servers, tools and users that mean no good, or just do odd things: nothing hangs, leaks, or escapes its type."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from graphflow import (
    END,
    START,
    Agent,
    Failover,
    Graph,
    Limits,
    connect,
    errors,
    record,
    replay,
    tool,
)
from graphflow.events import ModelPartial
from graphflow.kinds.output import output_schema, read_output
from graphflow.messages.media import media_in
from graphflow.model.reply import ReplyBuilder, gather
from graphflow.model.seam import (
    CallDelta,
    Finished,
    ModelEvent,
    Opened,
    Request,
    Retried,
    Switched,
    TextDelta,
    UsageDelta,
)
from graphflow.model.turns import UserTurn
from graphflow.providers import Timeouts
from graphflow.providers.faults import retry_after
from graphflow.providers.http import _clients
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.pace import Bucket
from graphflow.providers.prompted_tools import read_call_or_answer, schema_of
from graphflow.providers.reply_reader import ReplyReader
from graphflow.providers.structured_output import AnswerReader, fit
from graphflow.providers.tries import Tries
from graphflow.redaction import scrub
from graphflow.testing import ScriptedModel, gives, says
from tests.conformance.dialects import WIRES
from tests.conftest import heard, walk
from tests.effort import soon
from tests.providers.raw_server import RawServer, head, reply
from tests.providers.reach import model, server
from tests.providers.test_faults import CHAT, RATE, bodies
from tests.strict import Answer
from tests.waiting import patience

ASKED = Request((UserTurn("hi"),))


def ask(
    asked: Any, heard: list[ModelEvent] | None = None, request: Request = ASKED, seconds: float = 45
) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(seconds):
            return await gather(asked.stream(request), None if heard is None else heard.append)

    return asyncio.run(main())


# -- replies ---------------------------------------------------------------------------------------
ODD: tuple[Any, ...] = (
    None,
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    [],
    [None],
    {},
    {"a": 1},
    [[]],
    "\ud83c",
    1e308,
)


def spots(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    for key, inner in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        found += spots(inner, (*at, key))
    return found


def put(value: Any, at: tuple[Any, ...], odd: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = odd
    return made


def payloads(dialect: str, body: bytes) -> list[Any]:
    lines = [line[5:] if line.startswith(b"data:") else line for line in body.splitlines()]
    return [json.loads(line) for line in lines if line.strip().startswith(b"{")]


@pytest.mark.parametrize(
    "dialect",
    ["openai-chat", "openai-responses", "anthropic", "gemini", "ollama", "mistral", "groq"],
)
def test_a_field_of_the_wrong_type_is_a_malformed_reply(dialect: str) -> None:
    events = payloads(dialect, BODIES[dialect])
    wire, spoken = WIRES[dialect]
    tried = 0
    for number, event in enumerate(events):
        for at in spots(event):
            for odd in ODD:
                changed = [*events[:number], put(event, at, odd), *events[number + 1 :]]
                lines = [json.dumps(each).encode() for each in changed]
                raw = b"".join(
                    line + b"\n" if wire.framing == "ndjson" else b"data: " + line + b"\n\n"
                    for line in lines
                )
                reader, builder = ReplyReader(wire, spoken, dialect), ReplyBuilder()
                tried += 1
                try:
                    for got in [
                        *reader.feed(raw + b"data: [DONE]\n\n" * (wire.framing == "sse")),
                        *reader.end(),
                    ]:
                        builder.add(got)
                    whole = builder.whole()
                except errors.ModelError:
                    continue
                assert isinstance(
                    whole.text
                    + whole.model
                    + "".join(c.id + c.name + c.arguments for c in whole.calls),
                    str,
                )
                assert 0 <= whole.input_tokens < 10**12
                assert 0 <= whole.output_tokens < 10**12
    assert tried > 500


BODIES = bodies()


@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"details":5}}',
        '{"detail":[{"loc":null}]}',
        '{"error":[1]}',
        "[]",
        "5",
        '{"message":{"detail":5}}',
    ],
)
@pytest.mark.parametrize("status", [400, 422, 429, 500])
def test_a_failure_like_no_other_is_still_typed(body: str, status: int) -> None:
    with RawServer(reply(body.encode(), status)) as raw, pytest.raises(errors.ModelError) as caught:
        ask(connect("compatible:m", base_url=raw.url, retry=1))
    assert caught.value.status == status


@pytest.mark.parametrize("count", ["NaN", "-1000000", "1e400", '"5"', "[1]", "true"])
def test_limits_and_pace_survive_hostile_counts(count: str) -> None:
    usage = CHAT.replace(b'"prompt_tokens":3', b'"prompt_tokens":' + count.encode())
    with RawServer([head() + usage]) as raw:
        asked = connect("compatible:m", base_url=raw.url, tpm=60_000)
        run = walk(
            Graph("g", START >> Agent("a") >> Agent("b") >> END, limits=Limits(tokens=3000)),
            "x",
            model=asked,
        )
    assert run.output == "Hello world"
    assert run.usage.input_tokens == 0
    bucket = Bucket(60)
    for amount in (float("-inf"), float("nan"), float("inf")):
        bucket.give(amount)
    assert bucket.level == 60


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("answer", "```json\n" + " " * 4000 + "x" + " " * 4000),
        ("fence", "```json\n" + "\n" * 60_000),
        ("page", "<html>" + "<" * 120_000),
        ("style", "<html>" + "<style" * 40_000),
    ],
)
def test_no_text_blocks_the_loop(what: str, text: str) -> None:
    from graphflow.providers.faults import read_body

    with soon():
        if what == "answer":
            read_call_or_answer(text)
        elif what == "fence":
            with pytest.raises(errors.OutputInvalid):
                read_output(text, dict[str, str], False)
        else:
            read_body(text.encode())


def test_leading_blank_lines_cost_nothing_much() -> None:
    wire, spoken = WIRES["openai-chat"]
    reader = ReplyReader(wire, spoken, "x")
    with soon():
        for _ in range(2000):
            reader.feed(b"\n" * 2048)
    lines = b"".join(b"data: " + b"x" * 1_000_000 + b"\n" for _ in range(20))
    with pytest.raises(errors.MalformedReply, match="larger than"):
        reader.feed(lines)


def test_two_calls_under_one_number_are_two_calls() -> None:
    def chunk(**call: Any) -> bytes:
        return (
            b"data: "
            + json.dumps({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).encode()
            + b"\n\n"
        )

    for index in ({"index": 0}, {}):
        wire, spoken = WIRES["openai-chat"]
        reader, builder = ReplyReader(wire, spoken, "x"), ReplyBuilder()
        one = chunk(**index, id="c0", function={"name": "f", "arguments": '{"a":1}'})
        two = chunk(**index, id="c1", function={"name": "f", "arguments": '{"a":2}'})
        for event in [
            *reader.feed(
                one + two + CHAT[CHAT.index(b'data: {"choices":[{"index":0,"delta":{},') :]
            ),
            *reader.end(),
        ]:
            builder.add(event)
        assert [(c.id, c.arguments) for c in builder.whole().calls] == [
            ("c0", '{"a":1}'),
            ("c1", '{"a":2}'),
        ]


# -- keys ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hint", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_several_keys_are_no_endless_loop(hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphflow.providers.keys.SHORTEST_REST_S", 0.01)
    with RawServer(reply(RATE, 429, retry_after=hint)) as raw, pytest.raises(errors.RateLimited):
        ask(
            connect(
                "compatible:m", base_url=raw.url, keys=["key-one-aaaa", "key-two-bbbb"], retry=2
            )
        )
    assert len(raw.requests) <= 4


def test_a_hint_that_makes_no_sense_is_no_hint() -> None:
    for hint in ("Sat, 21 Nov 99999999999999999999 00:00:00 GMT", "-5", "nan", "inf", "soon"):
        assert retry_after({"retry-after": hint}) is None


def test_no_request_goes_out_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def main() -> None:
        asked: Any = connect("openai:m", keys=["key-one-aaaa", "key-two-bbbb"])
        for key in asked.keys.keys:
            asked.keys.rest(key, 1.0)

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 1:
                for key in asked.keys.keys:
                    asked.keys.rest(key, 1.0)  # others have run into the limit meanwhile
            asked.keys._until = {} if len(slept) == 2 else asked.keys._until

        monkeypatch.setattr("graphflow.providers.tries.asyncio.sleep", sleep)
        assert await Tries(asked.name, asked.keys, asked.options.retry).next_key() is not None

    asyncio.run(main())
    assert len(slept) == 2


def test_a_flagged_prompt_does_not_cost_a_key() -> None:
    flagged = b'{"error":{"code":403,"message":"Input flagged by moderation"}}'
    with RawServer(reply(flagged, 403)) as raw:
        asked: Any = connect(
            "openrouter:m", base_url=raw.url, keys=["key-one-aaaa", "key-two-bbbb"]
        )
        with pytest.raises(errors.ContentFiltered):
            ask(asked)
    assert set(asked.keys.state.values()) == {"ready"}
    ring = Keyring([Key("key-one", "one")], clock=lambda: 0.0)
    ring.rest(ring.keys[0], 1e300)
    assert ring.soonest() == 3600


def test_what_httpx_raised_is_not_reachable_from_the_error() -> None:
    for at in ("http://127.0.0.1:9", "http://127.0.0.1:99999"):
        with pytest.raises(errors.ModelError) as caught:
            ask(connect("anthropic:m", key="canary-key-123456", base_url=at, retry=1))
        seen, chain = caught.value, []
        while seen is not None:
            chain.append(seen)
            seen = seen.__cause__ or seen.__context__  # type: ignore[assignment]
        assert all(isinstance(error, (errors.ModelError, TimeoutError)) for error in chain), chain


def test_a_secret_header_that_is_echoed_is_hidden() -> None:
    long = "x" * 1990 + "canary-header-123456"
    for text in ("bad canary-header-123456", long):
        body = json.dumps({"error": {"message": text, "code": "canary-header-123456"}}).encode()
        with RawServer(reply(body, 401)) as raw, pytest.raises(errors.AuthError) as caught:
            ask(
                connect(
                    "compatible:m", base_url=raw.url, headers={"X-Api-Key": "canary-header-123456"}
                )
            )
        assert (
            "canary-h" not in f"{caught.value} {caught.value.code} {caught.value.provider_message}"
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:1"), ("HTTP_PROXY", "foo://x"), ("SSL_CERT_FILE", "/none")],
)
def test_an_odd_environment_is_a_typed_error(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("graphflow.providers.http._tls", [])
    with pytest.raises(errors.ModelError):
        ask(connect("openai:m", key="k", base_url="http://127.0.0.1:9", retry=1))


def test_headers_that_http_does_not_allow() -> None:
    with pytest.raises(errors.BadRequest, match="header"):
        ask(
            connect(
                "openai:m",
                key="k",
                base_url="http://127.0.0.1:9",
                headers={"X-Title": "Ünïcode"},
                retry=1,
            )
        )
    with RawServer([head() + CHAT]) as raw:
        ask(
            connect(
                "openai:m",
                key="k",
                base_url=raw.url,
                headers={"Authorization": "Bearer own", "Content-Type": "x/y"},
            )
        )
    assert raw.requests[0].lower().count(b"authorization:") == 1
    assert b"Bearer own" in raw.requests[0]


def test_half_a_character_in_a_message_is_no_crash() -> None:
    with RawServer([head() + CHAT]) as raw:
        assert ask(
            connect("openai:m", key="k", base_url=raw.url),
            request=Request((UserTurn("caf\udce9 ☕"),)),
        ).text
    assert "☕" in raw.requests[0].decode()


def test_loops_that_are_closed_without_a_word_are_forgotten() -> None:
    with RawServer([head() + CHAT]) as raw:
        asked = connect("openai:m", key="k", base_url=raw.url)
        for _ in range(5):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(gather(asked.stream(ASKED)))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        assert not _clients


def test_a_server_by_its_listening_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, meant in (
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
    ):
        monkeypatch.setenv("OLLAMA_HOST", given)
        assert connect("ollama:m").base_url == meant  # type: ignore[attr-defined]


# -- failover --------------------------------------------------------------------------------------
class Always:
    def __init__(self, name: str, error: errors.ModelError) -> None:
        self.name = name
        self.error = error
        self.asked = 0

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        self.asked += 1
        yield Opened("x")
        raise self.error


def test_routes_that_lead_in_a_circle_end() -> None:
    a, b = Always("a", errors.ContextOverflow("long")), Always("b", errors.ContentFiltered("no"))
    both = Failover(a, b, route={errors.ContextOverflow: b, errors.ContentFiltered: a})
    with pytest.raises(errors.ContentFiltered):
        ask(both)
    assert (a.asked, b.asked) == (1, 1)


def test_two_servers_of_one_model_are_two_members() -> None:
    bad, good = Always("same", errors.Overloaded("busy")), ScriptedModel(says("one"), says("two"))
    good.name = "same"
    both = Failover(bad, good)
    assert [ask(both).text, ask(both).text] == ["one", "two"]
    assert bad.asked == 1


def test_a_missing_key_of_the_second_does_not_hide_the_first_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    both = Failover(Always("a", errors.Overloaded("busy")), "anthropic:m")
    heard: list[ModelEvent] = []
    with pytest.raises(errors.KeyMissing) as caught:
        ask(both, heard)
    assert "Overloaded: busy" in caught.value.__notes__[0]
    assert [type(event) for event in heard if isinstance(event, Switched)] == [Switched]


# -- structured output -----------------------------------------------------------------------------
def test_partial_objects_are_few_even_if_the_answer_is_long() -> None:
    class Long(BaseModel):
        items: list[str]

    answer = Long(items=[f"item {n} of a long list" for n in range(2000)])
    run = walk(
        Graph("g", START >> Agent("a", output=Long) >> END),
        "x",
        model=ScriptedModel(gives(answer)),
        observed=True,
    )
    partial = [event.value for event in heard(run) if isinstance(event, ModelPartial)]
    assert 10 < len(partial) < 60
    assert partial[-1] == answer.model_dump()
    assert sum(len(str(value)) for value in partial) < 6 * len(str(partial[-1])), (
        "no square of what was said"
    )


def test_an_answer_given_twice_or_with_words_around_it() -> None:
    answer = [
        CallDelta(0, "c", "final_answer", '{"a":1}'),
        CallDelta(1, "d", "final_answer", '{"a":1}'),
    ]
    seen = AnswerReader().events([TextDelta("Filling {a}: "), *answer, Finished("tool_calls", "x")])
    assert "".join(e.text for e in seen if isinstance(e, TextDelta)) == '{"a":1}'
    assert seen[-1] == Finished("stop", "x")
    plain = AnswerReader().events([TextDelta('{"a":1}'), Finished("stop", "x")])
    assert plain == [TextDelta('{"a":1}'), Finished("stop", "x")]


def test_a_users_tool_of_the_answers_name_stays_the_users() -> None:
    @tool(name="final_answer")
    async def own(text: str) -> str:
        """Mine."""
        return "called"

    class City(BaseModel):
        name: str

    script = [
        Answer(calls=(("final_answer", {"text": "x"}),)),
        Answer(calls=(("final_answer_2", {"name": "Oslo"}),)),
    ]
    graph = Graph("g", START >> Agent("a", tools=[own], output=City) >> END)
    with server("openai", script) as strict:
        run = walk(graph, "x", model=model("openai", strict, output="tool"))
        assert strict.refused == []
    assert run.output == City(name="Oslo")
    assert run.usage.tool_calls == 1


def test_an_output_without_a_strict_form_beside_thinking() -> None:
    class Open(BaseModel):
        a: int
        d: dict[str, int] = {}

    with server("anthropic", [Answer(thinking="Hm.", text='{"a": 1}')]) as strict:
        run = walk(
            Graph("g", START >> Agent("a", output=Open, thinking=2048) >> END),
            "x",
            model=model("anthropic", strict),
        )
        assert strict.refused == []
        assert run.output == Open(a=1)


def test_types_that_are_hard_to_say() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        day: __import__("datetime").date  # type: ignore[valid-type]
        pair: tuple[int, int]

    assert read_output('{"day":"2020-01-01","pair":[1,2]}', Strict, False).pair == (1, 2)
    schema, _ = output_schema(tuple[int, str])
    assert schema is not None
    assert fit(schema, "strict")[1] is False


def test_definitions_of_two_tools_do_not_mix() -> None:
    from graphflow.model.seam import ToolSpec

    def spec(name: str, kind: str) -> ToolSpec:
        shape = {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/P"}},
            "$defs": {"P": {"type": kind}},
        }
        return ToolSpec(name, "", shape)

    schema = schema_of(Request((UserTurn("x"),), tools=(spec("a", "string"), spec("b", "integer"))))
    assert schema is not None
    assert schema["$defs"] == {"a.P": {"type": "string"}, "b.P": {"type": "integer"}}
    assert schema["anyOf"][0]["properties"]["arguments"]["properties"]["p"] == {
        "$ref": "#/$defs/a.P"
    }
    named = schema_of(
        Request(
            (UserTurn("x"),), tools=(spec("a", "string"), spec("b", "integer")), tool_choice="b"
        )
    )
    assert named is not None
    assert len(named["anyOf"]) == 1


# -- what was spent, what is written ---------------------------------------------------------------
def test_tokens_of_a_call_that_was_stopped_are_counted_and_its_cost_is_unknown() -> None:
    told = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    with RawServer([head() + told, "hang"]) as raw:
        asked = connect("openai:gpt-5-mini", key="k", base_url=raw.url)
        run = walk(
            Graph("g", START >> Agent("a") >> END, limits=Limits(seconds=2)), "x", model=asked
        )
    assert isinstance(run.error, errors.LimitExceeded)
    assert run.usage.model_calls == 1
    assert run.usage.usd is None


def test_secrets_are_found_where_they_hide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = "sk-" + "abcdefgh" * 3
    monkeypatch.setenv("DB_PASSWORD", 'pä"ss\\wörd1')
    monkeypatch.setenv("A_KEY", "abcdefgh-first")
    monkeypatch.setenv("B_KEY", "abcdefgh-first-and-more")
    monkeypatch.setenv("MAX_TOKENS_BUDGET", "12345678")
    path = tmp_path / "case.jsonl"
    asked = Request(
        (UserTurn(f'my key:\n{key} and pä"ss\\wörd1 and abcdefgh-first-and-more'),), seed=12345678
    )
    assert (
        ask(
            record(path, ScriptedModel(says("ok"), tokens=(12345678, 1))), request=asked
        ).input_tokens
        == 12345678
    )
    text = path.read_text()
    assert not [secret for secret in (key, "rd1", "and-more") if secret in text]
    assert ask(replay(path), request=asked).input_tokens == 12345678
    assert scrub("[A_KEY]") == "[A_KEY]"


def test_a_recording_that_cannot_be_written_takes_no_answer_away(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.warns(UserWarning, match="could not be written"):
        assert ask(record(tmp_path / "folder", ScriptedModel(says("answer")))).text == "answer"


class Halves:
    name = "halves"

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        yield TextDelta("\ud83d")
        yield TextDelta("\ude00")
        yield UsageDelta(1, 1)
        yield Finished("stop")


def test_halves_of_a_character_are_recorded_whole(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    assert ask(record(path, Halves())).text == "😀"
    assert ask(replay(path)).text == "😀"


# -- command-line tools ----------------------------------------------------------------------------
TOOL = """#!{python}
import os, signal, subprocess, sys, time
sys.stdin.read()
result = '{{"type":"result","is_error":false,"result":"hi","usage":{{}},"stop_reason":"end_turn"}}'
{body}
"""


def tool_that(tmp_path: Path, body: str) -> str:
    path = tmp_path / f"tool{abs(hash(body))}"
    path.write_text(TOOL.format(python=sys.executable, body=body))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "body",
    [
        "print(result, flush=True); os.close(1); time.sleep(600)",
        "subprocess.Popen(['sleep', '600'], stdin=-3, stdout=-3); print(result, flush=True)",
        "subprocess.Popen(['sleep', '600'], stdin=-3); print(result, flush=True)",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(result, flush=True); time.sleep(600)",
    ],
    ids=["lives on", "child keeps stderr", "child keeps stdout", "ignores SIGTERM"],
)
def test_a_tool_that_has_answered_is_not_waited_for(body: str, tmp_path: Path) -> None:
    with patience():  # they go on for ten minutes
        reply = ask(connect("claude-code:default", options={"program": tool_that(tmp_path, body)}))
    assert reply.text == "hi"


def test_a_cancelled_tool_is_gone_and_the_cancellation_arrives(tmp_path: Path) -> None:
    stubborn = tool_that(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")

    async def main(pause: float) -> None:
        both = Failover(
            connect(
                "claude-code:default", options={"program": stubborn}, timeouts=Timeouts(first_s=0.1)
            ),
            ScriptedModel(says("never")),
        )
        task = asyncio.create_task(gather(both.stream(ASKED)))
        await asyncio.sleep(pause)
        task.cancel()
        with patience(), pytest.raises(asyncio.CancelledError):
            await task  # the program sleeps for ten minutes

    # While it starts, while it is awaited, while it is being stopped.
    for pause in (0.0, 0.001, 0.02, 0.3):
        asyncio.run(main(pause))


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"stream_event","event":5}',
        '{"type":"assistant","message":5}',
        '{"type":"result","usage":5}',
    ],
)
def test_odd_lines_of_a_tool_are_malformed(line: str, tmp_path: Path) -> None:
    program = tool_that(tmp_path, f"print({line!r}, flush=True)")
    with pytest.raises(errors.MalformedReply):
        ask(connect("claude-code:default", options={"program": program}))


def test_what_a_tool_cannot_be_told_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(__file__).parents[1] / "stand_ins"
    for name in ("claude-code", "codex", "auggie"):
        asked = connect(f"{name}:default", options={"program": str(here / name.split("-")[0])})
        with pytest.raises(errors.BadRequest, match="temperature"):
            ask(asked, request=Request((UserTurn("x"),), temperature=0.5))
        with pytest.raises(errors.DeclarationError, match="rpm"):
            connect(f"{name}:default", rpm=3)


def test_a_picture_in_a_dataclass_is_seen() -> None:
    from dataclasses import dataclass

    from graphflow import Media

    @dataclass(frozen=True)
    class Photo:
        picture: Media

    shown = Photo(Media(mime="image/png", data=b"png"))
    assert media_in(shown) == [shown.picture]


def test_a_stream_that_is_closed_closes_what_it_stands_on() -> None:
    async def main(raw: RawServer) -> None:
        asked: Any = Failover(
            connect("openai:m", key="k", base_url=raw.url), ScriptedModel(says("x"))
        )
        stream = asked.stream(ASKED)
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()
        assert await asyncio.to_thread(raw.gone.wait, 1)

    with RawServer([head() + CHAT[:200], "hang"]) as raw:
        asyncio.run(main(raw))
    assert Retried is not None


# -- what the first mending broke ------------------------------------------------------------------
def pieces(*calls: dict[str, Any]) -> list[tuple[str, str]]:
    wire, spoken = WIRES["openai-chat"]
    reader, builder = ReplyReader(wire, spoken, "x"), ReplyBuilder()
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    for event in [
        *reader.feed(body + CHAT[CHAT.index(b'data: {"choices":[{"index":0,"delta":{},') :]),
        *reader.end(),
    ]:
        builder.add(event)
    return [(call.name, call.arguments) for call in builder.whole().calls]


def part(id: str, name: str, arguments: str, index: int = 0) -> dict[str, Any]:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def test_calls_by_their_ids() -> None:
    fresh = [part("t-1", "look", ""), part("t-2", "", '{"q":'), part("t-3", "", '"x"}')]
    assert pieces(*fresh) == [("look", '{"q":"x"}')]
    three = [part(i, "f", "{") for i in "abc"]
    assert pieces(*three, part("a", "", "1}"), part("c", "", "3}"), part("b", "", "2}")) == [
        ("f", "{1}"),
        ("f", "{2}"),
        ("f", "{3}"),
    ]
    in_turn = [piece for i in "abc" for piece in (part(i, "f", "{"), part("", "", i + "}"))]
    assert pieces(*in_turn) == [("f", "{a}"), ("f", "{b}"), ("f", "{c}")]
    usual = [
        part("a", "f", ""),
        part("b", "g", "", 1),
        part("", "", "{}", 0),
        part("", "", "{}", 1),
    ]
    assert pieces(*usual) == [("f", "{}"), ("g", "{}")]


def test_a_fence_inside_a_call_and_two_fences_in_an_answer() -> None:
    said = json.dumps({"tool": "run", "arguments": {"code": "```py\nprint(1)\n```"}})
    assert isinstance(read_call_or_answer(said), CallDelta)
    assert isinstance(read_call_or_answer(f"```json\n{said}\n```"), CallDelta)
    two = '```json\n{"a": 1}\n```\nUse it so:\n```python\nprint({"b": 2})\n```'
    assert read_output(two, dict[str, int], False) == {"a": 1}


def test_a_dataclass_that_keeps_no_field_of_that_name() -> None:
    from dataclasses import InitVar, dataclass

    @dataclass
    class Odd:
        text: str
        extra: InitVar[int]

    assert media_in(Odd("x", 3)) == []
    run = walk(
        Graph("g", START >> Agent("a", input=Odd, prompt="{{ text }}") >> END),
        Odd("x", 3),
        model=ScriptedModel(says("hi")),
    )
    assert run.output == "hi"


def test_the_list_of_models_hides_the_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphflow.providers.survey import offered_models

    monkeypatch.setenv("OPENAI_API_KEY", "canary-key-123456")
    with RawServer(reply(b'{"error":{"message":"bad key Bearer canary-key-123456"}}', 401)) as raw:
        monkeypatch.setenv("OPENAI_BASE_URL", raw.url)
        with pytest.raises(errors.AuthError) as caught:
            asyncio.run(offered_models("openai"))
    assert "canary" not in str(caught.value)


def test_an_ordinary_header_is_not_taken_for_a_secret() -> None:
    body = b'{"error":{"message":"model gpt-4o-mini does not exist"}}'
    with (
        RawServer(reply(body, 404)) as raw,
        pytest.raises(errors.NotFound, match="model gpt-4o-mini does not exist"),
    ):
        ask(connect("compatible:gpt-4o-mini", base_url=raw.url, headers={"x-route": "gpt-4o-mini"}))


def test_two_keys_are_not_worse_than_one() -> None:
    limited = reply(RATE, 429)
    with RawServer(limited, limited, [head() + CHAT]) as raw:
        model = connect("compatible:m", base_url=raw.url, keys=["key-one-aaaa", "key-two-bbbb"])
        heard: list[ModelEvent] = []
        assert ask(model, heard).text == "Hello world"
    waits = [event.wait_s for event in heard if isinstance(event, Retried)]
    assert len(waits) == 1, "the second key is asked at once"
    assert waits[0] < 2, "the wait begins as small as it does with one key"


def test_a_file_is_read_without_its_keys_and_written_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    declared = "model: {name: openai:gpt-5-mini, rpm: 10}"
    (tmp_path / "g.yaml").write_text(
        f"graph: g\n{declared}\nnodes:\n  a: {{kind: agent}}\nedges:\n  - START >> a >> END\n"
    )
    graph = Graph.from_yaml(tmp_path / "g.yaml")
    assert "rpm: 10" in graph.to_yaml()
    with pytest.raises(errors.KeyMissing):
        asyncio.run(graph.run("x"))
    for wrong in (
        "{name: openai:m, keys: [sk-live-123]}",
        "{failover: openai:m}",
        "{failover: null}",
        "{failover: [null, openai:x]}",
        "{failover: [openai:x]}",
        "{failover: [openai:x, openai:y], cooldown_s: soon}",
        "{name: openai:m, timeouts: {first_s: abc}}",
    ):
        (tmp_path / "g.yaml").write_text(
            f"graph: g\nmodel: {wrong}\nnodes:\n  a: {{kind: agent}}\nedges:\n  - START >> a >> END\n"
        )
        with pytest.raises(errors.FileUnreadable):
            Graph.from_yaml(tmp_path / "g.yaml")


def test_an_answer_tool_whose_name_comes_late_or_whose_arguments_do_not_come() -> None:
    late = AnswerReader().events(
        [
            CallDelta(0, "c"),
            CallDelta(0, name="final_answer"),
            CallDelta(0, arguments='{"a":1}'),
            Finished("tool_calls"),
        ]
    )
    assert late == [TextDelta('{"a":1}'), Finished("stop")]
    empty = AnswerReader().events(
        [TextDelta('{"a":1}'), CallDelta(0, "c", "final_answer"), Finished("tool_calls")]
    )
    assert empty == [TextDelta('{"a":1}'), Finished("stop")]


def test_a_grandchild_that_writes_on_takes_no_answer_away(tmp_path: Path) -> None:
    writer = "import os,time\\nfor n in range(400):\\n open(str(n),'w').close(); time.sleep(0.002)"
    body = f'subprocess.Popen([sys.executable, "-c", "{writer}"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3); print(result)'
    assert (
        ask(connect("claude-code:default", options={"program": tool_that(tmp_path, body)})).text
        == "hi"
    )


def test_a_recording_counts_what_the_live_run_counted(tmp_path: Path) -> None:
    class Twice:
        name = "twice"

        async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
            yield UsageDelta(100, 0, 0.5)
            yield Retried(2, 0.0, errors.Overloaded("busy"))
            yield TextDelta("ok")
            yield UsageDelta(10, 1, 0.25)
            yield Finished("stop")

    live = ask(record(tmp_path / "r.jsonl", Twice()))
    again = ask(replay(tmp_path / "r.jsonl"))
    assert (live.input_tokens, live.usd) == (again.input_tokens, again.usd) == (110, 0.75)
