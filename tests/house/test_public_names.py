"""What users import, and from where: rooms answer for what is in them, and what has moved answers under its old name."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace

import pytest

import graphflow
from graphflow import Agent
from graphflow.kinds.agent import Options
from graphflow.model import Request, Settings, UserTurn
from graphflow.model.settings import SETTINGS, SettingsOptions

MOVED = [
    ("arrows", "declaration.arrows"),
    ("artifacts", "messages.artifacts"),
    ("background", "declaration.background"),
    ("bounds", "proofs.bounds"),
    ("conversation", "model.conversation"),
    ("handoffs", "declaration.handoffs"),
    ("media", "messages.media"),
    ("nodes", "declaration.node"),
    ("opening", "model.resolve"),
    ("ports", "declaration.ports"),
    ("prices", "model.prices"),
    ("recording", "providers.recording"),
    ("reply", "model.reply"),
    ("report", "proofs.report"),
    ("turns", "model.turns"),
    ("executor", "runtime.executor"),
    ("prompts", "kinds.prompts"),
    ("program", "proofs.program"),
    ("mcp.serving", "server.mcp"),
]
ROOMS = {
    "messages": ["Artifact", "Failure", "LimitReached", "Media", "Message"],
    "model": ["CACHE", "AssistantTurn", "Model", "Reply", "Request", "ToolCall", "ToolSpec", "UserTurn"],
    "walk": ["Cancel", "Finish", "Start", "Walk"],
}
RENAMED = [("model.turns", "Said", "TextPart"), ("model.reply", "Gathering", "ReplyBuilder")]


@pytest.mark.parametrize("name", graphflow.__all__)
def test_an_everyday_name_is_imported_from_the_top(name: str) -> None:
    assert getattr(graphflow, name) is not None


@pytest.mark.parametrize(("room", "name"), [(room, name) for room, names in ROOMS.items() for name in names])
def test_a_name_is_imported_from_its_room(room: str, name: str) -> None:
    assert getattr(importlib.import_module(f"graphflow.{room}"), name) is not None


@pytest.mark.parametrize(("old", "new"), MOVED)
def test_what_has_moved_answers_under_its_old_name_with_a_warning(old: str, new: str) -> None:
    new_module = importlib.import_module(f"graphflow.{new}")
    name = next(n for n, value in vars(new_module).items() if getattr(value, "__module__", "") == new_module.__name__)
    with pytest.warns(DeprecationWarning, match=f"graphflow.{old} is now graphflow.{new}; the old name goes with 0.3"):
        found = getattr(importlib.import_module(f"graphflow.{old}"), name)
    assert found is getattr(new_module, name)


@pytest.mark.parametrize(("module", "old", "new"), RENAMED)
def test_what_has_a_new_name_answers_under_its_old_one_with_a_warning(module: str, old: str, new: str) -> None:
    found = importlib.import_module(f"graphflow.{module}")
    with pytest.warns(DeprecationWarning, match=f"graphflow.{module}.{old} is now {new}; the old name goes with 0.3"):
        assert getattr(found, old) is getattr(found, new)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        assert getattr(importlib.import_module("graphflow.model"), old) is getattr(found, new)


def test_a_name_that_nobody_has_is_an_attribute_error() -> None:
    for module in ("model", "messages", "walk", "turns"):
        with pytest.raises(AttributeError):
            importlib.import_module(f"graphflow.{module}").Nope


@pytest.mark.parametrize(("room", "names"), ROOMS.items())
def test_a_star_brings_what_a_room_has(room: str, names: list[str]) -> None:
    brought: dict[str, object] = {}
    exec(f"from graphflow.{room} import *", brought)
    assert set(names) <= set(brought)


def test_a_star_brings_what_has_moved() -> None:
    brought: dict[str, object] = {}
    with pytest.warns(DeprecationWarning, match="graphflow.turns is now graphflow.model.turns"):
        exec("from graphflow.turns import *", brought)
    assert {"UserTurn", "AssistantTurn", "CACHE"} <= set(brought)


def test_settings_of_a_request_are_given_together_or_one_by_one() -> None:
    turns = (UserTurn("Hi"),)
    together = Request(turns, settings=Settings(seed=7, temperature=0.5))
    assert Request(turns, seed=7, temperature=0.5) == together
    assert Request(turns, settings=Settings(seed=7), temperature=0.5) == together
    assert replace(together, system="Be brief.").settings == Settings(seed=7, temperature=0.5)


def test_a_setting_is_still_read_from_the_request_with_a_warning() -> None:
    request = Request((UserTurn("Hi"),), seed=7)
    with pytest.warns(
        DeprecationWarning, match=r"request.seed is now request.settings.seed; the old name goes with 0.3"
    ):
        assert request.seed == 7  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="a Request has no attribute 'sed'"):
        request.sed  # type: ignore[attr-defined]


def test_every_setting_is_a_keyword_of_an_agent_and_of_a_request() -> None:
    assert tuple(SettingsOptions.__annotations__) == SETTINGS
    assert set(SETTINGS) <= set(Options.__annotations__)
    assert set(SETTINGS) <= set(inspect.signature(Agent).parameters)
