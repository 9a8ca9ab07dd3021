"""Texts that end at a limit: an answer where somebody set the limit, an error where it is the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failover, Graph, errors, record, replay
from graphflow.model.seam import Model
from graphflow.testing import ScriptedModel, fails
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer
from tests.strict.server import StrictServer

HALF = Answer(text="half of", finish="length")
BOUNDS: dict[str, list[dict[str, Any]]] = {
    "openai": [{"max_completion_tokens": 50}],
    "openai-responses": [{"max_output_tokens": 50}],
    "anthropic": [{"max_tokens": 50}],
    "google": [{"generationConfig": {"maxOutputTokens": 50}}],
    "groq": [{"max_completion_tokens": 50}],
    "mistral": [{"max_tokens": 50}],
    "ollama": [{"options": {"num_predict": 50}}],
}
NONE: dict[str, list[dict[str, Any]]] = {
    # words about limits, in places where they set none
    "openai": [{"metadata": {"ticket": "docs on max_tokens"}}, {"user": "max_completion_tokens"}],
    "openai-responses": [{"metadata": {"max_output_tokens": "50"}}],
    "anthropic": [{"metadata": {"user_id": "max_tokens"}}],
    "google": [{"labels": {"maxOutputTokens": "50"}}],
    "groq": [{"user": "max_tokens"}],
    "mistral": [{"metadata": {"topic": "max_tokens"}}],
    "ollama": [{"options": {"num_predict": -1}}, {"keep_alive": "num_predict"}],
}


def graph(**options: Any) -> Graph[Any, Any]:
    return Graph("g", START >> Agent("a", **options) >> END)


def asked(provider: str, strict: StrictServer, extra: dict[str, Any] | None) -> Model:
    return model(provider, strict, **({} if extra is None else {"extra": extra}))


@pytest.mark.parametrize("where", ["agent", "model"])
@pytest.mark.parametrize("provider", sorted(TARGETS))
def test_the_providers_own_limit_is_one(provider: str, where: str) -> None:
    for extra in BOUNDS[provider]:
        options = {"extra": extra} if where == "agent" else {}
        with server(provider, [HALF]) as strict:
            run = walk(
                graph(**options),
                "x",
                model=asked(provider, strict, None if where == "agent" else extra),
            )
        assert (strict.refused, run.output) == ([], "half of")


@pytest.mark.parametrize("where", ["agent", "model"])
@pytest.mark.parametrize("provider", sorted(TARGETS))
def test_words_about_limits_are_none(provider: str, where: str) -> None:
    for extra in NONE[provider]:
        options = {"extra": extra} if where == "agent" else {}
        with server(provider, [HALF]) as strict:
            run = walk(
                graph(**options),
                "x",
                model=asked(provider, strict, None if where == "agent" else extra),
            )
        assert isinstance(run.error, errors.OutputInvalid), (extra, run.output)


def test_what_a_limit_was_is_known_behind_failovers_and_in_recordings(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    with server("openai", [HALF, HALF]) as strict:
        limited = model("openai", strict, extra={"max_completion_tokens": 50})
        first = ScriptedModel(fails(errors.Overloaded("busy")))
        assert walk(graph(), "x", model=record(path, Failover(first, limited))).output == "half of"
        assert walk(graph(), "x", model=replay(path)).output == "half of"
        free = Failover(ScriptedModel(fails(errors.Overloaded("busy"))), model("openai", strict))
        assert isinstance(walk(graph(), "x", model=free).error, errors.OutputInvalid)
