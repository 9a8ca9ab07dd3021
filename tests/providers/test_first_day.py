"""What a new user gets wrong, and what they are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, Limits, Media, connect, errors, tool
from graphflow.errors import DeclarationError
from graphflow.events import CallFailed, ModelFinished, ModelSwitched
from graphflow.model.prices import Price, set_price
from graphflow.model.reply import gather
from graphflow.model.resolve import open_model
from graphflow.model.seam import Finished, Request, TextDelta
from graphflow.model.turns import UserTurn
from graphflow.project import read_message
from graphflow.providers import RetryPolicy, Timeouts
from graphflow.providers.pace import Bucket
from graphflow.testing import ScriptedModel, calls, fails, says
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head, reply
from tests.providers.reach import TARGETS, model, server
from tests.providers.test_faults import CHAT, HALF
from tests.strict import Answer


def graph(**options: Any) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", **options) >> END)


@pytest.mark.parametrize("provider", sorted(TARGETS))
def test_a_text_that_was_cut_off_is_no_answer_unless_a_limit_was_asked_for(provider: str) -> None:
    with server(provider, [Answer(text="This is only half of a", finish="length")] * 2) as strict:
        asked = model(provider, strict)
        run = walk(graph(), "x", model=asked)
        assert isinstance(run.error, errors.OutputInvalid)
        assert "max_tokens=" in str(run.error)
        assert run.error.attempts == ("This is only half of a",)
        assert walk(graph(max_tokens=32), "x", model=asked).output == "This is only half of a"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": "k"}, "write key="),
        ({"timeout": 5}, "write timeouts=Timeouts"),
        ({"temperature": 1}, r"write Agent\(temperature"),
        ({"keyz": []}, r"did you mean key= or keys=\?"),
        ({"keys": "sk-one-string"}, "takes list or tuple, and was given str"),
        ({"timeouts": 5}, "takes Timeouts, and was given int"),
        ({"retry": "3"}, "takes RetryPolicy or int"),
        ({"output": "json"}, 'give "schema", "tool" or "text"'),
        ({"key": "k", "keys": ["k"]}, "not both"),
    ],
)
def test_an_option_that_there_is_not_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        open_model("openai:m", **options)
    with pytest.raises(DeclarationError):
        open_model("local:smollm2", **options)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("gemini:x", "did you mean 'google'"),
        ("OpenAI:x", "did you mean 'openai'"),
        ("claude:x", "did you mean 'anthropic'"),
        ("gpt:x", "did you mean 'openai'"),
        ("gpt-5-mini", "did you mean 'openai:gpt-5-mini'"),
        ("openai/gpt-5-mini", "did you mean 'openai:gpt-5-mini'"),
        ("claude-opus-5", "did you mean 'anthropic:claude-opus-5'"),
        ("qwen", "write 'provider:model'"),
    ],
)
def test_a_name_that_is_nearly_right(named: str, words: str) -> None:
    with pytest.raises(errors.UnknownProvider, match=words):
        open_model(named)


@pytest.mark.parametrize(
    "options",
    [
        {"model": 42},
        {"model": ScriptedModel},
        {"thinking": "banana"},
        {"temperature": "warm"},
        {"max_tokens": 0},
        {"top_k": 1.5},
    ],
)
def test_what_cannot_be_a_setting_is_refused_when_it_is_declared(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="agent 'a'"):
        Agent("a", **options)


def test_a_budget_of_nothing_is_no_reasoning() -> None:
    assert Agent("a", thinking=0).settings.thinking is False
    assert Agent("a", temperature=0).settings.stated == {"temperature": 0}


class NoName:
    async def stream(self, request: Request) -> Any:
        yield Finished("stop")


class Coroutine:
    name = "coroutine"

    async def stream(self, request: Request) -> Any:
        return []


class Strings:
    name = "strings"

    async def stream(self, request: Request) -> Any:
        yield "hello"


@pytest.mark.parametrize(
    ("wrong", "words"), [(Coroutine(), "with `yield` in it"), (Strings(), "has yielded 'hello'")]
)
def test_a_model_written_wrongly_is_told_how(wrong: Any, words: str) -> None:
    run = walk(graph(), "x", model=wrong)
    assert isinstance(run.error, errors.MalformedReply)
    assert words in str(run.error)
    with pytest.raises(DeclarationError, match="no attribute `name`"):
        asyncio.run(graph().run("x", model=NoName()))  # type: ignore[arg-type]


def test_an_answer_that_breaks_off_is_begun_again_where_nobody_listens() -> None:
    with RawServer([head() + HALF, "abort"], [head() + CHAT]) as raw:
        asked = connect("openai:m", key="k", base_url=raw.url)
        assert walk(graph(), "x", model=asked).output == "Hello world"
    with RawServer([head() + HALF, "abort"], [head() + CHAT]) as raw:
        asked = connect("openai:m", key="k", base_url=raw.url)
        run = walk(graph(), "x", model=asked, observed=True)  # somebody has seen half of it
        assert isinstance(run.error, errors.ModelError)
        assert "restart=True" in run.error.__notes__[0]


def test_the_journal_says_which_model_really_answered() -> None:
    with server("openai", [Answer(text="yes")] * 2) as strict:
        down = ScriptedModel(fails(errors.Overloaded("busy")))
        both = Failover(down, model("openai", strict))
        for _ in range(2):  # the second time the first model rests, and is passed over
            run = walk(graph(), "x", model=both)
            assert run.output == "yes"
            [told] = [e for e in run.events if isinstance(e, ModelSwitched)]
            assert (told.source, told.target) == ("scripted", "openai:gpt-5-mini")
            [finished] = [e for e in run.events if isinstance(e, ModelFinished)]
            assert finished.answered_by.startswith("gpt-5-mini")
    assert len(down.requests) == 1


def test_errors_name_the_model_the_key_and_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-some-key-123")
    wrong = b'{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}'
    with RawServer(reply(wrong, 401)) as raw, pytest.raises(errors.AuthError) as caught:
        asyncio.run(
            gather(connect("openai:gpt-5-mini", base_url=raw.url).stream(Request((UserTurn("x"),))))
        )
    assert str(caught.value).startswith("openai:gpt-5-mini: Incorrect API key")
    assert "it was the openai key $OPENAI_API_KEY" in str(caught.value)
    lost = b'{"error":{"message":"Invalid URL (POST /chat/completions)"}}'
    with RawServer(reply(lost, 404)) as raw:
        with pytest.raises(errors.NotFound, match=f"asked at {raw.url}/chat/completions"):
            asyncio.run(
                gather(connect("openai:m", base_url=raw.url).stream(Request((UserTurn("x"),))))
            )
        groq = connect("groq:m", key="k", base_url=raw.url)
        with pytest.raises(errors.BadRequest, match=r"^groq:m: there is no way to send top_k=4"):
            asyncio.run(gather(groq.stream(Request((UserTurn("x"),), top_k=4))))
    copied: Any = connect("openai:m", key="k", base_url="http://host/v1/chat/completions")
    assert copied.base_url == "http://host/v1"


def test_a_short_key_is_not_looked_for_in_texts() -> None:
    with (
        RawServer(reply(b'{"error":{"message":"the key must not travel"}}', 401)) as raw,
        pytest.raises(errors.AuthError) as caught,
    ):
        asyncio.run(
            gather(
                connect("compatible:m", key="k", base_url=raw.url).stream(Request((UserTurn("x"),)))
            )
        )
    assert "the key must not travel" in str(caught.value)


def test_a_tool_that_breaks_stands_among_the_failures() -> None:
    @tool
    async def broken() -> str:
        """Break."""
        raise KeyError("db down")

    run = walk(graph(tools=[broken]), "x", model=ScriptedModel(calls("broken"), says("sorry")))
    assert run.output == "sorry"
    [failure] = run.failures
    assert isinstance(failure, CallFailed)
    assert isinstance(failure.error, KeyError)


def test_a_price_is_checked_and_a_limit_that_cannot_hold_is_told() -> None:
    for named in ("gpt-5-mini", ":x", "openai:"):
        with pytest.raises(DeclarationError, match="provider:model"):
            set_price(named, Price(1, 2))
    with pytest.raises(DeclarationError, match="at least 0"):
        Price(-1, 2)
    with pytest.raises(DeclarationError, match="Price"):
        set_price("openai:m", (1, 2))  # type: ignore[arg-type]
    unheard = Graph(
        "g", START >> Agent("a", model="openai:unheard-of") >> END, limits=Limits(usd=0.1)
    )
    assert any("whose price is unknown" in warning for warning in unheard.check().warnings)


def test_failover_of_a_list_is_told_how_to_be_written() -> None:
    with pytest.raises(DeclarationError, match="one by one"):
        Failover(["openai:a", "openai:b"])  # type: ignore[arg-type]


def test_a_picture_is_named_in_a_prompt_and_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    picture = Media.read(tmp_path / "p.png")
    asked = ScriptedModel(says("ok"))
    walk(
        Graph("g", START >> Agent("a", input=Media, prompt="Look at {{ message }}.") >> END),
        picture,
        model=asked,
    )
    assert asked.requests[0].turns[0].text == "Look at [image p.png]."  # type: ignore[union-attr]
    looker = Graph("g", START >> Agent("a", input=Media) >> END)
    assert read_message(looker, str(tmp_path / "p.png")) == picture


YAML = """
graph: g
model: MODEL
nodes:
  a: {kind: agent}
