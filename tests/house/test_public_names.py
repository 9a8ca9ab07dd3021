"""What users import, and from where: rooms answer for what is in them, and what has moved answers under its old name."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import graphflow
from graphflow import Agent, Code, Graph, Retry
from graphflow.errors import DeclarationError, FileUnreadable, ModelError
from graphflow.kinds.agent import AgentOptions
from graphflow.model import Request, Settings, UserTurn
from graphflow.model.settings import SETTINGS, SettingsOptions
from graphflow.providers.retry import RetryPolicy

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
    "model": [
        "CACHE",
        "AssistantTurn",
        "Model",
        "Reply",
        "Request",
        "ToolCall",
        "ToolSpec",
        "UserTurn",
    ],
    "project": ["find_all", "load", "read_message", "roots"],
    "walk": ["Activation", "Cancel", "Finish", "Walk"],
}
RENAMED = [
    ("model.turns", "Said", "TextPart"),
    ("model.reply", "Gathering", "ReplyBuilder"),
    ("walk.commands", "Start", "Activation"),
]
RENAMED_BELOW_FACES = [
    ("kinds.step", "Step", "FunctionNode"),
    ("run", "Recorder", "EventRecorder"),
]


@pytest.mark.parametrize("name", graphflow.__all__)
def test_an_everyday_name_is_imported_from_the_top(name: str) -> None:
    assert getattr(graphflow, name) is not None


@pytest.mark.parametrize(
    ("room", "name"), [(room, name) for room, names in ROOMS.items() for name in names]
)
def test_a_name_is_imported_from_its_room(room: str, name: str) -> None:
    assert getattr(importlib.import_module(f"graphflow.{room}"), name) is not None


@pytest.mark.parametrize(("old", "new"), MOVED)
def test_what_has_moved_answers_under_its_old_name_with_a_warning(old: str, new: str) -> None:
    new_module = importlib.import_module(f"graphflow.{new}")
    name = next(
        n
        for n, value in vars(new_module).items()
        if getattr(value, "__module__", "") == new_module.__name__
    )
    with pytest.warns(
        DeprecationWarning,
        match=f"graphflow.{old} is now graphflow.{new}; the old name goes with 0.3",
    ):
        found = getattr(importlib.import_module(f"graphflow.{old}"), name)
    assert found is getattr(new_module, name)


@pytest.mark.parametrize(("module", "old", "new"), RENAMED + RENAMED_BELOW_FACES)
def test_what_has_a_new_name_answers_under_its_old_one_with_a_warning(
    module: str, old: str, new: str
) -> None:
    found = importlib.import_module(f"graphflow.{module}")
    with pytest.warns(
        DeprecationWarning,
        match=f"graphflow.{module}.{old} is now {new}; the old name goes with 0.3",
    ):
        assert getattr(found, old) is getattr(found, new)


@pytest.mark.parametrize(("module", "old", "new"), RENAMED)
def test_a_room_answers_for_its_old_names_too(module: str, old: str, new: str) -> None:
    found = importlib.import_module(f"graphflow.{module}")
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        assert getattr(
            importlib.import_module(f"graphflow.{module.partition('.')[0]}"), old
        ) is getattr(found, new)


RENAMED_KEYWORDS = [
    (lambda **given: Agent("a", **given), "Agent", "turns", "max_turns"),
    (lambda **given: Agent("a", **given), "Agent", "at_once", "max_parallel_calls"),
    (Code, "Code", "most_calls", "max_calls"),
    (Retry, "Retry", "most_s", "max_wait_s"),
    (RetryPolicy, "RetryPolicy", "most_s", "max_wait_s"),
]


@pytest.mark.parametrize(("make", "kind", "old", "new"), RENAMED_KEYWORDS)
def test_a_renamed_keyword_is_taken_with_a_warning(
    make: Any, kind: str, old: str, new: str
) -> None:
    with pytest.warns(
        DeprecationWarning, match=rf"^{kind}\({old}=...\) is now {kind}\({new}=...\); the old name"
    ) as warned:
        made = make(**{old: 3})
    assert [Path(warning.filename).name for warning in warned] == [Path(__file__).name]
    assert made == make(**{new: 3})
    assert getattr(made, new) == 3
    with pytest.warns(
        DeprecationWarning, match=f"^{kind}.{old} is now {kind}.{new}; the old name goes with 0.3"
    ):
        assert getattr(made, old) == 3


@pytest.mark.parametrize(("make", "kind", "old", "new"), RENAMED_KEYWORDS)
def test_a_renamed_keyword_is_given_under_one_of_its_names(
    make: Any, kind: str, old: str, new: str
) -> None:
    with pytest.raises(
        DeclarationError, match=rf"given {new}= twice, the second time as {old}=; leave {old}= out"
    ):
        make(**{old: 3, new: 3})


YAML = """graph: g
nodes:
  clerk: {kind: agent, WORDS}
edges: [START >> clerk >> END]
"""


def test_a_file_with_old_keywords_is_read_with_warnings(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(YAML.replace("WORDS", "turns: 3, at_once: 2, retry: {attempts: 2, most_s: 5}"))
    new.write_text(
        YAML.replace(
            "WORDS", "max_turns: 3, max_parallel_calls: 2, retry: {attempts: 2, max_wait_s: 5}"
        )
    )
    with pytest.warns(DeprecationWarning, match="the old name goes with 0.3") as warned:
        read = Graph.from_yaml(old)
    assert sorted(str(warning.message).partition(" ")[0] for warning in warned) == [
        "Agent(at_once=...)",
        "Agent(turns=...)",
        "Retry(most_s=...)",
    ]
    assert read == Graph.from_yaml(new)
    assert "max_turns: 3" in read.to_yaml()
    assert "most_s" not in read.to_yaml()


def test_a_file_gives_a_renamed_key_under_one_of_its_names(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text(YAML.replace("WORDS", "turns: 3, max_turns: 3"))
    with pytest.raises(
        FileUnreadable,
        match="agent 'clerk' has max_turns twice, the second time as turns; leave turns out",
    ):
        Graph.from_yaml(file)


def test_the_words_of_a_provider_are_still_read_under_their_old_name_with_a_warning() -> None:
    error = ModelError("overloaded")
    with pytest.warns(
        DeprecationWarning, match="ModelError.said is now ModelError.provider_message"
    ):
        assert error.said == error.provider_message == "overloaded"


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
        DeprecationWarning,
        match=r"request.seed is now request.settings.seed; the old name goes with 0.3",
    ):
        assert request.seed == 7  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="a Request has no attribute 'sed'"):
        request.sed  # type: ignore[attr-defined]


def test_every_setting_is_a_keyword_of_an_agent_and_of_a_request() -> None:
    assert tuple(SettingsOptions.__annotations__) == SETTINGS
    assert set(SETTINGS) <= set(AgentOptions.__annotations__)
    assert set(SETTINGS) <= set(inspect.signature(Agent).parameters)
