"""Policies: what may be called, in which order that is found out, how they add up, and what a model is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Limits,
    Policy,
    Router,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import DeclarationError, PolicyRefused
from graphflow.policy import EFFECTS, Use
from graphflow.testing import ScriptedModel, both, calls, says
from tests.conftest import walk
from tests.toolbox import ask, results_of, told, wrote

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_ways = pytest.mark.parametrize("observed", [False, True])
done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@tool
async def look(at: str) -> str:
    """Look."""
    done.append(f"look {at}")
    return "seen"


@tool(effects=["reads"])
async def read(path: str) -> str:
    """Read."""
    done.append(f"read {path}")
    return "read"


@tool(effects=["reads", "writes"])
async def write(path: str) -> str:
    """Write."""
    done.append(f"write {path}")
    return "written"


@tool(name="github_delete_repo", effects=["network", "writes"])
async def delete_repo(path: str) -> str:
    """Delete."""
    done.append(f"delete {path}")
    return "deleted"


def desk(*tools: Any, **options: Any) -> Graph[Any, Any]:
    return Graph("desk", START >> Agent("agent", input=str, tools=list(tools), **options) >> END)


# -- the order -------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["model", "model observed", "code", "edge", "edge observed"])
def test_arguments_then_policy_then_consent_then_work(how: str) -> None:
    order: list[tuple[str, Any]] = []

    def check(use: Use) -> None:
        order.append(("policy", use.arguments))

    def predicate(arguments: Any) -> bool:
        order.append(("predicate", arguments))
        return True

    async def approve(use: Use) -> bool:
        order.append(("approve", use.arguments))
        return True

    @tool(effects=["writes"], approval=predicate)
    async def put(n: int) -> str:
        """Put."""
        order.append(("work", n))
        return "put"

    @node
    async def words(text: str) -> Any:
        return text

    @node(calls=[put])
    async def lead(text: str, ctx: Context) -> str:
        return await ctx.call(put, {"n": text})

    options: dict[str, Any] = {
        "policy": Policy(check=check),
        "approve": approve,
        "observed": how.endswith("observed"),
    }
    for number in ("5", "five"):
        order.clear()
        if how.startswith("model"):
            result = told(put, f'{{"n": "{number}"}}', **options)
            fine, text = result.ok, result.text
        else:
            way = START >> lead >> END if how == "code" else START >> words >> put >> END
            run = walk(Graph("g", way), number, **options)
            fine, text = run.error is None, str(run.error)
        assert fine is (number == "5")
        if not fine:
            assert order == []
            assert "n: Input should be a valid integer" in text
    order.clear()
    told(put, '{"n": "5"}', **options)
    assert [(what, getattr(seen, "n", seen)) for what, seen in order] == [
        ("policy", 5),
        ("predicate", 5),
        ("approve", 5),
        ("work", 5),
    ]


def test_on_an_edge_they_see_the_same_arguments_as_in_a_call() -> None:
    seen: list[Any] = []

    @tool(effects=["writes"], approval=lambda arguments: bool(seen.append(arguments)))
    async def put(n: int) -> str:
        """Put."""
        return "put"

    @node
    async def five(text: str) -> int:
        return 5

    policy = Policy(check=lambda use: seen.append(use.arguments))
    assert walk(Graph("g", START >> five >> put >> END), "x", policy=policy).output == "put"
    assert seen == [put.arguments(n=5)] * 2  # type: ignore[call-arg]


# -- what a policy refuses -------------------------------------------------------------------------
@both_ways
@pytest.mark.parametrize(
    ("policy", "refused", "words"),
    [
        (Policy(deny=["write"]), ["write"], "the policy denies 'write'"),
        (Policy(deny=["*e*"]), ["read", "write", "github_delete_repo"], "the policy denies"),
        (
            Policy(allow=["re*"]),
            ["look", "write", "github_delete_repo"],
            "the policy allows only re*",
        ),
        (
            Policy(allow=[]),
            ["look", "read", "write", "github_delete_repo"],
            "the policy allows only nothing",
        ),
        (Policy(deny=["github_*"]), ["github_delete_repo"], "denies 'github_delete_repo'"),
        (Policy(allow=["*"], deny=["l??k"]), ["look"], "denies 'look'"),
        (Policy(effects=["reads"]), ["write", "github_delete_repo"], "the policy allows reads"),
        (
            Policy(effects=[]),
            ["read", "write", "github_delete_repo"],
            "the policy allows no effects",
        ),
        (
            Policy(allow=["write"], effects=["reads"]),
            ["look", "read", "write", "github_delete_repo"],
            "the policy allows",
        ),
        (Policy(deny=["Look"]), [], ""),
    ],
)
@pytest.mark.parametrize("place", ["run", "graph", "agent"])
def test_a_refused_tool_is_not_offered_and_a_call_of_it_does_nothing(
    observed: bool, policy: Policy, refused: list[str], words: str, place: str
) -> None:
    tools = [look, read, write, delete_repo]
    turn = wrote(("look", '{"at": "x"}'), *((t.name, '{"path": "x"}') for t in tools[1:]))
    model = ScriptedModel(turn, "end")
    agent = Agent("pilot", input=str, tools=tools, policy=policy if place == "agent" else None)
    graph = Graph("desk", START >> agent >> END, policy=policy if place == "graph" else None)
    run = walk(
        graph, "go", model=model, observed=observed, policy=policy if place == "run" else None
    )
    assert run.output == "end"
    assert {spec.name for spec in model.requests[0].tools} == {t.name for t in tools} - set(refused)
    [results] = results_of(model)
    assert [r.name for r in results if not r.ok] == refused
    for result in results:
        if result.name in refused:
            assert result.text.startswith(
                f"PolicyRefused: {result.name!r} may not be called here: "
            )
            assert words in result.text or len(refused) > 2
    assert len(done) == len(tools) - len(refused)
    assert run.usage.tool_calls == len(done)


def test_a_check_sees_validated_arguments_the_effects_and_the_way() -> None:
    seen: list[Use] = []

    def check(use: Use) -> str | None:
        seen.append(use)
        return "only below /tmp" if not use.arguments.path.startswith("/tmp/") else None

    _, results = ask(
        [read],
        both(calls("read", path="/etc/shadow"), calls("read", path="/tmp/a")),
        policy=Policy(check=check),
    )
    assert [r.ok for r in results] == [False, True]
    assert "only below /tmp" in results[0].text
    assert done == ["read /tmp/a"]
    assert (seen[0].node, seen[0].kind, seen[0].effects, seen[0].path) == (
        "read",
        "tool",
        {"reads"},
        ("desk",),
    )
    assert seen[0].key != seen[1].key


@pytest.mark.parametrize(
    "odd", [lambda use: 1 / 0, lambda use: False, lambda use: True, lambda use: ""]
)
def test_a_check_that_breaks_or_answers_nonsense_refuses(odd: Any) -> None:
    assert not told(look, '{"at": "x"}', policy=Policy(check=odd)).ok
    assert done == []


def test_what_is_no_policy_is_refused_where_it_is_written() -> None:
    async def later(use: Use) -> None: ...

    for options in (
        {"deny": "x"},
        {"allow": "x"},
        {"effects": "reads"},
        {"effects": ["fly"]},
        {"check": later},
        {"check": 3},
    ):
        with pytest.raises(DeclarationError, match="Policy"):
            Policy(**options)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match=r"give a Policy\(\.\.\.\)"):
        walk(desk(look), "x", model=ScriptedModel(), policy=["look"])
    with pytest.raises(DeclarationError, match="give a function of the call"):
        walk(desk(look), "x", model=ScriptedModel(), approve=True)
    with pytest.raises(DeclarationError, match="plain function"):
        tool(approval=later)(_echo)


async def _echo(text: str) -> str:
    return text


def test_nobody_who_is_asked_can_change_what_is_done() -> None:
    def check(use: Use) -> None:
        use.arguments.path = "/etc/passwd"

    assert not told(read, '{"path": "/tmp/a"}', policy=Policy(check=check)).ok
    assert done == []

    def add(use: Use) -> bool:
        use.arguments.people.append("mallory")
        return True

    @tool(approval=True)
    async def invite(people: list[str]) -> str:
        """Invite."""
        return ", ".join(people)

    assert (
        told(
            invite,
            '{"people": ["bob"]}',
            policy=Policy(check=lambda use: add(use) and None),
            approve=add,
        ).text
        == "bob"
    )


# -- layers ----------------------------------------------------------------------------------------
@both_ways
@pytest.mark.parametrize("wrap", ["agent", "sub-agent", "graph"])
def test_a_child_cannot_have_what_its_parent_may_not(observed: bool, wrap: str) -> None:
    """Its own `allow` and the way it is called change nothing; its own `deny` is asked as well."""
    clerk = Agent(
        "clerk", input=str, tools=[look, read, write], policy=Policy(allow=["*"], deny=["look"])
    )
    child: Any = {
        "agent": clerk,
        "sub-agent": SubAgent(clerk, policy=Policy(allow=["*"])),
        "graph": Graph("clerk", START >> clerk.named("inner") >> END, policy=Policy(allow=["*"])),
    }[wrap]
    boss = Agent("boss", input=str, sub_agents=[child], policy=Policy(effects=["reads"]))
    turn = both(calls("look", at="x"), calls("read", path="x"), calls("write", path="x"))
    model = ScriptedModel(calls("clerk", input="x"), turn, "c", "end")
    run = walk(Graph("g", START >> boss >> END), "go", model=model, observed=observed)
    assert run.output == "end", run.error
    assert done == ["read x"]
    assert [spec.name for spec in model.requests[1].tools] == ["read"]


@both_ways
def test_a_parents_own_tools_are_not_under_its_childs_policy(observed: bool) -> None:
    clerk = Agent("clerk", input=str, tools=[write], policy=Policy(deny=["*"]))
    boss = Agent("boss", input=str, tools=[write], sub_agents=[clerk])
    model = ScriptedModel(
        calls("clerk", input="x"), calls("write", path="a"), "c", calls("write", path="b"), "end"
    )
    walk(Graph("g", START >> boss >> END), "go", model=model, observed=observed)
    assert done == ["write b"]


def test_each_policy_is_asked_once_a_call() -> None:
    seen: list[str] = []
    policy = Policy(check=lambda use: seen.append(use.node))
    clerk = Agent("clerk", input=str, tools=[look], policy=policy)
    model = ScriptedModel(calls("clerk", input="x"), calls("look", at="x"), "c", "end")
    walk(
        Graph("g", START >> Agent("boss", input=str, sub_agents=[clerk]) >> END), "go", model=model
    )
    assert seen == ["look"]


@both_ways
def test_a_hand_over_is_judged_too(observed: bool) -> None:
    other = Agent("other", input=str)
    graph = Graph("g", START >> Agent("first", input=str, handoffs=[other]) >> END)
    seen: list[Any] = []

    def check(use: Use) -> str:
        seen.append((use.node, use.arguments))
        return "not to that one"

    model = ScriptedModel(calls("transfer_to_other", input="x"), "first's own")
    run = walk(graph, "go", model=model, policy=Policy(check=check), observed=observed)
    assert run.output == "first's own"
    assert seen == [("other", "x")]
    assert "not to that one" in model.requests[1].turns[-1].results[0].text  # type: ignore[union-attr]


@both_ways
def test_who_takes_over_is_under_the_policies_of_the_walk(observed: bool) -> None:
    other = Agent("other", input=str, tools=[look, write])
    graph = Graph(
        "g",
        START >> Agent("first", input=str, handoffs=[other]) >> END,
        policy=Policy(deny=["write"]),
    )
    model = ScriptedModel(
        calls("transfer_to_other", input="x"),
        both(calls("look", at="x"), calls("write", path="x")),
        "end",
    )
    walk(graph, "go", model=model, observed=observed)
    assert done == ["look x"]


@both_ways
def test_a_tool_on_an_edge_is_under_the_policy_and_a_step_without_effects_is_not(
    observed: bool,
) -> None:
    @node
    async def prepare(text: str) -> str:
        done.append("prepare")
        return text

    graph = Graph("g", START >> prepare >> look >> END)
    run = walk(graph, "x", policy=Policy(allow=["read"]), observed=observed)
    assert isinstance(run.error, PolicyRefused)
    assert done == ["prepare"]
    assert walk(graph, "x", policy=Policy(allow=["look"]), observed=observed).output == "seen"


def test_policies_hold_in_the_background() -> None:
    clerk = Agent("clerk", input=str, tools=[write], prompt="Do: {{ message }}")
    boss = Agent("boss", input=str, sub_agents=[SubAgent(clerk, background=True)])
    model = ScriptedModel(
        calls("clerk", input="x"),
        calls("write", path="a", when="Do: x"),
        says("refused", when="PolicyRefused"),
        calls("background", handle="clerk-1", action="await", when="running"),
        "end",
    )
    run = walk(Graph("g", START >> boss >> END), "go", model=model, policy=Policy(deny=["write"]))
    assert run.output == "end", run.error
    assert done == []


names = st.sampled_from(["look", "read", "write", "github_delete_repo", "other"])
globs = st.lists(
    st.one_of(names, st.sampled_from(["*", "r*", "git*", "*e", "????", "[lr]*", ""])), max_size=3
)
effects = st.lists(st.sampled_from(EFFECTS), max_size=4, unique=True)


def _judge(seed: int) -> Any:
    return lambda use: "no" if (len(use.node) + seed) % 3 == 0 else None


policies = st.builds(
    Policy,
    allow=st.none() | globs,
    deny=globs,
    effects=st.none() | effects,
    check=st.none() | st.integers(0, 2).map(_judge),
)


nestings = st.lists(
    st.sampled_from(["sub-agent", "other name", "named", "graph", "graph and name"]), max_size=4
)


def nested(target: Any, ways: Sequence[str]) -> Any:
    """An agent or graph, wrapped and renamed in these ways, the last outermost."""
    for number, way in enumerate(ways):
        if way == "sub-agent":
            target = SubAgent(target)
        elif way == "other name":
            target = SubAgent(target, name=f"helper_{number}")
        elif way == "named":
            target = target.named(f"alias_{number}")
        else:
            target = Graph(f"around_{number}", START >> target >> END)
            target = target.named(f"graph_{number}") if way == "graph and name" else target
    return target


def permitted(held: Sequence[Policy], ways: Sequence[str] = ()) -> set[str]:
    """What a model got done that tried everything, with the policies nested: run, graph, agent, edge."""
    tools = [look, read, write, delete_repo]
    parts: list[Policy | None] = [*held, None, None, None, None]
    clerk = Agent("clerk", input=str, tools=tools, policy=parts[2])
    inner = nested(Graph("inner", START >> clerk >> END, policy=parts[1]), ways)
    turn = wrote(("look", '{"at": "x"}'), *((t.name, '{"path": "x"}') for t in tools[1:]))

    @node(calls=[inner], policy=parts[3])
    async def lead(text: str, ctx: Context) -> str:
        try:
            return str(await ctx.call(inner, text))
        except PolicyRefused:
            return "refused"

    done.clear()
    run = walk(
        Graph("g", START >> lead >> END), "go", model=ScriptedModel(turn, "end"), policy=parts[0]
    )
    assert run.output in ("end", "refused") or isinstance(run.error, PolicyRefused), run.error
    return {line.split()[0] for line in done}


@settings(max_examples=60, deadline=None)
@given(st.lists(policies, min_size=1, max_size=4), st.integers(0, 3), nestings)
def test_one_more_policy_never_permits_more(
    held: list[Policy], taken: int, ways: list[str]
) -> None:
    fewer = [policy if place != taken else None for place, policy in enumerate(held)]
    assert permitted(held, ways) <= permitted(fewer, ways)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(policies, names, effects)
def test_what_is_refused_whatever_the_arguments_is_refused_for_each(
    policy: Policy, name: str, own: Any
) -> None:
    use = Use(name, "tool", frozenset(own), None, (), "k", names=(name,))
    if policy.refuses(name, use.effects) is not None:
        assert policy.judge(use) is not None


def test_what_is_denied_cannot_be_called_by_another_name() -> None:
    clerk = Agent("clerk", input=str)
    boss = Agent("boss", input=str, sub_agents=[SubAgent(clerk, name="helper")])
    graph = Graph("g", START >> boss >> END)
    model = ScriptedModel(calls("helper", input="x"), "done")
    run = walk(graph, "go", model=model, policy=Policy(deny=["clerk"]))
    assert run.output == "done"
    assert model.requests[0].tools == ()
    assert len(run.frames) == 1


# -- every name of what is called, inside and out --------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(
    nestings,
    st.sampled_from(["clerk", "desk", "write"]),
    st.sampled_from(["called by code", "called by a model", "arrow", "hand-over"]),
    st.booleans(),
)
def test_a_deny_list_holds_however_its_target_is_wrapped(
    ways: list[str], denied: str, how: str, observed: bool
) -> None:
    assert written(ways, how, Policy(deny=["somebody else"]), observed) == ["write x"]
    assert written(ways, how, Policy(deny=[denied]), observed) == []


def written(ways: Sequence[str], how: str, policy: Policy, observed: bool) -> list[str]:
    """What a clerk's renamed tool has done that is reached in some way, wrapped so and so."""
    clerk = Agent("clerk", input=str, tools=[write.named("put")])
    target = nested(Graph("desk", START >> clerk >> END), ways)
    model = ScriptedModel(calls("put", path="x"), says("end"))
    if how == "called by code":

        @node(calls=[target])
        async def lead(text: str, ctx: Context) -> str:
            return str(await ctx.call(target, text))

        graph = Graph("g", START >> lead >> END)
    elif how == "arrow":
        graph = Graph("g", START >> target >> END)
    else:
        edges: dict[str, Any] = {
            "sub_agents" if how == "called by a model" else "handoffs": [target]
        }
        graph = Graph("g", START >> Agent("boss", input=str, **edges) >> END)
        called = target.name if how == "called by a model" else f"transfer_to_{target.name}"
        model = ScriptedModel(
            calls(called, input="inside"),
            calls("put", path="x"),
            says("end"),
            says("end"),
            says("end"),
        )
    done.clear()
    walk(graph, "go", model=model, policy=policy, observed=observed, limits=Limits(depth=9))
    return list(done)


