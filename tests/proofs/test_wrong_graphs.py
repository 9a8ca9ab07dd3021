"""A hundred wrong graphs, each refused before it runs, with a text that a newcomer can act on."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    GraphError,
    GraphflowError,
    LimitReached,
    Limits,
    Router,
    SubAgent,
    Take,
    Tool,
    node,
    tool,
)
from graphflow.declaration.arrows import connect
from graphflow.kinds.human import Human
from tests.conftest import A, B, C, Msg


class Sub(A, frozen=True):
    extra: int = 0


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def step(name: str, takes: Any, gives: Any) -> Any:
    """A node with these types."""

    async def body(x: Any) -> Any:
        return x

    body.__annotations__ = {"x": takes, "return": gives}
    body.__name__ = name
    return node(name=name)(body)


def join(name: str, gives: Any = A, **ports: Any) -> Any:
    import inspect

    async def body(**given: Any) -> Any:
        return given

    parameters = [
        inspect.Parameter(p, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=t)
        for p, t in ports.items()
    ]
    body.__signature__ = inspect.Signature(parameters, return_annotation=gives)  # type: ignore[attr-defined]
    body.__annotations__ = {**ports, "return": gives}
    body.__name__ = name
    return node(name=name)(body)


m2a, m2b, m2m = step("m2a", Msg, A), step("m2b", Msg, B), step("m2m", Msg, Msg)
a2a, a2b, b2a, b2b, a2m, b2m = (
    step("a2a", A, A),
    step("a2b", A, B),
    step("b2a", B, A),
    step("b2b", B, B),
    step("a2m", A, Msg),
    step("b2m", B, Msg),
)
m2ab, m2as, as2a, a2ab = (
    step("m2ab", Msg, A | B),
    step("m2as", Msg, list[A]),
    step("as2a", list[A], A),
    step("a2ab", A, A | B),
)
untyped = step("untyped", Any, Any)
str2str, int2int, m2int, m2str, si = (
    step("str2str", str, str),
    step("int2int", int, int),
    step("m2int", Msg, int),
    step("m2str", Msg, str),
    step("si", Msg, str | int),
)


def yes_no(m: Msg) -> Literal["yes", "no"]:
    return "yes"


def color(m: Msg) -> Color:
    return Color.RED


router: Router[Msg, Msg] = Router("router", yes_no)
paint: Router[Msg, Msg] = Router("paint", color)


@tool
async def find(q: str) -> str:
    """Find."""
    return q


async def _no_hint(x):  # type: ignore[no-untyped-def]
    return x


async def _no_return(x: A):  # type: ignore[no-untyped-def]
    return x


async def _star(*xs: A) -> A:
    return xs[0]


async def _nothing() -> A:
    return A()


async def _unknown(x: Nowhere) -> A:  # type: ignore[name-defined] # noqa: F821
    return A()


class Odd:
    """Something that JSON cannot carry."""


async def _odd_tool(x: Odd) -> str:
    """T."""
    return ""


WRONG: list[tuple[str, Any, str]] = [
    (
        "an edge written twice",
        lambda: Graph("g", START >> m2a >> a2b >> END, m2a >> a2b),
        r"m2a >> a2b is written twice, so 'a2b' would get it twice; leave one out",
    ),
    (
        "an edge written twice to END",
        lambda: Graph("g", START >> m2a >> END, m2a >> END, ends="all"),
        "m2a >> END is written twice, so 'END' would get it twice",
    ),
    (
        "an arm beside the whole, to one node",
        lambda: _arm_beside_whole(),
        r"m2ab\[A\] >> takes_ab and m2ab >> takes_ab may bring the same message to 'takes_ab'",
    ),
    (
        "a guard beside the whole, to one node",
        lambda: Graph(
            "g", START >> m2a >> a2b >> END, m2a.when(bool) >> a2b, m2a.otherwise >> END, ends="all"
        ),
        "may bring the same message to 'a2b'",
    ),
    (
        "a map in a loop that is left into one port",
        lambda: _map_in_loop(),
        "port 'x' of 'two' may get several messages from the fork at 'm2as' for one message on its other ports",
    ),
    # nothing there
    ("no edges", lambda: Graph("g"), "no edges"),
    ("nothing leaves START", lambda: Graph("g", m2a >> END), "nothing leaves START"),
    ("nothing reaches END", lambda: Graph("g", START >> m2a), "nothing reaches END"),
    (
        "START to END only of a dead end",
        lambda: Graph("g", START >> m2m >> END, START >> m2a),
        "sends its message nowhere",
    ),
    # types on edges
    (
        "mismatch",
        lambda: Graph("g", START >> m2a >> b2b >> END),
        "'m2a' sends A, 'b2b' accepts x: B",
    ),
    (
        "mismatch two hops in",
        lambda: Graph("g", START >> m2a >> a2b >> a2a.named("z") >> END),
        "sends B, 'z' accepts x: A",
    ),
    ("union into one arm", lambda: Graph("g", START >> si >> str2str >> END), "'si' may send int"),
    (
        "union of messages into one arm",
        lambda: Graph("g", START >> m2ab >> a2a >> END),
        "'m2ab' may send B",
    ),
    ("other arm missing", lambda: Graph("g", START >> m2ab, m2ab[A] >> END), "'m2ab' may send B"),
    ("list into item", lambda: Graph("g", START >> m2as >> a2a >> END), "write m2as.each >> a2a"),
    ("each of no list", lambda: Graph("g", START >> m2a.each >> a2a >> END), "which is not a list"),
    (
        "items of the wrong type",
        lambda: Graph("g", START >> m2as.each >> b2b >> END),
        "sends A, 'b2b' accepts x: B",
    ),
    (
        "wide into narrow",
        lambda: Graph("g", START >> m2a >> step("narrow", Sub, A) >> END),
        "'m2a' sends A, 'narrow' accepts x: Sub",
    ),
    (
        "list of wide into list of narrow",
        lambda: Graph("g", START >> m2as >> step("n", list[Sub], A) >> END),
        r"sends list\[A\]",
    ),
    (
        "optional into required",
        lambda: Graph("g", START >> step("maybe", Msg, A | None) >> a2a >> END),
        "may send None",
    ),
    (
        "int into str",
        lambda: Graph("g", START >> m2int >> str2str >> END),
        "sends int, 'str2str' accepts x: str",
    ),
    (
        "float into int",
        lambda: Graph("g", START >> step("f", Msg, float) >> int2int >> END),
        "sends float",
    ),
    (
        "dict of other values",
        lambda: Graph(
            "g", START >> step("d", Msg, dict[str, int]) >> step("e", dict[str, str], A) >> END
        ),
        r"dict\[str, int\]",
    ),
    (
        "tuple of other length",
        lambda: Graph(
            "g",
            START >> step("t", Msg, tuple[int, int]) >> step("u", tuple[int, int, int], A) >> END,
        ),
        "tuple",
    ),
    (
        "literal not in literal",
        lambda: Graph(
            "g", START >> step("l", Msg, Literal["a", "b"]) >> step("k", Literal["a"], A) >> END
        ),
        "'l' (sends|may send)",
    ),
    (
        "message into failure port",
        lambda: Graph("g", START >> m2a >> step("f", Failure, A) >> END),
        "accepts x: Failure",
    ),
    (
        "failure into message port",
        lambda: Graph("g", START >> m2a, m2a >> END, m2a[Failure] >> a2a >> END),
        "sends Failure",
    ),
    (
        "failure of START",
        lambda: Graph("g", START[Failure] >> step("f", Failure, A) >> END),
        "START cannot fail",
    ),
    # arms and labels
    (
        "no such arm",
        lambda: Graph("g", START >> m2ab, m2ab[C] >> END, m2ab[A] >> END, m2ab[B] >> END),
        "no arm C",
    ),
    (
        "no such label",
        lambda: Graph("g", START >> router, router["yse"] >> END, router["no"] >> END),
        "did you mean 'yes'",
    ),
    (
        "label missing",
        lambda: Graph("g", START >> router, router["yes"] >> END),
        "'router' may send 'no'",
    ),
    (
        "label of a node without labels",
        lambda: Graph("g", START >> m2a, m2a["yes"] >> END),
        "no labels at all",
    ),
    (
        "enum label missing",
        lambda: Graph("g", START >> paint, paint[Color.RED] >> END),
        "'paint' may send",
    ),
    (
        "enum label unknown",
        lambda: Graph("g", START >> paint, paint["green"] >> END, paint[Color.RED] >> END),
        "no label 'green'",
    ),
    (
        "router's message into the wrong port",
        lambda: Graph("g", START >> router, router["yes"] >> a2a >> END, router["no"] >> END),
        "sends Msg, 'a2a' accepts x: A",
    ),
    (
        "guard without otherwise",
        lambda: Graph("g", START >> m2m, m2m.when(lambda m: True) >> END),
        "add m2m.otherwise",
    ),
    (
        "guarded arm without otherwise",
        lambda: Graph("g", START >> m2ab, m2ab[A].when(lambda a: True) >> END, m2ab[B] >> END),
        "otherwise",
    ),
    (
        "otherwise of one arm only",
        lambda: Graph("g", START >> m2ab, m2ab[A].otherwise >> END, m2ab[A].when(bool) >> END),
        "may send B",
    ),
    (
        "none arm forgotten",
        lambda: Graph("g", START >> step("o", Msg, A | None), (step("o", Msg, A | None)[A]) >> END),
        "None",
    ),
    # ports
    (
        "unfed port",
        lambda: Graph("g", START >> m2a >> join("j", a=A, b=B) >> END),
        "port 'b' .* of 'j' has no edge",
    ),
    (
        "ambiguous port",
        lambda: Graph("g", START >> m2a >> join("j", x=A, y=A) >> END),
        r"fits more than one port of 'j' \('x' or 'y'\)",
    ),
    (
        "no port takes it",
        lambda: Graph("g", START >> m2m >> join("j", a=A, b=B) >> END),
        "accepts a: A or b: B",
    ),
    (
        "two fed, third not",
        lambda: Graph("g", START >> (m2a, m2b) >> join("j", a=A, b=B, c=C) >> END),
        "port 'c'",
    ),
    (
        "whole lists and items on one port",
        lambda: Graph("g", START >> (m2as, m2a) >> as2a >> END),
        "whole lists and single items",
    ),
    (
        "into the wrong type",
        lambda: Graph("g", START >> m2a >> join("j", a=A, b=B).into("b") >> END),
        "accepts b: B",
    ),
    ("node without ports", lambda: Graph("g", START >> node(_nothing) >> END), "takes no message"),
    (
        "START feeds different types",
        lambda: Graph("g", START >> (a2a, b2a) >> step("c", list[A], A) >> END),
        "START feeds ports of different types",
    ),
    (
        "declared input too wide",
        lambda: Graph("g", START >> a2a >> END, input=A | B),
        "START.*may send B",
    ),
    (
        "declared input of another type",
        lambda: Graph("g", START >> a2a >> END, input=B),
        "'START' sends B",
    ),
    # joins
    (
        "collect without a fork",
        lambda: Graph("g", START >> m2a >> as2a >> END),
        "nothing forks before it",
    ),
    (
        "pair without a fork",
        lambda: Graph(
            "g",
            START >> m2m,
            m2m >> m2ab,
            m2ab[A] >> join("j", a=A, b=B),
            m2ab[B] >> join("j", a=A, b=B) >> END,
        ),
        "two different nodes are named 'j'",
    ),
    ("join of exclusive arms", lambda: _exclusive_join(), "sends only one of their ways"),
    ("join of a router's ways", lambda: _routed_join(), "sends only one of their ways"),
    ("one port inside a map, one outside", lambda: _mapped_port(), "may get several messages"),
    ("join in a loop fed from outside", lambda: _outside_join(), "inside a loop"),
    ("collect in a loop fed from outside", lambda: _outside_collect(), "inside a loop"),
    (
        "take of nothing",
        lambda: Graph("g", START >> m2a >> step("t", Annotated[list[A], Take(2)], A) >> END),
        "nothing forks before it",
    ),
    (
        "take of whole lists",
        lambda: Graph("g", START >> m2as >> step("t", Annotated[list[A], Take(2)], A) >> END),
        r"sends list\[A\]",
    ),
    # reach and cycles
    (
        "unreachable",
        lambda: Graph("g", START >> m2a >> END, b2a >> END),
        "no edge leads to 'b2a'|cannot be reached",
    ),
    (
        "unreachable pair",
        lambda: Graph("g", START >> m2a >> END, a2b >> b2a >> a2b, b2a >> END),
        "cannot be reached",
    ),
    (
        "no exit",
        lambda: Graph("g", START >> m2a >> a2b >> b2a.named("back") >> a2b, m2a >> END),
        "never leads to END",
    ),
    (
        "self loop without exit",
        lambda: Graph("g", START >> (m2m.named("x"), m2m), m2m >> m2m, m2m.named("x") >> END),
        "never leads to END",
    ),
    ("limit on no cycle", lambda: Graph("g", START >> m2a.limit(3) >> a2b >> END), "on no cycle"),
    ("limit on the way out", lambda: _limited_exit(), "on no cycle"),
    # two ENDs
    ("two ENDs", lambda: Graph("g", START >> (m2a, m2b) >> END), "may both bring a message"),
    (
        "map through a node that sends Any",
        lambda: Graph("g", START >> m2as.each >> untyped >> as2a >> END),
        "'untyped' sends Any, so 'as2a' takes each message as it is and collects nothing; declare that 'untyped' sends A",
    ),
    (
        "fork through a node that sends Any",
        lambda: Graph("g", START >> m2a >> (untyped, untyped.named("other")) >> as2a >> END),
        "sends Any, so 'as2a' takes each message as it is and collects nothing",
    ),
    (
        "map straight to END",
        lambda: Graph("g", START >> m2as.each >> a2a >> END),
        "may bring several messages",
    ),
    (
        "fork half joined",
        lambda: Graph(
            "g",
            START >> m2m >> (m2a, m2b, m2m.named("log")),
            (m2a, m2b) >> join("j", a=A, b=B) >> END,
            m2m.named("log") >> END,
        ),
        "may both bring a message",
    ),
    ("loop that ends each lap", lambda: _leaky_loop(), "may both bring a message"),
    (
        "failure and answer",
        lambda: Graph("g", START >> (m2a, m2b), m2a[Failure] >> END, m2a >> END, m2b >> END),
        "may both bring a message",
    ),
    # names
    (
        "same name twice",
        lambda: Graph("g", START >> m2a >> step("m2a", A, A) >> END),
        "two different nodes are named 'm2a'",
    ),
    (
        "tool named as a node",
        lambda: Graph("g", START >> Agent("find", tools=[find]) >> END),
        "two different nodes are named 'find'",
    ),
    (
        "two tools of one name",
        lambda: Graph("g", START >> Agent("a", tools=[find, Tool(_other, name="find")]) >> END),
        "named 'find'",
    ),
    (
        "unknown callee",
        lambda: Graph("g", START >> Agent("a", sub_agents=["serch"]) >> END),
        "no node in the graph has that name",
    ),
    (
        "near callee",
        lambda: Graph("g", START >> Agent("a", sub_agents=["findr"], tools=[find]) >> END),
        "did you mean 'find'",
    ),
    ("named START", lambda: m2a.named("START"), "cannot be named"),
    ("named nothing", lambda: m2a.named(""), "cannot be named"),
    ("agent without a name", lambda: Agent(""), "cannot be named"),
    # declarations
    ("no annotation", lambda: Graph("g", START >> node(_no_hint) >> END), "has no type"),
    (
        "no return annotation",
        lambda: Graph("g", START >> node(_no_return) >> END),
        "no return annotation",
    ),
    ("star arguments", lambda: Graph("g", START >> node(_star) >> END), "ports need names"),
    (
        "unknown annotation",
        lambda: Graph("g", START >> node(_unknown) >> END),
        "'Nowhere', which is not defined",
    ),
    ("node of a class", lambda: node(A), "goes above a function"),
    ("tool of a class", lambda: tool(A), "goes above a function"),
    (
        "tool without schema",
        lambda: Graph("g", START >> Agent("a", tools=[tool(_odd_tool)]) >> END),
        "make no schema",
    ),
    ("bare function in an arrow", lambda: START >> _no_return, "put @node above it"),
    ("number in an arrow", lambda: m2a >> 5, "not a node"),
    ("empty tuple in an arrow", lambda: m2a >> (), "is empty"),
    ("class in an arrow", lambda: m2a >> A, "not a node"),
    (
        "END in the middle",
        lambda: Graph("g", START >> m2a >> END >> a2a),
        "END and states send nothing",
    ),
    ("a path that is none", lambda: Graph("g", "START >> m2a"), "is not an arrow"),
    ("no such port", lambda: m2a.into("y"), "has no port 'y'"),
    ("limit of zero", lambda: m2a.limit(0), "at least 1"),
    ("limit of a half", lambda: m2a.limit(1.5), "whole number"),
    ("guard that is not a function", lambda: m2a.when("x > 1"), "give a function"),
    ("async guard", lambda: m2a.when(_no_hint), "plain function"),
    ("fork policy", lambda: m2a.fork("ignore"), "'cancel', 'isolate' and 'finish'"),
    (
        "two fork policies",
        lambda: Graph(
            "g",
            START >> m2m,
            m2m.fork("isolate") >> m2a,
            m2m.fork("finish") >> m2b,
            [m2a, m2b] >> END,
            ends="all",
        ),
        "different fork policies",
    ),
    ("ends", lambda: Graph("g", START >> m2a >> END, ends="two"), "'one', 'first' or 'all'"),
    ("limits", lambda: Graph("g", START >> m2a >> END, limits={"depth": 3}), "give Limits"),
    ("timeout", lambda: node(timeout_s=-1)(_no_return), "must be a positive number"),
    ("retry", lambda: node(retry="3")(_no_return), "number of attempts"),
    ("calls of no node", lambda: node(calls=[len])(_no_return), "which is not a node"),
    ("take zero", lambda: Take(0), "at least 1"),
    ("nested too deep", lambda: _too_deep(), "nested 6 deep"),
    # agents, routers, prompts
    (
        "prompt of an unknown field",
        lambda: Graph("g", START >> Agent("a", input=Msg, prompt="{{ nn }}") >> END),
        r"uses \{\{ nn \}\}.*did you mean 'n'",
    ),
    (
        "prompt of a field its edge lacks",
        lambda: Graph("g", START >> m2a >> Agent("a", prompt="{{ tag }}") >> END),
        "A has no such field",
    ),
    (
        "prompt of ctx",
        lambda: Graph("g", START >> Agent("a", input=Msg, prompt="{{ ctx.deph }}") >> END),
        "ctx has: depth, path, session",
    ),
    (
        "prompt of deps",
        lambda: Graph("g", START >> Agent("a", input=Msg, prompt="{{ deps.nope }}") >> END, deps=A),
        "deps.nope",
    ),
    (
        "prompt of message",
        lambda: Graph("g", START >> Agent("a", input=Msg, prompt="{{ message.nope }}") >> END),
        "message.nope",
    ),
    (
        "prompt that does not parse",
        lambda: Graph("g", START >> Agent("a", input=Msg, prompt="{{ n ") >> END),
        "prompt line 1",
    ),
    (
        "prompt file that is not there",
        lambda: Agent("a", prompt_file="nope.md.j2"),
        "cannot be read",
    ),
    ("prompt twice", lambda: Agent("a", prompt="x", prompt_file="y"), "give one"),
    (
        "agent output without schema",
        lambda: Graph("g", START >> Agent("a", output=Odd) >> END),
        "makes no JSON schema",
    ),
    ("agent with no turns", lambda: Agent("a", max_turns=0), "at least 1"),
    ("tool that is a function", lambda: Agent("a", tools=[_no_return]), "which is not a node"),
    ("router with one label", lambda: Router("r", labels=["a"]), "at least two labels"),
    (
        "router with rule and labels",
        lambda: Router("r", yes_no, labels=["a", "b"]),
        "by one of them",
    ),
    (
        "router with an empty example",
        lambda: Router("r", examples={"a": ["x"], "b": []}),
        "has no example",
    ),
    (
        "router labels and examples differ",
        lambda: Router("r", labels=["a", "b"], examples={"a": ["x"], "c": ["y"]}),
        "differ",
    ),
    (
        "router rule without labels",
        lambda: Graph("g", START >> Router("r", _plain_rule) >> END),
        "annotate the labels",
    ),
    ("sub-agent of a tool", lambda: SubAgent(find), "tools go into tools"),
    ("human asked by a text", lambda: Human("h", ask="mail"), "give a function"),  # type: ignore[arg-type]
    ("limit reached into the wrong port", lambda: _wrong_limit_port(), "sends LimitReached"),
    ("context only", lambda: Graph("g", START >> node(_only_context) >> END), "takes no message"),
]


async def _other(q: str) -> str:
    """Other."""
    return q


async def _only_context(ctx: Context) -> A:
    return A()


def _plain_rule(m: Msg) -> str:
    return "x"


def _exclusive_join() -> Any:
    j = join("j", a=A, b=B)
    return Graph("g", START >> m2ab, m2ab[A] >> a2a >> j, m2ab[B] >> b2b >> j, j >> END)


def _routed_join() -> Any:
    j = join("j", a=A, b=B)
    return Graph(
        "g", START >> router, router["yes"] >> m2a >> j, router["no"] >> m2b >> j, j >> END
    )


def _mapped_port() -> Any:
    j = join("j", a=A, b=B)
    return Graph("g", START >> (m2as, m2b), m2as.each >> a2a >> j, m2b >> j, j >> END)


def _outside_join() -> Any:
    j = join("j", gives=A | C, a=A, b=B)
    return Graph(
        "g", START >> (m2a, m2b), m2a >> j, m2b >> j, j[A].limit(2) >> a2a >> j, j[C] >> END
    )


def _outside_collect() -> Any:
    c = step("c", list[A], A | C)
    return Graph(
        "g", START >> (m2a, m2a.named("other")) >> c, c[A].limit(2) >> a2a >> c, c[C] >> END
    )


def _limited_exit() -> Any:
    judge = step("judge", Msg, Msg | A)
    return Graph("g", START >> judge, judge[Msg] >> m2m >> judge, judge[A].limit(2) >> END)


def _leaky_loop() -> Any:
    hub = step("hub", Msg, Msg)
    return Graph("g", START >> hub, hub >> m2m >> hub, hub >> END)


def _too_deep() -> Any:
    graph: Any = Graph("g0", START >> m2a >> END)
    for level in range(1, 7):
        graph = Graph(f"g{level}", START >> graph >> END, limits=Limits(depth=5))
    return graph


def _wrong_limit_port() -> Any:
    judge = step("judge", Msg, Msg | A)
    return Graph(
        "g",
        START >> judge,
        judge[Msg].limit(2) >> m2m >> judge,
        judge[A] >> END,
        judge[LimitReached] >> a2a >> END,
    )


def _arm_beside_whole() -> Any:
    target = step("takes_ab", A | B, A)
    return Graph("g", START >> m2ab, m2ab[A] >> target, m2ab >> target, target >> END)


def _map_in_loop() -> Any:
    work, other = step("work", A, Msg), step("other", Msg, B)
    two = join("two", x=Msg, y=B)
    back, out = work.when(lambda m: m.n > 9).limit(2) >> m2as, work.otherwise >> two.into("x")
    return Graph(
        "g",
        START >> (m2as, other),
        m2as.each >> work,
        back,
        out,
        other >> two.into("y"),
        two >> END,
    )


@pytest.mark.parametrize(
    ("make", "says"), [pytest.param(make, says, id=name) for name, make, says in WRONG]
)
def test_a_wrong_graph_is_refused(make: Any, says: str) -> None:
    with pytest.raises(GraphflowError, match=f"(?s){says}"):
        make()


def test_there_are_a_hundred_of_them() -> None:
    assert len(WRONG) >= 100
    assert len({name for name, _, _ in WRONG}) == len(WRONG)


def test_all_problems_are_told_at_once_with_file_and_line() -> None:
    from graphflow import GraphError

    with pytest.raises(GraphError) as info:
        Graph("g", START >> m2a >> b2b >> END, START >> m2ab >> str2str >> END)
    assert len(info.value.problems) >= 2
    assert all("test_wrong_graphs.py:" in problem for problem in info.value.problems)


def test_a_chain_of_arrows_is_one_path() -> None:
    path = connect(START >> m2a, a2b, ("here", 1))
    assert repr(path) == "<path START >> m2a; m2a >> a2b>"


# -- what is said of joins and loops ---------------------------------------------------------------
@node
async def draft(m: Msg | B) -> A:
    return A()


@node
async def split(m: Msg | A) -> list[Msg]:
    return []


@node
async def rate(items: list[A]) -> B | C:
    return C()


def test_a_loop_that_is_entered_at_two_nodes_at_once_says_where() -> None:
    other = draft.named("other")
    with pytest.raises(GraphError) as refused:
        Graph(
            "g",
            START >> (draft, other) >> rate,
            rate[B].limit(3) >> (draft, other),
            rate[C] >> END,
            input=Msg,
        )
    assert "comes into the loop on the way to it" in str(refused.value)
    assert "enter it at one node, and fan out from there to what 'rate' joins" in str(refused.value)
    hub = node(name="hub")(_hub)
    Graph(
        "g",
        START >> hub >> (draft, other) >> rate,
        rate[B].limit(3) >> hub,
        rate[C] >> END,
        input=Msg,
    )


async def _hub(m: Msg | B) -> Msg:
    return Msg()


def test_a_lap_that_begins_between_a_fork_and_its_join_says_which_edge_begins_it() -> None:
    @node
    async def judge(items: list[A]) -> A | C:
        return C()

    with pytest.raises(GraphError) as refused:
        Graph(
            "g",
            START >> split,
            split.each.limit(3) >> draft >> judge,
            judge[A] >> split,
            judge[C] >> END,
            input=Msg,
        )
    assert "split.each.limit(3) >> draft begins a new lap on the way to it" in str(refused.value)
    Graph(
        "g",
        START >> split,
        split.each >> draft >> judge,
        judge[A].limit(3) >> split,
        judge[C] >> END,
        input=Msg,
    )


def test_two_maps_of_one_list_that_a_node_pairs_say_how() -> None:
    @node
    async def rated(m: Msg) -> B:
        return B()

    @node
    async def pair(a: A, b: B) -> C:
        return C()

    with pytest.raises(GraphError) as refused:
        Graph(
            "g",
            START >> split,
            split.each >> (draft, rated),
            (draft, rated) >> pair >> END,
            input=Msg,
            ends="all",
        )
    assert "to pair them item by item" in str(refused.value)
    assert "split.each >> item >> (draft, rated)" in str(refused.value)


def test_what_start_sends_is_told_by_the_edge_that_leaves_no_choice() -> None:
    @node
    async def last(a: A, m: Msg) -> C:
        return C()

    @node
    async def only(m: Msg) -> A:
        return A()

    assert Graph("g", START >> only >> last >> END, START >> last).input is Msg


def test_a_log_of_each_lap_that_nothing_holds_together_says_what_would() -> None:
    @node
    async def judge(a: A) -> B | C:
        return C()

    @node
    async def log(a: A) -> A:
        return a

    @node
    async def written(items: list[A | C]) -> C:
        return C()

    @node
    async def note(m: Msg) -> A:
        return A()

    loop = (draft >> (judge, log), judge[B].limit(3) >> draft)
    with pytest.raises(GraphError) as refused:
        Graph("g", START >> draft, *loop, (judge[C], log) >> written >> END, input=Msg)
    assert "'written' collects what a loop sends (judge[C] >> written, log >> written)" in str(
        refused.value
    )
    assert "nothing forks before that loop" in str(refused.value)
    Graph("g", START >> (draft, note), *loop, (judge[C], log, note) >> written >> END, input=Msg)
