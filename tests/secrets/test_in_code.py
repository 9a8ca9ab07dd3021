"""Secrets that code is given: by the context, and as parameters that no model is asked for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from graphflow import END, START, Agent, Context, Graph, Human, Router, node, tool
from graphflow.errors import DeclarationError, FileUnreadable, GraphError, SecretUnknown
from graphflow.journal import Store
from graphflow.kinds.tool import spec_of
from graphflow.security import Secret, Secrets
from graphflow.testing import ScriptedModel, calls

VALUE = "hunter2-swordfish"
used: list[str] = []


@tool
async def charge(amount: int, stripe_key: Secret, where: Annotated[Secret, "shop"]) -> str:
    """Charge a card.

    Args:
        amount: cents.
    """
    used.append(f"{amount} {stripe_key.reveal()} {where.reveal()}")
    return f"charged with {stripe_key.reveal()} {stripe_key}"


@node
async def sign(text: str, stripe_key: Secret) -> str:
    used.append(stripe_key.reveal())
    return f"{text} {stripe_key!r}"


@node
def ask(text: str, ctx: Context) -> str:
    secret = ctx.secret("stripe_key")
    used.append(secret.reveal())
    return f"{text} {secret} {secret!r} {secret:>14}"


def both() -> Secrets:
    return Secrets({"stripe_key": VALUE, "shop": "shop-number-one"})


@pytest.fixture(autouse=True)
def nothing_used() -> None:
    used.clear()


def test_a_parameter_gets_the_secret_that_no_model_is_asked_for() -> None:
    assert list(spec_of(charge).parameters["properties"]) == ["amount"]
    assert "secret" not in json.dumps(spec_of(charge).parameters).lower()
    model = ScriptedModel(calls("charge", amount=5), "done")
    graph = Graph("shop", START >> Agent("clerk", input=str, tools=[charge], model=model) >> END)
    run = graph.run_sync("go", secrets=both())
    assert used == ["5 hunter2-swordfish shop-number-one"]
    assert VALUE not in repr(model.requests) + repr(run.events)
    assert "charged with [stripe_key] [stripe_key]" in repr(model.requests)


def test_a_model_that_gives_the_parameter_itself_is_refused() -> None:
    model = ScriptedModel(calls("charge", amount=5, stripe_key="x"), "sorry")
    graph = Graph("shop", START >> Agent("clerk", input=str, tools=[charge], model=model) >> END)
    graph.run_sync("go", secrets=both())
    assert used == []


def test_steps_get_secrets_by_parameter_and_by_context() -> None:
    graph = Graph("signs", START >> sign >> ask >> END)
    run = graph.run_sync("x", secrets=both())
    assert used == [VALUE, VALUE]
    assert run.output == ("x <secret stripe_key> [stripe_key] <secret stripe_key>   [stripe_key]")


def test_a_secret_that_is_missing_is_refused_before_anything_runs() -> None:
    graph = Graph("signs", START >> sign >> END)
    with pytest.raises(
        SecretUnknown, match=r"'sign' of graph 'signs' takes a secret.*'stripe_key'"
    ):
        graph.run_sync("x")
    with pytest.raises(SecretUnknown, match="there is: shop"):
        graph.run_sync("x", secrets=Secrets({"shop": "shop-number-one"}))
    with pytest.raises(SecretUnknown, match="no secret 'stripe_key'"):
        Graph("asks", START >> ask >> END).run_sync("x")
    assert used == []


def test_a_graph_declares_secrets_for_itself_and_for_those_around_it() -> None:
    inner = Graph("inner", START >> sign >> END, secrets=both())
    outer = Graph("outer", START >> inner >> END)
    assert outer.run_sync(f"x {VALUE}").output == "x [stripe_key] <secret stripe_key>"
    other = Secrets({"stripe_key": "another-value"})
    assert outer.run_sync(f"x {VALUE}", secrets=other).output.startswith(f"x {VALUE}")
    assert used == [VALUE, "another-value"]


def test_a_cached_answer_is_not_for_another_secret() -> None:
    @node(cache=60)
    async def fetch(text: str, stripe_key: Secret) -> str:
        used.append(stripe_key.reveal())
        return str(len(used))

    graph = Graph("fetches", START >> fetch >> END)
    one, other = Secrets({"stripe_key": VALUE}), Secrets({"stripe_key": "another-value"})
    answers = [graph.run_sync("x", secrets=each).output for each in (one, other, one)]
    assert answers == ["1", "2", "1"]


def test_a_resumed_run_finds_its_secrets_anew(tmp_path: Path) -> None:
    at = tmp_path / "key"

    async def walk() -> str:
        graph = Graph(
            "waits",
            START >> sign >> Human("person", input=str, output=str) >> ask >> END,
            secrets=Secrets(files={"stripe_key": at}),
        )
        async with Store.open(f"sqlite:{tmp_path / 'runs.db'}") as store:
            at.write_text("first-value-1")
            run = await graph.run("x first-value-1", store=store, id="r")
            at.write_text("second-value-2")
            assert run.status == "waiting"
            run = await graph.resume("r", store=store, answers={"person": "go on"})
            return str(run.output)

    assert "second-value-2" not in asyncio.run(walk())
    assert used == ["first-value-1", "second-value-2"]
    written = b"".join(path.read_bytes() for path in tmp_path.glob("runs.db*"))
    assert b"value-" not in written


def test_the_rule_of_a_router_takes_no_secret() -> None:
    def rule(text: str, key: Secret) -> Any: ...

    router = Router("way", rule=rule)
    with pytest.raises(GraphError, match=r"ctx\.secret"):
        Graph("ways", START >> router >> END)


YAML = """
graph: signs
secrets:
  env: {stripe_key: STRIPE}
  files: [/run/secrets/db_password]
  patterns: {card: "[0-9]{16}"}
nodes:
  sign: signing_steps:sign
edges:
  - START >> sign >> END
"""


STEPS = """
from graphflow import node
from graphflow.security import Secret


@node
async def sign(text: str, stripe_key: Secret) -> str:
    return f"{text} {stripe_key!r}"
"""


def test_a_file_says_where_secrets_are_and_never_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signs.yaml"
    path.write_text(YAML)
    (tmp_path / "signing_steps.py").write_text(STEPS)
    graph = Graph.from_yaml(str(path))
    assert graph.secrets is not None
    assert graph.secrets.names() == ("stripe_key", "db_password", "card")
    again = tmp_path / "again.yaml"
    again.write_text(graph.to_yaml())
    assert Graph.from_yaml(str(again)) == graph
    with pytest.raises(FileUnreadable, match="values of secrets"):
        Graph("signs", START >> sign >> END, secrets=both()).to_yaml()

    monkeypatch.setenv("STRIPE", VALUE)
    path.write_text(YAML.replace("  files: [/run/secrets/db_password]\n", ""))
    run = Graph.from_yaml(str(path)).run_sync(f"{VALUE} 1234567812345678")
    assert run.output == "[stripe_key] [card] <secret stripe_key>"


def test_what_is_no_secrets_is_refused() -> None:
    wrong: Any = ["stripe"]
    with pytest.raises(DeclarationError, match="secrets= is a list"):
        Graph("signs", START >> sign >> END, secrets=wrong).run_sync("x")
