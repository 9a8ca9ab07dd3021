"""Code that a model writes: nodes as its functions, each call a step; limits, escapes, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Code,
    Context,
    Graph,
    GraphError,
    Limits,
    Policy,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.errors import (
    CodeFailed,
    DeclarationError,
    InputInvalid,
    LimitExceeded,
    MissingExtra,
    NodeTimeout,
)
from graphflow.events import Approved, CallFailed, CallFinished, CallStarted, FrameEntered
from graphflow.kinds import sandbox
from graphflow.kinds.code import Computed
from graphflow.kinds.functions import function_name, signature_line
from graphflow.kinds.future_calls import awaited_calls
from graphflow.kinds.tool import result_text
from graphflow.kinds.warden import Warden
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls
from tests import leftovers
from tests.conftest import walk
from tests.effort import soon
from tests.waiting import eventually, until


class Order(BaseModel, frozen=True):
    id: int
    items: list[str] = []


@tool
async def search(query: str, limit: int = 2) -> list[str]:
    """Search the handbook.

    Args:
        query: words.
    """
    return [f"{query}{number}" for number in range(limit)]


@tool
async def order(id: int) -> Order:
    """Look an order up."""
    if id < 0:
        raise KeyError(f"no order {id}")
    return Order(id=id, items=["bread"])


here: list[int] = []
"""Those who wait for each other."""


@tool
async def meet(others: int) -> str:
    """Answer as soon as so many ask at the same time."""
    here.append(others)
    await eventually(lambda: len(here) >= others)
    return "met"


@tool
async def slow(seconds: float) -> str:
    """Wait."""
    await asyncio.sleep(seconds)
    return "awake"


BEFORE: set[int] = set()
"""Processes that were there when a test began: they are none of its business."""


@pytest.fixture(autouse=True)
def _before() -> None:
    BEFORE.clear()
    BEFORE.update(leftovers.children())


def children() -> set[int]:
    """The processes that this test has started."""
    return leftovers.children() - BEFORE


def workers() -> set[int]:
    """Those that run code; the warden waits beside them, and is called like this process until it has become a shell."""
    unborn = leftovers.name_of(os.getpid())
    names = {pid: leftovers.name_of(pid) for pid in children()}
    return {pid for pid, name in names.items() if name != unborn and not name.startswith("/bin/sh")}


def run_code(
    code: str, *callees: Any, message: Any = None, options: Any = None, **run: Any
) -> Run[Any]:
    """One piece of code as a node of a graph; afterwards no worker is left."""
    given = Code("code", calls=callees, **(options or {}))
    done = walk(Graph("g", START >> given >> END), message or code, **run)
    until(lambda: not children())
    return done


def value(code: str, *callees: Any, **options: Any) -> Any:
    run = run_code(code, *callees, **options)
    assert run.error is None, run.error
    return run.output.value


def failed(code: str, *callees: Any, **options: Any) -> CodeFailed:
    error = run_code(code, *callees, **options).error
    assert isinstance(error, CodeFailed), error
    assert "/tmp" not in str(error)
    return error


def asked(code: str, given: Code, *more: str, **run: Any) -> tuple[Run[Any], str]:
    """What the model reads that has sent this code, and the run."""
    agent = Agent("boss", input=str, tools=[given])
    model = ScriptedModel(*(calls("run_python", code=each) for each in (code, *more)), "end")
    done = walk(Graph("g", START >> agent >> END), "go", model=model, **run)
    return done, model.requests[-1].turns[-1].results[0].content if len(model.requests) > 1 else ""  # type: ignore[union-attr,return-value]


# -- nodes as functions ----------------------------------------------------------------------------
def test_a_model_reads_signatures_and_a_short_answer() -> None:
    agent = Agent("boss", input=str, tools=[Code(calls=[search, order])])
    code = 'found = search("bees", limit=1)\nprint("seen", found)\norder(id=7)["items"]'
    model = ScriptedModel(calls("run_python", code=code), "end")
    run = walk(Graph("g", START >> agent >> END), "go", model=model)
    assert run.output == "end"
    spec = model.requests[0].tools[0]
    assert spec.name == "run_python"
    assert (
        "\nsearch(query: str, limit: int = 2) -> list[str]: Search the handbook.\n"
        in spec.description
    )
    assert (
        '\norder(id: int) -> {"id": int, "items": list[str]}: Look an order up.' in spec.description
    )
    assert list(spec.parameters["properties"]) == ["code"]
    content = model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]
    assert content == '{"printed":"seen [\'bees0\']\\n","value":["bread"]}'
    assert [(s.node, s.caller) for s in run.steps] == [
        ("search", "run_python"),
        ("order", "run_python"),
        ("run_python", "boss"),
        ("boss", None),
    ]
    assert run.usage.tool_calls == 3
    assert run.usage.steps == 4


@pytest.mark.parametrize(
    "code",
    [
        'search("x")[0]',
        '(await search("x"))[0]',
        'c = search("x")\n(await c)[0]',
        "f = search\nf('x', 1)[0]",
        'import asyncio\nhits = search("a")\nsome = await asyncio.gather(search("x"), search("y"))\nhits and some[0][0]',
        "import asyncio\ntodo = [search(q) for q in 'xy']\n(await asyncio.gather(*todo))[0][0]",
        "import asyncio\ntodo = []\nfor q in 'xy':\n    todo.append(search(q))\n(await asyncio.gather(*todo))[0][0]",
        "todo = {q: search(q) for q in 'xy'}\n(await todo['x'])[0]",
        "[await t for t in [search('x')]][0][0]",
        "async def one(q):\n    return search(q)[0]\nawait one('x')",
        "async def one(q):\n    hits = await search(q)\n    return hits[0]\nimport asyncio\nasyncio.run(one('x'))",
        "def one(q):\n    return search(q)\nimport asyncio\n(await asyncio.gather(one('x'), one('y')))[0][0]",
        "import asyncio\nasync def main():\n    a, b = await asyncio.gather(search('x'), search('y'))\n    return a[0]\nawait main()",
        "eval(\"search('x')\")[0]",
        "s = 'ü€'; search('x')[0]",
        "search(**{'query': 'x'})[0]",
        "search('x' if True else await search('y'))[0]",
        "(lambda q: search(q))('x')[0]",
    ],
)
def test_a_function_is_called_as_it_is_or_awaited(code: str) -> None:
    assert value(code, search) == "x0"


def test_what_is_gathered_runs_at_the_same_time() -> None:
    here.clear()
    code = "import asyncio\nawait asyncio.gather(*[meet(8) for _ in range(8)])"
    assert value(code, meet, options={"seconds": 60}) == ["met"] * 8


def test_code_too_new_or_too_deep_for_our_parser_is_read_by_sight() -> None:
    assert awaited_calls("x = = 1\nawait search(1)", ["search"]) == {14}
    assert awaited_calls("1" + "+1" * 20_000 + "\nawait (search(1))", ["search"]) == {40_009}
    assert awaited_calls("await f(1)", []) == frozenset()
    long = "\n".join(f"a{n} = a{n + 1}" for n in range(2000)) + "\nawait a0"
    with soon():
        awaited_calls(long, ["search"])


def test_arguments_by_position_and_name_and_what_does_not_fit() -> None:
    def told_in_code(call: str) -> Any:
        return value(
            f"try:\n    {call}\nexcept Exception as e:\n    r = (type(e).__name__, str(e))\nr",
            search,
            order,
        )

    assert told_in_code("search()")[0] == "ValueError"
    assert "query: Field required" in told_in_code("search()")[1]
    assert told_in_code("search('x', 1, 2)") == [
        "TypeError",
        "search() takes query, limit, and was given 3 arguments",
    ]
    assert told_in_code("search('x', query='y')") == [
        "TypeError",
        "search() got multiple values for argument 'query'",
    ]
    assert "limit: Input should be a valid integer" in told_in_code("search('x', limit='many')")[1]
    assert told_in_code("order(-1)") == ["KeyError", "'no order -1'"]
    assert told_in_code("search(b'\\xff')")[0] == "TypeError"
    assert "not plain data" in told_in_code("search(b'\\xff')")[1]


def test_an_error_is_caught_in_code_or_ends_it_with_what_was_printed() -> None:
    assert (
        value("try:\n    order(-1)\nexcept KeyError as e:\n    r = 'caught'\nr", order) == "caught"
    )
    error = failed("print('first')\ndef look():\n    return order(-1)\nlook()", order)
    assert error.printed == "first\n"
    assert "line 3, in look" in str(error)
    assert str(error).endswith("no order -1\nIt had printed:\nfirst\n")


def test_a_model_mends_its_code() -> None:
    run, last = asked("print('so far')\n1/0", Code(calls=[search]), "1 + 1")
    assert run.output == "end"
    [bad] = [e for e in run.events if isinstance(e, CallFailed)]
    assert isinstance(bad.error, CodeFailed)
    assert "ZeroDivisionError: division by zero" in str(bad.error)
    assert last == '{"value":2}'
    assert run.failures == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = = 1", "SyntaxError"),
        ("nosuch(1)", "name 'nosuch' is not defined; what can be called: search"),
        ("class A: pass\nclass B(A): pass", "does not yet support class inheritance"),
        ("raise SystemExit(3)", ""),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_wrong_code_is_told_as_what_it_is(code: str, says: str) -> None:
    assert says in str(failed(code, search))


def test_own_errors_are_what_they_derive_from() -> None:
    class Mine(LookupError):
        pass

    class Theirs(Exception):
        pass

    @tool
    async def breaks(how: str) -> str:
        """Break."""
        raise {"mine": Mine("m"), "theirs": Theirs("t"), "told": ToolError("try again \ud800")}[how]

    code = "r = []\nfor how in ('mine', 'theirs', 'told'):\n    try:\n        breaks(how)\n    except Exception as e:\n"
    code += "        r.append((type(e).__name__, str(e)))\nr"
    assert value(code, breaks) == [
        ["LookupError", "m"],
        ["Exception", "t"],
        ["Exception", "try again ?"],
    ]


# -- every call is a step --------------------------------------------------------------------------
def test_the_journal_has_every_call_of_code() -> None:
    run = run_code(
        "import asyncio\nawait asyncio.gather(search('a'), search('b'))\norder(1)", search, order
    )
    started = [(e.caller, e.node) for e in run.events if isinstance(e, CallStarted)]
    assert started == [("code", "search"), ("code", "search"), ("code", "order")]
    answers = [e.output for e in run.events if isinstance(e, CallFinished)]
    assert answers[-1] == Order(id=1, items=["bread"])
    assert json.loads(result_text("code", run.output)) == {"value": {"id": 1, "items": ["bread"]}}


def test_what_a_policy_denies_is_not_told_of_and_not_done() -> None:
    done: list[str] = []

    @tool(effects=["writes"])
    async def delete(path: str) -> str:
        """Delete."""
        done.append(path)
        return "gone"

    code = "try:\n    delete('x')\nexcept PermissionError as e:\n    r = str(e)\nr"
    for options in ({"policy": Policy(deny=["delete"])}, {"policy": Policy(effects=["executes"])}):
        assert "may not be called here" in value(code, search, delete, **options)
    for given, holder in (
        (Code(calls=[search, delete], policy=Policy(deny=["delete"])), {}),
        (Code(calls=[search, delete]), {"policy": Policy(deny=["delete"])}),
    ):
        agent = Agent("boss", input=str, tools=[given], **holder)  # type: ignore[call-overload]
        model = ScriptedModel(calls("run_python", code=code), "end")
        walk(Graph("g", START >> agent >> END), "go", model=model)
        assert "delete(" not in model.requests[0].tools[0].description
        assert "search(" in model.requests[0].tools[0].description
        assert "the policy denies 'delete'" in model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]
    assert done == []


def test_a_policy_against_executing_hides_it() -> None:
    agent = Agent("boss", input=str, tools=[Code(), search])
    model = ScriptedModel("end")
    walk(Graph("g", START >> agent >> END), "go", model=model, policy=Policy(effects=["reads"]))
    assert [spec.name for spec in model.requests[0].tools] == ["search"]


def test_approval_is_asked_for_in_the_middle_of_code() -> None:
    spent: list[int] = []

    @tool(approval=lambda arguments: arguments.amount > 10)
    async def pay(amount: int) -> str:
        """Pay."""
        spent.append(amount)
        return "paid"

    seen: list[Any] = []

    async def approve(use: Any) -> bool | str:
        seen.append((use.node, use.arguments.amount, use.path))
        return True if use.arguments.amount < 100 else "too much"

    code = "r = [pay(5), pay(50)]\ntry:\n    pay(500)\nexcept PermissionError as e:\n    r.append(str(e))\nr"
    run = run_code(code, pay, approve=approve)
    assert run.output.value[:2] == ["paid", "paid"]
    assert "too much" in run.output.value[2]
    assert spent == [5, 50]
    assert seen == [("pay", 50, ("g",)), ("pay", 500, ("g",))]
    assert [e.granted for e in run.events if isinstance(e, Approved)] == [True, False]


@pytest.mark.parametrize("limits", [Limits(steps=4), Limits(tool_calls=3)])
@pytest.mark.parametrize(
    "call", ["search('x')", "await search('x')", "await asyncio.gather(search('x'), search('y'))"]
)
def test_a_limit_of_the_walk_ends_the_code_and_cannot_be_caught(limits: Limits, call: str) -> None:
    code = f"import asyncio\nwhile True:\n    try:\n        {call}\n    except BaseException:\n        pass"
    run = run_code(code, search, limits=limits)
    assert run.status == "limited"
    assert isinstance(run.error, LimitExceeded)


def test_a_deadline_of_the_walk_ends_endless_code() -> None:
    run = run_code("while True: pass", options={"seconds": 600}, limits=Limits(seconds=0.3))
    assert run.status == "limited"


clerk = Agent("clerk", input=Order, output=str, prompt="Do: {{ id }}", description="Does it.")


def test_a_sub_agent_is_a_function_in_a_frame_of_its_own() -> None:
    plain = Agent("plain", input=str, prompt="Say: {{ message }}")
    given = Code(calls=[clerk, plain])
    assert "clerk(id: int, items: list[str] = []) -> str: Does it." in given.spec.description
    assert "plain(input: str) -> str" in given.spec.description
    model = ScriptedModel("C", "P")
    run = walk(
        Graph("g", START >> given >> END), "[clerk(3, items=['a']), plain('x')]", model=model
    )
    assert run.output.value == ["C", "P"]
    assert [e.path for e in run.events if isinstance(e, FrameEntered)] == [
        ("g", "clerk"),
        ("g", "plain"),
    ]
    assert model.requests[0].turns[0].text == "Do: 3"  # type: ignore[union-attr]


def test_at_the_depth_limit_a_sub_agent_is_not_told_of_and_refused() -> None:
    code = "try:\n    clerk(3)\nexcept RecursionError as e:\n    r = str(e)\nr"
    _, last = asked(code, Code(calls=[clerk]), limits=Limits(depth=0))
    assert "depth limit of 0 reached" in last
    agent = Agent("boss", input=str, tools=[Code(calls=[clerk])])
    model = ScriptedModel("end")
    walk(Graph("g", START >> agent >> END), "go", model=model, limits=Limits(depth=0))
    assert "clerk" not in model.requests[0].tools[0].description


def test_a_limit_of_a_call_edge_is_an_error_that_code_can_catch() -> None:
    tight = SubAgent(clerk, limits=Limits(model_calls=0))
    assert "model_calls limit" in value(
        "try:\n    clerk(3)\nexcept Exception as e:\n    r = str(e)\nr",
        tight,
        model=ScriptedModel(),
    )


def test_a_background_sub_agent_gives_a_handle() -> None:
    lazy = SubAgent(clerk, background=True)
    code = "h = clerk(3)['handle']\nbackground(h, 'await')['answer']"
    assert value(code, lazy, model=ScriptedModel("C")) == "C"


def test_code_within_code_has_places_of_its_own() -> None:
    inner = Code("inner", calls=[search])
    middle = Code("middle", calls=[inner])
    code = "middle('inner(\"search(1 and chr(120))\")[\"value\"]')['value']"
    given = Code("code", calls=[middle])
    graph = Graph("g", START >> given >> END)

    async def many() -> list[Run[Any]]:
        return await asyncio.gather(*(graph.run(code) for _ in range(2 * sandbox.WORKERS)))

    assert {str(run.output.value) for run in asyncio.run(many())} == {"['x0', 'x1']"}
    until(lambda: not children())


def test_code_that_calls_itself_for_ever_stops() -> None:
    given = Code("code", calls=["code"])
    deep = "1"
    for _ in range(sandbox.LEVELS + 1):
        deep = f"code({deep!r})"
    error = walk(Graph("g", START >> given >> END), deep).error
    assert f"{sandbox.LEVELS} levels deep" in str(error)


def test_a_deep_value_reaches_a_model_or_is_refused() -> None:
    _, last = asked("r = []\nfor _ in range(3000): r = [r]\nr", Code())
    assert last.startswith(('{"value":[[', "ResultInvalid", "CodeFailed"))


# -- what it may use -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "options", "says"),
    [
        ("x = 'a' * 10**10", {}, "MemoryError"),
        ("l = []\nwhile True:\n    l.append('x' * 1000)", {"seconds": 100}, "MemoryError"),
        ("x = 10 ** 10**8", {}, "MemoryError"),
        ("try:\n    x = 'a' * 10**10\nexcept BaseException:\n    x = 1\nx", {}, "MemoryError"),
        ("while True: pass", {"seconds": 0.2}, "time limit exceeded"),
        (
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            {"seconds": 0.2},
            "time limit",
        ),
        ("def f(n): return f(n + 1)\nf(0)", {}, "RecursionError"),
        ("import time\nwhile True: time.sleep(0.1)", {"seconds": 0.3}, "sleep for more than 0.3 s"),
        (
            "import asyncio\nawait asyncio.gather(asyncio.sleep(5), asyncio.sleep(5))",
            {"seconds": 0.3},
            "sleep for more",
        ),
        ("while True: search('x')", {"max_calls": 5}, "more than 5 calls"),
        (
            "while True:\n    try: search('x')\n    except BaseException: pass",
            {"max_calls": 5},
            "more than 5 calls",
        ),
        (
            "import asyncio\nawait asyncio.gather(*[search('x') for _ in range(99)])",
            {"max_calls": 5},
            "more than 5 calls",
        ),
        ("#" * 60_000, {}, "the code has 60000 characters"),
    ],
)
def test_limits_end_the_code(code: str, options: dict[str, Any], says: str) -> None:
    assert says in str(failed(code, search, options=options))


def test_endless_printing_is_cut_and_bounded() -> None:
    run = run_code("for i in range(20_000): print('x' * 100)", options={"printed_limit": 1000})
    assert run.output.printed.startswith("x" * 100 + "\n")
    assert "[cut: 2019000 more characters were printed" in run.output.printed
    error = failed("while True: print('x' * 1000)", options={"seconds": 0.3, "printed_limit": 50})
    assert error.printed.startswith("x" * 50 + "\n[cut:")


def test_sleeping_is_fine() -> None:
    assert value("import time, asyncio\ntime.sleep(0.05)\nawait asyncio.sleep(0.05)\n1") == 1


def test_time_in_calls_does_not_count_for_the_code_but_for_its_timeout() -> None:
    assert value("slow(0.5)", slow, options={"seconds": 0.2}) == "awake"
    run = run_code("slow(600)", slow, options={"timeout_s": 0.2})
    assert isinstance(run.error, NodeTimeout)
    run = run_code("while True: pass", options={"timeout_s": 0.2, "seconds": 600})
    assert isinstance(run.error, NodeTimeout)


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "from pathlib import Path\nPath('/etc/passwd').read_text()",
        "import os\nos.listdir('/')",
        "import os\nos.environ['PATH']",
        "import os\nos.system('id')",
        "import subprocess",
        "import socket",
        "import urllib.request",
        "import ctypes",
        "__import__('os')",
        "().__class__.__bases__[0].__subclasses__()",
        "search.__globals__",
        "search.__code__",
        "open('graphflow_escape', 'w')",
        "globals()",
        "import importlib",
        "import sys\nsys.modules",
        "from graphflow import Graph",
        "input()",
    ],
)
def test_there_is_no_way_out(code: str) -> None:
    assert failed(code, search)
    assert not Path("graphflow_escape").exists()


def test_nothing_is_kept_from_one_run_to_the_next() -> None:
    _, last = asked("x = 5", Code(), "x")
    assert "name 'x' is not defined" in last


def test_the_loop_stays_free_while_code_computes() -> None:
    beats: list[int] = []

    @node
    async def beat(text: str) -> str:
        for _ in range(20):
            await asyncio.sleep(0.01)
            beats.append(len(workers()))
        return text

    async def both() -> None:
        run = Graph("g", START >> Code("code", seconds=600) >> END).start("while True: pass")
        await eventually(workers)
        await Graph("b", START >> beat >> END).run("x")
        assert run.status == "running"
        run.cancel()
        await run.settled()

    asyncio.run(both())
    assert len(beats) == 20
    assert all(beats), "it computes all the time"


# -- values ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", None),
        ("x = 1", None),
        ("(1, {2}, b'ab', None, True, 1.5)", [1, [2], "ab", None, True, 1.5]),
        ("{1: 2}", {"1": 2}),
        ("import datetime\ndatetime.date(2020, 1, 2)", "2020-01-02"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int\n[P(1)]", [{"a": 1}]),
        ("float('inf')", float("inf")),
        ("'\\ud800'", "\ufffd"),
        ("10 ** 50", 10**50),
    ],
)
def test_values_are_plain_data(code: str, expected: Any) -> None:
    assert value(code) == expected


@pytest.mark.parametrize("code", ["b'\\xff'", "10 ** 6000", "len"])
def test_values_that_are_no_data_are_an_error(code: str) -> None:
    assert failed(f"print('p')\n{code}").printed == "p\n"


def test_a_huge_value_is_whole_for_a_node_and_cut_for_a_model() -> None:
    assert len(value("'x' * 5_000_000")) == 5_000_000
    _, last = asked("print('p')\n'x' * 5_000_000", Code(output_limit=500))
    assert len(last) < 700
    assert last.startswith('{"printed":"p\\n","value":"xxx')
    assert "[cut: the first 500 of" in last
    assert "memory" in str(failed("'x' * 60_000_000"))


def test_answers_that_are_no_data_are_an_error_in_code() -> None:
    @tool
    async def odd(kind: Literal["object", "surrogate", "bytes"]) -> Any:
        """Answer oddly."""
        return {"object": object(), "surrogate": "\ud800", "bytes": b"\xff"}[kind]

    code = "r = []\nfor k in ('object', 'surrogate', 'bytes'):\n    try:\n        odd(k)\n    except TypeError as e:\n"
    code += "        r.append('plain data' in str(e))\nr"
    assert value(code, odd) == [True] * 3


def test_a_huge_answer_is_too_much_for_the_memory_of_the_code() -> None:
    @tool
    async def much(n: int) -> str:
        """Answer much."""
        return "x" * n

    assert value("len(much(1_000_000))", much) == 1_000_000
    assert "memory" in str(failed("len(much(80_000_000))", much))


def test_a_flow_takes_it_typed() -> None:
    @node
    async def shown(done: Computed) -> str:
        return f"{done.printed.strip()} {done.value}"

    graph = Graph("g", START >> Code() >> shown >> END)
    assert walk(graph, "print('p')\n6 * 7").output == "p 42"
    assert walk(graph, {"code": "1"}).output == " 1"
    assert walk(graph, '{"code": 1}').output == " {'code': 1}"
    with pytest.raises(InputInvalid, match="Input should be a valid string"):
        walk(graph, {"code": 1})
    assert Computed.model_validate_json(Computed(value=[1]).model_dump_json()) == Computed(
        value=[1]
    )
    assert Computed().model_dump() == {"value": None}


# -- names -----------------------------------------------------------------------------------------
def test_names_become_identifiers() -> None:
    names = ["web-search", "print", "class", "2nd", "json", "größe", "a.b"]
    assert [function_name(n) for n in names] == [
        "web_search",
        "print_",
        "class_",
        "_2nd",
        "json_",
        "größe",
        "a_b",
    ]
    found = search.named("web-search"), search.named("print"), search.named("json")
    assert value("import json\nprint(web_search('x'))\n[print_('y'), json_('z', 1)]", *found) == [
        ["y0", "y1"],
        ["z0"],
    ]
    assert signature_line(found[0]).startswith("web_search(query: str")


def test_names_that_become_the_same_do_not_build() -> None:
    given = Code(calls=[search.named("a-b"), search.named("a_b")])
    with pytest.raises(
        GraphError, match=r"'a-b' and 'a_b' would both be the function 'a_b' in code; rename one"
    ):
        Graph("g", START >> given >> END)
    with pytest.raises(GraphError, match="would both be the function"):
        Graph("g", START >> Agent("boss", input=str, tools=[given]) >> END)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0},
        {"seconds": float("nan")},
        {"memory_mib": 1.5},
        {"max_calls": True},
        {"recursion": -1},
    ],
)
def test_wrong_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=f"{next(iter(wrong))}=.* must be a positive number"):
        Code(**wrong)


def test_it_is_drawn_checked_and_bounded_with_its_edges() -> None:
    agent = Agent("boss", input=str, tools=[Code(calls=[search, clerk])], model="local:smollm2")
    graph = Graph("g", START >> agent >> END)
    text = graph.to_mermaid()
    assert text.count("-.->") == 3
    assert '"run_python"' in text
    assert "run_python" in graph.to_dot()
    assert "clerk" in str(graph.bounds())
    assert graph.bounds().depth == 1
    loop = Code("code", calls=[Agent("b", input=str, tools=["code"])])
    assert any("call cycle" in fact for fact in Graph("g", START >> loop >> END).check().facts)


def test_names_of_nodes_in_the_graph_are_found() -> None:
    @node
    async def loud(text: str) -> str:
        return text.upper()

    @node
    async def text_of(done: Computed) -> str:
        return str(done.value)

    graph = Graph("g", START >> Code("code", calls=["loud"]) >> text_of >> loud >> END)
    assert walk(graph, "loud(input='a') + loud('b')").output == "AB"


# -- ending ----------------------------------------------------------------------------------------
def test_cancelling_leaves_nothing_behind() -> None:
    begun: list[int] = []
    ended: list[str] = []

    @tool
    async def hang(n: int) -> str:
        """Hang."""
        begun.append(n)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("over")
        return ""

    async def main(code: str) -> None:
        given = Code("code", calls=[hang], seconds=600)
        run = Graph("g", START >> given >> END).start(code)
        await eventually(lambda: len(workers()) == 1 and len(begun) == calls_of(code))
        run.cancel()
        await run.settled()
        assert run.status == "cancelled"
        await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})
        await eventually(lambda: not children())

    def calls_of(code: str) -> int:
        return code.count("hang(")

    for code in (
        "hang(1)",
        "import asyncio\nawait asyncio.gather(hang(1), hang(2))",
        "while True: pass",
    ):
        begun.clear()
        asyncio.run(main(code))
    assert ended == ["over"] * 3


@pytest.mark.parametrize("others", [0, 1])
def test_who_is_cancelled_while_workers_start_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    starting, go_on = threading.Event(), threading.Event()

    def slowly() -> Warden:
        starting.set()
        assert go_on.wait(60)
        return Warden()

    monkeypatch.setattr(sandbox, "Warden", slowly)

    async def main() -> None:
        graph = Graph("g", START >> Code("code") >> END)
        first = graph.start("1 + 1")
        await eventually(starting.is_set)
        rest = [graph.start("2 + 2") for _ in range(others)]
        first.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await first.settled()
        assert first.status == "cancelled"
        for run in rest:
            await run.settled()
            assert run.output.value == 4
        await eventually(lambda: not children())

    asyncio.run(main())


def test_calls_that_nobody_waits_for_end_with_the_code() -> None:
    run = run_code("import asyncio\nasyncio.gather(slow(600), slow(600))\n1", slow)
    assert run.output.value == 1


def test_a_killed_worker_is_an_error_and_the_next_code_works() -> None:
    @tool
    async def kill(n: int) -> int:
        """Kill all workers."""
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        return n

    run, last = asked("print('before')\nkill(1)", Code(calls=[kill]), "6 * 7")
    [bad] = [e.error for e in run.events if isinstance(e, CallFailed)]
    assert isinstance(bad, CodeFailed)
    assert "the sandbox died" in str(bad)
    assert bad.printed == "before\n"
    assert last == '{"value":42}'
    until(lambda: not children())


def test_a_stopped_worker_is_killed_when_its_time_is_over() -> None:
    async def main() -> Run[Any]:
        computing = asyncio.Event()

        @tool
        async def begin() -> None:
            """Begin."""
            computing.set()

        code = Code("code", calls=[begin], seconds=0.5)
        run = Graph("g", START >> code >> END).start("begin()\nwhile True: pass")
        await computing.wait()  # a worker that is stopped before has not begun its time
        for pid in children():
            os.kill(pid, signal.SIGSTOP)
        await run.settled()
        return run

    run = asyncio.run(main())
    assert isinstance(run.error, CodeFailed)


def test_twenty_at_once_share_a_few_workers() -> None:
    seen: list[int] = []

    @tool
    async def look(n: int) -> int:
        """Look."""
        seen.append(len(workers()))
        await asyncio.sleep(0.02)
        return n

    graph = Graph("g", START >> Code("code", calls=[look]) >> END)

    async def main() -> list[Run[Any]]:
        return await asyncio.gather(*(graph.run(f"look({n}) * 2") for n in range(20)))

    assert [run.output.value for run in asyncio.run(main())] == [2 * n for n in range(20)]
    assert max(seen) <= sandbox.WORKERS
    until(lambda: not children())


def test_a_map_runs_code_side_by_side() -> None:
    @node
    async def split(n: int) -> list[str]:
        return [f"look({i})" for i in range(n)]

    @tool
    async def look(n: int) -> int:
        """Look."""
        return n

    @node
    async def total(done: list[Computed]) -> int:
        return sum(each.value for each in done)

    code = Code("code", calls=[look])
    graph = Graph("g", START >> split, split.each >> code >> total >> END)
    assert walk(graph, 20).output == sum(range(20))


def test_without_the_extra_the_run_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    agent = Agent("boss", input=str, tools=[Code()])
    graph = Graph("outer", START >> Graph("inner", START >> agent >> END) >> END)
    assert graph.to_mermaid()
    model = ScriptedModel()
    with pytest.raises(MissingExtra, match=r"pip install 'graphflow-agents\[sandbox\]'"):
        graph.run_sync("go", model=model)
    assert model.requests == []


def test_a_program_that_ran_code_ends_well() -> None:
    """The asyncio face of the sandbox aborts one short program in three."""
    program = "from graphflow import *\nprint(Graph('g', START >> Code() >> END).run_sync('40 + 2').output.value)"
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_there_is_no_plain_function() -> None:
    with pytest.raises(DeclarationError, match="only within a walk"):
        asyncio.run(Code()("1"))


def test_a_context_is_not_in_the_way() -> None:
    @tool
    async def where(ctx: Context) -> list[str]:
        """Tell where."""
        return [*ctx.path, ctx.node.name]

    assert value("where()", where) == ["g", "where"]


HOST = """
import asyncio, sys
from graphflow import END, START, Graph, tool
from graphflow.kinds.code import Code

