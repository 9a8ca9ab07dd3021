"""Prompts are sandboxed and strict; a message is data."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import END, START, Agent, Graph
from graphflow.errors import PromptError
from graphflow.testing import ScriptedModel
from graphflow.turns import UserTurn
from tests.conftest import Msg, walk


def said(prompt: str, message: Any, **options: Any) -> Any:
    model = ScriptedModel("x")
    run = walk(
        Graph("g", START >> Agent("a", input=type(message), prompt=prompt) >> END), message, model=model, **options
    )
    if run.error is not None:
        raise run.error
    turn = model.requests[0].turns[-1]
    assert isinstance(turn, UserTurn)
    return turn.text


def test_what_a_template_sees() -> None:
    text = said(
        "{{ n }} {{ message.tag }} {{ deps.x }} {{ ctx.depth }} {{ ctx.path[0] }}", Msg(n=3, tag="t"), deps={"x": 5}
    )
    assert text == "3 t 5 0 g"


def test_a_message_is_never_compiled() -> None:
    assert said("{{ text }}", "{{ 7 * 7 }} {% for %}") == "{{ 7 * 7 }} {% for %}"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ message.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ deps.append(1) }}",
        "{{ message.model_config.update({}) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__ }}",
    ],
)
def test_the_sandbox_holds(attack: str) -> None:
    from graphflow import GraphError

    with pytest.raises((PromptError, GraphError)):
        said(attack, Msg(), deps=[1])


def test_an_undefined_name_is_an_error_and_never_nothing() -> None:
    with pytest.raises(PromptError, match="can use: ctx, deps, message, n"):
        said("{{ nope }}", {"n": 1})


def test_loops_and_conditions_work() -> None:
    assert said("{% for i in range(n) %}{{ i }}{% endfor %}{% if tag %}!{% endif %}", Msg(n=3, tag="x")) == "012!"