@both_ways
def test_what_is_denied_is_not_activated_on_an_arrow_either(observed: bool) -> None:
    """In the outermost graph, in a graph on an arrow, and in a graph that is called: with and without a straight path."""

    @node
    async def wipe(text: str) -> str:
        done.append("wiped")
        return text

    inner = Graph("inner", START >> wipe.named("tidy") >> END)

    @node(calls=[inner])
    async def lead(text: str, ctx: Context) -> str:
        return await ctx.call(inner, text)

    for graph in (
        Graph("g", START >> wipe >> END),
        Graph("g", START >> inner >> END),
        Graph("g", START >> lead >> END),
    ):
        run = walk(graph, "x", policy=Policy(deny=["wipe"]), observed=observed)
        assert isinstance(run.error, PolicyRefused), run.error
        assert "denies 'wipe'" in str(run.error)
        assert done == []
        assert walk(graph, "x", policy=Policy(deny=["other"]), observed=observed).output == "x"
        done.clear()


@both_ways
def test_a_denied_step_on_an_arrow_is_a_failure_like_others(observed: bool) -> None:
    """Its Failure edge is taken, and a branch that is never taken harms nobody."""

    @node
    async def wipe(text: str) -> str:
        done.append("wiped")
        return text

    @node
    async def excuse(failure: Failure) -> str:
        return f"{failure.node}: {failure.kind}"

    graph = Graph("g", START >> wipe >> END, wipe[Failure] >> excuse >> END)
    assert (
        walk(graph, "x", policy=Policy(deny=["wipe"]), observed=observed).output
        == "wipe: PolicyRefused"
    )

    @node
    async def pick(text: str) -> str:
        return text

    other = Graph("g", START >> pick, pick.when(_is_wipe) >> wipe >> END, pick.otherwise >> END)
    assert walk(other, "keep", policy=Policy(deny=["wipe"]), observed=observed).output == "keep"
    assert done == []