@tool
async def computing() -> str:
    "Tells that the code has begun."
    print("computing", flush=True)
    return "yes"

graph = Graph("g", START >> Code(calls=[computing], seconds=600) >> END)
graph.run_sync("computing()\\nn = 0\\nwhile True:\\n    n += 1")
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are found in /proc")
def test_a_worker_that_computes_dies_with_its_host() -> None:
    """However that ends: `kill -9` leaves it no time to end anything."""
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "computing\n"
            workers = leftovers.children(host.pid)
            assert workers
        finally:
            host.kill()
    # The code itself would go on for ten minutes.
    until(lambda: not any(map(leftovers.alive, workers)))


def test_without_a_warden_code_runs_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphflow.kinds.warden.SHELL", Path("/nowhere/sh"))
    assert value("1 + 1") == 2


def test_a_warden_that_was_killed_is_in_nobodys_way() -> None:
    @tool
    async def kill() -> str:
        """Kills it."""
        for pid in children() - workers():
            os.kill(pid, signal.SIGKILL)
        return "killed"

    assert value("kill()\n1 + 1", kill) == 2


# -- many functions --------------------------------------------------------------------------------
def many_tools(count: int) -> list[Any]:
    """Tools of a large shop, and one for orders among them."""

    def shelf(number: int) -> Any:
        @tool(name=f"shelf_{number}")
        async def look(place: str) -> str:
            """What lies there."""
            return f"{place} on shelf {number}"

        return look

    tools = [shelf(number) for number in range(count)]
    tools.insert(count // 2, order)
    return tools


def test_many_functions_are_found_by_words_and_not_listed() -> None:
    given = Code(calls=many_tools(60))
    find = "print(find_functions('an order of a customer', limit=3))"
    run, _ = asked(find, given, 'order(7)["items"]')
    assert run.error is None
    about = given.spec.description
    assert "There are 61 functions" in about
    assert "find_functions(" in about
    assert "shelf_1" not in about
    assert len(about) < 1_000
    assert [(step.node, step.caller) for step in run.steps if step.caller == "run_python"] == [
        ("order", "run_python")
    ]


def test_what_is_found_is_what_fits_best_and_can_be_called_now() -> None:
    tools = many_tools(60)
    options = {"listed": 10}
    found = value("find_functions('orders')", *tools, options=options)
    assert found == ['order(id: int) -> {"id": int, "items": list[str]}: Look an order up.']
    assert len(value("find_functions()", *tools, options=options)) == 10
    assert len(value("find_functions(limit=999)", *tools, options=options)) == 50
    shelves = value("find_functions('shelf 17')", *tools, options=options)
    assert shelves[0].startswith("shelf_17(")
    assert value("find_functions('nothing of that')", order, options=options) == []
    hidden = value("find_functions('order')", *tools, policy=Policy(deny=["order"]))
    assert not any(line.startswith("order(") for line in hidden)
    assert "takes words as one str" in str(failed("find_functions(3)", order))
    assert "takes a number from 1" in str(failed("find_functions('x', 0)", order))
    assert function_name("find_functions") == "find_functions_"


def test_few_functions_are_listed_as_ever() -> None:
    about = Code(calls=[search, order]).spec.description
    assert "find_functions" not in about
    assert "search(query: str" in about
