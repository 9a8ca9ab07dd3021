"""What tools declare of the files and hosts that they reach, held by policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Graph, Policy, node, tool
from graphflow.access import fits_host, host_in
from graphflow.errors import DeclarationError, PolicyRefused
from graphflow.joint_policy import joint
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk


@tool(effects=["reads"], paths=["source", "others"])
async def read(source: str, others: list[Path] = []) -> str:  # noqa: B006  # pydantic copies it
    """Read files."""
    return "read"


@tool(effects=["reads", "writes"], paths=["target"])
async def write(target: Path) -> str:
    """Write a file."""
    return "written"


@tool(effects=["network"], hosts=["url"])
async def ask(url: str) -> str:
    """Ask a server."""
    return "asked"


@tool(effects=["reads", "network"])
async def anything(url: str) -> str:
    """Nobody knows."""
    return "done"


@tool
async def unsaid(text: str) -> str:
    """Of it nobody has said what it does."""
    return "done"


@tool(effects=[])
async def add(a: int) -> int:
    """Add one."""
    return a + 1


TOOLS = [read, write, ask, anything, unsaid, add]


def told(called: Any, policy: Policy, **arguments: Any) -> str:
    """What a model reads that has called a tool."""
    model = ScriptedModel(calls(called.name, **arguments), "end")
    graph = Graph("desk", START >> Agent("clerk", input=str, tools=TOOLS) >> END)
    run = walk(graph, "go", model=model, policy=policy)
    assert run.error is None
    result = model.requests[-1].turns[-1].results[0]  # type: ignore[union-attr]
    return str(result.text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("b")
    (tmp_path / "docs" / "link").symlink_to(tmp_path / "secret.txt")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("docs/a.txt", True),
        ("docs", True),
        ("docs/new/file.txt", True),
        ("docs/../docs/a.txt", True),
        ("secret.txt", False),
        ("docs/../secret.txt", False),
        ("docs/link", False),
        ("docs\0", False),
        ("/etc/passwd", False),
        ("docs2/a.txt", False),
    ],
)
def test_paths_are_judged_by_where_they_lead(
    folder: Path, path: str, is_allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    policy = Policy(paths=["docs"])
    assert (told(read, policy, source=path) == "read") is is_allowed
    assert (told(read, policy, source="docs", others=["docs", path]) == "read") is is_allowed
    if not is_allowed:
        assert "lies outside of 'docs'" in told(read, policy, source=path)


def test_what_is_written_may_be_held_closer(folder: Path) -> None:
    (folder / "docs" / "out").mkdir()
    policy = Policy(paths=[str(folder)], write_paths=[str(folder / "docs" / "out")])
    assert told(read, policy, source=str(folder / "secret.txt")) == "read"
    assert told(write, policy, target=str(folder / "docs" / "out" / "b")) == "written"
    assert "lies outside" in told(write, policy, target=str(folder / "docs" / "b"))
    assert told(read, Policy(write_paths=[]), source="/etc/passwd") == "read"
    assert "lies outside of nothing" in told(write, Policy(write_paths=[]), target="x")


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://api.example.org/a", True),
        ("API.Example.ORG", True),
        ("api.example.org.:443", True),
        ("https://example.org", False),
        ("https://evil.org/api.example.org", False),
        ("https://api.example.org@evil.org/", False),
        ("https://evil.org\\@api.example.org/", False),
        ("https://evil.org\t.api.example.org", False),
        ("https://127.0.0.1/", False),
        ("", False),
    ],
)
def test_hosts_are_judged_by_their_names(url: str, is_allowed: bool) -> None:
    policy = Policy(hosts=["*.example.org"])
    assert (told(ask, policy, url=url) == "asked") is is_allowed


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "a.localhost", "2130706433", "0x7f.1", "0177.0.0.1"]
)
def test_what_is_no_name_has_to_be_named_as_it_is(host: str) -> None:
    assert "none of them" in told(ask, Policy(hosts=["*"]), url=f"http://{host}:80/")
    bare = host.strip("[]")
    assert told(ask, Policy(hosts=["*", bare]), url=f"http://{host}:80/") == "asked"
    assert fits_host(host_in(f"http://{host}/"), [bare])


def test_who_does_not_say_what_it_reaches_is_not_offered() -> None:
    def offered(policy: Policy) -> list[str]:
        model = ScriptedModel("end")
        graph = Graph("desk", START >> Agent("clerk", input=str, tools=TOOLS) >> END)
        walk(graph, "go", model=model, policy=policy)
        return [spec.name for spec in model.requests[0].tools]

    assert offered(Policy(paths=["."])) == ["read", "write", "ask", "add"]
    assert offered(Policy(hosts=["*"])) == ["read", "write", "ask", "add"]
    assert offered(Policy(write_paths=["."])) == ["read", "write", "ask", "anything", "add"]
    assert len(offered(Policy())) == len(TOOLS)
    assert "does not declare which files it reaches" in told(anything, Policy(paths=[]), url="x")


def test_a_function_says_what_arguments_come_to_and_a_tool_may_ask_on_its_way(folder: Path) -> None:
    def below(arguments: Any) -> list[Path]:
        return [folder / "docs" / arguments.name]

    @tool(effects=["reads", "network"], paths=below, hosts=[])
    async def follow(name: str, ctx: Context) -> str:
        """Follow."""
        ctx.check_path(folder / "docs" / "b")
        ctx.check_host("api.example.org")
        if name == "far":
            ctx.check_host("evil.org")
        if name == "out":
            ctx.check_path(folder / "secret.txt")
        return "followed"

    @node(calls=[follow])
    async def lead(name: str, ctx: Context) -> str:
        answer: str = await ctx.call(follow, {"name": name})
        return answer

    graph = Graph("desk", START >> lead >> END)
    policy = Policy(paths=[str(folder / "docs")], hosts=["*.example.org"])
    assert walk(graph, "near", policy=policy).output == "followed"
    for name in ("far", "out", "../secret.txt"):
        run = walk(graph, name, policy=policy)
        assert isinstance(run.error, PolicyRefused), name
    # On an arrow it is judged as well.
    run = walk(Graph("arrow", START >> read >> END), "/etc/passwd", policy=policy)
    assert isinstance(run.error, PolicyRefused)


def test_what_is_no_argument_is_refused_where_it_is_declared() -> None:
    with pytest.raises(DeclarationError, match="must be a list of its arguments; there are: path"):

        @tool(paths=["file"])
        async def read(path: str) -> str:
            return path


def test_files_and_projects_have_the_words(tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(
        "graph: desk\npolicy: {paths: [docs], write_paths: [], hosts: ['*.example.org']}\n"
        "model: mock:echo\nnodes:\n  clerk: {kind: agent}\nedges:\n  - START >> clerk >> END\n"
    )
    graph = Graph.from_yaml(str(path))
    assert graph.policy == Policy(paths=["docs"], write_paths=[], hosts=["*.example.org"])
    again = tmp_path / "again.yaml"
    again.write_text(graph.to_yaml())
    assert Graph.from_yaml(str(again)).policy == graph.policy


def test_ready_tools_declare_what_they_reach(folder: Path) -> None:
    from graphflow.library.tools.fetch import fetch
    from graphflow.library.tools.files import files
    from graphflow.library.tools.shell import shell

    tools = [*files(folder / "docs"), fetch(["*.example.org"]), shell(["git"], cwd=folder)]

    def refusals(policy: Policy) -> list[str]:
        model = ScriptedModel("end")
        agent = Agent("clerk", input=str, tools=tools)
        graph = Graph("desk", START >> agent >> END, untrusted="warn")
        walk(graph, "go", model=model, policy=policy)
        offered = [spec.name for spec in model.requests[0].tools]
        return [each.name for each in tools if each.name not in offered]

    assert refusals(Policy(paths=[str(folder)])) == ["run_command"]
    assert refusals(Policy(hosts=["*.example.org"])) == ["run_command"]
    agent = Agent("clerk", input=str, tools=files(folder / "docs"))
    for allowed, text in ((folder, "1\ta"), (folder / "other", "lies outside")):
        model = ScriptedModel(calls("read_file", path="a.txt"), "end")
        walk(
            Graph("desk", START >> agent >> END),
            "go",
            model=model,
            policy=Policy(paths=[str(allowed)]),
        )
        assert text in model.requests[-1].turns[-1].results[0].text  # type: ignore[union-attr]


def test_several_policies_hold_together(folder: Path) -> None:
    """As those of a project and its plug-ins do: no one of them gives back what another takes away."""
    both = joint([Policy(paths=[str(folder / "docs")]), Policy(hosts=["*.example.org"])])
    assert both is not None
    assert "lies outside" in told(read, both, source=str(folder / "secret.txt"))
    assert "none of them" in told(ask, both, url="https://evil.org")
    assert "does not declare" in told(anything, both, url="x")
    assert both.refuses_path("/etc/passwd")
    assert both.refuses_host("evil.org")
    assert both.refuses_path(str(folder / "docs" / "a")) is None
