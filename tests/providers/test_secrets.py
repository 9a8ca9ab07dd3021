"""A key is in one header of one request, and nowhere else: not in a log, an event, an error, a repr, a URL or a file."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, connect, errors, record
from graphflow.errors import DeclarationError
from graphflow.events import to_record
from graphflow.model.reply import gather
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from graphflow.providers.survey import providers
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head, reply
from tests.providers.reach import TARGETS, model, server
from tests.providers.test_faults import CHAT
from tests.strict import Answer

CANARY = "canary-7f3a9c51d2e84b60"
ECHO = json.dumps(
    {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": "invalid_api_key"}}
).encode()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "compatible"])
@pytest.mark.parametrize(
    "steps",
    [
        [head() + CHAT],
        reply(ECHO, 401),
        reply(f"<html>{CANARY}</html>".encode(), 502, "text/html"),
        [head() + b'data: {"error":{"message":"bad key ' + CANARY.encode() + b'"}}\n\n'],
        [head() + f"data: {CANARY}\n\n".encode()],
        ["abort"],
        ["hang"],
    ],
    ids=["ok", "echo", "page", "stream", "malformed", "abort", "hang"],
)
def test_it_leaks_nowhere(
    provider: str, steps: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    from graphflow.providers import Timeouts

    caplog.set_level(logging.DEBUG)
    with RawServer(steps) as raw:
        asked = connect(
            f"{provider}:m", key=CANARY, base_url=raw.url, retry=2, timeouts=Timeouts(first_s=0.1)
        )
        graph = Graph("g", START >> Agent("a") >> END, model=record(tmp_path / "case.jsonl", asked))
        run = walk(graph, "x", observed=True)
        assert raw.requests
        for request in raw.requests:
            line, _, rest = request.partition(b"\r\n")
            assert CANARY.encode() not in line
            assert rest.count(CANARY.encode()) == 1
    shown = [
        repr(asked),
        repr(run),
        repr(graph),
        repr(vars(asked)),
        str(run.error),
        repr(run.error),
    ]
    shown += [json.dumps(to_record(event)) for event in run.events]
    shown += [record.getMessage() for record in caplog.records]
    shown += [path.read_text() for path in tmp_path.iterdir()]
    if run.error is not None:
        shown += traceback.format_exception(run.error)
        shown.append(repr(vars(run.error)))
    assert not [text for text in shown if CANARY in text]


@pytest.mark.parametrize("key", ["sk-4711", "k-12", "a1b2c3d"])
def test_a_short_key_that_a_server_echoes_is_taken_out_too(key: str) -> None:
    echo = json.dumps(
        {"error": {"message": f"Incorrect key {key}, not {key}.", "code": key}}
    ).encode()
    with RawServer(reply(echo, 401)) as raw:
        run = walk(
            Graph("g", START >> Agent("a") >> END),
            "x",
            model=connect("compatible:m", key=key, base_url=raw.url),
        )
    assert isinstance(run.error, errors.AuthError)
    told = [
        str(run.error),
        repr(vars(run.error)),
        *(json.dumps(to_record(event)) for event in run.events),
    ]
    assert key not in "".join(told)
    assert "Incorrect key [" in told[0]


@pytest.mark.parametrize("key", ["ollama", "x", "none"])
def test_a_word_that_stands_for_a_key_is_left_in_texts(key: str) -> None:
    echo = json.dumps({"error": {"message": f"the model of {key} is not here"}}).encode()
    with RawServer(reply(echo, 400)) as raw:
        run = walk(
            Graph("g", START >> Agent("a") >> END),
            "x",
            model=connect("compatible:m", key=key, base_url=raw.url),
        )
    assert f"the model of {key} is not here" in str(run.error)


@pytest.mark.parametrize("provider", sorted(TARGETS))
def test_the_header_is_the_vendors_and_the_url_is_clean(provider: str) -> None:
    with server(provider, [Answer(text="ok")]) as strict:
        assert (
            asyncio.run(gather(model(provider, strict).stream(Request((UserTurn("Hi"),))))).text
            == "ok"
        )
        assert strict.refused == []  # it refuses keys in URLs and in the wrong header
        assert "key=" not in strict.requests[0].path


@pytest.mark.parametrize("address", ["http://user:pass@host/v1", "http://host/v1?key=abc"])
def test_an_address_holds_no_secret(address: str) -> None:
    with pytest.raises(DeclarationError, match="pass key= instead"):
        connect("openai:m", key="k", base_url=address)


def test_a_model_with_a_key_is_not_written_anywhere() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(connect("openai:m", key=CANARY).keys)  # type: ignore[attr-defined]


def test_the_survey_shows_variables_and_never_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    found = {provider.name: provider for provider in providers()}
    assert found["openai"].ready
    assert found["openai"].state == "OPENAI_API_KEY is set"
    assert CANARY not in repr(found)


def test_no_key_names_the_variable_and_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(errors.KeyMissing, match=r"ANTHROPIC_API_KEY.*platform\.claude\.com"):
        connect("anthropic:m")
    with pytest.raises(errors.KeyMissing, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        connect("google:m")
