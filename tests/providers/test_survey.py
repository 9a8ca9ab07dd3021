"""`graphflow models`: what is in reach, one tiny call, what a provider has; and providers of other packages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, connect
from graphflow.cli.app import run_app
from graphflow.providers.http import _clients, _tls, aclose, client
from tests.conftest import walk
from tests.providers.raw_server import RawServer, head
from tests.providers.reach import KEY, model, server
from tests.providers.test_faults import CHAT
from tests.strict import Answer


def test_the_list_says_what_is_set_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown-1234")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert run_app(["models"]) == 0
    shown = capsys.readouterr().out
    assert "OPENAI_API_KEY is set" in shown
    assert "ANTHROPIC_API_KEY is not set (https://platform.claude.com" in shown
    assert "sk-never-shown" not in shown
    assert run_app(["models", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["openai"]["ready"] is True
    assert found["anthropic"]["ready"] is False
    assert {
        "local",
        "google",
        "ollama",
        "claude-code",
        "codex",
        "auggie",
        "chatgpt",
    } <= found.keys()


def test_a_ping_is_one_tiny_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server("openai", [Answer(text="OK.", usage=(9, 2, 0))]) as strict:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", strict.url + "/v1")
        assert run_app(["models", "--ping", "openai:gpt-5-mini"]) == 0
        assert strict.refused == []
    shown = capsys.readouterr().out
    assert "said 'OK.'" in shown
    assert "9 + 2 tokens, 0.000006 USD" in shown


@pytest.mark.parametrize(
    ("named", "code", "words"),
    [
        ("opnai:gpt", 2, "did you mean 'openai'"),
        ("openai", 2, "write 'provider:model'"),
        ("anthropic:claude", 2, "ANTHROPIC_API_KEY"),
        ("vllm:qwen", 1, "no connection to http://127.0.0.1:9"),
    ],
)
def test_a_ping_that_fails_says_why(
    named: str,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("VLLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("graphflow.providers.retry.RetryPolicy.wait_before", lambda *_: None)
    assert run_app(["models", "--ping", named]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("provider", "variable", "body"),
    [
        (
            "openai",
            "OPENAI_BASE_URL",
            {"object": "list", "data": [{"id": "gpt-5-mini"}, {"id": "a"}]},
        ),
        (
            "google",
            "GOOGLE_GEMINI_BASE_URL",
            {"models": [{"name": "models/gpt-5-mini"}, {"name": "models/a"}]},
        ),
        ("ollama", "OLLAMA_HOST", {"models": [{"name": "gpt-5-mini"}, {"name": "a"}]}),
    ],
)
def test_a_provider_is_asked_which_models_it_has(
    provider: str,
    variable: str,
    body: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import http.server
    import threading

    class Lists(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("GOOGLE_API_KEY", "k")
    with http.server.HTTPServer(("127.0.0.1", 0), Lists) as listing:
        threading.Thread(target=listing.serve_forever, daemon=True).start()
        monkeypatch.setenv(variable, f"http://127.0.0.1:{listing.server_port}")
        assert run_app(["models", "--of", provider]) == 0
        listing.shutdown()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"{provider}:a", f"{provider}:gpt-5-mini"]
    assert run_app(["models", "--of", "claude-code"]) == 2


def test_weights_are_listed_and_of_unknown_origin_only_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("GRAPHFLOW_CACHE", str(tmp_path))
    assert run_app(["models", "pull"]) == 0
    assert "local:qwen2.5-coder-1.5b" in capsys.readouterr().out
    assert run_app(["models", "pull", "qwen2.5-coder-0.5b"]) == 2
    told = capsys.readouterr().err
    assert "gives no real name" in told
    assert "--yes" in told
    assert not list(tmp_path.iterdir())


# -- one client ------------------------------------------------------------------------------------
def test_one_client_a_loop_and_one_tls_context_a_process() -> None:
    async def twice() -> Any:
        first, second = await client(), await client()
        assert first is second
        return first

    one, other = asyncio.run(twice()), asyncio.run(twice())
    assert one is not other
    assert one.is_closed  # its loop has ended, and it with it
    assert len(_tls) == 1
    assert not _clients


def test_a_client_can_be_closed_and_is_made_anew() -> None:
    async def main() -> None:
        first = await client()
        await aclose()
        assert first.is_closed
        assert await client() is not first

    asyncio.run(main())


def test_many_walks_share_their_connections() -> None:
    with server("openai", lambda _: Answer(text="yes", delay_s=0.001)) as strict:
        asked = model("openai", strict)
        graph = Graph("g", START >> Agent("a") >> Agent("b") >> END, model=asked)

        async def main() -> list[str]:
            runs = [await asyncio.gather(*(graph.run("x") for _ in range(20))) for _ in range(2)]
            return [run.output for some in runs for run in some]

        assert asyncio.run(main()) == ["yes"] * 40
        assert len(strict.requests) == 80
        assert strict.connections <= 20


def test_a_pace_holds_a_walk_back() -> None:
    import time

    with RawServer([head() + CHAT]) as raw:
        asked: Any = connect("openai:m", key="k", base_url=raw.url, rpm=600)
        graph = Graph("g", START >> Agent("a") >> Agent("b") >> Agent("c") >> END, model=asked)
        asked.options.pace.requests.level = 0.0  # what a busy minute leaves
        began = time.perf_counter()
        assert walk(graph, "x").output == "Hello world"
        assert time.perf_counter() - began > 0.25  # three requests, a tenth of a second each