def _is_wipe(text: str) -> bool:
    return text == "wipe"


@both_ways
def test_a_graphs_own_policy_holds_on_its_arrows_and_an_agents_own_is_not_about_itself(
    observed: bool,
) -> None:
    graph = Graph("g", START >> look.named("peek") >> END, policy=Policy(deny=["look"]))
    assert isinstance(walk(graph, "x", observed=observed).error, PolicyRefused)
    clerk = Agent("clerk", input=str, tools=[look], policy=Policy(deny=["clerk"]))
    boss = Agent("boss", input=str, sub_agents=[SubAgent(clerk, policy=Policy(deny=["clerk"]))])
    model = ScriptedModel(calls("clerk", input="x"), calls("look", at="x"), "c", "end")
    assert (
        walk(Graph("h", START >> boss >> END), "go", model=model, observed=observed).output == "end"
    )
    assert done == ["look x"]


def test_who_is_asked_is_told_every_name() -> None:
    seen: list[Use] = []
    policy = Policy(check=lambda use: seen.append(use))
    helper = SubAgent(
        SubAgent(Agent("clerk", input=str), name="middle").named("twin"), name="outer"
    )
    model = ScriptedModel(calls("outer", input="x"), "c", "end")
    walk(
        Graph("g", START >> Agent("boss", input=str, sub_agents=[helper]) >> END),
        "go",
        model=model,
        policy=policy,
    )
    assert [(use.node, use.names) for use in seen] == [
        ("outer", ("outer", "twin", "middle", "clerk"))
    ]


def test_a_stage_of_a_cascade_is_denied_with_its_router() -> None:
    first: Router[str, str] = Router("first", input=str, guards={"yes": _is_wipe})
    second: Router[str, str] = Router("second", input=str, labels=["yes", "no"])
    way: Router[str, str] = Router("way", input=str, cascade=[first, second], otherwise="no")
    graph = Graph("g", START >> way, way["yes"] >> END, way["no"] >> END)
    run = walk(graph, "x", model=ScriptedModel("yes"), policy=Policy(deny=["second"]))
    assert isinstance(run.error, PolicyRefused)