edges:
  - START >> a >> END
"""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{base_url: x}", "is not a model"),
        ("{name: openai:m, key: sk-123456789}", r"key: \$NAME_OF_A_VARIABLE"),
        ("{name: openai:m, key: $K_E_Y, timeout: 3}", "write timeouts="),
        ("{name: opnai:m}", "did you mean 'openai'"),
        ("[a, b]", "it must be provider:model"),
    ],
)
def test_a_model_in_a_file_is_read_with_care(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K_E_Y", "sk-from-the-environment")
    (tmp_path / "g.yaml").write_text(YAML.replace("MODEL", given))
    with pytest.raises(errors.FileUnreadable, match=words):
        Graph.from_yaml(tmp_path / "g.yaml")


def test_a_model_in_a_file_has_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_E_Y", "sk-from-the-environment")
    with RawServer(reply(b"{}", 503), [head() + CHAT]) as raw:
        one = f"{{name: openai:m, key: $K_E_Y, base_url: '{raw.url}', retry: 1, timeouts: {{first_s: 5}}}}"
        (tmp_path / "g.yaml").write_text(
            YAML.replace("MODEL", f"{{failover: [{one}, {one.replace('openai:m', 'openai:n')}]}}")
        )
        run = walk(Graph.from_yaml(tmp_path / "g.yaml"), "x")
        assert run.output == "Hello world"
        assert b"Bearer sk-from-the-environment" in raw.requests[0]
    assert Timeouts().first_s == 300
    assert TextDelta("x").index == 0


@pytest.mark.parametrize(
    "made",
    [
        lambda nan: Timeouts(first_s=nan),
        lambda nan: RetryPolicy(wait_s=nan),
        lambda nan: Bucket(nan),
        lambda nan: Failover(ScriptedModel(), ScriptedModel(), cooldown_s=nan),
    ],
    ids=["timeouts", "retry", "pace", "failover"],
)
def test_what_is_no_number_is_no_limit(made: Any) -> None:
    """It is neither less nor more than any other, and so would never be reached."""
    with pytest.raises(errors.DeclarationError):
        made(float("nan"))
