"""Spans and numbers arrive at a collector, nest as frames do, are linked across sittings, and show no secret."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graphflow import END, MCP, START, Agent, Graph, connect, node
from graphflow.errors import DeclarationError
from graphflow.telemetry import OtelSink
from graphflow.testing import ScriptedModel, calls
from graphflow.trace_context import read_traceparent
from tests import programs
from tests.conftest import Msg
from tests.leftovers import children
from tests.mcp.servers import dynamic
from tests.strict import Answer, StrictServer
from tests.telemetry.collector import Collector, collecting
from tests.telemetry.office import chain, desk, loop, nested

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def sitting(collector: Collector, store: str, which: str) -> str:
    """Walks one sitting in another process; how it ended."""
    words = ("-m", "tests.telemetry.traced_desk", collector.endpoint, store, which)
    done = programs.run(*words, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_run_resumed_in_another_process_is_two_linked_traces_that_nest_as_frames_do(
    tmp_path: Path,
) -> None:
    store = f"sqlite:{tmp_path / 'runs.db'}"
    with collecting() as collector:
        assert sitting(collector, store, "begin") == "waiting"
        assert sitting(collector, store, "resume") == "completed"
        assert sitting(collector, store, "fork") == "completed"
    first, second, forked = collector.roots()
    chat = "chat scripted"
    asked = ("invoke_agent clerk", chat, "execute_tool look", chat, "execute_tool charge")
    boss = ("invoke_agent boss", chat, ("execute_tool clerk", asked))
    assert first.tree() == ("invoke_workflow desk", boss)
    answered = ("invoke_agent clerk", "execute_tool charge", chat)
    boss = ("invoke_agent boss", ("execute_tool clerk", answered), chat)
    assert second.tree() == ("invoke_workflow desk", boss)
    assert len({first.trace, second.trace, forked.trace}) == 3
    assert {span.trace for span in collector.spans} == {first.trace, second.trace, forked.trace}

    link = {"graphflow.link": "resume", "graphflow.run.id": "r"}
    assert second.links == [(first.trace, first.id, link)]
    link = {"graphflow.link": "fork", "graphflow.run.id": "r"}
    assert forked.links == [(second.trace, second.id, link)]
    assert first.attributes["graphflow.run.status"] == "waiting"
    assert first.find("execute_tool charge").attributes["graphflow.unfinished"] is True
    assert second.find("execute_tool charge").attributes["gen_ai.tool.name"] == "charge"
    assert second.attributes["graphflow.run.sitting"] == 2
    for span in collector.spans:
        assert span.started <= span.ended
    inner = first.find("invoke_agent clerk")
    assert inner.attributes["graphflow.frame.path"] == "desk > clerk"
    assert {resource["service.name"] for resource in collector.resources} == {"shop"}


def traced(graph: Any, message: object = None, **options: Any) -> Collector:
    """What a collector gets of a run."""
    with collecting() as collector:
        with graph.subscribe(to=OtelSink(collector.endpoint, **options)) as subscription:
            graph.run_sync(message or Msg())
        assert subscription.sink.lost == 0
    return collector


def test_spans_of_models_have_tokens_cost_and_the_time_to_the_first_token() -> None:
    collector = traced(desk())
    chats = [span for span in collector.spans if span.name == "chat scripted"]
    assert len(chats) == 4
    for chat in chats:
        fields = chat.attributes
        assert fields["gen_ai.operation.name"] == "chat"
        assert fields["gen_ai.request.model"] == "scripted"
        assert fields["gen_ai.usage.input_tokens"] > 0
        assert fields["gen_ai.usage.output_tokens"] > 0
        assert fields["graphflow.cost.usd"] == 0.0
        assert 0 <= fields["gen_ai.response.time_to_first_chunk"] <= chat.ended - chat.started
        assert fields["gen_ai.response.finish_reasons"] in (["stop"], ["tool_calls"])
    assert set(collector.metrics) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "graphflow.call.duration",
        "graphflow.cost.usd",
        "graphflow.node.duration",
        "graphflow.run.duration",
    }
    tokens = collector.metrics["gen_ai.client.token.usage"]
    assert sum(point.count for point in tokens) == 8


def test_graphs_within_graphs_nest() -> None:
    [root] = traced(nested).roots()
    inner = ("invoke_workflow inner", "up", "twice")
    assert root.tree() == ("invoke_workflow nested", "first", ("inner", inner), "last")


def test_a_straight_walk_of_many_hops_is_shown_in_full() -> None:
    collector = traced(loop, Msg(n=200))
    [root] = collector.roots()
    assert len(root.children) == 400


def test_an_error_is_an_exception_of_its_span_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "sesame-opens-2931")

    @node
    async def breaks(m: Msg) -> Msg:
        raise KeyError("no door for sesame-opens-2931")

    graph = Graph("g", START >> breaks >> END)
    with (
        collecting() as collector,
        graph.subscribe(to=OtelSink(collector.endpoint)),
        pytest.raises(KeyError),
    ):
        graph.run_sync(Msg())
    [root] = collector.roots()
    broken = root.find("breaks")
    assert broken.failed
    assert root.failed
    assert broken.attributes["error.type"] == "KeyError"
    [(name, fields)] = broken.events
    assert name == "exception"
    assert "SHOP_API_KEY" in fields["exception.message"]
    assert not any(b"sesame" in body for body in collector.bodies)


@pytest.mark.parametrize("content", [False, True])
def test_messages_are_shown_only_if_wanted_and_never_with_secrets(
    content: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "sesame-opens-2931")
    collector = traced(desk(secret="sesame-opens-2931"), content=content)
    assert not any(b"sesame" in body for body in collector.bodies)
    assert any(b"the answer is 42" in body for body in collector.bodies) == content
    chats = [span for span in collector.spans if span.name == "chat scripted"]
    assert all(("gen_ai.output.messages" in chat.attributes) == content for chat in chats)


def test_a_huge_message_is_cut() -> None:
    @node
    async def swells(m: Msg) -> Msg:
        return Msg(tag="x" * 3_000_000)

    graph = Graph("g", START >> swells >> END)
    collector = traced(graph, content=True, max_content=1_000)
    assert max(map(len, collector.bodies)) < 20_000
    [root] = collector.roots()
    assert root.find("swells").attributes["graphflow.output"].endswith("...")


def test_a_collector_that_is_down_harms_no_walk_and_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = OtelSink("http://127.0.0.1:9", metrics=False)
    with chain.subscribe(to=sink):
        assert chain.run_sync(Msg()).status == "completed"
    assert sink.lost == sink.made == 3
    assert "3 of 3 spans have not reached the collector" in caplog.text


def test_a_collector_that_refuses_harms_no_walk() -> None:
    with collecting(status=400) as collector:
        sink = OtelSink(collector.endpoint, metrics=False)
        with chain.subscribe(to=sink):
            assert chain.run_sync(Msg()).status == "completed"
    assert sink.lost == 3


def test_headers_go_along_and_are_secret() -> None:
    with collecting() as collector:
        sink = OtelSink(collector.endpoint, headers={"x-api-key": "k-29-collects-it"})
        with chain.subscribe(to=sink):
            chain.run_sync(Msg(tag="k-29-collects-it"))
    sent = {name.lower(): value for name, value in collector.headers[0].items()}
    assert sent["x-api-key"] == "k-29-collects-it"
    assert not any(b"k-29-collects-it" in body for body in collector.bodies)


# -- trace context in and out ----------------------------------------------------------------------
def test_a_run_belongs_to_the_span_that_it_is_given() -> None:
    with collecting() as collector, chain.subscribe(to=OtelSink(collector.endpoint)):
        chain.run_sync(Msg(), traceparent=PARENT)
        chain.run_sync(Msg(), traceparent=PARENT[:-1] + "0")
    [root] = collector.roots()
    assert root.trace == PARENT[3:35]
    assert root.parent == PARENT[36:52]


def test_a_run_belongs_to_the_current_span_of_opentelemetry() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    tracer = provider.get_tracer("web")
    sink = OtelSink(processor=SimpleSpanProcessor(exporter))

    async def scenario() -> int:
        async with chain.subscribe(to=sink):
            with tracer.start_as_current_span("request") as span:
                await chain.run(Msg())
                return span.get_span_context().span_id

    parent = asyncio.run(scenario())
    roots = [span for span in exporter.get_finished_spans() if span.name.startswith("invoke")]
    assert [span.parent.span_id for span in roots] == [parent]
    provider.shutdown()


def test_a_part_of_the_runs_is_enough() -> None:
    exporter = InMemorySpanExporter()
    sink = OtelSink(processor=SimpleSpanProcessor(exporter), ratio=0.0)
    with chain.subscribe(to=sink):
        chain.run_sync(Msg())
    assert exporter.get_finished_spans() == ()


def _agent(url: str) -> Graph[str, str]:
    model = connect("openai:m", base_url=f"{url}/v1", key="sk-test")
    return Graph("web", START >> Agent("a", input=str, output=str, model=model) >> END)


def test_requests_to_models_name_the_span_of_the_question() -> None:
    with collecting() as collector, StrictServer("openai-chat", [Answer(text="hi")]) as server:
        graph = _agent(server.url)
        with graph.subscribe(to=OtelSink(collector.endpoint)):
            graph.run_sync("hello")
        [request] = server.requests
    [root] = collector.roots()
    chat = root.find("chat openai:m")
    assert request.headers["traceparent"] == f"00-{chat.trace}-{chat.id}-01"


def test_without_a_sink_requests_carry_on_what_came_in() -> None:
    with StrictServer("openai-chat", [Answer(text="hi"), Answer(text="ho")]) as server:
        _agent(server.url).run_sync("hello", traceparent=PARENT)
        _agent(server.url).run_sync("hello")
        first, second = server.requests
    assert first.headers["traceparent"] == PARENT
    assert "traceparent" not in second.headers


def test_calls_of_servers_name_the_span_of_the_call() -> None:
    before = children()
    server = MCP("dynamic", dynamic("--traced"))
    model = ScriptedModel(calls("trace"), "done")
    graph = Graph("g", START >> Agent("a", input=str, mcp=[server], model=model) >> END)
    collector = traced(graph, "go")
    [root] = collector.roots()
    call = root.find("execute_tool trace")
    last: Any = model.requests[-1].turns[-1]
    assert f"00-{call.trace}-{call.id}-01" in str(last.results[0])
    assert children() == before


@pytest.mark.parametrize(
    "text", ["", "00-1-2-3", PARENT.upper(), "00-" + "0" * 32 + PARENT[35:], 3]
)
def test_what_is_no_traceparent_is_refused(text: Any) -> None:
    with pytest.raises(DeclarationError, match="give the header as the W3C defines it"):
        chain.run_sync(Msg(), traceparent=text)


def test_a_later_version_of_a_traceparent_is_read() -> None:
    assert read_traceparent(f"01{PARENT[2:]}-more").trace_id == PARENT[3:35]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"endpoint": "localhost:4318"}, "give an address such as"),
        ({"endpoint": "http://me:secret@x:1"}, "its address holds a password"),
        ({"ratio": 2}, "give a number from 0 to 1"),
        ({"max_content": 0}, "give a number from 1"),
    ],
)
def test_arguments_that_cannot_be_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        OtelSink(**options)
