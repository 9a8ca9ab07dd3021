"""Skills: names first, then a text, then a file; nothing outside of their folders; scripts only along an edge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Code, Graph, GraphError, Policy, Skills, ToolError, tool
from graphflow.errors import DeclarationError
from graphflow.events import CallFailed, CallFinished, CallStarted
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk

BODY = "# Bread\n\nUse {{ flour }} and {% water %}.\nRead `references/ovens.md`.\n"


def put(root: Path, name: str, head: str | None = None, body: str = BODY, **files: str) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    head = (
        f"name: {name}\ndescription: How to bake {name}. Use it for baking.\n"
        if head is None
        else head
    )
    (folder / "SKILL.md").write_text(f"---\n{head}---\n{body}")
    for key, text in files.items():
        path = folder / key.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "skills"
    put(
        folder,
        "bread",
        references__ovens_dot_md="Ovens are hot.",
        scripts__weigh_dot_py="weight = 6 * 7\nprint('weighed')\nweight",
    )
    put(folder, "fine-cakes", body="Cakes.")
    (folder / "notes.txt").write_text("no skill")
    (folder / "empty").mkdir()
    return folder


def asked(skills: Skills, *questions: dict[str, Any], **options: Any) -> tuple[Any, list[Any]]:
    """The run of an agent that asks all this in turn, and the results that its model read."""
    agent = Agent("baker", input=str, tools=[skills])
    model = ScriptedModel(*(calls("skill", **question) for question in questions), "end")
    run = walk(Graph("g", START >> agent >> END), "go", model=model, **options)
    assert run.output == "end", run.error
    results = [result for request in model.requests[1:] for result in request.turns[-1].results]  # type: ignore[union-attr]
    return model.requests[0].tools, results


def told(skills: Skills, **question: Any) -> str:
    _, [result] = asked(skills, question)
    return str(result.content)


def test_they_are_disclosed_step_by_step(root: Path) -> None:
    question: list[dict[str, Any]] = [
        {"skill": "bread"},
        {"skill": "bread", "file": "references/ovens.md"},
    ]
    [spec], [text, file] = asked(Skills(root), *question)
    assert (
        "- bread: How to bake bread. Use it for baking.\n- fine-cakes: How to bake fine-cakes."
        in spec.description
    )
    assert "flour" not in spec.description
    assert list(spec.parameters["properties"]) == ["skill", "file", "start"]
    assert (
        text.content
        == BODY.strip() + "\n\nFiles of this skill:\n- references/ovens.md\n- scripts/weigh.py"
    )
    assert file.content == "Ovens are hot."
    assert told(Skills(root), skill="fine-cakes") == "Cakes."
    assert told(Skills(root), skill="bread", file="scripts/weigh.py").startswith("weight = 6 * 7")
    assert told(Skills(root), skill="bread", file="SKILL.md").startswith("# Bread")


def test_one_skill_and_several_folders(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "more", "tea")
    assert [s.name for s in Skills(root / "bread").skills] == ["bread"]
    assert [s.name for s in Skills(root, tmp_path / "more").skills] == [
        "bread",
        "fine-cakes",
        "tea",
    ]
    assert Skills(root) == Skills(root)
    assert Skills(root) != Skills(root / "bread")


def test_texts_are_read_at_each_call_and_names_at_the_declaration(root: Path) -> None:
    skills = Skills(root)
    (root / "fine-cakes" / "SKILL.md").write_text(
        "---\nname: other\ndescription: changed\n---\nNew cakes."
    )
    assert told(skills, skill="fine-cakes") == "New cakes."
    assert "changed" not in skills.spec.description
    (root / "fine-cakes" / "SKILL.md").unlink()
    assert "has no file 'SKILL.md'" in told(skills, skill="fine-cakes")


def test_long_texts_come_in_pieces(root: Path) -> None:
    (root / "bread" / "references" / "long.md").write_text(
        "".join(f"{n:05d}\n" for n in range(1000))
    )
    skills = Skills(root, output_limit=1200)
    first = told(skills, skill="bread", file="references/long.md")
    assert len(first) <= 1200
    assert "[cut at character 1000 of 6000; go on with start=1000]" in first
    assert told(skills, skill="bread", file="references/long.md", start=5994) == "00999\n"
    assert told(skills, skill="bread", file="references/long.md", start=9999) == ""


@pytest.mark.parametrize(
    "file",
    [
        *(
            "../fine-cakes/SKILL.md",
            "/etc/passwd",
            "references/../../notes.txt",
            "..",
            ".",
            "references",
            "a\0b",
            "secret.md",
        ),
        *(
            "linked/passwd",
            "link.md",
            "inside.md",
            "pipe",
            "C:\\secret",
            "..\\notes.txt",
            "~/x",
            "references//../SKILL.md",
        ),
    ],
)
def test_no_path_leads_out(root: Path, tmp_path: Path, file: str) -> None:
    (tmp_path / "secret.md").write_text("SECRET")
    folder = root / "bread"
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "inside.md").symlink_to(folder / "SKILL.md")
    (folder / "linked").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    said = told(Skills(root), skill="bread", file=file)
    assert said.startswith("ToolError: skill 'bread' has no file")
    assert "it has references/ovens.md, scripts/weigh.py" in said
    assert str(tmp_path) not in said


def test_files_that_are_no_text_or_too_large_are_refused(root: Path) -> None:
    (root / "bread" / "photo.png").write_bytes(b"\x89PNG\xff")
    (root / "bread" / "huge.md").write_bytes(b"x" * (2**20 + 1))
    assert (
        told(Skills(root), skill="bread", file="photo.png")
        == "ToolError: photo.png is not text (UTF-8)"
    )
    assert "1048576 are read at most" in told(Skills(root), skill="bread", file="huge.md")
    assert "there is no skill 'nope'; there is: bread, fine-cakes" in told(
        Skills(root), skill="nope"
    )


def test_a_folder_that_became_a_link_is_refused(root: Path, tmp_path: Path) -> None:
    skills = Skills(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "SKILL.md").write_text("---\nname: bread\n---\nSECRET")
    (root / "bread").rename(tmp_path / "old")
    (root / "bread").symlink_to(tmp_path / "elsewhere")
    assert "SECRET" not in told(skills, skill="bread")


def test_many_skills_share_a_bounded_list(tmp_path: Path) -> None:
    for number in range(100):
        put(
            tmp_path / "s",
            f"skill-{number}",
            f"name: skill-{number}\ndescription: {'words ' * 160}\n",
        )
    text = Skills(tmp_path / "s").spec.description
    assert len(text) < 20_000
    assert "- skill-99: words" in text


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("description: x\n", "the front matter has no `name`"),
        ("name: 7\ndescription: x\n", "the front matter has no `name`"),
        ("name: Bread\ndescription: x\n", "'Bread' is not allowed"),
        ("name: bread-\ndescription: x\n", "is not allowed"),
        ("name: br--ead\ndescription: x\n", "is not allowed"),
        ("name: cake\ndescription: x\n", "'cake' is not that of its folder, 'bread'; rename one"),
        ("name: bread\n", "the front matter has no `description`"),
        ("name: bread\ndescription: ' '\n", "the front matter has no `description`"),
        (
            "name: bread\ndescription: " + "x" * 1025 + "\n",
            "has 1025 characters, and may have 1024",
        ),
        ("name: [bread\n", "its front matter is not YAML"),
        ("- name\n", "its front matter is not a mapping"),
        ("name: !!python/object:os.system bread\n", "is not YAML"),
    ],
)
def test_what_does_not_keep_to_the_format_is_told_at_the_declaration(
    tmp_path: Path, head: str, says: str
) -> None:
    put(tmp_path / "s", "bread", head)
    with pytest.raises(DeclarationError, match=r"SKILL\.md") as caught:
        Skills(tmp_path / "s")
    assert says in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path / "a", "bread")
    put(tmp_path / "b", "bread")
    put(tmp_path / "b", "cake", "name: pie\ndescription: x\n")
    (tmp_path / "b" / "plain").mkdir()
    (tmp_path / "b" / "plain" / "SKILL.md").write_text("# no front matter")
    (tmp_path / "b" / "bytes").mkdir()
    (tmp_path / "b" / "bytes" / "SKILL.md").write_bytes(b"---\nname: \xff\n---\n")
    (tmp_path / "b" / "linked").symlink_to(tmp_path / "a" / "bread")
    (tmp_path / "c").mkdir()
    with pytest.raises(DeclarationError) as caught:
        Skills(tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "nowhere")
    text = str(caught.value)
    for said in (
        "two skills are named 'bread'",
        "'pie' is not that of its folder",
        "does not begin with front matter",
        "is not text (UTF-8)",
        "is a link; give the folder that it leads to",
        "holds no skill",
        "nowhere is not a folder",
    ):
        assert said in text
    with pytest.raises(DeclarationError, match="at least one folder"):
        Skills()


def test_windows_lines_and_further_keys_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / "s" / "tea"
    folder.mkdir(parents=True)
    head = "\ufeff---\r\nname: tea\r\ndescription: >-\r\n  Brew\r\n  tea.\r\nlicense: MIT\r\nallowed-tools: Bash\r\n---\r\n"
    (folder / "SKILL.md").write_bytes((head + "Boil.\r\n---\r\nServe.").encode())
    skills = Skills(tmp_path / "s")
    assert "- tea: Brew tea." in skills.spec.description
    assert told(skills, skill="tea") == "Boil.\r\n---\r\nServe."


# -- scripts ---------------------------------------------------------------------------------------
def test_without_a_runner_nothing_can_be_run(root: Path) -> None:
    said = told(Skills(root), skill="bread", file="scripts/weigh.py", run=True)
    assert said.startswith(
        "ArgumentsInvalid: arguments of 'skill' do not fit: run: Extra inputs are not permitted"
    )


def test_a_script_is_run_by_a_code_node_as_a_step_of_the_walk(root: Path) -> None:
    agent = Agent("baker", input=str, tools=[Skills(root, runner=Code("python"))])
    graph = Graph("g", START >> agent >> END)
    model = ScriptedModel(calls("skill", skill="bread", file="scripts/weigh.py", run=True), "end")
    run = walk(graph, "go", model=model)
    assert model.requests[1].turns[-1].results[0].content == '{"printed":"weighed\\n","value":42}'  # type: ignore[union-attr]
    assert [(e.caller, e.node) for e in run.events if isinstance(e, CallStarted)] == [
        ("baker", "skill"),
        ("skill", "python"),
    ]
    assert len([e for e in run.events if isinstance(e, CallFinished)]) == 2
    assert graph.to_mermaid().count("-.->") == 2


def test_a_script_is_run_by_a_tool_with_its_path_and_arguments(root: Path) -> None:
    seen: list[Any] = []

    @tool(effects=["executes"])
    async def shell(path: str, arguments: list[str]) -> str:
        """Run a script."""
        seen.append((path, arguments))
        return "ran"

    question = {"skill": "bread", "file": "scripts/weigh.py", "run": True, "arguments": ["a"]}
    _, [result] = asked(Skills(root, runner=shell), question)
    assert result.content == "ran"
    assert seen == [(str(root / "bread" / "scripts" / "weigh.py"), ["a"])]
    run_it = dict(question, arguments=[])
    _, [result] = asked(Skills(root, runner=shell), run_it, policy=Policy(effects=["reads"]))
    assert "PolicyRefused: 'shell' may not be called here" in result.content
    assert len(seen) == 1
    _, [result] = asked(Skills(root, runner=shell), dict(question, file="../../etc/passwd"))
    assert "has no file" in result.content
    _, [result] = asked(Skills(root, runner=Code("python")), question)
    assert "its runner takes none" in result.content


def test_a_runner_takes_code_or_a_path(root: Path) -> None:
    @tool
    async def odd(words: str) -> str:
        """Take words."""
        return words

    agent = Agent("baker", input=str, tools=[Skills(root, runner=odd)])
    with pytest.raises(GraphError, match="its runner 'odd' takes words; it must take `code`"):
        Graph("g", START >> agent >> END)


def test_an_error_of_a_script_is_told(root: Path) -> None:
    (root / "bread" / "scripts" / "weigh.py").write_text("print('p')\n1/0")
    skills = Skills(root, runner=Code("python"))
    agent = Agent("baker", input=str, tools=[skills])
    model = ScriptedModel(calls("skill", skill="bread", file="scripts/weigh.py", run=True), "end")
    run = walk(Graph("g", START >> agent >> END), "go", model=model)
    assert "ZeroDivisionError" in model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]
    assert [e.node for e in run.events if isinstance(e, CallFailed)] == ["python", "skill"]
    assert all(isinstance(e.error, ToolError) for e in run.events if isinstance(e, CallFailed))


def test_it_stands_in_a_flow_too_and_reads_files(root: Path) -> None:
    graph = Graph("g", START >> Skills(root) >> END)
    assert walk(graph, "fine-cakes").output == "Cakes."
    assert walk(graph, {"skill": "bread", "file": "references/ovens.md"}).output == "Ovens are hot."
    run = walk(graph, "bread", policy=Policy(effects=()))
    assert "reads" in str(run.error)
