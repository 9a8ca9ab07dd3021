"""Verdicts: whether runs that are kept can go on with a graph that has changed, and what migrations do for them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, create_model

from graphflow import END, START, Graph, Human, Store, node
from graphflow.errors import DeclarationError, Diverged, Unreadable
from graphflow.journal import migrate
from graphflow.journal.codec import known_migrations
from graphflow.journal.verdict import Misplacement
from tests.runtime.test_replay import looped


@pytest.fixture
def store() -> Store:
    return Store.open("memory:")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations of one test are none of another."""
    monkeypatch.setattr(known_migrations, "_known", {})


def drafting(draft: Any, *between: Any) -> Graph[Any, Any]:
    """write >> a person >> publish, of a class of drafts."""

    async def write(topic: str) -> Any:
        names = list(draft.model_fields)
        return draft(**{names[0]: topic})

    write.__annotations__["return"] = draft
    writer = node(effects=[])(write)

    @node(effects=[])
    async def publish(text: str) -> str:
        return f"published {text}"

    path: Any = START >> writer
    for each in between:
        path = path >> each
    return Graph("press", path >> Human("editor", input=draft) >> publish >> END)


class Draft(BaseModel, frozen=True):
    text: str


def changed(**fields: Any) -> type[BaseModel]:
    return create_model("Draft", __config__={"frozen": True}, **fields)


async def waiting(graph: Graph[Any, Any], store: Store) -> None:
    run = await graph.run("bees", store=store, id="r")
    assert run.status == "waiting"


@looped
async def test_a_graph_that_has_not_changed_is_the_same(store: Store) -> None:
    await waiting(drafting(Draft), store)
    [verdict] = await drafting(Draft).verdict(store=store)
    assert (verdict.id, verdict.status, verdict.judgement, verdict.reasons) == (
        "r",
        "waiting",
        "same",
        (),
    )


@looped
async def test_runs_that_have_ended_are_judged_if_they_are_named(store: Store) -> None:
    graph = drafting(Draft)
    await waiting(graph, store)
    await graph.resume("r", store=store, answers={"editor": "fine"})
    assert await graph.verdict(store=store) == []
    [verdict] = await graph.verdict(store=store, runs=["r"])
    assert verdict.judgement == "same"


@looped
async def test_a_field_with_a_default_and_a_node_behind_are_compatible(store: Store) -> None:
    await waiting(drafting(Draft), store)
    graph = drafting(changed(text=(str, ...), title=(str, "")))
    [verdict] = await graph.verdict(store=store)
    assert verdict.judgement == "compatible"
    run = await graph.resume("r", store=store, answers={"editor": "fine"})
    assert run.output == "published fine"


@looped
async def test_a_type_that_cannot_be_read_any_more_is_refused_with_the_place(store: Store) -> None:
    await waiting(drafting(Draft), store)
    graph = drafting(changed(body=(str, ...)))
    [verdict] = await graph.verdict(store=store)
    assert verdict.judgement == "refused"
    assert not verdict.may_go_on
    [reason] = verdict.reasons
    assert "Draft" in str(reason)
    assert "row 1" in str(reason)
    with pytest.raises(Unreadable):
        await graph.resume("r", store=store, answers={"editor": "fine"})


@looped
async def test_a_node_before_is_refused_with_path_and_node(store: Store) -> None:
    await waiting(drafting(Draft), store)

    @node(effects=[])
    async def check(draft: Draft) -> Draft:
        return draft

    graph = drafting(Draft, check)
    [verdict] = await graph.verdict(store=store)
    assert verdict.judgement == "refused"
    [reason] = verdict.reasons
    assert isinstance(reason, Misplacement)
    assert reason.path == ("press",)
    with pytest.raises(Diverged):
        await graph.resume("r", store=store, answers={"editor": "fine"})


@looped
async def test_code_under_way_that_would_not_find_what_it_has_got_is_refused(store: Store) -> None:
    await waiting(drafting(Draft), store)

    @node(effects=[])
    async def write(topic: str) -> Draft:
        return Draft(text=topic)

    @node(effects=[])
    async def publish(texts: list[str]) -> str:
        return "; ".join(texts)

    @node(effects=[])
    async def log(draft: Draft) -> str:
        return "logged"

    editor: Any = Human("editor", input=Draft)
    graph = Graph("press", START >> write >> (editor, log) >> publish >> END)
    [verdict] = await graph.verdict(store=store)
    assert verdict.judgement == "refused"
    assert "has got /editor 2/" in str(verdict.reasons[0])
    with pytest.raises(Diverged, match="has got /editor 2/"):
        await graph.resume("r", store=store, answers={"editor": "fine"})


