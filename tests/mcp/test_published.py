"""Published servers, of PyPI and npm and of both generations, driven by an agent in a walk."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

from graphflow import END, MCP, START, Agent, Graph
from graphflow.mcp import Elicitation
from graphflow.messages.media import Media
from graphflow.model.turns import ToolResult, ToolTurn
from graphflow.testing import ScriptedModel, both, calls
from tests.mcp.servers import npm, published
from tests.toolbox import inside


def read(server: MCP, *script: Any) -> tuple[list[ToolResult], ScriptedModel]:
    """What an agent reads of the calls of a script."""
    model = ScriptedModel(*script, "done")
    agent = Agent("agent", input=str, mcp=[server])
    asyncio.run(Graph("g", START >> agent >> END).run("go", model=model))
    turns = [turn for turn in model.requests[-1].turns if isinstance(turn, ToolTurn)]
    return [inside(result) for turn in turns for result in turn.results], model


def test_time() -> None:
    server = MCP(
        "time", [*published("mcp-server-time"), "--local-timezone", "UTC"], trust_hints=True
    )
    script = both(
        calls("get_current_time", timezone="Europe/Paris"),
        calls("convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo"),
        calls("get_current_time", timezone="Nowhere/At_all"),
        calls("get_current_time"),
    )
    (now, there, nowhere, missing), model = read(server, script)
    assert json.loads(str(now.content))["timezone"] == "Europe/Paris"
    assert "T21:00:00" in str(there.content)
    assert not nowhere.ok
    assert "Invalid timezone" in str(nowhere.content)
    assert "'timezone' is a required property" in str(missing.content)
    assert {spec.name for spec in model.requests[0].tools} == {"get_current_time", "convert_time"}


def test_git(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=Ida", "-c", "user.email=ida@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "bees.txt").write_text("Bees make honey.\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Bees"], check=True)
    (tmp_path / "bees.txt").write_text("Bees make honey and wax.\n")
    server = MCP(
        "git", [*published("mcp-server-git"), "--repository", str(tmp_path)], exclude=["git_reset"]
    )
    here = {"repo_path": str(tmp_path)}
    script = both(
        calls("git_log", **here),
        calls("git_diff_unstaged", **here),
        calls("git_status", repo_path="/"),
    )
    (log, diff, outside), model = read(server, script)
    assert "Bees" in str(log.content)
    assert "+Bees make honey and wax." in str(diff.content)
    assert not outside.ok
    assert "outside the allowed repository" in str(outside.content)
    assert "git_reset" not in {spec.name for spec in model.requests[0].tools}


def test_filesystem(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("nothing for you")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    server = MCP("files", [*npm("server-filesystem"), str(root)])
    script = [
        calls("write_file", path=str(root / "a.txt"), content="honey"),
        both(
            calls("read_text_file", path=str(root / "a.txt")),
            calls("read_text_file", path=str(root / "link.txt")),
            calls("read_text_file", path=str(root / ".." / "secret.txt")),
        ),
    ]
    (written, honey, link, above), _ = read(server, *script)
    assert written.ok
    assert (root / "a.txt").read_text() == "honey"
    assert "honey" in str(honey.content)
    for refused in (link, above):
        assert not refused.ok
        assert "nothing for you" not in str(refused.content)


def test_everything() -> None:
    asked: list[Elicitation] = []

    async def ask(name: str, question: Elicitation) -> dict[str, Any]:
        asked.append(question)
        return {"name": "Ida", "check": True}

    server = MCP("everything", [*npm("server-everything"), "stdio"], ask=ask)
    script = both(
        calls("echo", message="hi"),
        calls("get-sum", a=1, b=2),
        calls("get-sum", a="x"),
        calls("get-structured-content", location="Chicago"),
        calls("get-tiny-image"),
        calls("trigger-elicitation-request"),
        calls("trigger-long-running-operation", duration=0.2, steps=2),
    )
    (echo, total, wrong, structured, picture, person, long), model = read(server, script)
    assert echo.content == "Echo: hi"
    assert "is 3" in str(total.content)
    assert "a: 'x' is not of type 'number'" in str(wrong.content)
    assert set(json.loads(str(structured.content))) == {"temperature", "conditions", "humidity"}
    assert [type(part) for part in picture.content] == [str, Media, str]
    assert "Ida" in str(person.content)
    assert asked[0].server == "everything"
    assert "completed" in str(long.content)
    assert len(model.requests[0].tools) > 10
