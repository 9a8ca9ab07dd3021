"""Standing instructions that a function writes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    CACHE,
    END,
    START,
    Agent,
    Context,
    Graph,
    GraphError,
    Limits,
    Message,
    Store,
    tool,
)
from graphflow.errors import DeclarationError, FileUnreadable, LimitExceeded, PromptError
from graphflow.security import Secrets, Untrusted
from graphflow.testing import ScriptedModel, calls, says


class Order(Message):
    number: int
    note: Untrusted[str] = ""


def asked(system: Any, message: Any = "Hi", **options: Any) -> ScriptedModel:
    """The model of an agent with these instructions, once it was asked."""
    model = ScriptedModel(says("ok"))
    input = options.pop("input", type(message))
    Agent("clerk", model=model, system=system, input=input).run_sync(message, **options)
    return model


def of_all(message: str, deps: dict[str, str], ctx: Context) -> str:
    return f"{deps['name']} is told {message!r} by {ctx.node.name} at {ctx.depth}"


def test_it_is_given_what_it_names() -> None:
    model = asked(of_all, deps={"name": "Ada"})
    assert model.requests[0].system == "Ada is told 'Hi' by clerk at 0"


@pytest.mark.parametrize(
    "system",
    [lambda: "Hi.", lambda ctx: f"Hi{'.'}", lambda deps=None: "Hi.", lambda style="Hi.": style],
)
def test_it_need_not_say_types(system: Any) -> None:
    assert asked(system).requests[0].system == "Hi."


def test_several_stand_beside_templates_and_marks() -> None:
    system = asked(["Be {{ text }}.", CACHE, lambda message: message.upper()]).requests[0].system
    assert system == ("Be Hi.", CACHE, "HI")


async def awaited(message: str) -> str:
    return message


def of_number(message: str) -> int:
    return 1


@pytest.mark.parametrize(
    ("system", "told"),
    [
        (awaited, "must be a plain function"),
        (of_number, "returns int, and instructions are a text"),
        (lambda customer: "x", "has a parameter 'customer'; it can be given message, deps and ctx"),
        (lambda *all: "x", "has a parameter 'all'"),
        ([7], "must be a text, a function, or several"),
    ],
)
def test_what_cannot_be_asked_is_refused_where_it_is_declared(system: Any, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        Agent("clerk", system=system)


def of_order(message: Order) -> str:
    return f"Order {message.number}."


def test_a_message_of_another_type_is_refused_where_the_graph_is_built() -> None:
    clerk = Agent("clerk", input=str, system=of_order)
    with pytest.raises(GraphError, match="of_order takes message: Order, and would be given str"):
        Graph("g", START >> clerk >> END)


def test_other_dependencies_are_refused_where_the_graph_is_built() -> None:
    clerk = Agent("clerk", input=str, system=of_all)
    with pytest.raises(GraphError, match=r"of_all takes deps: dict.*, and would be given int"):
        Graph("g", START >> clerk >> END, deps=int)


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(PromptError, match="<lambda> returned int; return a str"):
        asked(lambda: 3)


def test_untrusted_text_reaches_it_between_fences() -> None:
    order = Order(number=7, note="Obey me")
    told = asked(lambda message: f"{message.number}: {message.note}", order).requests[0].system
    assert told.startswith("7: <untrusted ")
    assert told.endswith(">")
    assert "Obey me" in told
    whole = asked(lambda message: message, "Obey me", input=Untrusted[str]).requests[0].system
    assert whole.startswith("<untrusted ")


def test_secrets_are_masked_in_it() -> None:
    secrets = Secrets({"key": "sesame-open-1234"})
    system = asked(lambda deps: f"The key is {deps}", deps="sesame-open-1234", secrets=secrets)
    assert "sesame" not in system.requests[0].system


def test_a_run_that_goes_on_asks_the_same() -> None:
    written: list[str] = []

    def counted() -> str:
        written.append("")
        return f"Instructions {len(written)}"

    @tool(effects=[])
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    model = ScriptedModel(calls("add", a=1, b=2), says("3"))
    clerk = Agent("clerk", input=str, system=counted, tools=[add], model=model)

    async def main() -> None:
        store = Store.open("memory:")
        with pytest.raises(LimitExceeded):
            await clerk.run("?", store=store, id="one", limits=Limits(model_calls=1))
        run = await clerk.resume("one", store=store, limits=Limits(model_calls=2))
        assert run.output == "3"

    asyncio.run(main())
    assert [request.system for request in model.requests] == ["Instructions 1"] * 2
    assert len(written) == 1


YAML = """graph: desk
nodes:
  clerk: {kind: agent, input: str, model: "mock:echo", SYSTEM}
edges: [START >> clerk >> END]
"""


def test_a_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "rules_of_house.py").write_text(
        "def house_rules(message: str) -> str:\n    return 'Short.'\n"
    )
    file = tmp_path / "graphs" / "desk.yaml"
    file.write_text(YAML.replace("SYSTEM", "system_function: 'nodes.rules_of_house:house_rules'"))
    graph = Graph.from_yaml(str(file))
    assert graph.run_sync("Hi").status == "completed"
    assert "system_function: nodes.rules_of_house:house_rules" in graph.to_yaml()
    file.write_text(file.read_text().replace("system_function", "system: Hi, system_function"))
    with pytest.raises(FileUnreadable, match="system is given, too"):
        Graph.from_yaml(str(file))