@looped
async def test_arms_that_have_changed_places_are_refused(store: Store) -> None:
    class Yes(BaseModel, frozen=True):
        why: str

    class No(BaseModel, frozen=True):
        why: str

    def deciding(kind: Any) -> Graph[Any, Any]:
        async def decide(text: str) -> Any:
            return Yes(why=text)

        decide.__annotations__["return"] = kind
        return Graph("g", START >> node(effects=[])(decide) >> Human("editor", input=kind) >> END)

    await deciding(Yes | No).run("x", store=store, id="r")
    [verdict] = await deciding(No | Yes).verdict(store=store)
    assert verdict.judgement == "refused"
    assert "add arms at the end" in str(verdict.reasons[0])
    [verdict] = await deciding(Yes | No | int).verdict(store=store)
    assert verdict.judgement == "compatible"


# -- migrations ------------------------------------------------------------------------------------
@looped
async def test_a_migration_reads_what_an_older_type_has_left(store: Store) -> None:
    await waiting(drafting(Draft), store)
    new: Any = changed(body=(str, ...), title=(str, ...))

    @migrate("Draft", new)
    def _(old: dict[str, Any]) -> dict[str, Any]:
        return {"body": old["text"], "title": "untitled"}

    graph = drafting(new)
    [verdict] = await graph.verdict(store=store)
    assert verdict.judgement == "migrated"
    assert verdict.reasons == ("Draft -> Draft",)
    run = await graph.resume("r", store=store, answers={"editor": "fine"})
    assert run.output == "published fine"
    again = await graph.replay("r", store=store)
    assert again.output == run.output
    [draft] = [step.output for step in again.steps if step.node == "write"]
    assert draft == new(body="bees", title="untitled")


@looped
async def test_migrations_follow_each_other_and_reach_what_lies_within(store: Store) -> None:
    class Second(BaseModel, frozen=True):
        body: str

    class Third(BaseModel, frozen=True):
        lines: list[str]

    @migrate(Draft, Second)
    def _(old: Draft) -> Second:
        return Second(body=old.text)

    @migrate(Second, Third)
    def _(old: Second) -> Third:
        return Third(lines=[old.body])

    def graph_of(kind: Any) -> Graph[Any, Any]:
        async def write(topic: str) -> Any:
            return [kind(text=topic)]

        write.__annotations__["return"] = list[kind]
        return Graph("g", START >> node(effects=[])(write) >> Human("editor") >> END)

    await graph_of(Draft).run("bees", store=store, id="r")
    run = await store.load("r", graph_of(Third))
    assert run.steps[0].output == [Third(lines=["bees"])]


@looped
async def test_a_migration_that_raises_says_which_it_was(store: Store) -> None:
    await waiting(drafting(Draft), store)
    new: Any = changed(body=(str, ...))

    @migrate("Draft", new)
    def _(old: dict[str, Any]) -> dict[str, Any]:
        return {"body": old["nothing"]}

    [verdict] = await drafting(new).verdict(store=store)
    assert verdict.judgement == "refused"
    assert "the migration Draft -> Draft" in str(verdict.reasons[0])


def test_a_migration_leads_to_a_class_with_fields() -> None:
    with pytest.raises(DeclarationError, match="a class with fields"):
        migrate("Draft", int)
    with pytest.raises(DeclarationError, match="the name that one had"):
        migrate(3, Draft)  # type: ignore[arg-type]


@looped
async def test_nodes_that_had_one_type_are_read_each_by_its_own(store: Store) -> None:
    class Checked(BaseModel, frozen=True):
        text: str
        by: str = "nobody"

    def graph_of(kind: Any) -> Graph[Any, Any]:
        @node(effects=[])
        async def write(topic: str) -> Draft:
            return Draft(text=topic)

        async def check(draft: Draft) -> Any:
            return draft

        check.__annotations__["return"] = kind
        return Graph(
            "press", START >> write >> node(effects=[])(check) >> Human("editor", input=kind) >> END
        )

    await waiting(graph_of(Draft), store)
    run = await store.load("r", graph_of(Checked))
    assert [step.output for step in run.steps] == [Draft(text="bees"), Checked(text="bees")]
