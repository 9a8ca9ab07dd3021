"""Tools that a function makes have words in files: `files("docs")`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphflow.library.tools.dates import dates
from graphflow.library.tools.environment import environment
from graphflow.library.tools.fetch import fetch
from graphflow.library.tools.files import files
from graphflow.library.tools.shell import shell

from graphflow import END, START, Agent, Code, Graph, Skills, Tool, factory, tool
from graphflow.errors import FileUnreadable

GRAPH = """
graph: reader
untrusted: warn
nodes:
  say: {kind: agent, input: str, prompt: "{{ text }}", model: "mock:echo", tools: [TOOLS]}
edges: [START >> say >> END]
"""


def loaded(folder: Path, tools: str) -> Graph[str, str]:
    file = folder / "reader.yaml"
    file.write_text(GRAPH.replace("TOOLS", tools))
    return Graph.from_yaml(str(file))


def test_a_path_is_meant_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("found it")
    graph = loaded(tmp_path, "'files(\"docs\")', graphflow.library.tools.calculator:calculate")
    run = graph.run_sync('/tool read_file {"path": "a.txt"}')
    assert "found it" in run.output
    assert "42" in graph.run_sync('/tool calculate {"expression": "6*7"}').output


def test_a_function_of_the_project_may_make_nodes(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "from graphflow import tool\n"
        "def stock(item: str, *, most: int = 1):\n"
        "    @tool\n"
        "    def look() -> str:\n"
        "        'Looks.'\n"
        "        return f'{item} {most}'\n"
        "    return look\n"
    )
    graph = loaded(tmp_path, "'shop:stock(\"tea\", most=3)'")
    assert graph.run_sync("/tool look").output == "tea 3"


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ("'files(open)'", "between the parentheses stand values"),
        ("'files(\"docs\"'", "files("),
        ("'files(**{})'", "between the parentheses stand values"),
        ("'files(\"docs\") + 1'", "files("),
        ("'file(\"docs\")'", "names no factory; write module:name(...), or one of: files"),
        ("'files(\"nope\")'", "nope"),
        ("'files(3, 4, 5)'", "TypeError"),
        ("'graphflow.sync:run_sync(1)'", "not a factory"),
        ("'os:system(\"ls\")'", "is not a module of the project"),
        ('\'graphflow.library.tools.files:fits("a", "b")\'', "not a node"),
    ],
)
def test_what_is_no_factory_is_refused_with_its_line(tmp_path: Path, tools: str, says: str) -> None:
    with pytest.raises(FileUnreadable) as raised:
        loaded(tmp_path, tools)
    assert "reader.yaml:5" in str(raised.value)
    assert says in str(raised.value)


# -- what is written -------------------------------------------------------------------------------
@factory
def stock(item: str, *, most: int = 1) -> Tool[Any, Any]:
    @tool
    def look() -> str:
        """Looks."""
        return f"{item} {most}"

    return look


@factory
def interpreter(name: str) -> Tool[Any, Any]:
    @tool
    def run_script(code: str) -> str:
        """Runs a script."""
        return f"{name}: {code}"

    return run_script


def with_tools(*tools: Any) -> Graph[Any, Any]:
    agent = Agent("say", prompt="{{ text }}", input=str, model="mock:echo", tools=[*tools])
    return Graph("reader", START >> agent >> END, untrusted="warn")


def read_again(graph: Graph[Any, Any], folder: Path) -> Graph[Any, Any]:
    file = folder / "again.yaml"
    file.write_text(graph.to_yaml())
    return Graph.from_yaml(file, root=Path(__file__).resolve().parents[2])


def test_a_graph_whose_tools_were_made_is_written_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("found it")
    monkeypatch.chdir(tmp_path)
    made = (
        *files("docs", write=True),
        shell(["git"], cwd="."),
        *dates(zone="UTC"),
        fetch(hosts=["a.example"]),
        *environment(["LANG"]),
        stock("tea", most=3),
    )
    graph = with_tools(*made)
    text = graph.to_yaml()
    again = read_again(graph, tmp_path)
    assert again == graph
    assert again.to_yaml() == text
    assert f"- files(root='{tmp_path}/docs', write=True)" in text
    assert "- environment(names=['LANG'])" in text
    assert "- tests.files.test_factories:stock(item='tea', most=3)" in text
    assert "found it" in again.run_sync('/tool read_file {"path": "a.txt"}').output
    assert again.run_sync("/tool look").output == "tea 3"


def test_a_call_is_written_as_its_file_had_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    graph = loaded(tmp_path, "'files(\"docs\", write=True)'")
    assert '- files("docs", write=True)' in graph.to_yaml()
    again = tmp_path / "again.yaml"
    again.write_text(graph.to_yaml())
    assert Graph.from_yaml(again) == graph


def test_a_function_that_does_not_remember_does_in_files(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(
        "from graphflow import tool\n"
        "def stock(item: str):\n"
        "    @tool\n"
        "    def look() -> str:\n"
        "        'Looks.'\n"
        "        return item\n"
        "    return look\n"
    )
    graph = loaded(tmp_path, "'counter:stock(\"tea\")'")
    assert '- counter:stock("tea")' in graph.to_yaml()


def test_equal_calls_make_equal_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert files("docs") == files(str(tmp_path / "docs"))
    assert files("docs") != files(".")
    assert files("docs")[0] != files("docs")[1].named("read_file")
    assert stock("tea") == stock(item="tea")
    assert stock("tea") != stock("tea", most=2)


def test_a_factory_stands_for_one_node_wherever_one_is_named(tmp_path: Path) -> None:
    helper = Code("code", calls=[stock("tea")])
    graph = Graph("g", START >> Agent("a", model="mock:echo", tools=[helper]) >> END)
    text = graph.to_yaml()
    assert "- tests.files.test_factories:stock(item='tea')" in text
    assert read_again(graph, tmp_path) == graph
    alone = Graph("alone", START >> stock("milk").named("pour") >> END)
    with pytest.raises(FileUnreadable, match="'pour' is one of what"):
        alone.to_yaml()
    alone = Graph("alone", START >> stock("milk") >> END)
    assert "look: tests.files.test_factories:stock(item='milk')" in alone.to_yaml()
    assert read_again(alone, tmp_path) == alone
    assert read_again(alone, tmp_path).run_sync({}).output == "milk 1"


def test_a_runner_of_skills_may_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skill = tmp_path / "skills" / "greet"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: greet\ndescription: Greets.\n---\nSay hello.\n")
    monkeypatch.chdir(tmp_path)
    skills = Skills(str(tmp_path / "skills"), runner=interpreter("sh"))
    graph = with_tools(skills)
    assert "runner: tests.files.test_factories:interpreter(name='sh')" in graph.to_yaml()
    assert read_again(graph, tmp_path) == graph


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        (lambda: files(".")[:2], "'read_file' is one of what .*files:files has made"),
        (lambda: [files(".")[0].named("x")], "'x' is one of what"),
        (lambda: files(".")[::-1], "is not as it was made or stands without the others"),
        (
            lambda: dates(clock=lambda: 3),
            r"dates\(clock=...\) was given something of type function",
        ),
        (lambda: [shell(["git"], cwd=".", env={"API_TOKEN": "abc"})], "may be a secret"),
    ],
)
def test_what_no_file_can_say_again_is_refused(tools: Any, problem: str) -> None:
    graph = with_tools(*tools())
    with pytest.raises(FileUnreadable, match=problem) as raised:
        graph.to_yaml()
    assert "abc" not in str(raised.value)


def test_a_factory_of_several_does_not_stand_where_one_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text("graph: g\nnodes:\n  a: 'files(\".\")'\nedges: [START >> a >> END]\n")
    with pytest.raises(FileUnreadable, match=r":3:3: .*makes 3 nodes .read_file, list_files"):
        Graph.from_yaml(file)
